"""Power laws as Hoffmann et al. (2022) fitted them, by Huber's loss of log residuals; rows that stand out from them."""

import dataclasses
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from experiments.fit.least_squares import Fit, Minimum, with_errors
from experiments.fit.models import Law
from experiments.fit.table import CurveTable

DELTA = 1e-3  # log residuals beyond it count by their size, not by its square
DELTAS = (1e-1, 1e-2, DELTA)  # one after the other, so that no start is lost
NARROW = 0.4  # deviations either side of 0 within which the density of residuals is counted
REFINED = 6  # starts
NORMAL = 1.4826  # times the median absolute residual: the standard deviation of a normal one
TRIMMED, FEWEST = 0.1, 20  # part of the rows that the others may be fitted without, and rows that this takes
TRIES, ROUNDS = 30, 20  # random halves to begin with, and fits from each at most
OUT = 5.0  # standard deviations


def huber(model: Law, table: CurveTable, weight: np.ndarray | None = None) -> Fit:
    """Fit the logarithms of losses by Huber's loss.

    The errors are those of least squares on the influence of each residual, its slope taken over NARROW deviations.

    Args:
        model: Power laws, or laws of schedules, at the points of the table.
        table: R losses.
        weight: (R,) 1 for the rows that are fitted, 0 for others; None: all. Standard errors and weights of the table
            come on top.

    Returns:
        The fit; the median of scattered losses rather than their mean.

    Example:
        >>> from experiments.fit.models import Chinchilla
        >>> from experiments.fit.table import Design, runs
        >>> design = Design.grid(np.geomspace(10.0, 1e4, 8), [np.inf], [np.inf])
        >>> loss = 0.5 + 2.0 * design.features**-0.5
        >>> loss[3] *= 2.0
        >>> fitted = huber(Chinchilla(design, ("features",)), CurveTable(design, loss, None, runs(design)))
        >>> [round(fitted.value(name), 2) for name in ("E", "A", "alpha")]
        [0.5, 1.99, 0.5]
    """
    weight = np.ones(len(table)) if weight is None else weight
    weight = weight * table.weights(weight > 0)
    starts = model.starts(table.loss, weight)[:REFINED]
    best = min((_search(model, table, weight, start) for start in starts), key=lambda minimum: minimum.cost)
    residual = weight * _log_residual(model, table, best.theta)
    seen = residual[weight > 0]
    deviation = NARROW * max(NORMAL * np.median(np.abs(seen)), DELTA)
    slope = np.mean(_influence(seen + deviation) - _influence(seen - deviation)) / (2.0 * deviation)
    fitted = with_errors(model, table, best, _influence(residual) / slope, weight)
    return dataclasses.replace(fitted, robust=True)


def outliers(model: Law, table: CurveTable, fitted: Fit) -> np.ndarray:
    """Find rows that stand out from the power laws through nine tenths of all (least trimmed residuals).

    They are looked for where a row stands out from the fit of all: outliers that lie together pull it towards them, so
    that only one of them may be seen there.

    Args:
        model: Power laws, at the points of the table.
        table: R losses.
        fitted: `huber` of all.

    Returns:
        Mask (R,); False for fewer than FEWEST rows.
    """
    none = np.zeros(len(table), bool)
    if len(table) < FEWEST or not _far(np.abs(_log_residual(model, table, fitted.theta))).any():
        return none
    rng, kept = np.random.default_rng(0), int((1.0 - TRIMMED) * len(table))
    least, best = np.inf, np.zeros(len(table))
    for _ in range(TRIES):
        inside = np.isin(np.arange(len(table)), rng.permutation(len(table))[: len(table) // 2])
        theta, size = fitted.theta, np.zeros(len(table))
        for _ in range(ROUNDS):
            theta = _search(model, table, inside.astype(float), theta, (DELTA,)).theta
            size = np.abs(_log_residual(model, table, theta))
            before, inside = inside, size <= np.sort(size)[kept - 1]
            if np.array_equal(before, inside):
                break
        if (total := np.sort(size)[:kept].sum()) < least:
            least, best = total, size
    out = _far(best)
    return out if out.mean() <= TRIMMED else none


def stand_out(residuals: np.ndarray, run: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Find the rows of runs that are far from any fit, by the median error of each run.

    Args:
        residuals: (R,) loss over fitted loss, less one.
        run: (R,) number of the run of each row.
        rows: (R,) True for those that were fitted.

    Returns:
        Mask (R,); all False for fewer than FEWEST runs, or where it would be more than a tenth of them.
    """
    numbers = np.unique(run[rows])
    size = np.array([np.median(np.abs(np.log1p(residuals[rows & (run == number)]))) for number in numbers])
    far = _far(size)
    few = len(numbers) >= FEWEST and far.mean() <= TRIMMED
    return rows & np.isin(run, numbers[far]) if few else np.zeros(len(rows), bool)


def _far(size: np.ndarray) -> np.ndarray:
    return size > OUT * NORMAL * np.median(size)


def _search(
    model: Law, table: CurveTable, weight: np.ndarray, start: np.ndarray, deltas: tuple[float, ...] = DELTAS
) -> Minimum:
    """Return where a search from a start (p,) ends."""
    rows, (low, high) = weight > 0, model.bounds

    def residuals(theta: np.ndarray) -> np.ndarray:
        return (weight * _log_residual(model, table, theta))[rows]

    def jacobian(theta: np.ndarray) -> np.ndarray:
        m, slopes = model.derivatives(theta)
        return -(slopes * (weight / m)[:, None])[rows]

    options: dict[str, Any] = dict(jac=jacobian, bounds=(low, high), loss="huber", x_scale="jac", max_nfev=200)
    end, theta = None, start
    for delta in deltas:
        theta = np.clip(theta, np.nextafter(low, np.inf), np.nextafter(high, -np.inf))
        end = least_squares(residuals, theta, **options, f_scale=delta)
        theta = end.x
    assert end is not None
    return Minimum(theta, float(end.cost), end.active_mask != 0, bool(end.success))


def _log_residual(model: Law, table: CurveTable, theta: np.ndarray) -> np.ndarray:
    return np.log(table.loss) - np.log(model.loss(theta))


def _influence(residual: np.ndarray) -> np.ndarray:
    """Slope of Huber's loss."""
    return np.clip(residual, -DELTA, DELTA)
