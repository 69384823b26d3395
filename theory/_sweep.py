"""Theory on whole grids: one compilation, every point on one of the devices; small grids without one."""

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpy.typing import ArrayLike

from rfm import checks
from rfm.curve import THEORY
from rfm.devices import Layout, layout, on_cpu, spread
from rfm.grid import axes, check_sizes, exponents, place_optimizer, place_problem, resize
from rfm.optimizers import SGD, Batched, HeavyBall, Optimizer
from rfm.precision import complex128
from rfm.problem import Problem
from rfm.sgd import DRAWN_ANEW
from rfm.sweeps.result import Sweep
from theory._predict import predict
from theory.cases import (
    Case,
    Members,
    check_case,
    curve_times,
    feature_noise_of,
    members_of,
    refuse_members,
    richness_of,
)
from theory.evaluation import averaged, most_nodes, nodes_of_steps

POINTS_AT_ONCE = 64  # points on an accelerator
FEW = 64  # points that numpy evaluates sooner than they are compiled


def sweep(
    problem: Problem,
    grid: Mapping[str, Any],
    *,
    optimizer: Optimizer,
    times: ArrayLike | None = None,
    num_features: ArrayLike | None = None,
    num_samples: ArrayLike | None = None,
    parametrization: str = "ntk",
    richness: ArrayLike = 0.0,
    feature_noise: ArrayLike = 0.0,
    ensemble: ArrayLike = 1,
    bags: ArrayLike = 1,
) -> Sweep:
    """Predict every point of a grid with one compilation, on all devices.

    Every axis is traced, so that a grid of any sizes compiles once for each num_modes up to 512, once for all beyond. A
    grid of up to 64 points that have a formula for all times is evaluated without a compilation, which takes longer.

    Args:
        problem: Spectrum, target and noise, where no axis of the grid says otherwise.
        grid: Values (n,) by name of an axis, as in `rfm.sweep`; sizes may be any numbers >= 1.
        optimizer: The training algorithm.
        times: (T,), as in `predict`.
        num_features: Model size N, unless it is an axis.
        num_samples: Data P, unless it is an axis.
        parametrization: "ntk" or "standard".
        richness: As in `predict`, unless it is an axis.
        feature_noise: As in `predict`, unless it is an axis.
        ensemble: Feature draws that are averaged, unless it is an axis.
        bags: Data sets that are averaged, unless it is an axis.

    Returns:
        A `Sweep` with risk and train_loss (axes..., T), without seeds; inf where the learning rate is beyond stability,
        or the result not converged.

    Raises:
        ValueError: As `rfm.sweep` and `predict` do.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100, noise_var=0.01)
        >>> grid = {"num_features": [8, 16]}
        >>> swept = theory.sweep(problem, grid, num_samples=32, optimizer=rfm.GradientFlow(), times=[1.0, 100.0])
        >>> swept.risk.round(4)
        array([[0.9494, 0.7047],
               [0.8733, 0.4809]])
    """
    grid_axes = axes(grid, problem, optimizer, whole=False)
    fixed = {"num_features": num_features, "num_samples": num_samples, "ensemble": ensemble, "bags": bags}
    check_sizes(grid_axes, fixed)
    points = [point for _, point in grid_axes.points()]
    samples = _samples(optimizer, grid_axes.values.get("num_samples", [num_samples]))
    largest = {name: values.max() for name, values in grid_axes.values.items()}
    richest = richness_of(largest.get("richness", richness))
    noisy = feature_noise_of(largest.get("feature_noise", feature_noise))
    case = Case(
        problem, num_features, samples, optimizer, times, parametrization, richness=richest, feature_noise=noisy
    )
    for n, p in {tuple(point.get(x, fixed[x]) for x in ("num_features", "num_samples")) for point in points}:
        check_case(dataclasses.replace(case, num_features=n, num_samples=p))
    members_of(optimizer, ensemble, bags)  # refuses wrong sizes
    noise_var = None if "noise_var" in grid_axes.values else float(problem.noise_var)
    ordered = isinstance(optimizer, Batched) and optimizer.order != DRAWN_ANEW
    if ordered or (len(points) <= FEW and richest is None and not case.arrays().steps):
        losses = _one_by_one(case, points, fixed)
        risk, train_loss = (x.reshape(*grid_axes.shape, -1) for x in losses)
        return Sweep(grid_axes.values, curve_times(times), risk, train_loss, None, THEORY, noise_var)
    members = None
    if any(np.any(grid_axes.values.get(name, fixed[name]) != 1) for name in ("ensemble", "bags")):
        # momentum may be an axis: the general rule in place of the one for none
        members = Members(2, 2, HeavyBall(optimizer.lr, optimizer.momentum) if isinstance(optimizer, SGD) else None)
    refuse_members(case, members)
    momenta = grid_axes.values.get("momentum")
    nodes = _nodes(optimizer, members, momenta)
    with complex128():
        arrays, place = case.arrays(), layout()
        if arrays.steps:
            arrays = arrays if momenta is None else dataclasses.replace(arrays, inertia=float(max(momenta)))
            nodes = nodes_of_steps(arrays)
        results: list[Any] = [None] * len(points)
        for num_modes in dict.fromkeys(point.get("num_modes") for point in points):
            if num_modes is not None:
                arrays = dataclasses.replace(arrays, problem=jax.tree.map(jnp.asarray, resize(problem, num_modes)))
            indices = [i for i, point in enumerate(points) if point.get("num_modes") == num_modes]
            padded = indices + indices[:1] * (-len(indices) % place.runs)
            numbers = _numbers([points[i] for i in padded], fixed, problem)
            curves = _points(arrays, members, numbers, nodes=nodes, layout=place)
            for i, *curve in zip(indices, *(np.asarray(x) for x in curves), strict=False):
                results[i] = curve
    risk, train_loss, converged = (
        np.array(x).reshape(*grid_axes.shape, *np.shape(x[0])) for x in zip(*results, strict=True)
    )
    risk, train_loss = (np.where(converged[..., None], x, np.inf) for x in (risk, train_loss))
    return Sweep(grid_axes.values, curve_times(times), risk, train_loss, None, THEORY, noise_var)


