"""`rfm double-descent`: the interpolation peak in model size, data and time, and what stopping or ridge does to it."""

import argparse
import dataclasses
from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np
from matplotlib.figure import Figure

import rfm
import theory
from experiments.commands.settings import Shared, record_of, settings_of
from experiments.compare.comparison import Comparison, with_size
from experiments.compare.laws import FLOW
from experiments.output import files, plotting, progress
from rfm import checks
from rfm.arguments import Sizes

END_TIME = 1e5  # flow time that stands for the end of training; at infinity the peak itself is infinite
SIZE_RATIOS = (0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0, 8.0)  # of the varied size to the fixed one
PANEL_PLACES = {"features": (0, 0), "samples": (0, 1), "time": (1, 0), "cures": (1, 1)}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of `rfm double-descent`."""

    shared: Shared
    size: int


@dataclasses.dataclass(frozen=True)
class Series:
    """One line of a panel with its points, and what was set at each of them: N, P, time, ridge."""

    panel: str
    pair: Comparison
    settings: list[dict]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add arguments and defaults of this command alone."""
    parser.add_argument(
        "--size", type=int, default=128, metavar="K", help="P where N varies, N where P varies, both where t does"
    )
    parser.set_defaults(noise=0.1, seeds=32, modes=2_000)


def run(args: argparse.Namespace) -> None:
    """Print the table, write double-descent.png, .pdf, .csv and .json."""
    folder = files.check_folder(args.out)
    checks.number("size", args.size, 8, "an integer >= 8", inclusive=True)
    settings = settings_of(Settings, args)
    series = train(settings)
    text = cure_table([curve for curve in series if curve.panel == "cures"])
    rows = [row for curve in series for row in table(curve)]
    result = files.Result("double-descent", rows, record_of(settings), lambda: draw(series, settings), text)
    files.save_and_tell(folder, result)


def train(settings: Settings) -> list[Series]:
    """Train and predict along N, P and t, clean and noisy, and the cures of the noisy peak."""
    shared = settings.shared
    keys = shared.keys
    ratios = SIZE_RATIOS[::2] if shared.quick else SIZE_RATIOS
    sizes = [round(ratio * settings.size) for ratio in ratios]
    equal = Sizes(num_features=settings.size, num_samples=settings.size)
    noises = dict.fromkeys((0.0, shared.noise))  # one curve where the noise asked for is zero
    series = []
    with progress.bar(len(noises) * (2 * len(ratios) + 1) + 2 * len(ratios), "run") as bar:
        for noise in noises:
            problem = dataclasses.replace(shared.problem, noise_var=noise)
            for axis in ("features", "samples"):
                bar.set_description(f"{axis}, noise {noise:g}")
                series.append(along_size(problem, axis, equal, sizes, keys=keys, on_point=bar.update))
            bar.set_description(f"time, noise {noise:g}")
            series.append(along_time(problem, equal, keys))
            bar.update()
        bar.set_description("stopping and ridge")
        series += cures(shared.problem, series[-3], keys, bar.update)
    return series


def along_size(
    problem: rfm.Problem, axis: str, held: Sizes, varied: Sequence[int], *, keys: jax.Array, on_point: Callable
) -> Series:
    """Compare late risk along "features" or "samples", through the peak where the two sizes are equal."""
    late = np.array([END_TIME])
    points, risks = [with_size(axis, size, held) for size in varied], []
    for sizes in points:
        risks.append(rfm.simulate(problem, optimizer=FLOW, times=late, keys=keys, **sizes).risk[:, 0])
        on_point()
    line_x = held["num_features"] * np.unique(np.concatenate([np.geomspace(1 / 8, 8, 61), np.geomspace(0.8, 1.25, 31)]))
    predicted, line = (
        np.array([theory.predict(problem, optimizer=FLOW, times=late, **sizes).risk[0] for sizes in grid])
        for grid in (points, [with_size(axis, size, held) for size in line_x])
    )
    label = f"noise {problem.noise_var:g}"
    pair = Comparison(axis, np.array(varied), np.stack(risks, 1), predicted, label=label, line_x=line_x, line=line)
    return Series(axis, pair, [{**sizes, "time": END_TIME, "ridge": 0.0} for sizes in points])


