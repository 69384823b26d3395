"""The best learning rate or batch size at every step of one pass, and in families of schedules."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rfm import checks
from rfm.precision import complex128, is_traced
from rfm.problem import Problem
from rfm.sgd import SGD
from theory.arrays import namespace
from theory.by_steps import step_nodes, steps_of
from theory.cases import Case, check_case
from theory.contour import CONTOUR_STEP
from theory.evaluation import model_of
from theory.one_pass import effective_edge
from theory.one_pass_steps import Nodes, nodes_of, one_pass_by_steps
from theory.second_moments import Steps, then_rest

FASTEST = 0.999  # of the largest stable learning rate
SLOWEST = 1e-3
PEAKS, SHAPES, LOOKS = 24, 12, 3  # members of a family that are looked at, and how often more finely
ITERATIONS, PACE = 500, 0.1  # of Adam, on the logarithm of lr/(fastest - lr)
LEFT = 1e-4  # of the risk: what the last tenth of the iterations may still gain
SMALLEST = 1e-4  # of the largest rate or batch, where a search begins
MOST_STEPS = 100_000
RATES, BATCHES = VARIED = "lr", "batch_size"  # that may change with the step


class Family(NamedTuple):
    """The best member of a family of schedules.

    Attributes:
        risk: Its risk after the last step.
        excess: That relative to the risk of the best schedule, less 1.
        lr: (steps,) its learning rates.
        shape: The share of decay of "wsd", the exponent of "power"; NaN where there is none.
        batch_size: (steps,) its samples a step, real numbers.

    Example:
        >>> Family(risk=0.21, excess=0.05, lr=np.full(3, 0.1), shape=np.nan, batch_size=np.full(3, 8.0)).excess
        0.05
    """

    risk: float
    excess: float
    lr: np.ndarray
    shape: float
    batch_size: np.ndarray


class BestSchedule(NamedTuple):
    """The best schedule of a number of steps.

    Attributes:
        lr: (steps,) the best learning rate at every step, or that of the best member of the family asked for.
        risk: The risk after the last step.
        families: Best members by name, of "constant", "linear", "cosine", "wsd" and "power".
        converged: Whether more search would gain less than 1e-4 of the risk.
        batch_size: (steps,) samples a step, real numbers: those given, or the best where these were asked for.

    Example:
        >>> BestSchedule(np.array([0.1, 0.05]), 0.2, {}, True, np.ones(2)).risk
        0.2
    """

    lr: np.ndarray
    risk: float
    families: dict[str, Family]
    converged: bool
    batch_size: np.ndarray


# learning rate relative to its peak, of the share of time passed (steps,) and a shape; batches grow as these decay
FAMILIES: dict[str, tuple[Callable[[Any, Any], Any], tuple[float, float] | None]] = {
    "constant": (lambda x, shape: 1.0 + 0.0 * x, None),
    "linear": (lambda x, shape: 1.0 - x, None),
    "cosine": (lambda x, shape: 0.5 * (1.0 + namespace(x).cos(math.pi * x)), None),
    "wsd": (lambda x, shape: namespace(x).minimum(1.0, (1.0 - x) / shape), (0.02, 1.0)),
    "power": (lambda x, shape: (1.0 - x) ** shape, (0.1, 10.0)),
}


def best_schedule(
    problem: Problem,
    *,
    num_features: float,
    steps: int,
    batch_size: float = 1,
    family: str | None = None,
    vary: str = RATES,
    most: float = FASTEST,
    parametrization: str = "ntk",
) -> BestSchedule:
    """Find the learning rates, or batch sizes, that make the risk after a number of steps of one-pass SGD least.

    lr* = argmin over 0 < lr_t < largest stable of risk(steps), by its gradient with respect to every lr_t
    (`theory.one_pass_steps`), from the best member of the families; their own peaks and shapes are searched first.

    With vary="batch_size" the learning rate is constant, and searched too, while the sizes of batches change; all
    steps together see as many samples as steps of `batch_size` would. No step is beyond stability.

    Args:
        problem: Spectrum, target and noise.
        num_features: Model size N.
        steps: How many steps are taken, up to 100,000.
        batch_size: Fresh samples a step; their mean over steps where they change.
        family: None for the best at each step, or one of "constant", "linear" and "cosine" (to zero), "wsd"
            (constant, then linear to zero over a share of the steps) and "power", (1 - t/steps)^exponent.
            Batches grow from the smallest as the rates of these decay to zero, backwards in time.
        vary: "lr" or "batch_size".
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
    checks.one_of("vary", vary, VARIED)
    checks.fraction("most", most)
    checks.number("most", most, 0.0, "a number > 0 and < 1")
    optimizer = SGD(np.full(steps, 1e-9), batch_size)
    case = Case(problem, num_features, np.inf, optimizer, [steps], parametrization)
    check_case(case)
    if vary == BATCHES:
        checks.number("batch_size", batch_size, 1.0, "a number > 1 for batches that change")
    with complex128():
        search = _prepared(case.arrays(), float(most), vary == BATCHES)
        members = {name: _best_member(search, name) for name in FAMILIES}
        best = min(members.values(), key=lambda member: member.risk)
        rates, risk, before = _descend(search, jnp.asarray(search.place(best)), ramp=search.ramp)
        lr, sizes, risk, before = (np.asarray(x) for x in (*rates, risk, before))
    least = float(min(risk, best.risk))
    families = {name: member._replace(excess=member.risk / least - 1.0) for name, member in members.items()}
    if family is not None:
        chosen = families[family]
        return BestSchedule(chosen.lr, chosen.risk, families, True, chosen.batch_size)
    return BestSchedule(lr, float(risk), families, bool(before - risk < LEFT * risk), sizes)


