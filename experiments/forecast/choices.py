"""The forecast of known rows: the estimate whose theory is nearest to training on them, and the correction to it."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from experiments.forecast.bands import TINY
from experiments.forecast.correction import Correction, measured_of
from experiments.forecast.forecasts import Accuracy, Forecast
from experiments.forecast.source import Source, stratified
from experiments.forecast.trained import RIDGES, How, Losses, Rows, draw_errors, measure
from rfm.data.row_sizes import powered
from rfm.data.spectra import Estimate, estimate
from rfm.optimizers import Optimizer

STRENGTHS = (1.0, 0.5, 0.0)  # of the sizes of rows
MEASURED_TIMES = 24  # of a curve: between them the ratio to the theory is interpolated
COPY_DRAWS = 4  # of rows with their copies
POINTS = 4  # of a model size: an eighth, a quarter and a half of the rows, and all
Progress = Callable[[], object]


def with_strength(whole: Estimate, strength: float, grown: float) -> Estimate:
    """Return the estimate with sizes of rows to a power, and `grown` times as many independent rows."""
    mixture = whole.sample.mixture

    def again(old: Estimate) -> Estimate:
        sample = old.sample._replace(
            size=old.sample.size * grown, mixture=None if mixture is None else powered(mixture, strength)
        )
        return estimate(sample, whole.scale, whole.window)

    replicas = tuple(again(replica) for replica in whole.replicas)
    return dataclasses.replace(again(whole), spread=whole.spread, replicas=replicas)


def forecast_of(
    source: Source, whole: Estimate, optimizer: Optimizer, times: np.ndarray, features: Sequence[float], *,
    seed: int = 0, on_point: Progress = lambda: None,
) -> Forecast:  # fmt: skip
    """Return the forecast for an estimated population, set right at N infinite and at the N asked for.

    Args:
        source: The known rows.
        whole: The estimate from them.
        optimizer: The training algorithm.
        times: (T,) of the forecast.
        features: Model sizes.
        seed: Of draws of rows.
        on_point: Called after each of POINTS measurements of a model size.
    """
    rows = source.known(whole.scale, seed)
    some = np.unique(np.linspace(0, len(times) - 1, min(len(times), MEASURED_TIMES)).astype(int))
    how = How(optimizer, np.asarray(times, float)[some], float(whole.problem.eigenvalues[0]))
    infinite = measure(rows, math.inf, how, seed, on_point=on_point)
    start = Forecast(
        whole, optimizer, np.asarray(times, float), counting=source.counting(), columns=source.columns
    )  # fmt: skip
    chosen = nearest(start, infinite, how, rows)
    measured = []
    for n in sorted({*(float(n) for n in features), math.inf}):
        one = infinite if math.isinf(n) else measure(rows, n, how, seed, on_point=on_point)
        measured.append(measured_of(n, one, lambda n, p: _theory(chosen, how, n, p), len(rows.y)))
    accuracy = _accuracy(source, infinite) if is_classes(source.labels) else ()
    return dataclasses.replace(
        chosen, correction=Correction(how.times, tuple(measured), len(rows.y)), accuracy=accuracy
    )  # fmt: skip


def is_classes(labels: np.ndarray) -> bool:
    """Are labels (n,) or (n, K) classes: one-hot outputs, or one of two values?"""
    return stratified(labels) is not None and (labels.ndim == 2 or len(np.unique(labels)) == 2)


def _accuracy(source: Source, losses: Sequence[Losses]) -> tuple[Accuracy, ...]:
    """Return the accuracy where the loss is least over times."""
    found = []
    for one in losses:
        value = float(one.right[int(one.loss[: -len(RIDGES)].argmin())])
        found.append(Accuracy(one.num_samples, value, math.sqrt(value * (1.0 - value) / source.num_units)))
    return tuple(found)


def loss_of_copies(source: Source, made: Forecast, num_samples: float, seed: int = 0) -> float:
    """Return the best loss over times of P rows of the file, tested on its other rows, some of them copies of those."""
    assert source.copies is not None
    rows = source.known(made.estimate.scale, seed)
    if len(rows.y) < len(source):
        return math.nan
    every = np.repeat(np.arange(len(source)), source.copies)
    rows = rows._replace(x=rows.x[every], y=rows.y[every], groups=np.arange(len(every)))
    times = made.times[:: max(1, len(made.times) // MEASURED_TIMES)]
    how = How(made.optimizer, times, float(made.estimate.problem.eigenvalues[0]))
    rng = np.random.default_rng(seed)
    sizes = math.inf, max(2, min(int(num_samples), len(every) - 2))
    losses = [draw_errors(rows, sizes, how, rng)[1].mean(0)[: len(times)] for _ in range(COPY_DRAWS)]
    return float(np.mean(losses, axis=0).min())


def _theory(forecast: Forecast, how: How, num_features: float, num_samples: float) -> np.ndarray:
    """Return the theory at all measured times and, last, at the best ridge; P counts distinct rows."""
    plain = dataclasses.replace(
        forecast, counting=None if forecast.counting is None else forecast.counting._replace(copies=None)
    )
    best = plain.best_ridge(num_features, num_samples).loss.value
    return np.append(plain.theory(num_features, num_samples, how.times), best)


def nearest(start: Forecast, losses: Sequence[Losses], how: How, rows: Rows) -> Forecast:
    """Choose the strength of the sizes of rows, and how much of a group is independent, by losses at N infinite."""
    sizes = STRENGTHS if start.estimate.sample.mixture is not None else (1.0,)
    in_group = len(rows.groups) / (int(rows.groups.max()) + 1)
    growths = (1.0, math.sqrt(in_group), in_group) if rows.grouped else (1.0,)
    if len(sizes) * len(growths) == 1:
        return start
    trained = [one for one in losses if one.num_samples < len(rows.y)]
    candidates = []
    for grown in growths:
        for strength in sizes:
            bare = dataclasses.replace(start.estimate, replicas=())
            same = strength == grown == 1.0
            candidate = bare if same else with_strength(bare, strength, grown)
            trial = dataclasses.replace(start, estimate=candidate, grown=grown)
            candidates.append((_distance(trial, trained, how), -strength, grown))
    _, strength, grown = min(candidates)
    if -strength == grown == 1.0:
        return start
    return dataclasses.replace(start, estimate=with_strength(start.estimate, -strength, grown), grown=grown)


def _distance(forecast: Forecast, trained: Sequence[Losses], how: How) -> float:
    """Return the mean |log(training/theory)| over sizes and times."""
    counting = None if forecast.counting is None else forecast.counting._replace(copies=None)
    plain = dataclasses.replace(forecast, counting=counting)
    gaps = []
    for one in trained:
        predicted = np.maximum(plain.theory(math.inf, one.num_samples, how.times), TINY)
        gaps.append(np.abs(np.log(np.maximum(one.loss[: -len(RIDGES)], TINY) / predicted)))
    return float(np.mean(gaps))