def along_time(problem: rfm.Problem, sizes: Sizes, keys: jax.Array) -> Series:
    """Compare risk against time."""
    times, line_x = rfm.log_times(0.1, END_TIME, 25), rfm.log_times(0.1, END_TIME, 121)
    risks = rfm.simulate(problem, **sizes, optimizer=FLOW, times=times, keys=keys).risk
    predicted, line = (theory.predict(problem, **sizes, optimizer=FLOW, times=t).risk for t in (times, line_x))
    pair = Comparison("time", times, risks, predicted, label=f"noise {problem.noise_var:g}", line_x=line_x, line=line)
    return Series("time", pair, [{**sizes, "time": t, "ridge": 0.0} for t in times])


def cures(problem: rfm.Problem, end: Series, keys: jax.Array, on_point: Callable) -> Iterator[Series]:
    """Compare risk against N at the end of training, at the best stopping time and ridge, both chosen by theory."""
    fixed = end.settings[0]["num_samples"]
    line_x = np.geomspace(fixed / 8, fixed * 8, 49)

    def stopping(n: float) -> tuple[float, float]:
        best = theory.best_stopping(problem, num_features=n, num_samples=fixed, optimizer=FLOW, longest=END_TIME)
        return best.time, best.risk

    def ridge(n: float) -> tuple[float, float]:
        best = theory.best_ridge(problem, num_features=n, num_samples=fixed)
        return best.ridge, best.risk

    yield Series("cures", dataclasses.replace(end.pair, label="end of training"), end.settings)
    for label, search in (("best stopping", stopping), ("best ridge", ridge)):
        risks, predicted, settings = [], [], []
        for n in map(int, end.pair.x):
            best, least = search(n)
            sizes = Sizes(num_features=n, num_samples=fixed)
            if search is ridge:
                simulated = rfm.simulate(problem, **sizes, optimizer=rfm.Ridge(best), keys=keys)
                settings.append({**sizes, "time": np.inf, "ridge": best})
            else:
                simulated = rfm.simulate(problem, **sizes, optimizer=FLOW, times=np.array([best]), keys=keys)
                settings.append({**sizes, "time": best, "ridge": 0.0})
            risks.append(simulated.risk[:, 0])
            predicted.append(least)
            on_point()
        line = np.array([search(n)[1] for n in line_x])
        pair = Comparison("features", end.pair.x, np.stack(risks, 1), np.array(predicted), label=label,
                          line_x=line_x, line=line)  # fmt: skip
        yield Series("cures", pair, settings)


def cure_table(series: Sequence[Series]) -> str:
    """Return the simulated risk of each cure beside the end of training, one row a model size."""
    end, stopped, ridge = series
    lines = ["    N   end of training   best stopping (at t)   best ridge (ridge)"]
    for i, n in enumerate(end.pair.x):
        t, strength = stopped.settings[i]["time"], ridge.settings[i]["ridge"]
        trained, early, ridged = (cure.pair.mean[i] for cure in series)
        lines.append(f"{n:5d}   {trained:15.4f}   {early:11.4f} ({t:6.4g})   {ridged:9.4f} ({strength:.2g})")
    return "\n".join(lines)


def table(series: Series) -> list[dict]:
    """Return every point of a series, one row each."""
    pair = series.pair
    rows = pair.rows("risk", "stderr", "theory", "z", z=pair.z)
    head = {"panel": series.panel, "label": pair.label}
    return [head | setting | row for setting, row in zip(series.settings, rows, strict=True)]


def draw(series: Sequence[Series], settings: Settings) -> Figure:
    """Draw four panels: N, P, t, and the cures."""
    figure, axes = plotting.new_figure(2, 2)
    size, late = settings.size, f"$t = 10^{{{np.log10(END_TIME):g}}}$"
    for panel, place in PANEL_PLACES.items():
        plotting.draw_all(axes[place], [curve.pair for curve in series if curve.panel == panel])
        if panel != "time":
            axes[place].axvline(size, color="0.8", lw=0.8, zorder=-1)
    plotting.finish(axes[0, 0], "model size $N$", "risk", f"$P = {size}$, {late}")
    plotting.finish(axes[0, 1], "data $P$", "risk", f"$N = {size}$, {late}")
    plotting.finish(axes[1, 0], "time $t$", "risk", f"$N = P = {size}$")
    plotting.finish(axes[1, 1], "model size $N$", "risk", f"$P = {size}$, noise {settings.shared.noise:g}")
    return figure
