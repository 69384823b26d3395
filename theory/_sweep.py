"""Theory on whole grids: one compilation, every point on one of the devices."""

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from rfm.curve import THEORY
from rfm.devices import Layout, layout, spread
from rfm.grid import axes, check_sizes, exponents, finite_or_none, place_optimizer, place_problem
from rfm.optimizers import HeavyBall, Optimizer, resolve
from rfm.precision import complex128
from rfm.problem import Problem, power_law
from rfm.sweeps.result import Sweep
from theory._predict import as_times, averaged, check_arguments, check_members, most_nodes

AT_ONCE = 64  # points on an accelerator


def sweep(
    problem: Problem,
    grid: Mapping[str, Any],
    *,
    optimizer: Optimizer,
    times: Array | None = None,
    num_features: float | None = None,
    num_samples: float | None = None,
    parametrization: str = "ntk",
    ensemble: float = 1,
    bags: float = 1,
) -> Sweep:
    """`predict` on every point of a grid: arguments as in `rfm.sweep`, a `Sweep` with risk (axes..., T), no seeds.

    The risk is inf where the learning rate is beyond stability, or the result not converged.
    Every axis is traced, so that a grid of any sizes compiles once for each num_modes up to 512, once for all beyond.

    Raises ValueError as `rfm.sweep` and `predict` do.
    """
    found = axes(grid, problem, optimizer, whole=False)
    fixed = {"num_features": num_features, "num_samples": num_samples, "ensemble": ensemble, "bags": bags}
    check_sizes(found, fixed)
    points = [point for _, point in found.points()]
    for features, samples in {tuple(p.get(n, fixed[n]) for n in ("num_features", "num_samples")) for p in points}:
        check_arguments(problem, features, samples, optimizer, times, parametrization)
    check_members(optimizer, ensemble, bags)
    alone = all(np.all(found.values.get(name, fixed[name]) == 1) for name in ("ensemble", "bags"))
    members = None if alone else check_members(optimizer, 2, 2)
    momenta = found.values.get("momentum", [getattr(optimizer, "momentum", 0.0)])
    algorithms = [place_optimizer(optimizer, {"momentum": momentum}) for momentum in momenta]
    if members is not None and members[2] is not None:
        algorithms += [place_optimizer(HeavyBall(optimizer.lr, 0.0), {"momentum": momentum}) for momentum in momenta]
        members = (*members[:2], HeavyBall(optimizer.lr, optimizer.momentum))
    nodes = max(most_nodes(algorithm) for algorithm in algorithms)
    with complex128():
        times = None if times is None else np.asarray(times, np.float64)
        here = dataclasses.replace(problem, population=None)
        arguments = jax.tree.map(lambda x: jnp.asarray(x, float), (resolve(optimizer, times), times))
        place = layout()
        results = [None] * len(points)
        for num_modes in dict.fromkeys(point.get("num_modes") for point in points):
            if num_modes is not None:
                here = power_law(*exponents(problem), finite_or_none(num_modes), problem.noise_var)
            own = [i for i, point in enumerate(points) if point.get("num_modes") == num_modes]
            padded = own + own[:1] * (-len(own) % place.runs)
            numbers = _numbers([points[i] for i in padded], fixed, problem)
            standard = parametrization == "standard"
            curves = _points(jax.tree.map(jnp.asarray, here), *arguments, members, numbers, standard, nodes, place)
            for i, *curve in zip(own, *(np.asarray(x) for x in curves), strict=False):
                results[i] = curve
    risk, train_loss, converged = (
        np.array(x).reshape(*found.shape, *np.shape(x[0])) for x in zip(*results, strict=True)
    )
    risk, train_loss = (np.where(converged[..., None], x, np.inf) for x in (risk, train_loss))
    return Sweep(found.values, as_times(times), risk, train_loss, None, THEORY)


def _numbers(points: list[dict[str, float]], fixed: dict[str, float], problem: Problem) -> dict[str, np.ndarray]:
    """All axes but num_modes, one number a point; a and b together."""
    law = dict(zip("ab", exponents(problem), strict=True)) if {"a", "b"} & set(points[0]) else {}
    full = [{**law, **fixed, **point} for point in points]
    return {name: np.array([float(p[name]) for p in full]) for name in full[0] if name != "num_modes"}


@partial(jax.jit, static_argnames=("standard", "nodes", "layout"))
def _points(
    problem: Problem,
    optimizer: Optimizer,
    times: Array | None,
    members: tuple | None,
    numbers: dict[str, Array],
    standard: bool,
    nodes: int,
    layout: Layout,
) -> tuple[Array, Array, Array]:
    """Risk, training loss (points, T) and whether they are converged (points,)."""

    def all_of(shared, numbers):
        problem, optimizer, times, members = shared

        def one(numbers):
            sizes = place_problem(problem, numbers), numbers["num_features"], numbers["num_samples"]
            of = None
            if members is not None:
                of = numbers["ensemble"], numbers["bags"], members[2] and place_optimizer(members[2], numbers)
            curves = averaged(*sizes, place_optimizer(optimizer, numbers), times, of, standard, nodes)
            return curves.risk, curves.train_loss, curves.converged

        # a point fills a core, and its matrices the cache; an accelerator takes some at a time
        return lax.map(one, numbers, batch_size=None if jax.default_backend() == "cpu" else AT_ONCE)

    return spread(all_of, layout, (problem, optimizer, times, members), numbers)
