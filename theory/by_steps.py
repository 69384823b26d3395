"""SGD that is followed step by step: schedules and averages on fresh samples, and samples that are used again."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rfm import checks
from rfm.dana import DANA, Batched
from rfm.precision import complex128
from rfm.sgd import DRAWN_ANEW, LEVELS, changes
from theory.arrays import Array, by_xla, namespace, stop_gradient
from theory.cases import Case
from theory.data_order import Order, epochs_in_order
from theory.dynamics import TOLERANCE, LearningCurve, nodes_to
from theory.epochs import epochs_by_steps, pairs_of
from theory.fixed_point import Model, spectral_edge
from theory.mode_rules import few_modes
from theory.one_pass import effective_edge
from theory.one_pass_steps import nodes_of, one_pass_by_steps
from theory.second_moments import Steps, is_stable, levels, not_at_rest, region, then_rest

MOST_BYTES = 2**30  # of the responses of all modes, where samples come in order
MOST_GROWTH = 1e3  # of the loss: the memory of DANA has no edge of stability in the mean square, but a run that grows
LEAST_END = 1.05  # of the largest eigenvalue
LONG = 256  # steps from which on a compilation is worth its time


def batched_of(case: Case) -> Batched:
    """Return the algorithm of a case whose steps are followed one by one."""
    assert isinstance(case.optimizer, Batched)
    return case.optimizer


def steps_of(case: Case) -> Steps:
    """Return what every step of a case of arrays is taken with, (T,)."""
    optimizer, samples = batched_of(case), case.num_samples
    xp = namespace(*jax.tree.leaves(optimizer), samples)

    def each(x: Array) -> Array:
        return xp.broadcast_to(x, (case.steps,))

    average = optimizer.average
    left = (samples - optimizer.batch_size) / xp.maximum(samples - 1.0, 1.0) if case.reused else 1.0
    rate, chance = each(optimizer.lr), each(left / optimizer.batch_size)
    decay = None if average is None else each(average)
    if isinstance(optimizer, DANA):
        return Steps(rate, chance, each(1.0 - optimizer.forgetting), decay, each(optimizer.momentum_lr))
    return Steps(rate, chance, None if case.inertia == 0.0 else each(optimizer.momentum), decay)


def stable_edges(model: Model, steps: Steps, count: int) -> Array:
    """Return what limits the learning rate: z* at so many `levels`, for DANA the largest curvature."""
    return spectral_edge(model)[None] if steps.push is not None else effective_edge(model, levels(steps, count))


def smallest_scale(steps: Steps) -> Array:
    """Return the scale of curvature that these steps resolve."""
    flt = region(steps)
    return flt.curvature(1.0 / flt.elapsed(steps.lr))


def step_nodes(model: Model, steps: Steps, spacing: float) -> Array:
    """Count the nodes that are as close as `spacing` on the contour."""
    flt = region(steps)
    edge = stable_edges(model, steps, 1)[0]
    return nodes_to(flt.stability(edge), flt.elapsed(steps.lr), spacing)


def curves_by_steps(case: Case, model: Model, *, nodes: int) -> LearningCurve:
    """Return curves at the times of a case of arrays; see `theory.evaluation.evaluate`."""
    steps, optimizer = steps_of(case), batched_of(case)
    if not case.reused:
        model = model._replace(inv_p=0.0 * model.inv_n)
    made: Any = (pairs_of if case.reused else nodes_of)(model, steps, nodes=nodes)
    weights, around = made
    losses = _follow(epochs_by_steps if case.reused else one_pass_by_steps, weights, steps)
    xp = namespace(losses.risk, case.times)
    at = case.times.astype(int)
    risk, train_loss, average = (None if x is None else x[at] for x in losses[:3])
    start = model.modes.power.sum() + model.noise_var
    # the trapezoidal rule squares its error when the step halves: compare with every other node
    gap = ((losses.coarse - losses.risk[-1]) / xp.maximum(losses.risk[-1], 1e-12 * start)) ** 2
    # nothing is learned at t = 0: a contour that cuts through the spectrum would miss a part
    missed = xp.abs(losses.risk[0] - model.modes.power.sum()) / start
    count = LEVELS if any(changes(getattr(optimizer, name, 0.0)) for name in ("batch_size", "momentum")) else 1
    edges = stable_edges(model, steps, count)
    residual = xp.maximum(around.residual, xp.maximum(gap, missed))
    bounded = around.stable & is_stable(steps, edges)
    if steps.push is not None:
        bounded &= xp.max(losses.risk) < MOST_GROWTH * start
    residual = stop_gradient(xp.where(bounded, residual, xp.inf))
    average = None if average is None else xp.maximum(average, 0.0)
    risk, train_loss = xp.maximum(risk, 0.0), xp.maximum(train_loss, 0.0)
    return LearningCurve(risk, train_loss, None, residual, residual < TOLERANCE, edges, average)


def is_ordered(case: Case) -> bool:
    """Tell whether samples come in epochs, so that steps are correlated through when they were seen."""
    return isinstance(case.optimizer, Batched) and case.optimizer.order != DRAWN_ANEW


def curves_in_order(case: Case, model: Model) -> LearningCurve:
    """Return curves at the times of a case of arrays whose samples come in epochs."""
    steps, size = not_at_rest(steps_of(case)), float(batched_of(case).batch_size)
    order = Order(round(float(case.num_samples) / size), size, batched_of(case).order == "shuffle", case.fourth_moment)
    theta = _responses_to_gradients(steps)
    measure = few_modes(model, 2.0 * float(theta.sum(1).max()), _end_of_modes(model, steps), shared=case.fourth_moment)
    needed = 8.0 * len(measure.eigenvalues) * (case.steps + 1) ** 2
    if needed > MOST_BYTES:
        most = int(math.sqrt(MOST_BYTES / (8.0 * len(measure.eigenvalues))))
        checks.fail("times", f"at most about {most} steps of samples in order (or order={DRAWN_ANEW!r})", case.steps)
    losses = epochs_in_order(measure, model, theta, order)
    at = case.times.astype(int)
    average = None
    if steps.decay is not None:
        weights = _averages(steps.decay)
        average = np.einsum("ts,su,tu->t", weights, losses.correlation, weights, optimize=True)[at]
    residual = np.where(np.isfinite(losses.risk).all(), losses.residual, np.inf)
    curves = losses.risk[at], losses.train_loss[at], None, residual, residual < TOLERANCE
    return LearningCurve(*curves, spectral_edge(model), average)


def _end_of_modes(model: Model, steps: Steps) -> float:
    """Return the eigenvalue at which a direction of the data would grow, above all there are."""
    lr, m, largest = steps.lr, 0.0 if steps.momentum is None else steps.momentum, model.modes.eigenvalues.max()
    push = 0.0 if steps.push is None else steps.push / (1.0 + m)
    edge = 2.0 / np.max(lr / (1.0 + (m if steps.push is None else 0.0)) + push)
    return float(largest * max(edge / spectral_edge(model), LEAST_END))


def _responses_to_gradients(steps: Steps) -> Array:
    """Return the part (t, s) of the gradient at step s that the weights before step t have taken."""
    count = len(steps.lr)
    theta, kept = np.zeros((count + 1, count + 1)), np.zeros(count + 1)
    for t, lr in enumerate(steps.lr):
        momentum = 0.0 if steps.momentum is None else steps.momentum[t]
        if steps.push is None:
            theta[t + 1] = theta[t] + momentum * (theta[t] - theta[max(t - 1, 0)])
        else:
            kept *= momentum
            kept[t] += 1.0
            theta[t + 1] = theta[t] + steps.push[t] * kept
        theta[t + 1, t] += lr
    return theta


def _averages(decays: Array) -> Array:
    """Return the share (t, s) of the weights before step s in their average before step t."""
    weights = np.eye(len(decays) + 1)
    for t, decay in enumerate(decays):
        weights[t + 1] = decay * weights[t] + (1.0 - decay) * weights[t + 1]
    return weights


def _follow(recursion: Any, weights: Any, steps: Steps) -> Any:
    """Take all steps: one by one by numpy where they are few and known, else compiled, for few different numbers."""
    count = len(steps.lr)
    if by_xla(weights, steps) or count <= LONG:
        return recursion(weights, then_rest(steps, 1))
    longer = then_rest(steps, 2 ** math.ceil(math.log2(count + 1)) - count)
    with complex128():
        losses = recursion(*jax.tree.map(jnp.asarray, (weights, longer)))
        return jax.tree.map(np.asarray, losses)
