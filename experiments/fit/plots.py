"""The figure of `rfm fit`: losses along every axis and the fits through them, errors by run, best sizes."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.compare.statistics import standard_error
from experiments.fit import decision
from experiments.fit.job import Fits
from experiments.fit.models import SizeModel
from experiments.fit.readings import errors
from experiments.fit.table import DESIGN_AXES, LETTERS, CurveTable, Design
from experiments.output import plotting

SLICES = 4  # curves in a panel
SHARE = 0.25  # of the points, at least, that lie on such curves: else all points are drawn
FINE_POINTS = 96  # of a line: a peak at N = P is narrow
BUDGETS = 40  # of the line of best sizes
CEILING = 3.0  # times the largest loss: what is higher of a line is cut off
DESIGN_LABELS = {"features": "model size $N$", "samples": "data $P$", "times": "time $t$"}
STYLES = {"solvable": ("-", 1.2), "chinchilla": ("--", 0.9)}  # of the models, and widths
MODEL_NAMES = {"solvable": "solvable", "chinchilla": "Chinchilla"}
POINTS = "points: measured, two standard errors where known"
WIDEST = 3  # panels in one row
MOST_RUNS = 30  # runs whose names are written below an axis
REACH = 30.0  # factor beyond the budgets of the table that the best sizes are drawn to


def draw(fits: Fits) -> Figure:
    """Draw losses along each axis that varies, errors against the loss and by run, and best sizes with their band."""
    axes = fits.table.design.varied
    lines = "solid: solvable model; dashed: Chinchilla form" if fits.solvable else "dashed: Chinchilla form"
    caption = f"{lines}; {POINTS}" + ("; grey: held out of the fits" if fits.held.any() else "")
    frontier = decision.can_decide(fits.chinchilla)
    columns = len(axes) + 2 + frontier
    rows = 1 if columns <= WIDEST else 2
    figure, panels = plotting.new_figure(rows, -(-columns // rows), caption=caption)
    places = list(panels.reshape(-1))
    for ax, axis in zip(places, axes, strict=False):
        _draw_axis(ax, fits, axis)
    _draw_ratio(places[len(axes)], fits)
    _draw_runs(places[len(axes) + 1], fits)
    if frontier:
        _draw_frontier(places[len(axes) + 2], fits)
    for ax in places[columns:]:
        ax.remove()
    return figure


def _draw_axis(ax: Axes, fits: Fits, axis: str) -> None:
    """Draw losses against one axis at some values of the others, or all losses if none share these values."""
    table, held = fits.table, fits.held
    x_all = getattr(table.design, axis)
    slices = _slices(table.design, axis)
    for index, rows in enumerate(slices):
        part = table.select(rows)
        fixed = {other: getattr(part.design, other)[0] for other in DESIGN_AXES if other != axis}
        label = ", ".join(
            f"${LETTERS[other]}$ = {plotting.number(float(f'{value:.4g}'))}" for other, value in fixed.items()
            if other in table.design.axes
        )  # fmt: skip
        color, marker = plotting.COLORS[index], plotting.MARKERS[index]
        x, mean, error = _means(part, axis)
        ax.errorbar(x, mean, 2 * error, fmt=marker, ms=3.2, lw=0.9, color=color, label=label or "measured")
        line = np.geomspace(x[0], x[-1], FINE_POINTS)
        design = Design(**{axis: line}, **{other: np.full(FINE_POINTS, value) for other, value in fixed.items()})
        for fit in fits.shown:
            style, width = STYLES[fit.model.name]
            assert isinstance(fit.model, SizeModel)
            ax.plot(line, fit.model.at(design).loss(fit.theta), color=color, lw=width, ls=style)
    if not slices:
        ax.plot(x_all, table.loss, "o", ms=3.2, mfc="none", color="0.4", label="measured")
        for fit, marker, color in zip(fits.shown, ("x", "+"), plotting.COLORS, strict=False):
            ax.plot(x_all, fit.model.loss(fit.theta), marker, ms=3.6, mew=0.7, color=color,
                    label=MODEL_NAMES[fit.model.name])  # fmt: skip
    last = x_all[~held].max()
    if held.any() and x_all.max() > last:
        ax.axvspan(
            last**0.5 * x_all[x_all > last].min() ** 0.5, x_all.max() * 1.05, color="0.92", zorder=-1, label="held out"
        )
    plotting.finish(ax, DESIGN_LABELS[axis], "loss", f"loss along {DESIGN_LABELS[axis]}")
    low, high = ax.get_ylim()
    high = min(high, CEILING * table.loss.max())
    ax.set_ylim(low, high)


def _slices(design: Design, axis: str) -> list[np.ndarray]:
    """Masks (R,) of rows that differ along one axis only: a few of those with the most values, far apart."""
    others = np.stack([getattr(design, other) for other in DESIGN_AXES if other != axis], 1)
    combos, which = np.unique(others, axis=0, return_inverse=True)
    which = which.reshape(-1)
    x = getattr(design, axis)
    counts = np.array([len(np.unique(x[which == i])) for i in range(len(combos))])
    long = np.flatnonzero(counts >= max(2, 0.7 * counts.max()))
    if np.isin(which, long).mean() < SHARE:
        return []
    chosen = long[np.unique(np.linspace(0, len(long) - 1, SLICES).round().astype(int))]
    return [which == i for i in chosen]


def _means(part: CurveTable, axis: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct x, the mean loss there, and its standard error: over repetitions, else as given, else zero."""
    x = getattr(part.design, axis)
    distinct = np.unique(x)
    losses = [part.loss[x == value] for value in distinct]
    given = [0.0 if part.stderr is None else part.stderr[x == value][0] for value in distinct]
    error = [standard_error(y) if len(y) > 1 else known for y, known in zip(losses, given, strict=True)]
    return distinct, np.array([y.mean() for y in losses]), np.array(error)


