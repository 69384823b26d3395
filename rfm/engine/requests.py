"""One statement of a call of the simulator, and every reason to refuse it before any work."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from rfm import checks
from rfm.devices import RUNS, SHARE, available_memory, layout
from rfm.engine.features import FEATURES, MOST_MEMBERS, FeatureLaw, Setting, chunk_length, neural
from rfm.engine.noisy_features import check_noisy, noise_of
from rfm.engine.plans import Method, Plan
from rfm.optimizers import Batched, Optax, Optimizer, Ridge, check_times
from rfm.precision import PRECISIONS, is_traced
from rfm.problem import Problem, check_problem
from rfm.protocols import Stepper
from rfm.sgd import DRAWN_ANEW, changes, check_within


class Request(NamedTuple):
    """Arguments of one call of `simulate` or `exact`, as they were given; keys: None where nothing will be drawn."""

    problem: Problem
    num_features: float
    num_samples: float
    optimizer: Optimizer
    times: ArrayLike | None = None
    keys: Array | None = None
    parametrization: str = "ntk"
    features: str | FeatureLaw = "gaussian"
    ensemble: float = 1
    bags: float = 1
    split: str = RUNS
    initial_weights: ArrayLike | None = None
    return_weights: bool = False
    dtype: str = "float64"
    richness: float = 0.0
    feature_noise: float = 0.0
    hidden: str | int = checks.IDENTITY

    @property
    def trained(self) -> float | None:
        """The richness, None where there is no layer that could be trained; ValueError for a wrong one."""
        refuse_tracers(self.richness)
        allowed = "a finite number >= 0 (0: features are not trained)"
        checks.number("richness", self.richness, 0.0, allowed, inclusive=True)
        return float(self.richness) if float(self.richness) > 0.0 or not checks.is_identity(self.hidden) else None

    @property
    def noisy(self) -> float | None:
        """Variance of the noise of features, None where they have none; ValueError for a wrong one."""
        return noise_of(self.feature_noise)

    @property
    def stops(self) -> np.ndarray:
        """Times (T,) at which a run is evaluated: infinity for Ridge."""
        return np.array([np.inf]) if self.times is None else np.asarray(self.times, np.float64)


def make_plan(request: Request, method: Method, kind: str, *, spectrum: bool = True) -> Plan:
    """Check a request and fix what is compiled for it; ValueError if it cannot be run."""
    setting = _check(request)
    ensemble, bags = _check_members(request.ensemble, request.bags)
    _check_rows(request.problem, setting, bags)
    devices = layout(request.split)
    _check_weights(request, (ensemble, bags))
    setting = setting._replace(mode_parts=devices.modes)
    return Plan(setting, devices, method, kind, ensemble, bags, spectrum, request.return_weights)


def choose_keys(keys: object, seeds: object) -> Array:
    """Return the keys of a call: the given ones, a single one as one draw, or as many as seeds, made from key 0."""
    if (keys is None) == (seeds is None):
        cure = "given, as jax.random.split(jax.random.key(0), 16), or seeds=16 in its place"
        checks.fail("keys", cure if keys is None else "left out where `seeds` is given", keys)
    if seeds is not None:
        count = checks.count("seeds", seeds, "an integer >= 1")
        if count > checks.MOST_SEEDS:
            checks.fail("seeds", f"at most {checks.MOST_SEEDS:,}", seeds)
        return jax.random.split(jax.random.key(0), count)
    if isinstance(keys, Array) and jnp.issubdtype(keys.dtype, jax.dtypes.prng_key) and keys.ndim == 0:
        return keys[None]
    return check_keys(keys)


def num_weights(request: Request) -> int:
    """Return how many weights a model has: one a feature, or dual ones, a sample each, where N is infinite."""
    return int(request.num_samples if np.isinf(request.num_features) else request.num_features)


def start_of(request: Request, outputs: int) -> np.ndarray | None:
    """Return the weights (S, outputs, n) that a checked request starts from, None for zero."""
    if request.initial_weights is None:
        return None
    seeds = len(check_keys(request.keys))
    length = num_weights(request)
    start = checks.numeric("initial_weights", request.initial_weights)
    shapes = {(length,): (1, 1, length), (seeds, length): (seeds, 1, length), (seeds, outputs, length): None}
    if start.shape not in shapes or not np.all(np.isfinite(start)):
        checks.fail("initial_weights", f"finite, of shape {' or '.join(map(str, shapes))}", start)
    return np.broadcast_to(start.reshape(shapes[start.shape] or start.shape), (seeds, outputs, length))


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
    refuse_tracers(problem, optimizer, request.times, request.keys, request.richness)
    if math.isinf(problem.num_modes) and problem.population is None:
        checks.fail("num_modes", "finite in the simulator (theory.predict takes None)", None)
    checks.size("num_features", n, integer=True)
    checks.size("num_samples", p, integer=True)
    checks.one_of("dtype", request.dtype, PRECISIONS)
    checks.one_of("parametrization", request.parametrization, checks.FEATURE_PARAMETRIZATIONS)
    _check_features(request.features, (n, chunk_length(problem)))
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
    if math.isinf(n) and isinstance(optimizer, Batched | Optax):  # its weights are those of samples: another algorithm
        checks.fail("num_features", f"finite for {type(optimizer).__name__}", n)
    if isinstance(optimizer, Batched | Optax) and optimizer.batch_size is not None:
        setting = setting._replace(batch_size=_check_batches(request, p, optimizer))
    if request.keys is not None:
        check_keys(request.keys)
    _check_richness(request)
    if not checks.is_identity(request.hidden):
        setting = setting._replace(hidden=_check_hidden(request))
    if request.noisy is not None:
        check_noisy(problem, setting, optimizer)
    return setting


def _check_hidden(request: Request) -> int:
    """Return the width of a Gaussian layer; ValueError for a wrong one, or where it is not served."""
    optimizer = request.optimizer
    width = checks.count(
        "hidden", request.hidden, f"{checks.IDENTITY!r}, or the width of a Gaussian layer, an integer >= 1"
    )
    if not isinstance(optimizer, Stepper):
        allowed = (
            f"{checks.IDENTITY!r} for {type(optimizer).__name__}, which takes no steps (GradientDescent: any width)"
        )
        checks.fail("hidden", allowed, width)
    if request.problem.num_outputs > 1:
        checks.fail("hidden", f"{checks.IDENTITY!r} for several outputs, which would share their layer", width)
    if request.initial_weights is not None:
        checks.fail("initial_weights", "left out where there is a hidden layer (training starts from it)", width)
    return width


def _check_richness(request: Request) -> None:
    """Refuse to train features where that is not a model, or is not served."""
    richness, optimizer = request.richness, request.optimizer
    if not request.trained:
        return
    if isinstance(optimizer, Ridge):
        allowed = "0 for Ridge, which has no time (with features trained: GradientDescent, weight_decay)"
        checks.fail("richness", allowed, richness)
    if request.problem.num_outputs > 1:
        checks.fail("richness", "0 for several outputs, which would share their features", richness)
    if request.initial_weights is not None:
        checks.fail("initial_weights", "left out where features are trained (they start from theirs)", richness)


def _check_features(features: str | FeatureLaw, shape: tuple[float, int]) -> None:
    """Refuse anything but a law of features, a name or a function, which is tried with a shape (n, modes)."""
    if not callable(features):
        checks.one_of("features", features, FEATURES)
        return
    if math.isinf(shape[0]):
        return  # nothing is drawn
    shape = int(shape[0]), shape[1]
    try:
        hash(features)
        law = jax.eval_shape(lambda key: features(key, shape), jax.random.key(0))
        reason = "" if law.shape == shape else f"it returns {law.shape} for {shape}"
    except Exception as error:  # whatever a function of somebody else raises
        reason = f"{type(error).__name__}: {error}"
    if reason:
        checks.fail("features", f"a function (key, shape) -> array of that shape ({reason})", features)


def _check_weights(request: Request, members: tuple[int, int]) -> None:
    """Refuse to start from weights, or to return them, where a run has several models or no start."""
    if not isinstance(request.return_weights, bool):
        checks.fail("return_weights", "True or False", request.return_weights)
    if not request.return_weights and request.initial_weights is None:
        return
    if members != (1, 1):
        checks.fail("ensemble", "1, and bags 1, where weights are given or returned (a run is one model)", members)
    if request.initial_weights is not None and isinstance(request.optimizer, Ridge):
        checks.fail("initial_weights", "left out for Ridge, which has no start", request.initial_weights)
    if request.keys is None:
        return
    outputs = request.problem.num_outputs
    start_of(request, outputs)
    size = len(check_keys(request.keys)) * outputs * len(request.stops) * num_weights(request) * 8
    if request.return_weights and size > (free := SHARE * available_memory()):
        cure = f"False, or fewer keys or times: {size / 1e9:.3g} GB of weights, and {free / 1e9:.3g} GB are free"
        checks.fail("return_weights", cure, True)


def _check_batches(request: Request, num_samples: float, optimizer: Batched | Optax) -> int:
    """Return the size of the largest batch as int; refuse batches that the problem cannot draw."""
    problem, size, order = request.problem, optimizer.batch_size, getattr(optimizer, "order", DRAWN_ANEW)
    population, fresh = problem.population, math.isinf(num_samples)
    most = len(population.rows) if fresh and population is not None else num_samples
    if fresh and order != DRAWN_ANEW:
        checks.fail("order", f"{DRAWN_ANEW!r} for one pass, where no sample comes twice", order)
    if changes(size):
        if order != DRAWN_ANEW:
            checks.fail("batch_size", f"a number for order={order!r}", size)
        if isinstance(optimizer, Batched):
            sizes = optimizer.tabulated(int(request.stops[-1])).batch_size
            check_within(sizes, most, size)
            size = np.max(sizes)
    checks.size("batch_size", size, integer=True)
    if fresh and population is None and isinstance(optimizer, Optax):
        checks.fail("num_samples", "finite for minibatches of Optax (SGD makes one pass over fresh data)", num_samples)
    if math.isinf(size) or size > most:
        checks.fail("batch_size", f"a finite integer, at most num_samples = {most}", size)
    if fresh and population is not None and problem.noise_var > population.unexplained:
        allowed = "the noise in the labels, where SGD draws from a population for ever"
        checks.fail("noise_var", allowed, problem.noise_var)
    if fresh and not problem.equal_rows:
        checks.fail("num_samples", "finite for SGD on rows of unequal size or of several domains", num_samples)
    return int(size)


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
