"""Wrong input: ValueError at once, naming the argument, the value and what is allowed. Tracers pass unchecked."""

import math
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from rfm.precision import is_traced

NOT_REAL = "USmMc"  # kinds of arrays: text, bytes, dates, complex numbers
MOST_SHOWN = 100  # characters of a value in a message
MOST_SEEDS = 1_000_000  # of a call
FEATURE_PARAMETRIZATIONS = ("ntk", "standard")
IDENTITY = "identity"  # of a hidden layer, in place of a width


class ArgumentError(ValueError):
    """A wrong argument: its name, what is allowed, the value and what to do, for a command to name its own option."""

    def __init__(self, name: str, allowed: str, value: object, cure: str = "") -> None:
        self.name, self.allowed, self.value, self.cure = name, allowed, value, cure
        super().__init__(name, allowed, value, cure)

    def __str__(self) -> str:
        return self.sentence(f"Argument `{self.name}`")

    def sentence(self, subject: str) -> str:
        """Say what is wrong with an argument or option, which is the subject of the sentence."""
        cure = f": {self.cure}" if self.cure else ""
        return f"{subject} must be {self.allowed}, but is {_shown(self.value)}{cure}."


def _shown(value: object) -> str:
    """The value in one short line."""
    if isinstance(value, np.ndarray | np.generic) and value.ndim == 0:
        value = value.item()  # -1.0, not array(-1.)
    if isinstance(value, np.ndarray):
        text = np.array2string(value, threshold=6, edgeitems=2)
    elif isinstance(value, int) and abs(value) > 10**MOST_SHOWN:
        text = f"an integer of {int(value.bit_length() * math.log10(2)) + 1} digits"
    else:
        text = repr(value)
    text = " ".join(text.split())
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 4] + " ..."


def fail(name: str, allowed: str, value: object, cure: str = "") -> NoReturn:
    """Raise the one ValueError of this package."""
    raise ArgumentError(name, allowed, value, cure)


def number(name: str, value: object, above: float, allowed: str, *, inclusive: bool = False) -> None:
    """Refuse anything but a real scalar > above (>= if inclusive); NaN is refused."""
    if is_traced(value):
        return
    x = _float(value)
    if not (x >= above if inclusive else x > above) or np.isinf(x):
        fail(name, allowed, value)


def fraction(name: str, value: object) -> None:
    """Refuse anything but a real scalar in [0, 1)."""
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


def is_identity(hidden: object) -> bool:
    """Is there no hidden layer but the identity?"""
    return isinstance(hidden, str) and hidden == IDENTITY


def size(name: str, value: object, *, integer: bool) -> None:
    """Refuse anything but a model or data size: at least 1, or infinite; whole where arrays are drawn."""
    if is_traced(value):
        if integer:
            fail(name, "a concrete integer (sizes are static in the simulator)", value)
        return
    if (isinstance(value, list | tuple | range) or getattr(value, "ndim", 0) > 0) and len(value) > 1:  # pyright: ignore
        cure = f"one number (for several: theory.sweep or rfm.sweep, with {{{name!r}: [...]}} as the grid)"
        fail(name, cure, value)
    x = _float(value)
    if not x >= 1 or (integer and np.isfinite(x) and x != int(x)):
        fail(name, "an integer >= 1 or jnp.inf" if integer else "a number >= 1 or jnp.inf", value)


def _float(value: Any) -> float:
    """The value as a float; NaN, which passes no check, where it is not a real number: text, None, complex, masked."""
    if isinstance(value, str | bytes | bytearray | memoryview | complex | np.complexfloating) or np.ma.is_masked(value):
        return np.nan
    if isinstance(value, np.ndarray) and value.dtype.kind in NOT_REAL:
        return np.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return np.nan


def plain(value: Any) -> Any:
    """Return a number that JAX does not know (a fraction, a long double, an array of objects) as a float."""
    if isinstance(value, int | float) or is_traced(value) or callable(value):
        return value
    kind = np.asarray(value).dtype
    return float(value) if kind.kind == "O" or kind == np.longdouble else value


def numeric(name: str, value: object, shown: object = None) -> np.ndarray:
    """Return an array of real numbers in float64; a refusal shows `shown` in place of the value where that is given."""
    if np.ma.is_masked(value):
        fail(name, "numeric, without masked values", value if shown is None else shown)
    try:
        array = np.asarray(value)
        if array.dtype.kind in NOT_REAL:
            raise TypeError
        return array.astype(np.float64, copy=False)
    except (TypeError, ValueError, OverflowError):
        fail(name, "numeric (real numbers)", value if shown is None else shown)


def time_grid(values: Any, *, integer: bool) -> None:
    """Refuse times unless (T,), finite, >= 0 and strictly increasing; whole numbers where steps are taken."""
    if is_traced(values):
        return
    unit = "step counts" if integer else "times"
    if values is None:
        fail("times", f"given, the {unit} at which training is looked at (Ridge alone has none)", None)
    times = numeric("times", values)
    if times.ndim != 1 or times.size == 0:
        fail("times", f"a non-empty one-dimensional array of {unit}", values)
    if not np.all(np.isfinite(times)) or times[0] < 0 or np.any(np.diff(times) <= 0):
        fail("times", f"finite {unit} >= 0 in strictly increasing order", values)
    if integer and np.any(times != np.round(times)):
        fail("times", "whole step counts for an algorithm that takes steps", values)


def one_of(name: str, value: object, choices: Sequence[str]) -> None:
    """Refuse anything that is not in a list of names."""
    if not isinstance(value, str) or value not in choices:
        fail(name, "one of " + ", ".join(repr(c) for c in choices), value)
