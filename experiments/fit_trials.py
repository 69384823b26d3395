"""Do the intervals of `rfm fit` cover the truth, and does it extrapolate: many tables of simulated runs, each fitted.

    python -m experiments.fit_trials [--trials 200] [--gaussian] [--out results]

Every trial is a table of training runs of its own: SEEDS runs at every pair of SIZES, each at TIMES, solved exactly
given the draw. --gaussian: theory times scatter that is common to a run and of mean one instead, which leaves out what
the theory does not know of a finite size (of order 1/N, 1/P). All parameters are fitted. Extrapolation is one decade
beyond in N and in t, in either alone and both, against the mean of runs there.
"""

import argparse
import dataclasses

import jax
import numpy as np
from tqdm import tqdm

import rfm
import theory
from experiments import plotting, reports
from experiments.curve_fits import Fit, fit
from experiments.curve_models import Chinchilla, Solvable
from experiments.curve_table import AXES, CurveTable, Design, runs

FEATURES, SAMPLES = (48, 80, 128), (80, 160, 320)
TIMES = rfm.log_times(1.0, 1e3, 12)
FAR_FEATURES, FAR_TIMES = 1280, rfm.log_times(1e3, 1e4, 5)
SEEDS, FAR_SEEDS = 3, 16
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


def simulated(problem, features, samples, times, keys, bar) -> np.ndarray:
    """Risks (seeds, N, P, T), exact given the draw."""
    found = []
    for i, n in enumerate(features):
        for j, p in enumerate(samples):
            bar.set_description(f"N = {n}, P = {p}")
            own = jax.vmap(jax.random.fold_in, (0, None))(keys, i * len(samples) + j)
            how = dict(num_features=n, num_samples=p, optimizer=rfm.GradientFlow(), times=times)
            found.append(np.asarray(rfm.exact(problem, **how, keys=own).risk))
            bar.update()
    return np.moveaxis(np.array(found), 0, 1).reshape(len(keys), len(features), len(samples), len(times))


def predicted(problem, features, samples, times) -> np.ndarray:
    """Risks (N, P, T) of the theory."""
    how = dict(optimizer=rfm.GradientFlow(), times=times)
    return np.array([
        [theory.predict(problem, num_features=n, num_samples=p, **how).risk for p in samples] for n in features
    ])  # fmt: skip


def scattered(risk: np.ndarray, count: int, seed: int) -> np.ndarray:
    """(count, ...) times a scatter of mean one: half its variance common to a run, the rest a slow walk along it."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((count, *risk.shape[:-1], 1))
    walk = rng.standard_normal((count, *risk.shape)).cumsum(-1) / np.sqrt(np.arange(1, risk.shape[-1] + 1))
    return risk * np.exp(SCATTER * (common + walk) / np.sqrt(2.0) - SCATTER**2 / 2)


def run_trials(setting, count: int, gaussian: bool, seed: int, bar: tqdm, units: tuple[str, ...] = ()) -> list[Trial]:
    """`count` trials at (a, b, noise)."""
    problem = rfm.power_law(setting[0], setting[1], MODES, setting[2])
    sizes = (FEATURES, SAMPLES)
    key, far_key = jax.random.split(jax.random.key(seed))
    far = {"N": ((FAR_FEATURES,), TIMES), "t": (FEATURES, FAR_TIMES), "N and t": ((FAR_FEATURES,), FAR_TIMES)}
    if gaussian:
        pool = scattered(predicted(problem, *sizes, TIMES), count * SEEDS, seed)
        truth = {part: predicted(problem, n, SAMPLES, t) for part, (n, t) in far.items()}
    else:
        pool = simulated(problem, *sizes, TIMES, jax.random.split(key, count * SEEDS), bar)
        keys = jax.random.split(far_key, FAR_SEEDS)
        truth = {part: simulated(problem, n, SAMPLES, t, keys, bar).mean(0) for part, (n, t) in far.items()}
    design = Design(*(np.tile(getattr(grid(*sizes, TIMES), axis), SEEDS) for axis in AXES))
    models = Solvable(design, num_modes=MODES, units=units), Chinchilla(design)
    beyond = {part: [model.at(grid(n, SAMPLES, t)) for model in models] for part, (n, t) in far.items()}
    trials = []
    for one in pool.reshape(count, -1):
        bar.set_description("fitting")
        table = CurveTable(design, one, None, runs(design))
        fits = [fit(model, table) for model in models]
        errors = [
            [np.median(np.abs(beyond[part][i].loss(f.theta) / truth[part].reshape(-1) - 1)) for part in PARTS]
            for i, f in enumerate(fits)
        ]
        trials.append(Trial(tuple(fits), *np.array(errors)))
        bar.update()
    return trials
