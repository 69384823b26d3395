"""Features of a small trained network: its last hidden layer, and its empirical neural tangent kernel.

    trained = network_features.fit(inputs, labels, num_train=1_000, key=key)
    rest = trained.rest  # rows that did not train the network: on others its features know the labels
    problem = rfm.from_features(network_features.last_layer(trained, inputs[rest]), labels[rest])

Notation: h_0 = x, u_l = m_l h_{l-1} W_l, h_l = max(0, u_l), f = u_L (see `rfm.networks`), K outputs. Networks are
trained in float32; features are float64, since what is small in a spectrum counts.
"""

import dataclasses
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rfm import checks
from rfm.devices import available_memory
from rfm.networks import networks
from rfm.networks.networks import Network
from rfm.precision import float64

ROW_BLOCK = 512  # rows at a time


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained network.

    Attributes:
        network: Its scales.
        params: Weights of all layers, each (fan_in, fan_out).
        mean: Of the inputs it was trained on, (d,).
        scale: Of those inputs.
        rows: Rows (num_train,) that trained it, increasing.
        rest: The other rows, increasing.
        loss: On its rows, (start, end), mean over outputs, where predicting the mean label is a loss of 1.
    """

    network: Network
    params: list[np.ndarray]
    mean: np.ndarray
    scale: float
    rows: np.ndarray
    rest: np.ndarray
    loss: tuple[float, float]

    def inputs(self, x: np.ndarray) -> np.ndarray:
        """Return what the network sees of rows x (n, d)."""
        return (np.asarray(x, float) - self.mean) / self.scale


def fit(
    inputs: np.ndarray,
    labels: np.ndarray,
    num_train: int,
    key: Array,
    *,
    width: int = 64,
    depth: int = 1,
    steps: int = 2_000,
    lr: float = 0.03,
    batch_size: int = 64,
    parametrization: str = "ntk",
) -> Trained:
    """Train a network of ReLU neurons on some of the rows, by Adam in mini-batches.

    Args:
        inputs: (n, d).
        labels: (n,) or (n, K); both are centred and scaled on the rows that train.
        num_train: Rows to train on, drawn without replacement.
        key: Of the rows, the weights at the start and the mini-batches.
        width: Neurons of a hidden layer.
        depth: Hidden layers.
        steps: Steps of Adam.
        lr: Its learning rate.
        batch_size: Rows of a step.
        parametrization: "standard", "ntk" or "mup", see `rfm.networks.networks`.

    Returns:
        The network, with the rows that trained it and the others.

    Raises:
        ValueError: Wrong shapes and sizes, values that are not finite, rows or labels that are all the same, or
            training that diverges.

    Example:
        >>> import jax, numpy as np
        >>> from rfm import network_features
        >>> x = np.random.default_rng(0).standard_normal((40, 3))
        >>> trained = network_features.fit(x, x[:, 0], num_train=20, key=jax.random.key(0), width=8, steps=20)
        >>> network_features.last_layer(trained, x[trained.rest]).shape
        (20, 8)
    """
    x, y = np.asanyarray(inputs), np.asarray(labels, float)
    if x.ndim != 2 or x.dtype.kind not in "fiub":
        checks.fail("inputs", "a matrix (n, d) of numbers", f"an array {x.shape} of {x.dtype}")
    y = y[:, None] if y.ndim == 1 else y
    if y.ndim != 2 or len(y) != len(x):
        checks.fail("labels", f"of shape ({len(x)},) or ({len(x)}, K)", y.shape)
    counts = {"width": width, "depth": depth, "steps": steps, "batch_size": batch_size}
    width, depth, steps, batch_size = (checks.count(k, v, "an integer >= 1") for k, v in counts.items())
    num_train = checks.count("num_train", num_train, "an integer >= 1")
    if not 2 <= num_train < len(x):
        checks.fail("num_train", f"at least 2, and less than the {len(x)} rows: some must be left", num_train)
    chosen, start, batches = jax.random.split(key, 3)
    order = np.asarray(jax.random.permutation(chosen, len(x)))
    rows, rest = np.sort(order[:num_train]), np.sort(order[num_train:])
    x, y = np.asarray(x[rows], float), y[rows]
    for name, value in (("inputs", x), ("labels", y)):
        if not np.all(np.isfinite(value)) or not value.std(0).max() > 0:
            checks.fail(name, "finite, in rows that differ", value)
    mean, scale = x.mean(0), np.sqrt(np.mean((x - x.mean(0)) ** 2))
    y = (y - y.mean(0)) / np.sqrt(np.mean(y.var(0)))  # of the size of the outputs at the start
    network = networks.build((x.shape[1], *[width] * depth, y.shape[1]), parametrization, "adam")
    x, y = jnp.asarray((x - mean) / scale, jnp.float32), jnp.asarray(y, jnp.float32)
    weights = networks.init(network, start)
    weights, losses = _train(
        network, weights, x, y, lr=lr, steps=steps, key=batches, batch_size=min(batch_size, num_train)
    )
    first, last = (float(v) for v in losses)
    if not np.isfinite(last):
        checks.fail("lr", "smaller: training diverged", lr)
    params = [np.asarray(w, float) for w in weights]
    return Trained(network, params, mean, float(scale), rows, rest, (first, last))


@partial(jax.jit, static_argnames="batch_size")
def _train(
    network: Network, params: list[Array], x: Array, y: Array, *, lr: float, steps: int, key: Array, batch_size: int
) -> tuple[list[Array], Array]:
    every = jnp.full(len(x), 1.0 / y.size, x.dtype)  # mean squares over rows and outputs

    def sample(i: Array) -> tuple[Array, Array, Array]:
        rows = jax.random.randint(jax.random.fold_in(key, i), (batch_size,), 0, len(x), jnp.int32)
        return x[rows], y[rows], jnp.full(batch_size, 1.0 / (batch_size * y.shape[1]), x.dtype)

    rule = networks.rule(network, "adam", lr)
    return networks.train(network, params, rule, sample, (x, y, every), times=jnp.array([0, 1]) * steps)


def last_layer(trained: Trained, inputs: np.ndarray) -> np.ndarray:
    """Return h_{L-1}, what the last weights act on: f = m_L h_{L-1} W_L.

    Args:
        trained: The network.
        inputs: (n, d).

    Returns:
        Features (n, width), float64.

    Raises:
        ValueError: Inputs of another shape.
    """
    with float64():
        return _by_blocks(lambda x: _hidden(trained.network, trained.params, x)[-1], trained, inputs)


def tangent_kernel(trained: Trained, inputs: np.ndarray) -> np.ndarray:
    """Return Theta(x, x') = (1/K) sum_k grad f_k(x) . grad f_k(x'), gradients in all weights.

    The kernel in which gradient descent moves f at the weights that training ended with; of several outputs the mean of
    their kernels, without what couples them (at infinite width nothing does). No gradient is ever held: it is the sum
    over layers of m_l^2 (h_{l-1} . h_{l-1}') (1/K) sum_k d_lk . d_lk', where d_lk = df_k/du_l.

    Args:
        trained: The network.
        inputs: (n, d).

    Returns:
        The kernel (n, n), float64.

    Raises:
        ValueError: Inputs of another shape, or whose kernel does not fit into memory.
    """
    x = _checked(trained, inputs)
    available = available_memory()
    if available is not None and 8 * len(x) ** 2 > available:
        allowed = f"fewer rows: their kernel takes {8 * len(x) ** 2 / 1e9:.3g} GB of {available / 1e9:.3g} GB free"
        checks.fail("inputs", allowed, x.shape)
    kernel = np.empty((len(x), len(x)))
    starts = range(0, len(x), ROW_BLOCK)
    with float64():
        for i in starts:
            for j in starts[: i // ROW_BLOCK + 1]:
                rows, columns = (_block(trained, x, start) for start in (i, j))
                block = np.asarray(_tangent_block(trained.network, trained.params, rows, columns))
                part = kernel[i : i + ROW_BLOCK, j : j + ROW_BLOCK]
                part[:] = block[: part.shape[0], : part.shape[1]]
                kernel[j : j + ROW_BLOCK, i : i + ROW_BLOCK] = part.T
    return kernel


def tangent_features(trained: Trained, inputs: np.ndarray, num_features: int, key: Array) -> np.ndarray:
    """Draw random features of the tangent kernel, whose inner products average to it: for many rows.

    Feature i is the gradient of f along a random direction of rank one in every layer, for random outputs:
    num_features^(-1/2) sum_l m_l (h_{l-1} . a_li) (d_l . b_li)/K^(1/2), a and b standard normal.

    Args:
        trained: The network.
        inputs: (n, d).
        num_features: How many to draw.
        key: Of the directions.

    Returns:
        Features (n, num_features), float64.

    Raises:
        ValueError: Inputs of another shape, or a num_features that is not a whole number >= 1.
    """
    num_features = checks.count("num_features", num_features, "an integer >= 1")
    network, params = trained.network, trained.params
    with float64():
        keys = jax.random.split(key, 2 * len(params))
        sides = [shape for w in params for shape in (w.shape[0], w.shape[1] * network.widths[-1])]
        directions = [jax.random.normal(k, (side, num_features)) for k, side in zip(keys, sides, strict=True)]
        return _by_blocks(lambda x: _tangent_features(network, params, directions, x), trained, inputs)


@jax.jit
def _hidden(network: Network, params: list[Array], x: Array) -> list[Array]:
    """Return h_0 .. h_{L-1}, each (B, fan_in)."""
    hidden = [x]
    for m, w in zip(network.multiplier, params[:-1], strict=False):
        hidden.append(jax.nn.relu(m * (hidden[-1] @ w)))
    return hidden


def _slopes(network: Network, params: list[Array], hidden: list[Array]) -> list[Array]:
    """Return m_l/K^(1/2) df_k/du_l for l = 1 .. L, each (B, K fan_out)."""
    rows, outputs = len(hidden[0]), network.widths[-1]
    slopes = [jnp.broadcast_to(jnp.eye(outputs), (rows, outputs, outputs))]
    for layer in range(len(params) - 1, 0, -1):
        back = network.multiplier[layer] * (slopes[0] @ params[layer].T)  # (B, K, fan_out)
        slopes.insert(0, back * (hidden[layer] > 0)[:, None, :])
    return [m * s.reshape(rows, -1) / outputs**0.5 for m, s in zip(network.multiplier, slopes, strict=True)]


@jax.jit
def _tangent_block(network: Network, params: list[Array], x: Array, y: Array) -> Array | int:
    h, g = (_hidden(network, params, z) for z in (x, y))
    d, e = (_slopes(network, params, hidden) for hidden in (h, g))
    return sum((h @ g.T) * (d @ e.T) for h, g, d, e in zip(h, g, d, e, strict=True))


@jax.jit
def _tangent_features(network: Network, params: list[Array], directions: list[Array], x: Array) -> Array:
    hidden = _hidden(network, params, x)
    sides = zip(hidden, _slopes(network, params, hidden), directions[::2], directions[1::2], strict=True)
    return sum((h @ a) * (d @ b) for h, d, a, b in sides) / directions[0].shape[1] ** 0.5


def _checked(trained: Trained, inputs: np.ndarray) -> np.ndarray:
    x = np.asanyarray(inputs)  # what is on disk stays there
    if x.ndim != 2 or x.shape[1] != len(trained.mean) or not len(x):
        checks.fail("inputs", f"of shape (n, {len(trained.mean)})", x.shape)
    return x


def _block(trained: Trained, x: np.ndarray, start: int) -> np.ndarray:
    """Return what the network sees of ROW_BLOCK rows, zeros below the last: one shape, one compilation."""
    seen = trained.inputs(x[start : start + ROW_BLOCK])
    return np.concatenate([seen, np.zeros((ROW_BLOCK - len(seen), seen.shape[1]))])


def _by_blocks(function: Callable[..., Array], trained: Trained, inputs: np.ndarray) -> np.ndarray:
    """Return function(x), float64, of ROW_BLOCK rows x at a time."""
    x = _checked(trained, inputs)
    parts = [np.asarray(function(_block(trained, x, start))) for start in range(0, len(x), ROW_BLOCK)]
    return np.concatenate(parts)[: len(x)]
