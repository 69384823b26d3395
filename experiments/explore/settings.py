"""Settings on the page of `rfm explore`: names, ranges, addresses, and the Python call that says the same."""

import dataclasses
import math
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

import rfm
from experiments.compare.algorithms import ALGORITHMS, FULL_BATCH
from rfm import checks
from rfm.arguments import Arguments
from rfm.optimizers import Optimizer

WITH_THEORY = (*FULL_BATCH, "sgd")  # algorithms that have a theory
CURVE_POINTS = 60  # of a curve
Query = Mapping[str, Sequence[bytes | str]]  # values of an address, by name
UNSET = math.nan  # no number was given
OPTION_OF = {"lr": "lr", "momentum": "momentum", "batch": "batch_size"}  # names here and in `ALGORITHMS`


class Parameter(NamedTuple):
    """A number that can be set: its range, and whether its slider is logarithmic, and reaches on to 0 or infinity."""

    label: str
    low: float
    high: float
    log: bool = False
    whole: bool = False
    zero: bool = False
    infinite: bool = False
    step: float = 0.01  # of the slider, in log10 where that is logarithmic

    @property
    def allowed(self) -> str:
        """The range in words."""
        kind = "a whole number" if self.whole else "a number"
        more = (", or 0" if self.zero else "") + (", or inf" if self.infinite else "")
        return f"{kind} from {self.low:g} to {self.high:g}{more}"

    def check(self, name: str, value: object) -> float:
        """Return the value, a number or its text, as a number.

        Raises:
            ValueError: It is outside the range; names it, and what is allowed.
        """
        try:
            x = float(value) if isinstance(value, int | float | str) else math.nan
        except ValueError:
            x = math.nan
        special = (self.zero and x == 0) or (self.infinite and x == math.inf)
        if not special and not (self.low <= x <= self.high and (not self.whole or x == round(x))):
            checks.fail(name, self.allowed, value)
        return int(x) if self.whole and math.isfinite(x) else x

    def position(self, value: float) -> float:
        """Return where the slider stands: log10 where it is logarithmic, one step past an end for 0 and infinity."""
        if not self.log:
            return value
        if value in (0.0, math.inf):
            first, last = self.ends
            return first if value == 0 else last
        return math.log10(value)

    def value(self, position: float) -> float:
        """Return the number at a position, as the slider shows it: three digits, or a whole number."""
        if self.infinite and position > math.log10(self.high) + 0.5 * self.step:
            return math.inf
        if self.zero and position < math.log10(self.low) - 0.5 * self.step:
            return 0.0
        x = min(max(10.0**position if self.log else position, self.low), self.high)
        return round(x) if self.whole else float(f"{x:.3g}")

    @property
    def middle(self) -> float:
        """The number in the middle of the slider."""
        return self.value(0.5 * sum(self.ends))

    @property
    def ends(self) -> tuple[float, float]:
        """First and last position of the slider."""
        if not self.log:
            return self.low, self.high
        low, high = math.log10(self.low), math.log10(self.high)
        return low - self.step * self.zero, high + self.step * self.infinite


