"""Generations of models at many times, each on a contour of its own: `theory.generations` of known numbers."""

from typing import NamedTuple

import jax
import numpy as np

from theory.dynamics import quadratic_form
from theory.equivalent import ModeSums, pair_sums, parts_of, products
from theory.fixed_point import Model
from theory.mixture import RowSums, row_sums
from theory.moments import sources
from theory.time_windows import Windows


class _Linear(NamedTuple):
    """Sources of scatter at pairs of points: a number, times T1, times T2, and times the label noise."""

    big_t1: np.ndarray
    big_t2: np.ndarray
    noise: np.ndarray

    def at(self, sums: ModeSums, noise_var: np.ndarray) -> np.ndarray:
        """Return what scatters the modes of a target with these sums."""
        return self.big_t1 * sums.big_t1 + self.big_t2 * sums.big_t2 + noise_var * self.noise


def generations_in_time(windows: Windows, model: Model, noise_var: np.ndarray, n: int) -> np.ndarray:
    """Return the risk (n, T) of n generations, each on the labels of the one before, as `theory.generations`."""
    lam, weight, start = model.modes.eigenvalues, model.modes.multiplicity, model.modes.power
    which, c = windows.which, windows.coefficients
    parts = parts_of(windows.kappa, model.modes)
    spectrum = products(parts, weight * lam)
    forms = _sources(windows, model, pair_sums(windows.kappa, spectrum, spectrum))
    spectrum, forms, parts, kappa = jax.tree.map(lambda x: x[which], (spectrum, forms, parts, windows.kappa))
    size = kappa.shape[1]
    real, imag = np.real(c)[:, None], np.imag(c)[:, None]
    x, y = parts[:, :size].swapaxes(1, 2), parts[:, size:].swapaxes(1, 2)
    rows = np.concatenate([real * x - imag * y, real * y + imag * x], axis=2)  # (T, K, 2n), c/(kappa + lambda)
    share = -2.0 * lam[None] * rows[..., :size].sum(2)
    told = overlap = np.broadcast_to(start[None], share.shape)
    risks, noise = [], model.noise_var
    for _ in range(n):
        pairs = pair_sums(kappa, spectrum, products(parts, told))
        sums = ([form.at(pair, noise) for form, pair in zip(kind, pairs, strict=True)] for kind in forms)
        features, data = (2.0 * np.sum(rows @ quadratic_form(*each) * rows, axis=2) for each in sums)
        variance = np.maximum(lam[None] * (features + lam[None] * data), 0.0)
        told, overlap = told * share**2 + weight[None] * variance, overlap * share
        risks.append((start[None] - 2.0 * overlap + told).sum(1))
        noise = noise_var
    return np.stack(risks)


def _sources(windows: Windows, model: Model, pairs: tuple[ModeSums, ModeSums]) -> list[list[_Linear]]:
    """Return `moments.sources` as functions of the target: of features and data, at pairs and with conjugates."""
    each = []
    for sums, other in zip(pairs, (windows.q, windows.q.conj()), strict=True):
        rows: RowSums = row_sums(windows.q, other, model.modes.mixture)
        none = sums._replace(big_t1=0.0, big_t2=0.0)
        quiet, loud = model._replace(noise_var=0.0), model._replace(noise_var=1.0)
        by_target = (sources(none._replace(**{name: 1.0}), quiet, rows) for name in ("big_t1", "big_t2"))
        each.append([_Linear(*x) for x in zip(*by_target, sources(none, loud, rows), strict=True)])
    return [list(kind) for kind in zip(*each, strict=True)]
