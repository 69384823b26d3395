"""One statement of a call of the simulator, and every reason to refuse it before any work."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from rfm import checks
from rfm.devices import RUNS, layout
from rfm.engine.batches import Method, Plan
from rfm.engine.features import FEATURES, MOST_MEMBERS, Setting, neural
from rfm.optimizers import SGD, Optax, Optimizer, check_times
from rfm.precision import is_traced
from rfm.problem import Problem, check_problem


class Request(NamedTuple):
    """Arguments of one call of `simulate` or `exact`, as they were given; keys: None where nothing will be drawn."""

    problem: Problem
    num_features: float
    num_samples: float
    optimizer: Optimizer
    times: ArrayLike | None = None
    keys: Array | None = None
    parametrization: str = "ntk"
    features: str = "gaussian"
    ensemble: float = 1
    bags: float = 1
    split: str = RUNS

    @property
    def stops(self) -> np.ndarray:
        """Times (T,) at which a run is evaluated: infinity for Ridge."""
        return np.array([np.inf]) if self.times is None else np.asarray(self.times, np.float64)


def make_plan(request: Request, method: Method, kind: str, *, spectrum: bool = True) -> Plan:
    """Check a request, and fix what is compiled for it; ValueError for what cannot be run."""
    setting = _check(request)
    ensemble, bags = _check_members(request.ensemble, request.bags)
    _check_rows(request.problem, setting, bags)
    devices = layout(request.split)
    return Plan(setting._replace(mode_parts=devices.modes), devices, method, kind, ensemble, bags, spectrum)


def check_keys(keys: object) -> Array:
    """Return `keys`; ValueError unless they are typed keys (S,), one a seed."""
    typed = jax.dtypes.prng_key
    if not isinstance(keys, Array) or not jnp.issubdtype(keys.dtype, typed) or keys.ndim != 1 or not len(keys):
        checks.fail("keys", "typed keys of shape (seeds,), as jax.random.split(jax.random.key(0), seeds)", keys)
    return keys


def refuse_tracers(*values: object) -> None:
    """ValueError for values that belong to a JAX transformation around the call."""
    if is_traced(*values):
        raise ValueError(
            "The simulator runs its own jit and vmap over keys and cannot be called inside a JAX transformation; "
            "theory.predict can."
        )


def _check(request: Request) -> Setting:
    """Refuse what cannot be run; return the setting with whole sizes as int."""
    problem, optimizer, n, p = request.problem, request.optimizer, request.num_features, request.num_samples
    check_problem(problem)
    refuse_tracers(problem, optimizer, request.times, request.keys)
    if math.isinf(problem.num_modes) and problem.population is None:
        checks.fail("num_modes", "finite in the simulator (theory.predict takes None)", None)
    checks.size("num_features", n, integer=True)
    checks.size("num_samples", p, integer=True)
    checks.one_of("parametrization", request.parametrization, checks.FEATURE_PARAMETRIZATIONS)
    checks.one_of("features", request.features, FEATURES)
    n, p = (math.inf if np.isinf(float(x)) else int(x) for x in (n, p))
    setting = Setting(n, p, request.parametrization, request.features)
    population = problem.population
    if neural(setting) and (population is None or population.activation != setting.features):
        allowed = f"a law that the problem can draw: neurons need from_inputs(inputs, labels, {setting.features!r})"
        checks.fail("features", allowed, setting.features)
    if math.isinf(n) and math.isinf(p):
        checks.fail("num_samples", "finite where num_features is infinite (nothing random is left)", p)
    if math.isinf(n) and setting.parametrization == "standard":
        checks.fail("num_features", "finite in the standard parametrization, whose clock is N t", n)
    check_times(optimizer, request.times)
    if math.isinf(n) and isinstance(optimizer, SGD | Optax):  # its weights are those of samples: another algorithm
        checks.fail("num_features", f"finite for {type(optimizer).__name__}", n)
    if isinstance(optimizer, SGD):
        setting = setting._replace(batch_size=_check_batches(problem, p, optimizer))
    if request.keys is not None:
        check_keys(request.keys)
    return setting


def _check_batches(problem: Problem, num_samples: float, optimizer: SGD) -> int:
    """Return the batch size of SGD as int; refuse batches that the problem cannot draw."""
    population, fresh = problem.population, math.isinf(num_samples)
    checks.size("batch_size", optimizer.batch_size, integer=True)
    most = len(population.rows) if fresh and population is not None else num_samples
    if math.isinf(optimizer.batch_size) or optimizer.batch_size > most:
        checks.fail("batch_size", f"a finite integer, at most num_samples = {most}", optimizer.batch_size)
    if fresh and population is not None and problem.noise_var > population.unexplained:
        allowed = "the noise in the labels, where SGD draws from a population for ever"
        checks.fail("noise_var", allowed, problem.noise_var)
    if fresh and problem.mixture is not None:
        checks.fail("num_samples", "finite for SGD on rows of unequal size", num_samples)
    return int(optimizer.batch_size)


def _check_members(ensemble: object, bags: object) -> tuple[int, int]:
    """Both as int; ValueError unless 1 or more, and few enough for keys of their own."""
    allowed = f"an integer >= 1 and < {MOST_MEMBERS}"
    given = {"ensemble": ensemble, "bags": bags}
    members = {name: checks.count(name, value, allowed) for name, value in given.items()}
    for name, count in members.items():
        if count >= MOST_MEMBERS:
            checks.fail(name, allowed, count)
    return members["ensemble"], members["bags"]


def _check_rows(problem: Problem, setting: Setting, bags: int) -> None:
    """Refuse training sets of real rows that leave none to test on."""
    if problem.population is None or math.isinf(setting.num_samples):
        return
    most = (len(problem.population.rows) - 1) // bags
    if setting.num_samples > most:
        sets = "" if bags == 1 else f" for {bags} bags"
        allowed = f"at most {most}{sets}: of the {len(problem.population.rows)} rows some are left to test on"
        checks.fail("num_samples", allowed, setting.num_samples)