def _one_by_one(case: Case, points: list[dict[str, float]], fixed: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return risk and training loss (points, T) of few, or where samples come in order, which no compilation shares."""
    losses, noise = [], 0.0 if case.feature_noise is None else case.feature_noise
    for point in points:
        numbers: dict[str, Any] = {name: x[0] for name, x in _numbers([point], fixed, case.problem).items()}
        problem = resize(case.problem, point["num_modes"]) if "num_modes" in point else case.problem
        args: dict[str, Any] = {name: numbers[name] for name in fixed}
        args |= {"optimizer": place_optimizer(case.optimizer, numbers), "times": case.times}
        args |= {"parametrization": case.parametrization, "feature_noise": numbers.get("feature_noise", noise)}
        try:
            curve = predict(place_problem(problem, numbers), **args)
            good = np.where(curve.converged, 0.0, np.inf)
            losses.append((curve.risk + good, curve.train_loss + good))
        except checks.ArgumentError as error:
            if error.name != "lr":
                raise
            losses.append(2 * (np.full(np.size(curve_times(case.times)), np.inf),))
    risk, train_loss = zip(*losses, strict=True)
    return np.array(risk), np.array(train_loss)


def _samples(optimizer: Optimizer, values: Any) -> Any:
    """Return one of the numbers of samples of a grid: for SGD all finite, or all infinite, as their formulas differ."""
    kinds = {bool(np.isinf(x)) for x in values if x is not None}
    if isinstance(optimizer, Batched) and len(kinds) > 1:
        checks.fail("num_samples", "all finite, or all infinite, for a sweep of SGD", values)
    return values[0]


def _nodes(optimizer: Optimizer, members: Members | None, momenta: np.ndarray | None) -> int:
    """Count nodes of the contour that are enough for every momentum on the grid."""
    algorithms = [optimizer] if members is None or members.shared is None else [optimizer, members.shared]
    if momenta is None:
        return max(most_nodes(algorithm) for algorithm in algorithms)
    return max(most_nodes(place_optimizer(algorithm, {"momentum": x})) for algorithm in algorithms for x in momenta)


def _numbers(points: list[dict[str, float]], fixed: dict[str, Any], problem: Problem) -> dict[str, np.ndarray]:
    """All axes but num_modes, one number a point; a and b together."""
    law = dict(zip("ab", exponents(problem) or (), strict=False)) if {"a", "b"} & set(points[0]) else {}
    full = [{**law, **fixed, **point} for point in points]
    return {name: np.array([float(p[name]) for p in full]) for name in full[0] if name != "num_modes"}


@partial(jax.jit, static_argnames=("nodes", "layout"))
def _points(
    case: Case, members: Members | None, numbers: dict[str, np.ndarray], *, nodes: int, layout: Layout
) -> tuple[Array, Array, Array]:
    """Risk, training loss (points, T) and whether they are converged (points,)."""

    def all_of(shared: tuple[Case, Members | None], numbers: dict[str, Array]) -> tuple[Array, Array, Array]:
        case, members = shared

        def at(numbers: dict[str, Array]) -> tuple[Array, Array, Array]:
            here = dataclasses.replace(
                case,
                problem=place_problem(case.problem, numbers),
                optimizer=place_optimizer(case.optimizer, numbers),
                num_features=numbers["num_features"],
                num_samples=numbers["num_samples"],
                richness=None if case.richness is None else numbers.get("richness", case.richness),
                feature_noise=None if case.feature_noise is None else numbers.get("feature_noise", case.feature_noise),
            )
            average = None
            if members is not None:
                mean = members.shared and place_optimizer(members.shared, numbers)
                average = Members(numbers["ensemble"], numbers["bags"], mean)
            curves = averaged(here, average, nodes=nodes)
            return curves.risk, curves.train_loss, curves.converged

        # a point fills a core, and its matrices the cache; an accelerator takes some at a time
        return lax.map(at, numbers, batch_size=None if on_cpu() else POINTS_AT_ONCE)

    return spread(all_of, layout, (case, members), numbers)
