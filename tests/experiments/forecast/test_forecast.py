"""What a forecast is made of: bands, peaks, extrapolation marked, exponents, the plan; and its check on real rows."""

import dataclasses

import jax
import numpy as np
import pytest
from scipy.stats import t as student

import rfm
import theory
from experiments.compare.comparison import Comparison
from experiments.forecast import bands, check_report, curves, forecasts, held_out, job, laws, records, runs
from experiments.forecast.choices import forecast_of
from experiments.forecast.forecasts import Forecast
from experiments.forecast.source import Source
from rfm.data.from_data import estimate_features
from rfm.data.spectra import Estimate, Sample

TIMES = rfm.log_times(0.1, 1e4, forecasts.NUM_TIMES)
FLOW = rfm.GradientFlow()


def estimated(problem, replicas=(), trusted=10, rows=200, a=1.8, b=1.5):
    """An `Estimate` that gives what it is told."""
    total = float(problem.power) + float(problem.noise_var)  # of the labels
    sample = Sample(problem.eigenvalues, problem.eigenvalues * problem.target**2, total, rows, problem.num_modes)
    args = (sample, 1.0, trusted, (1, trusted), a, b)
    return Estimate(problem, *args, replicas=tuple(Estimate(replica, *args) for replica in replicas))


def scaled(problem, factor):
    """Labels of another unit: all of the loss times factor."""
    return dataclasses.replace(
        problem, target=np.sqrt(factor) * problem.target, noise_var=factor * float(problem.noise_var)
    )


def test_band_is_students():
    """Replicas whose log loss scatters by a known standard deviation, and the quantile of another library."""
    logs = np.array([-0.1, 0.0, 0.1, 0.3])
    band = bands.band(np.array([2.0]), np.exp(logs)[:, None])
    half = student.ppf(0.975, 3) * logs.std(ddof=1)
    np.testing.assert_allclose([band.low, band.high], [[2 * np.exp(-half)], [2 * np.exp(half)]])
    assert np.isnan(bands.band(1.0, np.ones((1,))).low)  # one replica has no scatter


def test_band_covers():
    """The half width of Gaussian scatter over n replicas holds a further draw's own deviation 95 % of the time."""
    rng = np.random.default_rng(0)
    replicas, truth = rng.normal(size=(8, 20_000)), rng.normal(size=20_000)
    inside = np.mean(np.abs(truth) < bands.half_width(np.exp(replicas)))
    assert abs(inside - 0.95) < 0.005  # standard error 0.0015


def test_grid_scales_with_the_labels():
    """Replicas that are the problem in other units: the band is theirs at every size and time, as is every loss."""
    problem = rfm.power_law(1.8, 1.5, 40, noise_var=0.3)
    factors = np.array([0.8, 1.0, 1.3])
    known = estimated(problem, [scaled(problem, f) for f in factors])
    grid = curves.grid(Forecast(known, FLOW, TIMES), [20, np.inf], [30, 120])
    half = student.ppf(0.975, 2) * np.log(factors).std(ddof=1)
    np.testing.assert_allclose(np.log(grid.loss.high / grid.loss.value), half, rtol=1e-6)
    for i, j in np.ndindex(2, 2):
        sizes = dict(num_features=[20, np.inf][i], num_samples=[30, 120][j])
        own = theory.predict(problem, **sizes, optimizer=FLOW, times=TIMES).risk + 0.3
        np.testing.assert_allclose(grid.loss.value[i, j], own)
        best = theory.best_stopping(problem, **sizes, optimizer=FLOW, longest=TIMES[-1]).risk + 0.3
        assert grid.stopping[i, j].loss.value == pytest.approx(best, rel=1e-4)
        ridge = theory.best_ridge(problem, **sizes)
        assert grid.ridge[i, j].loss.value == pytest.approx(ridge.risk + 0.3)
        assert grid.ridge[i, j].at == ridge.ridge
    np.testing.assert_array_equal(grid.extrapolated.any(-1), [[False, True], [False, True]])  # P = 120 of 200 rows


