"""Scale-time equivalence (S2: Boopathy and Fiete 2024, arXiv 2409.05782).

Is a model of size N for time t one of N' for t' when N t = N' t'? The parts of that claim, measured on the
theory and, where theory has no word, on training runs.

S2's student has features of variance one ("standard" here), so that its kernel grows with N and its clock is N t. With
features of variance 1/N ("ntk") the clock is t.
"""

import dataclasses

import numpy as np

import rfm
import theory
from experiments.compare import own_keys

FLOW, INF = rfm.GradientFlow(), np.inf
SIZES = (64, 128, 256, 512, 1024, 2048, 4096)
LEVELS = (0.8, 0.5, 0.3)  # risks to be reached
LONGEST = 1e7  # clock at which a level counts as never reached
CLOCK = rfm.log_times(1e-2, LONGEST, 271)  # N t where features have variance one
SMALL, BIG = 128, 1024  # sizes of the cross-prediction
STEPS = 3000
TRAINED = (32, 64, 128, 256)  # sizes that other algorithms train
REACH = 0.6  # part of the risk at the start that they are to reach
NOISE_SIZES, NOISE_SAMPLES, NOISE_EARLY = (1e5, 1e6), (1e4, 1e5, 1e6), 0.01
LAW = (2**14, 2**17)  # sizes where the error of S2's rule is a power law over decades


def risk_by_clock(problem, size: float, samples: float = INF, clock: np.ndarray = CLOCK) -> np.ndarray:
    """Risk (T,) at clock N t = `clock`, from the standard parametrization at t = clock/N."""
    return theory.predict(
        problem, num_features=size, num_samples=samples, optimizer=FLOW, times=clock / size, parametrization="standard"
    ).risk


def times_to_risk(x: np.ndarray, risk: np.ndarray, levels=LEVELS) -> np.ndarray:
    """First x at which risk falls to each level, between points by a power law; infinite where it never does."""
    out = []
    for level in levels:
        below = np.flatnonzero(risk <= level)
        if not len(below) or below[0] == 0:
            out.append(INF if not len(below) else x[0])
            continue
        i = below[0]
        part = np.log(level / risk[i - 1]) / np.log(risk[i] / risk[i - 1])
        out.append(x[i - 1] * (x[i] / x[i - 1]) ** part)
    return np.array(out)


def collapse_exponent(sizes, times: np.ndarray, risks: np.ndarray, levels: np.ndarray) -> tuple[float, float]:
    """gamma that brings risk(N^gamma t) of all sizes closest together, and the spread of log t that it leaves.

    times (N, T) and risks (N, T): a curve for every size. They are compared at equal risk, `levels` (L,), since at
    equal small times all untrained models agree.
    """
    log_t = np.log([times_to_risk(t, risk, levels) for t, risk in zip(times, risks, strict=True)])  # (N, L)
    log_n = np.log(sizes)[:, None]
    centred, x = log_t - log_t.mean(0), log_n - log_n.mean()
    gamma = -float(np.sum(x * centred) / (np.sum(x**2) * log_t.shape[1]))
    return gamma, float(np.sqrt(np.mean((centred + gamma * x) ** 2)))


def rule_error(problem, small: float, big: float, clock: np.ndarray) -> np.ndarray:
    """Relative error (T,) of S2's rule: the risk of `big` at clock N t is that of `small` trained big/small longer."""
    return np.abs(risk_by_clock(problem, small, clock=clock) / risk_by_clock(problem, big, clock=clock) - 1.0)


@dataclasses.dataclass(frozen=True)
class CrossPrediction:
    """A big model simulated (S, X) at some clocks (X,), and predicted by S2's rule, from trained small models, and by
    theory, (X,)."""

    clock: np.ndarray
    simulated: np.ndarray
    rule: np.ndarray
    theory: np.ndarray


def cross_predict(problem, keys) -> CrossPrediction:
    """A model of size BIG from those of size SMALL trained BIG/SMALL times longer, and from theory."""
    clock = np.geomspace(1.0, 1e5, 11)
    args = dict(num_samples=INF, optimizer=FLOW, parametrization="standard")
    big, small = (
        rfm.simulate(problem, num_features=n, times=clock / n, keys=own_keys(keys, n), **args).risk
        for n in (BIG, SMALL)
    )
    predicted = theory.predict(problem, num_features=BIG, times=clock / BIG, **args).risk
    return CrossPrediction(clock, big, small.mean(0), predicted)


def noise_collapse(a: float, b: float) -> list[dict]:
    """What label noise of variance one adds at clock tau, and that times P/tau^(1/b): one number where it is early."""
    rows = []
    for n in NOISE_SIZES:
        for p in NOISE_SAMPLES:
            clock = np.geomspace(10.0, (NOISE_EARLY * min(n, p)) ** b, 7)
            noisy, clean = (risk_by_clock(rfm.power_law(a, b, None, v), n, p, clock) for v in (1.0, 0.0))
            added = noisy - clean
            rows += [
                {"N": n, "P": p, "clock": t, "x": t ** (1 / b) / p, "added": y, "ratio": y * p / t ** (1 / b)}
                for t, y in zip(clock.tolist(), added.tolist(), strict=True)
            ]
    return rows


def algorithms(problem, parametrization: str) -> dict[str, rfm.optimizers.Optimizer]:
    """Gradient descent stable at the largest of TRAINED, and two that are not linear in the gradient."""
    import optax

    z_max = theory.largest_curvature(
        problem, num_features=TRAINED[-1], num_samples=INF, parametrization=parametrization
    )
    grown = 1.0 if parametrization == "standard" else TRAINED[-1] ** 0.5  # weights for the same output
    return {
        "gradient descent": rfm.GradientDescent(0.05 / float(z_max)),
        "Adam": rfm.Optax(optax.adam, {"learning_rate": 2e-4 * grown}),
        "sign-SGD": rfm.Optax(optax.sign_sgd, {"learning_rate": 2e-4 * grown}),
    }


def steps_to_risk(problem, optimizer, parametrization: str, keys) -> np.ndarray:
    """Steps (S, len(TRAINED)) until the risk of each model falls to REACH of its start."""
    times = rfm.log_times(1, STEPS, 60, integer=True)
    lam, w = problem.modes(0, int(problem.num_modes))
    level = REACH * float(np.sum(lam * w**2))
    columns = []
    for size in TRAINED:
        risk = rfm.simulate(
            problem, num_features=size, num_samples=INF, optimizer=optimizer, times=times,
            keys=own_keys(keys, size), parametrization=parametrization,
        ).risk  # fmt: skip
        columns.append([times_to_risk(times, row, (level,))[0] for row in risk])
    return np.array(columns).T


def surface(problem, sizes, samples: float, clock: np.ndarray) -> np.ndarray:
    """Risk (sizes, T) against model size and clock N t at fixed data: double descent is its ridge at N = P."""
    return np.array([risk_by_clock(problem, n, samples, clock) for n in sizes])