# momentum beyond 0.9 needs contours of so many nodes that a curve takes longer than a page should;
# a power law of 512 modes or fewer is an array, whose length would compile anew
PARAMETERS = {
    "a": Parameter("a, task: \u03bb\u2096w\u2096\u00b2 = k^\u2212a", 1.01, 6.0),
    "b": Parameter("b, spectrum: \u03bb\u2096 = k^\u2212b", 0.1, 4.0),
    "N": Parameter("N, model size", 1, 65_536, log=True, whole=True, infinite=True),
    "P": Parameter("P, data", 1, 65_536, log=True, whole=True, infinite=True),
    "K": Parameter("K, models averaged", 1, 64, log=True, whole=True, infinite=True, step=0.05),
    "noise": Parameter("\u03c3\u00b2, variance of label noise", 1e-6, 10.0, log=True, zero=True, step=0.05),
    "M": Parameter("M, modes", 1000, 10**9, log=True, whole=True, step=0.1),
    "lr": Parameter("learning rate", 1e-4, 10.0, log=True),
    "momentum": Parameter("momentum", 0.0, 0.9),
    "batch": Parameter("B, samples a step", 1, 4096, log=True, whole=True, step=0.05),
    "start": Parameter("first time", 1e-3, 1e7, log=True, step=0.1),
    "stop": Parameter("last time", 1e-2, 1e8, log=True, step=0.1),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """One point: everything on the page follows from it.

    Attributes:
        a, b, noise, M: The power law.
        N, P, K: Model size, data (infinite with "sgd"), number of models averaged.
        algorithm: One of WITH_THEORY.
        lr, momentum, batch: Numbers of the algorithm; None for its default, or where it has no such number.
        start, stop: First and last time.

    Raises:
        ValueError: Names argument, value and what is allowed.
    """

    a: float = 1.8
    b: float = 1.5
    N: float = 256
    P: float = UNSET
    K: float = 1
    noise: float = 0.01
    M: float = 10_000
    algorithm: str = "flow"
    lr: float | None = None
    momentum: float | None = None
    batch: float | None = None
    start: float = 0.1
    stop: float = 1e4

    def __post_init__(self) -> None:
        checks.one_of("algorithm", self.algorithm, WITH_THEORY)
        if math.isnan(self.P):
            object.__setattr__(self, "P", math.inf if self.algorithm == "sgd" else 512)
        for name in PARAMETERS:
            object.__setattr__(self, name, self._checked(name))
        if self.algorithm == "sgd" and math.isfinite(self.P):
            checks.fail("P", "inf with algorithm 'sgd', whose theory is one pass over fresh data", self.P)
        if not self.stop > self.start:
            checks.fail("stop", f"larger than start = {self.start:g}", self.stop)
        if self.discrete and self.stop < 2:
            checks.fail("stop", f"at least 2 for the steps of algorithm {self.algorithm!r}", self.stop)

    def _checked(self, name: str) -> float | None:
        value, defaults = getattr(self, name), defaults_of(self.algorithm)
        if name in OPTION_OF and name not in defaults:
            if value is not None:
                users = ", ".join(n for n in WITH_THEORY if name in defaults_of(n))
                checks.fail(name, f"left out with algorithm {self.algorithm!r} (it belongs to {users})", value)
            return None
        return PARAMETERS[name].check(name, defaults.get(name) if value is None else value)

    @property
    def optimizer(self) -> Optimizer:
        """The spec of the algorithm with its numbers."""
        make, defaults = ALGORITHMS[self.algorithm]
        numbers = {OPTION_OF[name]: getattr(self, name) for name in defaults_of(self.algorithm)}
        return make(self.stop, **(defaults | numbers))

    @property
    def discrete(self) -> bool:
        """Does the algorithm take steps?"""
        return self.algorithm != "flow"

    @property
    def problem(self) -> rfm.Problem:
        """The power law."""
        return rfm.power_law(self.a, self.b, int(self.M), self.noise)

    @property
    def times(self) -> np.ndarray:
        """Logarithmic times (T,): CURVE_POINTS of them, or all distinct numbers of steps where these are fewer."""
        return rfm.log_times(self.first, self.stop, CURVE_POINTS, integer=self.discrete)

    @property
    def first(self) -> float:
        """The first time: no step comes before the first."""
        return max(self.start, 1.0) if self.discrete else self.start

    @property
    def arguments(self) -> Arguments:
        """Arguments of `theory.predict` and `rfm.simulate`, but for the problem and the keys."""
        return Arguments(
            num_features=self.N, num_samples=self.P, optimizer=self.optimizer, times=self.times, ensemble=self.K
        )

    def address(self) -> str:
        """Return a=1.8&b=1.5&..., from which `from_address` makes these settings."""
        values = {name: value for name, value in dataclasses.asdict(self).items() if value is not None}
        return urllib.parse.urlencode({k: v if isinstance(v, str) else _short(v) for k, v in values.items()})


def defaults_of(algorithm: str) -> dict[str, float]:
    """Return the numbers that an algorithm has, by their names here, at their defaults."""
    _, defaults = ALGORITHMS[algorithm]
    return {name: defaults[option] for name, option in OPTION_OF.items() if option in defaults}


def from_address(query: Query) -> tuple[Settings, list[str]]:
    """Return the settings that an address asks for, and what is refused in it, a line each: there defaults stay.

    Args:
        query: Values by name. Names that the server keeps for itself are skipped.
    """
    algorithm, numbers, refused = "flow", dict[str, float](), list[str]()
    names = [field.name for field in dataclasses.fields(Settings)]
    for name, values in query.items():
        if name.startswith("bokeh-"):
            continue
        texts = [v.decode(errors="replace") if isinstance(v, bytes) else v for v in values]
        value = texts[0] if len(texts) == 1 else texts
        try:
            if name not in names:
                checks.fail(name[:40], "left out; an address knows " + ", ".join(names), value)
            if name == "algorithm":
                checks.one_of(name, value, WITH_THEORY)
                algorithm = str(value)
            else:
                numbers[name] = PARAMETERS[name].check(name, value)
        except ValueError as error:
            refused.append(str(error)[:400])
    while True:  # each is in its range; now the pairs that exclude each other
        try:
            return Settings(algorithm=algorithm, **numbers), refused
        except ValueError as error:
            refused.append(str(error))
            _, name, *_ = str(error).split("`")
            del numbers[name if name in numbers else "start"]


def python_call(settings: Settings, seeds: int = 0, seed: int = 0) -> str:
    """Return a program that gives the curve as `predicted`, and with seeds the training runs as `simulated`."""
    s, optimizer = settings, settings.optimizer
    numbers = {f.name: getattr(optimizer, f.name) for f in dataclasses.fields(optimizer)}
    numbers = ", ".join(f"{k}={v!r}" for k, v in numbers.items() if k not in ("weight_decay",))
    integer = ", integer=True" if s.discrete else ""
    text = "import math\n\n" if math.inf in (s.N, s.P, s.K) else ""
    text += "import jax\n\n" if seeds else ""
    text += f"""import rfm
import theory

problem = rfm.power_law(a={s.a!r}, b={s.b!r}, num_modes={s.M!r}, noise_var={s.noise!r})
args = dict(
    num_features={_size(s.N)},
    num_samples={_size(s.P)},
    optimizer=rfm.{type(optimizer).__name__}({numbers}),
    times=rfm.log_times({s.first!r}, {s.stop!r}, {CURVE_POINTS}{integer}),
    ensemble={_size(s.K)},
)
predicted = theory.predict(problem, **args)  # predicted.times, .risk, .train_loss
"""
    if seeds:
        text += f"""keys = jax.random.split(jax.random.key({seed}), {seeds})
simulated = rfm.simulate(problem, **args, keys=keys)  # simulated.mean(), .stderr()
"""
    return text


def _size(value: float) -> str:
    return "math.inf" if math.isinf(value) else repr(value)


def _short(value: float) -> str:
    return f"{value:.12g}"
