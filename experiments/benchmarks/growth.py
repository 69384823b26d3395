"""Growth of each cost with each size: measured, fitted by a power law over the upper half, drawn."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure

import rfm
import theory
from experiments.benchmarks.timing import best_of
from experiments.compare.statistics import log_slope
from experiments.output import plotting, progress

KEYS = jax.random.split(jax.random.key(0), 64)
SIZE_LABELS = {"N": "model size $N = P$", "M": "modes $M$", "T": "steps, or times of a curve", "S": "seeds $S$"}


class Cost(NamedTuple):
    """Seconds (n,) of a part at sizes (n,) of one argument, and the exponent of the upper half."""

    part: str
    argument: str
    sizes: np.ndarray
    seconds: np.ndarray
    exponent: float


def full_batch(N: int = 128, M: int = 4096, T: int = 60, S: int = 2) -> np.ndarray:
    """Solve gradient flow on N = P at T times."""
    return rfm.simulate(rfm.power_law(1.8, 1.5, M, 0.01), num_features=N, num_samples=N, optimizer=rfm.GradientFlow(),
                        times=rfm.log_times(0.1, 1e6, T), keys=KEYS[:S]).risk  # fmt: skip


def one_pass(N: int = 128, M: int = 4096, T: int = 1000, S: int = 2) -> np.ndarray:
    """Train with batches of one for T steps."""
    return rfm.simulate(rfm.power_law(1.8, 1.5, M, 0.01), num_features=N, num_samples=np.inf, optimizer=rfm.SGD(0.2, 1),
                        times=np.array([T]), keys=KEYS[:S]).risk  # fmt: skip


def theory_curve(N: int = 128, M: int = 4096, T: int = 60) -> np.ndarray:
    """Predict gradient flow at T times."""
    return theory.predict(rfm.power_law(1.8, 1.5, M, 0.01), num_features=N, num_samples=N, optimizer=rfm.GradientFlow(),
                          times=rfm.log_times(0.1, 1e6, T)).risk  # fmt: skip


SIMULATED = {"N": (64, 128, 256, 512, 1024), "M": (1024, 4096, 16384, 65536)}
RANGES: dict[Callable, dict[str, tuple[int, ...]]] = {
    full_batch: SIMULATED | {"T": (10, 100, 1000), "S": (1, 4, 16)},
    one_pass: SIMULATED | {"T": (100, 1000, 10_000), "S": (1, 4, 16)},
    theory_curve: {"N": (64, 256, 1024), "M": (10**3, 10**6, 10**9), "T": (10, 100, 1000)},
}


def measure(*, quick: bool) -> list[Cost]:
    """Measure all of `RANGES`, or the first three sizes of each."""
    jobs = [(part, name, sizes[:3] if quick else sizes) for part, r in RANGES.items() for name, sizes in r.items()]
    costs = []
    with progress.bar(sum(len(sizes) for *_, sizes in jobs), "size", "growth") as bar:
        for part, name, sizes in jobs:
            seconds = []
            for size in sizes:
                seconds.append(best_of(lambda part=part, name=name, size=size: part(**{name: size}), 3))
                bar.update()
            upper = slice(-min(3, len(sizes)), None)
            exponent = log_slope(np.array(sizes, float)[upper], np.array(seconds)[upper])
            costs.append(Cost(part.__name__, name, np.array(sizes), np.array(seconds), float(exponent)))
    return costs


def draw(costs: list[Cost]) -> Figure:
    """Draw one panel an argument, one line a part."""
    caption = "seconds, warm; slopes over the three largest sizes"
    figure, axes = plotting.new_figure(1, len(SIZE_LABELS), caption=caption)
    for ax, (argument, label) in zip(axes[0], SIZE_LABELS.items(), strict=True):
        for i, cost in enumerate(c for c in costs if c.argument == argument):
            name = f"{cost.part.replace('_', ' ')}: {cost.exponent:.2f}"
            ax.plot(cost.sizes, cost.seconds, color=plotting.COLORS[i], marker=plotting.MARKERS[i], ms=4, label=name)
        plotting.finish(ax, label, "seconds", "")
    return figure
