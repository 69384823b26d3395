"""One draw solved exactly, with no random steps: by eigensystem, or by the second moments of one-pass SGD."""

import math
from typing import Any

import jax.numpy as jnp
from jax import Array
from numpy.typing import ArrayLike

from rfm import checks
from rfm.curve import EXACT, Curve
from rfm.devices import RUNS, use_device
from rfm.engine.driver import run
from rfm.engine.features import Draw, FeatureLaw, Setting
from rfm.engine.one_pass import expect_one_pass
from rfm.engine.plans import Batch, Plan, Solution, Task, each
from rfm.engine.requests import Request, choose_keys, make_plan
from rfm.engine.trained_features import solve_trained
from rfm.optimizers import Batched, Optimizer
from rfm.problem import Problem
from rfm.protocols import Solvable


def exact(
    problem: Problem,
    *,
    num_features: float,
    num_samples: float,
    optimizer: Optimizer,
    times: ArrayLike | None = None,
    keys: Array | None = None,
    seeds: int | None = None,
    parametrization: str = "ntk",
    richness: float = 0.0,
    hidden: str | int = checks.IDENTITY,
    feature_noise: float = 0.0,
    features: str | FeatureLaw = "gaussian",
    ensemble: float = 1,
    bags: float = 1,
    initial_weights: ArrayLike | None = None,
    return_weights: bool = False,
    dtype: str = "float64",
    split: str = RUNS,
    device: Any = None,
    progress: bool = False,
) -> Curve:
    """Solve the draws that `simulate` would train on: same arguments, same draws, same `Curve`.

    v(t) = g_t(H) Phi^T y / P with H = Phi^T Phi / P and g_t(z) = (1 - r_t(z))/z the response of the optimizer,
    H diagonalised in the smaller of its two dimensions. One-pass SGD (num_samples = jnp.inf, Gaussian data): the
    expected risk given the features, by recursion of the second moments; for one model, ensemble = bags = 1.

    Args:
        problem: spectrum, target and label noise.
        num_features: as in `simulate`, like all arguments below.
        num_samples: P, or jnp.inf.
        optimizer: an algorithm that is linear in the weights.
        times: (T,), None for Ridge.
        keys: (S,) typed keys, one a seed; or else
        seeds: S, as in `simulate`.
        parametrization: "ntk" or "standard".
        richness: as in `simulate`; not for one-pass SGD.
        hidden: "identity"; a Gaussian layer has no exact solution.
        feature_noise: as in `simulate`.
        features: law of the features.
        ensemble: feature draws whose models are averaged.
        bags: data sets whose models are averaged.
        initial_weights: weights at t = 0, for an algorithm without weight decay.
        return_weights: keep the weights; not for one-pass SGD, of which only the expected risk is known.
        dtype: "float64" or "float32".
        split: "runs" or "modes", which the devices share.
        device: the one to use.
        progress: show a bar over the batches of seeds.

    Returns:
        `Curve` with risk and train_loss (S, T), of kind "exact given the draw".

    Raises:
        ValueError: as `simulate` does, and for an optimizer that has no exact solution.

    Example:
        >>> import jax, rfm
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100, noise_var=0.01)
        >>> args = dict(num_features=16, num_samples=32, optimizer=rfm.GradientFlow(), times=[1.0, 10.0, 100.0])
        >>> curve = rfm.exact(problem, **args, keys=jax.random.split(jax.random.key(0), 2))
        >>> curve.kind, curve.risk.shape
        ('exact given the draw', (2, 3))
        >>> curve.mean().round(3).tolist()
        [0.706, 0.442, 0.476]
    """
    keys = choose_keys(keys, seeds)
    request = Request(
        problem, num_features, num_samples, optimizer, times, keys, parametrization, features, ensemble, bags, split,
        initial_weights, return_weights, dtype, richness, feature_noise, hidden,
    )  # fmt: skip
    with use_device(device):
        return run(request, plan_exact(request), progress=progress)


def plan_exact(request: Request) -> Plan:
    """Choose how a request is solved exactly; ValueError for wrong arguments, or where no solution is known."""
    optimizer = request.optimizer
    if not checks.is_identity(request.hidden):
        checks.fail("hidden", f"{checks.IDENTITY!r} for an exact solution (simulate takes a width)", request.hidden)
    if isinstance(optimizer, Batched):
        if not (math.isinf(request.num_samples) and request.problem.population is None):
            checks.fail("num_samples", "jnp.inf, with Gaussian data, to solve SGD and DANA", request.num_samples)
        members = request.ensemble, request.bags
        if members != (1, 1):
            checks.fail("ensemble", "1, and bags 1, for an exact solution of SGD and DANA", members)
        if request.return_weights:
            checks.fail(
                "return_weights", "False for SGD, of which only the expected risk is known (simulate: any)", True
            )
        if request.trained is not None:
            checks.fail("richness", "0 for an exact solution of SGD (simulate takes any)", request.richness)
        return make_plan(request, expect_one_pass, EXACT)
    if isinstance(optimizer, Optimizer) and not isinstance(optimizer, Solvable):
        checks.fail("optimizer", "linear in the weights to be solved exactly (`simulate` takes any)", optimizer)
    decay = getattr(optimizer, "weight_decay", 0.0)
    if request.initial_weights is not None and decay != 0.0:
        allowed = "0 for an exact solution from initial_weights (simulate takes any)"
        checks.fail("weight_decay", allowed, decay)
    return make_plan(request, solve if request.trained is None else solve_trained, EXACT)


def solve(task: Task, setting: Setting, batch: Batch) -> Solution:
    """Return weights (S, K, T, n) at all times, from the eigensystems of a batch."""

    def solve_draw(  # z (m,), basis (m, m)
        optimizer: Solvable, draw: Draw, z: Array, basis: Array, *start: Array
    ) -> Array:
        draw = draw.less(setting, *start) if start else draw
        response = optimizer.response(z, jnp.asarray(task.times)[:, None])  # (T, m)
        if draw.design is None:
            moment, back = draw.moment(setting), basis.T
        elif setting.dual:
            moment, back = draw.labels / setting.true.samples, basis.T @ draw.design
        else:
            moment, back = draw.labels @ draw.design / setting.true.samples, basis.T
        weights = (response[None] * (moment @ basis)[:, None]) @ back  # (K, T, n)
        return weights + start[0][:, None] if start else weights

    start = () if batch.start is None else (batch.start,)
    return Solution(each(task.optimizer, batch, solve_draw, batch.draws, *batch.eigensystems, *start))
