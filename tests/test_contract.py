"""What every training algorithm must do: every check on every row of `contract_rows`.

Nearly all of the time here is compilation: the fixture `computed` makes each call of a row once, for all checks.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from compilations import compilations
from contract_rows import FEW, KEYS, PROBLEM, ROWS, SOLVED
from tolerances import CONTOUR, FORMULA, ROUNDING, SAME_SUMS, STANDARD_ERRORS

import rfm
import theory

# what they add to their neighbours is held by tests/theory/test_schedules.py, and by the row on stairs
SLOW = ("SGD on a finite set, decayed", "GradientDescent with warm-up and cosine decay")
QUICK = tuple(name for name in ROWS if name not in SLOW)


def rows(condition=lambda row: True, quick=QUICK):
    """Rows that meet a condition; those not named in `quick` are slow."""
    chosen = [name for name, row in ROWS.items() if condition(row)]
    marks = [() if name in quick else pytest.mark.slow for name in chosen]
    rows = [pytest.param(ROWS[name], marks=mark, id=name) for name, mark in zip(chosen, marks, strict=True)]
    return pytest.mark.parametrize("row", rows)


each_row = rows()
each_known = rows(lambda row: row.known)
# one a kind: a flow, one pass with all that a spec has (momentum among it), rows used again
COMPILED = ("GradientFlow", "SGD with warm-up, larger batches and an average", "SGD on a finite set")
SPLIT = ("GradientFlow", "GradientDescent", "SGD", "SGD on a finite set")  # one a driver of the engine


def run(call, row, keys=KEYS):
    """A curve of the theory, or one a key: a single number of keys compiles a single program."""
    more = {} if call is theory.predict else dict(keys=keys)
    sizes = dict(num_features=40, num_samples=row.num_samples)
    return call(PROBLEM, **sizes, optimizer=row.optimizer, times=row.times, **more)


@pytest.fixture(scope="module")
def computed():
    """A function of (call, row): each curve is computed once."""
    names = {id(row): name for name, row in ROWS.items()}

    @functools.cache
    def curve(call, name):
        return run(call, ROWS[name])

    return lambda call, row: curve(call, names[id(row)])


def test_every_algorithm_has_a_row():
    """A new spec without a row here fails."""
    from theory.filters import FILTERS

    specs = {name for name in rfm.__all__ if isinstance(getattr(rfm, name), type)} - {
        "Curve", "Problem", "Sweep", "TailAverage",
    }  # fmt: skip
    assert specs == {type(row.optimizer).__name__ for row in ROWS.values()}
    assert set(FILTERS) <= specs
    assert all(name.startswith(type(row.optimizer).__name__) for name, row in ROWS.items())


@rows(lambda row: row.times is not None)
def test_starts_untrained(row, computed):
    """t = 0, in simulation and theory."""
    power = np.sum(PROBLEM.eigenvalues * PROBLEM.target**2)
    np.testing.assert_allclose(computed(rfm.simulate, row).risk[:, 0], power, rtol=FORMULA)
    if row.solved:
        np.testing.assert_allclose(computed(rfm.exact, row).risk[:, 0], power, rtol=FORMULA)
    if row.known:
        predicted = computed(theory.predict, row)
        rtol = SAME_SUMS if row.expected else CONTOUR  # samples used again take pairs of nodes, which are fewer
        np.testing.assert_allclose(predicted.risk[0], power, rtol=rtol)
        np.testing.assert_allclose(predicted.train_loss[0], power + 0.1, rtol=rtol)


@rows(lambda row: row.solved)
def test_simulation_equals_exact_solution(row, computed):
    taken, solved = computed(rfm.simulate, row), computed(rfm.exact, row)
    np.testing.assert_allclose(taken.risk, solved.risk, rtol=row.rtol)
    np.testing.assert_allclose(taken.train_loss, solved.train_loss, rtol=row.rtol)
    assert taken.kind == row.kind
    assert solved.kind == SOLVED


@each_known
def test_theory_within_error(row, computed):
    """Four standard errors of 200 draws and a bias of 1/N."""
    solved = computed(rfm.exact if row.expected else rfm.simulate, row)
    expected = computed(theory.predict, row)
    assert expected.kind == "deterministic equivalent"
    assert expected.converged
    for name in ("risk", "train_loss") + (("average_risk",) if expected.average_risk is not None else ()):
        value = getattr(expected, name)
        allowed = STANDARD_ERRORS * solved.stderr(name) + value / 40
        assert np.all(np.abs(solved.mean(name) - value) <= allowed)


@rows(lambda row: row.known and not callable(getattr(row.optimizer, "lr", None)))
def test_known_numbers_compile_nothing(row):
    """Numpy evaluates the theory where nothing is traced, on shapes that nothing was compiled for."""
    times = None if row.times is None else np.arange(1.0, 8.0)
    with compilations() as compiled:
        run(theory.predict, row._replace(times=times))
    assert not compiled


@rows(lambda row: row.known, COMPILED)
def test_compiled_theory_is_that_of_numpy(row):
    """One set of equations, on the same contour, evaluated by XLA."""
    from theory.cases import Case
    from theory.evaluation import evaluate

    case = Case(PROBLEM, 40, row.num_samples, row.optimizer, row.times).arrays()
    by_numpy, by_xla = evaluate(case), evaluate(jax.tree.map(jnp.asarray, case))
    assert isinstance(by_numpy.risk, np.ndarray)
    assert isinstance(by_xla.risk, jax.Array)
    np.testing.assert_allclose(by_xla.risk, by_numpy.risk, rtol=SAME_SUMS)
    np.testing.assert_allclose(by_xla.train_loss, by_numpy.train_loss, rtol=SAME_SUMS)


@rows(lambda row: row.expected and not row.solved)
def test_noisy_steps_average_to_the_exact_expectation(row, computed):
    """The same features, 200 seeds: four standard errors of the difference, which has mean zero."""
    gap = computed(rfm.simulate, row).risk - computed(rfm.exact, row).risk
    assert np.all(np.abs(gap.mean(0)) <= STANDARD_ERRORS * gap.std(0, ddof=1) / np.sqrt(len(KEYS)) + SAME_SUMS)
    assert gap[:, 1:].std() > 1e-3


@rows(lambda row: not row.known)
def test_no_theory_is_said(row):
    with pytest.raises(ValueError, match=r"GradientFlow, .*SGD|`batch_size` must be a divisor"):
        run(theory.predict, row)


@rows(lambda row: not row.expected)
def test_no_exact_solution_is_said(row):
    with pytest.raises(ValueError, match=r"Argument `(optimizer|num_samples)` must be"):
        run(rfm.exact, row, FEW)


@each_row
def test_shapes_and_labels(row, computed):
    count = 1 if row.times is None else len(row.times)
    curve = computed(rfm.simulate, row)
    times = [np.inf] if row.times is None else row.times
    assert curve.risk.shape == curve.train_loss.shape == (len(KEYS), count)
    assert curve.kind == row.kind
    assert curve.num_seeds == len(KEYS)
    np.testing.assert_array_equal(curve.times, times)
    assert curve.stderr().shape == curve.mean().shape == (count,)
    np.testing.assert_allclose(curve.stderr(), curve.risk.std(0, ddof=1) / np.sqrt(len(KEYS)))
    assert curve.converged
    assert curve.residual == 0.0
    assert not curve.message
    if row.known:
        predicted = computed(theory.predict, row)
        assert predicted.risk.shape == predicted.train_loss.shape == (count,)
        assert predicted.num_seeds == 1
        np.testing.assert_array_equal(predicted.times, times)
        assert not predicted.stderr().any()


@each_row
def test_a_seed_does_not_depend_on_its_neighbours(row, computed):
    """Two batches in another order: the same numbers."""
    together = computed(rfm.simulate, row)
    turned = run(rfm.simulate, row, KEYS[31::-1])
    np.testing.assert_allclose(turned.risk[::-1], together.risk[:32], rtol=SAME_SUMS)
    assert len(np.unique(together.risk[:, -1])) == len(KEYS)


@rows(quick=SPLIT)
def test_batches_of_seeds_do_not_change_the_numbers(row, computed, monkeypatch):
    """Memory for two seeds at a time: three seeds come in two batches, the last one padded."""
    from rfm import devices
    from rfm.engine import driver as host
    from rfm.engine.features import Setting
    from rfm.engine.plans import Plan

    whole = computed(rfm.simulate, row)
    plan = Plan(Setting(40, row.num_samples, "ntk"), devices.Layout(), None)
    count = lambda plan: len(list(host._batches(PROBLEM, plan, 4, host.Seeds(FEW, None))))  # noqa: E731
    memory = 2**30
    monkeypatch.setattr(host, "free_memory", lambda layout: memory)
    while count(plan) == 1:
        memory *= 0.8
    assert count(plan) == 2
    assert count(plan._replace(bags=3)) == 3  # three models a seed
    np.testing.assert_allclose(run(rfm.simulate, row, FEW).risk, whole.risk[: len(FEW)], rtol=SAME_SUMS)


@rows(lambda row: row.unstable is not None)
def test_instability_is_named(row):
    calls = [rfm.simulate]
    calls += [rfm.exact] if row.expected else []
    calls += [theory.predict] if row.known else []
    for call in calls:
        with pytest.raises(ValueError, match=r"`lr` must be < .* = .*z(_max|\*).* .*largest curvature z.* = "):
            run(call, row._replace(optimizer=row.unstable))


@each_row
def test_pytrees_round_trip(row, computed):
    """Problem, spec and Curve through jax.tree, through jit, and unchanged by flattening."""
    from rfm.optimizers import resolve

    curve = computed(theory.predict, row) if row.known else computed(rfm.simulate, row)
    optimizer = row.optimizer if row.times is None else resolve(row.optimizer, row.times)  # a schedule as a table
    for tree in (PROBLEM, rfm.power_law(1.8, 1.5, 10**6), optimizer, curve):
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
    with pytest.warns(RuntimeWarning, match="One draw has no standard error"):
        assert np.isnan(curve.stderr()).all()


@each_row
def test_frozen(row, computed):
    curve = computed(rfm.simulate, row)
    for thing, field in ((PROBLEM, "noise_var"), (row.optimizer, "lr"), (curve, "risk")):
        with pytest.raises(AttributeError):
            setattr(thing, field, 0.0)


@rows(lambda row: row.solved)
def test_response_is_the_filter_of_the_theory(row):
    """r_t(z) = 1 - z g_t(z): the simulator's response against theory's filter, written separately."""
    from rfm.optimizers import resolve
    from theory.filters import FILTERS

    z = np.array([1e-9, 1e-3, 0.5, 2.0, 4.5])
    if row.times is None:
        np.testing.assert_allclose(row.optimizer.response(z, np.array([[np.inf]])), 1 / (z[None] + 0.02), rtol=ROUNDING)
        return
    optimizer = resolve(row.optimizer, row.times)
    t = np.asarray(row.times, float)[:, None]
    left = 1 - z[None] * optimizer.response(z, t)
    expected = FILTERS[type(optimizer).__name__](**vars(optimizer)).response(z[None] + 0j, t)
    np.testing.assert_allclose(left, expected.real, rtol=1e-9, atol=ROUNDING)


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: rfm.SGD(0.1, 0), "batch_size"),
        (lambda: rfm.SGD(0.1, 0.5), "batch_size"),
        (lambda: rfm.SGD(0.1, np.nan), "batch_size"),
        (lambda: rfm.SGD(0.1, 1, -0.1), "momentum"),
        (lambda: rfm.SGD(-0.1, 1), "lr"),
        (lambda: rfm.HeavyBall(0.1, 1.0), "momentum"),
        (lambda: rfm.HeavyBall(0.1, -0.5), "momentum"),
        (lambda: rfm.Nesterov(0.1, 1.5), "momentum"),
        (lambda: rfm.Nesterov(0.0, 0.5), "lr"),
        (lambda: rfm.GradientDescent(0.1, -1.0), "weight_decay"),
        (lambda: rfm.GradientDescent("fast"), "lr"),
        (lambda: rfm.Ridge(-1.0), "ridge"),
        (lambda: rfm.Optax(3), "transformation"),
        (lambda: rfm.Optax(optax.sgd(0.1), {"learning_rate": 0.1}), "numbers"),
    ],
)
def test_wrong_numbers(make, argument):
    with pytest.raises(ValueError, match=f"Argument `{argument}` must be .*but is"):
        make()
