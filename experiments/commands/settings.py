"""Settings of a command: a frozen record, made and checked once from the arguments."""

import argparse
import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax

import rfm
from experiments.commands.parsing import SHARED
from experiments.compare import algorithms
from rfm import checks
from rfm.arguments import Sizes
from rfm.optimizers import Optimizer

Settings = TypeVar("Settings")


@dataclasses.dataclass(frozen=True)
class Shared:
    """Settings that all commands on a power law share: the law, the draws, and where results go."""

    command: str
    a: float
    b: float
    modes: int
    noise: float
    seeds: int
    seed: int
    out: str
    quick: bool

    def __post_init__(self) -> None:
        _ = self.problem  # refuses anything but a power law, even if the command needs it late or never

    @property
    def keys(self) -> jax.Array:
        """One key a seed, (S,)."""
        return jax.random.split(jax.random.key(self.seed), self.seeds)

    @property
    def problem(self) -> rfm.Problem:
        """The power law."""
        return rfm.power_law(self.a, self.b, self.modes, self.noise)


@dataclasses.dataclass(frozen=True)
class AtSizes:
    """Settings of a command that trains models at given sizes and times; options: see `algorithms.options_of`."""

    shared: Shared
    features: int
    samples: int
    options: dict[str, Any]
    times: tuple[float, ...]

    @property
    def sizes(self) -> Sizes:
        """Return both sizes, those that are held where they do not vary."""
        return Sizes(num_features=self.features, num_samples=self.samples)


def settings_of(kind: Callable[..., Settings], args: argparse.Namespace, **worked_out: Any) -> Settings:
    """Return a record of settings: each field is the argument of its name, or what is worked out from others."""
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    given = {name: value for name, value in vars(args).items() if name in names}
    if "shared" in names:
        given["shared"] = settings_of(Shared, args)
    if "options" in names:
        given["options"] = algorithms.options_of(args)
    return kind(**(given | worked_out))


def record_of(settings: Any) -> dict[str, Any]:
    """Return all settings by name, those that commands share among them, for the file that says what made a result."""
    record: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if field.name == "shared":
            value = record_of(value)
        record |= value if field.name in ("shared", "options") else {field.name: value}
    return record


def check_endless(args: argparse.Namespace) -> None:
    """Refuse exponents of a law that has no limit of infinitely many modes."""
    checks.number("a", args.a, 1.0, "a number > 1")
    checks.number("b", args.b, 1.0, "a number > 1 (infinitely many modes, a trace that converges)")


def add_seeds(parser: argparse.ArgumentParser, usual: str) -> None:
    """Add the option --seeds of a command that chooses a number where none is typed."""
    parser.add_argument("--seeds", type=int, help=f"{SHARED['seeds']['help']} (default: {usual})")


class Usual(NamedTuple):
    """START STOP NUM of the times of a command where none are typed: of gradient flow, and where steps are taken."""

    flow: str
    steps: str


def add_times(parser: argparse.ArgumentParser, usual: Usual, remark: str = "") -> None:
    """Add the option --times."""
    parser.add_argument(
        "--times", type=float, nargs=3, metavar=("START", "STOP", "NUM"),
        help=f"log-spaced times{remark} (default: {usual.flow}; steps {usual.steps} where steps are taken)",
    )  # fmt: skip


def timed(args: argparse.Namespace, usual: Usual) -> tuple[tuple[float, ...], Optimizer]:
    """Return log-spaced times, whole numbers where steps are taken, and the algorithm of a training as long."""
    discrete = args.optimizer != "flow"
    span: Any = args.times or map(float, (usual.steps if discrete else usual.flow).split())
    times = rfm.log_times(*span, integer=discrete)
    return tuple(times.tolist()), algorithms.choose(args, times[-1])
