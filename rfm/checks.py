"""Wrong input: ValueError at once, naming the argument, the value and what is allowed. Tracers pass unchecked."""

from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from rfm.precision import is_traced

PARAMETRIZATIONS = ("ntk", "standard")


def fail(name: str, allowed: str, value: object) -> NoReturn:
    """Raise the one ValueError of this package."""
    if isinstance(value, np.ndarray | np.generic) and value.ndim == 0:
        value = value.item()  # -1.0, not array(-1.)
    if isinstance(value, np.ndarray):
        value = np.array2string(value, threshold=6, edgeitems=2)
        raise ValueError(f"Argument `{name}` must be {allowed}, but is {value}.")
    raise ValueError(f"Argument `{name}` must be {allowed}, but is {value!r}.")


def number(name: str, value: object, above: float, allowed: str, inclusive: bool = False) -> None:
    """A real scalar > above (>= if inclusive); NaN fails."""
    if is_traced(value):
        return
    try:
        x = float(value)
    except (TypeError, ValueError):
        fail(name, allowed, value)
    if not (x >= above if inclusive else x > above) or np.isinf(x):
        fail(name, allowed, value)


def fraction(name: str, value: object) -> None:
    """A real scalar in [0, 1)."""
    allowed = "a number >= 0 and < 1"
    number(name, value, 0.0, allowed, inclusive=True)
    if not is_traced(value) and float(value) >= 1.0:
        fail(name, allowed, value)


def count(name: str, value: object, allowed: str) -> int:
    """A whole number >= 1, returned as int."""
    try:
        if not isinstance(value, bool) and float(value) >= 1 and float(value) == int(value):
            return int(value)
    except (TypeError, ValueError, OverflowError):
        pass
    fail(name, allowed, value)


def size(name: str, value: object, integer: bool) -> None:
    """A model or data size: at least 1, or infinite; whole where arrays of that size are drawn."""
    allowed = "an integer >= 1 or jnp.inf" if integer else "a number >= 1 or jnp.inf"
    if is_traced(value):
        if integer:
            fail(name, "a concrete integer (sizes are static in the simulator)", value)
        return
    try:
        x = float(value)
    except (TypeError, ValueError):
        fail(name, allowed, value)
    if not x >= 1 or (integer and np.isfinite(x) and x != int(x)):
        fail(name, allowed, value)


def time_grid(values: object, integer: bool) -> None:
    """Times (T,): finite, >= 0, strictly increasing; whole numbers where the algorithm takes steps."""
    if is_traced(values):
        return
    unit = "step counts" if integer else "times"
    try:
        times = np.asarray(values, float)
    except (TypeError, ValueError):
        fail("times", f"real {unit}", values)
    if times.ndim != 1 or times.size == 0:
        fail("times", f"a non-empty one-dimensional array of {unit}", values)
    if not np.all(np.isfinite(times)) or times[0] < 0 or np.any(np.diff(times) <= 0):
        fail("times", f"finite {unit} >= 0 in strictly increasing order", values)
    if integer and np.any(times != np.round(times)):
        fail("times", "whole step counts for an algorithm that takes steps", values)


def one_of(name: str, value: object, choices: Sequence[str]) -> None:
    """A name out of a list."""
    if value not in choices:
        fail(name, "one of " + ", ".join(repr(c) for c in choices), value)
