"""Every scaling law of the theory as one row: what is claimed, the closed form, and the curve that it is measured on.

A curve is the theory itself at infinitely many modes, all else infinite or as the label says. Its exponent is a
logarithmic derivative at one large x, not a fit: nothing is chosen but x.
"""

import dataclasses
from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
from numpy.typing import ArrayLike

import rfm
import theory
from experiments.compare.comparison import INFINITE, with_size
from experiments.compare.statistics import log_derivative
from rfm.arguments import Sizes
from rfm.optimizers import Optimizer
from theory import exponents

LEAST_RISK = 1e-9  # below it rounding of the contours shows in a difference
LATE, LARGE = 1e12, 1e6  # time and sizes where the laws of one limit are measured
EARLY, HUGE = 1e6, 1e9  # time and sizes where the corrections to it are: N, P far above t^(1/b)
COMPUTE = 1e10
SGD_LR = 0.3
FLOW, END = rfm.GradientFlow(), rfm.Ridge(0.0)
INF = np.inf


@dataclasses.dataclass(frozen=True)
class Law:
    """y ~ x^-exponent: positive where y falls, negative where it grows.

    claim: the exponent as a paper states it, source: which; None where no paper does. curve: y at x, an array; at: x of
    `measured`; span: x where it is drawn. amplitude: of the closed form, None where unknown. kind: "exponent", or
    "ratio" of two amplitudes.
    """

    name: str
    label: str
    x_label: str
    closed: float
    curve: Callable[[np.ndarray], np.ndarray]
    at: float
    span: tuple[float, float]
    claim: float | None = None
    source: str = ""
    amplitude: float | None = None
    kind: str = "exponent"
    points: int = 25  # of the curve where it is drawn

    def measured(self) -> float:
        """-d log y/d log x at `at`; y itself for a ratio."""
        if self.kind == "ratio":
            return float(self.curve(np.array([self.at]))[0])
        return -log_derivative(self.curve, self.at)

    def level(self) -> float:
        """Return y x^exponent at `at`, the amplitude as theory has it."""
        return float(self.curve(np.array([self.at]))[0] * self.at**self.closed)


def all_laws(a: float, b: float) -> list[Law]:
    """All laws of the power-law problem that hold at (a, b); ValueError outside a > 1, b > 1."""
    claims = {name: {"claim": c.exponent(a, b), "source": c.source} for name, c in exponents.CLAIMS.items()}
    clean = rfm.power_law(a, b, None)
    t, n, p = "time $t$", "model size $N$", "data $P$"
    time_exponent, data_exponent = exponents.time_exponent(a, b), exponents.data_exponent(a, b)
    late = min(LATE, LEAST_RISK ** (-1.0 / time_exponent))
    model = exponents.early_model_exponents(a, b)
    data = exponents.early_data_exponents(a, b)
    size, risk = exponents.frontier_exponents(a, b)
    at_end, in_time = partial(risk_at_end, clean), partial(risk_in_time, clean)
    early, huge = np.array([EARLY]), np.array([HUGE])
    one_over = {"claim": 1.0, "source": "S1, S3"}
    laws = [
        Law("time", "time t, N = P = inf", t, time_exponent, in_time, late, (1.0, late), **claims["time"],
            amplitude=exponents.time_amplitude(a, b)),
        Law("model", "model size N, one model", n, exponents.model_exponent(a, b),
            lambda x: at_end(x, "features"), LARGE, (4.0, LARGE), **claims["model"],
            amplitude=_or_none(exponents.model_amplitude, a, b)),
        Law("ensemble", "model size N, infinite ensemble", n, exponents.ensemble_exponent(a, b),
            lambda x: at_end(x, "features", ensemble=INF), LARGE, (4.0, LARGE), **claims["model"],
            amplitude=_or_none(exponents.ensemble_amplitude, a, b)),
        Law("data", "data P, no noise", p, data_exponent,
            lambda x: at_end(x, "samples"), LARGE, (4.0, LARGE), **claims["data"],
            amplitude=_or_none(exponents.data_amplitude, a, b)),
        Law("early model in N", "early correction in N, against N", n, model[0],
            lambda x: corrections(clean, early, "features", x)[:, 0], HUGE, (1e6, 1e10), **one_over),
        Law("early model in t", "early correction in N, against t", t, -model[1],
            lambda x: corrections(clean, x, "features", huge)[0], EARLY, (10.0, 1e8)),
        Law("early data in P", "early correction in P, against P", p, data[0],
            lambda x: corrections(clean, early, "samples", x)[:, 0], HUGE, (1e6, 1e10), **one_over),
        Law("early data in t", "early correction in P, against t", t, -data[1],
            lambda x: corrections(clean, x, "samples", huge)[0], EARLY, (10.0, 1e8)),
        Law("noise", "label noise, against t", t, -exponents.noise_exponents(a, b)[1],
            partial(_noise, a, b), EARLY, (10.0, 1e8)),
        Law("stopping", "data P with noise, best stopping", p, exponents.noisy_data_exponents(a, b)[0],
            partial(_stopped, a, b), LARGE, (1e2, LARGE)),
        Law("compute", "compute C = N t, flow", "compute $C$", risk,
            lambda x: _best(a, b, x).risk, COMPUTE, (1e2, COMPUTE), **claims["compute"],
            points=9),
        Law("compute size", "best N in compute, flow", "compute $C$", -size,
            lambda x: _best(a, b, x).num_features, COMPUTE, (1e2, COMPUTE), points=9),
        Law("batches", "noise of SGD batches, against t", t, exponents.sgd_noise_exponent(a, b),
            partial(_batch_noise, b), 1e8, (10.0, 1e8)),
    ]  # fmt: skip
    alpha, beta = exponents.to_alpha_beta(a, b)
    if beta > 0 and min(abs(beta - 0.5), abs(beta - alpha)) > 1e-9:
        phase = exponents.phase(alpha, beta)
        laws.append(Law(
            "compute sgd", f"compute, one-pass SGD (phase {phase.name})", "compute $C$", phase.risk,
            lambda x: _best(a, b, x, sgd=True).risk, COMPUTE, (1e4, COMPUTE),
            phase.risk, "S4", points=9,
        ))  # fmt: skip
    if a == b:
        laws.append(Law(
            "kernel", "data P against alpha_K, flat teacher", p, data_exponent, lambda x: at_end(x, "samples"),
            LARGE, (4.0, LARGE), b - 1.0, "S3",
        ))  # fmt: skip
    if a - 1.0 < b:
        laws.append(Law(
            "duality", "risk(P)/risk(N) at P = N", n, exponents.duality_ratio(a, b),
            lambda x: at_end(x, "samples") / at_end(x, "features"), LARGE, (4.0, LARGE), 1.0, "S3",
            kind="ratio",
        ))  # fmt: skip
    return [dataclasses.replace(law, label=f"{law.label} (grows)") if law.closed < 0 else law for law in laws]


