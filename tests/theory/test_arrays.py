"""What is ours in `theory.arrays`: functions with more digits than those of numpy or XLA, loops of both kinds."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import FORMULA

from theory import arrays

BOTH = pytest.mark.parametrize("xp", [np, jnp], ids=["numpy", "XLA"])
POINTS = np.array([r * np.exp(1j * angle) for r in (1e-9, 1e-6, 1e-3, 0.1) for angle in (0.0, 0.4, 1.2, 2.8)])


def series(z, terms):
    """Sum c_n z^n with z = x + iy exactly, in fractions: (real, imaginary)."""
    x, y = Fraction(z.real), Fraction(z.imag)
    power, total = (Fraction(1), Fraction(0)), [Fraction(0), Fraction(0)]
    for c in terms:
        total = [t + c * p for t, p in zip(total, power, strict=True)]
        power = power[0] * x - power[1] * y, power[0] * y + power[1] * x
    return [float(t) for t in total]


def factorial(n):
    return Fraction(int(np.prod(np.arange(1, n + 1, dtype=object))))


SERIES = {
    "sinh": [Fraction(n % 2) / factorial(n) for n in range(20)],
    "log1p": [Fraction(0)] + [Fraction((-1) ** (n + 1), n) for n in range(1, 20)],
}


@BOTH
@pytest.mark.parametrize("name", SERIES)
def test_small_complex_arguments_keep_their_digits(xp, name):
    """Against the series in fractions; sinh of XLA and log1p of numpy miss it by 1e-8 and more."""
    values = np.asarray(getattr(arrays, name)(xp.asarray(POINTS)))
    exact = np.array([complex(*series(z, SERIES[name])) for z in POINTS])
    np.testing.assert_allclose(values, exact, rtol=FORMULA)
    plain = {"sinh": jnp.sinh, "log1p": np.log1p}[name](POINTS)
    assert np.max(np.abs(plain / exact - 1)) > 1e-9


@BOTH
def test_loops(xp):
    """Against loops written out."""
    start, xs = xp.asarray(1.0), xp.asarray([2.0, 3.0, 5.0])
    assert float(arrays.repeat(3, lambda x: 2 * x + 1, start)) == 15.0
    end, steps = arrays.scan(lambda carry, x: (carry * x, carry), start, xs)
    assert float(end) == 30.0
    np.testing.assert_array_equal(steps, [1.0, 2.0, 6.0])
    np.testing.assert_array_equal(arrays.over(lambda x: x**2, xs), [4.0, 9.0, 25.0])


def test_the_arrays_of_the_arguments_decide():
    """Numpy stays numpy, and one array of JAX makes all of it XLA's."""

    @arrays.evaluated()
    def double(x, y):
        return arrays.namespace(x, y).add(x, y)

    assert isinstance(double(np.ones(2), np.ones(2)), np.ndarray)
    assert isinstance(double(np.ones(2), jnp.ones(2)), jax.Array)
    assert isinstance(arrays.float_arrays({"a": jnp.arange(2)})["a"], np.ndarray)
    assert not np.any(arrays.stop_gradient(np.zeros(1)))
    assert jax.grad(lambda x: x * arrays.stop_gradient(x))(3.0) == 3.0
