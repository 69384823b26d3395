"""A forecast in words, in tables, and as rows and records of files."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from experiments.forecast.curves import Band, Grid, Line, Peak
from experiments.forecast.held_out import Trial
from experiments.forecast.laws import Exponent, Plan, interval
from experiments.output.tables import align

WIDE = 0.8  # spread of the rows beyond which they are rarely one shape at many sizes, as the theory takes them
MARK = "*"
EXTRAPOLATED = (
    f"{MARK} extrapolation: P beyond half of the rows, or a loss decided by modes that the sample does not tell"
)


def data_lines(name: str, data: np.ndarray, labels: np.ndarray, kernel: bool, estimate) -> list[str]:
    """What the sample tells of spectrum, target and noise."""
    n, outputs = len(data), 1 if labels.ndim == 1 else labels.shape[1]
    what = "kernel" if kernel else f"{data.shape[1]} features"
    sample, noise = estimate.sample, interval(estimate, "noise_var")
    least = max(noise.low, 0.0)
    lines = [
        f"{name}: {n} rows, {what}, {outputs} output{'s' * (outputs > 1)}. Loss: held-out squared error, summed over "
        "outputs, label noise included; band: 95 % over other samples of rows.",
        f"labels: variance {sample.total:.4g}, of it noise {noise.value:.4g} ({least:.3g} .. {noise.high:.3g}), which "
        "no training set goes below",
        f"spectrum: the sample tells {estimate.trusted} modes; " + _tail(estimate),
    ]
    if estimate.spread > WIDE:
        lines.append(
            f"WARNING: rows are of very different size, {estimate.spread:.0%} of their mean beyond what Gaussian rows "
            "vary by. The theory knows sizes, but takes small and large rows for the same otherwise, which such rows "
            "rarely are. Believe the errors that --check finds, not the band"
        )
    return lines


def _tail(estimate) -> str:
    a, b = interval(estimate, "a"), interval(estimate, "b")
    if not (math.isfinite(a.value) and math.isfinite(b.value)):
        return "no power law fits"
    law = f"eigenvalues ~ {_power(b)}, target power ~ {_power(a)}"
    return law + (", continued beyond them" if estimate.problem.tail is not None else ", and there are no others")


def _power(band: Band) -> str:
    """k to the minus band."""
    falls = band.value >= 0
    return "k^-" + _interval(band) if falls else "k^" + _interval(Band(-band.value, -band.high, -band.low))


def _interval(band: Band) -> str:
    return f"{band.value:.3f} ({band.low:.3f} .. {band.high:.3f})"


def _pm(band: Band) -> str:
    """A value and half the width of its interval."""
    return f"{band.value:.4g} ± {0.5 * (band.high - band.low):.2g}"


def _at(band: Band, index) -> Band:
    return Band(*(values[index] for values in band))


def size(value: float) -> str:
    """A model or data size."""
    return "inf" if math.isinf(value) else f"{value:.4g}" if value != round(value) else f"{value:.0f}"


def size_table(grid: Grid) -> str:
    """One row a pair of sizes."""
    cells = [
        ("N", "P", "best stopping (at t)", "best ridge (ridge)", f"t = {grid.times[-1]:.3g}", "excess when stopped")
    ]
    marked = False
    for i, n in enumerate(grid.features):
        for j, p in enumerate(grid.samples):
            stop, ridge = grid.stopping[i, j], grid.ridge[i, j]
            stopped = Band(stop.risk + grid.noise, *(values[i, j] for values in grid.stopped[1:]))
            far = bool(grid.extrapolated[i, j, -1])
            marked |= far
            cells.append((
                size(n), size(p) + MARK * far, f"{_pm(stopped)} ({stop.time:.3g})",
                f"{ridge.risk + grid.noise:.4g} ({ridge.ridge:.2g})", _pm(_at(grid.end, (i, j))), f"{stop.risk:.3g}",
            ))  # fmt: skip
    return align(cells) + f"\n{EXTRAPOLATED}" * marked


def peak_lines(lines: Sequence[Line], peaks: Sequence[Peak | None]) -> list[str]:
    """One sentence a line."""
    names = {"features": ("N", "P"), "samples": ("P", "N")}
    found = []
    for line, peak in zip(lines, peaks, strict=True):
        own, other = names[line.axis]
        if peak is None:
            late = line.end.value / line.stopped.value
            i = int(late.argmax())
            found.append(
                f"no interpolation peak along {own} = {line.x[0]:.0f} .. {line.x[-1]:.0f} at {other} = "
                f"{size(line.fixed)}; loss at t = {line.time:.3g} at most {late[i] - 1:.1%} "
                f"above that of the best stopping (at {own} = {line.x[i]:.0f})"
            )
            continue
        found.append(
            f"interpolation peak at {own} = {round(peak.at)} ({other} = {size(peak.fixed)}, t = {line.time:.3g}): "
            f"loss {peak.loss:.4g}, {peak.height:.3g} times the least before it; early stopping leaves "
            f"{peak.stopped:.2f} of it, the best ridge {peak.ridge:.2f}" + " (extrapolation)" * peak.extrapolated
        )
    return found


def exponent_lines(laws: Sequence[Exponent]) -> str:
    """One row a law."""
    cells = [("exponent, no noise, all else infinite", "endless power law", "this spectrum", "at (95 %)")]
    for law in laws:
        both = [_interval(band) if math.isfinite(band.value) else "-" for band in (law.closed, law.measured)]
        cells.append((law.quantity, *both, f"{law.at:.3g}"))
    return align(cells)


def plan_lines(plan: Plan | None, num_samples: float) -> list[str]:
    """One sentence a budget."""
    if plan is None:
        return []
    lines = []
    for i, compute in enumerate(plan.compute):
        features, times, loss = (_at(band, i) for band in (plan.features, plan.times, plan.loss))
        lines.append(
            f"budget C = N t = {compute:.3g}, P = {num_samples}: N = {features.value:.3g} ({features.low:.3g} .. "
            f"{features.high:.3g}), t = {times.value:.3g}, loss {_pm(loss)}; here N* ~ C^{plan.size_exponent[i]:.2f}, "
            f"loss* ~ C^-{plan.loss_exponent[i]:.3f}" + ("" if plan.converged[i] else "; NOT CONVERGED")
        )
    return lines


def check_table(tested: Sequence[Trial], extrapolated: Sequence[np.ndarray]) -> str:
    """How near the forecast was, by size and over all; and where it was worst. extrapolated: (T,) of each trial."""
    cells = [("N", "P", "median error", "worst error (at t)", "median |z|", "worst z")]
    for n, p in dict.fromkeys((trial.num_features, trial.num_samples) for trial in tested):
        some = [i for i, trial in enumerate(tested) if (trial.num_features, trial.num_samples) == (n, p)]
        error, z, times = (np.concatenate([getattr(tested[i], name) for i in some]) for name in ("error", "z", "times"))
        worst = np.abs(error).argmax()
        star = MARK * any(np.any(extrapolated[i]) for i in some)
        cells.append((size(n), size(p) + star, f"{np.median(np.abs(error)):.2%}",
                      f"{error[worst]:+.2%} ({times[worst]:.3g})", f"{np.median(np.abs(z)):.2f}",
                      f"{z[np.abs(z).argmax()]:+.1f}"))  # fmt: skip
    found = summary(tested, extrapolated)
    last = (
        f"trained {found['points']} times (N, P) on real rows, {found['values']} values: error of the forecast median "
        f"{found['median']:.2%}, worst {found['worst']:+.2%} at N = {size(found['features'])}, P = {found['samples']}, "
        f"t = {found['time']:.3g}; median |z| {found['median_z']:.2f}"
    )
    notes = []
    if found["extrapolated"]:
        notes.append(f"{EXTRAPOLATED}, at one of the times or more, in either half")
        if found["resolved"]:
            known = found["resolved"]
            last += f"; without extrapolation {known['values']} values, "
            last += f"median {known['median']:.2%}, worst {known['worst']:+.2%}"
    return "\n".join([align(cells), *notes, last])


def summary(tested: Sequence[Trial], extrapolated: Sequence[np.ndarray]) -> dict:
    """Relative error over all points and times: median, worst, and where; and over those that are not extrapolated."""
    error, z, times = (np.concatenate([getattr(trial, name) for trial in tested]) for name in ("error", "z", "times"))
    trials = np.repeat(np.arange(len(tested)), [len(trial.times) for trial in tested])
    place = int(np.abs(error).argmax())
    worst, far = tested[trials[place]], np.concatenate(extrapolated)

    def of(values):
        worst = float(values[np.abs(values).argmax()])
        return {"values": len(values), "median": float(np.median(np.abs(values))), "worst": worst}

    return of(error) | {
        "points": len(tested), "features": worst.num_features, "samples": worst.num_samples,
        "time": float(times[place]), "median_z": float(np.median(np.abs(z))),
        "extrapolated": int(far.sum()), "resolved": None if far.all() else of(error[~far]),
    }  # fmt: skip


def rows(grid: Grid, lines: Sequence[Line]) -> list[dict]:
    """Every point of the grid and of the lines."""
    found = []
    for (i, j, k), value in np.ndenumerate(grid.loss.value):
        found.append({
            "what": "grid", "num_features": grid.features[i], "num_samples": grid.samples[j], "time": grid.times[k],
            "loss": value, "low": grid.loss.low[i, j, k], "high": grid.loss.high[i, j, k], "excess": value - grid.noise,
            "unresolved_share": grid.beyond[i, j, k], "extrapolated": bool(grid.extrapolated[i, j, k]),
        })  # fmt: skip
    for line in lines:
        fixed = "num_samples" if line.axis == "features" else "num_features"
        curves = (("end", line.end, line.time), ("best stopping", line.stopped, ""))
        for (what, band, time), far in zip(curves, line.extrapolated, strict=True):
            for i, x in enumerate(line.x):
                found.append({
                    "what": f"{what}, along {line.axis}", f"num_{line.axis}": x, fixed: line.fixed, "time": time,
                    "loss": band.value[i], "low": band.low[i], "high": band.high[i],
                    "excess": band.value[i] - grid.noise, "loss_at_best_ridge": line.ridge[i],
                    "extrapolated": bool(far[i]),
                })  # fmt: skip
    return found


def spectrum_rows(estimate) -> list[dict]:
    """Sample and estimate, one row a mode; power is summed over outputs."""
    problem, sample = estimate.problem, estimate.sample
    power = problem.eigenvalues * problem.target**2
    columns = {"sample_eigenvalue": sample.eigenvalues / estimate.scale, "sample_power": sample.power,
               "eigenvalue": problem.eigenvalues, "power": power}  # fmt: skip
    count = max(len(column) for column in columns.values())
    return [
        {"mode": k + 1} | {name: column[k] if k < len(column) else "" for name, column in columns.items()}
        for k in range(count)
    ]


def trial_rows(tested: Sequence[Trial], extrapolated: Sequence[np.ndarray]) -> list[dict]:
    """Every time of every trial."""
    return [
        {
            "num_features": trial.num_features, "num_samples": trial.num_samples, "trained_half": trial.half,
            "time": trial.times[k], "loss": trial.mean[k], "stderr": trial.stderr[k], "predicted": trial.predicted[k],
            "predicted_stderr": trial.spread[k], "error": trial.error[k], "z": trial.z[k], "extrapolated": bool(far[k]),
        }
        for trial, far in zip(tested, extrapolated, strict=True)
        for k in range(len(trial.times))
    ]  # fmt: skip


def record(estimate, laws, peaks, plan: Plan | None, check: dict | None) -> dict:
    """What the file of settings keeps beside them; check: a `summary`."""
    tail = estimate.problem.tail
    found = {
        "estimate": {
            **{name: interval(estimate, name) for name in ("a", "b", "noise_var")}, "trusted": estimate.trusted,
            "window": estimate.window, "spread": estimate.spread, "label_variance": estimate.sample.total,
            "scale": estimate.scale,
            "tail": None if tail is None else dataclasses.asdict(tail),
        },
        "exponents": [law._asdict() for law in laws],
        "peaks": [peak._asdict() for peak in peaks if peak is not None],
        "plan": None if plan is None else plan._asdict(),
    }  # fmt: skip
    return plain(found | ({} if check is None else {"check": check}))


def plain(value):
    """Numbers, lists and dicts that JSON writes as such."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, Band):
        return plain(value._asdict())
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return np.asarray(value).tolist() if isinstance(value, np.ndarray | np.generic) else value
