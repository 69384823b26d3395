"""A run before it runs: is it allowed, and what would it cost?"""

from collections.abc import Mapping, Sequence
from typing import Unpack

from jax import Array

from rfm import checks
from rfm.arguments import Arguments
from rfm.engine.costs import DAY, Cost, estimate, too_much
from rfm.engine.requests import Request
from rfm.engine.simulation import plan_simulation
from rfm.problem import Problem

LONGEST = DAY  # of a core, that a command may take


class RunArguments(Arguments, total=False):
    """Arguments of `rfm.simulate` by name."""

    keys: Array
    features: str
    split: str


def check(problem: Problem, **arguments: Unpack[RunArguments]) -> None:
    """Refuse what `rfm.simulate` would refuse before it draws anything, and do nothing else.

    A learning rate beyond stability is known from the draws alone, or from theory.

    Args:
        problem: spectrum, target and label noise.
        **arguments: those of `rfm.simulate`; keys may be left out.

    Raises:
        ValueError: naming the argument, its value and what is allowed.

    Example:
        >>> import rfm
        >>> from rfm.engine.preview import check
        >>> check(rfm.white(4), num_features=5, num_samples=6, optimizer=rfm.GradientFlow(), times=[1.0, 2.0])
    """
    plan_simulation(Request(problem, **arguments))


def check_cost(costs: Sequence[tuple[Cost, int]], lower: Mapping[str, float]) -> None:
    """Refuse runs if one does not fit into memory, or if together they take longer than LONGEST.

    Args:
        costs: Of one run, and how many of it there are.
        lower: Arguments by name: the first is named as what is too large, the others as what may be lowered too.

    Raises:
        ValueError: Naming them, with what is needed and what there is.
    """
    name, *others = lower
    smaller = ", or ".join(["smaller", *(f"`{other}`" for other in others if other != name)])
    if reason := too_much(costs, LONGEST):
        checks.fail(name, f"{smaller} ({reason})", lower[name])


def cost(problem: Problem, **arguments: Unpack[RunArguments]) -> Cost:
    """Estimate memory and time of one seed of `rfm.simulate`.

    Args:
        problem: spectrum, target and label noise.
        **arguments: those of `rfm.simulate`; keys may be left out.

    Returns:
        `Cost` of one seed with all models of its ensemble.

    Raises:
        ValueError: as `check` does.

    Example:
        >>> import rfm
        >>> from rfm.engine.preview import cost
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=1000, noise_var=0.01)
        >>> cost(problem, num_features=64, num_samples=128, optimizer=rfm.Ridge(0.1)).bytes
        1738752
    """
    request = Request(problem, **arguments)
    return estimate(plan_simulation(request), problem, request.times)
