"""What every training algorithm must do: one row a algorithm, every check on every row."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rfm
import theory


class Row(NamedTuple):
    optimizer: Any
    times: np.ndarray | None
    kind: str  # of `simulate`
    unstable: Any  # beyond stability, if there is such a thing


ROWS = {
    "GradientFlow": Row(rfm.GradientFlow(), np.array([0.0, 1.0, 30.0, 1e3]), "exact given the draw", None),
    "GradientDescent": Row(
        rfm.GradientDescent(0.4), np.array([0, 1, 30, 1000]), "Monte Carlo", rfm.GradientDescent(9.0)
    ),
    "Ridge": Row(rfm.Ridge(0.02), None, "exact given the draw", None),
}
SIZES = dict(num_features=40, num_samples=70)
PROBLEM = rfm.power_law(1.8, 1.5, 100, noise_var=0.1)
KEYS = jax.random.split(jax.random.key(2), 200)


def rows(condition=lambda row: True):
    chosen = {name: row for name, row in ROWS.items() if condition(row)}
    return pytest.mark.parametrize("row", chosen.values(), ids=chosen)


each_row = rows()


def run(call, row, keys=None, problem=PROBLEM, **kwargs):
    more = {} if keys is None else dict(keys=keys)
    return call(problem, **SIZES, optimizer=row.optimizer, times=row.times, **more, **kwargs)


def test_every_algorithm_has_a_row():
    """A new spec without a row here fails."""
    from theory.filters import FILTERS

    specs = {name for name in rfm.__all__ if hasattr(getattr(rfm, name), "response")}
    assert specs == set(ROWS)
    assert set(FILTERS) <= specs
    assert all(name == type(row.optimizer).__name__ for name, row in ROWS.items())


@rows(lambda row: row.times is not None)
def test_starts_untrained(row):
    """t = 0, in simulation and theory."""
    power = np.sum(PROBLEM.eigenvalues * PROBLEM.target**2)
    np.testing.assert_allclose(run(rfm.simulate, row, KEYS[:3]).risk[:, 0], power, rtol=1e-13)
    np.testing.assert_allclose(run(rfm.exact, row, KEYS[:3]).risk[:, 0], power, rtol=1e-13)
    predicted = run(theory.predict, row)
    np.testing.assert_allclose(predicted.risk[0], power, rtol=1e-12)
    np.testing.assert_allclose(predicted.train_loss[0], power + 0.1, rtol=1e-12)


@each_row
def test_simulation_equals_exact_solution(row):
    taken, solved = run(rfm.simulate, row, KEYS[:3]), run(rfm.exact, row, KEYS[:3])
    np.testing.assert_allclose(taken.risk, solved.risk, rtol=1e-12)
    np.testing.assert_allclose(taken.train_loss, solved.train_loss, rtol=1e-12)
    assert taken.kind == row.kind
    assert solved.kind == "exact given the draw"


@each_row
def test_theory_within_error(row):
    """Four standard errors of 200 draws and a bias of 1/N."""
    found, expected = run(rfm.exact, row, KEYS), run(theory.predict, row)
    assert expected.kind == "deterministic equivalent"
    assert expected.converged
    for name in ("risk", "train_loss"):
        value = getattr(expected, name)
        allowed = 4 * found.stderr(name) + value / 40
        assert np.all(np.abs(found.mean(name) - value) <= allowed)


@each_row
def test_shapes_and_labels(row):
    count = 1 if row.times is None else len(row.times)
    curve, predicted = run(rfm.simulate, row, KEYS[:3]), run(theory.predict, row)
    assert curve.risk.shape == curve.train_loss.shape == (3, count)
    assert predicted.risk.shape == predicted.train_loss.shape == (count,)
    assert curve.num_seeds == 3
    assert predicted.num_seeds == 1
    times = [np.inf] if row.times is None else row.times
    np.testing.assert_array_equal(curve.times, times)
    np.testing.assert_array_equal(predicted.times, times)
    assert curve.stderr().shape == curve.mean().shape == (count,)
    np.testing.assert_allclose(curve.stderr(), curve.risk.std(0, ddof=1) / np.sqrt(3))
    assert not predicted.stderr().any()
    assert curve.converged
    assert curve.residual == 0.0


@each_row
def test_a_seed_does_not_depend_on_its_neighbours(row):
    """In another order: the same numbers."""
    together = run(rfm.simulate, row, KEYS[:3])
    turned = run(rfm.simulate, row, KEYS[:3][::-1])
    np.testing.assert_allclose(turned.risk[::-1], together.risk, rtol=1e-12)
    assert len(np.unique(together.risk[:, -1])) == 3


@each_row
def test_batches_of_seeds_do_not_change_the_numbers(row, monkeypatch):
    """Memory for two seeds at a time: three seeds come in two batches, the last one padded."""
    from rfm import batches

    whole = run(rfm.simulate, row, KEYS[:3])
    monkeypatch.setattr(batches, "MEMORY", 2.5 * 8 * (40 * 70 + 3 * 40**2 + 110 * 100 + 4 * 150))
    assert len(list(batches._batches(PROBLEM, batches.Setting(40, 70, "ntk"), 4, KEYS[:3], False))) == 2
    np.testing.assert_allclose(run(rfm.simulate, row, KEYS[:3]).risk, whole.risk, rtol=1e-12)


@rows(lambda row: row.unstable is not None)
def test_instability_is_named(row):
    for call, keys in ((rfm.simulate, KEYS[:3]), (rfm.exact, KEYS[:3]), (theory.predict, None)):
        with pytest.raises(ValueError, match=r"`lr` must be < .* = 2/z_max .*z_max = "):
            run(call, row._replace(optimizer=row.unstable), keys)


@each_row
def test_pytrees_round_trip(row):
    """Problem, spec and Curve through jax.tree, through jit, and unchanged by flattening."""
    curve = run(theory.predict, row)
    for tree in (PROBLEM, rfm.power_law(1.8, 1.5, 10**6), row.optimizer, curve):
        leaves, structure = jax.tree.flatten(tree)
        again = jax.tree.unflatten(structure, leaves)
        assert type(again) is type(tree)
        assert jax.tree.structure(again) == structure
        for x, y in zip(jax.tree.leaves(again), leaves, strict=True):
            np.testing.assert_array_equal(x, y)
        through = jax.jit(lambda x: x)(tree)
        assert jax.tree.structure(through) == structure
    assert jax.tree.map(lambda x: x, curve).kind == curve.kind


def test_single_seed_has_no_standard_error():
    curve = rfm.Curve(np.ones(2), np.ones((1, 2)), np.ones((1, 2)), True, 0.0, "Monte Carlo")
    assert curve.num_seeds == 1
    assert np.isnan(curve.stderr()).all()


@each_row
def test_frozen(row):
    for thing, field in ((PROBLEM, "noise_var"), (run(theory.predict, row), "risk")):
        with pytest.raises(AttributeError):
            setattr(thing, field, 0.0)


@each_row
def test_response_is_the_filter_of_the_theory(row):
    """r_t(z) = 1 - z g_t(z): the simulator's response against theory's filter, written separately."""
    from theory.filters import FILTERS

    z = np.array([[1e-9, 1e-3, 0.5, 2.0, 4.5]])
    name = type(row.optimizer).__name__
    if row.times is None:
        np.testing.assert_allclose(row.optimizer.response(z, np.array([[np.inf]])), 1 / (z + 0.02), rtol=1e-14)
        return
    t = jnp.asarray(row.times, float)[:, None]
    left = 1 - z * row.optimizer.response(jnp.asarray(z), t)
    expected = FILTERS[name](**vars(row.optimizer)).response(jnp.asarray(z + 0j), t)
    np.testing.assert_allclose(left, np.asarray(expected).real, rtol=1e-9, atol=1e-14)