class _Rates(NamedTuple):
    """Learning rates and batch sizes, (steps,) each."""

    lr: Any
    batch_size: Any


class _Search(NamedTuple):
    """Everything that a search looks at: nodes that serve all schedules, how many steps, and bounds.

    size: the mean of batches; fastest: the largest learning rate, of batches of that size; fastest_of_one: of batches
    of one; ramp: whether batches change in place of the rate.
    """

    nodes: Nodes
    passed: Any
    size: Any
    fastest: Any
    fastest_of_one: Any
    ramp: bool

    def rates(self, peak: Any, relative: Any) -> _Rates:
        """Return rates in proportion to what decays (steps,), or a constant rate and batches in proportion to it."""
        if not self.ramp:
            return _Rates(peak * relative, self.size + 0.0 * relative)
        # lr (1 + 1/B) is at most that of batches of one
        xp = namespace(peak, relative)
        least = 1.0 / xp.maximum(2.0 * self.fastest_of_one / peak - 1.0, 1.0 / self.size)
        least = xp.clip(least, 1.0, self.size)
        return _Rates(peak + 0.0 * relative, least + (self.size - least) * relative / relative.mean())

    def at(self, x: Any) -> _Rates:
        """Return rates of unbounded numbers, one a step, and with batches one for their rate before these."""
        if not self.ramp:
            return self.rates(self.fastest, jax.nn.sigmoid(x))
        return self.rates(self.fastest * jax.nn.sigmoid(x[0]), jax.nn.softmax(x[1:]))

    def place(self, member: Family) -> np.ndarray:
        """Return the numbers of a member of a family."""
        share = np.clip(member.lr / float(self.fastest), SMALLEST, 1.0 - SMALLEST)
        place = np.log(share / (1.0 - share))
        if not self.ramp:
            return place
        grown = member.batch_size - member.batch_size.min()
        return np.append(place[0], np.log(np.maximum(grown, SMALLEST * max(grown.max(), SMALLEST))))

    def last_risk(self, rates: _Rates) -> Array:
        """Return the risk after all steps."""
        steps = Steps(rates.lr, 1.0 / rates.batch_size, None, None)
        return one_pass_by_steps(self.nodes, then_rest(steps, 1)).risk[-1]


