"""Exponents from scans: a window chosen by rule, a slope, its uncertainty over draws and windows, or a refusal.

Rule. A point counts while theory at the scan's sizes is within NEAR_LIMIT of theory with all other sizes and times
infinite: beyond it something else limits the risk. Of all windows of such points that span MIN_DECADES, the
longest in which the local slope of that limit stays within DRIFT of its mean is taken, the later one of equals;
where there is none, the shortest with the least drift, and the fit says that its slope drifts. The rule looks at
theory alone, so the simulation cannot choose its own window.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.compare.differences import Agreement
from experiments.compare.equivalence import agreements
from experiments.compare.exponent import Exponent
from experiments.compare.scans import Scan
from experiments.compare.statistics import local_slopes, log_slope, student

NEAR_LIMIT = 0.1
DRIFT = 0.05
MIN_DECADES = 0.6
MIN_POINTS = 4
AVERAGE = "average"
SHORTER = 0.25  # part of the window, in log x, that is left out at either end to see what the window decides


class Window(NamedTuple):
    """Points of a scan over which a slope is measured, or None; drift: of the slope over them."""

    points: slice | None
    drift: float


def fit_exponent(scan: Scan) -> Exponent:
    """Return the exponents of simulation and theory over the window of the rule, by least squares in log-log.

    With weights, where theory knows the covariance of the points: see `Comparison.slope`.
    """
    window = choose_window(scan)
    if window.points is None:
        nothing = f"not identified: theory at these sizes is at its limit for less than {MIN_DECADES} decades"
        return Exponent(scan.axis, status=nothing)
    risk = scan.risk.at(window.points)
    x, slope = risk.x, risk.slope(quantity=scan.axis)
    half = student(risk.seeds) * slope.stderr
    cut = np.exp(SHORTER * np.log(x[-1] / x[0]))
    parts = [use for use in (x >= x[0] * cut, x <= x[-1] / cut) if use.sum() > 1]
    shorter = [risk.at(use) for use in parts]
    moved = [abs(-log_slope(part.x, part.mean, part.spread) - slope.simulated) for part in shorter]
    return dataclasses.replace(
        slope,
        interval=(float(slope.simulated - half), float(slope.simulated + half)),
        window_error=max(moved),
        status="steady" if window.drift <= DRIFT else f"slope drifts by {window.drift:.0%}",
    )


def choose_window(scan: Scan) -> Window:
    """Return the window that the rule of this module takes, and the relative drift of its slope."""
    x = scan.risk.x
    # a limit that vanishes (finitely many modes, all learned) is no power law
    use = (x > 0) & (np.abs(scan.risk.theory - scan.limit) < NEAR_LIMIT * scan.limit)
    local = local_slopes(x, np.where(scan.limit > 0, scan.limit, np.nan))
    steady, span = Window(None, np.inf), MIN_DECADES - 1e-9
    fallback = Window(None, np.inf)
    for first in range(len(use)):
        for last in range(first + MIN_POINTS - 1, len(use)):
            inside = slice(first, last + 1)
            if not use[inside].all():
                break
            decades = np.log10(x[last] / x[first])
            if decades < MIN_DECADES - 1e-9:
                continue
            drift = np.ptp(local[inside]) / (2 * np.abs(local[inside].mean()))
            if drift <= DRIFT and decades >= span:
                steady, span = Window(inside, drift), decades
            if drift < fallback.drift:
                fallback = Window(inside, drift)
    return steady if steady.points is not None else fallback


def judge_scans(scans: Sequence[Scan], fits: Sequence[Exponent]) -> dict[str, Agreement]:
    """Return the verdict on each scan that has a theory of its own, by axis, and on averaged weights as AVERAGE."""
    known = [(scan, fit) for scan, fit in zip(scans, fits, strict=True) if scan.own_theory]
    pairs = {scan.axis: (scan.risk, None if fit.window is None else fit.theory) for scan, fit in known}
    for scan, _ in known:
        if scan.average is not None:
            pairs[AVERAGE] = scan.average, None
    judged = agreements([pair for pair, _ in pairs.values()], [exponent for _, exponent in pairs.values()])
    return dict(zip(pairs, judged, strict=True))
