"""Limits of the risk: what it would be with everything else infinite; and the closed-form laws of the frontier."""

import dataclasses
import math
from functools import partial

import numpy as np

import rfm
import theory
from experiments.compare.comparison import INFINITE, with_size
from rfm.arguments import Sizes
from rfm.optimizers import Optimizer
from theory import exponents

LIMITS = ("time", "model", "data", "noise", "batches")  # names of `limiting_terms`
RISK_PARTS = ("bias", "features", "data", "interaction", "noise")  # of `theory.decompose`: they add up to the risk
PHASE_TERMS = {"F_pp": "modes to learn", "F_0": "model size", "F_ac": "early correction", "K_pp": "batch noise"}
FRONTIER_NODES = 64  # of the contours of `theory.frontier`: 1e-5 of the risk, exponents to 1e-4


def limiting_terms(
    problem: rfm.Problem,
    *,
    num_features: float,
    num_samples: float,
    optimizer: Optimizer,
    times: np.ndarray,
    ensemble: float = 1,
    richness: float = 0.0,
) -> dict[str, np.ndarray]:
    """Return the terms that limit the risk at `times` (T,), each (T,), for an algorithm that has a theory.

    time: N = P = infinity, full batches; model, data: t = infinity and the other size infinite, clean labels; noise:
    what label noise adds; batches: what those of SGD add, label noise included. Sizes that are infinite do not limit
    and are left out. The terms are what dominates in its limit: they need not add up to the risk.

    Raises:
        ValueError: For SGD whose mean over batches is not known, and where theory refuses the arguments.
    """
    end, held = rfm.Ridge(0.0), Sizes(num_features=num_features, num_samples=num_samples)
    full = optimizer.full_batch() if isinstance(optimizer, rfm.SGD) else optimizer
    clean, predict = dataclasses.replace(problem, noise_var=0.0), partial(theory.predict, ensemble=ensemble)

    def in_time(problem: rfm.Problem, algorithm: Optimizer, sizes: Sizes = held) -> np.ndarray:
        return predict(problem, optimizer=algorithm, times=times, richness=richness, **sizes).risk

    def at_end(sizes: Sizes) -> np.ndarray:
        return np.full(len(times), predict(clean, optimizer=end, **sizes).risk[0])

    terms = {"time": in_time(clean, full, INFINITE)}
    if math.isfinite(num_features):
        terms["model"] = at_end(with_size("features", num_features))
    if math.isfinite(num_samples):
        terms["data"] = at_end(with_size("samples", num_samples))
        if problem.noise_var > 0:
            terms["noise"] = np.maximum(in_time(problem, optimizer) - in_time(clean, optimizer), 0.0)
    if full is not optimizer:
        terms["batches"] = np.maximum(in_time(problem, optimizer) - in_time(problem, full), 0.0)
    return terms


def in_words(balance: str) -> str:
    """Return what balances in a phase of compute-optimal SGD in words for the symbols of S4.

    Example:
        >>> in_words("F_pp = F_0")
        'modes to learn = model size'
    """
    return " = ".join(PHASE_TERMS[symbol] for symbol in balance.split(" = "))


def frontier_law(
    a: float, b: float, noise_var: float, num_samples: float, optimizer: Optimizer
) -> tuple[float, float, str] | None:
    """Return exponents of N* and risk* and what balances, where known: fresh data, no label noise, b > 1."""
    if np.isfinite(num_samples) or noise_var or b <= 1.0:
        return None
    if not isinstance(optimizer, rfm.SGD):
        return *exponents.frontier_exponents(a, b), exponents.frontier_balance(a, b)
    try:
        phase = exponents.phase(*exponents.to_alpha_beta(a, b))
    except ValueError:
        return None
    return phase.size, phase.risk, f"phase {phase.name}, {in_words(phase.balance)}"


def whole(problem: rfm.Problem) -> rfm.Problem:
    """Return the problem with its power-law tail continued to infinity, where the trace allows it."""
    tail = problem.tail
    if tail is None or not float(tail.b) > 1.0:
        return problem
    return dataclasses.replace(problem, tail=dataclasses.replace(tail, num_modes=None))
