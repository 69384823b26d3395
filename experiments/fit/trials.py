"""Do the intervals of `rfm fit` cover the truth, and does it extrapolate: many tables of simulated runs, each fitted.

    python -m experiments.fit.trials [--trials 50] [--gaussian] [--risk [--hold]] [--units] [--out results]

Every trial is a table of training runs of its own: SEEDS runs at every pair of FEATURES and SAMPLES, each at TIMES,
solved exactly given the draw. The loss is what training measures on held-out data, risk + label noise, so that the
floor is the noise; --risk: the risk alone, whose floor of 0 is the end of its range, or with --hold is known.
--gaussian: the theory's risk times scatter that is common to a run and of mean one, which leaves out what the theory
does not know of a finite size (of order 1/N, 1/P). All else is fitted. Extrapolation is one decade beyond in N and in
t, in either alone and both, against the mean of runs there, relative to the loss and to the risk.
"""

import argparse
import csv
import dataclasses
import itertools
from collections.abc import Callable

import jax
import numpy as np
from tqdm import tqdm

import rfm
import theory
from experiments.fit.least_squares import Fit, fit
from experiments.fit.models import Chinchilla, Solvable
from experiments.fit.table import AXES, CurveTable, Design, runs
from experiments.output import files as reports

FEATURES, SAMPLES = (64, 128, 256), (100, 200, 400)
TIMES = rfm.log_times(1.0, 1e3, 12)
FAR_FEATURES, FAR_TIMES = 2560, rfm.log_times(1e3, 1e4, 5)
SEEDS, FAR_SEEDS = 4, 16
MODES = 5_000
SCATTER = 0.15  # of one run, for --gaussian
SETTINGS = ((1.5, 1.25, 0.1), (2.0, 1.8, 0.3), (2.5, 1.2, 0.01), (3.0, 1.5, 0.03))  # a, b, noise: two hard, two easy
NAMES = ("a", "b", "noise")
PARTS = ("N", "t", "N and t")


@dataclasses.dataclass(frozen=True)
class Trial:
    """One table fitted. fits: the solvable model, Chinchilla; solvable, chinchilla: median error of each beyond the
    table, (3, 2) by PARTS, relative to the loss and to the risk."""

    fits: tuple[Fit, Fit]
    solvable: np.ndarray
    chinchilla: np.ndarray


def grid(features, samples, times) -> Design:
    """Every combination."""
    points = np.stack(np.meshgrid(features, samples, times, indexing="ij"), -1).reshape(-1, 3)
    return Design(*points.T)


def simulated(problem, features, samples, times, keys) -> np.ndarray:
    """Risks (seeds, N, P, T), exact given the draw."""
    found = []
    for i, (n, p) in enumerate(itertools.product(features, samples)):
        own = jax.vmap(jax.random.fold_in, (0, None))(keys, i)
        how = dict(num_features=n, num_samples=p, optimizer=rfm.GradientFlow(), times=times)
        found.append(np.asarray(rfm.exact(problem, **how, keys=own).risk))
    return np.stack(found, 1).reshape(len(keys), len(features), len(samples), len(times))


def predicted(problem, features, samples, times) -> np.ndarray:
    """Risks (N, P, T) of the theory."""
    how = dict(optimizer=rfm.GradientFlow(), times=times)
    risks = [
        theory.predict(problem, num_features=n, num_samples=p, **how).risk
        for n, p in itertools.product(features, samples)
    ]
    return np.reshape(risks, (len(features), len(samples), len(times)))


