"""Simulation and theory at the same points: one scan along time, model size or data."""

import dataclasses
import warnings
from collections.abc import Callable

import jax
import numpy as np

import rfm
import theory
from experiments.compare.algorithms import DESCENT, OWN, theory_of
from rfm.engine.preview import check as check_run

AXES = {"time": "time $t$", "features": "model size $N$", "samples": "data $P$"}


@dataclasses.dataclass(frozen=True)
class Scan:
    """Risk of the same problem, simulated and predicted, along one axis.

    x: (X,) points; samples: (S, X) simulated risk, one row a seed; predicted: (X,) theory at the same sizes and
    times; limit: (X,) theory with every other size and time infinite, to which the scan should tend.
    train_samples, train_predicted: the training loss likewise. kind: kind of curve of the simulation. fixed: what
    was held, for labels. theory_label: whose theory it is (`algorithms.theory_of`). messages: runs that ended early;
    what they did not reach is left out.
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
    theory_label: str = OWN
    messages: tuple[str, ...] = ()

    @property
    def own_theory(self) -> bool:
        """Is the theory that of the algorithm simulated, so that they should agree?"""
        return self.theory_label == OWN

    @property
    def comparable(self) -> bool:
        """Is the theory at least near it, so that gaps and slopes mean something?"""
        return self.theory_label != DESCENT

    @property
    def mean(self) -> np.ndarray:
        """Mean over seeds, (X,)."""
        return self.samples.mean(0)

    @property
    def stderr(self) -> np.ndarray:
        """Standard error of the mean, (X,); never below rounding, so that z is defined where nothing is random."""
        return np.maximum(standard_error(self.samples), 1e-12 * self.mean + np.finfo(float).tiny)

    @property
    def z(self) -> np.ndarray:
        """(simulation - theory)/standard error, (X,)."""
        return (self.mean - self.predicted) / self.stderr

    @property
    def gap(self) -> np.ndarray:
        """Relative gap simulation/theory - 1, (X,); where theory has vanished, relative to the smallest number."""
        return (self.mean - self.predicted) / np.maximum(self.predicted, np.finfo(float).tiny)


def standard_error(samples: np.ndarray) -> np.ndarray:
    """Of the mean over seeds, (X,), of samples (S, X)."""
    return samples.std(0, ddof=1) / np.sqrt(len(samples))


def check(problem, optimizer, times, keys, points: list[dict[str, float]], features: str = "gaussian") -> None:
    """Refuse wrong sizes, times or learning rates before any work: theory knows at once what training would.

    points: num_features and num_samples of the smallest runs.
    """
    for sizes in points:
        check_run(problem, **sizes, optimizer=optimizer, times=times, keys=keys, features=features)
        algorithm, _ = theory_of(optimizer, problem, **sizes)
        theory.predict(problem, **sizes, optimizer=algorithm, times=times)


def scan_time(
    problem: rfm.Problem,
    times: np.ndarray,
    *,
    num_features,
    num_samples,
    optimizer,
    keys,
    features: str = "gaussian",
    ensemble: int = 1,
    bags: int = 1,
) -> Scan:
    """Risk and training loss against time, from one call of each side; up to where the first seed diverged, if any."""
    args, models = {"num_features": num_features, "num_samples": num_samples}, {"ensemble": ensemble, "bags": bags}
    simulated = _simulate(problem, **args, **models, optimizer=optimizer, times=times, keys=keys, features=features)
    algorithm, label = theory_of(optimizer, problem, **args)
    args |= models | {"optimizer": algorithm, "times": times}
    predicted = theory.predict(problem, **args)
    unlimited = theory.predict(whole(problem), **(args | {"num_features": np.inf, "num_samples": np.inf}))
    reached = slice(len(simulated.times))
    return Scan(
        "time",
        simulated.times,
        simulated.risk,
        predicted.risk[reached],
        unlimited.risk[reached],
        simulated.train_loss,
        predicted.train_loss[reached],
        simulated.kind,
        {"N": num_features, "P": num_samples} | _members(ensemble, bags),
        label,
        (simulated.message,) if simulated.message else (),
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
    features: str = "gaussian",
    ensemble: int = 1,
    bags: int = 1,
    on_point: Callable[[], object] = lambda: None,
) -> Scan:
    """Risk at one time (None for Ridge) against "features" or "samples"; `on_point` is called after each size.

    The seeds of a point are the seeds of the scan folded with its size, so points are independent of each other.
    """
    times = None if time is None else np.array([float(time)])
    models = {"ensemble": ensemble, "bags": bags}
    end = rfm.Ridge(getattr(optimizer, "weight_decay", 0.0))
    x, points, messages, kind, label = [], [], [], "", OWN
    for size in map(int, sizes):
        args = {"num_features": num_features, "num_samples": num_samples, f"num_{axis}": size}
        others = {name: size if name == f"num_{axis}" else np.inf for name in ("num_features", "num_samples")}
        simulated = _simulate(
            problem, **args, **models, optimizer=optimizer, times=times, keys=own_keys(keys, size), features=features
        )
        algorithm, label = theory_of(optimizer, problem, **args)
        kind = simulated.kind
        on_point()
        if simulated.message:
            messages.append(f"at {'N' if axis == 'features' else 'P'} = {size} {simulated.message}")
            continue
        predicted = theory.predict(problem, **args, **models, optimizer=algorithm, times=times)
        limit = theory.predict(whole(problem), **others, **models, optimizer=end)
        x.append(float(size))
        points.append((
            simulated.risk[:, 0], predicted.risk[0], limit.risk[0], simulated.train_loss[:, 0], predicted.train_loss[0],
        ))  # fmt: skip
    columns = zip(*points, strict=True) if points else ((),) * 5
    risk, predicted, limit, train, train_predicted = (np.array(column) for column in columns)
    fixed = {"P": num_samples} if axis == "features" else {"N": num_features}
    fixed |= ({} if time is None else {"t": float(time)}) | _members(ensemble, bags)
    x, messages = np.array(x), tuple(messages)
    return Scan(axis, x, risk.T, predicted, limit, train.T, train_predicted, kind, fixed, label, messages)


def own_keys(keys, size: int):
    """Keys of draws at one size, independent of those at any other."""
    return jax.vmap(jax.random.fold_in, (0, None))(keys, size)


def _simulate(problem: rfm.Problem, **args) -> rfm.Curve:
    """`rfm.simulate`; whoever reads a scan tells of runs that diverged, from its messages."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "training diverged", RuntimeWarning)
        return rfm.simulate(problem, **args)


def _members(ensemble: int, bags: int) -> dict[str, int]:
    """What the label of an average of models says."""
    return {name: count for name, count in (("K", ensemble), ("B", bags)) if count > 1}


def whole(problem: rfm.Problem) -> rfm.Problem:
    """The same problem with its power-law tail continued to infinity, where the trace allows it."""
    tail = problem.tail
    if tail is None or not float(tail.b) > 1.0:
        return problem
    return dataclasses.replace(problem, tail=dataclasses.replace(tail, num_modes=None))
