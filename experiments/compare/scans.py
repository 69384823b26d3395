"""Scans: one problem trained and predicted along time, model size or data."""

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

import rfm
import theory
from experiments.compare.algorithms import DESCENT, OWN, anew, theory_of
from experiments.compare.comparison import INFINITE, Comparison, with_size
from experiments.compare.keys import fold_keys, split_keys
from experiments.compare.limits import whole
from experiments.compare.predictions import Members, Predicted, order_of, predicted
from experiments.compare.spread import Call, Spread, spread_at
from rfm.arguments import Sizes
from rfm.engine.preview import RunArguments, check_cost, cost
from rfm.engine.preview import check as check_run
from rfm.optimizers import Optimizer, check_stability, resolve
from rfm.sgd import DRAWN_ANEW


class Draws(Members):
    """Everything that a scan draws from: keys, one a seed, and the law of the features."""

    keys: jax.Array
    features: str


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
        noise_var: Label noise, which training losses have in them and risks have not.
        average: Risk of the average of the weights over steps, where there is one, along time.
        growth: The growth of the kernel, where features are trained.
        spread: Theory of one model at the same points, to both orders, where the next one is known.
    """

    risk: Comparison
    training: Comparison
    limit: np.ndarray
    kind: str
    theory_label: str = OWN
    messages: tuple[str, ...] = ()
    noise_var: float = 0.0
    average: Comparison | None = None
    growth: Comparison | None = None
    spread: Spread | None = None

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
    optimizer: Optimizer,
    times: np.ndarray | None,
    keys: jax.Array,
    runs: Sequence[tuple[Sizes, int]],
    *,
    feature_law: str = "gaussian",
    ensemble: int = 1,
    bags: int = 1,
    richness: float = 0.0,
) -> None:
    """Refuse wrong sizes, times or learning rates, and runs that take too much, before any work.

    Theory knows at once which learning rates would diverge, in the smallest runs first.

    Args:
        problem: The problem of all runs.
        optimizer: What trains.
        times: Recorded, (T,), or None.
        keys: One a seed.
        runs: Sizes, and draws of each that a seed stands for.
        feature_law: As in `rfm.simulate`.
        ensemble: Feature draws whose models are averaged.
        bags: Data sets whose models are averaged.
        richness: As in `rfm.simulate`.
    """
    models = Members(ensemble=ensemble, bags=bags, richness=richness)

    def arguments(sizes: Sizes) -> RunArguments:
        return RunArguments(**sizes, **models, optimizer=optimizer, times=times, keys=keys, features=feature_law)

    costs = [(cost(problem, **arguments(sizes)), len(keys) * draws) for sizes, draws in runs]
    n, p = runs[0][0]["num_features"], runs[0][0]["num_samples"]
    lower = {name: size for name, size in (("num_features", n), ("num_samples", p)) if np.isfinite(float(size))}
    lower |= {"batch_size": optimizer.batch_size} if isinstance(optimizer, rfm.SGD) else {}
    check_cost(costs, lower | {"num_modes": problem.num_modes})
    for sizes, _ in runs:
        check_run(problem, **arguments(sizes))
        algorithm = theory_of(optimizer, problem, times=times, richness=richness, **sizes).optimizer
        if isinstance(algorithm, rfm.SGD) and algorithm.order != DRAWN_ANEW:  # theory takes long, and knows no more
            edge = theory.largest_curvature(problem, **sizes)
            check_stability(resolve(algorithm, times), edge, **sizes, mean_square=False)
        else:
            theory.predict(problem, optimizer=algorithm, times=times, richness=richness, **sizes)


def scan_time(
    problem: rfm.Problem,
    times: np.ndarray,
    *,
    num_features: float,
    num_samples: float,
    optimizer: Optimizer,
    keys: jax.Array,
    features: str = "gaussian",
    ensemble: int = 1,
    bags: int = 1,
    richness: float = 0.0,
) -> Scan:
    """Scan risk and training loss along times, from one call of each side; up to where the first seed diverged, if any.

    Args:
        problem: The problem of both sides.
        times: Increasing, (T,).
        num_features: N.
        num_samples: P.
        optimizer: What trains.
        keys: One a seed.
        features: Law of the features, as in `rfm.simulate`.
        ensemble: Feature draws whose models are averaged.
        bags: Data sets whose models are averaged.
        richness: As in `rfm.simulate`.
    """
    sizes = Sizes(num_features=num_features, num_samples=num_samples)
    models = Members(ensemble=ensemble, bags=bags, richness=richness)
    simulated = _simulate(problem, optimizer=optimizer, times=times, keys=keys, features=features, **sizes, **models)
    algorithm, label = theory_of(optimizer, problem, times=times, richness=richness, **sizes)
    order = order_of(problem, algorithm, features, models)
    here = predicted(problem, models, order, Call(**sizes, optimizer=algorithm, times=times), pairs=True)
    unlimited = theory.predict(whole(problem), optimizer=anew(algorithm), times=times, **INFINITE, **models)
    curve, spread = here.curve, here.spread
    reached = slice(min(len(simulated.times), _known(curve)))
    x, covariance = simulated.times[reached], here.covariance
    make = partial(Comparison, "time", x, fixed={"N": num_features, "P": num_samples} | _members(models), order=order)
    risk = make(simulated.risk[:, reached], curve.risk[reached])
    if spread is not None:
        spread = spread.cut(reached)
        between = None if covariance is None else covariance[reached, reached]
        risk = dataclasses.replace(risk, scatter=spread.std, covariance=between, line=spread.line, line_x=spread.x)
    average = None
    if simulated.average_risk is not None:
        average = make(simulated.average_risk[:, reached], curve.average_risk[reached], label="averaged weights")
    growth = None
    if simulated.kernel_growth is not None:
        growth = make(simulated.kernel_growth[:, reached], curve.kernel_growth[reached], label="growth of the kernel")
    return Scan(
        risk,
        make(simulated.train_loss[:, reached], curve.train_loss[reached], label="training loss"),
        unlimited.risk[reached],
        simulated.kind,
        label,
        tuple(filter(None, (simulated.message, curve.message))),
        float(problem.noise_var),
        average,
        growth,
        spread,
    )


def scan_size(
    problem: rfm.Problem,
    axis: str,
    sizes: Sequence[int] | np.ndarray,
    *,
    num_features: float,
    num_samples: float,
    optimizer: Optimizer,
    time: float | None,
    keys: jax.Array,
    features: str = "gaussian",
    ensemble: int = 1,
    bags: int = 1,
    richness: float = 0.0,
    draws: Sequence[int] | None = None,
    on_point: Callable[[], object] = lambda: None,
) -> Scan:
    """Scan risk and training loss at one time along "features" or "samples".

    Args:
        problem: The problem of both sides.
        axis: The size that varies.
        sizes: Its values, (X,).
        num_features: N, where it does not vary.
        num_samples: P, where it does not vary.
        optimizer: What trains.
        time: None for Ridge.
        keys: One a seed; they are folded with the size, so that points are independent of each other.
        features: Law of the features, as in `rfm.simulate`.
        ensemble: Feature draws whose models are averaged.
        bags: Data sets whose models are averaged.
        richness: As in `rfm.simulate`.
        draws: Draws of each size that a seed stands for, (X,): their mean is what the scan keeps. One where not given.
        on_point: Called after each size.
    """
    models = Members(ensemble=ensemble, bags=bags, richness=richness)
    times = None if time is None else np.array([float(time)])
    decay = getattr(optimizer, "weight_decay", 0.0)
    # training of features ends where the features as drawn do, but for a weight decay, which is then no ridge
    end: dict[str, Any] = dict(models, optimizer=rfm.Ridge(decay), richness=0.0)
    if richness > 0.0 and decay > 0.0:
        end = dict(models, optimizer=optimizer, times=times)
    held = Sizes(num_features=num_features, num_samples=num_samples)
    points, theories, messages, kind, label, order = [], [], [], "", OWN, 1
    for size, count in zip(map(int, sizes), [1] * len(sizes) if draws is None else draws, strict=True):
        here = with_size(axis, size, held)
        seeds = split_keys(fold_keys(keys, size), count)
        simulated = _simulate(
            problem, optimizer=optimizer, times=times, keys=seeds, features=features, **here, **models
        )
        algorithm, label = theory_of(optimizer, problem, times=times, richness=richness, **here)
        kind = simulated.kind
        on_point()
        order = order_of(problem, algorithm, features, models)
        known = predicted(problem, models, order, Call(**here, optimizer=algorithm, times=times))
        if message := simulated.message or ("" if _known(known.curve) else known.curve.message):
            messages.append(f"at {'N' if axis == 'features' else 'P'} = {size} {message}")
            continue
        limit = theory.predict(whole(problem), correction=order > 1, **end, **with_size(axis, size))
        risks, train_losses = (y[:, 0].reshape(-1, count).mean(1) for y in (simulated.risk, simulated.train_loss))
        points.append((float(size), count, limit.risk[0], risks, train_losses))
        theories.append(known)
    x, counts, limits, risks, train_losses = map(np.array, zip(*points, strict=True) if points else ((),) * 5)
    fixed = {"P": num_samples} if axis == "features" else {"N": num_features}
    fixed |= ({} if time is None else {"t": float(time)}) | _members(models)
    make = partial(Comparison, axis, x, fixed=fixed, draws=counts, order=order)
    risk, spread = make(risks.T, _first(theories, "risk")), None
    if order > 1 and points:
        spread = spread_at(x, [known.spread for known in theories if known.spread is not None])
        scatter = spread.std / np.sqrt(counts)
        risk = dataclasses.replace(risk, scatter=scatter, line=spread.line, line_x=x)
    training = make(train_losses.T, _first(theories, "train_loss"), label="training loss")
    state = kind, label, tuple(messages), float(problem.noise_var)
    return Scan(risk, training, limits, *state, spread=spread)


def _first(theories: Sequence[Predicted], loss: str) -> np.ndarray:
    """Return a loss of each at its first time, (X,)."""
    return np.array([getattr(known.curve, loss)[0] for known in theories])


def _known(curve: rfm.Curve) -> int:
    """Count the times up to which theory has a risk."""
    finite = np.isfinite(curve.risk)
    return len(finite) if finite.all() else int(np.argmin(finite))


def _simulate(problem: rfm.Problem, **arguments: Any) -> rfm.Curve:
    """Simulate; runs that diverged are in the messages of the scan, for its reader to report."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "training diverged", RuntimeWarning)
        return rfm.simulate(problem, **arguments)


def _members(models: Members) -> dict[str, float]:
    """Return what is averaged, and the richness, for the label of a scan."""
    named = {"K": models["ensemble"], "B": models["bags"]}
    rich = {"richness": models["richness"]} if models["richness"] > 0.0 else {}
    return {name: count for name, count in named.items() if count > 1} | rich
