"""FL-9: the kernel grows by m, the sharpness of the loss with it, and gradient descent keeps it at 2/lr.

The sharpness is the largest eigenvalue of the tangent kernel of the pair (theta, W) along the curvature H of a draw,
H^(1/2) (W^T W + gamma |theta|^2) H^(1/2): m H and a rank one where W W^T - gamma theta theta^T = 1. Bounds of the
verdicts were chosen on a trial with draws of another size and seed.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import rfm
import theory
from experiments.compare.comparison import Comparison
from experiments.compare.statistics import standard_error
from experiments.compare.verdicts import Verdict, condition
from experiments.output import plotting, progress
from experiments.papers.feature_learning.training import A, B, agrees
from experiments.papers.row import Counts, Script, Shown, Values
from rfm.engine.curvature import eigensystems
from rfm.engine.features import Setting, draw, member_keys
from rfm.engine.trained_layers import effective, growth_of, step_pair, untrained

NOISE = 0.1
TAME = 0.6  # of 2/lr: flows that end below it train far from the edge
BEYOND = (1.3, 3.0)  # of 2/lr: flows that end between these meet the edge, and descent still trains
NEAR = 0.15  # of 2/lr and of m z_max that counts as there
LATE = np.geomspace(1.0, 1e6, 9)  # times of gradient flow, the last of which is its end
LEARNED = 0.1  # of the training loss at the start that is left at most


def show(seed: int, *, sizes: Counts, richness: float, rates: Values, steps: int, modes: int, seeds: int) -> Shown:
    """Show growth and sharpness against time for some learning rates, and where the sharpness ends."""
    problem, (n, p) = rfm.power_law(A, B, modes, NOISE), sizes
    keys = jax.random.split(jax.random.key(seed), seeds)
    z, c = _draws(problem, sizes, keys)
    looks = np.unique(np.round(np.geomspace(1, steps - 1, 40)).astype(int))
    flows = _flow_end(problem, sizes, richness, keys)
    findings, table, ends, runs = [], [], [], []
    for lr in progress.over(rates, "lr"):
        growth, sharp, loss = map(np.asarray, _descend(z, c, (np.float64(lr), np.float64(richness)), steps))
        times = lr * looks
        predicted = theory.predict(
            problem, num_features=n, num_samples=p, optimizer=rfm.GradientFlow(), times=times, richness=richness
        ).kernel_growth
        assert predicted is not None
        pair = Comparison("t", times, growth[:, looks], predicted, {"N": n, "P": p, "lr": lr}, f"lr = {lr:g}")
        runs.append((pair, 0.5 * lr * sharp[:, looks]))
        reach = 0.5 * lr * flows * z[:, -1]
        last = 0.5 * lr * sharp[:, -max(steps // 4, 1) :].mean(1)
        ends.append(np.stack([reach, last, sharp[:, -1] / (growth[:, -1] * z[:, -1]), loss[:, -1] / loss[:, 0]]))
        table += pair.rows(sharpness=sharp.mean(0)[looks])
        if np.all(reach < TAME):
            findings.append(agrees(f"lr = {lr:g}: growth over that of gradient flow", [pair]))
    findings += _edge(np.concatenate(ends, axis=1))
    title = f"N = {n}, P = {p}, $\\gamma$ = {richness:g}; {seeds} seeds"
    return Shown(_draw(runs, looks, ends, title), table, tuple(findings))


def _draw(runs: list[tuple[Comparison, np.ndarray]], steps: np.ndarray, ends: list[np.ndarray], title: str) -> Figure:
    """Draw growth against time, sharpness over 2/lr (S, T) against steps, and where it ends."""
    figure, axes = plotting.new_figure(1, 3)
    some = slice(0, None, 3)
    for index, ((pair, share), (reach, last, *_)) in enumerate(zip(runs, ends, strict=True)):
        color, marker = plotting.COLORS[index], plotting.MARKERS[index]
        plotting.draw(axes[0, 0], pair.at(some), index)
        mean = share.mean(0)
        axes[0, 1].plot(steps, mean, color=color, lw=0.8, ls=":")
        errors = standard_error(share)
        plotting.draw_points(axes[0, 1], steps[some], mean[some], errors[some], index, label=pair.label)
        axes[0, 2].plot(reach, last, color=color, marker=marker, ls="none", ms=3.6, label=pair.label)
    axes[0, 1].axhline(1.0, color=plotting.LIMIT, lw=1)
    span = np.geomspace(0.5 * min(end[0].min() for end in ends), 2.0 * max(end[0].max() for end in ends), 50)
    label = "the smaller of it and 1"
    axes[0, 2].plot(span, np.minimum(span, 1.0), color=plotting.CLOSED, lw=1, ls="--", label=label)
    share = "sharpness $\\times$ lr/2"
    plotting.finish(axes[0, 0], "time, lr $\\times$ steps", "growth $m$ of the kernel", title)
    plotting.finish(axes[0, 1], "steps", share, "sharpening ends at the edge of stability")
    plotting.finish(axes[0, 2], "$m z_{max}$ lr/2 at the end of gradient flow", f"{share} in the end", "every draw")
    return figure


@partial(jax.jit, static_argnames="sizes")
def _draws(problem: rfm.Problem, sizes: Counts, keys: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return curvatures z in increasing order and the moment along them (S, m), m = min(N, P), of every draw."""
    setting = Setting(sizes[0], sizes[1], "ntk")
    draws = jax.vmap(partial(draw, problem, setting))(member_keys(keys, 1, 1))
    systems = eigensystems(setting, draws)
    assert draws.design is not None
    side = jnp.einsum("spn,sp->sn", draws.design, draws.labels) / sizes[1]
    if not setting.dual:
        return systems.values, jnp.einsum("sn,snm->sm", side, systems.vectors)
    along = jnp.einsum("sp,spm->sm", draws.labels, systems.vectors)
    return systems.values, along * jnp.sqrt(systems.values / sizes[1])


