"""Compute-optimal training: settings of `rfm frontier`, its optima, and training runs there."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

import rfm
import theory
from experiments.commands.settings import Shared
from experiments.compare import schedules
from experiments.compare.comparison import Comparison
from experiments.compare.differences import Agreement
from experiments.compare.equivalence import agreements
from experiments.compare.keys import fold_keys
from experiments.compare.limits import frontier_law
from experiments.output import progress
from rfm import checks
from rfm.arguments import Sizes
from rfm.optimizers import SGD, GradientDescent, GradientFlow

TRAINED = (8, 200)  # model sizes on the line that are trained too
NUM_TRAINED = 4  # of them, at most
Algorithm = GradientFlow | GradientDescent | SGD


@dataclasses.dataclass(frozen=True)
class Trained:
    """Training runs on the line, as rows of the table and beside theory; None where no optimum was small enough."""

    rows: list[dict]
    pair: Comparison | None

    @property
    def agreement(self) -> Agreement | None:
        """The verdict on their level; None for fewer than two seeds."""
        if self.pair is None or self.pair.seeds < 2:
            return None
        (judged,) = agreements([self.pair], [0.0])  # sizes and times change together: there is no slope
        return judged


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of `rfm frontier`; `algorithm` is what `options` name, see `algorithms.options_of`."""

    shared: Shared
    compute: tuple[float, ...]
    samples: float
    options: dict[str, Any]
    tune_lr: bool
    algorithm: Algorithm

    @property
    def cost(self) -> float:
        """Samples a step."""
        return float(getattr(self.algorithm, "batch_size", 1))

    @property
    def law(self) -> rfm.Problem:
        """The problem of the theory: infinitely many modes where the trace converges."""
        a, b = self.shared.a, self.shared.b
        return self.shared.problem if b <= 1.0 else rfm.power_law(a, b, None, self.shared.noise)

    @property
    def schedule(self) -> str | None:
        """The schedule of the learning rate, None where that is constant."""
        schedule = self.options.get("schedule") or schedules.CONSTANT
        return None if schedule == schedules.CONSTANT else schedule

    @property
    def closed_form(self) -> tuple[float, float, str] | None:
        """Exponents of N* and of the risk, and what balances, where a formula is known."""
        if self.schedule is not None:
            return None
        return frontier_law(self.shared.a, self.shared.b, self.shared.noise, self.samples, self.algorithm)

    def rates(self, lr: float, steps: int) -> np.ndarray:
        """Return the learning rate at every step of a training of this length."""
        rate = schedules.rate(self.schedule or schedules.CONSTANT, lr, steps)
        return rate(np.arange(steps)) if callable(rate) else np.full(steps, rate)

    def optimum(self, compute: float) -> theory.Frontier:
        """Return the optimum of one budget."""
        if self.schedule is None:
            return self.steady(compute)
        assert isinstance(self.algorithm, SGD)
        return theory.frontier(
            self.law, np.array([compute]), optimizer=self.algorithm, schedule=self.rates, tune_lr=self.tune_lr
        )

    def steady(self, compute: float) -> theory.Frontier:
        """Return the optimum of one budget at a constant learning rate."""
        return theory.frontier(
            self.law, np.array([compute]), num_samples=self.samples, optimizer=self.algorithm, tune_lr=self.tune_lr
        )

    def at(self, optimum: theory.Frontier, steps: float) -> Algorithm:
        """Return the algorithm with the learning rate of an optimum, for so many steps."""
        if not isinstance(self.algorithm, rfm.SGD):
            return self.algorithm
        lr = float(optimum.lr[-1])
        return dataclasses.replace(self.algorithm, lr=lr if self.schedule is None else self.rates(lr, int(steps)))

    def risk(self, optimum: theory.Frontier, num_features: float, times: np.ndarray) -> np.ndarray:
        """Return the risk of one size (T,): with a schedule of trainings that end at these times."""
        call = Sizes(num_features=num_features, num_samples=self.samples)
        if self.schedule is None:
            return theory.predict(self.law, **call, optimizer=self.at(optimum, times[-1]), times=times).risk
        risks = []
        for t in times:
            try:
                run = theory.predict(self.law, **call, optimizer=self.at(optimum, t), times=[t])
                risks.append(float(run.risk[0]))
            except checks.ArgumentError:  # this size diverges at the rate of the best one
                risks.append(np.nan)
        return np.array(risks)


def train(settings: Settings, on_line: Sequence[theory.Frontier], bar: progress.Bar) -> Trained:
    """Train at optima of the line that are small enough, beside theory at the same number of modes."""
    small = [o for o in on_line if TRAINED[0] <= o.num_features[0] <= TRAINED[1] and o.times[0] >= 1.0]
    keys, problem = settings.shared.keys, settings.shared.problem
    samples = settings.samples if np.isinf(settings.samples) else int(settings.samples)
    rows, risks = [], []
    for optimum in small[:: max(1, -(-len(small) // NUM_TRAINED))]:
        n = round(float(optimum.num_features[0]))
        time = float(optimum.compute[0]) / settings.cost / n
        time = round(time) if settings.algorithm.discrete else time
        sizes, algorithm, at = Sizes(num_features=n, num_samples=samples), settings.at(optimum, time), np.array([time])
        try:
            predicted = theory.predict(problem, **sizes, optimizer=algorithm, times=at).risk[0]
            drawn = rfm.simulate(problem, **sizes, optimizer=algorithm, times=at, keys=fold_keys(keys, n)).risk[:, 0]
        except checks.ArgumentError as error:  # small models scatter most about the edge of stability
            if error.name != "lr":
                raise
            continue
        risks.append(drawn)
        rows.append({"kind": "training", "compute": n * time * settings.cost, "num_features": n, "times": time,
                     "theory": float(predicted)})  # fmt: skip
        bar.update()
    bar.update(bar.total - bar.n)
    if not rows:
        return Trained([], None)
    x, expected = (np.array([float(row[name]) for row in rows]) for name in ("num_features", "theory"))
    pair = Comparison("features", x, np.stack(risks, 1), expected, {"P": samples}, draws=np.ones(len(x)))
    for row, mean, stderr, z in zip(rows, pair.mean, pair.stderr, pair.z, strict=True):
        row |= {"risk": float(mean), "stderr": float(stderr), "z": float(z)}
    return Trained(rows, pair)
