"""The compute-optimal frontier of SGD whose learning rate follows a schedule as long as training."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rfm import checks
from rfm.precision import is_traced
from rfm.problem import Problem
from rfm.sgd import SGD
from theory._predict import largest_curvature, predict
from theory.cases import check_constant
from theory.equal_compute import LR_LOOK, budgets_of, finer
from theory.minima import bottom, least

LOOK = 20  # lengths of training that find the basins of minima
LONGEST = 50_000  # steps that are looked at
LR_DECADES, LR_FINER = 3.0, 7  # where the peak is sought too
SPREAD = 0.15  # in logarithms, of the points about a minimum
POINTS, DEGREE = np.arange(-3.0, 4.0), 4  # in spreads; of the polynomial through them
ROUGH = 1e-3  # of the risk: what that may leave
Schedule = Callable[[float, int], Any]


class Frontier(NamedTuple):
    """The best use of every budget.

    Attributes:
        compute: (C,) budgets, N t, or N t B for SGD; all that follow are (C,) too.
        num_features: The best model size N*, a real number.
        times: The training time that is left for it.
        lr: The learning rate there, None for gradient flow.
        risk: The risk there.
        size_exponent: d log N*/d log C.
        risk_exponent: -d log risk*/d log C.
        residual: The largest slope of log risk in log N, and in log lr where it is tuned, which vanish inside.
        converged: Whether that is the best of all sizes: a minimum with residual below 1e-6, and not at an edge.
        at_edge: Whether the best is at the end of the range: the smallest model, the shortest training, or the largest
            learning rate that is stable.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100)
        >>> best = theory.frontier(problem, [100.0, 1000.0], optimizer=rfm.GradientFlow())
        >>> (best.num_features * best.times).round(6)
        array([ 100., 1000.])
    """

    compute: Any
    num_features: Any
    times: Any
    lr: Any
    risk: Any
    size_exponent: Any
    risk_exponent: Any
    residual: Any
    converged: Any
    at_edge: Any


def scheduled_frontier(problem: Problem, compute: ArrayLike, search: "Search") -> Frontier:
    """Find the model size that makes the best of every budget C = N steps B where the rate follows a schedule.

        steps*(C) = argmin over whole steps of risk(N = C/(steps B), steps; lr_t = schedule(lr, steps)_t)

    The minimum and its exponents are those of a polynomial through lengths about the best, at three budgets; the
    residual is what it leaves of the logarithm of the risk.
    """
    optimizer, schedule, tune_lr, num_samples, parametrization = search
    if not isinstance(optimizer, SGD) or is_traced(optimizer):
        checks.fail("optimizer", "rfm.SGD with known numbers", optimizer)
    check_constant(optimizer, num_samples)
    if not callable(schedule):
        checks.fail("schedule", "a function of the peak and the number of steps", schedule)
    if not isinstance(tune_lr, bool | np.bool_):
        checks.fail("tune_lr", "True or False", tune_lr)
    size = float(optimizer.batch_size)
    budgets = budgets_of(compute, size)
    family = _Family(problem, optimizer, schedule, parametrization, bool(tune_lr))
    family.risk(1, budgets.max() / size, float(optimizer.lr), refuse=True)
    best = [_best(family, math.log(budget / size)) for budget in budgets]
    if not all(np.isfinite(each.risk) for each in best):
        checks.fail("lr", "smaller: training diverges at every size", optimizer.lr)
    log_steps, log_lr, risk, moves, slope, residual, at_edge = (np.array(x) for x in zip(*best, strict=True))
    steps = np.exp(log_steps)
    good = ~at_edge & (residual < ROUGH)
    n = budgets / size / steps
    return Frontier(budgets, n, steps, np.exp(log_lr), risk, 1.0 - moves, -slope, residual, good, at_edge)


class Search(NamedTuple):
    """Arguments of `frontier` for a schedule."""

    optimizer: Any
    schedule: Schedule
    tune_lr: bool
    num_samples: float
    parametrization: str


class _Family(NamedTuple):
    """Models of one budget, N steps."""

    problem: Problem
    optimizer: SGD
    schedule: Schedule
    parametrization: str
    tune_lr: bool

    def risk(self, steps: int, budget: float, peak: float, *, refuse: bool = False) -> float:
        """Return the risk after so many steps, infinite where training diverges."""
        optimizer = dataclasses.replace(self.optimizer, lr=self.schedule(peak, steps))
        how: dict[str, Any] = dict(num_samples=np.inf, parametrization=self.parametrization, optimizer=optimizer)
        features = max(budget / steps, 1.0)  # steps were rounded
        try:
            return float(predict(self.problem, **how, num_features=features, times=[float(steps)]).risk[0])
        except checks.ArgumentError as error:
            if error.name != "lr" or (refuse and not error.allowed.startswith("<")):
                raise
            return math.inf

    def best_lr(self, steps: int, budget: float) -> tuple[float, float, bool]:
        """Return the logarithm of the best peak, the risk there, and whether it is at an edge."""
        if not self.tune_lr:
            peak = float(self.optimizer.lr)
            return math.log(peak), self.risk(steps, budget, peak), False
        sizes: dict[str, Any] = dict(num_features=max(budget / steps, 1.0), num_samples=np.inf)
        high = math.log(2.0 / float(largest_curvature(self.problem, **sizes, parametrization=self.parametrization)))
        grid = np.linspace(high - LR_DECADES * math.log(10.0), high, LR_LOOK)
        known: dict[float, float] = {}

        def risks(logs: np.ndarray) -> np.ndarray:
            for x in logs.tolist():
                known.setdefault(x, self.risk(steps, budget, math.exp(x)))
            return np.array([known[x] for x in logs.tolist()])

        lowest = least(risks, grid, lambda low, high: np.linspace(low, high, LR_FINER))
        reach = 2.0 * (lowest.high - lowest.low)
        near = sorted(x for x in known if abs(x - lowest.x) < reach and np.isfinite(known[x]))
        if len(near) <= DEGREE or not lowest.inside:
            return lowest.x, lowest.value, not lowest.inside
        x, value, _ = bottom(np.array(near), np.log([known[x] for x in near]), 2)
        return x, math.exp(value), False


class _Optimum(NamedTuple):
    """Logarithms of the best steps and peak, risk, d log steps/dy, d log risk/dy, what is left, and the edge."""

    log_steps: float
    log_lr: float
    risk: float
    moves: float
    slope: float
    residual: float
    at_edge: bool


def _best(family: _Family, y: float) -> _Optimum:
    """Find the best length of training of a budget exp(y)."""
    known: dict[int, tuple[float, float, bool]] = {}

    def at(steps: int) -> tuple[float, float, bool]:
        if steps not in known:
            known[steps] = family.best_lr(steps, math.exp(y))
        return known[steps]

    def risks(logs: np.ndarray) -> np.ndarray:
        return np.array([at(int(steps))[1] for steps in np.round(np.exp(logs))])

    grid = np.linspace(0.0, min(y, math.log(LONGEST)), LOOK)
    lowest = least(risks, grid, finer, looks=2)
    log_lr, risk, lr_at_edge = at(round(math.exp(lowest.x)))
    lengths = np.unique(np.round(np.exp(lowest.x + SPREAD * POINTS)).astype(int))
    lengths = lengths[(lengths >= 1) & (lengths <= math.exp(y - SPREAD))]
    if not lowest.inside or not np.isfinite(risk) or len(lengths) <= 2:
        return _Optimum(lowest.x, log_lr, risk, math.nan, math.nan, math.inf, True)
    bottoms = []
    for budget in np.exp(y + SPREAD * np.array([-1.0, 0.0, 1.0])):
        values = np.array([family.best_lr(int(steps), float(budget))[1] for steps in lengths])
        kept = np.isfinite(values)
        if kept.sum() <= 2:
            return _Optimum(lowest.x, log_lr, risk, math.nan, math.nan, math.inf, True)
        bottoms.append(bottom(np.log(lengths[kept]), np.log(values[kept]), DEGREE))
    (low, below, _), (x, value, left), (high, above, _) = bottoms
    moves, slope = (high - low) / (2.0 * SPREAD), (above - below) / (2.0 * SPREAD)
    return _Optimum(x, log_lr, math.exp(value), moves, slope, left, lr_at_edge)