def _prepared(case: Case, most: float, ramp: bool) -> _Search:
    steps, model = steps_of(case), model_of(case)
    model = model._replace(inv_p=0.0 * model.inv_n)
    chance, count = float(steps.chance[0]), len(steps.lr)
    edge, edge_of_one = (float(effective_edge(model, np.array([1.0 / c]))[0]) for c in (chance, 1.0))
    fastest = most * 2.0 / ((1.0 + chance) * edge)
    full = steps._replace(lr=np.full(count, fastest))
    nodes = 16 * math.ceil(float(step_nodes(model, full, CONTOUR_STEP)) / 16)
    numbers = np.arange(count) / count, 1.0 / chance, fastest, most / edge_of_one
    passed, size, fastest, fastest_of_one = map(np.asarray, numbers)
    around = jax.tree.map(jnp.asarray, nodes_of(model, full, nodes=nodes)[0])
    return _Search(around, passed, size, fastest, fastest_of_one, ramp)


@partial(jax.jit, static_argnames="ramp")
def _last_risks(search: _Search, peaks: Array, relative: Array, *, ramp: bool) -> Array:
    search = search._replace(ramp=ramp)
    return jax.vmap(lambda peak, each: search.last_risk(search.rates(peak, each)))(peaks, relative)


def _best_member(search: _Search, name: str) -> Family:
    """Look at a grid of peaks and shapes, ever more finely about the best."""
    relative, span = FAMILIES[name]
    passed = search.passed[::-1] if search.ramp else search.passed  # batches grow as rates decay, backwards
    fastest = float(search.fastest)
    low = np.log([SLOWEST * fastest, 1.0 if span is None else span[0]])
    high = np.log([fastest, 1.0 if span is None else span[1]])
    ends = low.copy(), high.copy()
    least, place, decays = math.inf, low, passed
    for _ in range(LOOKS):
        peaks = np.linspace(low[0], high[0], PEAKS)
        shapes = np.linspace(low[1], high[1], 1 if span is None else SHAPES)
        grid = np.stack(np.meshgrid(peaks, shapes, indexing="ij"), -1).reshape(-1, 2)
        each = np.stack([relative(passed, math.exp(shape)) for _, shape in grid])
        risks = np.asarray(_last_risks(search, np.exp(grid[:, 0]), each, ramp=search.ramp))
        first = int(np.nanargmin(risks))
        if risks[first] < least:
            least, place, decays = float(risks[first]), grid[first], each[first]
        reach = (high - low) / np.array([PEAKS, SHAPES]) * 2.0
        low, high = np.maximum(grid[first] - reach, ends[0]), np.minimum(grid[first] + reach, ends[1])
    lr, sizes = search.rates(np.exp(place[0]), decays)
    return Family(least, math.nan, lr, math.nan if span is None else math.exp(place[1]), sizes)


@partial(jax.jit, static_argnames="ramp")
def _descend(search: _Search, start: Array, *, ramp: bool) -> tuple[_Rates, Array, Array]:
    """Return the best rates, their risk, and that of a tenth of the iterations before."""
    import optax  # which takes a second, and nothing else of the theory needs

    search = search._replace(ramp=ramp)
    rule = optax.adam(optax.cosine_decay_schedule(PACE, ITERATIONS))
    slope = jax.value_and_grad(lambda x: jnp.log(search.last_risk(search.at(x))))

    def iterate(carry: tuple[Array, Any], _: None) -> tuple[tuple[Array, Any], Array]:
        x, state = carry
        value, gradient = slope(x)
        # directions differ in size by the length of training: scaled to its mean
        moves, state = rule.update(gradient * len(x), state, x)
        return (x + jnp.asarray(moves), state), value

    (x, _), values = jax.lax.scan(iterate, (start, rule.init(start)), None, length=ITERATIONS)
    rates = search.at(x)
    return rates, search.last_risk(rates), jnp.exp(values[-ITERATIONS // 10])
