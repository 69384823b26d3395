"""Fully connected ReLU networks without biases, in three parametrizations, trained by any optax transformation.

Layer l maps h to m_l W_l h, W_l ~ N(0, s_l^2) (fan_in, fan_out), with a ReLU between layers; the step of the optimizer
is multiplied by r_l. With g = 1 in the first layer and 2 after a ReLU (He et al. 2015), n the fan-in and q = n/base:

    parametrization  s_l^2   m_l^2   r_l of gradients      r_l of Adam and signs
    standard         g/n     1       1                     1
    ntk              1       g/n     1                     1
    mup, first       g/n     1       q (of the width)      1
    mup, hidden      g/n     1       1                     1/q
    mup, last        g/(nq)  1       1/q                   1/q

(ntk: Jacot et al. 2018; mup: Yang et al. 2022, Tensor Programs V, Table 3; at n = base it is the standard one.)
A bias of the first layer is an input that is constant. The loss is sum_i weight_i |f(x_i) - y_i|^2, no factor 1/2; with
weights 1/P it is the training loss of this project. Arrays are float32 unless `dtype` says otherwise: networks learn
nothing from digits 8 to 16, and single precision is twice as fast.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import DTypeLike

from rfm import checks
from rfm.data.kernels import KERNELS
from rfm.pytrees import pytree, static

if TYPE_CHECKING:
    import optax  # slow to import, and needed by few

PARAMETRIZATIONS = ("standard", "ntk", "mup")
OPTIMIZERS = ("gd", "adam", "sign-sgd")
BASE = 64  # width where mup is the standard parametrization


@pytree
class Network:
    """Scales of a network in one parametrization.

    scale, multiplier, rate: s_l, m_l and r_l (L,), traced, so that parametrizations share one compilation. widths:
    (d, n, ..., k), inputs, hidden layers of one width n, outputs.
    """

    scale: Array | np.ndarray
    multiplier: Array | np.ndarray
    rate: Array | np.ndarray
    widths: tuple[int, ...] = static()


def build(widths: tuple[int, ...], parametrization: str = "standard", optimizer: str = "gd") -> Network:
    """Return a network in one of PARAMETRIZATIONS for one of OPTIMIZERS; ValueError for others, and wrong widths."""
    checks.one_of("parametrization", parametrization, PARAMETRIZATIONS)
    checks.one_of("optimizer", optimizer, OPTIMIZERS)
    if len(widths) < 3 or len(set(widths[1:-1])) > 1 or min(widths) < 1:
        checks.fail("widths", "(inputs, width, ..., width, outputs), all at least 1", widths)
    hidden, ratio = len(widths) - 3, widths[1] / BASE
    whole = np.array([math.sqrt((2.0 if layer else 1.0) / n) for layer, n in enumerate(widths[:-1])])
    scale, multiplier, rate = whole, np.ones(hidden + 2), np.ones(hidden + 2)
    if parametrization == "ntk":
        scale, multiplier = multiplier, whole
    elif parametrization == "mup":
        scale[-1] *= ratio**-0.5
        rate[-1] = 1.0 / ratio
        if optimizer == "gd":
            rate[0] = ratio
        else:
            rate[1:-1] = 1.0 / ratio
    return Network(scale, multiplier, rate, tuple(widths))


def init(network: Network, key: Array, dtype: DTypeLike = jnp.float32) -> list[Array]:
    """Draw the weights of all layers, each (fan_in, fan_out)."""
    keys = jax.random.split(key, len(network.widths) - 1)
    shapes = zip(network.widths, network.widths[1:], strict=False)
    return [
        jnp.asarray(s, dtype) * jax.random.normal(k, shape, dtype)
        for k, shape, s in zip(keys, shapes, network.scale, strict=True)
    ]


def apply(network: Network, params: list[Array], x: Array, activation: Callable[[Array], Array] = jax.nn.relu) -> Array:
    """Return f(x) (B, k) of inputs (B, d)."""
    for layer, weight in enumerate(params):
        m = jnp.asarray(network.multiplier[layer], weight.dtype)
        x = m * ((activation(x) if layer else x) @ weight)
    return x


def loss(network: Network, params: list[Array], x: Array, y: Array, weight: Array) -> Array:
    """Return sum_i weight_i |f(x_i) - y_i|^2; x (B, d), y (B, k), weight (B,)."""
    return weight @ jnp.sum((apply(network, params, x) - y) ** 2, axis=-1)


def rule(network: Network, optimizer: str, lr: Any) -> "optax.GradientTransformation":
    """Return the optax transformation of one of OPTIMIZERS, its steps times r_l; lr: a number or a schedule."""
    import optax

    def scale(updates: Any, params: Any) -> list[Array]:
        del params
        return [jnp.asarray(r, u.dtype) * u for r, u in zip(network.rate, updates, strict=True)]

    steps = {"gd": optax.sgd, "adam": optax.adam, "sign-sgd": optax.sign_sgd}[optimizer](lr)
    return optax.chain(steps, optax.stateless(scale))


def train(
    network: Network,
    params: list[Array],
    steps: "optax.GradientTransformation",
    sample: Callable[[Array], tuple[Array, Array, Array]],
    test: tuple[Array, Array, Array],
    *,
    times: Array,
) -> tuple[list[Array], Array]:
    """Train, and return weights and the loss (T,) on `test` = (x, y, weight) after every number of steps in `times`.

    steps: an optax transformation, see `rule`; sample(i): the (x, y, weight) of step i, always the same for full
    batches. Pure: to be called inside `jax.jit`, and `jax.vmap` over seeds or learning rates.
    """
    import optax

    def step(i: Array, carry: tuple) -> tuple:
        params, state = carry
        grads = jax.grad(lambda p: loss(network, p, *sample(i)))(params)
        updates, state = steps.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    def interval(carry: tuple, ends: tuple[Array, Array]) -> tuple[tuple, Array]:
        start, stop = ends
        carry = lax.fori_loop(start, stop, step, carry)
        return carry, loss(network, carry[0], *test)

    starts = jnp.concatenate([jnp.zeros(1, times.dtype), times[:-1]])
    (params, _), losses = lax.scan(interval, (params, steps.init(params)), (starts, times))
    return params, losses


def kernels(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the covariance of f at the start and the tangent kernel (P, P) of one infinitely wide hidden layer, "ntk".

    E f f' = 2 E s(u) s(u'), and 2 E s'(u) s'(u') x x'/d more, u = w x/sqrt(d), w ~ N(0, 1), s the ReLU.
    """
    gram = x @ x.T / x.shape[1]
    norm = np.sqrt(np.diag(gram))
    norm = np.where(norm > 0, norm, 1.0)
    start = 2.0 * KERNELS["relu"](gram)
    both = 1.0 - np.arccos(np.clip(gram / np.outer(norm, norm), -1.0, 1.0)) / np.pi  # 2 P(u > 0, u' > 0)
    return start, start + gram * both


def lazy(kernel: np.ndarray, y: np.ndarray, weight: np.ndarray, lr: float, steps: int) -> np.ndarray:
    """Return f(x) - f_0(x) (n, k) of infinite width after gradient descent on labels y + f_0, from its tangent kernel.

    The residual of the rows of weight w takes steps 1 - 2 lr sqrt(w) K sqrt(w); rows of weight zero are not trained on.
    """
    root = np.sqrt(weight)[:, None]
    values, basis = np.linalg.eigh(root * kernel * root.T)
    least = values[-1] * 1e-14  # what is below is rounding, and has not been learned
    values = np.maximum(values, least)
    gain = (1.0 - (1.0 - 2 * lr * values) ** steps) / values
    return kernel @ (root * (basis @ (gain[:, None] * (basis.T @ (root * y)))))
