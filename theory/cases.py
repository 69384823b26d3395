"""One call of the theory as a record, made and checked once by the public functions."""

import dataclasses
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from rfm import checks
from rfm.optimizers import SGD, Optax, Optimizer, check_times, resolve
from rfm.precision import complex128, is_traced
from rfm.problem import Problem, check_problem
from rfm.pytrees import pytree, static
from theory.filters import FILTERS

Tree = TypeVar("Tree")


def float_arrays(tree: Tree) -> Tree:
    """Convert the leaves to float64 arrays: JAX's where one of them is traced, else numpy's."""
    xp: Any = jnp if is_traced(tree) else np
    return jax.tree.map(lambda x: xp.asarray(x, float), tree)


def arithmetic(*values: object) -> AbstractContextManager[None]:
    """Open the scope in which an evaluation runs: that of complex128 for XLA, none for numpy."""
    return complex128(*values) if is_traced(*values) else nullcontext()


@pytree
class Case:
    """The arguments of `theory.predict` that state what is trained.

    Sizes and times are None where a grid, or a search, gives them later.
    """

    problem: Problem
    num_features: Any
    num_samples: Any
    optimizer: Optimizer
    times: Any = None
    parametrization: str = static(default="ntk")

    @property
    def clock(self) -> Any:
        """The factor of every curvature: features of variance 1 in place of 1/N run N times as fast."""
        return self.num_features if self.parametrization == "standard" else 1.0  # eq. 19

    def arrays(self) -> "Case":
        """Convert to float64 arrays, without real rows and with a schedule tabulated; call inside `arithmetic`."""
        times: Any = self.times if self.times is None or is_traced(self.times) else np.asarray(self.times, np.float64)
        problem = dataclasses.replace(self.problem, population=None)
        case = dataclasses.replace(self, problem=problem, times=times, optimizer=resolve(self.optimizer, times))
        return float_arrays(case)


class Members(NamedTuple):
    """An average of models: feature draws, data sets, and whose dynamics two members share where batches differ."""

    ensemble: Any
    bags: Any
    shared: Optimizer | None


def check_size(case: Case) -> None:
    """Refuse anything but a problem, and sizes and parametrizations that do not exist."""
    check_problem(case.problem)
    checks.size("num_features", case.num_features, integer=False)
    checks.size("num_samples", case.num_samples, integer=False)
    checks.one_of("parametrization", case.parametrization, checks.FEATURE_PARAMETRIZATIONS)
    infinite = not is_traced(case.num_features) and np.isinf(float(case.num_features))
    if case.parametrization == "standard" and infinite:
        checks.fail("num_features", "finite in the standard parametrization, whose clock is N t", case.num_features)


def check_case(case: Case) -> None:
    """Refuse what `predict` cannot do."""
    check_size(case)
    optimizer, num_samples = case.optimizer, case.num_samples
    check_times(optimizer, case.times)
    if isinstance(optimizer, Optax):
        checks.fail("optimizer", f"one with a theory: {', '.join([*FILTERS, 'SGD', 'Ridge'])}", optimizer)
    if isinstance(optimizer, SGD) and (is_traced(num_samples) or not np.isinf(float(num_samples))):
        checks.fail("num_samples", "jnp.inf for SGD: theory knows one pass (full batches: HeavyBall)", num_samples)
    if isinstance(optimizer, SGD) and case.problem.mixture is not None:
        checks.fail("optimizer", "a full-batch algorithm for rows of unequal size", optimizer)


def members_of(optimizer: Optimizer, ensemble: Any, bags: Any) -> Members | None:
    """Check the sizes of an ensemble; None for one model alone."""
    for name, value in (("ensemble", ensemble), ("bags", bags)):
        checks.size(name, value, integer=False)
    if not is_traced(ensemble, bags) and ensemble == bags == 1:
        return None
    return Members(ensemble, bags, optimizer.full_batch() if isinstance(optimizer, SGD) else None)


def curve_times(times: Any) -> Any:
    """Return the times of a curve as float64, infinity where training has ended."""
    if is_traced(times):
        return times
    return np.array([np.inf]) if times is None else np.asarray(times, np.float64)
