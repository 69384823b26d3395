"""The job of `rfm predict`: the forecast for a population, and its check on real rows."""

import dataclasses
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

import theory
from experiments.forecast import choices, curves, decisions, forecasts, held_out, laws
from experiments.forecast.curves import Grid, Line, Peak
from experiments.forecast.forecasts import Forecast
from experiments.forecast.settings import MOST_TIMES, Settings, planned
from experiments.forecast.source import Source
from experiments.output import progress
from rfm.data.rows import PARTS
from rfm.optimizers import GradientDescent, GradientFlow, Optimizer

LINE, LINE_QUICK, CHECKED = 25, 13, 20  # points of a line; times of a check
PLAN_NODES = 64  # of the contour of a plan: 1e-5 of the loss
MOST_STEPS = 2_000  # of a check
FEWEST = PARTS  # rows: halves of them are halves of so many parts
WORTH_SAYING = 0.01  # part of the rows that are copies beyond which two losses are told
BUDGETS = np.array([0.01, 0.1, 1.0])  # of what the largest model costs that is planned


class Foretold(NamedTuple):
    """The forecast for an estimated population; plan: None without a budget.

    exponents: Empty, and no plan, where the labels have no signal. of_copies: The best loss at the largest training set
    where later rows repeat known ones as often as those repeat each other; None where hardly any does.
    """

    forecast: Forecast
    grid: Grid
    lines: list[Line]
    peaks: list[Peak | None]
    exponents: list[laws.ExponentBands]
    plan: laws.Plan | None
    decision: decisions.Decision
    of_copies: float | None = None

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
    of_copies: float | None = None

    def run(self) -> Foretold:
        """Foretell losses over sizes and times, exponents, and the best use of budgets."""
        forecast, features, samples = self.forecast, self.features, self.samples
        num = LINE_QUICK if self.settings.quick else LINE
        total = len(features) * len(samples) + 2 * (num // curves.RIDGE_STRIDE + 1) + 3
        with progress.bar(total, "point") as bar, ThreadPoolExecutor(1) as beside:
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
            decision = decisions.decide(forecast, lines[1], self.settings.target_loss)
            bar.update()
            exponents = laws.exponent_table(forecast.estimate) if laws.has_signal(forecast.estimate.sample) else []
            bar.update()
            bar.set_description("plan")
            best = frontier.result()
            plan = None if best is None else laws.plan(forecast, best, max(samples))
            bar.update()
        peaks = [curves.find_peak(line) for line in lines]
        return Foretold(forecast, grid, lines, peaks, exponents, plan, decision, self.of_copies)

    def span(self, axis: str, points: int) -> np.ndarray:
        """Return log-spaced sizes along an axis of a line, see `span`."""
        forecast = self.forecast
        estimate = forecast.estimate
        limits = Limits(estimate.problem.num_modes, estimate.sample.size, forecast.columns)
        return span(axis, self.features, self.samples, points, limits)

    def best_use(self) -> theory.Frontier | None:
        """Return the frontier of the budgets asked for, or up to what the largest model costs at its best time.

        None for an algorithm without one, and in a quick look.
        """
        settings, forecast, num_samples = self.settings, self.forecast, max(self.samples)
        problem, optimizer = forecast.estimate.problem, forecast.optimizer
        if not (settings.plans and isinstance(optimizer, GradientFlow | GradientDescent)):
            return None
        if settings.budget is None and (settings.quick or not laws.has_signal(forecast.estimate.sample)):
            return None
        if settings.budget is not None:
            budgets = np.sort(np.asarray(settings.budget, float))
        else:
            largest = max((n for n in self.features if math.isfinite(n)), default=2.0 * num_samples)
            largest = min(largest, forecast.columns)
            stopping = forecast.point(largest, num_samples).stopping
            if not stopping.gains:
                return None
            budgets = BUDGETS * largest * stopping.at
        independent = forecast.independent(num_samples)
        return theory.frontier(problem, budgets, num_samples=independent, optimizer=optimizer, nodes=PLAN_NODES)


def prepare(settings: Settings, source: Source) -> Job:
    """Estimate the population and choose sizes and times; ValueError for what is wrong, before any other work."""
    with progress.until_done("estimating the spectrum of the features"):
        estimate = source.estimate(replicas=settings.halves, seed=settings.seed)
        features, samples = planned(settings, source)
        times = settings.grid_of(estimate, max(samples), MOST_TIMES if settings.times else forecasts.NUM_TIMES)
        optimizer = settings.make_optimizer(times[-1])
        # refuses a learning rate before any work: small sizes have the largest curvature
        Forecast(estimate, optimizer, times).losses(min(features), min(samples))
    finite = {n for n in features if math.isfinite(n)}
    with progress.bar(choices.POINTS * (len(finite) + 1), "point", "training on the known rows") as bar:
        forecast = choices.forecast_of(
            source, estimate, optimizer, times, sorted(finite), seed=settings.seed, on_point=bar.update
        )
    repeats = source.copies is not None and 1.0 - len(source) / source.copies.sum() > WORTH_SAYING
    of_copies = choices.loss_of_copies(source, forecast, max(samples), settings.seed) if repeats else None
    return Job(settings, forecast, features, samples, of_copies)


class Limits(NamedTuple):
    """Modes of a population, rows that are known of it, and columns of their features."""

    modes: float
    rows: float
    columns: float = math.inf


def span(axis: str, features: Sequence[float], samples: Sequence[int], points: int, limits: Limits) -> np.ndarray:
    """Return log-spaced sizes along an axis: over what is planned, and to both sides of where the peak may be.

    The interpolation peak is where N or P is the other size or, P at N beyond them, the number of modes; unless that
    takes more rows than are known. Along N there is none where P determines all modes.
    """
    along, other = (features, max(samples)) if axis == "features" else (samples, max(features))
    peak = other if other < limits.modes else limits.modes if axis == "samples" else math.inf
    around = other if axis == "features" else peak
    most = limits.columns if axis == "features" else math.inf
    ends = (around / 2, 2 * around) if around <= limits.rows else ()
    finite = [min(size, most) for size in (*along, *ends) if math.isfinite(size)]
    low, high = max(1.0, min(finite)), max(finite)
    x = np.geomspace(low if low < high else max(1.0, high / 10.0), high, points)
    if low < peak < high:  # on the peak itself
        x[np.abs(np.log(x / peak)).argmin()] = peak
    return x


class Checked(NamedTuple):
    """Trials of a check; and how far all steps of gradient descent, at sizes (N, P), are from the exact solution."""

    trials: list[held_out.Trial]
    sizes: tuple[int, int]
    taken: float


def check(settings: Settings, source: Source, optimizer: Optimizer, points: Sequence[tuple[float, int]]) -> Checked:
    """Train on half of the rows what the other half predicts, both ways; or what an eighth predicts."""
    halves = held_out.halves(source, settings.seed, share=held_out.CHECKS[settings.check or "halves"])
    times = settings.grid_of(halves[0].estimate, max(p for _, p in points), CHECKED)
    how = held_out.Check(optimizer, times, settings.keys, settings.model)
    with progress.bar(len(halves) * len(points) + 1, "point", "training") as bar:
        trials = held_out.trials(halves, points, how, bar.update)
        n, p = next((point for point in points if math.isfinite(point[0])), (16, points[0][1]))
        taken = held_out.steps_taken(halves[0], (int(n), p), MOST_STEPS, how.keys[:2])
        bar.update()
    return Checked(trials, (int(n), p), taken)
