"""The job of `rfm predict`: sizes, times and budgets worth asking for, and all that is foretold of them."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import numpy as np
from tqdm import tqdm

import theory
from experiments.forecast import curves, held_out, laws
from experiments.forecast.curves import Forecast, Grid, Line, Peak
from experiments.forecast.source import Source
from rfm import checks, log_times
from rfm.data.rows import PARTS
from rfm.data.spectra import Estimate
from rfm.optimizers import Optimizer

REPLICAS_QUICK = 4
SHARES = (1 / 64, 1 / 16, 1 / 4, 1)  # of half the rows: training sets; models are twice as large
LINE, LINE_QUICK, CHECKED = 25, 13, 20  # points of a line; times of a check
PLAN_NODES = 64  # of the contour of a plan: 1e-5 of the loss
LATEST, MOST_TIMES, MOST_STEPS = 1e8, 10_000, 2_000
FEWEST = PARTS  # rows: halves of them are halves of so many parts
BUDGETS = np.array([0.01, 0.1, 1.0])  # of what the largest model costs that is planned


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
        check, model, seeds: Is it trained on real rows too, which model, and how often?
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
    times: Sequence[float] | None
    budget: Sequence[float] | None
    optimizer: str
    make_optimizer: Callable[[float], Optimizer]
    plans: bool
    replicas: int
    check: bool
    model: str
    seeds: int
    seed: int
    out: str
    quick: bool

    def __post_init__(self) -> None:
        checks.number("replicas", self.replicas, 2, "an integer >= 2 (the band is their scatter)", inclusive=True)
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

    @property
    def halves(self) -> int:
        """Number of replicas that are made."""
        return REPLICAS_QUICK if self.quick else self.replicas

    @property
    def keys(self) -> jax.Array:
        """One key a training of a check."""
        return jax.random.split(jax.random.key(self.seed), self.seeds)

    def grid_of(self, estimate: Estimate, most: int, num: int) -> np.ndarray:
        """Return at most `num` times of those asked for, or as many for as long as it takes to learn what is told.

        That is the modes that the sample tells, or `most` samples.
        """
        steps = self.optimizer != "flow"
        if self.times is not None:
            start, stop, asked = self.times
            if asked > MOST_TIMES:
                checks.fail("times", f"at most {MOST_TIMES} of them", asked)
            return log_times(start, stop, min(asked, num), integer=steps)
        eigenvalues = estimate.problem.eigenvalues
        last = eigenvalues[min(estimate.trusted, most, len(eigenvalues)) - 1] / eigenvalues[0]
        stop = min(LATEST, 10.0 ** math.ceil(math.log10(10.0 / last)))
        return log_times(1.0 if steps else 0.1, stop, num, integer=steps)


class Foretold(NamedTuple):
    """All that is foretold of an estimated population; plan: None where there is none."""

    forecast: Forecast
    grid: Grid
    lines: list[Line]
    peaks: list[Peak | None]
    exponents: list[laws.ExponentBands]
    plan: laws.Plan | None

    @property
    def num_samples(self) -> float:
        """The largest training set."""
        return float(self.grid.samples[-1])


@dataclasses.dataclass(frozen=True)
class Job:
    """A forecast to be made at some sizes: of models, increasing, and of training sets, increasing."""

    settings: Settings
    forecast: Forecast
    features: list[float]
    samples: list[int]

    def run(self) -> Foretold:
        """Foretell losses over sizes and times, exponents, and the best use of budgets."""
        forecast, features, samples = self.forecast, self.features, self.samples
        num = LINE_QUICK if self.settings.quick else LINE
        total = len(features) * len(samples) + 2 * (num // curves.COARSE + 2) + 2
        with tqdm(total=total, unit="point") as bar, ThreadPoolExecutor(1) as beside:
            frontier = beside.submit(self.best_use)  # it compiles for as long as all else takes

            def advance() -> None:
                bar.update()
                if frontier.done():
                    frontier.result()  # raises at once what it refuses

            bar.set_description("sizes and times")
            grid = curves.grid(forecast, features, samples, on_point=advance)
            bar.set_description("lines")
            ends = ("features", max(samples)), ("samples", max(features))
            lines = [curves.line(forecast, axis, self.span(axis, num), fixed, on_point=advance) for axis, fixed in ends]
            bar.update(bar.total - bar.n - 2)
            exponents = laws.exponent_table(forecast.estimate)
            bar.update()
            bar.set_description("plan")
            best = frontier.result()
            plan = None if best is None else laws.plan(forecast, best, max(samples))
            bar.update()
        return Foretold(forecast, grid, lines, [curves.find_peak(line) for line in lines], exponents, plan)

    def span(self, axis: str, points: int) -> np.ndarray:
        """Return log-spaced sizes along an axis of a line, see `span`."""
        estimate = self.forecast.estimate
        limits = Limits(estimate.problem.num_modes, estimate.sample.size)
        return span(axis, self.features, self.samples, points, limits)

    def best_use(self) -> theory.Frontier | None:
        """Return the frontier of the budgets asked for, or up to what the largest model costs at its best time.

        None for an algorithm without one, and in a quick look.
        """
        settings, forecast, num_samples = self.settings, self.forecast, max(self.samples)
        if not settings.plans or (settings.budget is None and settings.quick):
            return None
        problem, optimizer, last = forecast.estimate.problem, forecast.optimizer, forecast.times[-1]
        if settings.budget is not None:
            budgets = np.sort(np.asarray(settings.budget, float))
        else:
            largest = max((n for n in self.features if math.isfinite(n)), default=2.0 * num_samples)
            best = theory.best_stopping(
                problem, num_features=largest, num_samples=num_samples, optimizer=optimizer, longest=max(1.0, last)
            ).time
            budgets = BUDGETS * largest * (best or last)
        return theory.frontier(problem, budgets, num_samples=num_samples, optimizer=optimizer, nodes=PLAN_NODES)


def prepare(settings: Settings, source: Source) -> Job:
    """Estimate the population and choose sizes and times; ValueError for what is wrong, before any other work."""
    estimate = source.estimate(replicas=settings.halves, seed=settings.seed)
    features, samples = planned(settings, len(source))
    times = settings.grid_of(estimate, max(samples), MOST_TIMES if settings.times else curves.TIMES)
    forecast = Forecast(estimate, settings.make_optimizer(times[-1]), times)
    # refuses a learning rate before any work: small sizes have the largest curvature
    forecast.losses(min(features), min(samples))
    return Job(settings, forecast, features, samples)


def planned(settings: Settings, rows: int) -> tuple[list[float], list[int]]:
    """Return model sizes and training sets: those asked for, or what the rows can answer for, P <= n/2 and N <= 2 P."""
    shares = SHARES[1::2] if settings.quick else SHARES
    sizes = list(dict.fromkeys(max(1, _round_down(share * rows / 2)) for share in shares))
    samples = sizes if settings.samples is None else sorted(set(settings.samples))
    features = [*(2 * p for p in sizes), math.inf] if settings.features is None else settings.features
    for name, values in (("features", features), ("samples", samples)):
        for value in values:
            checks.size(name, value, integer=True)
    if any(math.isinf(p) for p in samples):
        checks.fail("samples", "finite", samples)
    return sorted(set(features)), samples


def _round_down(value: float) -> int:
    """Round down to two digits."""
    unit = 10 ** max(0, math.floor(math.log10(max(value, 1.0))) - 1)
    return int(value // unit * unit)


class Limits(NamedTuple):
    """Modes of a population, and rows that are known of it."""

    modes: float
    rows: float


def span(axis: str, features: Sequence[float], samples: Sequence[int], points: int, limits: Limits) -> np.ndarray:
    """Return log-spaced sizes along an axis: over what is planned, and to both sides of where the peak may be.

    The interpolation peak is where N or P is the other size or, P at N beyond them, the number of modes; unless that
    takes more rows than are known. Along N there is none where P tells all modes.
    """
    along, other = (features, max(samples)) if axis == "features" else (samples, max(features))
    peak = other if other < limits.modes else limits.modes if axis == "samples" else math.inf
    around = other if axis == "features" else peak
    ends = (around / 2, 2 * around) if around <= limits.rows else ()
    finite = [size for size in (*along, *ends) if math.isfinite(size)]
    low, high = max(1.0, min(finite)), max(finite)
    x = np.geomspace(low if low < high else high / 10.0, high, points)
    if low < peak < high:  # on the peak itself
        x[np.abs(np.log(x / peak)).argmin()] = peak
    return x


def check_points(settings: Settings, source: Source) -> list[tuple[float, int]]:
    """Return pairs (N, P) to train at: those asked for that half of the rows has room for, or twelve."""
    rows = held_out.rows_of_half(len(source))
    features, samples = held_out.sizes(rows)
    features, samples = settings.features or features, settings.samples or samples
    if settings.model == "columns":
        features = [n for n in features if n <= source.data.shape[1] or math.isinf(n)]
    points = [(n, p) for n in features for p in samples if p <= held_out.LEFT * rows]
    if not points:
        allowed = f"at most {held_out.LEFT:.0%} of the {rows} rows of a half, to be checked"
        checks.fail("samples", allowed, settings.samples or samples)
    return points


class Checked(NamedTuple):
    """Trials of a check; and how far all steps of gradient descent, at sizes (N, P), are from the exact solution."""

    trials: list[held_out.Trial]
    sizes: tuple[int, int]
    taken: float


def check(settings: Settings, source: Source, optimizer: Optimizer, points: Sequence[tuple[float, int]]) -> Checked:
    """Train on half of the rows what the other half predicts, both ways."""
    halves = held_out.halves(source, settings.seed)
    times = settings.grid_of(halves[0].estimate, max(p for _, p in points), CHECKED)
    how = held_out.Check(optimizer, times, settings.keys, settings.model)
    with tqdm(total=len(halves) * len(points) + 1, unit="point", desc="training") as bar:
        trials = held_out.trials(halves, points, how, bar.update)
        n, p = next((point for point in points if math.isfinite(point[0])), (16, points[0][1]))
        taken = held_out.steps_taken(halves[0], (int(n), p), MOST_STEPS, how.keys[:2])
        bar.update()
    return Checked(trials, (int(n), p), taken)
