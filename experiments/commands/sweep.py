"""`rfm sweep FILE.toml`: a grid of settings times seeds, resumable, beside its theory."""

import argparse
import contextlib
import dataclasses
import os
import sys
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import rfm
import theory
from experiments.commands import sweep_file, sweep_shards
from experiments.commands.settings import settings_of
from experiments.commands.sweep_file import SweepFile
from experiments.compare.algorithms import OWN, theory_of
from experiments.compare.comparison import Comparison
from experiments.output import console, files, plotting
from rfm import checks
from rfm.sweeps import processes

ARGUMENTS = ("out", "quick")
MOST_LINES, MOST_PANELS = 5, 4
AXIS_LABELS = {
    "num_features": "model size $N$", "num_samples": "data $P$", "lr": "learning rate", "noise_var": "label noise",
    "num_modes": "modes $M$", "batch_size": "batch size $B$", "a": "task exponent $a$", "b": "spectral exponent $b$",
    "richness": r"richness $\gamma$",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of `rfm sweep`; memory: GB on each device."""

    command: str
    out: str
    quick: bool
    file: str
    seed: int | None
    memory: float | None
    devices: int | None
    distributed: bool
    coordinator: str | None
    processes: int | None
    process: int | None
    shard: str | None
    status: bool


class Predicted(NamedTuple):
    """Theory beside a sweep: risk (axes..., T), None where nothing is known, and whose it is."""

    risk: np.ndarray | None
    label: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command alone."""
    parser.epilog = "a FILE to start from:\n\n" + sweep_file.EXAMPLE
    parser.add_argument("file", metavar="FILE", help="the sweep, in TOML; the store is OUT/NAME.zarr")
    parser.add_argument("--seed", type=int, help="seed of the first key, instead of the one in the file")
    parser.add_argument("--memory", type=float, metavar="GB", help="memory that a batch may use on each device")
    parser.add_argument(
        "--devices", type=int, metavar="D", help="CPU devices that share the runs (default: one a core)"
    )
    parser.add_argument(
        "--distributed",
        action="store_true",
        help="be one of several processes; start the same command in each",
    )
    parser.add_argument("--coordinator", metavar="HOST:PORT", help="process 0, if the cluster is not detected")
    parser.add_argument("--processes", type=int, metavar="R", help="how many processes, with --coordinator")
    parser.add_argument("--process", type=int, metavar="I", help="which of them this is, 0 to R - 1")
    parser.add_argument(
        "--shard", metavar="I/R", help="part I = 0 .. R - 1 of R independent ones, for job arrays; the last one draws"
    )
    parser.add_argument("--status", action="store_true", help="say what the store has and what is missing; run nothing")


def run(args: argparse.Namespace) -> None:
    """Run or resume, print a summary, write NAME.png, .pdf, .csv and .json beside the store."""
    settings = settings_of(Settings, args)
    folder = files.check_folder(settings.out)
    name = Path(settings.file).stem
    shard = sweep_shards.read(settings.shard, alone=not (settings.distributed or settings.coordinator))
    spec = sweep_file.read(settings.file, quick=settings.quick, seed=settings.seed)
    store = folder / f"{files.marked(name, quick=settings.quick)}.zarr"
    if settings.status:
        console.tell(*sweep_shards.status(spec, store))
        return
    team = _start(settings)
    memory = None if settings.memory is None else settings.memory * 1e9
    try:
        swept = rfm.sweep(
            spec.problem, spec.grid, spec.keys, optimizer=spec.optimizer, times=spec.times, **spec.run, out=store,
            memory=memory, shard=shard, progress=team.index == 0 and console.shows_progress(),
        )  # fmt: skip
    except checks.ArgumentError as error:
        if error.name != "memory":
            raise
        checks.fail("memory", error.allowed, settings.memory)  # in GB, as typed
    if team.index:
        return
    if swept.missing.any():
        status = sweep_shards.status(spec, store)
        console.tell(f"{status.text}\nthe last part to finish draws the figure", status.record)
        return
    predicted = predict(spec, swept)
    rows = table(swept, predicted)
    record = dataclasses.asdict(settings) | {"shard": None, "sweep": Path(settings.file).read_text()}
    text = f"{summary(swept, rows, predicted.label)}\nstore {store}"
    files.save_and_tell(folder, files.Result(name, rows, record, lambda: draw(swept, predicted), text))


def _start(settings: Settings) -> processes.Processes:
    """Divide the CPU into devices, and join the other processes where there are any."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    devices = checks.count("devices", cores if settings.devices is None else settings.devices, "an integer >= 1")
    with contextlib.suppress(RuntimeError):  # called from Python after other work: the devices are there already
        jax.config.update("jax_num_cpu_devices", devices)
    if not settings.distributed and settings.coordinator is settings.processes is settings.process is None:
        return processes.Processes(0, 1)
    team = processes.start(settings.coordinator, settings.processes, settings.process)
    print(f"process {team.index} of {team.count}: if another one dies, this one stops within "
          f"{processes.HEARTBEAT} s; finished points stay in the store; run the same command again to resume",
          file=sys.stderr, flush=True)  # fmt: skip
    return team


def predict(spec: SweepFile, swept: rfm.Sweep) -> Predicted:
    """Return the theory of a sweep."""
    optimizer = spec.optimizer
    if isinstance(optimizer, rfm.Optax):
        return Predicted(None, "")
    samples = spec.run["num_samples"] if "num_samples" not in swept.axes else float(np.min(swept.axes["num_samples"]))
    features = spec.run["num_features"] if "num_features" not in swept.axes else float(swept.axes["num_features"][0])
    sizes = [(n, p) for n in swept.axes.get("batch_size", [None]) for p in swept.axes.get("num_samples", [samples])]
    known = [
        theory_of(optimizer if n is None else dataclasses.replace(optimizer, batch_size=n), spec.problem,
                  num_features=features, num_samples=float(p), times=spec.times)
        for n, p in sizes
    ]  # fmt: skip
    drawn, label = next((each for each in known if each.label != OWN), known[0])
    keep = ("num_features", "num_samples", "parametrization", "ensemble", "bags", "richness")
    arguments = {key: value for key, value in spec.run.items() if key in keep}
    try:
        curves = theory.sweep(spec.problem, swept.axes, optimizer=drawn, times=spec.times, **arguments)
    except ValueError as error:  # the simulation is done: it is shown without
        print(f"no theory: {error}", file=sys.stderr)
        return Predicted(None, "")
    return Predicted(curves.risk, label)


def table(swept: rfm.Sweep, predicted: Predicted) -> list[dict]:
    """Return every point at every time, one row each."""
    mean, stderr, train, lost = swept.mean(), swept.stderr(), swept.mean("train_loss"), swept.diverged.sum(-1)
    rows = []
    for index in np.ndindex(mean.shape[:-1]):
        point = {name: float(values[i]) for (name, values), i in zip(swept.axes.items(), index, strict=True)}
        diverged = int(lost[index])
        for i, time in enumerate(swept.times):
            row = {**point, "time": float(time), "risk": mean[index][i], "stderr": stderr[index][i]}
            row |= {"train_loss": train[index][i], "diverged": diverged}
            if predicted.risk is not None:
                row["theory"] = predicted.risk[index][i]
                if not diverged:
                    row["z"] = (row["risk"] - row["theory"]) / max(row["stderr"], 1e-12 * row["risk"])
                if predicted.label != OWN:
                    row["theory_of"] = predicted.label
            rows.append(row)
    return rows


def summary(swept: rfm.Sweep, rows: list[dict], label: str) -> str:
    """Say in a few lines how much was run, what diverged, and how far theory is."""
    runs = swept.diverged
    lines = [f"{runs[..., 0].size} points x {runs.shape[-1]} seeds, {runs.sum()} runs diverged"]
    known = [row for row in rows if np.isfinite(row.get("z", np.nan)) and row["time"] > 0 and row["theory"] > 0]
    if known:
        z = np.abs([row["z"] for row in known])
        gap = np.array([row["risk"] / row["theory"] - 1 for row in known])
        lines.append(
            f"simulation against {label} at {len(known)} points and times: relative gap "
            f"median {np.median(np.abs(gap)):.2%}, worst {gap[np.argmax(np.abs(gap))]:+.2%}; "
            f"{np.mean(z < 3):.0%} are within three standard errors"
        )
    return "\n".join(lines)


def draw(swept: rfm.Sweep, predicted: Predicted) -> Figure:
    """Draw risk against time and against each axis, the others held at their middle, lines for one of them."""
    varied = [name for name, values in swept.axes.items() if len(values) > 1]
    panels = (["time"] if len(swept.times) > 1 else []) + varied
    panels = (panels or list(swept.axes))[:MOST_PANELS]
    caption = (f"lines: {predicted.label}; " if predicted.label else "") + plotting.POINTS
    figure, axes = plotting.new_figure(1, len(panels), caption=caption)
    for ax, panel in zip(axes[0], panels, strict=True):
        lines = next((name for name in varied if name != panel), None)
        draw_panel(ax, swept, predicted, panel=panel, lines=lines)
    return figure


def draw_panel(ax: Axes, swept: rfm.Sweep, predicted: Predicted, *, panel: str, lines: str | None) -> None:
    """Draw risk against the axis `panel`, a line for some values of the axis `lines`."""
    grid = {**swept.axes, "time": swept.times}
    held = {name: len(values) // 2 for name, values in grid.items()} | {"time": len(swept.times) - 1}
    most = 0 if lines is None else len(grid[lines]) - 1
    x, drawn, mean = grid[panel], False, swept.mean()
    for color, i in enumerate(np.unique(np.linspace(0, most, min(MOST_LINES, most + 1)).astype(int))):
        place = held if lines is None else held | {lines: int(i)}
        line = tuple(slice(None) if name == panel else place[name] for name in grid)
        order = np.argsort(x)
        order = order[np.isfinite(x[order]) & (x[order] > 0) & np.isfinite(mean[line][order])]
        index = tuple(order if name == panel else place[name] for name in grid)
        drawn |= len(order) > 0
        risks = np.moveaxis(swept.risk, -2, 0)[(slice(None), *index)]  # (S, X)
        expected = np.full(len(order), np.nan) if predicted.risk is None else predicted.risk[index]
        label = "risk" if lines is None else f"{AXIS_LABELS.get(lines, lines)} {grid[lines][i]:.3g}"
        plotting.draw(ax, Comparison(panel, x[order], risks, expected, label=label), color)
    fixed = [name for name in grid if name not in (panel, lines) and len(grid[name]) > 1]
    title = ", ".join(f"{AXIS_LABELS.get(name, name)} {grid[name][held[name]]:.4g}" for name in fixed)
    plotting.finish(ax, AXIS_LABELS.get(panel, panel) if panel != "time" else "time $t$", "risk", title, log=drawn)
