"""Values that no argument of a kind takes: numbers that are none, sizes, times, keys, matrices of the wrong shape."""

import decimal
import fractions

import jax
import jax.numpy as jnp
import numpy as np

import rfm

PROBLEM = rfm.power_law(a=1.8, b=1.5, num_modes=50, noise_var=0.01)
KEYS = jax.random.split(jax.random.key(0), 2)
ROWS = np.random.default_rng(0).standard_normal((40, 6))
LABELS = ROWS[:, 0] + 0.1
FLOW = rfm.GradientFlow()
RUN = dict(problem=PROBLEM, num_features=8, num_samples=12, optimizer=FLOW, times=[1.0, 2.0])

HUGE = 10**400
NOT_NUMBERS = (
    None, "32", b"32", bytearray(b"32"), np.str_("32"), 1 + 2j, np.complex64(1), np.nan,
    decimal.Decimal("nan"), object(),
    [], {}, {1}, np.array([]), HUGE, np.array("x"), np.datetime64("2026"), np.ma.masked, fractions,
    Ellipsis, range(2), memoryview(b"32"), jnp.array([1.0, 2.0]), jnp.array(1j), Exception("x"),
)  # fmt: skip
SCALARS = (*NOT_NUMBERS, [3.0, 4.0], np.ma.masked_array([1.0], [True]), -HUGE)
NEGATIVE, FRACTIONAL, INFINITE = (-1, -1e300, -np.inf), (0.5, 1.5), (np.inf, -np.inf)
POSITIVE = (*SCALARS, 0, -1, -1e-300, np.inf)
AT_LEAST_ZERO = (*SCALARS, -1, -1e-300, np.inf)
COUNT = (*SCALARS, 0, -1, 1.5, np.inf, True)
SIZE = (*SCALARS, 0, -3, 0.2, -np.inf)
WHOLE_SIZE = (*SIZE, 2.5)
OTHER_PROBLEMS = (None, "power law", 3, {}, object(), rfm.power_law, rfm.Problem, FLOW)
OTHER_OPTIMIZERS = (None, "gd", 0.5, {}, object(), rfm.GradientDescent, PROBLEM)
TIMES = (
    None, "1", b"1", 3.0, [], [[1.0]], [1.0, np.nan], [2.0, 1.0], [-1.0, 1.0], [1.0, np.inf], [1j], ["a"], [None], {},
    object(), [1.0, 1.0], [HUGE], np.ma.masked_array([1.0, 2.0], [True, False]), [0.0, HUGE],
)  # fmt: skip
NAMES = (None, "nope", 3, b"ntk", ["ntk"], object())
KEY_ARRAYS = (None, 0, "key", [1, 2], KEYS[:0], np.zeros((2, 2), np.uint32), KEYS.reshape(2, 1), object(), 1.5)
MATRICES = (
    None, "rows", 3.0, ROWS[:, 0], ROWS[:0], np.full((40, 6), np.nan), np.full((40, 6), np.inf), ROWS + 1j,
    ROWS.astype(str), object(), ROWS[None, None], np.ma.masked_array(ROWS, ROWS > 0), [[1.0], [1.0, 2.0]],
)  # fmt: skip
VECTORS = (
    None, "labels", 3.0, LABELS[:-1], np.full(40, np.nan), np.full(40, np.inf), LABELS + 1j, object(),
    np.ma.masked_array(LABELS, LABELS > 0), np.ones(40), [], LABELS[:, None, None],
)  # fmt: skip
PAIRS = (
    None, "x", [], [np.nan, 1.0], [np.inf, 1.0], [1j, 0], object(), [HUGE, 1.0],
    np.ma.masked_array([1.0, 0.5], [True, False]),
)  # fmt: skip
