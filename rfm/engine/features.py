"""Random draws: features, data, label noise; the modes streamed in chunks, so memory never grows with M."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from rfm import threefry
from rfm.devices import AXIS
from rfm.engine.row_kinds import noise_shares, root_variances
from rfm.problem import Population, Problem

CHUNK = 1024  # modes a step: large enough for a matrix product at full speed
SGD_BLOCK = 2**14  # random numbers for SGD that one model draws at a time

ACTIVATIONS = {"relu": jax.nn.relu, "erf": jax.scipy.special.erf}  # each has its kernel in `kernels.KERNELS`
FeatureLaw = Callable[[Array, tuple[int, int]], Array]  # (key, shape) -> numbers of mean 0 and variance 1
FEATURES = ("gaussian", "rademacher", *ACTIVATIONS)

# sub-keys of a seed, by name; a draw changes with the seed and with nothing else
_FEATURES, _DATA, _NOISE, _STEPS = 0, 1, 2, 3  # and 4: `row_kinds.KINDS`
MOST_MEMBERS = 2**14  # of an ensemble, or of its data sets


class Counts(NamedTuple):
    """Numbers of features and samples in arrays that are longer: the rest is zero."""

    features: Any
    samples: Any


class Setting(NamedTuple):
    """Sizes of the arrays and kind of a run, one size possibly math.inf: hashable, so that each compiles once.

    batch_size: of SGD, 0 for algorithms that see every sample. mode_parts: devices that the modes are divided among.
    counts: traced, inside a program that serves several sizes (`padding`); None where they are those of the arrays.
    hidden: width of a Gaussian layer between features and readout, None where it is the identity. kept_steps: of a
    trained layer that is kept as the vectors of its steps, 0 where it is an array.
    """

    num_features: float
    num_samples: float
    parametrization: str
    features: str | FeatureLaw = "gaussian"
    batch_size: int = 0
    mode_parts: int = 1
    counts: Counts | None = None
    hidden: int | None = None
    kept_steps: int = 0

    @property
    def dual(self) -> bool:
        """Is the smaller linear system the one over samples?"""
        return self.num_samples < self.num_features

    @property
    def true(self) -> Counts:
        """Numbers of features and samples that count."""
        return Counts(self.num_features, self.num_samples) if self.counts is None else self.counts


class Keys(NamedTuple):
    """Keys that one model draws from: features, data with its label noise, and the batches of SGD."""

    features: Array
    data: Array
    steps: Array


def member_keys(keys: Array, ensemble: int, bags: int) -> Keys:
    """Keys (S * ensemble * bags,) of all models of S seeds: every feature draw meets every data set of its seed."""
    k, b = jnp.meshgrid(jnp.arange(ensemble), jnp.arange(bags), indexing="ij")  # (K, B)
    k, b = k.ravel(), b.ravel()
    # one fold of (what, which) in place of one after the other: hashing takes longest to compile
    numbers = jnp.stack([_FEATURES + 4 * k, _DATA + 4 * b, _STEPS + 4 * (k * MOST_MEMBERS + b)])  # (3, K * B)
    fold = jax.vmap(jax.vmap(jax.vmap(threefry.fold_in, (None, 0)), (None, 0)), (0, None), 1)
    return Keys(*fold(keys, numbers).reshape(3, -1))


class Draw(NamedTuple):
    """One draw of features and data, reduced to what training sees. n is N, or P where N is infinite.

    design: (P, N) features of the samples, None where N or P is infinite.
    gram: (n, n) curvature of the loss: F Lambda F^T where P is infinite, Psi Psi^T / P where N is; else None.
    labels: (P,) labels, or (N,) the moment F Lambda w where P is infinite; (K, ...) those of K outputs.
    """

    design: Array | None
    gram: Array | None
    labels: Array

    @property
    def matrix(self) -> Array:
        """The design or the gram matrix, whichever exists."""
        matrix = self.gram if self.design is None else self.design
        assert matrix is not None
        return matrix

    def rows(self, setting: Setting) -> Any:
        """Number of rows of the design that count: of a population, all that fresh batches are drawn from."""
        return len(self.matrix) if setting.counts is None else setting.counts.samples

    def moment(self, setting: Setting) -> Array:
        """The sides b of gram v = b, where there is no design: the labels of samples count 1/P each."""
        return self.labels / setting.true.samples if setting.dual else self.labels

    def less(self, setting: Setting, v: Array) -> "Draw":
        """Return the draw with labels less what weights v (K, n) predict: training on it is training from v."""
        count = setting.true.samples if setting.dual else 1.0
        predicted = v @ self.matrix * count if self.design is None else v @ self.design.T
        return self._replace(labels=self.labels - predicted)


def draw(problem: Problem, setting: Setting, keys: Keys) -> Draw:
    """Sample F and the data set of one model."""
    population = problem.population
    if population is not None and neural(setting):
        return _draw_neurons(problem, population, setting, keys)
    sample = _draw_moments if math.isinf(setting.num_samples) else _draw_data
    return sample(problem, setting, keys)


def _draw_neurons(problem: Problem, population: Population, setting: Setting, keys: Keys) -> Draw:
    phi, labels = neurons(population, setting, keys.features), jnp.asarray(population.labels)
    if math.isinf(setting.num_samples):
        return Draw(None, phi.T @ phi / len(phi), phi.T @ labels / len(phi))
    p = int(setting.num_samples)
    rows = sampled_rows(population, p, keys.data)
    return Draw(phi[rows], None, labels[rows] + _label_noise(problem, p, keys.data))


def _draw_moments(problem: Problem, setting: Setting, keys: Keys) -> Draw:
    """Infinite P: nothing but F is random."""

    def add(i: Array, total: tuple[Array, Array]) -> tuple[Array, Array]:
        gram, moment = total
        f, lam, w = feature_chunk(problem, setting, keys.features, i)
        root = jnp.sqrt(lam)
        half = f * root[None]  # one operand: of two the compiler would draw each by itself
        return gram + half @ half.T, moment + half @ (root * w)

    n = int(setting.num_features)
    gram, moment = sum_chunks(problem, setting, add, (jnp.zeros((n, n)), jnp.zeros(n)))
    return Draw(None, gram, moment)


def _draw_data(problem: Problem, setting: Setting, keys: Keys) -> Draw:
    """Finite P; Psi Psi^T / P in place of the design where N is infinite."""
    p, kernel = int(setting.num_samples), math.isinf(setting.num_features)
    labels = kept(_label_noise(problem, p, keys.data), setting.counts and setting.counts.samples)
    if problem.population is not None:
        labels = labels + jnp.asarray(problem.population.labels)[sampled_rows(problem.population, p, keys.data)]

    def add(i: Array, total: tuple[Array, Array]) -> tuple[Array, Array]:
        product, labels = total
        psi, w = data_chunk(problem, setting, keys.data, i)
        if problem.population is None:  # a population brings its own labels
            labels = labels + psi @ w
        if kernel:
            return product + psi @ psi.T / setting.true.samples, labels
        f, _, _ = feature_chunk(problem, setting, keys.features, i)
        return product + psi @ f.T, labels

    columns = p if kernel else int(setting.num_features)
    product, labels = sum_chunks(problem, setting, add, (jnp.zeros((p, columns)), labels))
    return Draw(None, product, labels) if kernel else Draw(product, None, labels)


def num_chunks(problem: Problem) -> float | Array:
    """Count the steps of the stream over modes; traced where the number of modes is."""
    return -(-problem.num_modes // chunk_length(problem))


def sum_chunks(problem: Problem, setting: Setting, add: Callable, start: Any) -> Any:
    """`start` with the chunks 0 .. num_chunks - 1 added by add(index, total), which is linear in what it adds.

    Where the modes are divided among devices each sums every so many-th chunk, and psum contracts the parts. A chunk
    draws from its own index, so that only rounding depends on the number of devices.
    """
    parts = setting.mode_parts
    if parts == 1:
        return lax.fori_loop(0, num_chunks(problem), add, start)
    device = lax.axis_index(AXIS)
    count = (num_chunks(problem) - device + parts - 1) // parts
    part = lax.fori_loop(0, count, lambda j, total: add(device + j * parts, total), jax.tree.map(jnp.zeros_like, start))
    return jax.tree.map(lambda x, y: x + lax.psum(y, AXIS), start, part)


def chunk_length(problem: Problem) -> int:
    """Modes for each step; the number of modes of a tail is traced, and modes beyond it count as zero."""
    return CHUNK if problem.tail is not None else min(CHUNK, len(problem.eigenvalues))


def feature_chunk(problem: Problem, setting: Setting, key: Array, index: ArrayLike) -> tuple[Array, Array, Array]:
    """F (N, c), eigenvalues (c,) and target (c,) of the chunk of modes `index`."""
    length = chunk_length(problem)
    lam, w = problem.modes(index * length, length)
    key = threefry.fold_in(key, index)
    n = int(setting.num_features)
    # number ij of a named law depends on its own place alone: more rows leave those before as they are
    law = LAWS[setting.features] if isinstance(setting.features, str) else setting.features
    f = jnp.asarray(law(key, (n, length)), float)
    f = kept(f, setting.counts and setting.counts.features)
    return (f if setting.parametrization == "standard" else f / jnp.sqrt(setting.true.features)), lam, w


def kept(rows: Array, count: Array | float | None) -> Array:
    """Rows (n, ...) with zeros past the first `count`, where it is given."""
    if count is None:
        return rows
    index = jnp.arange(len(rows)).reshape(-1, *[1] * (rows.ndim - 1))
    return jnp.where(index < count, rows, 0.0)


def neural(setting: Setting) -> bool:
    """Are the features neurons, not linear combinations of modes? Infinitely many are their kernel, which is linear."""
    return setting.features in ACTIVATIONS and math.isfinite(setting.num_features)


def neurons(population: Population, setting: Setting, key: Array) -> Array:
    """activation(X W^T)/sqrt(N) of all rows of the population, (n, N), with W_ij ~ N(0, 1), centred like its kernel."""
    n, inputs = int(setting.num_features), jnp.asarray(population.inputs)
    phi = ACTIVATIONS[str(setting.features)](inputs @ normal(key, (n, inputs.shape[1])).T)
    phi = (phi - phi.mean(0, keepdims=True)) * population.scale
    return phi if setting.parametrization == "standard" else phi / math.sqrt(n)


def data_chunk(problem: Problem, setting: Setting, key: Array, index: ArrayLike) -> tuple[Array, Array]:
    """Psi (P, c) and target (c,) of the chunk of modes `index`: Gaussian, or rows of the population."""
    p, length = int(setting.num_samples), chunk_length(problem)
    lam, w = problem.modes(index * length, length)
    if problem.population is not None:
        return row_chunk(problem, problem.population, index)[sampled_rows(problem.population, p, key)], w
    root = root_variances(problem, (p, key), index, lam)
    key = threefry.fold_in(threefry.fold_in(key, _DATA), index)
    psi = normal(key, (p, length)) * root
    return kept(psi, setting.counts and setting.counts.samples), w


def row_chunk(problem: Problem, population: Population, index: ArrayLike) -> Array:
    """All rows of a population, (n, c), in the chunk of modes `index`."""
    rows, length = jnp.asarray(population.rows), chunk_length(problem)
    # the last chunk runs over the end: slice from a padded matrix
    padded = jnp.pad(rows, ((0, 0), (0, -rows.shape[1] % length)))
    return lax.dynamic_slice_in_dim(padded, index * length, length, 1)


def sampled_rows(population: Population, num_samples: int, key: Array) -> Array:
    """Indices of the rows of the population that are the training set, (P,): distinct ones, as in a real one.

    Sampling with replacement repeats rows and moves the interpolation peak: on 1,797 digits at N = 512, P = 1024
    the late risk is 45 % above theory with repeats and 12 % below it without.
    """
    order = threefry.permutation(threefry.fold_in(key, _DATA), len(population.rows))
    return order[:num_samples]


def _label_noise(problem: Problem, num_samples: int, key: Array) -> Array:
    """Noise (P,) beyond that which the labels of a population carry already."""
    # the labels of a population carry what its rows leave unexplained already
    known = 0.0 if problem.population is None else problem.population.unexplained
    # compared first: compilers fuse a share of both with the difference, whose rounding would be noise of its own
    variance = jnp.where(problem.noise_var > known, jnp.asarray(problem.noise_var - known, float), 0.0)
    variance = variance * noise_shares(problem, num_samples, key)
    return jnp.sqrt(variance) * normal(threefry.fold_in(key, _NOISE), (num_samples,))


def normal(key: Array, shape: tuple[int, ...]) -> Array:
    """Standard normals of 23 random bits each, exact in float64: a third of the time of 53 bits, and their mean and
    variance are off by 1e-6 where a draw of a million is off by 1e-3."""
    return threefry.normal(key, shape).astype(float)


LAWS = {"gaussian": normal, "rademacher": partial(jax.random.rademacher, dtype=float)}
