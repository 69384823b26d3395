"""Names of training algorithms on the command line: their specs, their options, and the theory drawn beside them."""

import argparse
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

import rfm
import theory
from experiments.compare import schedules
from rfm import checks
from rfm.arguments import Sizes
from rfm.optimizers import Optimizer
from rfm.sgd import DRAWN_ANEW, ORDERS, changes
from rfm.steps import Schedule

OWN, ANEW, DESCENT = "theory", "theory of batches drawn anew", "gradient descent (theory)"
FEWEST_BATCHES = 16  # an epoch, of a batch size that is not given
IN_ORDER = 200  # steps of a curve whose samples come in order, where its times are not given
MOST_IN_ORDER = 1000  # that a command waits for their theory


def _gd(steps: float, lr: float | None, weight_decay: float, schedule: str) -> rfm.GradientDescent:
    if not schedules.is_file(schedule):
        return rfm.GradientDescent(schedules.rate(schedule, lr, int(steps)), weight_decay)
    numbers = schedules.read(schedule, int(steps))
    for name in ("batch_size", "momentum"):
        if getattr(numbers, name) is not None:
            checks.fail("schedule", f"a file without a column {name} for --optimizer gd", schedule)
    return rfm.GradientDescent(Schedule(numbers.lr, np.arange(1.0, len(numbers.lr) + 1.0)), weight_decay)


def _sgd(
    steps: float, *, lr: float | None, momentum: float | None, batch_size: int | None, schedule: str,
    average: str | float | None, order: str,
) -> rfm.SGD:  # fmt: skip
    mean = schedules.average(average, int(steps))
    if not schedules.is_file(schedule):
        return rfm.SGD(schedules.rate(schedule, lr, int(steps)), batch_size, momentum, mean, order)
    numbers = schedules.read(schedule, int(steps))
    sizes = batch_size if numbers.batch_size is None else numbers.batch_size
    return rfm.SGD(numbers.lr, sizes, momentum if numbers.momentum is None else numbers.momentum, mean, order)


def _optax(name: str) -> Callable[..., rfm.Optax]:
    def make(steps: float, lr: float) -> rfm.Optax:
        import optax

        checks.number("lr", lr, 0.0, "a finite number > 0")  # optax takes any
        return rfm.Optax(getattr(optax, name), {"learning_rate": lr})

    return make


# how each is made of the last time and its options, and the options with their defaults
ALGORITHMS: dict[str, tuple[Callable[..., Optimizer], dict]] = {
    "flow": (lambda steps: rfm.GradientFlow(), {}),
    "gd": (_gd, {"lr": 0.5, "weight_decay": 0.0, "schedule": "constant"}),
    "heavy-ball": (lambda steps, **numbers: rfm.HeavyBall(**numbers), {"lr": 0.5, "momentum": 0.9}),
    "nesterov": (lambda steps, **numbers: rfm.Nesterov(**numbers), {"lr": 0.25, "momentum": 0.9}),
    "sgd": (_sgd, {"lr": 0.5, "momentum": 0.0, "batch_size": 16, "schedule": "constant", "average": None,
                   "order": DRAWN_ANEW}),
    "adam": (_optax("adam"), {"lr": 0.01}),
    "sign-sgd": (_optax("sign_sgd"), {"lr": 0.001}),
}  # fmt: skip
FULL_BATCH = ("flow", "gd", "heavy-ball", "nesterov")  # those that `theory.decompose` splits
OPTIONS = {
    "lr": dict(type=float, help="learning rate"),
    "momentum": dict(type=float, help="momentum"),
    "weight_decay": dict(type=float, help="weight decay"),
    "schedule": dict(
        metavar="NAME", help=f"of the learning rate: constant; cosine, linear, wsd[:PART], power[:EXPONENT] to zero "
        f"after {schedules.WARM_UP:.0%}% of the steps to rise; or FILE.csv, a row a step with columns lr and, for sgd, "
        "batch_size and momentum",
    ),
    "batch_size": dict(type=int, metavar="B", help="samples a step"),
    "average": dict(metavar="AVERAGE", help="of the weights: a decay such as 0.99, polyak (all steps) or tail[:PART]"),
    "order": dict(choices=ORDERS, help="of --samples: batches drawn anew, or epochs, shuffled or in a fixed order"),
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser, names: Sequence[str], *, left_out: Sequence[str] = ()) -> None:
    """--optimizer, one of `names`, and the options of these, but for some that keep their defaults.

    An option not given is None until `choose`.
    """
    parser.add_argument("--optimizer", choices=names, default="flow", help="training algorithm; flow: gradient flow")
    for option, keywords in OPTIONS.items():
        defaults = {name: ALGORITHMS[name][1][option] for name in names if option in ALGORITHMS[name][1]}
        if defaults and option not in left_out:
            values = ", ".join(
                f"{name} {default:g}" if isinstance(default, int | float) else name
                for name, default in defaults.items()
            )
            plain = all(isinstance(default, int | float) for default in defaults.values())
            keywords = keywords | {"help": keywords["help"] + (f" (default: {values})" if plain else f" ({values})")}
            parser.add_argument("--" + option.replace("_", "-"), **keywords)


