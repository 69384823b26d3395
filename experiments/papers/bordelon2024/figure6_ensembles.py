"""S1 Fig. 6: an ensemble of small models against one large model of the same compute, and where each mode ends."""

import dataclasses

import jax
import numpy as np
from tqdm import tqdm

import rfm
import theory
from experiments.compare.comparison import agreement
from experiments.compare.keys import fold_keys
from experiments.compare.statistics import standard_error
from experiments.compare.verdicts import condition
from experiments.output import plotting
from experiments.papers.row import Script, Shown

A, B = 1.5, 1.25
MEMBERS = 4
TIMES = rfm.log_times(1e-1, 1e6, 29)
LADDER = (16, 64, 256, 1024, 4096, 16384)  # sizes of the theory: each is MEMBERS of the one before
TASKS = ((A, B), (3.0, 1.25), (2.0, 2.0))  # for theory alone: an easy one too, and a spectrum that falls faster
ENDLESS = 10**18  # modes that stand for infinitely many
EXACT = 1e-6  # relative gap of two routes through the theory to one number
FLOW, INF = rfm.GradientFlow(), np.inf


def one_mode(problem: rfm.Problem, k: int) -> rfm.Problem:
    """The same spectrum with a target on mode k alone (k = 1, 2, ... within the head), of risk one at the start.

    On fresh data Delta(t) = exp(-F^T F Lambda t) w, so that with S = Lambda^1/2 F^T F Lambda^1/2 the risk of this
    target is [exp(-2 S t)]_kk: the error Delta_k/w_k of mode k itself at time 2t, in every draw.
    """
    target = np.zeros_like(problem.target)
    target[k - 1] = problem.eigenvalues[k - 1] ** -0.5
    return dataclasses.replace(problem, target=target, tail=dataclasses.replace(problem.tail, power_scale=0.0))


def response(eigenvalues: np.ndarray, num_features: float) -> float:
    """r = lim R3(s)/s, s -> 0: mode k ends at 1/(1 + lambda_k r). It is 1/kappa where sum lambda/(lambda + kappa) = N,
    by bisection on the modes themselves."""
    low, high = np.log(eigenvalues[-1] * 1e-3), np.log(eigenvalues.sum())
    for _ in range(80):
        middle = 0.5 * (low + high)
        enough = np.sum(eigenvalues / (eigenvalues + np.exp(middle))) < num_features
        low, high = (low, middle) if enough else (middle, high)
    return float(np.exp(-0.5 * (low + high)))


def show(seed: int, sizes: tuple[int, ...], followed: tuple[int, ...], seeds: int, modes: int) -> Shown:
    """Risk of one model and of MEMBERS against compute K N t, their ratio at equal compute, and single modes.

    followed: which modes, in models of the smallest of sizes.
    """
    problem = rfm.power_law(A, B, modes)
    keys = jax.random.split(jax.random.key(seed), seeds)
    args = {"num_samples": INF, "optimizer": FLOW, "times": TIMES}
    lines = _ladder(problem)
    pairs = [(n, k) for n in sizes for k in (1, MEMBERS)]
    bar = tqdm(total=len(pairs) + len(followed), desc="training")
    runs, alone = {}, []
    for n, k in pairs:
        own = fold_keys(fold_keys(keys, n), k)  # so that a model and an ensemble of the same compute are independent
        runs[n, k] = rfm.simulate(problem, num_features=n, ensemble=k, keys=own, **args).risk
        bar.update()
    for k in followed:
        own = fold_keys(fold_keys(keys, sizes[0]), MEMBERS + k)
        alone.append(rfm.simulate(one_mode(problem, k), num_features=sizes[0], keys=own, **args).risk)
        bar.update()
    bar.close()

    figure, axes = plotting.new_figure(1, 3, width=4.2)
    found = [agreement(
        np.concatenate([runs[pair][:, ::3] for pair in pairs], axis=1),
        np.concatenate([lines[pair][::3] for pair in pairs]), np.repeat([n for n, _ in pairs], len(TIMES[::3])),
    )]  # fmt: skip
    _against_compute(axes[0, 0], sizes, runs, lines)
    found += _wider(axes[0, 1], sizes, runs, lines)
    found += _modes(axes[0, 2], problem, sizes[0], followed, alone)
    table = [
        {"N": n, "members": k, "t": t, "compute": k * n * t, "risk": m, "stderr": s, "theory": line}
        for (n, k), risk in runs.items()
        for t, m, s, line in zip(TIMES, risk.mean(0), standard_error(risk), lines[n, k], strict=True)
    ]
    return Shown(figure, table, tuple(found))


def _ladder(problem: rfm.Problem) -> dict[tuple[int, int], np.ndarray]:
    """Theory (T,) of every (N, members)."""
    grid = {"num_features": LADDER, "ensemble": (1, MEMBERS)}
    risk = theory.sweep(problem, grid, num_samples=INF, optimizer=FLOW, times=TIMES).risk
    return {(n, k): risk[i, j] for i, n in enumerate(LADDER) for j, k in enumerate((1, MEMBERS))}