def _draw_ratio(ax: Axes, fits: Fits) -> None:
    """Draw fitted over measured losses, point by point; held-out points are filled."""
    loss, held = fits.table.loss, fits.held
    for index, fit in enumerate(fits.shown):
        name = MODEL_NAMES[fit.model.name]
        ratio, color, marker = 1.0 / (1.0 + fit.residuals), plotting.COLORS[index], plotting.MARKERS[index]
        label = f"{name}, fitted: median {errors(fit, ~held).median:.1%}"
        ax.plot(loss[~held], ratio[~held], marker, ms=2.6, mfc="none", mew=0.5, color=color, label=label)
        if held.any():
            label = f"{name}, held out: {errors(fit, held).median:.1%}"
            ax.plot(loss[held], ratio[held], marker, ms=3.4, color=color, label=label, alpha=0.8, mew=0)
    ax.axhline(1.0, color="k", lw=0.7, zorder=0)
    ax.set_xscale("log")
    plotting.finish(ax, "measured loss", "fitted / measured", "fitted over measured", log=False)


def _draw_runs(ax: Axes, fits: Fits) -> None:
    """Draw the range of errors of the Chinchilla form, or of the solvable model where that is better, run by run."""
    fit = fits.whole[0] if fits.rejected is fits.chinchilla else fits.chinchilla
    numbers, error = np.unique(fits.table.run), np.log1p(fit.residuals)
    order = sorted(numbers, key=lambda number: float(np.median(error[fits.table.run == number])))
    for marker, color, rows, label in (
        ("o", plotting.COLORS[0], ~fits.out, "median and range of a run"),
        ("X", plotting.COLORS[1], fits.out, "stands out"),
    ):
        of_runs = [(place, error[(fits.table.run == number) & rows]) for place, number in enumerate(order)]
        of_runs = [(place, errors_of) for place, errors_of in of_runs if len(errors_of)]
        if not of_runs:
            continue
        x, middle = [place for place, _ in of_runs], np.array([np.median(e) for _, e in of_runs])
        ends = np.array([[m - e.min(), e.max() - m] for m, (_, e) in zip(middle, of_runs, strict=True)]).T
        ax.errorbar(x, middle, ends, fmt=marker, ms=3.0, lw=0.8, color=color, label=label)
    ax.axhline(0.0, color="k", lw=0.7, zorder=0)
    named = "run" in fits.losses.columns and len(order) <= MOST_RUNS
    if named:
        ax.set_xticks(range(len(order)), [fits.losses.labels[number] for number in order], rotation=90, fontsize=6)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    words = "run" if named else "run, in the order of its error"
    plotting.finish(ax, words, "log measured / fitted", f"errors by run, {MODEL_NAMES[fit.model.name]}", log=False)


def _draw_frontier(ax: Axes, fits: Fits) -> None:
    """Draw the best size against compute with its band, the budgets asked for, and best sizes by parabolas."""
    factor = fits.flops_per_token
    compute = factor * fits.table.design.features * fits.table.design.times
    asked = [choice for choice in fits.choices if choice.what == "budget"]
    ends = [compute.min(), REACH * compute.max(), *(choice.compute.value for choice in asked)]
    line = np.geomspace(min(ends), max(ends), BUDGETS)
    best = [decision.budget(fits.chinchilla, value, factor).features for value in line]
    ax.plot(compute, fits.table.design.features, ".", ms=2.5, color="0.7", label="measured", zorder=1)
    ax.plot(line, [size.value for size in best], "--", color=plotting.FRONTIER, lw=1.1, label="best size")
    low, high = (np.array([getattr(size, end) for size in best]) for end in ("low", "high"))
    bottom, top = ax.get_ylim()
    ax.fill_between(line, np.maximum(low, 1e-3 * bottom), np.minimum(high, 1e3 * top), color="0.8", lw=0, zorder=0.5,
                    label="95 % interval")  # fmt: skip
    if fits.second is not None:
        ax.plot(fits.second.compute, fits.second.features, plotting.MARKERS[1], ms=3.2, mfc="none",
                color=plotting.COLORS[0], label="by parabolas")  # fmt: skip
    for index, choice in enumerate(asked):
        size = choice.features
        ax.errorbar(choice.compute.value, size.value, [[size.value - size.low], [size.high - size.value]], fmt="D",
                    ms=4, color=plotting.COLORS[1], label=None if index else "asked for")  # fmt: skip
    plotting.finish(ax, f"compute $C = {factor:g} N t$", DESIGN_LABELS["features"], "best size for a budget")
