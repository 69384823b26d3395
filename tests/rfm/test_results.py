"""Curves and sweeps as data: words, averages, tables, files, pictures; arithmetic is refused."""

import dataclasses
import importlib
import operator

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterSciNotation

import rfm
import theory

PROBLEM = rfm.power_law(1.8, 1.5, 100, noise_var=0.25)
TIMES = [1.0, 10.0, 100.0]
RISK = np.array([[4.0, 2.0, 1.0], [6.0, 4.0, 1.0], [5.0, 3.0, 4.0]])
DRAWN = rfm.Curve(np.array(TIMES), RISK, 2.0 * RISK, True, 0.0, "Monte Carlo", noise_var=0.25)
THEORY = theory.predict(PROBLEM, num_features=8, num_samples=16, optimizer=rfm.GradientFlow(), times=TIMES)
AXES = {"num_features": np.array([8.0, 16.0]), "noise_var": np.array([0.0, 0.5, 1.0])}
GRID = np.arange(2.0 * 3 * 4 * 3).reshape(2, 3, 4, 3) + 1.0
SWEPT = rfm.Sweep(AXES, np.array(TIMES), GRID, 2.0 * GRID, jax.random.split(jax.random.key(3), 4), "Monte Carlo")
PREDICTED = theory.sweep(PROBLEM, {"num_features": [8, 16]}, num_samples=32, optimizer=rfm.GradientFlow(), times=TIMES)
RESULTS = [DRAWN, THEORY, SWEPT, PREDICTED]
each_result = pytest.mark.parametrize("result", RESULTS, ids=["drawn", "theory", "swept", "theory sweep"])


@pytest.mark.parametrize(
    "record",
    [*RESULTS, PROBLEM, rfm.power_law(1.8, 1.5, None), rfm.from_features(np.eye(5, 4), np.arange(5.0)),
     theory.decompose(PROBLEM, num_features=8, num_samples=16, optimizer=rfm.GradientFlow(), times=np.arange(1.0, 99))],
    ids=lambda record: type(record).__name__,
)  # fmt: skip
def test_words_are_short(record):
    """One line for a terminal and a small table for a notebook, whatever arrays are in it."""
    assert len(repr(record)) < 450
    assert "\n" not in repr(record)
    assert type(record).__name__ in repr(record)
    if hasattr(record, "_repr_html_"):
        assert record._repr_html_().startswith("<table>")
        assert len(record._repr_html_()) < 1600


def test_words_inside_a_transformation():
    """A traced curve and a traced problem have words too."""
    words = []

    @jax.jit
    def risk(a):
        problem = rfm.power_law(a, 1.5, 1000)
        args = dict(num_features=8, num_samples=9, optimizer=rfm.GradientFlow(), times=[1.0, 2.0])
        curve = theory.predict(problem, **args)
        words.extend([repr(problem), repr(curve)])
        return curve.risk

    risk.lower(1.8)
    assert "traced" in words[0]
    assert "traced" in words[1]


def test_test_loss_is_risk_with_noise():
    np.testing.assert_array_equal(DRAWN.test_loss, RISK + 0.25)
    np.testing.assert_array_equal(DRAWN.mean("test_loss"), RISK.mean(0) + 0.25)
    np.testing.assert_array_equal(THEORY.test_loss, THEORY.risk + 0.25)
    np.testing.assert_array_equal(PREDICTED.test_loss, PREDICTED.risk + 0.25)
    np.testing.assert_array_equal(SWEPT.test_loss, GRID + AXES["noise_var"][:, None, None])
    np.testing.assert_array_equal(SWEPT.sel(noise_var=0.5).test_loss, GRID[:, 1] + 0.5)
    np.testing.assert_array_equal(SWEPT.curve(num_features=8, noise_var=1.0).test_loss, GRID[0, 2] + 1.0)
    with pytest.raises(ValueError, match=r"risk \+ noise_var, and the noise_var"):
        _ = dataclasses.replace(DRAWN, noise_var=None).test_loss


@each_result
@pytest.mark.parametrize("name", ["loss", "times", "accuracy", None, "_seeds"])
def test_other_fields_are_refused(result, name):
    """And those that there are are named."""
    for method in (result.mean, result.stderr, result.interval):
        with pytest.raises(ValueError, match="Argument `name` must be one of 'risk', 'train_loss', 'test_loss', but"):
            method(name)


def test_averages_of_many_curves_of_theory():
    """What jax.vmap makes is no set of seeds."""
    predict = lambda n: theory.predict(  # noqa: E731
        PROBLEM, num_features=n, num_samples=16, optimizer=rfm.Ridge(0.1)
    )
    curves = jax.jit(jax.vmap(predict))(jnp.array([8.0, 16.0]))
    np.testing.assert_array_equal(curves.mean(), curves.risk)
    assert not curves.stderr().any()
    assert curves.num_seeds == 1


