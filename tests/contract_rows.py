"""One row an algorithm: what `tests/test_contract.py` runs every check on."""

from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from tolerances import POWERS, SAME_SUMS

import rfm


class Row(NamedTuple):
    optimizer: Any
    times: np.ndarray | None
    kind: str  # of `simulate`
    unstable: Any = None  # beyond stability, if there is such a thing
    num_samples: float = 70
    solved: bool = True  # `exact` gives what `simulate` does, draw by draw
    known: bool = True  # there is a theory
    expected: bool = True  # `exact` gives it, or its average over batches
    rtol: float = SAME_SUMS  # of steps taken against the same steps by powers of a matrix


STEPS, TAKEN, SOLVED = np.array([0, 1, 30, 1000]), "Monte Carlo", "exact given the draw"
WARM_UP = optax.warmup_cosine_decay_schedule(0.0, 0.5, 50, 900, 0.02)
STAIRS = optax.piecewise_constant_schedule(0.4, {30: 0.5, 200: 0.1})
MORE = lambda step: 4 + 4 * (step > 100)  # noqa: E731
RISING = lambda step: 18.0 * WARM_UP(step)  # noqa: E731
ROWS = {
    "GradientFlow": Row(rfm.GradientFlow(), np.array([0.0, 1.0, 30.0, 1e3]), SOLVED),
    "GradientDescent": Row(rfm.GradientDescent(0.4), STEPS, TAKEN, rfm.GradientDescent(9.0)),
    "GradientDescent with weight decay": Row(
        rfm.GradientDescent(0.4, 0.03), STEPS, TAKEN, rfm.GradientDescent(9.0, 0.03)
    ),
    "GradientDescent with warm-up and cosine decay": Row(rfm.GradientDescent(WARM_UP), STEPS, TAKEN),
    "GradientDescent on stairs with weight decay": Row(rfm.GradientDescent(STAIRS, 0.03), STEPS, TAKEN),
    "HeavyBall": Row(rfm.HeavyBall(0.2, 0.9), STEPS, TAKEN, rfm.HeavyBall(9.0, 0.9), rtol=POWERS),
    "HeavyBall without momentum": Row(rfm.HeavyBall(0.4, 0.0), STEPS, TAKEN, rfm.HeavyBall(9.0, 0.0)),
    "Nesterov": Row(rfm.Nesterov(0.2, 0.9), STEPS, TAKEN, rfm.Nesterov(9.0, 0.9), rtol=POWERS),
    "Preconditioned": Row(rfm.Preconditioned(0.5, 0.03), np.array([0.0, 1.0, 30.0, 1e3]), SOLVED),
    "Preconditioned, in steps": Row(
        rfm.Preconditioned(1.0, 0.1, 0.5), STEPS, SOLVED, rfm.Preconditioned(1.0, 0.1, 9.0)
    ),
    "Ridge": Row(rfm.Ridge(0.02), None, SOLVED),
    "SGD": Row(rfm.SGD(0.3, 4), STEPS, TAKEN, rfm.SGD(3.0, 4), np.inf, solved=False),
    "SGD with momentum": Row(rfm.SGD(0.05, 4, 0.8), STEPS, TAKEN, rfm.SGD(3.0, 4, 0.8), np.inf, solved=False),
    "SGD with warm-up, larger batches and an average": Row(
        rfm.SGD(WARM_UP, MORE, 0.3, average=0.99),
        STEPS,
        TAKEN,
        rfm.SGD(RISING, MORE, 0.3, average=0.99),
        np.inf,
        solved=False,
    ),
    "SGD on a finite set": Row(rfm.SGD(0.2, 8), STEPS, TAKEN, rfm.SGD(9.0, 8), solved=False, expected=False),
    "SGD on a finite set, decayed": Row(
        rfm.SGD(WARM_UP, 8, average="polyak"), STEPS, TAKEN, rfm.SGD(RISING, 8), solved=False, expected=False
    ),
    "SGD in epochs": Row(
        rfm.SGD(0.2, 8, order="shuffle"), STEPS, TAKEN, rfm.SGD(9.0, 8), solved=False, known=False, expected=False
    ),
    "DANA": Row(
        rfm.DANA(0.2, 0.005, 0.05, 4, 0.99), STEPS, TAKEN, rfm.DANA(RISING, 0.01, 0.1, 4), np.inf, solved=False
    ),
    "Optax": Row(
        rfm.Optax(optax.adam, {"learning_rate": 0.02}), STEPS, TAKEN, solved=False, known=False, expected=False
    ),
}
PROBLEM = rfm.power_law(1.8, 1.5, 100, noise_var=0.1)
KEYS = jax.random.split(jax.random.key(2), 200)
FEW = KEYS[:3]
