"""Scale-time equivalence (Boopathy and Fiete 2024, arXiv 2409.05782; "S2" here): is a model of size N trained for time
t the same as one of N' for t' when N t = N' t'? The parts of that claim, measured on the theory and on training runs.

S2's student has features of variance one ("standard" here), so that its kernel grows with N and its clock is N t. With
features of variance 1/N ("ntk") the clock is t.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.axes import Axes

import rfm
import theory
from experiments.compare.comparison import Comparison
from experiments.compare.keys import fold_keys
from experiments.compare.laws import FLOW
from experiments.compare.verdicts import Verdict
from experiments.output import plotting
from experiments.papers.row import Counts, Script, Shown
from rfm.arguments import Arguments

SOURCE = "Boopathy and Fiete 2024 (arXiv 2409.05782), "
NO_IMAGES = "S2's networks on images are not trained here: random features only"
RUN_SIZES = (64, 128, 256, 512, 1024)  # trained by gradient flow
RISKS = (0.8, 0.5, 0.3)  # risks to be reached
LONGEST_CLOCK = 1e7  # clock at which a level counts as never reached
CLOCK = rfm.log_times(1e-2, LONGEST_CLOCK, 271)  # N t where features have variance one
FEW_CLOCK = rfm.log_times(1e-2, LONGEST_CLOCK, 46)  # where models are trained
SMALL, BIG = 128, 1024  # sizes of the cross-prediction
T6_STEPS = 3000
T6_SIZES = (32, 64, 128, 256)  # sizes that other algorithms train
T5_SAMPLES = (256, 1024)  # training samples with noisy labels
T6_ALGORITHMS = ("gradient descent", "Adam", "sign-SGD")
LAW = (2**14, 2**17)  # sizes where the error of S2's rule is a power law over decades
FEW_MODES = 2000  # at most, of `Setting.small`
LARGE_N = 1e6 * np.exp([-0.1, 0.1])  # sizes where theory alone measures exponents
SLOPE_SIZES = 3  # sizes over which training measures a slope: the largest ones
# of the rows that gradient flow trains for, which share their runs
FULL, SMOKE = dict(modes=10_000, seeds=16, sizes=RUN_SIZES), dict(modes=500, seeds=4, sizes=(32, 64))
FEATURE_UNITS = {"standard": "variance 1", "ntk": "variance 1/N"}  # of features, by parametrization


@dataclasses.dataclass(frozen=True)
class Setting:
    """The power law of a panel, its label noise where there is any, and the models that it trains.

    Attributes:
        seed: Of all draws.
        a: Exponent of the task, and `b`: of the spectrum.
        noise: Variance of label noise.
        modes: Number of modes M of models that are trained, and `seeds`: of draws S.
        sizes: Trained by gradient flow.
        pair: Small and big model of the cross-prediction.
        stepped: Sizes where steps are taken, `steps` of them, by `algorithms`.
        samples: Training sets with noisy labels.
        richness: How fast features of variance 1/N learn, where they are trained.
    """

    seed: int
    a: float = 1.5
    b: float = 1.25
    noise: float = 0.1
    modes: int = 10_000
    seeds: int = 16
    sizes: Counts = RUN_SIZES
    pair: tuple[int, int] = (SMALL, BIG)
    stepped: Counts = T6_SIZES
    steps: int = T6_STEPS
    samples: Counts = T5_SAMPLES
    algorithms: tuple[str, ...] = T6_ALGORITHMS
    richness: float = 0.0

    @property
    def infinite(self) -> rfm.Problem:
        """Without noise, infinitely many modes: theory alone."""
        return rfm.power_law(self.a, self.b, None)

    @property
    def finite(self) -> rfm.Problem:
        """Without noise, as many modes as the models that are trained see."""
        return rfm.power_law(self.a, self.b, self.modes)

    @property
    def small(self) -> rfm.Problem:
        """Problem with FEW_MODES at most and no noise, where every step is taken, or many draws are."""
        return rfm.power_law(self.a, self.b, min(self.modes, FEW_MODES))

    @property
    def keys(self) -> jax.Array:
        """Keys (S,) of the seeds."""
        return jax.random.split(jax.random.key(self.seed), self.seeds)


class Part(NamedTuple):
    """Verdicts and records that a panel adds to its row."""

    verdicts: Sequence[Verdict]
    table: Sequence[dict] = ()


def joined(parts: Sequence[Part]) -> Part:
    """Return the verdicts and the records of all parts."""
    return Part([v for part in parts for v in part.verdicts], [record for part in parts for record in part.table])


Panel = Callable[[Axes, Setting], Part]


def script(
    *, name: str, title: str, claim: str, panels: Sequence[Panel], shown: str = "scale-time equivalence",
    full: dict[str, Any] = FULL, smoke: dict[str, Any] = SMOKE, limits: str = NO_IMAGES,
) -> Script:  # fmt: skip
    """Return the row made of these panels, side by side; its parameters are fields of `Setting`."""

    def show(seed: int, **size) -> Shown:
        figure, axes = plotting.new_figure(1, len(panels), width=4.2)
        part = joined([panel(ax, Setting(seed=seed, **size)) for ax, panel in zip(axes.flat, panels, strict=True)])
        return Shown(figure, part.table, tuple(part.verdicts))

    return Script(name, title, SOURCE + shown, claim, show, full, smoke, limits)


def by_clock(
    size: float, samples: float, clock: np.ndarray, parametrization: str = "standard", *, richness: float = 0.0
) -> Arguments:
    """Return the arguments of gradient flow at `clock` (T,): N t where features have variance one, else t.

    richness: of features of variance 1/N; N times as large for those of variance one, it is the same model.
    """
    args = Arguments(num_features=size, num_samples=samples, optimizer=FLOW, parametrization=parametrization)
    units = size if parametrization == "standard" else 1.0
    return args | {"times": clock / units, "richness": richness * units}


def risk_by_clock(problem: rfm.Problem, size: float, samples: float = np.inf, clock: np.ndarray = CLOCK) -> np.ndarray:
    """Return the predicted risk (T,) at clock N t = `clock` (T,), from the standard parametrization at t = clock/N."""
    return theory.predict(problem, **by_clock(size, samples, clock)).risk


@lru_cache
def curves(setting: Setting, parametrization: str = "standard") -> tuple[Comparison, ...]:
    """Return risk against FEW_CLOCK, one comparison a size, of models trained on fresh data by gradient flow.

    Draws of the two parametrizations are independent; theory is the same for both.
    """
    keys = fold_keys(setting.keys, list(FEATURE_UNITS).index(parametrization))
    pairs = []
    for n in setting.sizes:
        args = by_clock(n, np.inf, FEW_CLOCK, parametrization)
        risks = rfm.simulate(setting.finite, **args, keys=fold_keys(keys, n)).risk
        predicted = risk_by_clock(setting.finite, n, clock=FEW_CLOCK)
        pairs.append(Comparison("clock", FEW_CLOCK, risks, predicted, {"N": n}, f"N = {n}"))
    return tuple(pairs)


def time_to_risk(x: np.ndarray, risk: np.ndarray, level: float) -> float:
    """Return the first x (T,) at which risk (T,) falls to a level, between points by a power law; inf where never.

    Example:
        >>> round(time_to_risk(np.array([1.0, 2.0, 8.0]), np.array([1.0, 0.5, 0.125]), 0.25), 3)
        4.0
    """
    below = np.flatnonzero(risk <= level)
    if not len(below) or below[0] == 0:
        return float(x[0]) if len(below) else np.inf
    i = below[0]
    part = np.log(level / risk[i - 1]) / np.log(risk[i] / risk[i - 1])
    return float(x[i - 1] * (x[i] / x[i - 1]) ** part)


def times_to_risk(x: np.ndarray, risk: np.ndarray, levels: Sequence[float] | np.ndarray = RISKS) -> np.ndarray:
    """Return `time_to_risk` of every level, (L,)."""
    return np.array([time_to_risk(x, risk, level) for level in levels])


class Collapse(NamedTuple):
    """Exponent gamma of risk(N^gamma t) on one curve, and the spread of log t that it leaves."""

    gamma: float
    spread: float


def collapse_exponent(
    sizes: Sequence[float] | np.ndarray, times: np.ndarray, risks: np.ndarray, levels: np.ndarray
) -> Collapse:
    """Return the gamma that brings risk(N^gamma t) of all sizes closest together.

    Args:
        sizes: Model sizes, (N,).
        times: Times of the curve of every size, (N, T).
        risks: Values of that curve, (N, T).
        levels: Equal risks (L,) at which times are compared, since at equal small times all untrained models agree.
    """
    log_t = np.log([times_to_risk(t, risk, levels) for t, risk in zip(times, risks, strict=True)])  # (N, L)
    log_n = np.log(sizes)[:, None]
    centred, x = log_t - log_t.mean(0), log_n - log_n.mean()
    gamma = -float(np.sum(x * centred) / (np.sum(x**2) * log_t.shape[1]))
    return Collapse(gamma, float(np.sqrt(np.mean((centred + gamma * x) ** 2))))


def rule_error(problem: rfm.Problem, small: float, big: float, clock: np.ndarray) -> np.ndarray:
    """Return the relative error (T,) of S2's rule: risk of `big` at N t is that of `small` trained big/small longer."""
    return np.abs(risk_by_clock(problem, small, clock=clock) / risk_by_clock(problem, big, clock=clock) - 1.0)


def rule_growth(a: float, b: float) -> float:
    """Return x of the error N^-1 (N t)^x of that rule: 1/b for a - 1 < b, (a - b)/b beyond."""
    return (1.0 if a - 1.0 < b else a - b) / b
