"""The best learning rate at every step of one pass, and in families of schedules; what repeating samples is worth."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from rfm import checks
from rfm.precision import complex128, is_traced
from rfm.problem import Problem
from rfm.sgd import SGD
from theory._predict import predict
from theory.by_steps import step_nodes, steps_of
from theory.cases import Case, check_case
from theory.contour import CONTOUR_STEP
from theory.evaluation import model_of
from theory.one_pass import effective_edge
from theory.one_pass_steps import Nodes, nodes_of, one_pass_by_steps
from theory.second_moments import Steps, levels, then_rest

FASTEST = 0.999  # of the largest stable learning rate
SLOWEST = 1e-3
PEAKS, SHAPES, LOOKS = 24, 12, 3  # members of a family that are looked at, and how often more finely
ITERATIONS, PACE = 500, 0.1  # of Adam, on the logarithm of lr/(fastest - lr)
LEFT = 1e-4  # of the risk: what the last tenth of the iterations may still gain
MOST_STEPS = 100_000
MOST_FRESH = 1.5  # times the steps of all epochs


class Family(NamedTuple):
    """The best member of a family of schedules.

    Attributes:
        risk: Its risk after the last step.
        excess: That relative to the risk of the best schedule, less 1.
        lr: (steps,) its learning rates.
        shape: The share of decay of "wsd", the exponent of "power"; NaN where there is none.

    Example:
        >>> Family(risk=0.21, excess=0.05, lr=np.full(3, 0.1), shape=np.nan).excess
        0.05
    """

    risk: float
    excess: float
    lr: np.ndarray
    shape: float


class BestSchedule(NamedTuple):
    """The best schedule of a number of steps.

    Attributes:
        lr: (steps,) the best learning rate at every step, or that of the best member of the family asked for.
        risk: The risk after the last step.
        families: Best members by name, of "constant", "linear", "cosine", "wsd" and "power".
        converged: Whether more search would gain less than 1e-4 of the risk.

    Example:
        >>> BestSchedule(np.array([0.1, 0.05]), 0.2, {}, True).risk
        0.2
    """

    lr: np.ndarray
    risk: float
    families: dict[str, Family]
    converged: bool


# learning rate relative to its peak, of the share of time passed (steps,) and a shape
FAMILIES: dict[str, tuple[Callable[[Any, Any], Any], tuple[float, float] | None]] = {
    "constant": (lambda x, shape: jnp.ones_like(x), None),
    "linear": (lambda x, shape: 1.0 - x, None),
    "cosine": (lambda x, shape: 0.5 * (1.0 + jnp.cos(math.pi * x)), None),
    "wsd": (lambda x, shape: jnp.minimum(1.0, (1.0 - x) / shape), (0.02, 1.0)),
    "power": (lambda x, shape: (1.0 - x) ** shape, (0.1, 10.0)),
}


def best_schedule(
    problem: Problem,
    *,
    num_features: float,
    steps: int,
    batch_size: float = 1,
    family: str | None = None,
    most: float = FASTEST,
    parametrization: str = "ntk",
) -> BestSchedule:
    """Find the learning rates that make the risk after a number of steps of one-pass SGD least.

    lr* = argmin over 0 < lr_t < largest stable of risk(steps), by its gradient with respect to every lr_t
    (`theory.one_pass_steps`), from the best member of the families; their own peaks and shapes are searched first.

    Args:
        problem: Spectrum, target and noise.
        num_features: Model size N.
        steps: How many steps are taken, up to 100,000.
        batch_size: Fresh samples a step.
        family: None for the best rate at each step, or one of "constant", "linear" and "cosine" (to zero), "wsd"
            (constant, then linear to zero over a share of the steps) and "power", (1 - t/steps)^exponent.
        most: Share of the largest stable learning rate that is allowed, > 0 and < 1; that of a drawn model scatters.
        parametrization: "ntk" or "standard".

    Returns:
        A `BestSchedule`, with the best member of every family beside it.

    Raises:
        ValueError: For wrong sizes, an unknown family, and traced arguments.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.6, b=1.3, num_modes=200, noise_var=0.1)
        >>> best = theory.best_schedule(problem, num_features=32, steps=50, batch_size=4)
        >>> best.converged, best.lr.shape, best.families["constant"].excess > best.families["linear"].excess > 0
        (True, (50,), True)
    """
    if is_traced(problem, num_features, steps, batch_size):
        checks.fail("steps", "concrete, as all other arguments (the search is no JAX function)", steps)
    steps = checks.count("steps", steps, "an integer >= 1")
    if steps > MOST_STEPS:
        checks.fail("steps", f"at most {MOST_STEPS:,}", steps)
    if family is not None:
        checks.one_of("family", family, tuple(FAMILIES))
    checks.fraction("most", most)
    checks.number("most", most, 0.0, "a number > 0 and < 1")
    optimizer = SGD(np.full(steps, 1e-9), batch_size)
    case = Case(problem, num_features, np.inf, optimizer, [steps], parametrization)
    check_case(case)
    nodes, chance, fastest = _prepared(case.arrays(), float(most))
    with complex128():
        risk_of = partial(_last_risks, *jax.tree.map(jnp.asarray, (nodes, chance)))
        found = {name: _best_member(name, steps, fastest, risk_of) for name in FAMILIES}
        start = min(found.values(), key=lambda member: member.risk).lr
        start = np.clip(start / fastest, 1e-4, 1.0 - 1e-4)
        arguments = jax.tree.map(jnp.asarray, (nodes, chance, fastest, np.log(start / (1.0 - start))))
        lr, risk, before = (np.asarray(x) for x in _descend(*arguments))
    least = float(min(risk, *(member.risk for member in found.values())))
    families = {name: member._replace(excess=member.risk / least - 1.0) for name, member in found.items()}
    if family is not None:
        return BestSchedule(families[family].lr, families[family].risk, families, True)
    return BestSchedule(lr, float(risk), families, bool(before - risk < LEFT * risk))


def _prepared(case: Case, most: float) -> tuple[Nodes, np.ndarray, float]:
    """Return nodes that serve every schedule up to the fastest rate, the chance of every batch, and that rate."""
    steps, model = steps_of(case), model_of(case)
    model = model._replace(inv_p=0.0 * model.inv_n)
    edge = float(effective_edge(model, levels(steps, 1))[0])
    fastest = most * 2.0 / ((1.0 + float(steps.chance[0])) * edge)
    full = steps._replace(lr=np.full(len(steps.lr), fastest))
    nodes = 16 * math.ceil(float(step_nodes(model, full, CONTOUR_STEP)) / 16)
    return nodes_of(model, full, nodes=nodes)[0], steps.chance, fastest


def _last_risk(nodes: Nodes, chance: Array, lr: Array) -> Array:
    return one_pass_by_steps(nodes, then_rest(Steps(lr, chance, None, None), 1)).risk[-1]


@jax.jit
def _last_risks(nodes: Nodes, chance: Array, rates: Array) -> Array:
    return jax.vmap(partial(_last_risk, nodes, chance))(rates)


def _best_member(name: str, steps: int, fastest: float, risk_of: Callable[[Array], Array]) -> Family:
    """Look at a grid of peaks and shapes, ever more finely about the best."""
    relative, span = FAMILIES[name]
    passed = jnp.arange(steps) / steps
    low = np.log([SLOWEST * fastest, 1.0 if span is None else span[0]])
    high = np.log([fastest, 1.0 if span is None else span[1]])
    ends = low.copy(), high.copy()
    best: tuple[float, np.ndarray, float] = (math.inf, np.zeros(steps), math.nan)
    for _ in range(LOOKS):
        peaks = np.linspace(low[0], high[0], PEAKS)
        shapes = np.linspace(low[1], high[1], 1 if span is None else SHAPES)
        grid = np.stack(np.meshgrid(peaks, shapes, indexing="ij"), -1).reshape(-1, 2)
        rates = jnp.stack([jnp.exp(peak) * relative(passed, math.exp(shape)) for peak, shape in grid])
        risks = np.asarray(risk_of(rates))
        least = int(np.nanargmin(risks))
        if risks[least] < best[0]:
            best = float(risks[least]), np.asarray(rates[least]), math.exp(grid[least][1])
        reach = (high - low) / np.array([PEAKS, SHAPES]) * 2.0
        low, high = np.maximum(grid[least] - reach, ends[0]), np.minimum(grid[least] + reach, ends[1])
    return Family(best[0], math.nan, best[1], math.nan if span is None else best[2])


@jax.jit
def _descend(nodes: Nodes, chance: Array, fastest: Array, start: Array) -> tuple[Array, Array, Array]:
    """Return the best rates, their risk, and that of a tenth of the iterations before."""
    import optax  # which takes a second, and nothing else of the theory needs

    rule = optax.adam(optax.cosine_decay_schedule(PACE, ITERATIONS))
    rates = lambda x: fastest * jax.nn.sigmoid(x)  # noqa: E731
    slope = jax.value_and_grad(lambda x: jnp.log(_last_risk(nodes, chance, rates(x))))

    def iterate(carry: tuple[Array, Any], _: None) -> tuple[tuple[Array, Any], Array]:
        x, state = carry
        value, gradient = slope(x)
        # directions differ in size by the length of training: scaled to its mean
        moves, state = rule.update(gradient * len(x), state, x)
        return (x + jnp.asarray(moves), state), value

    (x, _), values = jax.lax.scan(iterate, (start, rule.init(start)), None, length=ITERATIONS)
    return rates(x), _last_risk(nodes, chance, rates(x)), jnp.exp(values[-ITERATIONS // 10])


class EpochsWorth(NamedTuple):
    """Worth of samples that are used again.

    Attributes:
        epochs: (E,) how often all samples are used.
        risk: (E,) the risk then.
        fresh: (E,) fresh samples after which one pass has the same risk, in units of num_samples; infinite where it
            comes down to it at no time looked at.

    Example:
        >>> EpochsWorth(np.array([1, 4]), np.array([0.3, 0.2]), np.array([1.0, 3.4])).fresh.tolist()
        [1.0, 3.4]
    """

    epochs: np.ndarray
    risk: np.ndarray
    fresh: np.ndarray


def epochs_worth(
    problem: Problem,
    *,
    num_features: float,
    num_samples: float,
    optimizer: SGD,
    epochs: ArrayLike,
    parametrization: str = "ntk",
) -> EpochsWorth:
    """Find how many fresh samples are worth as much as using the same ones again.

    risk(E P/B steps on P samples) = risk(one pass over fresh(E) P samples), at the same batches and learning rate.
    Question and first answers: Muennighoff et al. 2023 (arXiv 2305.16264); one pass against epochs in linear models:
    arXiv 2511.13421.

    Args:
        problem: Spectrum, target and noise.
        num_features: Model size N.
        num_samples: Samples P that are used again.
        optimizer: `rfm.SGD` with constant numbers; its `order` says how epochs go.
        epochs: (E,) whole numbers >= 1, rising.
        parametrization: "ntk" or "standard".

    Returns:
        An `EpochsWorth`.

    Raises:
        ValueError: For numbers that change, infinite samples, and as `predict` does.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.6, b=1.3, num_modes=200)
        >>> args = dict(num_features=100, num_samples=64, optimizer=rfm.SGD(0.1, 4))
        >>> theory.epochs_worth(problem, **args, epochs=[1, 2, 4]).fresh.round(1)
        array([0.9, 1.7, 3. ])
    """
    if not isinstance(optimizer, SGD) or not optimizer.constant:
        checks.fail("optimizer", "rfm.SGD with constant numbers and no average", optimizer)
    checks.number("num_samples", num_samples, 1.0, "a finite number >= 1", inclusive=True)
    often = checks.numeric("epochs", epochs)
    rising = often.ndim == 1 and often.size and np.all(np.diff(often) > 0) and np.all(np.isfinite(often))
    if not rising or often[0] < 1.0 or np.any(often != np.round(often)):
        checks.fail("epochs", "whole numbers >= 1 in rising order", epochs)
    args: dict[str, Any] = dict(num_features=num_features, parametrization=parametrization)
    an_epoch = float(num_samples) / float(optimizer.batch_size)
    steps = np.maximum(np.round(often * an_epoch), 1.0)
    again = predict(problem, **args, num_samples=num_samples, optimizer=optimizer, times=steps)
    passed = np.arange(0.0, math.ceil(MOST_FRESH * steps[-1]) + 1.0)
    one = SGD(optimizer.lr, optimizer.batch_size, optimizer.momentum)
    fresh = predict(problem, **args, num_samples=np.inf, optimizer=one, times=passed).risk
    reached = [first_below(passed, fresh, risk) for risk in np.asarray(again.risk)]
    return EpochsWorth(often, again.risk, np.array(reached) / an_epoch)


def first_below(times: np.ndarray, risk: np.ndarray, value: float) -> float:
    """Return when a curve (T,) first comes down to a value, between two of its times; infinity where it does not."""
    below = np.flatnonzero(risk <= value)
    if not below.size or below[0] == 0:
        return 0.0 if below.size else math.inf
    i = below[0]
    share = math.log(risk[i - 1] / value) / math.log(risk[i - 1] / risk[i])
    return float(times[i - 1] + share * (times[i] - times[i - 1]))
