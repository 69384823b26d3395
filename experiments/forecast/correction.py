"""The forecast corrected by losses measured on the known rows: theory times exp(rho), rho = log(measured/theory).

At P up to half of the rows that is training on P of them; at all rows it is the loss of rows left out one by one. rho
is linear in log P between, and constant beyond, where it is shrunk as far as its two sources differ.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from experiments.forecast.bands import TINY
from experiments.forecast.trained import RIDGES, Losses

QUANTILE = 1.96  # standard errors of a 95 % interval
Theory = Callable[[float, float], np.ndarray]  # (N, P) -> losses at all measured times (T,), and at the best ridge


@dataclasses.dataclass(frozen=True)
class Measured:
    """Losses of one model size on the known rows, beside the theory.

    Attributes:
        num_features: N.
        samples: P, increasing, (L,).
        ratio: rho (L, A), at all times and, in the last place, at the best ridge; shrunk at all rows.
        variance: Of the logarithm of the loss, (L, A).
        raw: rho at all rows before it was shrunk, (A,).
    """

    num_features: float
    samples: np.ndarray
    ratio: np.ndarray
    variance: np.ndarray
    raw: np.ndarray


def measured_of(num_features: float, losses: Sequence[Losses], theory: Theory, rows: int) -> Measured:
    """Set measured losses beside the theory at the same sizes."""
    samples, ratio, variance = [], [], []
    raw = np.zeros(0)
    for one in losses:
        predicted = np.log(np.maximum(theory(num_features, one.num_samples), TINY))
        best = int(one.loss[-len(RIDGES) :].argmin()) - len(RIDGES)
        places = [*range(len(one.loss) - len(RIDGES)), best]
        raw = np.log(np.maximum(one.loss[places], TINY)) - predicted
        doubt = one.doubt[places]
        kept = np.maximum(0.0, 1.0 - doubt / np.maximum(raw**2, TINY)) if one.num_samples >= rows else 1.0
        samples.append(one.num_samples)
        ratio.append(raw * kept)
        variance.append(one.chance[places])
    return Measured(num_features, np.array(samples, float), np.array(ratio), np.array(variance), raw)


@dataclasses.dataclass(frozen=True)
class Correction:
    """Ratio of measured losses to the theory, at any size.

    Attributes:
        times: (T,) at which losses were measured.
        measured: Of some model sizes, increasing.
        rows: Known rows n.
    """

    times: np.ndarray
    measured: tuple[Measured, ...]
    rows: float

    def ratio(self, num_features: float, num_samples: float, times: np.ndarray) -> np.ndarray:
        """Return rho at times (T',), and in the last place at the best ridge."""
        return self._at("ratio", num_features, num_samples, times)

    def half_width(self, num_features: float, num_samples: float, times: np.ndarray) -> np.ndarray:
        """Return half the width of the 95 % band of the logarithm of the loss, as `ratio`."""
        variance = self._at("variance", num_features, num_samples, times)
        return QUANTILE * np.sqrt(np.maximum(variance, 0.0))

    def farthest(self) -> tuple[float, float]:
        """Return the largest |rho| at half of the rows over all times at N infinite, and the time where it is."""
        last = self.measured[-1]
        ratio = np.abs(last.ratio[min(2, len(last.ratio) - 1), :-1])
        return float(ratio.max()), float(self.times[ratio.argmax()])

    def at_all_rows(self, num_features: float, times: np.ndarray) -> np.ndarray:
        """Return rho at all rows before it was shrunk, at times (T',) and the best ridge."""
        return self._between(num_features, lambda one: self._in_time(one.raw, times))

    def _at(self, name: str, num_features: float, num_samples: float, times: np.ndarray) -> np.ndarray:
        def at(one: Measured) -> np.ndarray:
            values, x = getattr(one, name), np.log(one.samples)
            p = np.clip(np.log(num_samples), x[0], x[-1])
            right = int(np.clip(np.searchsorted(x, p), 1, len(x) - 1)) if len(x) > 1 else 0
            left = max(0, right - 1)
            part = (p - x[left]) / (x[right] - x[left]) if right > left else 0.0
            return self._in_time((1.0 - part) * values[left] + part * values[right], times)

        return self._between(num_features, at)

    def _between(self, num_features: float, at: Callable[[Measured], np.ndarray]) -> np.ndarray:
        """Interpolate between the model sizes, linearly in 1/N."""
        inverse = np.array([1.0 / one.num_features for one in self.measured])  # decreasing
        here = float(np.clip(1.0 / num_features, inverse.min(), inverse.max()))
        right = int(np.searchsorted(-inverse, -here))  # the first that is as large
        right = min(right, len(inverse) - 1)
        left = max(0, right - 1)
        if right == left or inverse[right] == here:
            return at(self.measured[right])
        part = (inverse[left] - here) / (inverse[left] - inverse[right])
        return (1.0 - part) * at(self.measured[left]) + part * at(self.measured[right])

    def _in_time(self, values: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Interpolate (T + 1,) in the logarithm of time; the last stays."""
        known, asked = (np.log(np.maximum(np.asarray(t, float), TINY)) for t in (self.times, times))
        return np.append(np.interp(asked, known, values[:-1]), values[-1])
