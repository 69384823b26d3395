"""`rfm double-descent`: the interpolation peak in model size, data and time, and what stopping or ridge does to it."""

import argparse
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure

import rfm
import theory
from experiments.commands.settings import Shared, record_of, settings_of
from experiments.compare.comparison import SYMBOLS, Comparison, with_size
from experiments.compare.laws import FLOW
from experiments.compare.scans import check
from experiments.compare.spread import (
    JUDGED,
    Call,
    Spread,
    beside,
    columns_of,
    joined,
    judge_all,
    spread_along,
    spread_at,
    spread_of,
)
from experiments.output import files, plotting, progress
from experiments.output.tables import align
from rfm import checks
from rfm.arguments import Sizes
from rfm.optimizers import Optimizer

END_TIME = 1e5  # flow time that stands for the end of training; at infinity the peak itself is infinite
SIZE_RATIOS = (0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0, 8.0)  # of the varied size to the fixed one
QUICK_RATIOS = (0.25, 1.0, 4.0)
LINE_RATIOS = np.union1d(np.geomspace(1 / 8, 8, 25), np.geomspace(0.71, 1.42, 21))  # denser around the peak
QUICK_LINE = 5  # one in so many of these for a quick look
PANEL_PLACES = {"features": (0, 0), "samples": (0, 1), "time": (1, 0), "cures": (1, 1)}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of `rfm double-descent`."""

    shared: Shared
    size: int


@dataclasses.dataclass(frozen=True)
class Series:
    """One line of a panel with its points, what was set at each of them (N, P, time, ridge), and theory around them."""

    panel: str
    pair: Comparison
    settings: list[dict]
    spread: Spread


class Panel(NamedTuple):
    """Axis of a panel, "features" or "samples", sizes that are trained, and ratios to the fixed one for the line."""

    axis: str
    sizes: Sequence[int]
    line: np.ndarray


class Choice(NamedTuple):
    """Choice for a size: an algorithm, its time (None for a ridge), and its ridge."""

    optimizer: Optimizer
    time: float | None
    ridge: float

    def call(self, sizes: Sizes) -> Call:
        """Return the arguments of a call."""
        return Call(**sizes, optimizer=self.optimizer, times=None if self.time is None else np.array([self.time]))


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
    text = "\n\n".join([cure_table([curve for curve in series if curve.panel == "cures"]), verdict_table(series)])
    rows = [row for curve in series for row in table(curve)]
    result = files.Result("double-descent", rows, record_of(settings), lambda: draw(series, settings), text)
    files.save_and_tell(folder, result)


def train(settings: Settings) -> list[Series]:
    """Train and predict along N, P and t, clean and noisy, and the cures of the noisy peak."""
    shared = settings.shared
    keys = shared.keys
    ratios = QUICK_RATIOS if shared.quick else SIZE_RATIOS
    line = LINE_RATIOS[:: QUICK_LINE if shared.quick else 1]
    sizes = [round(ratio * settings.size) for ratio in ratios]
    equal = Sizes(num_features=settings.size, num_samples=settings.size)
    noises = dict.fromkeys((0.0, shared.noise))  # one curve where the noise asked for is zero
    others = [size for size in sizes if size != settings.size]  # the peak is the end of the run in time
    runs = [(with_size(axis, size, equal), 2 * len(noises)) for axis in ("features", "samples") for size in others]
    check(shared.problem, FLOW, np.array([END_TIME]), keys, [(equal, len(noises)), *runs])
    series = []
    with progress.bar(len(noises) * (2 * len(others) + 1) + 2 * len(sizes), "run") as bar:
        for noise in noises:
            problem = dataclasses.replace(shared.problem, noise_var=noise)
            bar.set_description(f"time, noise {noise:g}")
            time = along_time(problem, equal, keys)
            bar.update()
            for axis in ("features", "samples"):
                bar.set_description(f"{axis}, noise {noise:g}")
                panel = Panel(axis, sizes, line)
                series.append(along_size(problem, panel, time.pair, keys=keys, on_point=bar.update))
            series.append(time)
        bar.set_description("stopping and ridge")
        series += cures(shared.problem, series[-3], keys, bar.update)
    return series


def along_size(problem: rfm.Problem, panel: Panel, peak: Comparison, *, keys: jax.Array, on_point: Callable) -> Series:
    """Compare late risk along the axis of a panel, through the peak at equal sizes; peak: the run in time there."""
    axis, varied, size = panel.axis, panel.sizes, int(peak.fixed["N"])
    held, drawn = Sizes(num_features=size, num_samples=size), {size: peak.risks[:, -1]}
    for n in varied:
        if n not in drawn:
            sizes = with_size(axis, n, held)
            drawn[n] = rfm.simulate(problem, optimizer=FLOW, times=[END_TIME], keys=keys, **sizes).risk[:, 0]
            on_point()
    risks = np.stack([drawn[n] for n in varied], axis=1)
    x, call = joined(varied, size * panel.line), Call(**held, optimizer=FLOW, times=[END_TIME])
    sizes = [with_size(axis, n, held) for n in x]
    leading = np.array([theory.predict(problem, optimizer=FLOW, times=[END_TIME], **at).risk[0] for at in sizes])
    spread = spread_along(problem, axis, x, leading, around=np.array(varied), held=call)
    fixed, settings = {"P" if axis == "features" else "N": size}, {"time": END_TIME, "ridge": 0.0}
    pair = Comparison(axis, np.array(varied), risks, np.empty(0), fixed, f"noise {problem.noise_var:g}")
    return Series(axis, beside(pair, spread), [{**with_size(axis, n, held), **settings} for n in varied], spread)


def along_time(problem: rfm.Problem, sizes: Sizes, keys: jax.Array) -> Series:
    """Compare risk against time."""
    times = rfm.log_times(0.1, END_TIME, 25)
    risks = rfm.simulate(problem, **sizes, optimizer=FLOW, times=times, keys=keys).risk
    spread = spread_of(problem, **sizes, optimizer=FLOW, times=times)
    fixed = {"N": sizes["num_features"], "P": sizes["num_samples"]}
    pair = beside(Comparison("time", times, risks, np.empty(0), fixed, f"noise {problem.noise_var:g}"), spread)
    return Series("time", pair, [{**sizes, "time": t, "ridge": 0.0} for t in times], spread)


def cures(problem: rfm.Problem, end: Series, keys: jax.Array, on_point: Callable) -> Iterator[Series]:
    """Compare risk against N at the end of training, at the best stopping time and ridge, both chosen by theory.

    The leading order chooses; the next one is that of what was chosen.
    """
    fixed = end.settings[0]["num_samples"]

    def stopping(n: float) -> Choice:
        best = theory.best_stopping(problem, num_features=n, num_samples=fixed, optimizer=FLOW, longest=END_TIME)
        return Choice(FLOW, best.time, 0.0)

    def ridge(n: float) -> Choice:
        best = theory.best_ridge(problem, num_features=n, num_samples=fixed).ridge
        return Choice(rfm.Ridge(best), None, best)

    yield dataclasses.replace(end, panel="cures", pair=dataclasses.replace(end.pair, label="end of training"))
    for label, search in (("best stopping", stopping), ("best ridge", ridge)):
        spreads, risks, settings = [], [], []
        for n in map(int, end.pair.x):
            sizes, choice = Sizes(num_features=n, num_samples=fixed), search(n)
            spreads.append(spread_of(problem, **choice.call(sizes)))
            risks.append(rfm.simulate(problem, keys=keys, **choice.call(sizes)).risk[:, 0])
            time = np.inf if choice.time is None else choice.time
            settings.append({**sizes, "time": time, "ridge": choice.ridge})
            on_point()
        spread = spread_at(end.pair.x, spreads)
        pair = Comparison("features", end.pair.x, np.stack(risks, 1), np.empty(0), {"P": fixed}, label)
        yield Series("cures", beside(pair, spread), settings, spread)


def cure_table(series: Sequence[Series]) -> str:
    """Return the simulated risk of each cure beside the end of training, one row a model size."""
    end, stopped, ridge = series
    lines = ["    N   end of training   best stopping (at t)   best ridge (ridge)"]
    for i, n in enumerate(end.pair.x):
        t, strength = stopped.settings[i]["time"], ridge.settings[i]["ridge"]
        trained, early, ridged = (cure.pair.mean[i] for cure in series)
        lines.append(f"{n:5d}   {trained:15.4f}   {early:11.4f} ({t:6.4g})   {ridged:9.4f} ({strength:.2g})")
    return "\n".join(lines)


def verdict_table(series: Sequence[Series]) -> str:
    """Return the differences of simulation from theory, one row a line of the figure."""
    apart = [curve for curve in series if not (curve.panel == "cures" and curve.pair.label == "end of training")]
    names = [f"{SYMBOLS[curve.pair.axis]}, {curve.pair.label}" for curve in apart]
    return align(judge_all(names, [curve.pair for curve in apart], [curve.spread for curve in apart])) + "\n" + JUDGED


def table(series: Series) -> list[dict]:
    """Return every point of a series, one row each."""
    pair, spread = series.pair, series.spread.at(series.pair.x)
    rows = pair.rows("risk", "stderr", "theory", "leading", "std", "z", "next_order", **columns_of(pair, spread))
    head = {"panel": series.panel, "label": pair.label}
    return [head | setting | row for setting, row in zip(series.settings, rows, strict=True)]


def draw(series: Sequence[Series], settings: Settings) -> Figure:
    """Draw four panels: N, P, t, and the cures."""
    figure, axes = plotting.new_figure(2, 2, caption=plotting.SPREAD)
    size, late = settings.size, f"$t = 10^{{{np.log10(END_TIME):g}}}$"
    for panel, place in PANEL_PLACES.items():
        shown = [curve for curve in series if curve.panel == panel]
        plotting.draw_all(axes[place], [curve.pair for curve in shown])
        for index, curve in enumerate(shown):
            plotting.draw_spread(axes[place], curve.spread, index)
        if panel != "time":
            axes[place].axvline(size, color="0.8", lw=0.8, zorder=-1)
    plotting.finish(axes[0, 0], "model size $N$", "risk", f"$P = {size}$, {late}")
    plotting.finish(axes[0, 1], "data $P$", "risk", f"$N = {size}$, {late}")
    plotting.finish(axes[1, 0], "time $t$", "risk", f"$N = P = {size}$")
    plotting.finish(axes[1, 1], "model size $N$", "risk", f"$P = {size}$, noise {settings.shared.noise:g}")
    return figure