def test_intervals():
    """The share of draws inside: ends are quantiles."""
    draws = np.random.default_rng(0).standard_normal((1001, 3))
    curve = dataclasses.replace(DRAWN, risk=draws, train_loss=draws)
    low, high = curve.interval(share=0.9)
    assert np.all(np.abs(np.mean((draws >= low) & (draws <= high), axis=0) - 0.9) < 2e-3)
    low, high = SWEPT.interval("train_loss", 0.5)
    np.testing.assert_array_equal(low, np.quantile(2.0 * GRID, 0.25, axis=2))
    assert high.shape == (2, 3, 3)
    for curve, message in (
        (THEORY, "Theory has no interval: .*simulate"),
        (PREDICTED, "Theory has no interval"),
        (dataclasses.replace(DRAWN, risk=RISK[:1]), "One draw has no interval: .*two seeds"),
    ):
        with pytest.raises(ValueError, match=message):
            curve.interval()
    for share in (0.0, 1.0, 95, np.nan, "0.9"):
        with pytest.raises(ValueError, match="Argument `share` must be a number > 0 and < 1"):
            DRAWN.interval(share=share)


@each_result
@pytest.mark.parametrize(
    "operation", [operator.add, operator.sub, operator.mul, operator.truediv], ids=lambda f: f.__name__
)
def test_arithmetic_is_refused_with_the_cure(result, operation):
    for pair in ((result, THEORY), (result, 2.0), (2.0, result), (np.ones(3), result), (jnp.ones(3), result)):
        with pytest.raises(
            TypeError, match=r"is not an array: use one of its arrays, as in one.mean\(\) - other.mean\(\)"
        ):
            operation(*pair)


@each_result
def test_files(result, tmp_path):
    """What is saved is read as it was; nothing is pickled, and no temporary file stays."""
    path = tmp_path / "result.npz"
    result.save(path)
    result.save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["result.npz"]
    with np.load(path, allow_pickle=False) as file:
        assert all(file[name].dtype.kind != "O" for name in file)
    again = type(result).load(path)
    for field in dataclasses.fields(result):
        mine, read = getattr(result, field.name), getattr(again, field.name)
        if field.name == "keys" and mine is not None:
            mine, read = jax.random.key_data(mine), jax.random.key_data(read)
        jax.tree.map(np.testing.assert_array_equal, mine, read)
    assert repr(again) == repr(result)


def test_weights_and_messages_are_saved(tmp_path):
    curve = dataclasses.replace(DRAWN, weights=np.ones((3, 3, 2)), message="stopped", converged=False)
    curve.save(tmp_path / "curve")
    assert rfm.Curve.load(tmp_path / "curve") == curve


def test_other_files_are_refused(tmp_path):
    SWEPT.save(tmp_path / "sweep")
    whole = (tmp_path / "sweep").read_bytes()
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text").write_text("risk")
    np.savez(tmp_path / "other.npz", risk=RISK)
    np.save(tmp_path / "array.npy", RISK)
    expected = r"Argument `path` must be .*(it is not one, or it is damaged|is not the store of a sweep, or is damaged)"
    for name in ("half", "text", "other.npz", "array.npy"):
        for kind in (rfm.Curve, rfm.Sweep):
            with pytest.raises(ValueError, match=expected):
                kind.load(tmp_path / name)
    with pytest.raises(ValueError, match=r"that Curve\.save wrote, not Sweep\.save"):
        rfm.Curve.load(tmp_path / "sweep")
    with pytest.raises(ValueError, match="No such file"):
        rfm.Curve.load(tmp_path / "nothing")
    with pytest.raises(OSError, match=r"nowhere.curve.npz could not be written"):
        DRAWN.save(tmp_path / "nowhere" / "curve.npz")


def test_selection():
    part = SWEPT.sel(noise_var=0.5)
    np.testing.assert_array_equal(part.risk, GRID[:, 1])
    assert list(part.axes) == ["num_features"]
    assert part.held == {"noise_var": 0.5}
    assert "at noise_var 0.5" in repr(part)
    np.testing.assert_array_equal(part.sel(num_features=16).risk, GRID[1, 1])
    np.testing.assert_array_equal(SWEPT.sel(num_features=[16, 8], time=10.0).train_loss, 2 * GRID[::-1, ..., 1:2])
    np.testing.assert_array_equal(
        SWEPT.sel(noise_var=0.6, time=[2, 70], method="nearest").risk, GRID[:, 1][..., [0, 2]]
    )
    np.testing.assert_array_equal(SWEPT.sel().risk, GRID)
    np.testing.assert_array_equal(PREDICTED.sel(num_features=16).mean(), PREDICTED.risk[1])
    same = jax.random.key_data(part.keys_at(num_features=8)) == jax.random.key_data(
        SWEPT.keys_at(num_features=8, noise_var=0.5)
    )
    assert np.all(same)
    endless = rfm.Sweep(
        {"num_samples": np.array([8.0, np.inf])}, np.array(TIMES), GRID[0, :2, 0], GRID[0, :2, 0], None, ""
    )
    np.testing.assert_array_equal(endless.sel(num_samples=np.inf).risk, GRID[0, 1, 0])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (dict(noise_var=0.6), "`noise_var` must be on the grid, as 0, 0.5, 1 are .*method='nearest'"),
        (dict(time=2), "`time` must be on the grid, as 1, 10, 100 are"),
        (dict(noise=0.5), "`noise` is not an axis of this sweep, which has num_features, noise_var, time"),
        (dict(num_features="8x"), "`num_features` must be numeric"),
        (dict(num_features=[[8]]), "`num_features` must be a number on the grid"),
        (dict(num_features=np.nan), "`num_features` must be a number on the grid"),
        (dict(num_features=8, method="linear"), "`method` must be one of 'nearest'"),
    ],
)
def test_selection_refuses(given, message):
    with pytest.raises(ValueError, match=message):
        SWEPT.sel(**given)


