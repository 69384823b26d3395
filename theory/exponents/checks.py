"""Exponents that a law does not cover: ValueError, naming the argument, its value and what is allowed."""

from typing import NoReturn


def check_exponents(a: float, b: float, *, trace: bool = False) -> None:
    """Refuse exponents outside a > 1 and b > 0; trace: b > 1."""
    if not a > 1.0:
        fail("a", "a number > 1", a)
    if not b > (1.0 if trace else 0.0):
        fail("b", "a number > 1 (a trace that converges)" if trace else "a number > 0", b)


def away_from(name: str, s: float, edge: float, bound: str) -> None:
    """Refuse a boundary between two laws."""
    if abs(s - edge) < 1e-9:
        fail(name, f"different from {bound}, where the law carries a logarithm", s)


def fail(name: str, allowed: str, value: object) -> NoReturn:
    """Raise the ValueError of wrong exponents."""
    raise ValueError(f"Argument `{name}` must be {allowed}, but is {value!r}.")
