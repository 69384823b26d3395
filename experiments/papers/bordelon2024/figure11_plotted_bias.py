"""S1 Fig. 11: isotropic features on fresh data, what a finite model adds to the loss; the paper plots its bias."""

import jax
import numpy as np

import rfm
import theory
from experiments.compare.comparison import AXES, agreement
from experiments.compare.verdicts import CONFIRMED, CONTRADICTED, OPEN, Verdict, condition, judge
from experiments.output import plotting
from experiments.papers.row import Script, Shown

FLOW, INF = rfm.GradientFlow(), np.inf
TIMES = np.linspace(0.25, 8.0, 32)
READ = (2.0, 5.0, 9.67e-3)  # nu, t and the value of S1's curve there
RATIOS = (2.0, 5.0, 20.0, 200.0)  # nu of the curves against time
NUS = np.geomspace(2.0, 200.0, 31)
FIXED = (1.0, 2.0, 5.0)  # times of the correction against nu
STEP = 0.1  # in log nu


def show(seed: int, num_modes: int, trained: tuple[float, ...], members: int, seeds: int) -> Shown:
    """Risk and squared bias over |w|^2 against time, and what nu = N/M adds to both, against nu."""
    problem = rfm.white(num_modes)
    args = {"num_samples": INF, "optimizer": FLOW, "times": TIMES}
    sizes = [round(nu * num_modes) for nu in trained]
    grid = {"num_features": sizes, "ensemble": [1, members]}
    keys = jax.random.split(jax.random.key(seed), seeds)
    simulated = rfm.sweep(problem, grid, keys, **args, progress=True).risk / num_modes  # (N, 2, S, T)
    one, average = simulated[:, 0], simulated[:, 1]
    # the risk of an average of K is bias + (risk - bias)/K: two averages leave the bias, without error on the mean
    bias = (members * average - one) / (members - 1)  # (N, S, T)
    predicted = {nu: _theory(problem, nu) for nu in trained}
    figure, axes = plotting.new_figure(1, 3)
    _against_time(axes[0, 0], axes[0, 1], problem, trained, one, bias)
    _against_size(axes[0, 2], problem, trained, one, bias)
    table = [
        {"nu": nu, "t": t, "risk": one[i, :, j].mean(), "stderr": one[i, :, j].std(ddof=1) / np.sqrt(seeds),
         "theory": predicted[nu][0][j], "bias": bias[i, :, j].mean(), "bias_theory": predicted[nu][1][j]}
        for i, nu in enumerate(trained) for j, t in enumerate(TIMES)
    ]  # fmt: skip
    every = slice(3, None, 4)
    findings = [
        agreement(
            np.moveaxis(samples[..., every], 1, 0).reshape(seeds, -1),
            np.concatenate([predicted[nu][which][every] for nu in trained]),
            np.repeat(sizes, len(TIMES[every])), f"theory = simulation, {name}",
        )
        for which, name, samples in ((0, "risk", one), (1, "squared bias", bias))
    ]  # fmt: skip
    findings.append(_plotted(trained, one, bias, predicted))
    return Shown(figure, table, (*findings, *_corrections(problem)))


def _theory(problem, nu: float) -> tuple[np.ndarray, np.ndarray]:
    """Risk and squared bias over |w|^2 at TIMES, each (T,)."""
    parts = theory.decompose(problem, num_features=nu * problem.num_modes, num_samples=INF, optimizer=FLOW, times=TIMES)
    return parts.risk / problem.num_modes, parts.bias / problem.num_modes


