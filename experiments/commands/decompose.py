"""`rfm decompose`: the bias, the variances and the label noise that the risk is made of, against t, N and P."""

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import rfm
import theory
from experiments.commands.settings import Shared, record_of, settings_of, times_of
from experiments.compare import algorithms
from experiments.compare.comparison import AXES, SYMBOLS, Comparison, with_size
from experiments.compare.limits import RISK_PARTS
from experiments.compare.scans import check, scan_size, scan_time
from experiments.output import files, plotting, progress
from experiments.output.drawing import describe
from experiments.output.tables import align, records
from rfm.arguments import Sizes
from rfm.optimizers import Optimizer

PART_LABELS = ("squared bias", "variance of features", "variance of data", "interaction", "label noise")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
RATIOS = (0.125, 0.5, 1.0, 4.0)  # of the varied size to the fixed one, where models are trained
LINE_POINTS = 51  # of the theory between them
PRINTED_TIMES = 4  # times in the printed table


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of `rfm decompose`; options: see `algorithms.options_of`."""

    shared: Shared
    features: int
    samples: int
    options: dict[str, Any]
    times: tuple[float, ...]

    @property
    def sizes(self) -> Sizes:
        """Sizes that are held where they do not vary."""
        return Sizes(num_features=self.features, num_samples=self.samples)

    @property
    def varied(self) -> dict[str, list[int]]:
        """Sizes that are trained along each axis."""
        ratios = RATIOS[::2] if self.shared.quick else RATIOS
        others = {"features": self.samples, "samples": self.features}
        return {axis: sorted({max(1, round(ratio * n)) for ratio in ratios}) for axis, n in others.items()}


@dataclasses.dataclass(frozen=True)
class Panel:
    """Parts of the risk along one axis by theory, each (X,) at x, and trained models beside the risk at some x."""

    x: np.ndarray
    risk: np.ndarray
    parts: dict[str, np.ndarray]
    pair: Comparison


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add arguments and defaults of this command alone."""
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
    folder = files.check_folder(args.out)
    steps = args.optimizer != "flow"
    times = times_of(args.times or ((1, 2000, 34) if steps else (0.1, 1e5, 61)), steps=steps)
    optimizer = algorithms.choose(args, times[-1])
    settings = settings_of(Settings, args, times=tuple(times.tolist()))
    panels = train(settings, optimizer)
    rows = [row for panel in panels for row in table(panel)]
    result = files.Result("decompose", rows, record_of(settings), lambda: draw(panels), share_table(panels))
    files.save_and_tell(folder, result)


def train(settings: Settings, optimizer: Optimizer) -> list[Panel]:
    """Train along time, N and P, and split the risk of the theory."""
    problem = settings.shared.problem
    times, held = np.array(settings.times), settings.sizes
    keys = settings.shared.keys
    smallest = [with_size(axis, sizes[0], held) for axis, sizes in settings.varied.items()]
    check(problem, optimizer, times, keys, [held, *smallest])

    panels = []
    with progress.bar(1 + sum(map(len, settings.varied.values())), "run") as bar:
        bar.set_description("time")
        parts = theory.decompose(problem, optimizer=optimizer, times=times, **held)
        panels.append(as_panel(times, [parts], scan_time(problem, times, optimizer=optimizer, keys=keys, **held).risk))
        bar.update()
        for axis, sizes in settings.varied.items():
            bar.set_description(axis)
            scan = scan_size(problem, axis, sizes, optimizer=optimizer, time=times[-1], keys=keys,
                             on_point=bar.update, **held)  # fmt: skip
            panels.append(along_size(problem, scan.risk, held, optimizer, times[-1:]))
    return panels


def along_size(problem: rfm.Problem, pair: Comparison, held: Sizes, optimizer: Optimizer, times: np.ndarray) -> Panel:
    """Split the risk between and at the sizes of a comparison."""
    # a loop, since all calls share one compilation and momentum is slow where it is traced
    x = np.union1d(np.geomspace(pair.x[0], pair.x[-1], LINE_POINTS), pair.x)
    sizes = [with_size(pair.axis, n, held) for n in x]
    return as_panel(x, [theory.decompose(problem, optimizer=optimizer, times=times, **at) for at in sizes], pair)


def as_panel(x: np.ndarray, split: Sequence[theory.Decomposition], pair: Comparison) -> Panel:
    """Join decompositions at all x."""
    risk, *parts = (np.concatenate([getattr(here, name) for here in split]) for name in ("risk", *RISK_PARTS))
    return Panel(x, risk, dict(zip(RISK_PARTS, parts, strict=True)), pair)


def share_table(panels: Sequence[Panel]) -> str:
    """Return risk and the share of each part at some times, and where the variance peaks along N and P."""
    rows: list[Sequence[str]] = [("at", "risk", *PART_LABELS)]
    for panel in panels:
        if panel.pair.axis == "time":
            shown = [(i, "") for i in np.unique(np.linspace(0, len(panel.x) - 1, PRINTED_TIMES).astype(int))]
        else:
            shown = [(int(np.argmax(panel.risk - panel.parts["bias"])), " (most variance)")]
        for i, remark in shown:
            shares = [f"{part[i] / panel.risk[i]:.1%}" for part in panel.parts.values()]
            place = f"{SYMBOLS[panel.pair.axis]} = {panel.x[i]:.3g}{remark}"
            rows.append((place, f"{panel.risk[i]:.4g}", *shares))
    return align(rows)


def table(panel: Panel) -> list[dict]:
    """Return every point of a panel, one row each; simulation where there is one."""
    pair, nothing = panel.pair, dict.fromkeys(("risk", "stderr", "z"), "")
    columns = zip(pair.x, pair.mean, pair.stderr, pair.z, strict=True)
    simulated = {x: {"risk": m, "stderr": s, "z": z} for x, m, s, z in columns}
    rows = records({"axis": pair.axis, **pair.fixed, "x": panel.x, "theory": panel.risk} | panel.parts)
    return [row | simulated.get(row["x"], nothing) for row in rows]


def draw(panels: Sequence[Panel]) -> Figure:
    """Draw time, model size and data side by side."""
    figure, axes = plotting.new_figure(1, len(panels))
    for ax, panel in zip(axes[0], panels, strict=True):
        for index, (part, label) in enumerate(zip(panel.parts.values(), PART_LABELS, strict=True)):
            ax.plot(panel.x, part, color=plotting.COLORS[index], ls=LINES[index], lw=1.3, label=label)
        points = panel.pair.at(slice(None, None, max(1, len(panel.pair.x) // 12)))
        whole = dataclasses.replace(points, line_x=panel.x, line=panel.risk)
        plotting.draw(ax, whole, len(plotting.COLORS) - 1, label="risk, their sum")
        ax.set_ylim(1e-3 * panel.risk.min(), 2 * panel.risk.max())
        plotting.finish(ax, AXES[panel.pair.axis], "part of the risk", describe(panel.pair))
    return figure
