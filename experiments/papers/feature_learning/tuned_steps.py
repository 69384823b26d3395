"""FL-10: gradient descent with the best constant learning rate for its number of steps: no gain per step.

The kernel and its largest curvature grow by the same m: steps are stable for lr m z_max < 2, and a step passes lr m of
the time tau of the lazy model. With lr_t as 1/m_t all that is left is the ratio of two laws in tau, I_e 2^e/Gamma(e).

The bound on the ratio of risks was two-sided before the first full run, whose theory had no value within a fifth of the
edge and which gave 1.105 after 8192 steps. A loss is no gain either: the bound is one-sided now. By steps on the modes,
up to the edge, either holds.
"""

import math
from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import rfm
import theory
from experiments.compare.best_sizes import lazy_clock
from experiments.compare.comparison import INFINITE, Comparison, derive
from experiments.compare.keys import fold_keys
from experiments.compare.laws import FLOW, risk_in_time
from experiments.compare.verdicts import Verdict, condition, judge
from experiments.output import plotting, progress
from experiments.papers.feature_learning.training import RICHNESS, A, B, agrees, beside
from experiments.papers.row import Counts, Script, Shown
from rfm.arguments import Arguments
from theory import exponents
from theory.evaluation import problem_modes
from theory.exponents.rich import integrals
from theory.growth import Drive
from theory.growth_steps import Rates, rich_steps
from theory.spectrum import Modes

RANGE = 0.06, 1.97  # of learning rates: 2/z_max is 2
FINER = 2  # grids beside the best rate of the one before
DEPTH = 30.0  # of the spectrum: -log of the least curvature that counts
SAME = 0.1  # relative, of risks that count as the same
LATE = 1e8


def show(
    seed: int, *, steps: Counts, rates: int, taught: Counts, tame: float, size: int, modes: int, seeds: int
) -> Shown:
    """Show the least risk against the number of steps, trained features or not, and the best rate.

    tame: share of the best rate that draws are trained with, as some do not bear more.
    """
    e = exponents.time_exponent(A, B)
    spectrum = problem_modes(rfm.power_law(A, B, None), DEPTH, coarse=True)
    spectrum = jax.tree.map(jnp.asarray, spectrum)
    figure, axes = plotting.new_figure(1, 2, width=4.4)
    findings, table, least, pairs = [], [], [], []
    horizons, names = np.array(steps), ("lazy", f"rich, $\\gamma$ = {RICHNESS:g}")
    keys = jax.random.split(jax.random.key(seed), seeds)
    for index, gamma in enumerate((0.0, RICHNESS)):
        best, risks = best_rates(spectrum, steps, gamma, rates)
        least.append(risks)
        axes[0, 0].plot(horizons, risks, color=plotting.COLORS[index], lw=1.3, label=names[index])
        axes[0, 1].plot(horizons, best, color=plotting.COLORS[index], lw=1.3, marker=".", label=names[index])
        table += [{"richness": gamma, "steps": s, "lr": x, "least risk": r}
                  for s, x, r in zip(steps, best, risks, strict=True)]  # fmt: skip
        at = tame * np.exp(np.interp(np.log(taught), np.log(horizons), np.log(best)))
        pair = _trained((size, modes), taught, at, gamma, keys)
        pairs.append(pair)
        label = f"{names[index]}: N = {size}, {tame:g} of the best lr"
        plotting.draw(axes[0, 0], pair, index, label=label, line_style={"ls": "--", "lw": 0.9})
        table += pair.rows()
    slopes = [-np.diff(np.log(x)) / np.diff(np.log(horizons)) for x in least]
    ratio = least[1] / least[0]
    text = ", ".join(f"{x:.3f}" for x in slopes[1]) + "; lazy " + ", ".join(f"{x:.3f}" for x in slopes[0])
    claimed = exponents.rich_time_exponent(A, B)
    middle = 0.5 * (e + claimed)
    nearer = f"nearer to e = {e:.2f} than to {claimed:.3f}"
    findings.append(condition("exponent in steps, best constant lr", nearer, text, bool(slopes[1][-1] < middle)))
    text = ", ".join(f"{x:.3f} after {s}" for s, x in zip(steps, ratio, strict=True))
    same = bool(ratio[-1] > 1.0 - SAME)
    findings.append(condition("least risk over the lazy one", f"not below 1 by {SAME:g} in the end", text, same))
    findings.append(agrees(f"simulation over theory, N = {size}", pairs))
    trained = derive(pairs, lambda risks: risks[1, -1] / risks[0, -1])
    quantity = f"trained, {taught[-1]} steps at {tame:g} of the best lr: risk over the lazy one"
    findings.append(trained.verdict(quantity))
    findings.append(_in_tau(e))
    for slope, style, label in ((e, "--", f"slope $-${e:.2f}"), (claimed, ":", f"slope $-${claimed:.3f}, fixed lr")):
        level = 0.9 * least[1][-1] * (horizons / horizons[-1]) ** -slope
        axes[0, 0].plot(horizons, level, color=plotting.CLOSED, ls=style, lw=1.0, label=label)
    plotting.finish(axes[0, 0], "steps", "least risk", f"a = {A:g}, b = {B:g}; trained: {seeds} seeds")
    plotting.finish(axes[0, 1], "steps", "best constant lr", "theory at N = P = $\\infty$")
    return Shown(figure, table, tuple(findings))