def _against_compute(ax, sizes, runs, lines):
    """One model filled, an ensemble hollow."""
    for index, n in enumerate(sizes):
        for k in (1, MEMBERS):
            label = f"N = {n}" + (f", {k} models" if k > 1 else "")
            plotting.draw_pair(ax, k * n * TIMES, runs[n, k], k * n * TIMES, lines[n, k], label, index, k > 1)
    plotting.finish(ax, "compute $C = K N t$", "risk", f"a = {A:g}, b = {B:g}; {len(runs[sizes[0], 1])} seeds")


def _wider(ax, sizes, runs, lines):
    """One model of MEMBERS times the size over the ensemble: the same compute at the same time."""
    ladders = {(a, b): _ladder(rfm.power_law(a, b, ENDLESS)) for a, b in TASKS}
    told, below = [], True
    for index, n in enumerate(sizes):
        trained = (MEMBERS * n, 1) in runs
        # a model that is not trained is not held to the modes of those that are: it would see nearly all of them
        risk = lines if trained else ladders[A, B]
        line, label = risk[MEMBERS * n, 1] / risk[n, MEMBERS], f"N = {MEMBERS * n} over {MEMBERS} of {n}"
        if not trained:
            ax.plot(TIMES, line, color=plotting.COLORS[index], lw=1.3, label=f"{label}, M = $\\infty$")
            continue
        wide, many = runs[MEMBERS * n, 1], runs[n, MEMBERS]
        # to first order in the errors of both; the draws are independent
        ratio = wide.mean(0) / many.mean(0) * (1.0 + wide / wide.mean(0) - many / many.mean(0))  # (S, T)
        plotting.draw_pair(ax, TIMES, ratio, TIMES, line, label, index)
        end, error = ratio[:, -1].mean(), standard_error(ratio)[-1]
        told.append(f"{end:.3f} ± {error:.3f} at N = {n} (theory {line[-1]:.3f})")
        below &= bool(end + 2.0 * error < 1.0)
    ax.axhline(1.0, color="0.6", lw=0.8, zorder=0)
    plotting.finish(ax, "time $t$", "one wide model/ensemble", "equal compute at equal time", log=False)
    ax.set_xscale("log")
    closest = {
        task: min(float(np.min(1.0 - risk[MEMBERS * n, 1] / risk[n, MEMBERS])) for n in LADDER[:-1])
        for task, risk in ladders.items()
    }
    told_theory = ", ".join(f"1 - {gap:.1g} at a = {a:g}, b = {b:g}" for (a, b), gap in closest.items())
    return [
        condition(f"one model of {MEMBERS} N over {MEMBERS} models of N, trained, at the end", "below one",
                  "; ".join(told), below),
        condition("the same, theory", "below one",
                  f"largest of all times from {TIMES[0]:g} to {TIMES[-1]:g} and N = {LADDER[0]} to {LADDER[-2]}: "
                  f"{told_theory}", min(closest.values()) > 0.0),
    ]  # fmt: skip


def _modes(ax, problem, n, followed, alone):
    """The error of single modes: each is learned in turn, as far as N features can tell it from the others."""
    lam, _ = problem.modes(0, int(problem.num_modes))
    lam = np.asarray(lam)
    r = response(lam, n)
    lines = np.array([_ladder(one_mode(problem, k))[n, 1] for k in followed])
    known = 1.0 / (1.0 + lam[np.array(followed) - 1] * r)
    for index, k in enumerate(followed):
        plotting.draw_pair(ax, 2.0 * TIMES, alone[index], 2.0 * TIMES, lines[index], f"k = {k}", index)
        ax.axhline(known[index], color=plotting.COLORS[index], lw=0.8, ls=":")
    plotting.finish(ax, "time $t$", r"mean error $\Delta_k/w_k$", f"N = {n}; dots: $1/(1 + \\lambda_k r)$, r = {r:.3g}")
    gap = float(np.abs(lines[:, -1] / known - 1.0).max())
    rule = f"r = 1/kappa = {r:.4g}, sum lambda/(lambda + kappa) = N: theory within {gap:.1g} of it"
    told = ", ".join(
        f"{risk[:, -1].mean():.3f} ± {standard_error(risk)[-1]:.3f} ({value:.3f}) at k = {k}"
        for risk, value, k in zip(alone, known, followed, strict=True)
    )
    risks = np.stack(alone, axis=1)[..., ::3]  # (S, k, T)
    return [
        agreement(risks.reshape(len(risks), -1), lines[:, ::3].ravel(), float(n),
                  f"error of single modes, N = {n}: theory = simulation"),
        condition(f"plateau of mode k, N = {n}", "1/(1 + lambda_k r)", f"{rule}; trained {told}", gap < EXACT),
    ]  # fmt: skip


main = Script(
    name="S1-6",
    title="At equal compute one wide model beats an ensemble",
    source="Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), Fig. 6",
    claim="an ensemble averages the variance away not the plateau 1/(1 + lambda r) of a mode: width lowers both",
    show=show,
    full=dict(sizes=(64, 256, 1024), followed=(1, 4, 16, 64), seeds=16, modes=5000),
    smoke=dict(sizes=(16, 64), followed=(1, 16), seeds=4, modes=1000),
)
