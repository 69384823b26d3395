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

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from rfm import checks
from rfm.problem import KERNELS

PARAMETRIZATIONS = ("standard", "ntk", "mup")
OPTIMIZERS = ("gd", "adam", "sign-sgd")
BASE = 64


@dataclasses.dataclass(frozen=True)
class Network:
    """widths (d, n, ..., k): inputs, hidden layers of one width n, outputs."""

    widths: tuple[int, ...]
    parametrization: str = "standard"
    base: int = BASE  # width where mup and standard are the same

    def __post_init__(self):
        checks.one_of("parametrization", self.parametrization, PARAMETRIZATIONS)
        if len(self.widths) < 3 or len(set(self.widths[1:-1])) > 1 or min(self.widths) < 1:
            checks.fail("widths", "(inputs, width, ..., width, outputs), all at least 1", self.widths)

    @property
    def num_parameters(self) -> int:
        """Weights of all layers."""
        return sum(a * b for a, b in zip(self.widths, self.widths[1:], strict=False))

    @property
    def scales(self) -> list[tuple[float, float]]:
        """(s_l, m_l) of every layer."""
        fans, last = self.widths[:-1], len(self.widths) - 2
        ratio = self.widths[1] / self.base
        whole = [math.sqrt((2.0 if layer else 1.0) / n) for layer, n in enumerate(fans)]
        if self.parametrization == "ntk":
            return [(1.0, size) for size in whole]
        shrink = ratio**-0.5 if self.parametrization == "mup" else 1.0
        return [(size * (shrink if layer == last else 1.0), 1.0) for layer, size in enumerate(whole)]

    def rates(self, adaptive: bool) -> list[float]:
        """r_l of every layer; adaptive: is the step independent of the size of the gradient?"""
        hidden = len(self.widths) - 3
        ratio = self.widths[1] / self.base
        if self.parametrization != "mup":
            return [1.0] * (hidden + 2)
        return [1.0, *[1 / ratio] * hidden, 1 / ratio] if adaptive else [ratio, *[1.0] * hidden, 1 / ratio]


def init(network: Network, key: Array, dtype=jnp.float32) -> list[Array]:
    """Weights of all layers, each (fan_in, fan_out)."""
    keys = jax.random.split(key, len(network.widths) - 1)
    shapes = zip(network.widths, network.widths[1:], strict=False)
    return [
        s * jax.random.normal(k, shape, dtype) for k, shape, (s, _) in zip(keys, shapes, network.scales, strict=True)
    ]  # fmt: skip


def apply(network: Network, params: list[Array], x: Array) -> Array:
    """f(x) (B, k) of inputs (B, d)."""
    for layer, (weight, (_, m)) in enumerate(zip(params, network.scales, strict=True)):
        x = m * ((jax.nn.relu(x) if layer else x) @ weight)
    return x


def loss(network: Network, params: list[Array], x: Array, y: Array, weight: Array) -> Array:
    """sum_i weight_i |f(x_i) - y_i|^2; x (B, d), y (B, k), weight (B,)."""
    return weight @ jnp.sum((apply(network, params, x) - y) ** 2, axis=-1)


def optimizer(network: Network, name: str, lr):
    """The optax transformation `name` of OPTIMIZERS with the steps of the parametrization; lr: a number or a schedule."""
    import optax

    checks.one_of("name", name, OPTIMIZERS)
    rule = {"gd": optax.sgd, "adam": optax.adam, "sign-sgd": optax.sign_sgd}[name]
    rates = network.rates(adaptive=name != "gd")
    scale = optax.stateless(lambda updates, _: [r * u for r, u in zip(rates, updates, strict=True)])
    return optax.chain(rule(lr), scale)


def train(
    network: Network,
    params: list[Array],
    rule,
    sample: Callable[[Array], tuple[Array, Array, Array]],
    test: tuple[Array, Array, Array],
    times: Array,
    key: Array,
) -> tuple[list[Array], Array]:
    """Trained weights, and the loss (T,) on `test` = (x, y, weight) after each number of steps in `times` (T,).

    rule: an optax transformation; sample(key): the (x, y, weight) of one step, drawn anew, or the same for full batches.
    Pure: to be called inside `jax.jit`, and `jax.vmap` over seeds or learning rates.
    """
    import optax

    def step(_, carry):
        params, state, key = carry
        key, own = jax.random.split(key)
        grads = jax.grad(lambda p: loss(network, p, *sample(own)))(params)
        updates, state = rule.update(grads, state, params)
        return optax.apply_updates(params, updates), state, key

    def interval(carry, length):
        carry = lax.fori_loop(0, length, step, carry)
        return carry, loss(network, carry[0], *test)

    (params, _, _), losses = lax.scan(interval, (params, rule.init(params), key), jnp.diff(times, prepend=0))
    return params, losses


def kernels(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Covariance of f at the start and neural tangent kernel (P, P) of one hidden layer of infinite width, "ntk".

    E f f' = 2 E s(u) s(u'), and 2 E s'(u) s'(u') x x'/d more, u = w x/sqrt(d), w ~ N(0, 1), s the ReLU.
    """
    gram = x @ x.T / x.shape[1]
    norm = np.sqrt(np.diag(gram))
    norm = np.where(norm > 0, norm, 1.0)
    start = 2.0 * KERNELS["relu"](gram)
    both = 1.0 - np.arccos(np.clip(gram / np.outer(norm, norm), -1.0, 1.0)) / np.pi  # 2 P(u > 0, u' > 0)
    return start, start + gram * both


def lazy(kernel: np.ndarray, y: np.ndarray, weight: np.ndarray, lr: float, steps: int) -> np.ndarray:
    """f(x) - f_0(x) (n, k) of infinite width after gradient descent on labels y + f_0, from its tangent kernel (n, n).

    The residual of the rows of weight w takes steps 1 - 2 lr sqrt(w) K sqrt(w); rows of weight zero are not trained on.
    """
    root = np.sqrt(weight)[:, None]
    values, basis = np.linalg.eigh(root * kernel * root.T)
    least = values[-1] * 1e-14  # what is below is rounding, and has not been learned
    values = np.maximum(values, least)
    gain = (1.0 - (1.0 - 2 * lr * values) ** steps) / values
    return kernel @ (root * (basis @ (gain[:, None] * (basis.T @ (root * y)))))
