"""Scale-time equivalence (Boopathy and Fiete 2024, arXiv 2409.05782; "S2" here): is a model of size N trained for time
t the same as one of N' for t' when N t = N' t'? The parts of that claim, measured on the theory and on training runs.

S2's student has features of variance one ("standard" here), so that its kernel grows with N and its clock is N t. With
features of variance 1/N ("ntk") the clock is t.
"""

import dataclasses
from collections.abc import Callable
from functools import lru_cache

import jax
import numpy as np

import rfm
import theory
from experiments.compare.keys import fold_keys
from experiments.compare.statistics import bootstrap_means
from experiments.compare.verdicts import Verdict
from experiments.output import plotting
from experiments.papers.row import Shown

SOURCE = "Boopathy and Fiete 2024 (arXiv 2409.05782), "
FLOW, INF = rfm.GradientFlow(), np.inf
SIZES = (64, 128, 256, 512, 1024)
LEVELS = (0.8, 0.5, 0.3)  # risks to be reached
LONGEST = 1e7  # clock at which a level counts as never reached
CLOCK = rfm.log_times(1e-2, LONGEST, 271)  # N t where features have variance one
FEW_CLOCK = rfm.log_times(1e-2, LONGEST, 46)  # where models are trained
SMALL, BIG = 128, 1024  # sizes of the cross-prediction
STEPS = 3000
TRAINED = (32, 64, 128, 256)  # sizes that other algorithms train
SAMPLES = (256, 1024)  # training samples with noisy labels
ALGORITHMS = ("gradient descent", "Adam", "sign-SGD")
REACH = 0.6  # part of the risk at the start that they are to reach
NOISE_SIZES, NOISE_SAMPLES, NOISE_EARLY = (1e5, 1e6), (1e4, 1e5, 1e6), 0.01
LAW = (2**14, 2**17)  # sizes where the error of S2's rule is a power law over decades
LARGE = 1e6 * np.exp([-0.1, 0.1])  # sizes where theory alone measures exponents
# of the rows that gradient flow trains for, which share their runs
FULL, SMOKE = dict(modes=10_000, seeds=16, sizes=SIZES), dict(modes=500, seeds=4, sizes=(32, 64))
UNITS = {"standard": "variance 1", "ntk": "variance 1/N"}  # of features, by parametrization


@dataclasses.dataclass(frozen=True)
class Setting:
    """The power law of a panel, its label noise where there is any, and the models that it trains.

    sizes: trained by gradient flow; pair: small and big model of the cross-prediction; samples: training sets with
    noisy labels; stepped, steps, algorithms: sizes, lengths of training and algorithms where steps are taken.
    """

    seed: int
    a: float = 1.5
    b: float = 1.25
    noise: float = 0.1
    modes: int = 10_000
    seeds: int = 16
    sizes: tuple[int, ...] = SIZES
    pair: tuple[int, int] = (SMALL, BIG)
    stepped: tuple[int, ...] = TRAINED
    steps: int = STEPS
    samples: tuple[int, ...] = SAMPLES
    algorithms: tuple[str, ...] = ALGORITHMS

    @property
    def infinite(self) -> rfm.Problem:
        """Without noise, infinitely many modes: theory alone."""
        return rfm.power_law(self.a, self.b, None)

    @property
    def finite(self) -> rfm.Problem:
        """Without noise, as many modes as the models that are trained see."""
        return rfm.power_law(self.a, self.b, self.modes)

    @property
    def keys(self) -> jax.Array:
        """(S,) of the seeds."""
        return jax.random.split(jax.random.key(self.seed), self.seeds)


Panel = Callable[[object, Setting], tuple[list[Verdict], list[dict]]]


def shower(*panels: Panel) -> Callable[..., Shown]:
    """`show` of a row made of these panels, side by side: its arguments are those of `Setting`."""

    def show(seed: int, **size) -> Shown:
        setting = Setting(seed=seed, **{k: tuple(v) if isinstance(v, list) else v for k, v in size.items()})
        figure, axes = plotting.new_figure(1, len(panels), width=4.2)
        parts = [panel(ax, setting) for ax, panel in zip(axes.flat, panels, strict=True)]
        return Shown(figure, [row for _, rows in parts for row in rows], tuple(f for found, _ in parts for f in found))

    return show


# ---- learning curves against the clock


def risk_by_clock(problem, size: float, samples: float = INF, clock: np.ndarray = CLOCK) -> np.ndarray:
    """Risk (T,) at clock N t = `clock`, from the standard parametrization at t = clock/N."""
    return theory.predict(
        problem, num_features=size, num_samples=samples, optimizer=FLOW, times=clock / size, parametrization="standard"
    ).risk


@lru_cache
def trained(setting: Setting, parametrization: str = "standard") -> np.ndarray:
    """Risk (sizes, S, T) of models trained on fresh data by gradient flow, at FEW_CLOCK; draws of either
    parametrization are its own."""
    keys = fold_keys(setting.keys, list(UNITS).index(parametrization))
    return np.array([
        rfm.simulate(
            setting.finite, num_features=n, num_samples=INF, optimizer=FLOW, parametrization=parametrization,
            times=FEW_CLOCK / (n if parametrization == "standard" else 1), keys=fold_keys(keys, n),
        ).risk for n in setting.sizes
    ])  # fmt: skip


@lru_cache
def predicted(setting: Setting) -> np.ndarray:
    """Theory (sizes, T) of `trained`, the same in both parametrizations."""
    return np.array([risk_by_clock(setting.finite, n, clock=FEW_CLOCK) for n in setting.sizes])


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


