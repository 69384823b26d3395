"""SGD whose rate, batches and momentum change with the step, averages of its weights, and samples used again.

Oracles: values made with other contours, in `schedule_values.json`; the closed forms of constant numbers and of full
batches; second moments under a drawn F (`rfm.exact`); training.
"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from compilations import compilations

import rfm
import theory
from theory import epochs

VALUES = json.loads((Path(__file__).parent / "schedule_values.json").read_text())
INF = np.inf
KEYS = jax.random.split(jax.random.key(5), 128)


def schedule_of(row):
    """The learning rate of a row of the values, as a function of the step."""
    lr, steps = row["lr"], row["T"]
    return {
        "constant": lr,
        "cosine": optax.cosine_decay_schedule(lr, steps),
        "linear": lambda t: lr * (1.0 - t / steps),
        "wsd": lambda t: lr * jnp.minimum(1.0, (t + 1) / 100) * jnp.minimum(1.0, (steps - t) / (0.2 * steps)),
        "steps": lambda t: lr if t < steps / 2 else 0.3 * lr if t < 0.75 * steps else 0.1 * lr,
    }[row["schedule"]]


def problem_of(row):
    return rfm.power_law(row["a"], row["b"], row["M"], row["noise_var"])


@pytest.mark.parametrize("row", VALUES["one_pass_schedules"], ids=lambda row: f"{row['schedule']}-{row['a']}")
def test_schedules_of_one_pass(row):
    first, last = row["batch"]
    batch = first if first == last else lambda t: first if t < row["T"] / 2 else last
    optimizer = rfm.SGD(schedule_of(row), batch, row.get("momentum", 0.0), row.get("ema"))
    sizes = dict(num_features=row["N"], num_samples=INF)
    curve = theory.predict(problem_of(row), **sizes, optimizer=optimizer, times=row["steps"])
    assert curve.converged
    np.testing.assert_allclose(curve.risk, row["risk"], rtol=1e-11)
    np.testing.assert_allclose(curve.train_loss, curve.risk + row["noise_var"], rtol=1e-14)
    if "ema" in row:
        np.testing.assert_allclose(curve.average_risk, row["average_risk"], rtol=1e-11)
    else:
        assert curve.average_risk is None


@pytest.mark.parametrize("row", VALUES["epochs_replacement"], ids=lambda row: f"P = {row['P']}")
def test_samples_used_again(row):
    sizes = dict(num_features=row["N"], num_samples=row["P"])
    curve = theory.predict(problem_of(row), **sizes, optimizer=rfm.SGD(row["lr"], row["B"]), times=row["steps"])
    assert curve.converged
    np.testing.assert_allclose(curve.risk, row["risk"], rtol=1e-10)
    np.testing.assert_allclose(curve.train_loss, row["train_loss"], rtol=1e-10)


@pytest.mark.slow
def test_nodes_that_are_given_up_too_early_are_seen(monkeypatch):
    monkeypatch.setattr(epochs, "LEFT", 1e-3)
    jax.clear_caches()
    with pytest.raises(AssertionError, match="Not equal"):
        test_samples_used_again(VALUES["epochs_replacement"][0])
    jax.clear_caches()


PROBLEM = rfm.power_law(1.7, 1.3, 200, 0.1)
STEPS = [0, 1, 2, 7, 40, 200]


def predict(optimizer, num_features=30, num_samples=INF, times=STEPS, problem=PROBLEM):
    sizes = dict(num_features=num_features, num_samples=num_samples)
    return theory.predict(problem, **sizes, optimizer=optimizer, times=times)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("num_features", [30, 200, 500, INF])
def test_constant_numbers_are_the_closed_form(momentum, num_features):
    """Numbers that happen not to change; also where the spectrum ends at zero (N = M), and without features."""
    lr = 0.1 * (1.0 - momentum)
    known = predict(rfm.SGD(lr, 4, momentum), num_features)
    followed = predict(rfm.SGD(lambda t: lr, lambda t: 4, momentum), num_features)
    assert followed.converged
    np.testing.assert_allclose(followed.risk, known.risk, rtol=1e-9)


@pytest.mark.parametrize("momentum", [0.0, 0.5])
@pytest.mark.parametrize("sizes", [(30, 50), (50, 30), (40, 40), (INF, 30)], ids=str)
def test_all_samples_in_a_batch_are_full_batches(sizes, momentum):
    full = rfm.HeavyBall(0.1, momentum) if momentum else rfm.GradientDescent(0.1)
    expected, curve = predict(full, *sizes), predict(rfm.SGD(0.1, sizes[1], momentum), *sizes)
    np.testing.assert_allclose(curve.risk, expected.risk, rtol=1e-10)
    np.testing.assert_allclose(curve.train_loss, expected.train_loss, rtol=1e-10)


def test_schedules_of_full_batches():
    schedule = optax.cosine_decay_schedule(0.3, 200)
    expected, curve = predict(rfm.GradientDescent(schedule), 30, 50), predict(rfm.SGD(schedule, 50), 30, 50)
    np.testing.assert_allclose(curve.risk, expected.risk, rtol=1e-10)


def test_endless_samples_are_one_pass():
    """P = 10^9 of them; the difference of the two is of order 1/P."""
    optimizer = rfm.SGD(optax.cosine_decay_schedule(0.1, 200), 4, average=0.9)
    one, many = predict(optimizer), predict(optimizer, num_samples=1e9)
    np.testing.assert_allclose(many.risk, one.risk, rtol=1e-6)
    np.testing.assert_allclose(many.average_risk, one.average_risk, rtol=1e-6)
    np.testing.assert_allclose(many.train_loss, one.train_loss, rtol=1e-6)


def test_averages_against_their_definition():
    """Without noise in the steps an average of a single direction is an average of numbers."""
    problem = rfm.white(1, noise_var=0.0)
    huge = rfm.SGD(0.2, 1e12, average="polyak")
    curve = predict(huge, INF, INF, np.arange(6), problem)
    weights = 1.0 - 0.8 ** np.arange(6.0)
    mean = np.array([weights[1 : t + 1].mean() if t else 0.0 for t in range(6)])
    start = curve.risk[0]
    np.testing.assert_allclose(curve.average_risk, start * (1.0 - mean) ** 2, rtol=1e-9)
    tail = predict(rfm.SGD(0.2, 1e12, average=rfm.TailAverage(3)), INF, INF, np.arange(6), problem)
    mean = np.array([weights[t] if t < 3 else weights[3 : t + 1].mean() for t in range(6)])
    np.testing.assert_allclose(tail.average_risk, start * (1.0 - mean) ** 2, rtol=1e-9)
    same = predict(rfm.SGD(0.2, 4, average=0.0))
    np.testing.assert_allclose(same.average_risk, same.risk, rtol=1e-12)
    stays = predict(rfm.SGD(0.2, 4, average=lambda t: 1.0))
    np.testing.assert_allclose(stays.average_risk, stays.risk[0], rtol=1e-9)


@pytest.mark.parametrize("optimizer", [
    rfm.SGD(lambda t: 0.0, 4), rfm.SGD(lambda t: 0.0, 4, 0.5, 0.9), rfm.DANA(lambda t: 0.0, lambda t: 0.0, 0.1, 4),
], ids=["SGD", "momentum, average", "DANA"])  # fmt: skip
def test_steps_that_rest(optimizer):
    """A warm-up begins with such steps; where all are, nothing is learned."""
    for samples in (INF, 40):
        curve = predict(optimizer, num_samples=samples, times=[0, 3])
        assert curve.converged
        np.testing.assert_allclose(curve.risk, PROBLEM.eigenvalues @ PROBLEM.target**2, rtol=1e-12)


SETTINGS = {
    "cosine": (rfm.SGD(optax.cosine_decay_schedule(0.3, 200), 4), INF),
    "warm-up, batches of one": (rfm.SGD(optax.warmup_cosine_decay_schedule(0.0, 0.15, 40, 200), 1), INF),
    # all numbers are functions, so that one program trains these three
    "decay, momentum and average": (rfm.SGD(lambda t: 0.1 - t / 2000, lambda t: 8, lambda t: 0.7, 0.9), INF),
    "larger batches": (rfm.SGD(lambda t: 0.2, lambda t: 2 + 6 * (t > 50), lambda t: 0.0, "polyak"), INF),
    "momentum that rises": (rfm.SGD(lambda t: 0.1, lambda t: 8, lambda t: 0.8 * t / 200, rfm.TailAverage(100)), INF),
    "stairs": (rfm.SGD(optax.piecewise_constant_schedule(0.2, {50: 0.3, 120: 0.3}), 4, 0.5), INF),
}
AGAIN = {
    f"N/P = {n / p:g}, batches of {size}": (rfm.SGD(lr, size, average=average), p)
    for n, p, size, lr, average in (
        (48, 96, 1, 0.1, None), (48, 96, 24, 0.2, 0.9), (48, 48, 8, 0.2, "polyak"), (48, 48, 12, 0.2, None),
        (48, 24, 1, 0.1, 0.9), (48, 24, 6, optax.cosine_decay_schedule(0.2, 200), None),
    )
}  # fmt: skip


def gaps(optimizer, num_samples, num_features=48, keys=KEYS):
    """Differences of simulation and theory relative to the theory, and their standard errors: (curves, T)."""
    args = dict(num_features=num_features, num_samples=num_samples, optimizer=optimizer, times=STEPS[1:])
    expected, drawn = theory.predict(PROBLEM, **args), rfm.simulate(PROBLEM, **args, keys=keys)
    names = ["risk"] + ["train_loss"] * (num_samples < INF) + ["average_risk"] * (expected.average_risk is not None)
    return tuple(
        np.array([f(drawn, name) / getattr(expected, name) for name in names])
        for f in (lambda curve, name: curve.mean(name) - getattr(expected, name), rfm.Curve.stderr)
    )


# of samples used again: each ratio of N to P once, each of them with another size of batches and another average
QUICK = (*SETTINGS, "N/P = 0.5, batches of 1", "N/P = 1, batches of 8", "N/P = 2, batches of 6")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in (*SETTINGS, *AGAIN)],
)
def test_training_is_as_predicted(name):
    """Within four standard errors and an allowance of 3/N, which falls (`test_gaps_fall`)."""
    gap, error = gaps(*(SETTINGS | AGAIN)[name])
    assert np.all(np.abs(gap) < 4.0 * error + 3.0 / 48)


def test_another_rate_is_refused():
    """The same simulation against a theory whose rate stays: what decay does is seen."""
    decayed = rfm.SGD(optax.cosine_decay_schedule(0.3, 30), 4)
    args = dict(num_features=48, num_samples=INF, times=STEPS[1:])
    drawn = rfm.simulate(PROBLEM, **args, optimizer=decayed, keys=KEYS)
    wrong = theory.predict(PROBLEM, **args, optimizer=rfm.SGD(0.3, 4))
    assert np.any(np.abs(drawn.mean() - wrong.risk) > 4.0 * drawn.stderr() + 3.0 / 48 * wrong.risk)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["decay, momentum and average", "N/P = 1, batches of 8"])
def test_gaps_fall(name):
    """The difference that is left falls as 1/N: four times the sizes leave a quarter of it, within the errors."""
    optimizer, samples = (SETTINGS | AGAIN)[name]
    keys = jax.random.split(jax.random.key(6), 4000)
    small, error = gaps(optimizer, min(samples, 24) if samples < INF else INF, 24, keys)
    large, other = gaps(optimizer, min(samples, 96) * (96 // 48) if samples < INF else INF, 96, keys[:1500])
    assert np.all(np.abs(large) < 0.25 * np.abs(small) + 4.0 * (other + 0.25 * error) + 2e-3)


def test_recursion_given_the_features():
    """Momentum and average that change, in theory at N = 48 against second moments under drawn F: a finite-N gap."""
    optimizer = rfm.SGD(optax.cosine_decay_schedule(0.1, 200), lambda t: 1 + (t > 20), 0.5, "polyak")
    args = dict(num_features=48, num_samples=INF, optimizer=optimizer, times=STEPS[1:])
    curve, drawn = theory.predict(PROBLEM, **args), rfm.exact(PROBLEM, **args, keys=KEYS)
    for name in ("risk", "average_risk"):
        gap = drawn.mean(name) / getattr(curve, name) - 1.0
        assert np.all(np.abs(gap) < 4.0 * drawn.stderr(name) / getattr(curve, name) + 2.0 / 48)


def test_traced_schedules():
    """Under jit, vmap and grad: every rate may be traced."""
    rates = 0.2 * np.cos(np.linspace(0.0, 1.5, 200))

    def last(rates):
        return predict(rfm.SGD(rates, 4)).risk[-1]

    # together they share the nodes of a contour, but with none that is unstable
    many = np.stack([rates, 1e-3 * rates, 50.0 * rates])
    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(last)))(many)
    np.testing.assert_allclose(values[:2], [last(rates), last(1e-3 * rates)], rtol=1e-10)
    for step in (0, 100, 199):
        moved = [last(rates + h * (np.arange(200) == step)) for h in (1e-4, -1e-4)]
        np.testing.assert_allclose(slopes[0, step], (moved[0] - moved[1]) / 2e-4, rtol=1e-3)


def test_few_steps_compile_nothing_and_many_little():
    with compilations() as compiled:
        predict(rfm.SGD(np.linspace(0.2, 0.0, 200), 4))
    assert not compiled
    times = [10, 3000]
    predict(rfm.SGD(np.linspace(0.2, 0.0, 3000), 4), times=times)
    with compilations() as compiled:
        predict(rfm.SGD(np.linspace(0.2, 0.0, 3500), 4), times=[10, 3500])
    assert not compiled


@pytest.mark.parametrize("samples", [INF, 48])
def test_ensembles_share_what_full_batches_leave(samples):
    """Four models, of two feature draws on two data sets each; as the simulator averages them."""
    optimizer = rfm.SGD(optax.cosine_decay_schedule(0.2, 200), 4)
    args = dict(num_features=48, num_samples=samples, optimizer=optimizer, times=STEPS[1:], ensemble=2, bags=2)
    expected, drawn = theory.predict(PROBLEM, **args), rfm.simulate(PROBLEM, **args, keys=KEYS[:64])
    assert np.all(np.abs(drawn.mean() - expected.risk) < 4.0 * drawn.stderr() + 3.0 / 48 * expected.risk)
    alone = theory.predict(PROBLEM, **args | dict(ensemble=1, bags=1))
    assert np.all(expected.risk[1:] < 0.97 * alone.risk[1:])


@pytest.mark.slow
def test_grids():
    """Sizes, rates and momenta on axes, samples used again or not, as one call at a time."""
    for optimizer, grid in (
        (rfm.SGD(0.1, 4), {"num_samples": [30, 60], "lr": [0.05, 0.1]}),
        (rfm.SGD(optax.cosine_decay_schedule(0.1, 200), 4, average=0.9), {"num_features": [20, 40]}),
        (rfm.SGD(0.1, 4), {"momentum": [0.0, 0.5]}),
    ):
        sizes = {"num_features": 20, "num_samples": 30}
        swept = theory.sweep(PROBLEM, grid, **{k: v for k, v in sizes.items() if k not in grid}, optimizer=optimizer,
                             times=[10, 200])  # fmt: skip
        last = {name: values[-1] for name, values in grid.items()}
        chosen = optimizer if "lr" not in last else rfm.SGD(last["lr"], 4)
        chosen = chosen if "momentum" not in last else rfm.SGD(0.1, 4, last["momentum"])
        one = predict(chosen, *(last.get(name, size) for name, size in sizes.items()), times=[10, 200])
        np.testing.assert_allclose(swept.risk[(-1,) * len(grid)], one.risk, rtol=1e-9)
    with pytest.raises(ValueError, match="`num_samples` must be all finite, or all infinite"):
        theory.sweep(PROBLEM, {"num_samples": [30, INF]}, num_features=8, optimizer=rfm.SGD(0.1, 4), times=[1])
