"""`rfm sweep FILE.toml`: a grid of settings times seeds, resumable, beside its theory."""

import argparse
import contextlib
import os
import sys
from pathlib import Path

import jax
import numpy as np

import rfm
import theory
from experiments.commands import sweep_file
from experiments.compare.algorithms import OWN, theory_of
from experiments.output import files as reports
from experiments.output import plotting
from rfm import checks
from rfm.sweeps import processes

ARGUMENTS = ("out", "quick")
MOST_LINES, MOST_PANELS = 5, 4
LABELS = {
    "num_features": "model size $N$", "num_samples": "data $P$", "lr": "learning rate", "noise_var": "label noise",
    "num_modes": "modes $M$", "batch_size": "batch size $B$", "a": "task exponent $a$", "b": "spectral exponent $b$",
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command alone."""
    parser.epilog = "a FILE to start from:\n\n" + sweep_file.EXAMPLE
    parser.add_argument("file", metavar="FILE", help="the sweep, in TOML; the store is OUT/NAME.zarr")
    parser.add_argument("--seed", type=int, help="of the first key, in place of the file's")
    parser.add_argument("--memory", type=float, metavar="GB", help="that a batch may fill on each device")
    parser.add_argument(
        "--devices", type=int, metavar="D", help="CPU devices that share the runs (default: one a core)"
    )
    parser.add_argument(
        "--distributed", action="store_true", help="one of several processes: start this in each, as SLURM does"
    )
    parser.add_argument("--coordinator", metavar="HOST:PORT", help="of process 0, where the cluster is not detected")
    parser.add_argument("--processes", type=int, metavar="R", help="how many processes, with --coordinator")
    parser.add_argument("--process", type=int, metavar="I", help="which of them this is, 0 to R - 1")


def run(args: argparse.Namespace) -> None:
    """Run or resume, print a summary, write NAME.png, .pdf, .csv and .json beside the store."""
    folder = reports.open_folder(args.out)
    name = Path(args.file).stem + ("-quick" if args.quick else "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    devices = checks.count("devices", cores if args.devices is None else args.devices, "an integer >= 1")
    with contextlib.suppress(RuntimeError):  # called from Python after other work: the devices are there already
        jax.config.update("jax_num_cpu_devices", devices)
    team = processes.Processes(0, 1)
    if args.distributed or not args.coordinator is args.processes is args.process is None:
        team = processes.start(args.coordinator, args.processes, args.process)
        print(f"process {team.index} of {team.count}: should another be lost, this one ends within "
              f"{processes.HEARTBEAT} s; finished points stay in the store, and the same command resumes",
              file=sys.stderr, flush=True)  # fmt: skip
    spec = sweep_file.read(args.file, args.quick, args.seed)
    memory = None if args.memory is None else args.memory * 1e9
    swept = rfm.sweep(
        spec.problem, spec.grid, spec.keys, optimizer=spec.optimizer, times=spec.times, **spec.run,
        out=folder / f"{name}.zarr", memory=memory, progress=team.index == 0,
    )  # fmt: skip
    if team.index:
        return
    predicted, label = predict(spec, swept)
    rows = table(swept, predicted, label)
    print(summary(swept, rows, label))
    settings = {**vars(args), "sweep": Path(args.file).read_text()}
    written = reports.save(folder, name, draw(swept, predicted, label), rows, settings)
    print("wrote " + ", ".join(str(path) for path in [folder / f"{name}.zarr", *written]))


def predict(spec: sweep_file.SweepFile, swept: rfm.Sweep) -> tuple[np.ndarray | None, str]:
    """Theory of the risk (axes..., T) beside the sweep and whose it is; None where nothing is known."""
    samples = spec.run["num_samples"] if "num_samples" not in swept.axes else float(np.min(swept.axes["num_samples"]))
    features = spec.run["num_features"] if "num_features" not in swept.axes else float(swept.axes["num_features"][0])
    if isinstance(spec.optimizer, rfm.Optax):
        return None, ""
    algorithm, label = theory_of(spec.optimizer, spec.problem, num_features=features, num_samples=samples)
    if label != OWN and "batch_size" in swept.axes:
        return None, ""
    if label != OWN and "momentum" in swept.axes:  # full batches of SGD whose own momentum may be zero
        algorithm = rfm.HeavyBall(spec.optimizer.lr, spec.optimizer.momentum)
    keep = ("num_features", "num_samples", "parametrization", "ensemble", "bags")
    arguments = {key: value for key, value in spec.run.items() if key in keep}
    try:
        found = theory.sweep(spec.problem, swept.axes, optimizer=algorithm, times=spec.times, **arguments)
    except ValueError as error:  # the simulation is done: it is shown without
        print(f"no theory: {error}", file=sys.stderr)
        return None, ""
    return found.risk, label


def table(swept: rfm.Sweep, predicted: np.ndarray | None, label: str) -> list[dict]:
    """Every point at every time, one row each."""
    mean, stderr, train = swept.mean(), swept.stderr(), swept.mean("train_loss")
    rows, lost = [], swept.diverged.sum(-1)
    for index in np.ndindex(mean.shape[:-1]):
        point = {name: float(values[i]) for (name, values), i in zip(swept.axes.items(), index, strict=True)}
        diverged = int(lost[index])
        for i, time in enumerate(swept.times):
            row = {**point, "time": float(time), "risk": mean[index][i], "stderr": stderr[index][i]}
            row |= {"train_loss": train[index][i], "diverged": diverged}
            if predicted is not None:
                row["theory"] = predicted[index][i]
            if predicted is not None and not diverged:
                row["z"] = (row["risk"] - row["theory"]) / max(row["stderr"], 1e-12 * row["risk"])
            rows.append(row | ({"theory_of": label} if predicted is not None and label != OWN else {}))
    return rows


def summary(swept: rfm.Sweep, rows: list[dict], label: str) -> str:
    """A few lines: how much was run, what diverged, how far theory is."""
    points = swept.diverged[..., 0].size
    lines = [f"{points} points x {len(swept.keys)} seeds, {swept.diverged.sum()} runs diverged"]
    known = [row for row in rows if np.isfinite(row.get("z", np.nan)) and row["time"] > 0 and row["theory"] > 0]
    if known:
        z, gap = (
            np.array([f(row) for row in known]) for f in (lambda r: r["z"], lambda r: r["risk"] / r["theory"] - 1)
        )
        lines.append(
            f"simulation against {label} at {len(known)} points and times: relative gap "
            f"median {np.median(np.abs(gap)):.2%}, worst {gap[np.argmax(np.abs(gap))]:+.2%}; "
            f"|z| median {np.median(np.abs(z)):.2f}, {np.mean(np.abs(z) < 3):.0%} below 3"
        )
    return "\n".join(lines)


def draw(swept: rfm.Sweep, predicted: np.ndarray | None, label: str):
    """Risk against time and against each axis, the others held at their middle, lines for one of them."""
    varied = [name for name, values in swept.axes.items() if len(values) > 1]
    panels = (["time"] if len(swept.times) > 1 else []) + varied
    panels = (panels or list(swept.axes))[:MOST_PANELS]
    figure, axes = plotting.new_figure(1, len(panels), caption=(f"lines: {label}; " if label else "") + plotting.POINTS)
    names, mean = [*swept.axes, "time"], swept.mean()
    grid = {**swept.axes, "time": swept.times}
    for ax, panel in zip(axes[0], panels, strict=True):
        other = next((name for name in varied if name != panel), None)
        held = {name: len(values) // 2 for name, values in grid.items()}
        held["time"] = len(swept.times) - 1
        chosen = (
            [held.get(other)]
            if other is None
            else np.unique(np.linspace(0, len(grid[other]) - 1, min(MOST_LINES, len(grid[other]))).astype(int))
        )
        x, drawn = grid[panel], False
        for line, i in enumerate(chosen):
            place = {**held, **({other: i} if other else {})}
            every = tuple(slice(None) if name == panel else place[name] for name in names)
            order = np.argsort(x)
            order = order[np.isfinite(x[order]) & (x[order] > 0) & np.isfinite(mean[every][order])]
            index = tuple(order if name == panel else place[name] for name in names)
            samples = np.moveaxis(swept.risk, -2, 0)[(slice(None), *index)]  # (S, X)
            drawn |= len(order) > 0
            expected = np.full(len(order), np.nan) if predicted is None else predicted[index]
            name = f"{LABELS.get(other, other)} {grid[other][i]:.3g}" if other else "risk"
            plotting.draw_pair(ax, x[order], samples, x[order], expected, name, line)
        fixed = ", ".join(
            f"{LABELS.get(n, n)} {grid[n][held[n]]:.4g}" for n in grid if n not in (panel, other) and len(grid[n]) > 1
        )
        plotting.finish(ax, LABELS.get(panel, panel) if panel != "time" else "time $t$", "risk", fixed, log=drawn)
    return figure