def choose(args: argparse.Namespace, last_time: float) -> Optimizer:
    """The spec that the arguments ask for; fills in the defaults of its options.

    Raises ValueError for an option that the algorithm does not have, or that a file of its schedule has as a column.
    """
    make, defaults = ALGORITHMS[args.optimizer]
    for option in OPTIONS:
        value = getattr(args, option, None)
        if value is not None and option not in defaults:
            users = ", ".join(name for name, (_, options) in ALGORITHMS.items() if option in options)
            allowed = f"left out with --optimizer {args.optimizer} (it belongs to {users})"
            checks.fail(option.replace("_", "-"), allowed, value)
    schedule = getattr(args, "schedule", None) or schedules.CONSTANT
    in_file: dict[str, Any] = schedules.read(schedule)._asdict() if schedules.is_file(schedule) else {}
    for option, default in defaults.items():
        if in_file.get(option) is not None:
            if getattr(args, option, None) is not None:
                allowed = f"left out where --schedule {schedule} has it in a column"
                checks.fail(option.replace("_", "-"), allowed, getattr(args, option))
            default = None
        elif option == "batch_size":
            default = _usual_batch(args, default)
        if getattr(args, option, None) is None:
            setattr(args, option, default)
    return make(last_time, **{option: getattr(args, option) for option in defaults})


def _usual_batch(args: argparse.Namespace, usual: int) -> int:
    """Return the batch size of arguments that do not say it: where samples come in order, a part of them."""
    order, samples = getattr(args, "order", None), getattr(args, "samples", None)
    if order in (None, DRAWN_ANEW) or samples is None or samples < 1:
        return usual
    most = max(1, samples // FEWEST_BATCHES)
    return next(size for size in range(most, 0, -1) if samples % size == 0)


def usual_steps(args: argparse.Namespace, usual: int) -> int:
    """Return how many steps to take where the arguments do not say it: as many as the file of a schedule has rows."""
    if schedules.is_file(getattr(args, "schedule", None)):
        return len(schedules.read(args.schedule).lr)
    return usual if getattr(args, "order", None) in (None, DRAWN_ANEW) else IN_ORDER


def options_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return the name of the algorithm and the options that the command has; None for options of other algorithms."""
    return {name: getattr(args, name) for name in ("optimizer", *OPTIONS) if hasattr(args, name)}


def in_words(options: Mapping[str, Any]) -> str:
    """Return the algorithm and its options in a few words: those of `options_of` that it has and that are not off."""
    shown = (f"{name.replace('_', ' ')} {value}" for name, value in options.items() if value not in (None, 0.0))
    return ", ".join(shown).removeprefix("optimizer ")


def is_plain(options: Mapping[str, Any]) -> bool:
    """Is the learning rate constant, and no weight decay asked for?"""
    return options.get("schedule") in (None, schedules.CONSTANT) and not options.get("weight_decay")


class Drawn(NamedTuple):
    """The algorithm whose theory is drawn beside a run, and what that line is called."""

    optimizer: Optimizer
    label: str


def theory_of(
    optimizer: Optimizer, problem: rfm.Problem, *, num_features: float, num_samples: float, times: ArrayLike | None,
    richness: float = 0.0, most: int = MOST_IN_ORDER,
) -> Drawn:  # fmt: skip
    """Return the algorithm whose theory is drawn beside a run: the same one if it has a theory.

    Samples in order, where it is not known, or beyond `most` steps takes too long: batches drawn anew, as where their
    features are trained. Optax: gradient
    descent at lr = 1/z_max, over the growth of the kernel where features are trained.
    """
    if isinstance(optimizer, rfm.Optax):
        sizes = Sizes(num_features=num_features, num_samples=num_samples)
        lr = 1.0 / float(theory.largest_curvature(problem, **sizes))
        if richness > 0.0:
            last = [lr * float(np.max(times if times is not None else 1.0))]
            flow = theory.predict(problem, **sizes, optimizer=rfm.GradientFlow(), times=last, richness=richness)
            lr = lr / float(flow.kernel_growth[0])
        return Drawn(rfm.GradientDescent(lr), DESCENT)
    if isinstance(optimizer, rfm.SGD) and optimizer.order != DRAWN_ANEW:
        size, steps = optimizer.batch_size, 0.0 if times is None else float(np.max(times))
        if changes(size) or num_samples % size or steps > most or richness > 0.0:
            return Drawn(anew(optimizer), ANEW)
    return Drawn(optimizer, OWN)


def anew(optimizer: Optimizer) -> Optimizer:
    """Return the algorithm with every batch drawn anew, as theory has it for fresh samples too."""
    return dataclasses.replace(optimizer, order=DRAWN_ANEW) if isinstance(optimizer, rfm.SGD) else optimizer
