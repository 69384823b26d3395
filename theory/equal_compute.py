"""Models of equal compute C = N t: the risk of each, many at a time where they are compiled."""

import dataclasses
from functools import partial
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike

from rfm import checks
from rfm.optimizers import SGD, GradientDescent
from rfm.pytrees import pytree, static
from theory.arrays import namespace
from theory.cases import Case
from theory.contour import NODES
from theory.dynamics import Around, Trained, learning_curve, nodes_around
from theory.evaluation import depth_of, evaluate, filter_of, in_reach, model_of
from theory.filters import FILTERS
from theory.minima import Least, least
from theory.spectrum import COARSE_PANEL, PANEL

FINER = 9  # points of a look between two others
AT_ONCE = 8  # curves of a compiled program
LR_LOOK, LR_DECADES, LR_MOST = 9, 4, 0.99  # where the lr is sought too: below the largest stable one


@pytree
class Family:
    """Models of equal compute: (log N, log lr where it is tuned, y = log(N t)) picks one, and risks are of rows (k, d).

    The sizes and times of `case` are not set; the learning rate is that of its optimizer times N^lr_exponent.
    """

    case: Case
    lr_exponent: float
    modes_per_feature: float | None
    tune_lr: bool = static()
    compiled: bool = static()

    def end(self, row: Any, nodes: int) -> tuple[Any, Any]:
        """The risk of one model at its only time, infinite where training diverges, and the edge of its spectrum."""
        xp = namespace(row)
        problem, optimizer, n = self.case.problem, self.case.optimizer, xp.exp(row[0])
        if self.modes_per_feature is not None and problem.tail is not None:
            tail = dataclasses.replace(problem.tail, num_modes=self.modes_per_feature * n)
            problem = dataclasses.replace(problem, tail=tail)
        if isinstance(optimizer, GradientDescent | SGD):
            lr = xp.exp(row[1]) if self.tune_lr else optimizer.lr * n**self.lr_exponent
            optimizer = dataclasses.replace(optimizer, lr=lr)
        times = xp.exp(row[-1:] - row[0])
        case = dataclasses.replace(self.case, problem=problem, num_features=n, optimizer=optimizer, times=times)
        curve = evaluate(case, nodes=nodes)
        return xp.where(xp.isfinite(curve.residual), curve.risk[0], xp.inf), curve.spectral_edge

    def ends(self, rows: np.ndarray, nodes: int) -> list[np.ndarray]:
        """Risks of models and edges of their spectra, each (k,)."""
        if not (self.compiled or self.tune_lr):  # a hundred to a thousand curves a budget
            if self._differ_in_size:
                return list(self._side_by_side(rows, nodes))
            return [np.array(x, float) for x in zip(*(self.end(row, nodes) for row in rows), strict=True)]
        k, d = rows.shape
        padded = np.resize(rows, (k + -k % AT_ONCE, d)).reshape(-1, AT_ONCE, d)
        parts = [_ends(self, part, nodes=nodes) for part in padded]
        return [np.concatenate([np.asarray(x) for x in values])[:k] for values in zip(*parts, strict=True)]

    @property
    def _differ_in_size(self) -> bool:
        """Do models share modes and algorithm, trained in full batches?"""
        case = self.case
        shared = self.modes_per_feature is None and self.lr_exponent == 0.0 and case.parametrization == "ntk"
        return shared and case.problem.mixture is None and not isinstance(case.optimizer, SGD)

    def _side_by_side(self, rows: np.ndarray, nodes: int) -> tuple[np.ndarray, np.ndarray]:
        """Return `ends` of models that differ in size alone: kappa follows the contours of all of them at once."""
        sizes, times = np.exp(rows[:, 0]), np.exp(rows[:, -1] - rows[:, 0])
        cases = [
            in_reach(dataclasses.replace(self.case, num_features=n, times=t[None]))
            for n, t in zip(sizes, times, strict=True)
        ]
        panel = PANEL if nodes >= NODES else COARSE_PANEL
        model = model_of(cases[0], max(map(depth_of, cases)), panel=panel)
        algorithm = filter_of(self.case.optimizer)
        flt = FILTERS[algorithm[0]](**algorithm[1])
        horizon = np.array([np.reshape(flt.elapsed(case.times.max()), ()) for case in cases])
        around = nodes_around(model._replace(inv_n=1.0 / sizes), flt, horizon, nodes, at_most=True)
        risks = np.empty(len(rows))
        for i, case in enumerate(cases):
            here = around._replace(residual=np.zeros(len(rows)))  # one that diverges spoils no other
            here = Around._make(x[..., i] for x in here)
            trained = Trained(here, None, flt.response(here.z[None], case.times[:, None]), np.zeros(()))
            curve = learning_curve(model._replace(inv_n=1.0 / sizes[i]), case.times, *algorithm, trained=trained)
            risks[i] = np.where(np.isfinite(curve.residual), curve.risk[0], np.inf)
        return risks, around.edge

    def risks(self, rows: np.ndarray, nodes: int) -> np.ndarray:
        """Risks of models."""
        return self.ends(rows, nodes)[0]

    def best_lr(self, x: float, y: float, nodes: int) -> Least:
        """The logarithm of the best learning rate of SGD at log N = x."""
        assert isinstance(self.case.optimizer, SGD)

        def rows(logs: np.ndarray) -> np.ndarray:
            return np.stack([np.full_like(logs, x), logs, np.full_like(logs, y)], axis=1)

        # the edge is that of the batches, the same at every lr
        _, edges = self.ends(rows(np.log([self.case.optimizer.lr])), nodes)
        high = np.log(LR_MOST * self.case.optimizer.largest_stable_lr(float(edges[0])))
        logs = np.linspace(high - LR_DECADES * np.log(10.0), high, LR_LOOK)
        return least(lambda at: self.risks(rows(at), nodes), logs, finer, looks=2)


@partial(jax.jit, static_argnames="nodes")
def _ends(family: Family, rows: jax.Array, *, nodes: int) -> tuple[jax.Array, jax.Array]:
    return jax.vmap(lambda row: family.end(row, nodes))(rows)


def budgets_of(compute: ArrayLike, batch: float) -> np.ndarray:
    """Return budgets C = N steps B, (C,); ValueError for one below two steps of the smallest model."""
    budgets = np.atleast_1d(checks.numeric("compute", compute))
    if budgets.ndim != 1 or not budgets.size or not np.all(np.isfinite(budgets) & (budgets >= 2.0 * batch)):
        checks.fail("compute", f"numbers >= {2.0 * batch:g}, two steps of the smallest model", compute)
    return budgets


def finer(low: float, high: float) -> np.ndarray:
    """Return the points of a look between two others."""
    return np.linspace(low, high, FINER)
