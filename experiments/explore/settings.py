"""Settings on the page of `rfm explore`: one point, checked as a whole, and its address."""

import dataclasses
import math
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import rfm
from experiments.compare import schedules
from experiments.compare.algorithms import ALGORITHMS, Drawn, theory_of
from experiments.compare.predictions import Members, order_of
from experiments.explore.parameters import NO_AVERAGE, OPTION_OF, PARAMETERS, TEXTS, USUAL, WITH_THEORY
from rfm import checks
from rfm.arguments import Arguments, Sizes
from rfm.optimizers import Optimizer
from rfm.sgd import DRAWN_ANEW
from theory.cases import Case, check_case, members_of, refuse_members
from theory.schedules import FAMILIES

CURVE_POINTS = 60  # of a curve
Query = Mapping[str, Sequence[bytes | str]]  # values of an address, by name
UNSET = math.nan  # no number was given
IN_ORDER = 160  # steps whose samples come in order, that theory follows within a third of a second
# of arguments of the theory, and of their values
NAMES = {
    "ensemble or bags": "K > 1", "num_features": "N", "num_samples": "P", "batch_size": "batch", "ensemble": "K",
    "jnp.inf": "inf", "None": "none",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Settings:
    """One point: everything on the page follows from it.

    Attributes:
        a, b, noise, M: The power law.
        N, P, K: Model size, data (infinite for one pass of "sgd"), number of models averaged.
        richness: How fast features are trained too.
        algorithm: One of WITH_THEORY.
        lr, momentum, batch: Numbers of the algorithm; None for its default, or where it has no such number.
        schedule, average, order: As `rfm compare` takes them; likewise.
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
    richness: float = 0.0
    M: float = 10_000
    algorithm: str = "flow"
    lr: float | None = None
    momentum: float | None = None
    batch: float | None = None
    schedule: str | None = None
    average: str | None = None
    order: str | None = None
    start: float = 0.1
    stop: float = UNSET

    def __post_init__(self) -> None:
        checks.one_of("algorithm", self.algorithm, WITH_THEORY)
        for name in TEXTS:
            object.__setattr__(self, name, self._own(name, USUAL[name]))
        if math.isnan(self.P):
            once = self.algorithm == "sgd" and self.order == DRAWN_ANEW
            object.__setattr__(self, "P", math.inf if once else 512)
        for name in PARAMETERS:
            if name != "stop":
                object.__setattr__(self, name, self._checked(name))
        if math.isnan(self.stop):
            object.__setattr__(self, "stop", 1e4 if self.order in (None, DRAWN_ANEW) else float(IN_ORDER))
            object.__setattr__(self, "stop", min(self.stop, self.most_steps))
        object.__setattr__(self, "stop", self._checked("stop"))
        if not self.stop > self.start:
            checks.fail("stop", f"larger than start = {self.start:g}", self.stop)
        if self.discrete and self.stop < 2:
            checks.fail("stop", f"at least 2 for the steps of algorithm {self.algorithm!r}", self.stop)
        self._check_together()

    def _own(self, name: str, usual: float | str | None) -> float | str | None:
        """Return a number or text of the algorithm, None where it has none."""
        value, options = getattr(self, name), ALGORITHMS[self.algorithm][1]
        option = OPTION_OF.get(name, name)
        if option in options:
            return usual if value is None else value
        if value is not None:
            users = ", ".join(n for n in WITH_THEORY if option in ALGORITHMS[n][1])
            checks.fail(name, f"left out with algorithm {self.algorithm!r} (it belongs to {users})", value)
        return None

    def _checked(self, name: str) -> float | None:
        value = getattr(self, name)
        if name in OPTION_OF:
            usual = defaults_of(self.algorithm).get(name)
            value = self._own(name, min(usual, self.P) if name == "batch" and usual else usual)
        return None if value is None else PARAMETERS[name].check(name, value)

    def _check_together(self) -> None:
        """Refuse what the theory does not serve, or not within the time that a page has, before it is computed."""
        if self.schedule is not None:
            known = self.schedule.partition(":")[0] in FAMILIES and not schedules.is_file(self.schedule)
            if not known:
                names = ", ".join(FAMILIES)
                checks.fail("schedule", f"one of {names} (rfm compare --schedule takes files too)", self.schedule)
        if self.order not in (None, DRAWN_ANEW) and math.isinf(self.P):
            checks.fail("order", f"{DRAWN_ANEW!r} where P is inf, as no sample comes twice, or P finite", self.order)
        optimizer = self.optimizer
        if self.discrete and self.stop > self.most_steps:
            checks.fail(
                "stop", f"at most {self.most_steps:g} here, where theory follows every step, or rfm compare", self.stop
            )
        try:
            members = members_of(optimizer, self.K, 1)
            case = Case(self.problem, self.N, self.P, self.drawn.optimizer, self.times, richness=self.richness or None)
            check_case(case)
            refuse_members(case, members)
        except checks.ArgumentError as error:
            raise named(error, getattr(self, NAMES.get(error.name, error.name), error.value)) from None

    @property
    def most_steps(self) -> float:
        """Steps that theory follows in a third of a second, one by one; infinite where it has a formula for all."""
        changing = self.schedule not in (None, USUAL["schedule"])
        if not self.discrete:
            return math.inf
        if self.richness:
            return 200.0
        if self.algorithm != "sgd":
            return 20_000.0 if changing else math.inf
        averaged = self.average != NO_AVERAGE
        if math.isfinite(self.P):
            return 500.0 if averaged or self.momentum else 5000.0
        return 10_000.0 if averaged else 100_000.0 if changing else math.inf

    @property
    def optimizer(self) -> Optimizer:
        """The spec of the algorithm with its numbers."""
        make, defaults = ALGORITHMS[self.algorithm]
        numbers = {OPTION_OF[name]: getattr(self, name) for name in defaults_of(self.algorithm)}
        texts = {name: getattr(self, name) for name in TEXTS if name in defaults}
        if self.average == NO_AVERAGE:
            texts["average"] = None
        return make(self.stop, **(defaults | numbers | texts))

    @property
    def drawn(self) -> Drawn:
        """The algorithm whose theory is drawn: batches drawn anew, by that name, where samples in order take long."""
        sizes = Sizes(num_features=self.N, num_samples=self.P)
        return theory_of(self.optimizer, self.problem, **sizes, times=self.times, richness=self.richness, most=IN_ORDER)

    @property
    def corrected(self) -> bool:
        """Is the next order of the theory in 1/N and 1/P known?"""
        models = Members(ensemble=int(min(self.K, 2)), bags=1, richness=self.richness)
        return order_of(self.problem, self.optimizer, "gaussian", models) > 1

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
            num_features=self.N, num_samples=self.P, optimizer=self.optimizer, times=self.times, ensemble=self.K,
            richness=self.richness,
        )  # fmt: skip

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
    given, refused = dict[str, Any](), list[str]()
    names = [field.name for field in dataclasses.fields(Settings)]
    for name, values in query.items():
        if name.startswith("bokeh-"):
            continue
        texts = [v.decode(errors="replace") if isinstance(v, bytes) else v for v in values]
        value = texts[0] if len(texts) == 1 else texts
        try:
            if name not in names:
                checks.fail(name[:40], "left out; an address knows " + ", ".join(names), value)
            if name in PARAMETERS:
                given[name] = PARAMETERS[name].check(name, value)
            elif not isinstance(value, str):
                checks.fail(name, "given once", value)
            elif name == "algorithm":
                checks.one_of(name, value, WITH_THEORY)
            given.setdefault(name, value)
        except ValueError as error:
            refused.append(str(error)[:400])
    while True:  # each is in its range; now those that exclude each other
        try:
            return Settings(**given), refused
        except ValueError as error:
            refused.append(str(error))
            _, name, *_ = str(error).split("`")
            del given[name if name in given else "start" if "start" in given else next(iter(given))]


def named(error: checks.ArgumentError, value: object = None) -> checks.ArgumentError:
    """Return the same refusal in the names of this page, and with the value that it has there if that is given."""
    allowed = error.allowed
    for argument, name in NAMES.items():
        allowed = allowed.replace(argument, name)
    return checks.ArgumentError(NAMES.get(error.name, error.name), allowed, error.value if value is None else value)


def _short(value: float) -> str:
    return f"{value:.12g}"
