"""Simple forecasts beside a fit: a power law without a floor, and the last value; and can the table tell them apart?"""

import numpy as np
from scipy.optimize import least_squares

from experiments.fit.robust import DELTA
from experiments.fit.table import CurveTable

TELLS = 2.0  # standard errors between the mean errors of two forecasts


def power_law(table: CurveTable, rows: np.ndarray) -> np.ndarray:
    """Return the losses (R,) of K N^-alpha P^-beta t^-gamma fitted to some rows by Huber's loss of log residuals.

    Args:
        table: R losses.
        rows: Mask (R,) of the losses that are fitted.
    """
    axes = table.select(rows).design.varied
    logs = np.stack([np.ones(len(table)), *(np.log(getattr(table.design, axis)) for axis in axes)], 1)
    weight, aim = table.weights(rows)[rows], np.log(table.loss)
    start, *_ = np.linalg.lstsq(logs[rows] * weight[:, None], aim[rows] * weight, rcond=None)
    end = least_squares(lambda x: weight * (aim - logs @ x)[rows], start, loss="huber", f_scale=DELTA, x_scale="jac")
    return np.exp(logs @ end.x)


def last_value(table: CurveTable, rows: np.ndarray) -> np.ndarray:
    """Return the last loss (R,) of each run among some rows; for runs that have none, that of the largest fitted row.

    Args:
        table: R losses.
        rows: Mask (R,) of the losses that are known.
    """
    axes = table.design.axes
    size = np.sum([np.log(getattr(table.design, axis)) for axis in axes], axis=0)
    places = np.flatnonzero(rows)
    known = np.full(len(table), table.loss[places[np.argmax(size[places])]])
    for number in np.unique(table.run):
        members = places[table.run[places] == number]
        if len(members):
            known[table.run == number] = table.loss[members[np.argmax(size[members])]]
    return known


def comparison(loss: np.ndarray, run: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Return the mean difference of absolute log errors, first less second, in its standard errors over runs.

    Args:
        loss: (R,) measured.
        run: (R,) number of the run of each; one run alone counts row by row.
        first: (R,) one forecast.
        second: (R,) another.

    Returns:
        Negative where the first is nearer; NaN for fewer than three runs and rows.
    """
    gap = np.abs(np.log(first / loss)) - np.abs(np.log(second / loss))
    numbers = np.unique(run)
    means = np.array([gap[run == number].mean() for number in numbers]) if len(numbers) > 2 else gap
    if len(means) < 3 or np.ptp(means) == 0.0:
        return np.nan
    return float(means.mean() / (means.std(ddof=1) / np.sqrt(len(means))))