def scattered(risk: np.ndarray, count: int, seed: int) -> np.ndarray:
    """(count, ...) times a scatter of mean one: half its variance common to a run, half a walk along it."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((count, *risk.shape[:-1], 1))
    walk = rng.standard_normal((count, *risk.shape)).cumsum(-1) / np.sqrt(np.arange(1, risk.shape[-1] + 1))
    return risk * np.exp(SCATTER * (common + walk) / np.sqrt(2.0) - SCATTER**2 / 2)


def run_trials(
    setting,
    count: int,
    gaussian: bool,
    seed: int,
    units: tuple[str, ...] = (),
    floor: float | None = None,
    on_trial: Callable = int,
    hold: bool = False,
) -> list[Trial]:
    """`count` trials at (a, b, noise), of risk + floor (None: noise), not fitted at `hold`; on_trial() after each."""
    floor = setting[2] if floor is None else floor
    problem = rfm.power_law(setting[0], setting[1], MODES, setting[2])
    sizes = (FEATURES, SAMPLES)
    key, far_key = jax.random.split(jax.random.key(seed))
    far = {"N": ((FAR_FEATURES,), TIMES), "t": (FEATURES, FAR_TIMES), "N and t": ((FAR_FEATURES,), FAR_TIMES)}
    if gaussian:
        pool = scattered(predicted(problem, *sizes, TIMES), count * SEEDS, seed)
        truth = {part: predicted(problem, n, SAMPLES, t) for part, (n, t) in far.items()}
    else:
        pool = simulated(problem, *sizes, TIMES, jax.random.split(key, count * SEEDS))
        keys = jax.random.split(far_key, FAR_SEEDS)
        truth = {part: simulated(problem, n, SAMPLES, t, keys).mean(0) for part, (n, t) in far.items()}
    design = Design(*(np.tile(getattr(grid(*sizes, TIMES), axis), SEEDS) for axis in AXES))
    fixed = (("floor", floor),) if hold else ()
    models = Solvable(design, num_modes=MODES, units=units, fixed=fixed), Chinchilla(design, AXES)
    beyond = {part: [model.at(grid(n, SAMPLES, t)) for model in models] for part, (n, t) in far.items()}
    trials = []
    for risk in pool.reshape(count, -1):
        table = CurveTable(design, risk + floor, None, runs(design))
        fits = [fit(model, table) for model in models]
        errors = np.empty((len(fits), len(PARTS), 2))
        for (i, one), (k, part) in itertools.product(enumerate(fits), enumerate(PARTS)):
            risk = truth[part].reshape(-1)
            gap = np.abs(beyond[part][i].loss(one.theta) - floor - risk)
            errors[i, k] = np.median(gap / (risk + floor)), np.median(gap / risk)
        trials.append(Trial(tuple(fits), *errors))
        on_trial()
    return trials


def summary(setting, trials: list[Trial], floor: float | None = None) -> dict[str, float]:
    """Coverage, medians and half widths of intervals, errors beyond the table, and how often the theory is nearer."""
    truths = dict(zip(NAMES, setting, strict=True))
    found = truths | {"trials": len(trials)}
    for name, truth in (truths | {"scale": 1.0, "floor": setting[2] if floor is None else floor}).items():
        value, low, high = np.array([trial.fits[0].interval(name) for trial in trials]).T
        found[f"coverage {name}"] = float(np.mean((low <= truth) & (truth <= high)))
        found |= {f"median {name}": float(np.median(value)), f"half width {name}": float(np.median(high - low) / 2)}
    for i, part in enumerate(PARTS):
        own, other = (np.array([getattr(t, model)[i] for t in trials]) for model in ("solvable", "chinchilla"))
        for k, of in enumerate(("loss", "risk")):
            found[f"error of {of}, {part}"] = float(np.median(own[:, k]))
            found[f"error of {of}, {part}, Chinchilla"] = float(np.median(other[:, k]))
        found[f"nearer {part}"] = float(np.mean(own[:, 0] < other[:, 0]))
    return found


def main(argv: list[str] | None = None) -> None:
    """Print a row for each setting; write fit-trials.csv."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=50, help="at every setting")
    parser.add_argument("--gaussian", action="store_true", help="theory times scatter in place of training runs")
    parser.add_argument("--risk", action="store_true", help="risk alone: its floor of 0 is the end of its range")
    parser.add_argument("--hold", action="store_true", help="the true floor is known, as by rfm fit --fix floor=0")
    parser.add_argument("--units", action="store_true", help="fit the units of N, P and t too")
    parser.add_argument("--setting", type=int, nargs="+", choices=range(len(SETTINGS)), default=range(len(SETTINGS)))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="results")
    args = parser.parse_args(argv)
    folder = reports.open_folder(args.out)
    jax.config.update("jax_enable_x64", True)
    rows = []

    def write(path):
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)

    with tqdm(total=args.trials * len(args.setting), unit="trial") as bar:
        for i in args.setting:
            units, floor = AXES if args.units else (), 0.0 if args.risk else None
            found = run_trials(SETTINGS[i], args.trials, args.gaussian, args.seed, units, floor, bar.update, args.hold)
            rows.append(summary(SETTINGS[i], found, floor))
            reports.replace(folder / "fit-trials.csv", write)
            print("\n".join(f"{name}: {value:.4g}" for name, value in rows[-1].items()), flush=True)
    pooled = {name: np.mean([row[f"coverage {name}"] for row in rows]) for name in NAMES}
    print("coverage over all: " + ", ".join(f"{name} {value:.3f}" for name, value in pooled.items()))


if __name__ == "__main__":
    main()