@partial(jax.jit, static_argnames="steps")
def _descend(z: jax.Array, c: jax.Array, numbers: tuple, steps: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return growth, sharpness and training loss less what no weights change, (S, steps), before every step."""
    optimizer, richness = rfm.GradientDescent(numbers[0]), numbers[1]

    def one(z: jax.Array, c: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        root = jnp.sqrt(z)

        def step(state: tuple, _: None) -> tuple:
            pair, memory = state
            left = z * effective(pair) - c
            loss = jnp.sum(left**2 / jnp.maximum(z, 1e-12 * z[-1]))
            growth, layer = growth_of(pair, richness), pair[1:]
            kernel = layer.T @ layer + (growth - 1.0) * jnp.eye(len(z))
            sharpness = jnp.linalg.eigvalsh(root[:, None] * kernel * root[None])[-1]
            state = step_pair(optimizer, lambda beta: z * beta - c, richness, pair, memory)
            return state, (growth, sharpness, loss)

        pair = untrained(z.shape)
        return jax.lax.scan(step, (pair, optimizer.init(pair)), None, length=steps)[1]

    return jax.vmap(one)(z, c)


def _flow_end(problem: rfm.Problem, sizes: Counts, richness: float, keys: jax.Array) -> np.ndarray:
    """Return the growth (S,) of every draw at the end of gradient flow."""
    curve = rfm.exact(problem, num_features=sizes[0], num_samples=sizes[1], optimizer=rfm.GradientFlow(), times=LATE,
                      richness=richness, keys=keys)  # fmt: skip
    assert curve.kernel_growth is not None
    return np.asarray(curve.kernel_growth)[:, -1]


def _edge(ends: np.ndarray) -> list[Verdict]:
    """Judge where sharpness ends; ends (4, draws): reach of flow, sharpness over 2/lr, over m z_max, loss left."""
    reach, last, ratio, loss = ends
    tame, met = reach < TAME, (reach > BEYOND[0]) & (reach < BEYOND[1])
    text = f"{ratio[tame].mean():.3f} ± {ratio[tame].std():.3f} (spread of {tame.sum()} runs)"
    verdicts = [condition("sharpness over m z_max, far from the edge", f"1 to {NEAR:g}", text,
                       bool(np.all(np.abs(ratio[tame] - 1.0) < NEAR)))]  # fmt: skip
    trains = np.isfinite(last[met]) & (loss[met] < LEARNED)
    text = f"{trains.sum()} of {met.sum()} runs"
    verdicts.append(condition("training goes on where flow would be beyond the edge", "all", text, bool(trains.all())))
    at = last[met][trains]
    text = f"{at.mean():.3f} ± {at.std():.3f} (spread), flow would be at {reach[met].mean():.2f}"
    verdicts.append(condition("sharpness over 2/lr there", f"1 to {NEAR:g}", text, abs(at.mean() - 1.0) < NEAR))
    return verdicts


main = Script(
    name="FL-9",
    title="Growth of the kernel, sharpening, and the edge of stability",
    source="this project, docs/richness.md",
    claim="the sharpness grows as m does, and gradient descent keeps it at 2/lr where gradient flow would pass that",
    show=show,
    full=dict(sizes=(96, 64), richness=3.0, rates=(0.02, 0.1, 0.15, 0.2, 0.3), steps=800, modes=300, seeds=16),
    smoke=dict(sizes=(24, 16), richness=3.0, rates=(0.01, 0.2), steps=200, modes=60, seeds=16),
)
