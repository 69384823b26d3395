"""Wrong input: ValueError at once, naming the argument, the value and what is allowed. Tracers pass unchecked."""

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from rfm.precision import is_traced

FEATURE_PARAMETRIZATIONS = ("ntk", "standard")


def fail(name: str, allowed: str, value: object) -> NoReturn:
    """Raise the one ValueError of this package."""
    if isinstance(value, np.ndarray | np.generic) and value.ndim == 0:
        value = value.item()  # -1.0, not array(-1.)
    if isinstance(value, np.ndarray):
        value = " ".join(np.array2string(value, threshold=6, edgeitems=2).split())
        raise ValueError(f"Argument `{name}` must be {allowed}, but is {value}.")
    raise ValueError(f"Argument `{name}` must be {allowed}, but is {value!r}.")


def number(name: str, value: object, above: float, allowed: str, *, inclusive: bool = False) -> None:
    """Refuse what is no real scalar > above (>= if inclusive); NaN fails."""
    if is_traced(value):
        return
    x = _float(value)
    if not (x >= above if inclusive else x > above) or np.isinf(x):
        fail(name, allowed, value)


def fraction(name: str, value: object) -> None:
    """Refuse what is no real scalar in [0, 1)."""
    allowed = "a number >= 0 and < 1"
    number(name, value, 0.0, allowed, inclusive=True)
    if not is_traced(value) and _float(value) >= 1.0:
        fail(name, allowed, value)


def count(name: str, value: Any, allowed: str) -> int:
    """Return a whole number >= 1 as int."""
    x = _float(value)
    if isinstance(value, bool) or not (x >= 1 and np.isfinite(x)) or x != int(value):
        fail(name, allowed, value)
    return int(value)


def size(name: str, value: object, *, integer: bool) -> None:
    """Refuse what is no model or data size: at least 1, or infinite; whole where arrays of that size are drawn."""
    if is_traced(value):
        if integer:
            fail(name, "a concrete integer (sizes are static in the simulator)", value)
        return
    x = _float(value)
    if not x >= 1 or (integer and np.isfinite(x) and x != int(x)):
        fail(name, "an integer >= 1 or jnp.inf" if integer else "a number >= 1 or jnp.inf", value)


def _float(value: Any) -> float:
    """The value as a float; NaN, which passes no check, where it is no number."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return np.nan


def numeric(name: str, value: object, shown: object = None) -> np.ndarray:
    """Return an array of numbers in float64; a refusal shows `shown` in place of the value where that is given."""
    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError):
        fail(name, "numeric", value if shown is None else shown)


def time_grid(values: Any, *, integer: bool) -> None:
    """Refuse times unless (T,), finite, >= 0 and strictly increasing; whole numbers where steps are taken."""
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
    """Refuse what is not in a list of names."""
    if value not in choices:
        fail(name, "one of " + ", ".join(repr(c) for c in choices), value)
