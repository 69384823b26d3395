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
from theory.evaluation import evaluate
from theory.minima import Least, least

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
            return [np.array(x, float) for x in zip(*(self.end(row, nodes) for row in rows), strict=True)]
        k, d = rows.shape
        padded = np.resize(rows, (k + -k % AT_ONCE, d)).reshape(-1, AT_ONCE, d)
        parts = [_ends(self, part, nodes=nodes) for part in padded]
        return [np.concatenate([np.asarray(x) for x in values])[:k] for values in zip(*parts, strict=True)]

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
