"""`rfm decompose`: the bias, the variances and the label noise that the risk is made of, against t, N and P."""

import argparse
import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

import rfm
import theory
from experiments.commands.settings import AtSizes, Usual, add_times, record_of, settings_of, timed
from experiments.compare import algorithms
from experiments.compare.comparison import AXES, SYMBOLS, Comparison, with_size
from experiments.compare.limits import RISK_PARTS
from experiments.compare.scans import check, scan_size, scan_time
from experiments.compare.spread import (
    JUDGED,
    Call,
    Spread,
    beside,
    columns_of,
    joined,
    judge_all,
    spread_along,
    spread_in_time,
)
from experiments.output import files, plotting, progress
from experiments.output.drawing import describe
from experiments.output.tables import align, records
from rfm.arguments import Sizes
from rfm.optimizers import Optimizer

PART_LABELS = ("squared bias", "variance of features", "variance of data", "interaction", "label noise")
PART_HEADS = ("squared bias", "var(features)", "var(data)", *PART_LABELS[3:])  # so short that no row is broken
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
RATIOS = (0.125, 0.5, 1.0, 4.0)  # of the varied size to the fixed one, where models are trained
QUICK_RATIOS = (0.25, 2.0)  # to both sides of the peak
LINE_POINTS = 25  # of the theory between them
SCATTER_POINTS = 16  # times at which scatter is worked out
PRINTED_TIMES = 4  # times in the printed table
TIMES = Usual(flow="0.1 1e5 61", steps="1 2000 34")