def _against_time(left, right, problem, trained, one, bias):
    """The risk on the left, on the right what S1 plots, with the value that is read off it."""
    for index, nu in enumerate(RATIOS):
        for ax, which, samples in ((left, 0, one), (right, 1, bias)):
            line, label = _theory(problem, nu)[which], rf"$\nu$ = {nu:g}"
            if nu in trained:
                some = slice(3, None, 4)
                points = samples[trained.index(nu)][:, some]
                plotting.draw_pair(ax, TIMES[some], points, TIMES, line, label, index)
            else:
                ax.plot(TIMES, line, color=plotting.COLORS[index], lw=1.3, label=label + ", theory")
    titles = ("our loss: the risk", "what S1 plots: the squared bias")
    for ax, title in zip((left, right), titles, strict=True):
        ax.plot(TIMES, np.exp(-2.0 * TIMES), "k:", lw=1, label=r"$N = \infty$, $e^{-2t}$")
        ax.plot(*READ[1:], "k*", ms=9, mfc="none", label=rf"S1 at $\nu$ = {READ[0]:g}: {READ[2]:.2e}")
        plotting.finish(ax, AXES["time"], r"loss over $|w|^2$", title)
        ax.set_xscale("linear")
        ax.set_ylim(3e-8, 1.5)


def _against_size(ax, problem, trained, one, bias):
    """What a finite size adds at a fixed time: both as 1/nu, but the risk twice as much."""
    fixed = [int(np.argmin(np.abs(TIMES - t))) for t in FIXED]
    lines = np.array([_theory(problem, nu) for nu in NUS])[..., fixed]  # (nu, 2, times)
    limit = np.exp(-2.0 * np.array(FIXED))
    for index, (at, t) in enumerate(zip(fixed, FIXED, strict=True)):
        for which, samples, name in ((0, one, "risk"), (1, bias, "bias")):
            points = samples[:, :, at].T - limit[index]
            label = f"{name}, $t$ = {t:g}"
            plotting.draw_pair(
                ax, trained, points, NUS, lines[:, which, index] - limit[index], label, index, which == 1
            )
    guide = NUS[NUS > 20.0]
    ax.plot(guide, 0.4 * (lines[-1, 1, -1] - limit[-1]) * guide[-1] / guide, "k", lw=1, label="slope $-1$")
    plotting.finish(ax, r"$\nu = N/M$", r"loss $-$ loss at $N = \infty$", "what a finite model adds")


def _plotted(trained, one, bias, predicted) -> Verdict:
    """The value that S1's figure shows where it says loss."""
    nu, t, claim = READ
    row, at = trained.index(nu), int(np.argmin(np.abs(TIMES - t)))
    risk, squared = predicted[nu][0][at], predicted[nu][1][at]
    errors = [x[row, :, at].std(ddof=1) / np.sqrt(x.shape[1]) for x in (one, bias)]
    measured = (
        f"{risk:.2e} (trained {one[row, :, at].mean():.2e} ± {errors[0]:.0e}); {claim:.2e} is the squared bias: theory "
        f"{squared:.2e}, trained {bias[row, :, at].mean():.2e} ± {errors[1]:.0e}"
    )
    if abs(risk / claim - 1.0) < 0.01:
        verdict = CONFIRMED
    else:
        verdict = CONTRADICTED if abs(squared / claim - 1.0) < 0.01 else OPEN
    return Verdict(f"loss at nu = {nu:g}, t = {t:g}", f"{claim:.2e}", measured, verdict)


def _corrections(problem) -> list[Verdict]:
    """Against nu at large nu, theory alone; the bias H_k(t)^2 against the risk H_k(2t), H_k = e^-t (1 + t^2/(2 nu))."""
    large, at = 1e4, int(np.argmin(np.abs(TIMES - FIXED[1])))
    low, high = (np.array(_theory(problem, large * np.exp(x)))[:, at] - np.exp(-2.0 * TIMES[at]) for x in (-STEP, STEP))
    slopes, ratio = -np.log(high / low) / (2.0 * STEP), np.sqrt(low[0] * high[0] / (low[1] * high[1]))
    return [
        judge(f"correction of the {name}, theory at nu = {large:g}", slope, claimed=1.0)
        for name, slope in zip(("risk", "squared bias"), slopes, strict=True)
    ] + [
        condition("correction of the risk over that of the bias", "-",
                  f"{ratio:.3f} (closed form 2): the plotted curves understate it by half", abs(ratio - 2.0) < 0.01),
    ]  # fmt: skip


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
