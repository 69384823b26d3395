"""`rfm double-descent`: the interpolation peak in model size, data and time, and what stopping or ridge does to it."""

import argparse
import dataclasses
from collections.abc import Callable, Iterator

import jax
import numpy as np
from tqdm import tqdm

import rfm
import theory
from experiments.compare.statistics import standard_error
from experiments.output import files as reports
from experiments.output import plotting

LATE = 1e5  # flow time that stands for the end of training; at infinity the peak itself is infinite
RATIOS = (0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0, 8.0)  # of the varied size to the fixed one
FLOW = rfm.GradientFlow()
PANELS = {"features": (0, 0), "samples": (0, 1), "time": (1, 0), "cures": (1, 1)}


@dataclasses.dataclass(frozen=True)
class Series:
    """One line of a panel with its points: samples (S, X) and predicted (X,) at x, theory `line` over line_x."""

    panel: str
    label: str
    x: np.ndarray
    samples: np.ndarray
    predicted: np.ndarray
    line_x: np.ndarray
    line: np.ndarray
    settings: list[dict]  # of each point: N, P, time, ridge


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments and defaults of this command alone."""
    parser.add_argument(
        "--size", type=int, default=128, metavar="K", help="P where N varies, N where P varies, both where t does"
    )
    parser.set_defaults(noise=0.1, seeds=32, modes=2_000)


def run(args: argparse.Namespace) -> None:
    """Print the table, write double-descent.png, .pdf, .csv and .json."""
    folder = reports.open_folder(args.out)
    if args.size < 8:
        raise ValueError(f"Argument `size` must be an integer >= 8, but is {args.size}.")
    keys = jax.random.split(jax.random.key(args.seed), args.seeds)
    ratios = RATIOS[::2] if args.quick else RATIOS
    noises = dict.fromkeys((0.0, args.noise))  # one curve where the noise asked for is zero
    series: list[Series] = []
    with tqdm(total=len(noises) * (2 * len(ratios) + 1) + 2 * len(ratios), unit="run") as bar:
        for noise in noises:
            problem = rfm.power_law(args.a, args.b, args.modes, noise)
            for axis in ("features", "samples"):
                bar.set_description(f"{axis}, noise {noise:g}")
                series.append(along_size(problem, axis, args.size, ratios, keys, bar.update))
            bar.set_description(f"time, noise {noise:g}")
            series.append(along_time(problem, args.size, keys))
            bar.update()
        bar.set_description("stopping and ridge")
        series += cures(problem, series[-3], args.size, keys, bar.update)
    print(cure_table([s for s in series if s.panel == "cures"]))
    written = reports.save(folder, "double-descent", draw(series, args), table(series), vars(args))
    print("wrote " + ", ".join(str(path) for path in written))


def along_size(problem, axis: str, fixed: int, ratios, keys, on_point: Callable) -> Series:
    """Late risk against N at fixed P ("features") or against P at fixed N ("samples")."""
    points = [_sizes(axis, round(ratio * fixed), fixed) for ratio in ratios]
    samples = []
    for sizes in points:
        samples.append(rfm.simulate(problem, **sizes, optimizer=FLOW, times=[LATE], keys=keys).risk[:, 0])
        on_point()
    through_peak = np.concatenate([np.geomspace(1 / 8, 8, 61), np.geomspace(0.8, 1.25, 31)])
    line_x = fixed * np.unique(through_peak)
    predicted, line = (
        np.array([theory.predict(problem, **sizes, optimizer=FLOW, times=[LATE]).risk[0] for sizes in grid])
        for grid in (points, [_sizes(axis, size, fixed) for size in line_x])
    )
    x = np.array([sizes[f"num_{axis}"] for sizes in points])
    settings = [{**sizes, "time": LATE, "ridge": 0.0} for sizes in points]
    return Series(axis, f"noise {problem.noise_var:g}", x, np.stack(samples, 1), predicted, line_x, line, settings)


def along_time(problem, size: int, keys) -> Series:
    """Risk against time at N = P."""
    args = {"num_features": size, "num_samples": size}
    times, line_x = rfm.log_times(0.1, LATE, 25), rfm.log_times(0.1, LATE, 121)
    samples = rfm.simulate(problem, **args, optimizer=FLOW, times=times, keys=keys).risk
    predicted, line = (theory.predict(problem, **args, optimizer=FLOW, times=t).risk for t in (times, line_x))
    settings = [{**args, "time": t, "ridge": 0.0} for t in times]
    return Series("time", f"noise {problem.noise_var:g}", times, samples, predicted, line_x, line, settings)


def cures(problem, end: Series, fixed: int, keys, on_point: Callable) -> Iterator[Series]:
    """Risk against N where training ends, at the best stopping time and at the best ridge, both chosen by theory."""
    sizes, line_x = [int(n) for n in end.x], np.geomspace(fixed / 8, fixed * 8, 49)

    def stopping(n):
        found = theory.best_stopping(problem, num_features=n, num_samples=fixed, optimizer=FLOW, longest=LATE)
        return found.time, found.risk

    def ridge(n):
        found = theory.best_ridge(problem, num_features=n, num_samples=fixed)
        return found.ridge, found.risk

    yield dataclasses.replace(end, panel="cures", label="end of training")
    for label, search in (("best stopping", stopping), ("best ridge", ridge)):
        samples, predicted, settings = [], [], []
        for n in sizes:
            (best, least), args = search(n), {"num_features": n, "num_samples": fixed}
            if label == "best ridge":
                found = rfm.simulate(problem, **args, optimizer=rfm.Ridge(best), keys=keys)
                settings.append({**args, "time": np.inf, "ridge": best})
            else:
                found = rfm.simulate(problem, **args, optimizer=FLOW, times=[best], keys=keys)
                settings.append({**args, "time": best, "ridge": 0.0})
            samples.append(found.risk[:, 0])
            predicted.append(least)
            on_point()
        line = np.array([search(n)[1] for n in line_x])
        yield Series("cures", label, end.x, np.stack(samples, 1), np.array(predicted), line_x, line, settings)


def cure_table(series: list[Series]) -> str:
    """Simulated risk of each cure beside the end of training, one row a model size."""
    end, stopped, ridge = series
    lines = ["    N   end of training   best stopping (at t)   best ridge (ridge)"]
    for i, n in enumerate(end.x):
        t, strength = stopped.settings[i]["time"], ridge.settings[i]["ridge"]
        risks = [s.samples[:, i].mean() for s in series]
        lines.append(f"{n:5d}   {risks[0]:15.4f}   {risks[1]:11.4f} ({t:6.4g})   {risks[2]:9.4f} ({strength:.2g})")
    return "\n".join(lines)


def table(series: list[Series]) -> list[dict]:
    """Every point of every series, one row each."""
    rows = []
    for s in series:
        mean, stderr = s.samples.mean(0), standard_error(s.samples)
        for i, setting in enumerate(s.settings):
            rows.append({
                "panel": s.panel, "label": s.label, **setting, "risk": mean[i], "stderr": stderr[i],
                "theory": s.predicted[i], "z": (mean[i] - s.predicted[i]) / stderr[i],
            })  # fmt: skip
    return rows


def draw(series: list[Series], args: argparse.Namespace):
    """Four panels: N, P, t, and the cures."""
    figure, axes = plotting.new_figure(2, 2)
    for panel, place in PANELS.items():
        for index, s in enumerate(s for s in series if s.panel == panel):
            plotting.draw_pair(axes[place], s.x, s.samples, s.line_x, s.line, s.label, index)
        if panel != "time":
            axes[place].axvline(args.size, color="0.8", lw=0.8, zorder=-1)
    late = f"$t = 10^{{{np.log10(LATE):g}}}$"
    plotting.finish(axes[0, 0], "model size $N$", "risk", f"$P = {args.size}$, {late}")
    plotting.finish(axes[0, 1], "data $P$", "risk", f"$N = {args.size}$, {late}")
    plotting.finish(axes[1, 0], "time $t$", "risk", f"$N = P = {args.size}$")
    plotting.finish(axes[1, 1], "model size $N$", "risk", f"$P = {args.size}$, noise {args.noise:g}")
    return figure


def _sizes(axis: str, size: float, fixed: int) -> dict[str, float]:
    other = "num_samples" if axis == "features" else "num_features"
    return {f"num_{axis}": size, other: fixed}
