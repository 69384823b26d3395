"""Generations of models at many times, each on a contour of its own: `theory.generations` of known numbers."""

from typing import NamedTuple

import numpy as np

from theory.arrays import Array
from theory.equivalent import ModeSums, PairValues, Products, one_model, pair_sums, parts_of, products, row_pairs
from theory.fixed_point import Model
from theory.moments import Forms, Route, learned_share, rows_of_modes, sources, variances_of_rows
from theory.time_windows import Windows


class _Linear(NamedTuple):
    """Sources of scatter at pairs of points: a number, times T1, times T2, and times the label noise."""

    big_t1: Array
    big_t2: Array
    noise: Array

    def at(self, sums: ModeSums, noise_var: Array) -> Array:
        """Return what scatters the modes of a target with these sums."""
        return self.big_t1 * sums.big_t1 + self.big_t2 * sums.big_t2 + noise_var * self.noise


def generations_in_time(windows: Windows, model: Model, noise_var: np.ndarray, n: int) -> np.ndarray:
    """Return the risk (n, T) of n generations, each on the labels of the one before, as `theory.generations`."""
    lam, weight, start = model.modes.eigenvalues, model.modes.multiplicity, model.modes.power
    parts = parts_of(windows.route.kappa, lam)
    spectrum = products(parts, weight * lam)
    forms = _sources(windows.route, model, spectrum)
    spectrum, forms, parts = windows.at_times((spectrum, forms, parts))
    route = windows.along()
    rows, share = rows_of_modes(route, lam), learned_share(route, lam)[:, 0]
    told = overlap = np.broadcast_to(start[None], share.shape)
    risks, noise = [], np.asarray(model.noise_var)
    for _ in range(n):
        pairs = pair_sums(route.kappa, spectrum, products(parts, told))
        (here, across), (of_data, across_of_data) = (
            [form.at(pair, noise) for form, pair in zip(kind, pairs, strict=True)] for kind in forms
        )
        variance = variances_of_rows(rows, Forms((here, across), (of_data, across_of_data)), lam)[:, 0]
        told, overlap = told * share**2 + weight[None] * variance, overlap * share
        risks.append(np.maximum((start[None] - 2.0 * overlap + told).sum(1), 0.0))
        noise = noise_var
    return np.stack(risks)


def _sources(route: Route, model: Model, spectrum: Products) -> list[list[_Linear]]:
    """Return `moments.sources` as functions of the target: of features and data, at pairs and with conjugates."""
    quiet, loud = model._replace(noise_var=0.0), model._replace(noise_var=1.0)
    each = []
    pairs = pair_sums(route.kappa, spectrum, spectrum)
    for sums, rows in zip(pairs, row_pairs(route.q, model.modes.mixture), strict=True):
        none = sums._replace(big_t1=0.0, big_t2=0.0)
        cases = [(none._replace(**{name: 1.0}), quiet) for name in ("big_t1", "big_t2")] + [(none, loud)]
        by_case = (sources(PairValues(x, rows, one_model(x, model, rows)), model) for x, model in cases)
        each.append([_Linear(*x) for x in zip(*by_case, strict=True)])
    return [list(kind) for kind in zip(*each, strict=True)]
