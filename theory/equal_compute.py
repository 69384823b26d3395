"""Models of equal compute C = N t: the risk of each, those that differ in numbers alone side by side."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from rfm import checks
from rfm.optimizers import SGD, GradientDescent
from theory.cases import Case
from theory.contour import NODES
from theory.dynamics import Around, LearningCurve, Trained, learning_curve, nodes_around
from theory.evaluation import depth_of, evaluate, filter_of, in_reach, model_of
from theory.filters import FILTERS
from theory.minima import Least, each_least, smooth_search
from theory.one_pass import one_pass_curve
from theory.spectrum import Modes

FINER = 9  # points of a look between two others
LR_LOOK, LR_DECADES, LR_MOST = 9, 4, 0.99  # where the lr is sought too: below the largest stable one


@dataclasses.dataclass(frozen=True)
class Family:
    """Models of equal compute: (log N, log lr where it is tuned, y = log(N t)) picks one, and risks are of rows (k, d).

    The sizes and times of `case` are not set; the learning rate is that of its optimizer times N^lr_exponent.
    """

    case: Case
    lr_exponent: float
    modes_per_feature: float | None
    tune_lr: bool

    def risks(self, rows: np.ndarray, nodes: int) -> np.ndarray:
        """Risks of models (k,), infinite where training diverges."""
        return self.ends(rows, nodes)[0]

    def ends(self, rows: np.ndarray, nodes: int) -> tuple[np.ndarray, np.ndarray]:
        """Risks of models and edges of their spectra, (k,) each."""
        if self._differ_in_numbers:
            return self._side_by_side(rows, nodes)
        curves = [evaluate(self._case(row), nodes=nodes) for row in rows]
        return np.array([_end(curve) for curve in curves]), np.array([curve.spectral_edge for curve in curves])

    def _case(self, row: np.ndarray) -> Case:
        """The case of one model (d,), or of many side by side, (d, W), at times (1, W)."""
        problem, optimizer, n = self.case.problem, self.case.optimizer, np.exp(row[0])
        if self.modes_per_feature is not None and problem.tail is not None:
            tail = dataclasses.replace(problem.tail, num_modes=self.modes_per_feature * n)
            problem = dataclasses.replace(problem, tail=tail)
        if isinstance(optimizer, GradientDescent | SGD):
            lr = np.exp(row[1]) if self.tune_lr else optimizer.lr
            if self.lr_exponent != 0.0:
                lr = lr * n**self.lr_exponent
            optimizer = dataclasses.replace(optimizer, lr=lr)
        times = np.exp(row[-1:] - row[0])
        return dataclasses.replace(self.case, problem=problem, num_features=n, optimizer=optimizer, times=times)

    @property
    def _differ_in_numbers(self) -> bool:
        """Do models share rows of data and algorithm, but for the learning rate of SGD?"""
        shared = self.lr_exponent == 0.0 or not isinstance(self.case.optimizer, GradientDescent)
        return shared and self.case.problem.mixture is None

    def _side_by_side(self, rows: np.ndarray, nodes: int) -> tuple[np.ndarray, np.ndarray]:
        """Return `ends` of models: kappa follows the contours of all of them at once."""
        case = in_reach(self._case(rows.T))
        optimizer, times = case.optimizer, case.times[0]
        deepest = np.argmax(times * case.clock * getattr(optimizer, "lr", 1.0))
        model = model_of(case, depth_of(in_reach(self._case(rows[deepest]))), coarse=nodes < NODES)
        if isinstance(optimizer, SGD):
            numbers = optimizer.lr, optimizer.batch_size, optimizer.momentum
            curve = one_pass_curve(model, case.times, *numbers, nodes=nodes)
            return _end(curve), curve.spectral_edge
        name, parameters = filter_of(optimizer)
        flt = FILTERS[name](**parameters)
        horizon = np.array([np.reshape(flt.elapsed(t), ()) for t in times])
        around = nodes_around(model, flt, horizon, nodes, at_most=True)
        risks = np.empty(len(rows))
        for i, t in enumerate(times):
            here = Around._make(x[..., i] for x in around)
            trained = Trained(here, None, flt.response(here.z[None], np.full((1, 1), t)), np.zeros(()))
            eigenvalues, multiplicity, power = (x[i] if np.ndim(x) == 2 else x for x in model.modes[:3])
            alone = model._replace(inv_n=1.0 / case.num_features[i], modes=Modes(eigenvalues, multiplicity, power))
            curve = learning_curve(alone, times[i : i + 1], name, parameters, trained=trained)
            risks[i] = _end(curve)
        return risks, around.edge

    def best_lrs(self, x: np.ndarray, y: float, nodes: int) -> list[Least]:
        """The logarithm of the best learning rate of SGD at every log N = x (k,)."""
        assert isinstance(self.case.optimizer, SGD)

        def rows(which: Sequence[int], grids: Sequence[np.ndarray]) -> np.ndarray:
            sizes = np.repeat(x[which], [len(grid) for grid in grids])
            return np.stack([sizes, np.concatenate(grids), np.full_like(sizes, y)], axis=1)

        def risks(which: Sequence[int], grids: Sequence[np.ndarray]) -> list[np.ndarray]:
            ends = np.cumsum([len(grid) for grid in grids])
            return np.split(self.risks(rows(which, grids), nodes), ends[:-1])

        # the edge is that of the batches, the same at every lr
        every = range(len(x))
        _, edges = self.ends(rows(every, [np.log([self.case.optimizer.lr]) for _ in every]), nodes)
        highs = np.log(LR_MOST * self.case.optimizer.largest_stable_lr(edges))
        looks = [np.linspace(high - LR_DECADES * np.log(10.0), high, LR_LOOK) for high in highs]
        return each_least(risks, [smooth_search(look, finer) for look in looks])


def _end(curve: LearningCurve) -> np.ndarray:
    """Return the risks at the only time of a curve, infinite where training diverges."""
    return np.where(np.isfinite(curve.residual), curve.risk[0], np.inf)


def budgets_of(compute: ArrayLike, batch: float) -> np.ndarray:
    """Return budgets C = N steps B, (C,); ValueError for one below two steps of the smallest model."""
    budgets = np.atleast_1d(checks.numeric("compute", compute))
    if budgets.ndim != 1 or not budgets.size or not np.all(np.isfinite(budgets) & (budgets >= 2.0 * batch)):
        checks.fail("compute", f"numbers >= {2.0 * batch:g}, two steps of the smallest model", compute)
    return budgets


def finer(low: float, high: float) -> np.ndarray:
    """Return the points of a look between two others."""
    return np.linspace(low, high, FINER)
