"""Training runs: every step taken, on many seeds at once."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpy.typing import ArrayLike

from rfm import checks
from rfm.curve import EXACT, MONTE_CARLO, Curve
from rfm.devices import RUNS, over_runs, use_device
from rfm.engine.driver import run
from rfm.engine.exact_solution import solve
from rfm.engine.features import Draw, FeatureLaw, Setting
from rfm.engine.minibatches import Rows, choose_rows, permuted_rows
from rfm.engine.one_pass import train_one_pass
from rfm.engine.plans import Batch, Plan, Solution, Task, each
from rfm.engine.requests import Request, choose_keys, make_plan
from rfm.engine.trained_features import solve_trained
from rfm.engine.trained_layers import richness_of, way_of
from rfm.optimizers import Batched, Optimizer, Ridge
from rfm.problem import Problem
from rfm.protocols import Stepper
from rfm.steps import take_steps


def simulate(
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
    """Train the random-feature model on fresh draws, one a key.

    Gradient flow has no steps and is solved as `exact` does, ridge regression by least squares. Draws are normals of 24
    random bits, arithmetic is in `dtype` whatever x64 says. One compilation a shape: noise, spectrum, target and
    learning rate are traced. A run that diverges stops there: the curve ends before, `converged` is False, `message`
    names the step, and a RuntimeWarning repeats it.

    Args:
        problem: spectrum, target and label noise.
        num_features: N, or jnp.inf for the kernel limit (the student sees every mode).
        num_samples: P, or jnp.inf for fresh data at every step: one batch of SGD, an infinite batch of any other
            algorithm.
        optimizer: the training algorithm.
        times: (T,) increasing, lr x steps for gradient flow, whole step counts where steps are taken; None for Ridge.
        keys: (S,) from `jax.random.split`, one a seed; a single key is one draw. Or else
        seeds: S, for keys = jax.random.split(jax.random.key(0), S).
        parametrization: "ntk", F_ik ~ N(0, 1/N), or "standard", F_ik ~ N(0, 1), whose clock is N t.
        richness: how fast a layer W between features and readout learns, f = theta^T W phi from theta = 0 and W = 1:
            the ratio of the two learning rates, >= 0. 0 leaves the features as they are drawn. The weights of a curve
            are the effective ones, W^T theta; with an algorithm of optax the gradient of W counts richness times.
        hidden: "identity", W = 1 at the start, or the width of a Gaussian layer, W (width, N) of normals of variance
            1/width, for an algorithm that takes steps. A layer many times as wide as N trains as the identity does;
            kernel_growth is 1 + richness |theta|^2 for both.
        feature_noise: variance >= 0 of white noise on every feature of every row, as quantised activations have, in the
            unit of features as they are trained on (of variance trace/N for "ntk"). A row keeps its noise in training;
            test rows have noise of their own, and the risk counts feature_noise |v|^2. Fresh data have fresh noise.
        features: law of F, "gaussian" or "rademacher" (signs), or a layer of real neurons, "relu" or "erf", on a
            problem made by `from_inputs` with that activation; or a function (key, shape) -> array of entries of mean
            0 and variance 1, called for up to 1,024 modes at a time and compiled anew for every new function.
        ensemble: the risk is that of the average of ensemble x bags models; train_loss is the average over the models.
        bags: data sets of a seed; every feature draw is trained on every one (SGD: each on batches of its own).
        initial_weights: (n,), (S, n), or (S, K, n) for K outputs, the weights v at t = 0 in place of zero, of n = N
            features, or n = P dual weights where N is infinite. The weights of a curve with the same keys continue it,
            momentum at rest, times counted from there and batches of SGD drawn anew.
        return_weights: keep the weights in `Curve.weights`, (S, T, n), or (S, K, T, n) for K outputs.
        dtype: "float64", or "float32" for large sizes and early times: risks are then good to some 1e-4, as long as no
            curvature matters that is far below the largest; results are float64 all the same.
        split: what the devices of this process share, "runs", each its own seeds, or "modes", each a part of the modes
            of every F and data set, for a few large models; numbers differ by rounding.
        device: the one to use, as "cpu", "gpu" or one of `jax.devices()`; None for those that JAX chooses.
        progress: show a bar over the batches of seeds.

    Returns:
        `Curve` with risk and train_loss (S, T), and with kernel_growth where features are trained, of kind
        "Monte Carlo" where steps are taken, else as that of `exact`.

    Raises:
        ValueError: for sizes below 1, an infinite number of modes, times that do not increase, an unknown
            parametrization or law of features, or a learning rate at or beyond stability, with the largest stable one.

    Example:
        >>> import jax, rfm
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100, noise_var=0.01)
        >>> args = dict(num_features=16, num_samples=32, optimizer=rfm.GradientDescent(0.5), times=[1, 10, 100])
        >>> curve = rfm.simulate(problem, **args, keys=jax.random.split(jax.random.key(0), 2))
        >>> curve.kind, curve.risk.shape
        ('Monte Carlo', (2, 3))
        >>> curve.mean().round(3).tolist()
        [0.865, 0.464, 0.424]
    """
    keys = choose_keys(keys, seeds)
    request = Request(
        problem, num_features, num_samples, optimizer, times, keys, parametrization, features, ensemble, bags, split,
        initial_weights, return_weights, dtype, richness, feature_noise, hidden,
    )  # fmt: skip
    with use_device(device):
        return run(request, plan_simulation(request), progress=progress)


def plan_simulation(request: Request) -> Plan:
    """Choose how a request is trained: by its steps, or solved where it has none; ValueError for wrong arguments."""
    optimizer = request.optimizer
    kind = MONTE_CARLO if isinstance(optimizer, Stepper) else EXACT
    if request.trained is not None and isinstance(optimizer, Stepper) and np.isinf(request.num_features):
        checks.fail("num_features", "finite for steps where features are trained (rfm.exact takes jnp.inf)", math.inf)
    if isinstance(optimizer, Batched) and math.isinf(request.num_samples) and request.problem.population is None:
        return make_plan(request, train_one_pass, kind)
    if isinstance(optimizer, Stepper | Ridge):
        return make_plan(request, train, kind, spectrum=False)
    return make_plan(request, solve if request.trained is None else solve_trained, kind)


def train(task: Task, setting: Setting, batch: Batch) -> Solution:
    """Return weights (S, K, T, n) at all times, step by step; no eigensystems are used."""
    draws, optimizer = batch.draws, task.optimizer
    if isinstance(optimizer, Ridge):
        ridge = jnp.broadcast_to(batch.numbers.get("ridge", jnp.asarray(optimizer.ridge)), draws.labels.shape[:1])
        # one at a time on CPU: LAPACK, as `eigensystems` says
        return Solution(over_runs(lambda ridge, draw: _solve_ridge(setting, ridge, draw)[:, None], ridge, draws))

    def gradient(draw: Draw, seen: Rows | None) -> Callable[[Array], Array]:
        if draw.design is None:
            return lambda v: v @ draw.matrix - draw.moment(setting)
        phi, labels, samples, shares = draw.design, draw.labels, draw.rows(setting), None
        if seen is not None:
            phi, labels, samples, shares = phi[seen.chosen], labels[seen.chosen], setting.batch_size, seen.shares
        if shares is not None:
            return lambda v: ((phi @ v - labels) * shares) @ phi
        # r @ Phi, not Phi.T @ r: the transpose would be copied at every step on CPU
        return lambda v: (phi @ v - labels) @ phi / samples

    def update(v: Array, memory: tuple[Any, Array, Array | None]) -> tuple[Array, tuple[Any, Array, Array | None]]:
        memory, count, order = memory
        if order is not None:
            order = lax.cond(count % epoch == 0, lambda order: shuffle(count // epoch), lambda order: order, order)

        def step(
            optimizer: Stepper, draw: Draw, key: Array, order: Array | None, richness: Array, *state: Any
        ) -> tuple[Array, Any]:
            seen = choose_rows(optimizer, (rows, setting.batch_size), (key, order), count) if batches else None
            # each output by itself, on the same samples
            output = lambda y, *state: way.step(  # noqa: E731
                optimizer, gradient(draw._replace(labels=y), seen), richness, *state
            )
            return jax.vmap(output)(draw.labels, *state)

        v, memory = each(optimizer, batch, step, draws, batch.keys.steps, order, richness, v, memory)
        return v, (memory, count + 1, order)

    way, richness = way_of(task, setting), richness_of(task, batch)
    rows = draws.labels.shape[-1]
    batches = draws.design is not None and 0 < setting.batch_size < rows
    epoch = -(-rows // max(setting.batch_size, 1))  # steps, the last one on what is left
    shuffle = lambda epoch: jax.vmap(lambda key: permuted_rows(key, epoch, rows))(batch.keys.steps)  # noqa: E731
    order = shuffle(0) if batches and getattr(optimizer, "order", "") == "shuffle" else None
    start = batch.start
    if start is None:
        start = jnp.zeros((*draws.labels.shape[:2], draws.matrix.shape[-1]))
    start = way.start(start, setting, batch.keys.features)
    memory = each(optimizer, batch, lambda optimizer, v: jax.vmap(partial(way.begin, optimizer))(v), start)
    memory = memory, jnp.zeros((), int), order

    def record(v: Array, memory: tuple[Any, Array, Array | None]) -> tuple[Array, Array | None, Array | None]:
        average = memory[0].average if isinstance(optimizer, Batched) else None
        return way.effective(v), None if average is None else way.effective(average), way.growth(v, richness)

    (weights, average, growth), count = take_steps(update, start, memory, task.times, record=record)  # (T, S, K, n)
    averaged = None if average is None else (jnp.moveaxis(average, 0, 2), None)
    growth = None if growth is None else growth[..., 0].T
    return Solution(jnp.moveaxis(weights, 0, 2), count, average=averaged, growth=growth)


def _solve_ridge(setting: Setting, ridge: Array, draw: Draw) -> Array:
    """Return weights (K, n) of (H + ridge) v = Phi^T y / P, or of its dual where P < N.

    By least squares, so that without a ridge a singular system gives the weights of least norm.
    """
    p, phi = setting.true.samples, draw.design
    if phi is None:
        gram, moment = draw.matrix, draw.moment(setting)
    elif setting.dual:
        gram, moment = phi @ phi.T / p, draw.labels / p
    else:
        gram, moment = phi.T @ phi / p, draw.labels @ phi / p
    weights = jnp.linalg.lstsq(gram + ridge * jnp.eye(len(gram)), moment.T)[0].T
    return weights @ phi if setting.dual and phi is not None else weights
