"""The settings of `rfm predict`, and the sizes and times that they ask for or that the rows can answer for."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from experiments.forecast import held_out
from experiments.forecast.source import Source
from rfm import checks, log_times
from rfm.data.labels import TARGETS
from rfm.data.spectra import Estimate
from rfm.optimizers import Optimizer

REPLICAS_QUICK = 4
SHARES = (1 / 64, 1 / 16, 1 / 4, 1)  # of half the rows: training sets; models are twice as large
MOST_REPLICAS = 1_000
LATEST, MOST_TIMES = 1e8, 10_000


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of `rfm predict`, checked as far as they can be before the rows are read.

    Attributes:
        file, labels, target, kernel, num_modes, map, width: What is read, see `rfm predict --help`.
        features, samples, times, budget: What is asked for; None: what the rows can answer for.
        optimizer: Name of the algorithm.
        make_optimizer: Makes it of the last time.
        plans: Does `theory.frontier` know the algorithm?
        replicas: Halves of the rows that the band comes from.
        check, model, seeds: Is it trained on real rows too, from which part of them, which model, and how often?
        groups, time_series: Which rows are not independent.
        target_loss: Losses that the needed rows are told for.
        seed: Of the first key, and of the halves.
        out: Folder for the results.
        quick: Fewer points.
    """

    file: str
    labels: Sequence[str] | None
    target: str | None
    kernel: bool
    num_modes: int | None
    map: str | None
    width: int
    features: Sequence[float] | None
    samples: Sequence[int] | None
    times: Sequence[Any] | None
    budget: Sequence[float] | None
    optimizer: str
    make_optimizer: Callable[[float], Optimizer]
    plans: bool
    replicas: int
    check: str | None
    model: str
    seeds: int
    seed: int
    groups: str | None
    time_series: bool
    target_loss: Sequence[float] | None
    out: str
    quick: bool

    def __post_init__(self) -> None:
        checks.number("replicas", self.replicas, 2, "an integer >= 2 (the band is their scatter)", inclusive=True)
        if self.replicas > MOST_REPLICAS:
            checks.fail("replicas", f"at most {MOST_REPLICAS}", self.replicas)
        if self.num_modes is not None and not self.kernel:
            checks.fail("num-modes", "left out but for --kernel", self.num_modes)
        if self.map is not None and self.kernel:
            checks.fail("map", "left out with --kernel", self.map)
        if self.model == "columns" and self.check and self.kernel:
            checks.fail("model", "project with --kernel, which has no columns", self.model)
        if self.budget is not None and not self.plans:
            checks.fail("budget", "left out but for flow and gd at constant lr, without weight decay", self.budget)
        for compute in self.budget or ():
            checks.number("budget", compute, 0.0, "a finite number > 0")
        for loss in self.target_loss or ():
            checks.number("target-loss", loss, 0.0, "a finite number > 0")
        if self.groups is not None and self.time_series:
            checks.fail("time-series", "left out with --groups, which says which rows belong together", True)
        _check_sizes(self.features or (), self.samples or ())
        checks.count("width", self.width, "an integer >= 1")
        if self.target is not None:
            checks.one_of("target", self.target, TARGETS)
        if self.num_modes is not None:
            checks.count("num-modes", self.num_modes, "an integer >= 1")
        if self.times is not None:
            start, stop, asked = self.times
            if asked > MOST_TIMES:
                checks.fail("times", f"at most {MOST_TIMES} of them", asked)
            log_times(start, stop, asked, integer=self.optimizer != "flow")

    @property
    def halves(self) -> int:
        """Number of replicas that are made."""
        return REPLICAS_QUICK if self.quick else self.replicas

    @property
    def keys(self) -> jax.Array:
        """One key a training of a check."""
        return jax.random.split(jax.random.key(self.seed), self.seeds)

    def grid_of(self, estimate: Estimate, most: int, num: int) -> np.ndarray:
        """Return at most `num` times of those asked for, or as many until the resolved modes are learned.

        Resolved are the modes that the sample determines, or `most` samples.
        """
        steps = self.optimizer != "flow"
        if self.times is not None:
            start, stop, asked = self.times
            return log_times(start, stop, min(asked, num), integer=steps)
        eigenvalues = estimate.problem.eigenvalues
        last = eigenvalues[min(estimate.trusted, most, len(eigenvalues)) - 1] / eigenvalues[0]
        stop = min(LATEST, 10.0 ** math.ceil(math.log10(10.0 / last)))
        return log_times(1.0 if steps else 0.1, stop, num, integer=steps)


def planned(settings: Settings, source: Source) -> tuple[list[float], list[int]]:
    """Return model sizes and training sets, as requested or as the rows support them.

    That is P <= n/2 distinct rows, and N <= 2 P and less than there are features: N infinite is all of them.
    """
    shares = SHARES[1::2] if settings.quick else SHARES
    rows, columns = source.counting().drawn(len(source) / 2), source.columns
    sizes = list(dict.fromkeys(max(1, _round_down(share * rows)) for share in shares))
    samples = sizes if settings.samples is None else sorted(set(settings.samples))
    largest = min(2.0 * max(sizes), columns)
    smaller = {max(1.0, float(_round_down(share * largest))) for share in shares}
    smaller = {n for n in smaller if n < columns}
    features = [*smaller, math.inf] if settings.features is None else settings.features
    _check_sizes(features, samples)
    return sorted(set(features)), samples


def _check_sizes(features: Sequence[float], samples: Sequence[float]) -> None:
    """Refuse sizes that do not exist; rows are always finitely many."""
    for name, values in (("features", features), ("samples", samples)):
        for value in values:
            checks.size(name, value, integer=True)
    if any(math.isinf(p) for p in samples):
        checks.fail("samples", "finite", samples)


def _round_down(value: float) -> int:
    """Round down to two digits."""
    unit = 10 ** max(0, math.floor(math.log10(max(value, 1.0))) - 1)
    return int(value // unit * unit)


def check_points(settings: Settings, source: Source) -> list[tuple[float, int]]:
    """Return pairs (N, P) to train at: the requested ones for which half of the rows suffices, or twelve."""
    known, rows = held_out.parts_of(len(source), held_out.CHECKS[settings.check or "halves"])
    features, samples = held_out.sizes(known, rows, source.columns)
    features, samples = settings.features or features, settings.samples or samples
    if settings.model == "columns":
        features = [n for n in features if n <= source.data.shape[1] or math.isinf(n)]
        if not features:
            allowed = f"at most the {source.data.shape[1]} columns, with --model columns"
            checks.fail("features", allowed, settings.features)
    points = [(n, p) for n in features for p in samples if p <= held_out.LEFT * rows]
    if not points:
        allowed = f"at most {held_out.LEFT:.0%} of the {rows} rows of a half, to be checked"
        checks.fail("samples", allowed, settings.samples or samples)
    return points
