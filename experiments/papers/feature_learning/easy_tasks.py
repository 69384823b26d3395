"""FL-2: easy tasks: the exponent stays, time runs faster by the growth of the kernel, and fits claim a gain.

Models are trained on P samples with all features, N = infinity, whose floor P^-(a-1) is far below what they reach: that
of N features, as N^-b, would hide the law in time.
"""

import jax
import numpy as np

import rfm
import theory
from experiments.compare.comparison import AXES, INFINITE
from experiments.compare.keys import fold_keys
from experiments.compare.laws import FLOW, risk_in_time
from experiments.compare.statistics import STEP, log_derivative
from experiments.compare.verdicts import CLOSE, condition, judge
from experiments.output import plotting, progress
from experiments.papers.feature_learning.training import B, agrees, solved
from experiments.papers.row import Script, Shown, Values
from rfm.arguments import Arguments
from theory import exponents

LATE, EARLY = 1e6, 10.0


def show(seed: int, *, a: float, richness: Values, sizes: Values, modes: int, window: Values, seeds: int) -> Shown:
    """Show risks of trained models with their slopes, and the local exponent of theory against time."""
    key, e = jax.random.key(seed), exponents.time_exponent(a, B)
    infinite, problem = rfm.power_law(a, B, None), rfm.power_law(a, B, modes)
    figure, axes = plotting.new_figure(1, 2, width=4.4)
    times, line = np.geomspace(window[0], window[1], 9), np.geomspace(0.3 * window[0], 3.0 * window[1], 41)
    span = np.geomspace(0.5, LATE, 61)
    findings, table, pairs = [], [], []
    for index, gamma in enumerate(progress.over((0.0, *richness), "richness")):
        args = Arguments(num_features=sizes[0], num_samples=sizes[1], optimizer=FLOW, times=times)
        keys = jax.random.split(fold_keys(key, index), seeds)
        pairs.append(solved(problem, args, gamma, keys, line))
        slope = pairs[-1].slope()
        label = f"{pairs[-1].label}: slope $-${slope.simulated:.2f} $\\pm$ {slope.stderr:.2f}"
        plotting.draw(axes[0, 0], pairs[-1], index, label=label)
        local = _local(infinite, span, gamma)
        axes[0, 1].plot(span, local, color=plotting.COLORS[index], lw=1.3, label=pairs[-1].label)
        table += pairs[-1].rows() + [{"richness": gamma, "t": t, "local": x} for t, x in zip(span, local, strict=True)]
        name = f"richness {gamma:g}"
        findings.append(judge(f"{name}: exponent at t = {LATE:g}", float(local[-1]), claimed=e))
        if gamma == 0.0:
            continue
        late = np.array([LATE])
        grown = theory.predict(infinite, **INFINITE, optimizer=FLOW, times=late, richness=gamma).kernel_growth
        assert grown is not None
        law = exponents.rich_time_amplitude(a, B, gamma) / exponents.time_amplitude(a, B)
        ratio = float(risk_in_time(infinite, late, richness=gamma)[0] / risk_in_time(infinite, late)[0])
        findings.append(judge(f"{name}: growth in the end to the power -e", float(grown[0]) ** -e / law, claimed=1.0))
        findings.append(judge(f"{name}: risk over lazy risk, over it", ratio / law, claimed=1.0))
        early = -log_derivative(lambda t, x=gamma: risk_in_time(infinite, t, richness=x), EARLY)
        text = f"{early:.3f}, e = {e:.3f}"
        findings.append(condition(f"{name}: local exponent at t = {EARLY:g}", "above e", text, early > e + CLOSE))
        above = slope.simulated - 2.0 * slope.stderr > e
        text = f"{slope.simulated:.3f} ± {slope.stderr:.3f}, e = {e:.3f}"
        where = f"{name}: slope fitted to trained models, t = {window[0]:g} to {window[1]:g}"
        findings.append(condition(where, "above e: a gain that is none", text, above))
    findings.append(agrees("simulation over theory", pairs))
    axes[0, 1].axhline(e, color=plotting.CLOSED, ls="--", lw=1, label=f"e = {e:.2f}")
    title = f"a = {a:g}, b = {B:g}, N = {plotting.number(sizes[0])}, P = {plotting.number(sizes[1])}; {seeds} seeds"
    plotting.finish(axes[0, 0], AXES["time"], "risk", title)
    plotting.finish(axes[0, 1], AXES["time"], "local exponent of the risk", "theory at N = P = $\\infty$", log=False)
    axes[0, 1].set_xscale("log")
    return Shown(figure, table, tuple(findings))


def _local(problem: rfm.Problem, times: np.ndarray, richness: float) -> np.ndarray:
    """Return -d log risk/d log t (T,)."""
    beside = np.sort(np.concatenate([times * np.exp(-STEP), times * np.exp(STEP)]))
    risks = np.log(risk_in_time(problem, beside, richness=richness))
    low, high = (np.searchsorted(beside, times * np.exp(x) * (1.0 - 1e-9)) for x in (-STEP, STEP))
    return (risks[low] - risks[high]) / (2.0 * STEP)


main = Script(
    name="FL-2",
    title="Easy tasks: another clock, the same law, and a fit that claims a gain",
    source="arXiv 2409.17858 (exponents); this project, docs/richness.md (amplitudes)",
    claim="training of features leaves an exponent e > 1 as it is; time runs faster by the growth of the kernel"
    " in the end, and a fit at finite times claims a gain all the same",
    show=show,
    full=dict(a=2.6, richness=(0.3, 1.0, 10.0), sizes=(np.inf, 512), modes=2000, window=(1.0, 10.0), seeds=96),
    smoke=dict(a=2.6, richness=(1.0,), sizes=(24, 16), modes=60, window=(1.0, 5.0), seeds=16),
)
