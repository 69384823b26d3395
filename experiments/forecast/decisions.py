"""Losses at multiples of the known rows, which say what more rows would buy, and the rows that a loss takes."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from experiments.forecast.bands import TINY, Band
from experiments.forecast.curves import Line
from experiments.forecast.forecasts import Forecast

MULTIPLES = (0.5, 1.0, 2.0, 4.0, 8.0)  # of the known rows
EXCESS_LEFT = (0.9, 0.75, 0.5)  # of the excess over the noise at all known rows: losses that rows are told for


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows that a loss takes.

    Attributes:
        loss: L.
        samples: P; infinite where no number of rows reaches L, by the forecast or by an end of its band.
        within: Is P among the rows looked at? Else it is an end of them.
    """

    loss: float
    samples: Band
    within: bool


@dataclasses.dataclass(frozen=True)
class Decision:
    """The best loss over times at N infinite, against P.

    Attributes:
        samples: P, increasing, (X,): those of a line and multiples of the known rows.
        loss: Its band (X,).
        extrapolated: (X,).
        known: Rows of the file.
        rows: What losses take.
    """

    samples: np.ndarray
    loss: Band
    extrapolated: np.ndarray
    known: int
    rows: list[Rows]

    def at(self, multiple: float) -> tuple[Band, bool]:
        """Return the loss at a multiple of the known rows, and is it extrapolation?"""
        i = int(np.abs(self.samples - multiple * self.known).argmin())
        return self.loss.at(i), bool(self.extrapolated[i])


def decide(forecast: Forecast, line: Line, asked: Sequence[float] | None) -> Decision:
    """Return losses over sizes of the training set, and the rows that losses take.

    Args:
        forecast: The forecast.
        line: Along P at the largest N.
        asked: Losses; None: what is left of the excess over the noise at all known rows, EXCESS_LEFT.
    """
    known = (forecast.counting.total if forecast.counting else 0) or round(forecast.estimate.sample.size)
    found = {}
    if math.isinf(line.fixed):
        for i, p in enumerate(line.x):
            found[float(p)] = (line.stopped.at(i), bool(line.extrapolated[1, i]))
    for multiple in MULTIPLES:
        point = forecast.point(math.inf, multiple * known)
        place = int(point.loss.value.argmin())
        found[multiple * known] = (point.stopping.loss, bool(point.extrapolated[place]))
    samples = np.array(sorted(found))
    loss = Band(*(np.array([float(found[p][0][k]) for p in samples]) for k in range(3)))
    decision = Decision(samples, loss, np.array([found[p][1] for p in samples]), known, [])
    now, noise = float(decision.at(1.0)[0].value), forecast.estimate.noise_var
    digits = max(3, 2 - math.floor(math.log10(max((now - noise) / max(now, TINY), 1e-6))))  # that tell them apart
    chosen = asked or [float(f"{noise + part * (now - noise):.{digits}g}") for part in EXCESS_LEFT]
    return dataclasses.replace(decision, rows=[_rows_for(value, decision) for value in chosen])


def _rows_for(loss: float, decision: Decision) -> Rows:
    x = decision.samples
    value, low, high = (_first(loss, x, np.minimum.accumulate(values)) for values in decision.loss)
    within = bool(x[0] < value < math.inf)
    return Rows(loss, Band(np.float64(value), np.float64(low), np.float64(high)), within)


def _first(loss: float, x: np.ndarray, values: np.ndarray) -> float:
    """Return where falling values (X,) reach a loss: the first x if they begin below it, infinity if never."""
    if values[0] <= loss:
        return float(x[0])
    if values[-1] > loss:
        return math.inf
    i = int(np.argmax(values <= loss))
    y0, y1, y = (math.log(max(v, TINY)) for v in (values[i - 1], values[i], loss))
    part = (y0 - y) / max(y0 - y1, TINY)
    return float(x[i - 1] * (x[i] / x[i - 1]) ** part)
