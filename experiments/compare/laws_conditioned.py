"""Laws of preconditioned training as rows: in time above and below the damping, and in compute."""

from functools import lru_cache, partial

import numpy as np

import rfm
from experiments.compare.laws import COMPUTE, LATE, LEAST_RISK, Law, risk_in_time
from theory import exponents
from theory.equal_compute import finer
from theory.minima import least

FAR_BELOW, NO_DAMPING = 1e-4, 1e-18  # an eigenvalue over the damping; a damping that is not seen
SEARCHED, LOOKS = 3.0, 10  # of log N around the closed form, each look four times as close


def preconditioned_laws(a: float, b: float, optimizer: rfm.Preconditioned) -> list[Law]:
    """Return the laws of preconditioned flow: in time and compute above the damping, and in time below it."""
    power, damping, lazy = float(optimizer.power), float(optimizer.damping), exponents.time_exponent(a, b)
    problem, t = rfm.power_law(a, b, None), "time $t$"
    closed = exponents.preconditioned_time_exponent(a, b, power)
    smallest = max(1.0 / LATE, LEAST_RISK ** (1.0 / lazy))  # eigenvalue that is learned where laws are measured
    late = smallest ** (power - 1.0)
    past = damping**power / max(smallest, FAR_BELOW * damping)
    bare = undamped(optimizer)
    size, risk = exponents.preconditioned_frontier_exponents(a, b, power)
    best = partial(_best_preconditioned, a, b, bare)
    name = f"power {power:g}"
    return [
        Law("time preconditioned", f"time t, {name}, above the damping", t, closed,
            partial(risk_in_time, problem, optimizer=bare), late, (1.0, late),
            amplitude=exponents.preconditioned_time_amplitude(a, b, power)),
        Law("time damped", f"time t, {name}, below the damping {damping:g}", t, lazy,
            partial(risk_in_time, problem, optimizer=optimizer), past, (1.0, past),
            amplitude=exponents.time_amplitude(a, b) * damping ** (power * lazy)),
        Law("compute preconditioned", f"compute C = N t, {name}", "compute $C$", risk,
            lambda x: best(x)[:, 1], COMPUTE, (1e2, COMPUTE), points=9),
        Law("compute size preconditioned", f"best N in compute, {name}", "compute $C$", -size,
            lambda x: best(x)[:, 0], COMPUTE, (1e2, COMPUTE), points=9),
    ]  # fmt: skip


def undamped(optimizer: rfm.Preconditioned) -> rfm.Preconditioned:
    """Return the flow with a damping that no time of a law reaches."""
    return rfm.Preconditioned(optimizer.power, NO_DAMPING)


def _best_preconditioned(a: float, b: float, optimizer: rfm.Preconditioned, compute: np.ndarray) -> np.ndarray:
    """Return the best N and its risk for every compute, (X, 2)."""
    power = float(optimizer.power)
    return np.array([_best_of(a, b, power, float(c)) for c in compute])


@lru_cache
def _best_of(a: float, b: float, power: float, compute: float) -> tuple[float, float]:
    """Return the best N of one compute and its risk, around the closed form."""
    optimizer, problem = rfm.Preconditioned(power, NO_DAMPING), rfm.power_law(a, b, None)
    middle = exponents.preconditioned_frontier_exponents(a, b, power)[0] * np.log(compute)

    def risks(logs: np.ndarray) -> np.ndarray:
        sizes = np.exp(logs)
        each = [risk_in_time(problem, compute / n[None], num_features=n, optimizer=optimizer) for n in sizes]
        return np.concatenate(each)

    low, high = max(0.0, middle - SEARCHED), min(np.log(compute), middle + SEARCHED)
    best = least(risks, finer(low, high), finer, looks=LOOKS)
    return float(np.exp(best.x)), best.value
