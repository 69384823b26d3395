"""A published claim beside what is measured: its verdict is reached from the numbers alone."""

import dataclasses

import numpy as np

from rfm import checks

# from worst to best: the verdict on several findings is the first of these that occurs
OPEN, CONTRADICTED, REFINED, CONFIRMED = "open", "contradicted", "refined", "confirmed"
VERDICTS = (OPEN, CONTRADICTED, REFINED, CONFIRMED)
CLOSE = 0.02  # exponents that differ by less are the same, unless their errors are larger
LEVEL = 0.01  # chance that one of all points of a right theory is called off
SIGMAS, FINITE = 3.0, 2.0  # standard errors, and gap over N, up to which one mean of a row lies near one
FINITE_SIZE = {1: 4.0, 2: 3.0}  # stated gap of simulation to theory of an order, in units of (1/N + 1/P)^order


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A quantity as a paper states it, and as it is measured here.

    Attributes:
        quantity: In words.
        claimed: The paper's value, "-" where it gives none.
        measured: Ours, with its error and condition.
        verdict: One of VERDICTS. Confirmed: as claimed. Refined: as claimed, under a condition that the paper does not
            give, and `measured` does. Contradicted: not as claimed, but as the corrected closed form says. Open:
            neither.
    """

    quantity: str
    claimed: str
    measured: str
    verdict: str


def judge(
    quantity: str,
    measured: float,
    *,
    claimed: float | None = None,
    closed: float | None = None,
    error: float = 0.0,
    close: float = CLOSE,
    known: str = "closed form",
) -> Verdict:
    """Is a measured exponent the claimed one, or only that of our closed form? To `close`, or two standard errors.

    Args:
        quantity: What is measured, in words.
        measured: The exponent.
        claimed: As a paper states it.
        closed: As our closed form has it.
        error: Standard error of `measured`.
        close: Exponents that differ by less are the same.
        known: What `closed` is called where it is not a closed form, such as the slope of theory over the same window.

    Raises:
        ValueError: Neither `claimed` nor `closed` is given.
    """
    near = max(close, 2.0 * error)
    if claimed is None and closed is None:
        checks.fail("claimed", "given, or `closed`", None)
    stated = "-" if claimed is None else f"{claimed:.3f}"
    if claimed is not None and abs(measured - claimed) <= near:
        verdict = CONFIRMED
    elif closed is not None and abs(measured - closed) <= near:
        verdict = CONFIRMED if claimed is None else CONTRADICTED
    else:
        verdict = OPEN
    text = f"{measured:.3f}" + (f" ± {error:.3f}" if error else "")
    if closed is not None and (claimed is None or abs(claimed - closed) > 1e-9):
        text += f" ({known} {closed:.3f})"
    return Verdict(quantity, stated, text, verdict)


def approaching(verdict: Verdict, x: np.ndarray, y: np.ndarray, claimed: float) -> Verdict:
    """Refine an open verdict on a power law y ~ x^-claimed that is reached beyond the largest x.

    The exponent must lie below the claimed one, and come nearer from each two points (x, y) to the next.
    """
    local = -np.diff(np.log(y)) / np.diff(np.log(x))
    if verdict.verdict != OPEN or local[-1] >= claimed or len(local) < 2 or np.any(np.diff(local) <= 0):
        return verdict
    path = ", ".join(f"{g:.3f}" for g in local)
    return dataclasses.replace(verdict, measured=f"{verdict.measured}, rising with size: {path}", verdict=REFINED)


def condition(
    quantity: str, claimed: str, measured: str, holds: bool, *, yes: str = CONFIRMED, no: str = OPEN
) -> Verdict:
    """Return the verdict on a claim in words: `yes` where the condition holds, else `no`."""
    return Verdict(quantity, claimed, measured, yes if holds else no)


def near_one(
    quantity: str, gaps: np.ndarray, errors: np.ndarray, sizes: np.ndarray | float, *, symbol: str = "N"
) -> Verdict:
    """Judge whether ratios 1 + gap lie within SIGMAS standard errors of one, and what FINITE over a size allows."""
    text = f"{1 + gaps.min():.3f} .. {1 + gaps.max():.3f}"
    holds = bool(np.all(np.abs(gaps) < SIGMAS * errors + FINITE / sizes))
    return condition(quantity, f"1 within {SIGMAS:g} s.e. + {FINITE:g}/{symbol}", text, holds)


def overall(verdicts: tuple[Verdict, ...]) -> str:
    """Return the verdict on all: the first of VERDICTS that any of them has."""
    return next(worst for worst in VERDICTS if any(v.verdict == worst for v in verdicts))
