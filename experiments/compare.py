"""Simulation and theory at the same points: one scan along time, model size or data."""

import dataclasses
from collections.abc import Callable

import jax
import numpy as np

import rfm
import theory

AXES = {"time": "time $t$", "features": "model size $N$", "samples": "data $P$"}


@dataclasses.dataclass(frozen=True)
class Scan:
    """Risk of the same problem, simulated and predicted, along one axis.

    x: (X,) points; samples: (S, X) simulated risk, one row a seed; predicted: (X,) theory at the same sizes and
    times; limit: (X,) theory with every other size and time infinite, to which the scan should tend.
    train_samples, train_predicted: the training loss likewise. kind: kind of curve of the simulation. fixed: what
    was held, for labels.
    """

    axis: str
    x: np.ndarray
    samples: np.ndarray
    predicted: np.ndarray
    limit: np.ndarray
    train_samples: np.ndarray
    train_predicted: np.ndarray
    kind: str
    fixed: dict[str, float]

    @property
    def mean(self) -> np.ndarray:
        """Mean over seeds, (X,)."""
        return self.samples.mean(0)

    @property
    def stderr(self) -> np.ndarray:
        """Standard error of the mean, (X,); never below rounding, so that z is defined where nothing is random."""
        spread = self.samples.std(0, ddof=1) / np.sqrt(len(self.samples))
        return np.maximum(spread, 1e-12 * self.mean + np.finfo(float).tiny)

    @property
    def z(self) -> np.ndarray:
        """(simulation - theory)/standard error, (X,)."""
        return (self.mean - self.predicted) / self.stderr

    @property
    def gap(self) -> np.ndarray:
        """Relative gap simulation/theory - 1, (X,); where theory has vanished, relative to the smallest number."""
        return (self.mean - self.predicted) / np.maximum(self.predicted, np.finfo(float).tiny)


def scan_time(problem: rfm.Problem, times: np.ndarray, *, num_features, num_samples, optimizer, keys) -> Scan:
    """Risk and training loss against time, from one call of each side."""
    args = {"num_features": num_features, "num_samples": num_samples, "optimizer": optimizer, "times": times}
    simulated = rfm.simulate(problem, **args, keys=keys)
    predicted = theory.predict(problem, **args)
    unlimited = theory.predict(whole(problem), **(args | {"num_features": np.inf, "num_samples": np.inf}))
    return Scan(
        "time",
        simulated.times,
        simulated.risk,
        predicted.risk,
        unlimited.risk,
        simulated.train_loss,
        predicted.train_loss,
        simulated.kind,
        {"N": num_features, "P": num_samples},
    )


def scan_size(
    problem: rfm.Problem,
    axis: str,
    sizes: np.ndarray,
    *,
    num_features,
    num_samples,
    optimizer,
    time: float | None,
    keys,
    on_point: Callable[[], object] = lambda: None,
) -> Scan:
    """Risk at one time (None for Ridge) against "features" or "samples"; `on_point` is called after each size.

    The seeds of a point are the seeds of the scan folded with its size, so points are independent of each other.
    """
    times = None if time is None else np.array([float(time)])
    points = []
    for size in map(int, sizes):
        args = {"num_features": num_features, "num_samples": num_samples, f"num_{axis}": size}
        others = {name: size if name == f"num_{axis}" else np.inf for name in ("num_features", "num_samples")}
        own_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, size)
        simulated = rfm.simulate(problem, **args, optimizer=optimizer, times=times, keys=own_keys)
        predicted = theory.predict(problem, **args, optimizer=optimizer, times=times)
        limit = theory.predict(whole(problem), **others, optimizer=rfm.Ridge(0.0))
        points.append((
            simulated.risk[:, 0], predicted.risk[0], limit.risk[0], simulated.train_loss[:, 0], predicted.train_loss[0],
        ))  # fmt: skip
        on_point()
    risk, predicted, limit, train, train_predicted = (np.array(column) for column in zip(*points, strict=True))
    fixed = {"P": num_samples} if axis == "features" else {"N": num_features}
    fixed |= {} if time is None else {"t": float(time)}
    x = np.array(sizes, float)
    return Scan(axis, x, risk.T, predicted, limit, train.T, train_predicted, simulated.kind, fixed)


def whole(problem: rfm.Problem) -> rfm.Problem:
    """The same problem with its power-law tail continued to infinity, where the trace allows it."""
    tail = problem.tail
    if tail is None or not float(tail.b) > 1.0:
        return problem
    return dataclasses.replace(problem, tail=dataclasses.replace(tail, num_modes=None))
