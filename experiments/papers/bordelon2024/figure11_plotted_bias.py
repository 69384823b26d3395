"""S1 Fig. 11: isotropic features on fresh data, what a finite model adds to the loss; the paper plots its bias."""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import numpy as np
from matplotlib.axes import Axes

import rfm
import theory
from experiments.compare.comparison import AXES, Comparison, across
from experiments.compare.equivalence import agreement
from experiments.compare.laws import FLOW
from experiments.compare.verdicts import CONTRADICTED, OPEN, Verdict, condition, judge
from experiments.output import console, plotting
from experiments.papers.row import Script, Shown, Values

BIAS_TIMES = np.linspace(0.25, 8.0, 32)
NAMED = {"risk": "risk", "bias": "squared bias"}
NU_READ, T_READ, READ = 2.0, 5.0, 9.67e-3  # nu, t and the value of S1's curve there
DRAWN_NUS = (2.0, 5.0, 20.0, 200.0)  # nu of the curves against time
LARGE_NUS = np.geomspace(2.0, 200.0, 31)
FIXED_TIMES = (1.0, 2.0, 5.0)  # times of the correction against nu
STEP_IN_LOG_NU = 0.1  # in log nu

Parts = Mapping[str, Sequence[Comparison]]  # risk and bias over |w|^2 along time, one for each nu that is trained


def show(seed: int, num_modes: int, trained: Values, members: int, seeds: int) -> Shown:
    """Show risk and squared bias over |w|^2 against time, and what nu = N/M adds to both, against nu."""
    problem = rfm.white(num_modes)
    sizes = [round(nu * num_modes) for nu in trained]
    grid = {"num_features": sizes, "ensemble": [1, members]}
    keys = jax.random.split(jax.random.key(seed), seeds)
    shows = console.shows_progress()
    swept = rfm.sweep(problem, grid, keys, num_samples=np.inf, optimizer=FLOW, times=BIAS_TIMES, progress=shows)
    alone, average = np.moveaxis(swept.risk / num_modes, 1, 0)
    # the risk of an average of K is bias + (risk - bias)/K: two averages leave the bias, without error on the mean
    risks = {"risk": alone, "bias": (members * average - alone) / (members - 1)}  # (N, S, T) each
    curves = {
        part: [
            Comparison("time", BIAS_TIMES, of_size, _theory(problem, nu)[part], {"nu": nu, "N": n, "P": np.inf})
            for nu, n, of_size in zip(trained, sizes, risks[part], strict=True)
        ]
        for part in NAMED
    }
    figure, axes = plotting.new_figure(1, 3)
    _against_time(axes[0, 0], problem, "risk", curves, "our loss: the risk")
    _against_time(axes[0, 1], problem, "bias", curves, "what S1 plots: the squared bias")
    _against_size(axes[0, 2], problem, curves)
    few = {part: [curve.at(slice(3, None, 4)) for curve in curves[part]] for part in NAMED}
    agree = [agreement(few[part], f"simulation against theory, {name}") for part, name in NAMED.items()]
    columns = ("nu", "t", "risk", "stderr", "theory", "bias", "bias_theory")
    table = []
    for risk, bias in zip(curves["risk"], curves["bias"], strict=True):
        table += risk.rows(*columns, bias=bias.mean, bias_theory=bias.theory)
    return Shown(figure, table, (*agree, _plotted(curves), *_corrections(problem)))


def _theory(problem: rfm.Problem, nu: float) -> dict[str, np.ndarray]:
    """Return risk and squared bias over |w|^2 at BIAS_TIMES, (T,) each."""
    n = nu * problem.num_modes
    parts = theory.decompose(problem, num_features=n, num_samples=np.inf, optimizer=FLOW, times=BIAS_TIMES)
    return {"risk": parts.risk / problem.num_modes, "bias": parts.bias / problem.num_modes}


def _against_time(ax: Axes, problem: rfm.Problem, part: str, curves: Parts, title: str) -> None:
    """Draw the risk, or the bias that S1 plots, with the value that is read off its figure."""
    trained = {curve.fixed["nu"]: curve for curve in curves[part]}
    for index, nu in enumerate(DRAWN_NUS):
        if nu in trained:
            plotting.draw(ax, trained[nu].at(slice(3, None, 4)), index, label=rf"$\nu$ = {nu:g}")
        else:
            line = _theory(problem, nu)[part]
            ax.plot(BIAS_TIMES, line, color=plotting.COLORS[index], lw=1.3, label=rf"$\nu$ = {nu:g}, theory")
    ax.plot(BIAS_TIMES, np.exp(-2.0 * BIAS_TIMES), "k:", lw=1, label=r"$N = \infty$, $e^{-2t}$")
    ax.plot(T_READ, READ, "k*", ms=9, mfc="none", label=rf"S1 at $\nu$ = {NU_READ:g}: {READ:.2e}")
    plotting.finish(ax, AXES["time"], r"loss over $|w|^2$", title)
    ax.set(xscale="linear", ylim=(3e-8, 1.5))


