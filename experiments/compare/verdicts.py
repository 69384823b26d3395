"""What a published claim comes to when it is measured: a finding, with its verdict reached from the numbers alone."""

import dataclasses

import numpy as np
from scipy.special import stdtrit

from experiments.compare.scans import standard_error

# from worst to best: the verdict on several findings is the first of these that occurs
OPEN, CONTRADICTED, REFINED, CONFIRMED = "open", "contradicted", "refined", "confirmed"
VERDICTS = (OPEN, CONTRADICTED, REFINED, CONFIRMED)
CLOSE = 0.02  # exponents that differ by less are the same, unless their errors are larger
LEVEL = 0.01  # chance that one of all points of a right theory is called off
FINITE_SIZE = 4.0  # stated relative gap of simulation to theory, in units of 1/N + 1/P


@dataclasses.dataclass(frozen=True)
class Finding:
    """One quantity: what the paper says of it, what is measured here, and the verdict, one of VERDICTS.

    confirmed: as claimed. refined: as claimed, under a condition that the paper does not give, and `measured` does.
    contradicted: not as claimed, but as the corrected closed form says. open: neither.
    """

    quantity: str
    claimed: str
    measured: str
    verdict: str


def exponent(
    quantity: str,
    measured: float,
    *,
    claimed: float | None = None,
    closed: float | None = None,
    error: float = 0.0,
    close: float = CLOSE,
    known: str = "closed form",
) -> Finding:
    """Is a measured exponent the claimed one, or only that of our closed form? To `close`, or two standard errors.

    known: what `closed` is called where it is no closed form, such as the slope of the theory over the same window.
    """
    near = max(close, 2.0 * error)
    if claimed is None and closed is None:
        raise ValueError("Argument `claimed` or `closed` must be given, but is None.")
    stated = "-" if claimed is None else f"{claimed:.3f}"
    if claimed is not None and abs(measured - claimed) <= near:
        verdict = CONFIRMED
    elif closed is not None and abs(measured - closed) <= near:
        verdict = CONFIRMED if claimed is None else CONTRADICTED
    else:
        verdict = OPEN
    told = f"{measured:.3f}" + (f" ± {error:.3f}" if error else "")
    if closed is not None and (claimed is None or abs(claimed - closed) > 1e-9):
        told += f" ({known} {closed:.3f})"
    return Finding(quantity, stated, told, verdict)


def approaching(finding: Finding, x: np.ndarray, y: np.ndarray, claimed: float) -> Finding:
    """An open exponent of a power law y ~ x^-claimed that is reached beyond the largest x: refined.

    It must lie below the claimed one, and come nearer from each two points (x, y) to the next.
    """
    local = -np.diff(np.log(y)) / np.diff(np.log(x))
    if finding.verdict != OPEN or local[-1] >= claimed or len(local) < 2 or np.any(np.diff(local) <= 0):
        return finding
    path = ", ".join(f"{g:.3f}" for g in local)
    return dataclasses.replace(finding, measured=f"{finding.measured}, rising with size: {path}", verdict=REFINED)


def condition(quantity: str, claimed: str, measured: str, holds: bool, yes: str = CONFIRMED, no: str = OPEN) -> Finding:
    """A claim in words: `yes` where the condition holds, else `no`."""
    return Finding(quantity, claimed, measured, yes if holds else no)


def agreement(
    samples: np.ndarray,
    predicted: np.ndarray,
    sizes: np.ndarray | float,
    quantity: str = "theory = simulation",
    finite_size: float = FINITE_SIZE,
) -> Finding:
    """Do the means of samples (S, X) agree with predicted (X,) within the stated error?

    The stated error of a point is q stderr + finite_size/size predicted: q is Student's quantile at which one of the X
    points of a right theory fails with chance LEVEL, and `sizes` (X,) or one number is the harmonic sum 1/(1/N + 1/P)
    of the point, since the theory is that of large N and P and its gap falls as 1/N + 1/P.
    """
    mean, stderr = samples.mean(0), standard_error(samples)
    q = float(stdtrit(len(samples) - 1, 1.0 - 0.5 * LEVEL / mean.size))
    stated = q * stderr + finite_size / np.broadcast_to(sizes, mean.shape) * predicted
    gap, worst = np.abs(mean / predicted - 1.0), np.max(np.abs(mean - predicted) / stated)
    measured = (
        f"{worst:.2f} of it at most; gap {np.median(gap):.1%} in the median, {gap.max():.1%} at most; "
        f"{mean.size} points, {len(samples)} seeds"
    )
    stated_error = f"to {q:.1f} s.e. + {finite_size:g} (1/N + 1/P)"
    return condition(quantity, stated_error, measured, bool(worst <= 1.0))


def overall(findings: tuple[Finding, ...]) -> str:
    """The verdict on all: the first of VERDICTS that any of them has."""
    return next(verdict for verdict in VERDICTS if any(f.verdict == verdict for f in findings))
