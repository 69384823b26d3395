"""Trained models beside theory at a richness, whether they agree, and the time of the lazy model that has passed."""

from collections.abc import Sequence

import jax
import numpy as np

import rfm
import theory
from experiments.compare.comparison import Comparison
from experiments.compare.verdicts import Verdict, near_one
from rfm.arguments import Arguments

# the hard task of most rows, e = 0.4, and a richness at which its features are trained
A, B, RICHNESS = 1.5, 1.25, 1.0
NOISE = 0.25  # where labels have any


def solved(
    problem: rfm.Problem, args: Arguments, richness: float, keys: jax.Array, line: np.ndarray | None = None
) -> Comparison:
    """Return risks of models trained without random steps beside theory; line: times at which theory is drawn."""
    risks = rfm.exact(problem, **args | {"richness": richness}, keys=keys).risk
    return beside(problem, args, richness, risks, line)


def beside(
    problem: rfm.Problem, args: Arguments, richness: float, risks: np.ndarray, line: np.ndarray | None = None
) -> Comparison:
    """Return risks (S, T) of trained models beside theory; line: times at which it is drawn."""

    def predict(times: np.ndarray) -> np.ndarray:
        return theory.predict(problem, **args | {"times": times, "richness": richness}).risk

    times = np.asarray(args.get("times"), float)
    held = {"N": args.get("num_features", np.inf), "P": args.get("num_samples", np.inf), "richness": richness}
    drawn = None if line is None else predict(line)
    label = f"$\\gamma$ = {richness:g}"
    return Comparison("time", times, np.asarray(risks), predict(times), held, label, line, drawn)


def agrees(quantity: str, pairs: Sequence[Comparison]) -> Verdict:
    """Judge whether all points lie within three standard errors and a gap of finite size."""
    symbols = ["N" if np.isfinite(pair.fixed["N"]) else "P" for pair in pairs]
    sizes = [np.full(len(pair.x), pair.fixed[symbol]) for pair, symbol in zip(pairs, symbols, strict=True)]
    gaps, errors = [pair.gap for pair in pairs], [pair.stderr / pair.theory for pair in pairs]
    return near_one(quantity, *map(np.concatenate, (gaps, errors, sizes)), symbol=symbols[0])
