"""Do the intervals of `rfm fit` cover the truth, and does it extrapolate: many tables of simulated runs, each fitted.

    python -m experiments.fit_trials [--trials 200] [--gaussian] [--units] [--out results]

Every trial is a table of training runs of its own: SEEDS runs at every pair of SIZES, each at TIMES, solved exactly
given the draw. --gaussian: theory times scatter that is common to a run and of mean one instead, which leaves out what
the theory does not know of a finite size (of order 1/N, 1/P). All parameters are fitted. Extrapolation is one decade
beyond in N and in t, in either alone and both, against the mean of runs there.
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
from experiments import reports
from experiments.curve_fits import Fit, fit
from experiments.curve_models import Chinchilla, Solvable
from experiments.curve_table import AXES, CurveTable, Design, runs

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
    """One table fitted. fits: the solvable model, Chinchilla; solvable, chinchilla: median relative error of each
    beyond the table, by PARTS."""

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
    setting, count: int, gaussian: bool, seed: int, units: tuple[str, ...] = (), on_trial: Callable = int
) -> list[Trial]:
    """`count` trials at (a, b, noise); on_trial() is called after each."""
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
    models = Solvable(design, num_modes=MODES, units=units), Chinchilla(design, AXES)
    beyond = {part: [model.at(grid(n, SAMPLES, t)) for model in models] for part, (n, t) in far.items()}
    trials = []
    for losses in pool.reshape(count, -1):
        table = CurveTable(design, losses, None, runs(design))
        fits = [fit(model, table) for model in models]
        errors = [
            [np.median(np.abs(beyond[part][i].loss(one.theta) / truth[part].reshape(-1) - 1)) for part in PARTS]
            for i, one in enumerate(fits)
        ]
        trials.append(Trial(tuple(fits), *np.array(errors)))
        on_trial()
    return trials


def summary(setting, trials: list[Trial]) -> dict[str, float]:
    """Coverage, medians and half widths of intervals, errors beyond the table, and how often the theory is nearer."""
    found = dict(zip(NAMES, setting, strict=True)) | {"trials": len(trials)}
    for name, truth in zip(NAMES, setting, strict=True):
        value, low, high = np.array([trial.fits[0].interval(name) for trial in trials]).T
        found[f"coverage {name}"] = float(np.mean((low <= truth) & (truth <= high)))
        found |= {f"median {name}": float(np.median(value)), f"half width {name}": float(np.median(high - low) / 2)}
    for i, part in enumerate(PARTS):
        own, other = (np.array([getattr(t, model)[i] for t in trials]) for model in ("solvable", "chinchilla"))
        found |= {f"error {part}": float(np.median(own)), f"error {part}, Chinchilla": float(np.median(other))}
        found[f"nearer {part}"] = float(np.mean(own < other))
    return found


def main(argv: list[str] | None = None) -> None:
    """Print a row for each setting; write fit-trials.csv."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--gaussian", action="store_true", help="theory times scatter in place of training runs")
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
            units = AXES if args.units else ()
            found = run_trials(SETTINGS[i], args.trials, args.gaussian, args.seed, units, bar.update)
            rows.append(summary(SETTINGS[i], found))
            reports.replace(folder / "fit-trials.csv", write)
            print("\n".join(f"{name}: {value:.4g}" for name, value in rows[-1].items()), flush=True)


if __name__ == "__main__":
    main()
