"""Training runs: every step of gradient descent taken, on many seeds at once."""

import jax
import jax.numpy as jnp
from jax import Array, lax

from rfm.batches import run
from rfm.curve import EXACT, MONTE_CARLO, Curve
from rfm.exact import solve
from rfm.features import Draw, Setting
from rfm.optimizers import Optimizer, Ridge
from rfm.problem import Problem


def simulate(
    problem: Problem,
    *,
    num_features: float,
    num_samples: float,
    optimizer: Optimizer,
    times: Array | None = None,
    keys: Array,
    parametrization: str = "ntk",
    progress: bool = False,
) -> Curve:
    """Train the random-feature model on fresh draws, one a key.

    num_features: N, or jnp.inf for the kernel limit (the student sees every mode). num_samples: P, or jnp.inf
    for fresh data, an infinite batch, at every step. times: (T,) increasing, lr x steps for gradient flow, whole
    step counts for gradient descent; none for Ridge. keys: (S,) from `jax.random.split`, one a seed.
    parametrization: "ntk", F_ik ~ N(0, 1/N), or "standard", F_ik ~ N(0, 1), whose clock is N t.

    Returns a `Curve` with risk and train_loss (S, T): kind "Monte Carlo" where steps are taken; gradient flow has none
    and is solved as `exact` does, ridge regression by least squares. Draws are normals of 24 random bits, arithmetic is
    float64 whatever the x64 flag says. One compilation a shape: noise, spectrum, target and learning rate are traced.

    Raises ValueError for sizes below 1, an infinite number of modes, times that do not increase, an unknown
    parametrization, or a learning rate at or beyond 2/z_max of a draw, naming the largest stable one.
    """
    setting = Setting(num_features, num_samples, parametrization)
    steps = hasattr(optimizer, "step")
    method = train if steps or isinstance(optimizer, Ridge) else solve
    return run(problem, setting, optimizer, times, keys, method, MONTE_CARLO if steps else EXACT, progress)


def train(
    setting: Setting, optimizer: Optimizer, times: Array, draws: Draw, eigensystems: tuple[Array, Array]
) -> Array:
    """Weights (S, T, n) at all times, for a batch of draws; the eigensystems of `solve` are not used."""
    del eigensystems
    if isinstance(optimizer, Ridge):
        return jax.vmap(lambda draw: _solve_ridge(setting, optimizer, draw)[None])(draws)

    def gradient(draw, v):
        if draw.design is None:
            moment = draw.labels / setting.num_samples if setting.dual else draw.labels
            return v @ draw.gram - moment
        # r @ Phi, not Phi.T @ r: the transpose would be copied at every step on CPU
        return (draw.design @ v - draw.labels) @ draw.design / setting.num_samples

    def segment(carry, stop):  # one scan over recorded times; the steps between are a loop of traced length
        v, start = carry
        step = lambda _, v: optimizer.step(v, jax.vmap(gradient)(draws, v))  # noqa: E731
        v = lax.fori_loop(start, stop, step, v)
        return (v, stop), v

    seeds, n = draws.labels.shape[0], (draws.gram if draws.design is None else draws.design).shape[-1]
    start = jnp.zeros((seeds, n))
    _, weights = lax.scan(segment, (start, jnp.zeros((), int)), times.astype(int))  # (T, S, n)
    return jnp.swapaxes(weights, 0, 1)


def _solve_ridge(setting: Setting, optimizer: Ridge, draw: Draw) -> Array:
    """(n,) weights of (H + ridge) v = Phi^T y / P, or of its dual where P < N.

    By least squares, so that without a ridge a singular system gives the weights of least norm.
    """
    p, phi = setting.num_samples, draw.design
    if phi is None:
        gram, moment = draw.gram, draw.labels / p if setting.dual else draw.labels
    elif setting.dual:
        gram, moment = phi @ phi.T / p, draw.labels / p
    else:
        gram, moment = phi.T @ phi / p, draw.labels @ phi / p
    weights, *_ = jnp.linalg.lstsq(gram + optimizer.ridge * jnp.eye(len(gram)), moment)
    return weights @ phi if setting.dual and phi is not None else weights
