"""Scans: one problem trained and predicted along time, model size or data."""

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from typing import Unpack

import jax
import numpy as np

import rfm
import theory
from experiments.compare.algorithms import DESCENT, OWN, theory_of
from experiments.compare.comparison import Comparison
from experiments.compare.keys import fold_keys
from rfm.arguments import Arguments
from rfm.engine.driver import check as check_run
from rfm.engine.features import Setting


@dataclasses.dataclass(frozen=True)
class Scan:
    """Risk and training loss of the same problem, simulated and predicted, along one axis.

    Attributes:
        risk: Simulated risk beside theory at the same sizes and times.
        training: The training loss likewise.
        limit: Theory with every other size and time infinite, (X,), to which the scan should tend.
        kind: Kind of curve of the simulation.
        theory_label: Whose theory it is, see `algorithms.theory_of`.
        messages: Runs that ended early; what they did not reach is left out.
    """

    risk: Comparison
    training: Comparison
    limit: np.ndarray
    kind: str
    theory_label: str = OWN
    messages: tuple[str, ...] = ()

    @property
    def axis(self) -> str:
        """Axis of both comparisons: "time", "features" or "samples"."""
        return self.risk.axis

    @property
    def x(self) -> np.ndarray:
        """Points of both comparisons, (X,)."""
        return self.risk.x

    @property
    def own_theory(self) -> bool:
        """Is the theory that of the algorithm simulated, so that they should agree?"""
        return self.theory_label == OWN

    @property
    def comparable(self) -> bool:
        """Is the theory at least near it, so that gaps and slopes mean something?"""
        return self.theory_label != DESCENT


def check(
    problem: rfm.Problem,
    optimizer: rfm.optimizers.Optimizer,
    times: np.ndarray | None,
    keys: jax.Array,
    points: Sequence[dict[str, float]],
    *,
    feature_law: str = "gaussian",
) -> None:
    """Refuse wrong sizes, times or learning rates before any work: theory knows at once what training would.

    points: num_features and num_samples of the smallest runs.
    """
    for sizes in points:
        n, p = sizes["num_features"], sizes["num_samples"]
        check_run(problem, Setting(n, p, "ntk", feature_law), optimizer, times, keys)
        algorithm = theory_of(optimizer, problem, num_features=n, num_samples=p).optimizer
        theory.predict(problem, num_features=n, num_samples=p, optimizer=algorithm, times=times)


def scan_time(
    problem: rfm.Problem, *, keys: jax.Array, features: str = "gaussian", **arguments: Unpack[Arguments]
) -> Scan:
    """Scan risk and training loss along times, from one call of each side; up to where the first seed diverged, if any.

    Args:
        problem: The problem of both sides.
        keys: One a seed.
        features: Law of the features, as in `rfm.simulate`.
        **arguments: Those of `rfm.simulate`, times (T,) among them.
    """
    n, p = arguments["num_features"], arguments["num_samples"]
    simulated = _simulate(problem, keys=keys, features=features, **arguments)
    algorithm, label = theory_of(arguments["optimizer"], problem, num_features=n, num_samples=p)
    arguments |= Arguments(optimizer=algorithm)
    predicted = theory.predict(problem, **arguments)
    unlimited = theory.predict(whole(problem), **(arguments | Arguments(num_features=np.inf, num_samples=np.inf)))
    reached = slice(len(simulated.times))
    held = {"N": n, "P": p} | _members(arguments)
    pair = dict(axis="time", x=simulated.times, fixed=held)
    return Scan(
        Comparison(risks=simulated.risk, theory=predicted.risk[reached], **pair),
        Comparison(risks=simulated.train_loss, theory=predicted.train_loss[reached], label="training loss", **pair),
        unlimited.risk[reached],
        simulated.kind,
        label,
        (simulated.message,) if simulated.message else (),
    )


def scan_size(
    problem: rfm.Problem,
    axis: str,
    sizes: Sequence[int] | np.ndarray,
    *,
    time: float | None,
    keys: jax.Array,
    features: str = "gaussian",
    on_point: Callable[[], object] = lambda: None,
    **arguments: Unpack[Arguments],
) -> Scan:
    """Scan risk and training loss at one time along "features" or "samples".

    Args:
        problem: The problem of both sides.
        axis: The size that varies.
        sizes: Its values, (X,).
        time: None for Ridge.
        keys: One a seed; they are folded with the size, so that points are independent of each other.
        features: Law of the features, as in `rfm.simulate`.
        on_point: Called after each size.
        **arguments: Those of `rfm.simulate`, but for times.
    """
    arguments |= Arguments(times=None if time is None else np.array([float(time)]))
    end = rfm.Ridge(getattr(arguments["optimizer"], "weight_decay", 0.0))
    infinite = Arguments(num_features=np.inf, num_samples=np.inf)
    x, columns, messages, kind, label = [], [], [], "", OWN
    for size in map(int, sizes):
        varied = Arguments(num_features=size) if axis == "features" else Arguments(num_samples=size)
        here = arguments | varied
        simulated = _simulate(problem, keys=fold_keys(keys, size), features=features, **here)
        n, p = here["num_features"], here["num_samples"]
        algorithm, label = theory_of(here["optimizer"], problem, num_features=n, num_samples=p)
        kind = simulated.kind
        on_point()
        if simulated.message:
            messages.append(f"at {'N' if axis == 'features' else 'P'} = {size} {simulated.message}")
            continue
        predicted = theory.predict(problem, **(here | Arguments(optimizer=algorithm)))
        limit = theory.predict(whole(problem), **(here | infinite | varied | Arguments(optimizer=end, times=None)))
        x.append(float(size))
        columns.append((
            simulated.risk[:, 0], predicted.risk[0], limit.risk[0], simulated.train_loss[:, 0], predicted.train_loss[0],
        ))  # fmt: skip
    risk, theory_risk, limit, train, theory_train = map(np.array, zip(*columns, strict=True) if columns else ((),) * 5)
    held = {"P": arguments["num_samples"]} if axis == "features" else {"N": arguments["num_features"]}
    held |= ({} if time is None else {"t": float(time)}) | _members(arguments)
    pair = dict(axis=axis, x=np.array(x), fixed=held)
    return Scan(
        Comparison(risks=risk.T, theory=theory_risk, **pair),
        Comparison(risks=train.T, theory=theory_train, label="training loss", **pair),
        limit,
        kind,
        label,
        tuple(messages),
    )


def whole(problem: rfm.Problem) -> rfm.Problem:
    """Return the problem with its power-law tail continued to infinity, where the trace allows it."""
    tail = problem.tail
    if tail is None or not float(tail.b) > 1.0:
        return problem
    return dataclasses.replace(problem, tail=dataclasses.replace(tail, num_modes=None))


def _simulate(problem: rfm.Problem, **arguments) -> rfm.Curve:
    """Simulate; whoever reads a scan tells of runs that diverged, from its messages."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "training diverged", RuntimeWarning)
        return rfm.simulate(problem, **arguments)


def _members(arguments: Arguments) -> dict[str, int]:
    """Numbers of averaged models, for the label of a scan."""
    counts = {"K": arguments.get("ensemble", 1), "B": arguments.get("bags", 1)}
    return {name: count for name, count in counts.items() if count > 1}
