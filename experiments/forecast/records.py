"""A forecast as rows of CSV files, and as what the file of settings keeps beside them."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.forecast.bands import Band, interval
from experiments.forecast.held_out import Trial
from experiments.forecast.job import Checked, Foretold
from experiments.output import tables
from rfm.data.spectra import Estimate


def summary(trials: Sequence[Trial]) -> dict[str, Any]:
    """Return the relative error over all points and times, median, worst and where; and without extrapolation."""
    error, z, times, far = joined(trials)
    place = int(np.abs(error).argmax())
    n, p = trials[int(np.repeat(np.arange(len(trials)), [len(trial.times) for trial in trials])[place])].sizes

    def sizes_of(values: np.ndarray) -> dict[str, float]:
        worst = float(values[np.abs(values).argmax()])
        return {"values": len(values), "median": float(np.median(np.abs(values))), "worst": worst}

    return sizes_of(error) | {
        "points": len(trials), "features": n, "samples": p, "time": float(times[place]),
        "median_z": float(np.median(np.abs(z))), "extrapolated": int(far.sum()),
        "resolved": None if far.all() else sizes_of(error[~far]), "own_rows": own_summary(trials),
    }  # fmt: skip


def own_summary(trials: Sequence[Trial]) -> dict[str, Any] | None:
    """Return how near the losses are estimated from their own rows, and what stopping by them costs."""
    told = [trial.own for trial in trials if trial.own is not None]
    if not told:
        return None
    error, excess = (np.concatenate([getattr(own, name) for own in told]) for name in ("error", "excess"))
    worst = float(error[np.abs(error).argmax()])
    return {
        "values": len(error), "median": float(np.median(np.abs(error))), "worst": worst, "runs": len(excess),
        "excess": float(np.median(excess)), "worst_excess": float(excess.max()),
    }  # fmt: skip


def joined(trials: Sequence[Trial]) -> list[np.ndarray]:
    """Return errors, z, times, and where it is extrapolation, of all trials one after the other."""
    return [np.concatenate([getattr(t, name) for t in trials]) for name in ("error", "z", "times", "extrapolated")]


def rows(foretold: Foretold) -> list[dict]:
    """Return every point of the grid and of the lines."""
    grid = foretold.grid
    n, p, t = np.meshgrid(grid.features, grid.samples, grid.times, indexing="ij")
    written = tables.records({
        "what": "grid", "num_features": n, "num_samples": p, "time": t,
        "loss": grid.loss.value, "low": grid.loss.low, "high": grid.loss.high,
        "excess": grid.loss.value - grid.noise, "unresolved_share": grid.beyond, "extrapolated": grid.extrapolated,
    })  # fmt: skip
    for line in foretold.lines:
        fixed = "num_samples" if line.axis == "features" else "num_features"
        curves = (("end", line.end, line.time), ("best stopping", line.stopped, ""))
        for (what, band, time), far in zip(curves, line.extrapolated, strict=True):
            written += tables.records({
                "what": f"{what}, along {line.axis}", f"num_{line.axis}": line.x, fixed: line.fixed, "time": time,
                "loss": band.value, "low": band.low, "high": band.high, "excess": band.value - grid.noise,
                "loss_at_best_ridge": line.ridge, "extrapolated": far,
            })  # fmt: skip
    return written


def spectrum_rows(estimate: Estimate) -> list[dict]:
    """Return sample and estimate, one row a mode; power is summed over outputs."""
    problem, sample = estimate.problem, estimate.sample
    power = problem.eigenvalues * problem.target**2
    columns = {"sample_eigenvalue": sample.eigenvalues / estimate.scale, "sample_power": sample.power,
               "eigenvalue": problem.eigenvalues, "power": power}  # fmt: skip
    count = max(len(column) for column in columns.values())
    return [
        {"mode": k + 1} | {name: column[k] if k < len(column) else "" for name, column in columns.items()}
        for k in range(count)
    ]


def trial_rows(trials: Sequence[Trial]) -> list[dict]:
    """Return every time of every trial."""
    written = []
    for trial in trials:
        n, p = trial.sizes
        written += tables.records({
            "num_features": n, "num_samples": p, "trained_half": trial.half, "time": trial.times,
            "loss": trial.pair.mean, "stderr": trial.pair.stderr, "predicted": trial.pair.theory,
            "predicted_stderr": trial.spread, "error": trial.error, "z": trial.z, "extrapolated": trial.extrapolated,
            "loss_of_runs": "" if trial.own is None else trial.own.losses.mean(0),
            "told_by_own_rows": "" if trial.own is None else trial.own.estimates.mean(0),
        })  # fmt: skip
    return written


def record(foretold: Foretold, checked: Checked | None) -> dict[str, Any]:
    """Return what the file of settings keeps beside them."""
    estimate, plan = foretold.forecast.estimate, foretold.plan
    tail = estimate.problem.tail
    said = {
        "estimate": {
            **{name: interval(estimate, name) for name in ("a", "b", "noise_var")}, "trusted": estimate.trusted,
            "window": estimate.window, "spread": estimate.spread, "label_variance": estimate.sample.total,
            "scale": estimate.scale, "tail": None if tail is None else dataclasses.asdict(tail),
        },
        "exponents": [exponent._asdict() for exponent in foretold.exponents],
        "peaks": [peak._asdict() for peak in foretold.peaks if peak is not None],
        "plan": None if plan is None else plan._asdict(),
        "rows": _decision(foretold),
        "training": _training(foretold),
        "loss_of_copies": foretold.of_copies,
        "accuracy": [one._asdict() for one in foretold.forecast.accuracy],
    }  # fmt: skip
    said |= {} if checked is None else {"check": summary(checked.trials)}
    return {name: plain(part) for name, part in said.items()}


def _decision(foretold: Foretold) -> dict[str, Any]:
    """Return losses at multiples of the known rows, and the rows that losses take."""
    decision = foretold.decision
    return {
        "known": decision.known, "samples": decision.samples, "loss": decision.loss,
        "extrapolated": decision.extrapolated,
        "needed": [{"loss": one.loss, "samples": one.samples, "within": one.within} for one in decision.rows],
    }  # fmt: skip


def _training(foretold: Foretold) -> dict[str, Any] | None:
    """Return measured losses beside the theory: rho at the sizes and times that were trained."""
    correction = foretold.forecast.correction
    if correction is None:
        return None
    return {
        "times": correction.times, "rows": correction.rows, "farthest": correction.farthest()[0],
        "grown": foretold.forecast.grown,
        "measured": [
            {"num_features": one.num_features, "samples": one.samples, "log_ratio": one.ratio[:, :-1]}
            for one in correction.measured
        ],
    }  # fmt: skip


def plain(value: Any) -> Any:
    """Return numbers, lists and dicts that JSON writes as such."""
    if isinstance(value, Band):
        value = value._asdict()
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return np.asarray(value).tolist() if isinstance(value, np.ndarray | np.generic) else value