def test_tables():
    pytest.importorskip("pandas")
    frame = DRAWN.to_dataframe()
    assert list(frame) == ["seed", "time", "risk", "train_loss", "test_loss"]
    assert len(frame) == RISK.size
    assert frame[(frame.seed == 2) & (frame.time == 100.0)].risk.item() == 4.0
    assert list(THEORY.to_dataframe()) == ["time", "risk", "train_loss", "test_loss"]
    frame = SWEPT.to_dataframe()
    row = frame[(frame.num_features == 16) & (frame.noise_var == 0.5) & (frame.seed == 3) & (frame.time == 10)]
    assert row.risk.item() == GRID[1, 1, 3, 1]
    assert frame.attrs["kind"] == "Monte Carlo"


def test_named_axes():
    pytest.importorskip("xarray")
    data = SWEPT.to_xarray()
    assert data.risk.dims == ("num_features", "noise_var", "seed", "time")
    assert data.risk.sel(num_features=16, noise_var=0.5, seed=3, time=10.0).item() == GRID[1, 1, 3, 1]
    assert THEORY.to_xarray().test_loss.dims == ("time",)


@pytest.mark.parametrize(("method", "package"), [("to_dataframe", "pandas"), ("to_xarray", "xarray")])
def test_a_package_that_is_missing_is_named(method, package, monkeypatch):
    def absent(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ImportError, match=rf"^{package} is not installed: pip install {package}\.$"):
        getattr(DRAWN, method)()


def test_pictures():
    """Lines go through the means, one for every other point; scales are logarithmic where they can be."""
    ax = Figure().subplots()
    assert DRAWN.plot(ax=ax, color="k") is ax
    THEORY.plot("train_loss", ax=ax, label="theory")
    first, second = ax.get_lines()
    np.testing.assert_array_equal(first.get_ydata(), RISK.mean(0))
    np.testing.assert_array_equal(second.get_ydata(), THEORY.train_loss)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        f"mean of {len(RISK)} seeds, Monte Carlo",
        "theory",
    ]
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert isinstance(ax.yaxis.get_minor_formatter(), LogFormatterSciNotation)
    band = ax.collections[0].get_paths()[0].vertices
    np.testing.assert_allclose(band[:, 1].max(), np.max(RISK.mean(0) + 2 * DRAWN.stderr()))

    ax = Figure().subplots()
    SWEPT.sel(time=10.0).plot("num_features", "test_loss", ax=ax)
    np.testing.assert_array_equal(ax.get_lines()[2].get_ydata(), SWEPT.mean("test_loss")[:, 2, 1])
    assert ax.get_legend().get_texts()[2].get_text() == "noise_var = 1"
    ridge = theory.predict(PROBLEM, num_features=8, num_samples=16, optimizer=rfm.Ridge(0.1))
    ridge.plot(ax=Figure().subplots())
    high = np.array([200.0, 280.0])
    short = rfm.Curve(np.array([1.0, 10.0]), high, high, True, 0.0, "deterministic equivalent")
    ax = short.plot(ax=Figure().subplots())
    assert ax.yaxis.get_minor_formatter()(280.0) == "280"  # less than a decade: no powers of ten
    assert ax.get_legend().get_texts()[0].get_text() == "theory, deterministic equivalent"
    assert DRAWN.plot() is matplotlib.pyplot.gca()
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: DRAWN.plot("loss"), "`name` must be one of 'risk', 'train_loss', 'test_loss'"),
        (lambda: SWEPT.plot("seed"), "`x` must be one of 'num_features', 'noise_var', 'time'"),
        (lambda: rfm.Sweep({"lr": np.arange(1.0, 14)}, np.ones(1), np.ones((13, 1)), np.ones((13, 1)), None, "").plot(),
         r"`x` must be another axis, or chosen from with .sel\(...\): 13 lines, and at most 12"),
    ],
)  # fmt: skip
def test_pictures_refuse(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
