"""`rfm decompose`: the bias, the variances and the label noise that the risk is made of, against t, N and P."""

import argparse
import dataclasses

import jax
import numpy as np
from tqdm import tqdm

import rfm
import theory
from experiments.compare import algorithms
from experiments.compare.comparison import AXES
from experiments.compare.scans import Scan, check, scan_size, scan_time
from experiments.output import files as reports
from experiments.output import plotting

PARTS = ("bias", "features", "data", "interaction", "noise")
LABELS = ("squared bias", "variance of features", "variance of data", "interaction", "label noise")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
RATIOS = (0.125, 0.5, 1.0, 4.0)  # of the varied size to the fixed one, where models are trained
LINE_POINTS = 51  # of the theory between them
ROWS = 4  # times in the printed table


@dataclasses.dataclass(frozen=True)
class Panel:
    """Parts of the risk along one axis by theory, each (X,) at x, and the risk of trained models at points of x."""

    x: np.ndarray
    risk: np.ndarray
    parts: dict[str, np.ndarray]
    scan: Scan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments and defaults of this command alone."""
    parser.add_argument("--features", type=int, default=128, metavar="N", help="model size where t or P varies")
    parser.add_argument("--samples", type=int, default=128, metavar="P", help="training samples where t or N varies")
    parser.add_argument(
        "--times", type=float, nargs=3, metavar=("START", "STOP", "NUM"),
        help="log-spaced times; N and P vary at the last (default: 0.1 1e5 61; steps 1 2000 34 where steps are taken)",
    )  # fmt: skip
    algorithms.add_arguments(parser, algorithms.FULL_BATCH)
    parser.set_defaults(noise=0.1, modes=2_000)


def run(args: argparse.Namespace) -> None:
    """Print the table, write decompose.png, .pdf, .csv and .json."""
    folder = reports.open_folder(args.out)
    steps = args.optimizer != "flow"
    times = rfm.log_times(*(args.times or ((1, 2000, 34) if steps else (0.1, 1e5, 61))), integer=steps)
    optimizer = algorithms.choose(args, times[-1])
    problem = rfm.power_law(args.a, args.b, args.modes, args.noise)
    fixed = {"num_features": args.features, "num_samples": args.samples}
    common = {"optimizer": optimizer, "keys": jax.random.split(jax.random.key(args.seed), args.seeds)}
    ratios = RATIOS[::2] if args.quick else RATIOS
    plan = {
        axis: sorted({max(1, round(ratio * other)) for ratio in ratios})
        for axis, other in (("features", args.samples), ("samples", args.features))
    }
    check(problem, times=times, **common, points=[fixed, *(fixed | {f"num_{axis}": plan[axis][0]} for axis in plan)])

    panels = []
    with tqdm(total=1 + sum(map(len, plan.values())), unit="run") as bar:
        bar.set_description("time")
        parts = theory.decompose(problem, **fixed, optimizer=optimizer, times=times)
        panels.append(as_panel(times, [parts], scan_time(problem, times, **fixed, **common)))
        bar.update()
        for axis, sizes in plan.items():
            bar.set_description(axis)
            scan = scan_size(problem, axis, sizes, **fixed, **common, time=times[-1], on_point=bar.update)
            panels.append(along_size(problem, scan, fixed, optimizer, times[-1:]))
    print(share_table(panels))
    written = reports.save(folder, "decompose", draw(panels), table(panels), {**vars(args), "times": times.tolist()})
    print("wrote " + ", ".join(str(path) for path in written))


def along_size(problem, scan: Scan, fixed: dict[str, int], optimizer, times) -> Panel:
    """The parts between and at the sizes of a scan."""
    # a loop, since all calls share one compilation and momentum is slow where it is traced
    x = np.union1d(np.geomspace(scan.x[0], scan.x[-1], LINE_POINTS), scan.x)
    sizes = [fixed | {f"num_{scan.axis}": size} for size in x]
    return as_panel(x, [theory.decompose(problem, **size, optimizer=optimizer, times=times) for size in sizes], scan)


def as_panel(x: np.ndarray, found: list[theory.Decomposition], scan: Scan) -> Panel:
    """Join what was found at all x."""
    risk, *parts = (np.concatenate([getattr(one, name) for one in found]) for name in ("risk", *PARTS))
    return Panel(x, risk, dict(zip(PARTS, parts, strict=True)), scan)


def share_table(panels: list[Panel]) -> str:
    """Risk and the share of each part at some times, and where the variance peaks along N and P."""
    rows = [("at", "risk", *LABELS)]
    for panel in panels:
        name = {"time": "t", "features": "N", "samples": "P"}[panel.scan.axis]
        if panel.scan.axis == "time":
            shown = [(i, "") for i in np.unique(np.linspace(0, len(panel.x) - 1, ROWS).astype(int))]
        else:
            shown = [(int(np.argmax(panel.risk - panel.parts["bias"])), " (most variance)")]
        for i, remark in shown:
            shares = [f"{part[i] / panel.risk[i]:.1%}" for part in panel.parts.values()]
            rows.append((f"{name} = {panel.x[i]:.3g}{remark}", f"{panel.risk[i]:.4g}", *shares))
    return reports.align(rows)


def table(panels: list[Panel]) -> list[dict]:
    """Every point of every panel, one row each; simulation where there is one."""
    rows = []
    for panel in panels:
        scan = panel.scan
        simulated = {x: {"risk": m, "stderr": s, "z": z} for x, m, s, z in zip(
            scan.x, scan.mean, scan.stderr, scan.z, strict=True
        )}  # fmt: skip
        for i, x in enumerate(panel.x):
            parts = {name: float(part[i]) for name, part in panel.parts.items()}
            rows.append({
                "axis": scan.axis, **scan.fixed, "x": float(x), "theory": float(panel.risk[i]), **parts,
                **simulated.get(x, dict.fromkeys(("risk", "stderr", "z"), "")),
            })  # fmt: skip
    return rows


def draw(panels: list[Panel]):
    """Time, model size and data side by side."""
    figure, axes = plotting.new_figure(1, len(panels))
    for ax, panel in zip(axes[0], panels, strict=True):
        scan = panel.scan
        for index, (part, label) in enumerate(zip(panel.parts.values(), LABELS, strict=True)):
            ax.plot(panel.x, part, color=plotting.COLORS[index], ls=LINES[index], lw=1.3, label=label)
        every = slice(None, None, max(1, len(scan.x) // 12))
        plotting.draw_pair(
            ax, scan.x[every], scan.samples[:, every], panel.x, panel.risk, "risk, their sum", len(plotting.COLORS) - 1
        )
        ax.set_ylim(1e-3 * panel.risk.min(), 2 * panel.risk.max())
        plotting.finish(ax, AXES[scan.axis], "part of the risk", plotting.describe(scan))
    return figure