def best_rates(modes: Modes, steps: Sequence[int], richness: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the best constant rate for every number of steps, (T,), and its risk: grids of `count`, each finer."""
    best = []
    for last in progress.over(steps, f"steps, {richness:g}"):
        tried = np.geomspace(*RANGE, count)
        for _ in range(FINER):
            at = int(np.argmin(_finite(modes, tried, richness, last)))
            tried = np.geomspace(tried[max(at - 1, 0)], tried[min(at + 1, count - 1)], count)
        risks = _finite(modes, tried, richness, last)
        best.append((tried[np.argmin(risks)], risks.min()))
    rates, risks = np.array(best).T
    return rates, risks


def _finite(modes: Modes, rates: np.ndarray, richness: float, steps: int) -> np.ndarray:
    """Return the risk after all steps with each of some rates, inf where training diverges."""
    if richness == 0.0:
        left = (1.0 - rates[:, None] * np.asarray(modes.eigenvalues)) ** steps
        return left**2 @ np.asarray(modes.power)
    risks = np.asarray(_risks(modes, jnp.asarray(rates), jnp.float64(richness), steps))
    return np.where(np.isfinite(risks), risks, np.inf)


@partial(jax.jit, static_argnames="steps")
def _risks(modes: Modes, rates: jax.Array, richness: jax.Array, steps: int) -> jax.Array:
    """Return the risk after all steps with each of some rates, at N = P = infinity: modes are directions of curvature.

    Not by `theory.predict`, whose contour has no value near the edge of stability, where the best rates are.
    """
    drive = Drive(modes.eigenvalues, modes.eigenvalues * modes.power)

    def risk(lr: jax.Array) -> jax.Array:
        plan = Rates(jnp.full(steps, lr), 0.0, 0.0, 0.0)
        left = rich_steps(drive, jnp.array([steps]), plan, richness).response[0]
        return left**2 @ modes.power

    return jax.vmap(risk)(rates)


def _trained(model: tuple[int, int], steps: Counts, rates: np.ndarray, richness: float, keys: jax.Array) -> Comparison:
    """Train with a rate for every number of steps; model: N and modes."""
    problem, runs = rfm.power_law(A, B, model[1]), []
    for place, (count, lr) in enumerate(zip(steps, rates, strict=True)):
        args = Arguments(num_features=model[0], num_samples=np.inf, optimizer=rfm.GradientDescent(float(lr)),
                         times=np.array([count]))  # fmt: skip
        risks = rfm.exact(problem, **args | {"richness": richness}, keys=fold_keys(keys, place)).risk
        runs.append(beside(problem, args, richness, risks))
    risks, line = np.concatenate([run.risks for run in runs], axis=1), np.concatenate([run.theory for run in runs])
    return Comparison("steps", np.array(steps, float), risks, line, {"N": model[0], "richness": richness})


def _in_tau(e: float) -> Verdict:
    """Compare risks at equal tau, which as many steps of lr_t = c/m_t pass: with the closed ratio of the two laws."""
    times = np.geomspace(1e-3, LATE, 121)
    curve = theory.predict(rfm.power_law(A, B, None), **INFINITE, optimizer=FLOW, times=times, richness=RICHNESS)
    assert curve.kernel_growth is not None
    tau = lazy_clock(times, curve.kernel_growth)[-1:]
    ratio = float(curve.risk[-1] / risk_in_time(rfm.power_law(A, B, None), tau)[0])
    closed = integrals(e).risk * 2.0**e / math.gamma(e)
    return judge(f"lr as 1/m, as many steps: risk over the lazy one at tau = {tau[0]:.0e}", ratio, closed=closed)


main = Script(
    name="FL-10",
    title="No gain per step once the step size is tuned",
    source="this project, docs/richness.md; arXiv 2409.17858 has the exponent at a fixed step size",
    claim="with the best constant learning rate for each number of steps, training of features gains nothing per step",
    show=show,
    full=dict(steps=(256, 1024, 4096), rates=9, taught=(32, 128, 512), tame=0.75, size=256, modes=2000, seeds=32),
    smoke=dict(steps=(8, 32), rates=5, taught=(8,), tame=0.4, size=16, modes=60, seeds=16),
)