def over_draws(samples: np.ndarray, function: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """function of the mean risk (sizes, T) of samples (sizes, S, T), and its standard error over draws by bootstrap."""
    size, seeds, length = samples.shape
    means = bootstrap_means(np.moveaxis(samples, 1, 0).reshape(seeds, -1)).reshape(-1, size, length)
    values = np.array([function(mean) for mean in means])
    with np.errstate(invalid="ignore"):  # inf - inf where a risk is never reached
        error = values.std(0) * np.sqrt(seeds / (seeds - 1))
    return function(samples.mean(1)), error


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


# ---- the error of S2's rule


def rule_error(problem, small: float, big: float, clock: np.ndarray) -> np.ndarray:
    """Relative error (T,) of S2's rule: the risk of `big` at clock N t is that of `small` trained big/small longer."""
    return np.abs(risk_by_clock(problem, small, clock=clock) / risk_by_clock(problem, big, clock=clock) - 1.0)


def rule_growth(a: float, b: float) -> float:
    """The error of the rule is N^-1 (N t)^x: x = 1/b for a - 1 < b, (a - b)/b beyond."""
    return (1.0 if a - 1.0 < b else a - b) / b


@dataclasses.dataclass(frozen=True)
class CrossPrediction:
    """Risks at some clocks (X,) of a big and a small model, trained (S, X) and in theory (X,)."""

    clock: np.ndarray
    big: np.ndarray
    small: np.ndarray
    big_theory: np.ndarray
    small_theory: np.ndarray


def cross_predict(problem, keys, pair: tuple[int, int] = (SMALL, BIG)) -> CrossPrediction:
    """A big model, and a small one trained as many times longer as it is smaller, which by S2's rule is the same."""
    clock = np.geomspace(1.0, 1e5, 11)
    trained, known = [], []
    for n in pair[::-1]:
        args = dict(num_features=n, num_samples=INF, optimizer=FLOW, parametrization="standard", times=clock / n)
        trained.append(rfm.simulate(problem, keys=fold_keys(keys, n), **args).risk)
        known.append(theory.predict(problem, **args).risk)
    return CrossPrediction(clock, *trained, *known)


# ---- label noise


def noise_added(problem_of: Callable[[float], rfm.Problem], n: float, p: float, clock: np.ndarray) -> np.ndarray:
    """What label noise of variance one adds to the risk (T,), in theory; problem_of: its variance -> problem."""
    noisy, clean = (risk_by_clock(problem_of(v), n, p, clock) for v in (1.0, 0.0))
    return noisy - clean


def noise_collapse(a: float, b: float) -> list[dict]:
    """What label noise of variance one adds at clock tau, and that times P/tau^(1/b): one number where it is early."""
    rows = []
    for n in NOISE_SIZES:
        for p in NOISE_SAMPLES:
            clock = np.geomspace(10.0, (NOISE_EARLY * min(n, p)) ** b, 7)
            added = noise_added(lambda v: rfm.power_law(a, b, None, v), n, p, clock)
            rows += [
                {"N": n, "P": p, "clock": t, "x": t ** (1 / b) / p, "added": y, "ratio": y * p / t ** (1 / b)}
                for t, y in zip(clock.tolist(), added.tolist(), strict=True)
            ]
    return rows


def surface(problem, sizes, samples: float, clock: np.ndarray) -> np.ndarray:
    """Risk (sizes, T) against model size and clock N t at fixed data: double descent is its ridge at N = P."""
    return np.array([risk_by_clock(problem, n, samples, clock) for n in sizes])


# ---- algorithms that take steps


def algorithms(problem, parametrization: str, largest: int) -> dict[str, rfm.optimizers.Optimizer]:
    """Gradient descent stable at the largest size, and two that are not linear in the gradient."""
    import optax

    z_max = theory.largest_curvature(problem, num_features=largest, num_samples=INF, parametrization=parametrization)
    grown = 1.0 if parametrization == "standard" else largest**0.5  # weights for the same output
    specs = (
        rfm.GradientDescent(0.05 / float(z_max)),
        rfm.Optax(optax.adam, {"learning_rate": 2e-4 * grown}),
        rfm.Optax(optax.sign_sgd, {"learning_rate": 2e-4 * grown}),
    )
    return dict(zip(ALGORITHMS, specs, strict=True))


def step_times(steps: int) -> np.ndarray:
    """Step counts at which risks are recorded."""
    return rfm.log_times(1, steps, 60, integer=True)


def risk_by_step(problem, optimizer, parametrization: str, setting: Setting) -> np.ndarray:
    """Risk (sizes, S, T) of models of the sizes `stepped` at `step_times`."""
    return np.array([
        rfm.simulate(
            problem, num_features=n, num_samples=INF, optimizer=optimizer, times=step_times(setting.steps),
            keys=fold_keys(setting.keys, n), parametrization=parametrization,
        ).risk for n in setting.stepped
    ])  # fmt: skip


def steps_to_risk(problem, risks: np.ndarray, steps: int) -> np.ndarray:
    """Steps until risks (..., T) fall to REACH of the start of all models, (...)."""
    lam, w = problem.modes(0, int(problem.num_modes))
    level = REACH * float(np.sum(lam * w**2))
    return np.apply_along_axis(lambda risk: times_to_risk(step_times(steps), risk, (level,))[0], -1, risks)
