"""Trained models beside theory at a richness, whether they agree, and the time of the lazy model that has passed."""

from collections.abc import Sequence

import jax
import numpy as np

import rfm
import theory
from experiments.compare.comparison import Comparison
from experiments.compare.verdicts import Verdict, condition
from rfm.arguments import Arguments

FINITE = 2.0  # a gap of so many over N is of finite size: lazy training has it too
SIGMAS = 3.0  # standard errors beyond it that a mean may be off


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
    gaps = np.concatenate([pair.gap for pair in pairs])
    sizes = [pair.fixed["N"] if np.isfinite(pair.fixed["N"]) else pair.fixed["P"] for pair in pairs]
    allowed = [SIGMAS * pair.stderr / pair.theory + FINITE / size for pair, size in zip(pairs, sizes, strict=True)]
    text = f"{1 + gaps.min():.3f} .. {1 + gaps.max():.3f}"
    holds = bool(np.all(np.abs(gaps) < np.concatenate(allowed)))
    symbol = "N" if np.isfinite(pairs[0].fixed["N"]) else "P"
    return condition(quantity, f"1 within {SIGMAS:g} s.e. + {FINITE:g}/{symbol}", text, holds)