def _against_size(ax: Axes, problem: rfm.Problem, curves: Parts) -> None:
    """Draw what a finite size adds at fixed times: both as 1/nu, but the risk twice as much."""
    lines = [_theory(problem, nu) for nu in LARGE_NUS]
    last = 0.0
    for index, t in enumerate(FIXED_TIMES):
        at, limit = int(np.argmin(np.abs(BIAS_TIMES - t))), np.exp(-2.0 * t)
        for part in NAMED:
            line = np.array([parts[part][at] for parts in lines])
            pair = dataclasses.replace(across(curves[part], "nu", t), line_x=LARGE_NUS, line=line).minus(limit)
            plotting.draw(ax, pair, index, label=f"{part}, $t$ = {t:g}", hollow=part == "bias")
            last = line[-1] - limit
    guide = LARGE_NUS[LARGE_NUS > 20.0]
    ax.plot(guide, 0.4 * last * guide[-1] / guide, "k", lw=1, label="slope $-1$")
    plotting.finish(ax, r"$\nu = N/M$", r"loss $-$ loss at $N = \infty$", "what a finite model adds")


def _plotted(curves: Parts) -> Verdict:
    """Return the verdict on the value that S1's figure shows where it says loss."""
    claim, at = READ, int(np.argmin(np.abs(BIAS_TIMES - T_READ)))
    risk, bias = (next(c for c in curves[part] if c.fixed["nu"] == NU_READ) for part in NAMED)
    measured = (
        f"{risk.theory[at]:.2e} (trained {risk.mean[at]:.2e} ± {risk.stderr[at]:.0e}); {claim:.2e} is the squared "
        f"bias: theory {bias.theory[at]:.2e}, trained {bias.mean[at]:.2e} ± {bias.stderr[at]:.0e}"
    )
    is_risk, is_bias = (bool(abs(part.theory[at] / claim - 1.0) < 0.01) for part in (risk, bias))
    quantity, otherwise = f"loss at nu = {NU_READ:g}, t = {T_READ:g}", CONTRADICTED if is_bias else OPEN
    return condition(quantity, f"{claim:.2e}", measured, is_risk, no=otherwise)


def _corrections(problem: rfm.Problem) -> list[Verdict]:
    """Judge theory at large nu: the bias H_k(t)^2 against the risk H_k(2t), H_k = e^-t (1 + t^2/(2 nu))."""
    large, at = 1e4, int(np.argmin(np.abs(BIAS_TIMES - FIXED_TIMES[1])))
    low, high = (_theory(problem, large * np.exp(x)) for x in (-STEP_IN_LOG_NU, STEP_IN_LOG_NU))
    findings, product = [], {}
    for part, name in NAMED.items():
        below, above = (float(parts[part][at] - np.exp(-2.0 * BIAS_TIMES[at])) for parts in (low, high))
        slope, product[part] = -np.log(above / below) / (2.0 * STEP_IN_LOG_NU), below * above
        findings.append(judge(f"correction of the {name}, theory at nu = {large:g}", slope, claimed=1.0))
    ratio = np.sqrt(product["risk"] / product["bias"])
    measured = f"{ratio:.3f} (closed form 2): the plotted curves understate it by half"
    near = bool(abs(ratio - 2.0) < 0.01)
    return [*findings, condition("correction of the risk over that of the bias", "-", measured, near)]


main = Script(
    name="S1-11",
    title="What a finite model adds to the loss on isotropic features",
    source="Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), Fig. 11",
    claim="the loss at nu = N/M tends to exp(-2t) with a correction of 1/nu; the curves shown are the loss",
    show=show,
    full=dict(num_modes=50, trained=(2.0, 5.0, 20.0), members=8, seeds=16),
    smoke=dict(num_modes=20, trained=(2.0,), members=2, seeds=4),
    limits="trained up to nu = 20, N = 1000; what lies beyond, to 200, is theory",
)