def test_unresolved_share():
    """All of the clean loss where no mode is trusted, none where all are, the sum of their power at t = 0."""
    problem = rfm.power_law(1.8, 1.5, 40, noise_var=0.0)
    times = np.array([0.0, 1.0, 100.0])
    for trusted, expected in ((0, 1.0), (40, 0.0)):
        grid = curves.grid(Forecast(estimated(problem, trusted=trusted), FLOW, times), [20], [30])
        np.testing.assert_allclose(grid.beyond, expected, atol=1e-12)
    grid = curves.grid(Forecast(estimated(problem, trusted=10), FLOW, times), [20], [30])
    power = np.arange(1.0, 41) ** -1.8
    np.testing.assert_allclose(grid.beyond[0, 0, 0], power[10:].sum() / power.sum())
    assert np.all(np.diff(grid.beyond[0, 0]) > 0)  # the others are learned first


def test_peak_at_equal_sizes():
    """White features and noise: the peak is at N = P, early stopping and ridge remove it; without it there is none."""
    problem = rfm.white(200, noise_var=1.0)
    x = 40 * 2.0 ** np.linspace(-2, 2, 13)
    known = estimated(problem, [problem, scaled(problem, 2.0)])
    line = curves.line(Forecast(known, FLOW, np.array([1.0, 1e3])), "features", x, 40)
    peak = curves.find_peak(line)
    assert peak.at == 40
    assert peak.loss == line.end.value.max()
    assert peak.height > 2
    assert 0.0 < peak.ridge < peak.stopped < 0.5
    np.testing.assert_allclose(np.ptp(np.log(line.end.value / line.end.low)), 0, atol=1e-6)  # the replicas' all over
    falling = bands.Band(*(np.minimum.accumulate(values) for values in line.end))
    assert curves.find_peak(dataclasses.replace(line, end=falling)) is None


@pytest.mark.parametrize(
    ("axis", "features", "samples", "rows", "at"),
    [
        ("features", [20, np.inf], [10, 40], 400, 40),
        ("samples", [20], [10, 90], 400, 20),
        ("samples", [20, np.inf], [10, 90], 400, 60),  # N = inf: all modes
        ("samples", [20, 600], [10, 30], 400, 60),  # the line reaches beyond the samples planned,
        ("samples", [20, np.inf], [200, 300], 400, 60),  # and before them,
        ("samples", [20, np.inf], [10, 20], 50, None),  # but not for more rows than there are
        ("features", [20, np.inf], [10, 90], 400, None),  # all modes are told: fewer features are no noise
    ],
)
def test_lines_reach_the_peak(axis, features, samples, rows, at):
    """White features, 60 of them: the peak is where N or P is the least of the other size and 60."""
    problem = rfm.white(60, noise_var=1.0)
    x = job.span(axis, features, samples, job.LINE_QUICK, job.Limits(problem.num_modes, rows))
    fixed = max(samples if axis == "features" else features)
    known = Forecast(estimated(problem, [problem] * 2), FLOW, np.array([1.0, 1e3]))
    peak = curves.find_peak(curves.line(known, axis, x, fixed))
    assert (None if peak is None else peak.at) == at


def test_check_marks_extrapolation():
    """A star on the row of (N, P) that has any; errors told with and without."""
    times, loss = np.array([1.0, 10.0]), np.full((2, 2), 1.0)
    sizes = ((5, 20, [0.9, 0.9], [False, False]), (5, 40, [1.05, 1.8], [False, True]))
    pairs = [Comparison("time", times, loss, np.array(y), {"N": n, "P": p}) for n, p, y, _ in sizes]
    trials = [
        held_out.Trial(pair, np.ones(2), 0, np.array(far)) for pair, (*_, far) in zip(pairs, sizes, strict=True)
    ]  # fmt: skip
    rows = check_report.check_table(trials).splitlines()
    assert [row.split()[1] for row in rows[2:4]] == ["20", "40*"]
    found = records.summary(trials)
    assert (found["worst"], found["resolved"]["worst"]) == (pytest.approx(0.8), pytest.approx(-0.1, abs=1e-9))
    assert found["resolved"]["values"] == 3
    assert [row["extrapolated"] for row in records.trial_rows(trials)] == [False, False, False, True]
    none = [dataclasses.replace(trial, extrapolated=np.array([False, False])) for trial in trials]
    assert check_report.MARK not in check_report.check_table(none)