def _sgd(b: float) -> rfm.SGD:
    # the trace of the spectrum is b/(b - 1) or so, and bounds the lr
    return rfm.SGD(min(SGD_LR, 0.5 * (b - 1.0)), 1)


def _or_none(amplitude: Callable, a: float, b: float) -> float | None:
    """The amplitude, None on the boundary where it carries a logarithm."""
    try:
        return amplitude(a, b)
    except ValueError:
        return None


def risk_at_end(
    problem: rfm.Problem, sizes: ArrayLike, axis: str, *, ensemble: float = 1, held: Sizes = INFINITE
) -> np.ndarray:
    """Return the predicted risk (X,) at t = infinity against one size, the other as in `held`."""
    end = partial(theory.predict, problem, ensemble=ensemble, optimizer=END)
    return np.array([end(**with_size(axis, x, held)).risk[0] for x in np.asarray(sizes)])


def risk_in_time(
    problem: rfm.Problem,
    times: np.ndarray,
    *,
    num_features: float = INF,
    num_samples: float = INF,
    optimizer: Optimizer = FLOW,
    richness: float = 0.0,
) -> np.ndarray:
    """Return the predicted risk (T,) against time."""
    sizes = Sizes(num_features=num_features, num_samples=num_samples)
    return theory.predict(problem, **sizes, optimizer=optimizer, times=times, richness=richness).risk


def corrections(problem: rfm.Problem, times: np.ndarray, axis: str, sizes: np.ndarray) -> np.ndarray:
    """Return |risk - risk at infinite size|, (sizes, times)."""
    limit = risk_in_time(problem, times)
    return np.abs(np.array([risk_in_time(problem, times, **with_size(axis, x)) - limit for x in sizes]))


def _best(a: float, b: float, compute: np.ndarray, *, sgd: bool = False) -> theory.Frontier:
    """The frontier point by point, each computed once."""
    points = [_best_at(a, b, float(c), sgd=sgd) for c in compute]
    return theory.Frontier(*(np.concatenate(column) for column in zip(*points, strict=True)))


@lru_cache
def _best_at(a: float, b: float, compute: float, *, sgd: bool) -> tuple[np.ndarray, ...]:
    optimizer, nodes = (_sgd(b), 64) if sgd else (FLOW, None)
    best = theory.frontier(rfm.power_law(a, b, None), np.array([compute]), optimizer=optimizer, nodes=nodes)
    return tuple(np.zeros(1) if value is None else value for value in best)


def _noise(a: float, b: float, times: np.ndarray) -> np.ndarray:
    """Risk that label noise of variance one adds at P = HUGE."""
    noisy, clean = (risk_in_time(rfm.power_law(a, b, None, noise), times, num_samples=HUGE) for noise in (1.0, 0.0))
    return noisy - clean


def _stopped(a: float, b: float, sizes: np.ndarray) -> np.ndarray:
    problem = rfm.power_law(a, b, None, 1.0)
    best = partial(theory.best_stopping, problem, num_features=INF, optimizer=FLOW, longest=1e10)
    return np.array([best(num_samples=p).risk for p in sizes])


def _batch_noise(b: float, steps: np.ndarray) -> np.ndarray:
    """Risk that batches of one add to gradient descent, on a task so easy that nothing else is left at late times."""
    problem, sgd, steps = rfm.power_law(2.0 * b + 2.0, b, None), _sgd(b), np.round(steps)
    return risk_in_time(problem, steps, optimizer=sgd) - risk_in_time(
        problem, steps, optimizer=rfm.GradientDescent(sgd.lr)
    )