@dataclasses.dataclass(frozen=True)
class Panel:
    """Parts of the risk along one axis by theory, and one model, at x (X,), with trained models beside it at some x.

    The parts add up to the leading order of the risk.
    """

    parts: dict[str, np.ndarray]
    spread: Spread
    pair: Comparison


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add arguments and defaults of this command alone."""
    parser.add_argument("--features", type=int, default=128, metavar="N", help="model size where t or P varies")
    parser.add_argument("--samples", type=int, default=128, metavar="P", help="training samples where t or N varies")
    add_times(parser, TIMES, "; N and P vary at the last")
    algorithms.add_arguments(parser, algorithms.FULL_BATCH)
    parser.set_defaults(noise=0.1, modes=2_000)


def run(args: argparse.Namespace) -> None:
    """Print the table, write decompose.png, .pdf, .csv and .json."""
    folder = files.check_folder(args.out)
    times, optimizer = timed(args, TIMES)
    settings = settings_of(AtSizes, args, times=times)
    panels = train(settings, optimizer)
    rows = [row for panel in panels for row in table(panel)]
    text = "\n\n".join([share_table(panels), verdict_table(panels)])
    result = files.Result("decompose", rows, record_of(settings), lambda: draw(panels), text)
    files.save_and_tell(folder, result)


def varied(settings: AtSizes) -> dict[str, list[int]]:
    """Return the sizes that are trained along each axis."""
    ratios = QUICK_RATIOS if settings.shared.quick else RATIOS
    others = {"features": settings.samples, "samples": settings.features}
    return {axis: sorted({max(1, round(ratio * n)) for ratio in ratios}) for axis, n in others.items()}


def train(settings: AtSizes, optimizer: Optimizer) -> list[Panel]:
    """Train along time, N and P, and split the risk of the theory."""
    problem = settings.shared.problem
    times, held, keys = np.array(settings.times), settings.sizes, settings.shared.keys
    axes = varied(settings)
    runs = [(with_size(axis, size, held), 1) for axis, sizes in axes.items() for size in sizes]
    check(problem, optimizer, times, keys, [(held, 1), *runs])

    panels = []
    with progress.bar(1 + sum(map(len, axes.values())), "run") as bar:
        bar.set_description("time")
        pair = scan_time(problem, times, optimizer=optimizer, keys=keys, **held).risk
        panels.append(along_time(problem, pair, Call(**held, optimizer=optimizer, times=pair.x)))
        bar.update()
        for axis, sizes in axes.items():
            bar.set_description(axis)
            scan = scan_size(problem, axis, sizes, optimizer=optimizer, time=times[-1], keys=keys,
                             on_point=bar.update, **held)  # fmt: skip
            panels.append(along_size(problem, scan.risk, Call(**held, optimizer=optimizer, times=times[-1:])))
    return panels


def along_time(problem: rfm.Problem, pair: Comparison, call: Call) -> Panel:
    """Split the risk at the times of a comparison."""
    split = theory.decompose(problem, **call)
    return as_panel([split], spread_in_time(problem, split.risk, SCATTER_POINTS, **call), pair)


def along_size(problem: rfm.Problem, pair: Comparison, held: Call) -> Panel:
    """Split the risk between and at the sizes of a comparison."""
    # a loop, since all calls share one compilation and momentum is slow where it is traced
    x = joined(pair.x, np.geomspace(pair.x[0], pair.x[-1], LINE_POINTS))
    sizes = Sizes(num_features=held["num_features"], num_samples=held["num_samples"])
    calls = [Call(**with_size(pair.axis, n, sizes), optimizer=held["optimizer"], times=held["times"]) for n in x]
    split = [theory.decompose(problem, **call) for call in calls]
    leading = np.concatenate([parts.risk for parts in split])
    return as_panel(split, spread_along(problem, pair.axis, x, leading, around=pair.x, held=held), pair)


def as_panel(split: Sequence[theory.Decomposition], spread: Spread, pair: Comparison) -> Panel:
    """Join decompositions at all points of a spread."""
    parts = {name: np.concatenate([getattr(here, name) for here in split]) for name in RISK_PARTS}
    return Panel(parts, spread, beside(pair, spread))


def share_table(panels: Sequence[Panel]) -> str:
    """Return risk and the share of each part at some times, and where the variance peaks along N and P."""
    rows: list[Sequence[str]] = [("at", "risk", *PART_HEADS)]
    for panel in panels:
        x, risk = panel.spread.x, panel.spread.leading
        if panel.pair.axis == "time":
            shown = [(i, "") for i in np.unique(np.linspace(0, len(x) - 1, PRINTED_TIMES).astype(int))]
        else:
            shown = [(int(np.argmax(risk - panel.parts["bias"])), " (most variance)")]
        for i, remark in shown:
            shares = [f"{part[i] / risk[i]:.1%}" for part in panel.parts.values()]
            rows.append((f"{SYMBOLS[panel.pair.axis]} = {x[i]:.3g}{remark}", f"{risk[i]:.4g}", *shares))
    return align(rows)


def verdict_table(panels: Sequence[Panel]) -> str:
    """Return the differences of simulation from theory, one row a panel."""
    names = [SYMBOLS[panel.pair.axis] for panel in panels]
    return align(judge_all(names, [panel.pair for panel in panels], [panel.spread for panel in panels])) + "\n" + JUDGED


def table(panel: Panel) -> list[dict]:
    """Return every point of a panel, one row each; simulation where there is one."""
    pair, spread = panel.pair, panel.spread
    here = pair.rows("risk", "stderr", "z", **columns_of(pair, spread.at(pair.x)))
    nothing, simulated = dict.fromkeys(("risk", "stderr", "z"), ""), dict(zip(pair.x, here, strict=True))
    head = {"axis": pair.axis, **pair.fixed, "x": spread.x, "leading": spread.leading, "theory": spread.mean}
    order = {"std": spread.std, "next_order": np.where(spread.small, "small", "large")}
    return [row | simulated.get(row["x"], nothing) for row in records(head | order | panel.parts)]


def draw(panels: Sequence[Panel]) -> Figure:
    """Draw time, model size and data side by side."""
    figure, axes = plotting.new_figure(1, len(panels), caption=plotting.SPREAD)
    black = len(plotting.COLORS) - 1
    for ax, panel in zip(axes[0], panels, strict=True):
        spread = panel.spread
        for index, (part, label) in enumerate(zip(panel.parts.values(), PART_LABELS, strict=True)):
            ax.plot(spread.x, part, color=plotting.COLORS[index], ls=LINES[index], lw=1.3, label=label)
        points = panel.pair.at(slice(None, None, max(1, len(panel.pair.x) // 12)))
        plotting.draw(ax, points, black, label="risk; dots: sum of the parts")
        plotting.draw_spread(ax, spread, black)
        ax.set_ylim(1e-3 * spread.leading.min(), 2 * spread.leading.max())
        plotting.finish(ax, AXES[panel.pair.axis], "part of the risk", describe(panel.pair))
    return figure
