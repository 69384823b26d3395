"""Figures of a forecast: the estimated spectrum, the learning curves, and training beside them."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.compare.comparison import AXES
from experiments.forecast.bands import Band, interval
from experiments.forecast.curves import Grid, Line
from experiments.forecast.held_out import Trial
from experiments.forecast.job import Foretold
from experiments.forecast.laws import Plan
from experiments.forecast.runs import OwnRows
from experiments.output import plotting
from rfm.data.spectra import Estimate
from rfm.problem import PowerLawTail

BANDS = "lines: theory corrected by training on the known rows; bands: 95 % over samples of rows; dashed: extrapolation"
SAMPLE, OURS = "0.55", plotting.COLORS[0]
SHOWN = 6  # curves of a panel
ROOM, DEEPEST = 3.0, 1e-7  # of an axis of losses


def curves(foretold: Foretold) -> Figure:
    """Draw loss against t, N and P, and the plan for a budget."""
    grid, plan = foretold.grid, foretold.plan
    shape = (1, 3) if plan is None else (2, 2)
    figure, axes = plotting.new_figure(*shape, width=4.4, height=3.5, caption=BANDS)
    first, *others = axes.ravel()
    most = foretold.forecast.most
    _times(first, grid)
    _limit(first, grid.loss.value[:, -1], most)
    for ax, line in zip(others, foretold.lines, strict=False):
        _sizes(ax, line, grid)
        _limit(ax, np.stack([line.end.value, line.stopped.value]), most)
    if plan is not None:
        _plan(others[2], plan, grid)
    return figure


def _limit(ax: Axes, losses: np.ndarray, most: float) -> None:
    """Scale the axis to the losses and the part of their bands that fits, down to DEEPEST of where bands end."""
    shown = losses[np.isfinite(losses)]
    low, high = ax.get_ylim()
    ax.set_ylim(max(low, shown.min() / ROOM, DEEPEST * most), min(high, ROOM * max(shown.max(), DEEPEST * most)))


def _times(ax: Axes, grid: Grid) -> None:
    last = len(grid.samples) - 1
    chosen = np.unique(np.linspace(0, len(grid.features) - 1, SHOWN).astype(int))
    keep = grid.times > 0
    for index, i in enumerate(chosen):
        color = plotting.COLORS[index]
        label = f"$N$ = {plotting.number(float(grid.features[i]))}"
        loss = grid.loss.at((i, last, keep))
        _banded(ax, grid.times[keep], loss, grid.extrapolated[i, last, keep], color=color, label=label)
        stop = grid.stopping[i, last]
        if stop.gains and grid.times[keep][0] <= stop.at <= grid.times[-1]:
            ax.plot(stop.at, float(stop.loss.value), "o", ms=5, mfc="white", color=color, label=None)
    _floor(ax, grid.noise, grid.loss.value[:, last])
    title = f"$P$ = {plotting.number(grid.samples[last])}; circles: best time to stop"
    plotting.finish(ax, "time $t$", "held-out loss", title)


def _sizes(ax: Axes, line: Line, grid: Grid) -> None:
    other = "P" if line.axis == "features" else "N"
    end, stopped = line.extrapolated
    time = f"$t$ = {plotting.number(line.time)}"
    _banded(ax, line.x, line.end, end, color=plotting.COLORS[plotting.END], label=time)
    _banded(ax, line.x, line.stopped, stopped, color=plotting.COLORS[plotting.STOPPED], label="best stopping")
    ax.plot(line.x, line.ridge, color=plotting.COLORS[plotting.RIDGE], lw=1.3, ls=":", label="best ridge")
    _floor(ax, grid.noise, np.stack([line.end.value, line.stopped.value]))
    plotting.finish(ax, AXES[line.axis], "held-out loss", f"${other}$ = {plotting.number(line.fixed)}")


def _plan(ax: Axes, plan: Plan, grid: Grid) -> None:
    ax.set_xscale("log")
    for band, color, marker, label in (
        (plan.features, plotting.COLORS[plotting.BEST_SIZE], "o", "best $N$"),
        (plan.times, plotting.COLORS[plotting.BEST_TIME], "s", "best $t$"),
    ):  # fmt: skip
        spread = np.abs(np.stack([band.value - band.low, band.high - band.value]))
        shown = np.where(band.value > 0, band.value, np.nan)  # no training has no place on a logarithmic axis
        ax.errorbar(
            plan.compute,
            shown,
            np.minimum(spread, 0.99 * np.abs(shown)),
            color=color,
            marker=marker,
            ms=4,
            lw=1.3,
            capsize=2,
            label=label,
        )
    for c, n, loss in zip(plan.compute, plan.features.value, plan.loss.value, strict=True):
        ax.annotate(f"loss {loss:.3g}", (c, n), xytext=(0, 7), textcoords="offset points", ha="center", fontsize=6.5)
    ax.margins(x=0.2, y=0.2)
    title = f"best size and time for a budget, $P$ = {plotting.number(grid.samples[-1])}"
    plotting.finish(ax, "compute $C = N t$", "$N$ and $t$", title)


def _banded(
    ax: Axes, x: np.ndarray, band: Band, extrapolated: np.ndarray, *, color: str, label: str | None = None
) -> None:
    """Draw a line with its band, dashed where `extrapolated` (X,)."""
    ax.fill_between(x, band.low, band.high, color=color, alpha=0.18, lw=0)
    known = np.where(extrapolated, np.nan, band.value)
    ax.plot(x, band.value, color=color, lw=1.1, ls="--", label=label if np.all(extrapolated) else None)
    ax.plot(x, known, color=color, lw=1.5, label=None if np.all(extrapolated) else label)


def _floor(ax: Axes, noise: float, losses: np.ndarray) -> None:
    """Draw the label noise where the axis, as `_limit` scales it to losses, has it."""
    if noise > np.nanmin(losses) / ROOM:
        ax.axhline(noise, color="0.6", lw=1, ls=":", label="label noise", zorder=0)


def spectrum(estimate: Estimate) -> Figure:
    """Draw eigenvalues, and the variance of the labels that is left to explain: of the sample, and as estimated."""
    caption = "grey: of the sample; blue: estimated for the population; shaded: modes that the sample resolves"
    figure, axes = plotting.new_figure(1, 2, width=4.6, caption=caption)
    problem, sample = estimate.problem, estimate.sample
    eigenvalues, power = problem.eigenvalues, problem.eigenvalues * problem.target**2
    k = np.arange(1, len(eigenvalues) + 1)
    k_sample = np.arange(1, len(sample.eigenvalues) + 1)
    left, right = axes[0]
    left.plot(k_sample, sample.eigenvalues / estimate.scale, color=SAMPLE, lw=2.5, label="sample")
    left.plot(k, eigenvalues, color=OURS, lw=1.3, label="estimate")
    right.step(np.r_[0, k_sample] + 1, _left(sample.total, sample.power), color=SAMPLE, lw=2.5, label="sample")
    noise = float(problem.noise_var)
    tail = problem.tail
    end, beyond = len(k), 0.0
    if tail is not None:
        end = min(float(tail.num_modes or np.inf), 30.0 * max(len(k_sample), len(k)))
        beyond = _tail_power(tail, len(k))
        far = np.geomspace(len(k) + 1, max(end, len(k) + 2), 100)
        left.plot(far, tail.eigenvalue_scale * far**-tail.b, color=OURS, lw=1.3, ls="--",
                  label=f"tail $k^{{-{float(tail.b):.2f}}}$")  # fmt: skip
        left_over = noise + np.array([_tail_power(tail, x) for x in far])
        right.plot(far, left_over, color=OURS, lw=1.3, ls="--", label=f"tail, power $k^{{-{float(tail.a):.2f}}}$")
    right.step(np.r_[0, k] + 1, _left(power.sum() + beyond + noise, power), color=OURS, lw=1.3, label="estimate")
    right.axhline(max(noise, 1e-300), color=plotting.COLORS[1], lw=1, ls=":", label="label noise")
    error = interval(estimate, "noise_var")
    right.axhspan(max(error.low, 1e-300), max(error.high, 1e-300), color=plotting.COLORS[1], alpha=0.15, lw=0)
    for ax in (left, right):
        ax.axvspan(1, estimate.trusted, color="0.93", zorder=-1, label="modes that the sample resolves")
    lowest = eigenvalues[-1] if tail is None else tail.eigenvalue_scale * end**-tail.b
    left.set_ylim(0.3 * max(lowest, 1e-12 * eigenvalues[0]), 3 * eigenvalues[0])
    bottom = max(noise, 0.03 * (sample.total - sample.power.sum()), 1e-4 * sample.total)
    right.set_ylim(0.5 * bottom, 1.3 * sample.total)
    plotting.finish(left, "mode $k$", "eigenvalue, of the largest", "spectrum")
    plotting.finish(right, "modes learned + 1", "label variance left", "target")
    return figure


def _left(total: float, power: np.ndarray) -> np.ndarray:
    """Power left of a total after the first 0, 1, 2 .. modes, as far as that is positive."""
    left = total - np.r_[0.0, np.cumsum(power)]
    return np.where(left > 1e-12 * total, left, np.nan)


def _tail_power(tail: PowerLawTail, first: float) -> float:
    """Power of the modes beyond `first`, as an integral."""
    a, scale = float(tail.a), float(tail.power_scale)
    upper = 0.0 if tail.num_modes is None else (float(tail.num_modes) + 0.5) ** (1.0 - a)
    return scale * ((first + 0.5) ** (1.0 - a) - upper) / (a - 1.0)


def check(trials: Sequence[Trial]) -> Figure:
    """Draw training on one half beside the forecast from the other, one panel a training set."""
    shown = sorted((trial for trial in trials if trial.half == 0), key=lambda trial: trial.sizes)
    samples = sorted({p for _, p in (trial.sizes for trial in shown)})
    caption = "lines: forecast from one half of the rows; points: training on the other half\n"
    caption += "bands and bars: two standard errors; dashed: extrapolation"
    if any(trial.own is not None for trial in trials):
        caption += "\ndotted: estimated from the training rows alone, for two runs: stop at the triangle; their best"
        caption += " time: star"
    figure, axes = plotting.new_figure(1, len(samples), width=max(3.7, 5.5 / len(samples)), caption=caption)
    for ax, p in zip(axes[0], samples, strict=True):
        for index, trial in enumerate(trial for trial in shown if trial.pair.fixed["P"] == p):
            color = plotting.COLORS[index % len(plotting.COLORS)]
            pair = trial.pair
            _banded(ax, pair.x, Band.around(pair.theory, 2.0 * trial.spread), trial.extrapolated, color=color)
            name = f"$N$ = {plotting.number(pair.fixed['N'])}"
            plotting.draw(ax, pair, index, label=name, line_style={"lw": 0})
            if trial.own is not None:
                _told(ax, trial.own, color)
        plotting.finish(ax, "time $t$", "held-out loss", f"$P$ = {p}; {shown[0].pair.seeds} seeds")
    return figure


def _told(ax: Axes, own: OwnRows, color: str) -> None:
    """Draw the loss estimated from their own rows, the time to stop by it, and the best time."""
    loss, told = own.losses.mean(0), own.estimates.mean(0)
    ax.plot(own.times, told, color=color, lw=1.3, ls=":")
    for index, marker in ((told.argmin(), "v"), (loss.argmin(), "*")):
        if own.times[index] > 0:  # no training has no place on a logarithmic axis
            ax.plot(own.times[index], loss[index], marker, ms=8, mfc="white", color=color, zorder=5)
