"""One call of the theory as a record, made and checked once by the public functions."""

import dataclasses
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from rfm import checks
from rfm.optimizers import DANA, SGD, Batched, Optax, Optimizer, Ridge, check_times, is_constant, resolve
from rfm.precision import complex128, is_traced
from rfm.problem import Problem, check_problem
from rfm.pytrees import pytree, static
from rfm.sgd import DRAWN_ANEW, changes, check_within
from rfm.steps import MOST_STEPS, each_step
from theory.filters import FILTERS

Tree = TypeVar("Tree")
MOST_WALKED = 20_000  # steps of full batches where features are trained: each is as dear as a product of matrices
STRONG = 0.98  # momentum of one pass from which on its formula leaves float64, and steps are followed one by one
FOLLOWED = "SGD on a finite set, with a schedule, or with strong momentum"


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

    Sizes and times are None where a grid, or a search, gives them later. steps: how many are followed one by one, 0 for
    an algorithm that has a formula for all times; reused: whether SGD sees its samples more than once; inertia: the
    largest momentum of these steps, 1 where it is not known; fourth_moment: see `theory.data_order`. richness: how fast
    features learn, None where they do not; walked: how many steps are then taken one by one. feature_noise: variance of
    the noise of a feature, None where there is none.
    """

    problem: Problem
    num_features: Any
    num_samples: Any
    optimizer: Optimizer
    times: Any = None
    parametrization: str = static(default="ntk")
    steps: int = static(default=0)
    reused: bool = static(default=False)
    inertia: float = static(default=0.0)
    fourth_moment: bool = static(default=False)
    richness: Any = None
    walked: int = static(default=0)
    feature_noise: Any = None

    @property
    def clock(self) -> Any:
        """The factor of every curvature: features of variance 1 in place of 1/N run N times as fast."""
        return self.num_features if self.parametrization == "standard" else 1.0  # eq. 19

    def arrays(self) -> "Case":
        """Convert to float64 arrays, without real rows and with a schedule tabulated; call inside `arithmetic`."""
        times: Any = self.times if self.times is None or is_traced(self.times) else np.asarray(self.times, np.float64)
        problem = dataclasses.replace(self.problem, population=None)
        optimizer, steps, reused = resolve(self.optimizer, times), 0, False
        momentum = 1.0 if isinstance(optimizer, DANA) else getattr(optimizer, "momentum", 0.0)
        inertia = 1.0 if is_traced(momentum) else float(np.max(momentum))
        if isinstance(optimizer, Batched):
            reused = self.num_samples is not None and is_finite(self.num_samples)
            strong = inertia > STRONG and not is_traced(momentum) and times is not None and not is_traced(times)
            steps = count_steps(times) if reused or not is_constant(optimizer) or strong else 0
        followed = dict(steps=steps, reused=reused, inertia=inertia if steps else 0.0)
        if self.richness is not None and optimizer.discrete:
            followed["walked"] = count_steps(times, MOST_WALKED, "discrete algorithms whose features are trained")
        return float_arrays(dataclasses.replace(self, problem=problem, times=times, optimizer=optimizer, **followed))


def is_finite(size: Any) -> bool:
    """Tell whether a size is finite, as one that is traced has to be where that decides between two formulas."""
    return is_traced(size) or not np.isinf(float(size))


def count_steps(times: Any, most: int = MOST_STEPS, what: str = FOLLOWED) -> int:
    """Return the last of some times; ValueError where steps are to be followed one by one and cannot."""
    if is_traced(times):
        checks.fail("times", f"known numbers, not traced ones, for {what}", times)
    steps = max(int(np.max(times)), 1)
    if steps > most:
        checks.fail("times", f"at most {most} steps of {what}", steps)
    return steps


def richness_of(value: Any) -> Any:
    """Return how fast features learn, None where they do not; ValueError for a number below zero."""
    checks.number("richness", value, 0.0, "a finite number >= 0 (0: features are not trained)", inclusive=True)
    return value if is_traced(value) or float(value) > 0.0 else None


def feature_noise_of(value: Any) -> Any:
    """Return the variance of the noise of features, None where they have none; ValueError for a number below zero."""
    allowed = "a finite variance >= 0 (0: features without noise)"
    checks.number("feature_noise", value, 0.0, allowed, inclusive=True)
    return value if is_traced(value) or float(value) > 0.0 else None


class Members(NamedTuple):
    """An average of models: feature draws, data sets, and whose dynamics two members share where batches differ."""

    ensemble: Any
    bags: Any
    shared: Optimizer | None


def check_size(case: Case) -> None:
    """Refuse anything but a problem, and sizes and parametrizations that do not exist."""
    check_problem(case.problem)
    if case.problem.domains is not None:
        allowed = "one whose rows come from one domain (theory.predict and theory.domains take several)"
        checks.fail("problem", allowed, case.problem)
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
        checks.fail("optimizer", f"one with a theory: {', '.join([*FILTERS, 'SGD', 'DANA', 'Ridge'])}", optimizer)
    if isinstance(optimizer, Batched):
        _check_batches(optimizer, num_samples, case.times)
    if case.richness is not None:
        _check_trained(case)
    if case.feature_noise is not None:
        _check_noisy(case)
    if isinstance(optimizer, Batched) and case.problem.mixture is not None:
        checks.fail("optimizer", "a full-batch algorithm for rows of unequal size", optimizer)


def _check_noisy(case: Case) -> None:
    """Refuse noise of the features where it is not a model."""
    if not is_finite(case.num_features):
        allowed = "finite where features have noise (feature_noise=0 for the kernel)"
        checks.fail("num_features", allowed, case.num_features)
    if case.problem.mixture is not None:
        allowed = "one with rows of equal size where features have noise (or feature_noise=0)"
        checks.fail("problem", allowed, case.problem)


def _check_trained(case: Case) -> None:
    """Refuse what has no theory where features are trained."""
    if isinstance(case.optimizer, Ridge):
        allowed = "0 for Ridge, which has no time (with features trained: GradientDescent, weight_decay)"
        checks.fail("richness", allowed, case.richness)
    if isinstance(case.optimizer, DANA):
        checks.fail("optimizer", "SGD, or one of full batches, where features are trained", case.optimizer)
    if isinstance(case.optimizer, SGD):
        _check_trained_batches(case.optimizer, case)
    if case.problem.num_outputs > 1:
        checks.fail("richness", "0 for several outputs, which would share their features", case.richness)


def _check_trained_batches(optimizer: SGD, case: Case) -> None:
    """Refuse SGD whose theory is not known where features are trained."""
    if optimizer.order != DRAWN_ANEW:
        allowed = f"{DRAWN_ANEW!r} for SGD where features are trained (rfm.simulate takes any)"
        checks.fail("order", allowed, optimizer.order)
    momentum = optimizer.momentum
    if changes(momentum) or is_traced(momentum) or float(momentum) != 0.0:
        checks.fail("momentum", "0 for SGD where features are trained (rfm.simulate takes any)", momentum)
    if optimizer.average is not None:
        checks.fail("average", "None where features are trained (rfm.simulate takes any)", optimizer.average)


def _check_batches(optimizer: Batched, num_samples: Any, times: Any) -> None:
    """Refuse batches that a training set has not, and orders that are not served."""
    size = optimizer.batch_size
    if optimizer.order != DRAWN_ANEW:
        _check_order(optimizer, num_samples)
    if is_traced(size, num_samples, times) or not is_finite(num_samples):
        return
    if changes(size):
        check_within(each_step("batch_size", size, int(np.max(times))), num_samples, size)
    elif size > float(num_samples):
        checks.fail("batch_size", f"a number >= 1, at most num_samples = {num_samples}", size)


def _check_order(optimizer: Batched, num_samples: Any) -> None:
    """Refuse what the theory of samples in order does not serve."""
    size = optimizer.batch_size
    if not is_finite(num_samples):
        checks.fail("order", f"{DRAWN_ANEW!r} for one pass, where no sample comes twice", optimizer.order)
    if is_traced(optimizer, num_samples):
        checks.fail("order", f"{DRAWN_ANEW!r} inside a JAX transformation", optimizer.order)
    if changes(size):
        checks.fail("batch_size", f"a number for order={optimizer.order!r}", size)
    if float(size) > float(num_samples) or float(num_samples) % float(size):
        allowed = f"a divisor of num_samples = {num_samples} for order={optimizer.order!r} in theory (simulate: any)"
        checks.fail("batch_size", allowed, size)


def check_constant(optimizer: Optimizer, num_samples: Any) -> None:
    """Refuse what changes with the step, and samples that SGD sees again, where a search asks for any length."""
    lr = getattr(optimizer, "lr", 1.0)
    if changes(lr):
        checks.fail("lr", "a number (every size has a length of training of its own)", lr)
    if isinstance(optimizer, DANA):
        checks.fail("optimizer", "one whose numbers are constant: the memory of DANA grows with time", optimizer)
    if not isinstance(optimizer, SGD):
        return
    for name in ("batch_size", "momentum"):
        if changes(getattr(optimizer, name)):
            checks.fail(name, "a number (every size has a length of training of its own)", getattr(optimizer, name))
    if optimizer.average is not None:
        checks.fail("average", "None: the search is for the best risk of the weights themselves", optimizer.average)
    if is_finite(num_samples):
        checks.fail("num_samples", "jnp.inf for SGD: the search is over one pass", num_samples)


def members_of(optimizer: Optimizer, ensemble: Any, bags: Any) -> Members | None:
    """Check the sizes of an ensemble; None for one model alone."""
    for name, value in (("ensemble", ensemble), ("bags", bags)):
        checks.size(name, value, integer=False)
    if not is_traced(ensemble, bags) and ensemble == bags == 1:
        return None
    if isinstance(optimizer, DANA):
        checks.fail("ensemble", "1, and bags 1, for DANA: what full batches leave of it is not known", (ensemble, bags))
    if isinstance(optimizer, SGD) and optimizer.average is not None:
        checks.fail(
            "average", "None for ensemble or bags: the average of their averaged weights is not known", optimizer
        )
    return Members(ensemble, bags, optimizer.full_batch() if isinstance(optimizer, SGD) else None)


def refuse_members(case: Case, members: Members | None) -> None:
    """Refuse an average of models whose batches train features: what two of them share is not known."""
    if members is not None and members.shared is not None and case.richness is not None:
        checks.fail("richness", "0 for ensemble or bags of SGD", case.richness)


def curve_times(times: Any) -> Any:
    """Return the times of a curve as float64, infinity where training has ended."""
    if is_traced(times):
        return times
    return np.array([np.inf]) if times is None else np.asarray(times, np.float64)