def test_loss_told_by_own_rows():
    """Both against training by hand on all rows but one, and on the rows kept; none where rows come in groups."""
    rng = np.random.default_rng(0)
    x, times = rng.standard_normal((60, 5)) * np.arange(1, 6.0) ** -0.7, np.array([0.3, 3.0, 300.0])
    y = x @ np.ones(5) + rng.standard_normal(60)
    source = Source(x, y)
    told = runs.own_rows(source, (np.inf, 30), (FLOW, times), np.arange(3))
    assert told.losses.shape == told.estimates.shape == (3, 3)
    x, y = x - x.mean(0), y - y.mean()
    order = np.random.default_rng(2).permutation(60)

    def train(rows):
        z, basis = np.linalg.eigh(x[rows].T @ x[rows] / 30)
        return basis @ (-np.expm1(-z[:, None] * times) / z[:, None] * (basis.T @ (x[rows].T @ y[rows] / 30))[:, None])

    kept, others = order[:30], order[30:]
    np.testing.assert_allclose(told.losses[2], np.mean((y[others, None] - x[others] @ train(kept)) ** 2, 0), rtol=1e-10)
    left = np.mean([(y[i] - x[i] @ train(kept[kept != i])) ** 2 for i in kept], 0)
    np.testing.assert_allclose(told.estimates[2], left, rtol=1e-9)
    at_stop = [loss[times == stop][0] for loss, stop in zip(told.losses, told.stops, strict=True)]
    np.testing.assert_allclose(told.excess, at_stop / told.losses.min(1) - 1.0, atol=1e-15)
    some = runs.own_rows(source, (3, 30), (FLOW, times), np.arange(1), columns=True)
    assert np.all(some.losses != told.losses[0])
    grouped = dataclasses.replace(source, groups=np.arange(60) // 2)
    assert runs.own_rows(grouped, (np.inf, 30), (FLOW, times), np.arange(3)) is None
    pair = Comparison("time", times, told.losses, told.losses.mean(0), {"N": np.inf, "P": 30})
    trial = held_out.Trial(pair, np.ones(3), 0, np.zeros(3, bool), told)
    assert records.own_summary([trial])["median"] == np.median(np.abs(told.error))
    assert check_report.own_lines([trial])[0].splitlines()[-1].startswith("inf  30")
    assert not check_report.own_lines([dataclasses.replace(trial, own=None)])


def test_exponents_of_a_power_law():
    """Measured on the theory they approach the closed form; noise does not move them."""
    a, b = 1.6, 1.5
    problem = rfm.power_law(a, b, None, noise_var=0.5)
    rows = laws.exponent_table(estimated(problem, [problem] * 2, trusted=400, a=a, b=b))
    for row, closed in zip(rows, (0.4, 0.6, 0.6), strict=True):
        assert row.closed.value == pytest.approx(closed)
        assert row.closed.low == row.closed.high == row.closed.value  # replicas of one a and b
        assert row.measured.value == pytest.approx(closed, abs=0.03)
        assert row.measured.low == pytest.approx(row.measured.value)
    flat = laws.exponent_table(estimated(problem, a=0.9))
    assert np.isnan(flat[0].closed.value)  # no such power law


def test_optimum_of_a_parabola():
    x = np.linspace(-1.0, 1.0, 5)
    assert laws.lowest(x, 3 + 2 * (x - 0.25) ** 2) == pytest.approx(np.exp(0.25))
    assert laws.lowest(x, -x) == pytest.approx(np.e)  # no minimum inside


@pytest.mark.slow
def test_plan():
    """A replica with all losses scaled has the same optimum; one with another spectrum moves the band."""
    problem = rfm.power_law(1.5, 1.25, 300, noise_var=0.01)
    found = theory.frontier(problem, np.array([1e3, 1e4]), num_samples=500, optimizer=FLOW)
    same = laws.plan(Forecast(estimated(problem, [problem, scaled(problem, 2.0)]), FLOW, TIMES), found, 500)
    np.testing.assert_allclose(same.features.high / same.features.low, 1.0, rtol=1e-6)
    np.testing.assert_allclose(same.features.value * same.times.value, same.compute)
    np.testing.assert_allclose(same.loss.value, found.risk + 0.01)
    other = rfm.power_law(1.5, 1.5, 300, noise_var=0.01)
    moved = laws.plan(Forecast(estimated(problem, [problem, other]), FLOW, TIMES), found, 500)
    assert np.all(moved.features.high > 1.05 * moved.features.low)


RNG = np.random.default_rng(3)
ROWS, COLUMNS = 240, 30
FEATURES = RNG.normal(size=(ROWS, COLUMNS)) * np.arange(1.0, COLUMNS + 1) ** -0.75
LABELS = FEATURES @ RNG.normal(size=(COLUMNS, 2)) + 0.5 * RNG.normal(size=(ROWS, 2))


def check_of(times, seed, seeds, model="project"):
    return held_out.Check(FLOW, np.array(times), jax.random.split(jax.random.key(seed), seeds), model)


def forecast_from(half, how):
    return forecast_of(half.known, half.estimate, how.optimizer, how.times, [])


def test_two_ways_to_all_features():
    """All columns in any order are all features: the same rows are drawn, and the losses are the same."""
    half = held_out.halves(Source(FEATURES, LABELS), 0)[0]
    how = check_of([1.0, 100.0], 0, 2)
    forecast = forecast_from(half, how)
    project, columns = (
        held_out.trial(half, forecast, np.inf, 40, dataclasses.replace(how, model=model)).pair
        for model in held_out.MODELS
    )
    np.testing.assert_allclose(project.risks, columns.risks, rtol=1e-8)


def test_trial_against_plain_training():
    """Gradient flow on columns ends at least squares: as good, over rows held out, as numpy on its own draws."""
    half = held_out.halves(Source(FEATURES, LABELS), 0)[1]
    how = check_of([1e9], 1, 40, "columns")
    found = held_out.trial(half, forecast_from(half, how), np.inf, 60, how).pair
    losses, rng = [], np.random.default_rng(0)
    for _ in range(400):
        order = rng.permutation(len(half.rows.labels))
        train, test = order[:60], order[60:]
        x, y = (values - values.mean(0) for values in (half.rows.data, half.rows.labels))
        weights = np.linalg.lstsq(x[train], y[train], rcond=None)[0]
        losses.append(((x[test] @ weights - y[test]) ** 2).sum(1).mean())
    error = np.hypot(found.stderr[0], np.std(losses) / 20)
    assert abs(found.mean[0] - np.mean(losses)) < 4 * error


def test_halves_share_no_row():
    one, other = held_out.halves(Source(FEATURES, LABELS), 0)
    both = np.concatenate([one.rows.labels, other.rows.labels])
    assert len(np.unique(both[:, 0])) == ROWS
    with pytest.raises(ValueError, match="`samples` must be at most 80%"):
        held_out.trial(one, Forecast(one.estimate, FLOW, np.ones(1)), 10, 118, check_of([1.0], 0, 2))
    with pytest.raises(ValueError, match="`features` must be at most the 30 columns"):
        held_out.trial(one, Forecast(one.estimate, FLOW, np.ones(1)), 31, 20, check_of([1.0], 0, 2, "columns"))


def test_a_tail_that_the_loss_rests_on():
    """Without target power beyond the modes that the sample tells: near N = P their tail is a ridge all the same."""
    k = np.arange(1.0, 31.0)
    tail = rfm.problem.PowerLawTail(*map(np.float64, (2.0, 1.1, 1.0, 0.0)), None)
    problem = rfm.Problem(k**-1.1, np.where(k < 6, 1.0, 0.0), 0.0, tail)
    sample = Sample(k**-1.1, np.where(k < 6, k**-1.1, 0.0), 2.0, 60, np.inf)
    estimate = Estimate(problem, sample, 1.0, 30, (2, 15), 2.0, 1.1)
    forecast = Forecast(estimate, rfm.GradientFlow(), np.array([1e6]))
    small, peak = (forecast.unresolved_share(n, n, forecast.losses(n, n))[0] for n in (3, 30))
    assert small < 0.02
    assert peak > 3 * small
    assert peak > 0.1


def test_no_interval_of_halves_that_all_leave_no_noise():
    rows = np.random.default_rng(0).normal(size=(20, 12))
    found = estimate_features(rows, rows[:, 0] + np.random.default_rng(1).normal(size=20), replicas=4)
    assert {replica.noise_var for replica in found.replicas} == {0.0}
    assert np.isnan(bands.interval(found, "noise_var").high)
