"""What limits the risk: what it would be with everything else infinite; and the closed-form laws of the frontier."""

import dataclasses
import math

import numpy as np

import rfm
import theory
from theory import exponents


def limiting_terms(
    problem: rfm.Problem,
    *,
    num_features: float,
    num_samples: float,
    optimizer: rfm.optimizers.Optimizer,
    times: np.ndarray,
    ensemble: float = 1,
) -> dict[str, np.ndarray]:
    """Terms that limit the risk at `times` (T,), each (T,), for an algorithm that has a theory.

    time: N = P = infinity, full batches; model, data: t = infinity and the other size infinite, clean labels; noise:
    what label noise adds; batches: what those of SGD add, label noise included. Sizes that are infinite do not limit
    and are left out. The terms are what dominates in its limit: they need not add up to the risk.
    """
    inf, end = math.inf, rfm.Ridge(0.0)
    full = optimizer.full_batch() if isinstance(optimizer, rfm.SGD) else optimizer
    clean = dataclasses.replace(problem, noise_var=0.0)

    def risk(problem, n, p, algorithm, times=times):
        args = dict(num_features=n, num_samples=p, optimizer=algorithm, times=times, ensemble=ensemble)
        return theory.predict(problem, **args).risk

    found = {"time": risk(clean, inf, inf, full)}
    if math.isfinite(num_features):
        found["model"] = np.full(len(times), risk(clean, num_features, inf, end, None)[0])
    if math.isfinite(num_samples):
        found["data"] = np.full(len(times), risk(clean, inf, num_samples, end, None)[0])
        if problem.noise_var > 0:
            sizes = num_features, num_samples, optimizer
            found["noise"] = np.maximum(risk(problem, *sizes) - risk(clean, *sizes), 0.0)
    if full is not optimizer:
        sizes = num_features, num_samples
        found["batches"] = np.maximum(risk(problem, *sizes, optimizer) - risk(problem, *sizes, full), 0.0)
    return found


def frontier_law(
    a: float, b: float, noise_var: float, num_samples: float, optimizer: rfm.optimizers.Optimizer
) -> tuple[float, float, str] | None:
    """Exponents of N* and risk* and what balances, where a formula is known: fresh data, no label noise, b > 1."""
    if np.isfinite(num_samples) or noise_var or b <= 1.0:
        return None
    if not isinstance(optimizer, rfm.SGD):
        return *exponents.frontier_exponents(a, b), exponents.frontier_balance(a, b)
    try:
        phase = exponents.phase(*exponents.to_alpha_beta(a, b))
    except ValueError:
        return None
    return phase.size, phase.risk, f"phase {phase.name}, {phase.balance}"
