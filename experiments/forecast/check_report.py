"""A check of a forecast in words and in a table, as it is printed."""

from collections.abc import Sequence

import numpy as np

from experiments.forecast import records
from experiments.forecast.held_out import Trial
from experiments.forecast.job import MOST_STEPS, Checked
from experiments.forecast.report import EXTRAPOLATED, MARK, size
from experiments.output.tables import align


def check_lines(checked: Checked) -> list[str]:
    """Return the printed report of a check."""
    n, p = checked.sizes
    return [
        check_table(checked.trials),
        *own_lines(checked.trials),
        f"gradient descent, all {MOST_STEPS} steps taken at N = {n}, P = {p}: its loss is that of the exact solution "
        f"to {checked.taken:.1e}",
    ]


def check_table(trials: Sequence[Trial]) -> str:
    """Return how near the forecast was, by size and over all, and where it was worst."""
    cells = [("N", "P", "median error", "worst error (at t)", "median |z|", "worst z")]
    for n, p in dict.fromkeys(trial.sizes for trial in trials):
        error, z, times, far = records.joined([trial for trial in trials if trial.sizes == (n, p)])
        worst = np.abs(error).argmax()
        cells.append((
            size(n), size(p) + MARK * bool(far.any()), f"{np.median(np.abs(error)):.2%}",
            f"{error[worst]:+.2%} ({times[worst]:.3g})", f"{np.median(np.abs(z)):.2f}",
            f"{z[np.abs(z).argmax()]:+.1f}",
        ))  # fmt: skip
    total = records.summary(trials)
    last = (
        f"trained {total['points']} times (N, P) on real rows, {total['values']} values: error of the forecast median "
        f"{total['median']:.2%}, worst {total['worst']:+.2%} at N = {size(total['features'])}, P = {total['samples']}, "
        f"t = {total['time']:.3g}; median |z| {total['median_z']:.2f}"
    )
    notes = []
    if total["extrapolated"]:
        notes.append(f"{EXTRAPOLATED}, at one of the times or more, in either half")
        if known := total["resolved"]:
            last += f"; without extrapolation {known['values']} values, "
            last += f"median {known['median']:.2%}, worst {known['worst']:+.2%}"
    return "\n".join([align(cells), *notes, last])


def own_lines(trials: Sequence[Trial]) -> list[str]:
    """Say how near the loss is that each run gives by its own rows, and what stopping by it costs."""
    total = records.own_summary(trials)
    if total is None:
        return []
    cells = [("N", "P", "by training rows: median error", "worst (at t)", "stop at", "best", "loss above the best")]
    for trial in trials:
        if (own := trial.own) is not None:
            n, p = trial.sizes
            worst = np.abs(own.error).argmax()
            cells.append((
                size(n), size(p), f"{np.median(np.abs(own.error)):.2%}",
                f"{own.error[worst]:+.2%} ({own.times[worst]:.3g})", f"{np.median(own.stops):.3g}",
                f"{np.median(own.best):.3g}", f"{own.excess.mean():.2%}",
            ))  # fmt: skip
    return [
        align(cells),
        f"test loss estimated from the training rows alone, {total['runs']} runs: error median {total['median']:.2%}, "
        f"worst {total['worst']:+.2%}; stopped where it is least, the loss is {total['excess']:.2%} above the "
        f"least of the run in the median, {total['worst_excess']:.2%} at most",
    ]
