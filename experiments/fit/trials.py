"""Do the intervals of `rfm fit` cover the truth, and does it extrapolate: many tables of simulated runs, each fitted.

    python -m experiments.fit.trials [--trials 50] [--gaussian] [--risk [--hold]] [--units] [--out results]

Every trial is a table of training runs of its own: TRIAL_SEEDS runs at every pair of TRIAL_FEATURES and
TRIAL_SAMPLES, each at TRIAL_TIMES, solved exactly given the draw. The loss is what training measures on held-out data,
risk + label noise, so that the floor is the noise; --risk: the risk alone, whose floor of 0 is the end of its range,
or with --hold is known.
--gaussian: the theory's risk times scatter that is common to a run and of mean one, which leaves out what the theory
does not know of a finite size (of order 1/N, 1/P). All else is fitted. Extrapolation is one decade beyond in N and in
t, in either alone and both, against the mean of runs there, relative to the loss and to the risk.
"""

import argparse
import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

import rfm
import theory
from experiments.compare.keys import fold_keys
from experiments.fit.least_squares import Fit, fit
from experiments.fit.models import Chinchilla, SizeModel, Solvable
from experiments.fit.table import DESIGN_AXES, CurveTable, Design, runs
from experiments.output import files, progress
from rfm.arguments import Arguments

TRIAL_FEATURES, TRIAL_SAMPLES = (64, 128, 256), (100, 200, 400)
TRIAL_TIMES = rfm.log_times(1.0, 1e3, 12)
FAR_FEATURES, FAR_TIMES = 2560, rfm.log_times(1e3, 1e4, 5)
TRIAL_SEEDS, FAR_SEEDS = 4, 16
TRIAL_MODES = 5_000
SCATTER = 0.15  # of one run, for --gaussian
RECOVERED = ("a", "b", "noise")
DIRECTIONS = ("N", "t", "N and t")
SETTINGS = ((1.5, 1.25, 0.1), (2.0, 1.8, 0.3), (2.5, 1.2, 0.01), (3.0, 1.5, 0.03))  # a, b, noise: two hard, two easy


class Trial(NamedTuple):
    """One table fitted by both models, the solvable one first.

    Attributes:
        fits: Of the table.
        errors: (2, 3, 2) median error beyond the table, by model and DIRECTIONS, relative to the loss and to the risk.
    """

    fits: list[Fit]
    errors: np.ndarray


def simulated(problem: rfm.Problem, features: Sequence[int], times: np.ndarray, keys: jax.Array) -> np.ndarray:
    """Risks (seeds, pairs T) at sizes N and all TRIAL_SAMPLES, exact given the draw."""
    risks = []
    for i, (n, p) in enumerate(itertools.product(features, TRIAL_SAMPLES)):
        args = Arguments(num_features=n, num_samples=p, optimizer=rfm.GradientFlow(), times=times)
        risks.append(np.asarray(rfm.exact(problem, **args, keys=fold_keys(keys, i)).risk))
    return np.concatenate(risks, 1)


def predicted(problem: rfm.Problem, features: Sequence[int], times: np.ndarray) -> np.ndarray:
    """Risks (pairs, T) of the theory at sizes N and all TRIAL_SAMPLES."""
    flow, pairs = rfm.GradientFlow(), itertools.product(features, TRIAL_SAMPLES)
    curves = [theory.predict(problem, num_features=n, num_samples=p, optimizer=flow, times=times) for n, p in pairs]
    return np.stack([curve.risk for curve in curves])


