"""Names of training algorithms on the command line: their specs, their options, and the theory drawn beside them."""

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import rfm
import theory
from rfm import checks
from rfm.optimizers import Optimizer

OWN, FULL_BATCHES, DESCENT = "theory", "theory of full batches", "gradient descent (theory)"
WARM_UP = 0.05  # part of the steps in which the learning rate of a cosine schedule rises


def _gd(steps: float, lr: float, weight_decay: float, schedule: str) -> rfm.GradientDescent:
    return rfm.GradientDescent(_cosine(lr, int(steps)) if schedule == "cosine" else lr, weight_decay)


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
    "sgd": (lambda steps, **numbers: rfm.SGD(**numbers), {"lr": 0.5, "momentum": 0.0, "batch_size": 16}),
    "adam": (_optax("adam"), {"lr": 0.01}),
    "sign-sgd": (_optax("sign_sgd"), {"lr": 0.001}),
}
FULL_BATCH = ("flow", "gd", "heavy-ball", "nesterov")  # those that `theory.decompose` splits
OPTIONS = {
    "lr": dict(type=float, help="learning rate"),
    "momentum": dict(type=float, help="momentum"),
    "weight_decay": dict(type=float, help="weight decay"),
    "schedule": dict(
        choices=("constant", "cosine"), help=f"of the learning rate; cosine: after {WARM_UP:.0%}% of the steps to rise"
    ),
    "batch_size": dict(type=int, metavar="B", help="samples a step"),
}


def add_arguments(parser: argparse.ArgumentParser, names: Sequence[str], *, left_out: Sequence[str] = ()) -> None:
    """--optimizer, one of `names`, and the options of these, but for some that keep their defaults.

    An option not given is None until `choose`.
    """
    parser.add_argument("--optimizer", choices=names, default="flow", help="training algorithm; flow: gradient flow")
    for option, keywords in OPTIONS.items():
        defaults = {name: ALGORITHMS[name][1][option] for name in names if option in ALGORITHMS[name][1]}
        if defaults and option not in left_out:
            values = ", ".join(
                f"{name} {default:g}" if option != "schedule" else name for name, default in defaults.items()
            )
            suffix = f" ({values})" if option == "schedule" else f" (default: {values})"
            keywords = keywords | {"help": keywords["help"] + suffix}
            parser.add_argument("--" + option.replace("_", "-"), **keywords)


def choose(args: argparse.Namespace, last_time: float) -> Optimizer:
    """The spec that the arguments ask for; fills in the defaults of its options.

    Raises ValueError for an option that the algorithm does not have.
    """
    make, defaults = ALGORITHMS[args.optimizer]
    for option in OPTIONS:
        value = getattr(args, option, None)
        if value is not None and option not in defaults:
            users = ", ".join(name for name, (_, options) in ALGORITHMS.items() if option in options)
            allowed = f"left out with --optimizer {args.optimizer} (it belongs to {users})"
            checks.fail(option.replace("_", "-"), allowed, value)
    for option, default in defaults.items():
        if getattr(args, option, None) is None:
            setattr(args, option, default)
    return make(last_time, **{option: getattr(args, option) for option in defaults})


def options_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return the name of the algorithm and the options that the command has; None for options of other algorithms."""
    return {name: getattr(args, name) for name in ("optimizer", *OPTIONS) if hasattr(args, name)}


def is_plain(options: Mapping[str, Any]) -> bool:
    """Is the learning rate constant, and no weight decay asked for?"""
    return options.get("schedule") != "cosine" and not options.get("weight_decay")


class Drawn(NamedTuple):
    """The algorithm whose theory is drawn beside a run, and what that line is called."""

    optimizer: Optimizer
    label: str


def theory_of(optimizer: Optimizer, problem: rfm.Problem, *, num_features: float, num_samples: float) -> Drawn:
    """Return the algorithm whose theory is drawn beside a run: the same one if it has a theory.

    Batches of a finite training set: full batches, their average. Optax: gradient descent at lr = 1/z_max.
    """
    if isinstance(optimizer, rfm.Optax):
        z_max = theory.largest_curvature(problem, num_features=num_features, num_samples=num_samples)
        return Drawn(rfm.GradientDescent(1.0 / float(z_max)), DESCENT)
    if isinstance(optimizer, rfm.SGD) and math.isfinite(num_samples):
        return Drawn(optimizer.full_batch(), FULL_BATCHES)
    return Drawn(optimizer, OWN)


def _cosine(lr: float, steps: int) -> Callable:
    import optax

    checks.number("lr", lr, 0.0, "a finite number > 0")
    rise = math.ceil(WARM_UP * steps)
    # it starts above zero, so that no step is wasted
    return optax.warmup_cosine_decay_schedule(lr / (rise + 1), lr, rise, max(steps, rise + 1))