def scattered(risk: np.ndarray, count: int, seed: int) -> np.ndarray:
    """(count, ...) times a scatter of mean one: half its variance common to a run, half a walk along it."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((count, *risk.shape[:-1], 1))
    walk = rng.standard_normal((count, *risk.shape)).cumsum(-1) / np.sqrt(np.arange(1, risk.shape[-1] + 1))
    return risk * np.exp(SCATTER * (common + walk) / np.sqrt(2.0) - SCATTER**2 / 2)


def run_trials(
    setting: Sequence[float],
    count: int,
    *,
    seed: int,
    gaussian: bool = False,
    units: tuple[str, ...] = (),
    floor: float | None = None,
    hold: bool = False,
    on_trial: Callable[[], object] = lambda: None,
) -> list[Trial]:
    """Run `count` trials at (a, b, noise).

    Args:
        setting: a, b and noise of the problem.
        count: How many tables are made and fitted.
        seed: Of the runs.
        gaussian: Theory times scatter in place of training.
        units: Axes whose units are fitted.
        floor: Of the loss, risk + floor; None: the noise.
        hold: The floor is known, not fitted.
        on_trial: Called after each.
    """
    a, b, noise = setting
    floor = noise if floor is None else floor
    problem = rfm.power_law(a, b, TRIAL_MODES, noise)
    further = (FAR_FEATURES,)
    far = (further, TRIAL_TIMES), (TRIAL_FEATURES, FAR_TIMES), (further, FAR_TIMES)  # by DIRECTIONS
    if gaussian:
        pool = scattered(predicted(problem, TRIAL_FEATURES, TRIAL_TIMES), count * TRIAL_SEEDS, seed)
        truth = [predicted(problem, *where).reshape(-1) for where in far]
    else:
        key, far_key = jax.random.split(jax.random.key(seed))
        pool = simulated(problem, TRIAL_FEATURES, TRIAL_TIMES, jax.random.split(key, count * TRIAL_SEEDS))
        keys = jax.random.split(far_key, FAR_SEEDS)
        truth = [simulated(problem, *where, keys).mean(0) for where in far]
    one_seed = Design.grid(TRIAL_FEATURES, TRIAL_SAMPLES, TRIAL_TIMES)
    design = Design(*(np.tile(getattr(one_seed, axis), TRIAL_SEEDS) for axis in DESIGN_AXES))
    fixed = (("floor", floor),) if hold else ()
    models = Solvable(design, num_modes=TRIAL_MODES, units=units, fixed=fixed), Chinchilla(design, DESIGN_AXES)
    designs = [Design.grid(features, TRIAL_SAMPLES, times) for features, times in far]

    def errors(fitted: Fit) -> list[tuple[np.floating, np.floating]]:
        """Median errors by DIRECTIONS, relative to the loss and to the risk."""
        assert isinstance(fitted.model, SizeModel)
        losses = [fitted.model.at(there).loss(fitted.theta) for there in designs]
        gaps = [np.abs(loss - floor - risk) for loss, risk in zip(losses, truth, strict=True)]
        return [(np.median(gap / (risk + floor)), np.median(gap / risk)) for gap, risk in zip(gaps, truth, strict=True)]

    trials = []
    for risk in pool.reshape(count, -1):
        table = CurveTable(design, risk + floor, None, runs(design))
        fits = [fit(model, table) for model in models]
        trials.append(Trial(fits, np.array([errors(fitted) for fitted in fits])))
        on_trial()
    return trials


def summary(setting: Sequence[float], trials: list[Trial], floor: float | None = None) -> dict[str, float]:
    """Coverage, medians and half widths of intervals, errors beyond the table, and how often the theory is nearer."""
    truths: dict[str, float] = dict(zip(RECOVERED, setting, strict=True))
    numbers = truths | {"trials": len(trials)}
    for name, truth in (truths | {"scale": 1.0, "floor": truths["noise"] if floor is None else floor}).items():
        value, low, high = np.array([trial.fits[0].interval(name) for trial in trials]).T
        numbers[f"coverage {name}"] = float(np.mean((low <= truth) & (truth <= high)))
        numbers |= {f"median {name}": float(np.median(value)), f"half width {name}": float(np.median(high - low) / 2)}
    errors = np.array([trial.errors for trial in trials])  # (trials, 2, 3, 2)
    for i, part in enumerate(DIRECTIONS):
        for k, quantity in enumerate(("loss", "risk")):
            solvable, chinchilla = np.median(errors[:, :, i, k], axis=0)
            numbers[f"error of {quantity}, {part}"] = float(solvable)
            numbers[f"error of {quantity}, {part}, Chinchilla"] = float(chinchilla)
        numbers[f"nearer {part}"] = float(np.mean(errors[:, 0, i, 0] < errors[:, 1, i, 0]))
    return numbers


def main(argv: list[str] | None = None) -> None:
    """Print a row for each setting; write fit-trials.csv."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=50, help="at every setting")
    parser.add_argument("--gaussian", action="store_true", help="theory times scatter in place of training runs")
    parser.add_argument("--risk", action="store_true", help="risk alone: its floor of 0 is the end of its range")
    parser.add_argument("--hold", action="store_true", help="the true floor is known, as by rfm fit --fix floor=0")
    parser.add_argument("--units", action="store_true", help="fit the units of N, P and t too")
    parser.add_argument("--setting", type=int, nargs="+", choices=range(len(SETTINGS)), default=range(len(SETTINGS)))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="results")
    args = parser.parse_args(argv)
    folder = files.check_folder(args.out)
    jax.config.update("jax_enable_x64", True)
    rows = []
    floor = 0.0 if args.risk else None
    asked = dict(gaussian=args.gaussian, units=DESIGN_AXES if args.units else (), hold=args.hold)
    with progress.bar(args.trials * len(args.setting), "trial") as bar:
        for i in args.setting:
            trials = run_trials(SETTINGS[i], args.trials, seed=args.seed, floor=floor, **asked, on_trial=bar.update)
            rows.append(summary(SETTINGS[i], trials, floor))
            files.replace(folder / "fit-trials.csv", lambda path: path.write_text(files.table_text(rows)))
            print("\n".join(f"{name}: {value:.4g}" for name, value in rows[-1].items()), flush=True)
    pooled = {name: np.mean([row[f"coverage {name}"] for row in rows]) for name in RECOVERED}
    print("coverage over all: " + ", ".join(f"{name} {value:.3f}" for name, value in pooled.items()))


if __name__ == "__main__":
    main()
