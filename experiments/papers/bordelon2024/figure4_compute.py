"""S1 Fig. 4: the best risk for a budget of compute C = N t, on hard tasks and on one that is easy.

The problem has PER_FEATURE modes for every feature. At b = 1 the trace of the spectrum diverges with the number of
modes: at M fixed the largest models would come to see all modes, and every exponent would drift with log M. With M in
proportion to N, kappa N is one number for all N and the laws are those of infinitely many modes where b > 1.
"""

import jax
import numpy as np
from tqdm import tqdm

import rfm
import theory
from experiments.compare.comparison import agreement
from experiments.compare.keys import fold_keys
from experiments.compare.statistics import bootstrap_slope, log_slope, standard_error
from experiments.compare.verdicts import CLOSE, REFINED, condition, judge
from experiments.output import plotting
from experiments.papers.row import Script, Shown
from theory import exponents

PER_FEATURE = 20
TIMES = 2.0 ** np.arange(-1.0, 16.5, 0.5)  # sizes are powers of two: all models meet at the same budgets
LINE = np.geomspace(1e2, 1e6, 7)
FAR = (1e10, 1e14, 1e18)  # where theory alone measures exponents: the first, or the limit of all three
NODES = 64  # of the contour of the frontier: exponents to 1e-4
FLOW, INF = rfm.GradientFlow(), np.inf


def show(seed: int, tasks: tuple[tuple[float, float], ...], sizes: tuple[int, ...], seeds: int) -> Shown:
    """Risk against compute of models of every size, the envelope of the trained ones, and the frontier of theory."""
    keys = jax.random.split(jax.random.key(seed), seeds)
    figure, axes = plotting.new_figure(len(tasks) // 2, 2, width=4.4)
    found, table = [], []
    bar = tqdm(total=len(tasks) * len(sizes), unit="size")
    for task, (ax, (a, b)) in enumerate(zip(axes.flat, tasks, strict=True)):
        own = fold_keys(keys, task)  # draws of their own, or all tasks would be lucky at the same size
        bar.set_description(f"a = {a:g}, b = {b:g}")
        risks, predicted = [], []
        for n in sizes:
            problem = rfm.power_law(a, b, PER_FEATURE * n)
            args = dict(num_features=n, num_samples=INF, optimizer=FLOW, times=TIMES)
            risks.append(rfm.simulate(problem, **args, keys=fold_keys(own, n)).risk)
            predicted.append(theory.predict(problem, **args).risk)
            bar.update()
        risks, predicted = np.stack(risks, axis=1), np.array(predicted)  # (S, N, T), (N, T)
        line = theory.frontier(
            rfm.power_law(a, b, PER_FEATURE * sizes[-1]), np.array([*LINE, *FAR]), optimizer=FLOW,
            modes_per_feature=PER_FEATURE, nodes=NODES,
        )  # fmt: skip
        compute, best, index = envelope(sizes, predicted)
        trained = risks[:, best, index]  # (S, C)
        found += _findings(a, b, sizes, risks, predicted, compute, trained, predicted[best, index], line)
        _draw(ax, a, b, sizes, risks, predicted, compute, trained, line)
        table += [
            {"a": a, "b": b, "N": n, "t": t, "compute": n * t, "risk": m, "stderr": s, "theory": p}
            for i, n in enumerate(sizes)
            for t, m, s, p in zip(TIMES, risks[:, i].mean(0), standard_error(risks[:, i]), predicted[i], strict=True)
        ]
    bar.close()
    return Shown(figure, table, tuple(found))


def envelope(sizes: tuple[int, ...], predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Budgets (C,) at which one of the inner sizes is best in theory, and which size and time it is: indices (C,).

    Theory chooses, so that no draw is picked for being lucky; where the smallest or the largest of sizes is best, one
    that is not here would be better still.
    """
    compute = np.multiply.outer(np.array(sizes, float), TIMES)  # (N, T)
    found = []
    for c in np.unique(compute[0]):
        size, time = np.nonzero(np.isclose(compute, c))
        if len(size) == len(sizes):
            i = int(np.argmin(predicted[size, time]))
            if 0 < size[i] < len(sizes) - 1:
                found.append((c, size[i], time[i]))
    compute, best, index = zip(*found, strict=True)
    return np.array(compute), np.array(best), np.array(index)


def claimed_size(a: float, b: float) -> float:
    """N* ~ C^x of S1: the limits t^-((a-1)/b) and N^-min(a-1, 2b) balance, r_t/(r_t + r_N)."""
    time, model = exponents.CLAIMS["time"].exponent(a, b), exponents.CLAIMS["model"].exponent(a, b)
    return time / (time + model)


def limit(values: np.ndarray, compute: np.ndarray) -> float:
    """Of an exponent that is approached as 1/log C: a straight line in 1/log C, at zero."""
    return float(np.polyfit(1.0 / np.log(compute), values, 1)[1])


def _findings(a, b, sizes, risks, predicted, compute, trained, best, line):
    task = f"a = {a:g}, b = {b:g}"
    claim = exponents.CLAIMS["compute"].exponent(a, b)
    size, risk = exponents.frontier_exponents(a, b)
    some = slice(2, None, 5)
    found = [agreement(
        risks[..., some].reshape(len(risks), -1), predicted[:, some].ravel(),
        np.repeat(np.array(sizes, float), predicted[:, some].shape[1]), f"{task}: theory = simulation",
    )]  # fmt: skip
    slope, error = bootstrap_slope(compute, trained)
    window = f"trained, best of N = {sizes[0]} to {sizes[-1]}, C = {compute[0]:.0f} to {compute[-1]:.0f}"
    known = {} if abs(claim - risk) < CLOSE else {"claimed": claim}  # slopes at finite sizes are nobody's claim
    found.append(judge(f"{task}: compute, {window}, beside theory there", -slope, closed=-log_slope(compute, best),
                          error=error, **known))  # fmt: skip
    far = np.array(FAR)
    risk_slopes, size_slopes = line.risk_exponent[-len(far) :], line.size_exponent[-len(far) :]
    edge = abs(a - 1.0 - b) < 1e-9
    where = f"theory at C = {FAR[0]:g}"
    measured, measured_size = risk_slopes[0], size_slopes[0]
    if edge:
        where = f"theory from C = {FAR[0]:g} to {FAR[-1]:g}, limit in 1/log C"
        measured, measured_size = limit(risk_slopes, far), limit(size_slopes, far)
    found += [
        judge(f"{task}: compute, {where}", measured, claimed=claim, closed=risk),
        judge(f"{task}: best size in compute, {where}", measured_size, claimed=claimed_size(a, b), closed=size),
    ]
    if edge:
        slopes = np.array([line.risk_exponent[0], line.risk_exponent[len(LINE) - 1], *risk_slopes])
        at = (LINE[0], LINE[-1], *FAR)
        told = ", ".join(f"{s:.3f} at C = {c:g}" for s, c in zip(slopes, at, strict=True))
        holds = bool(np.all(np.diff(slopes) > 0) and risk_slopes[0] < claim - CLOSE)
        told = f"a - 1 = b, where the model law carries a logarithm: {told}"
        found.append(condition(f"{task}: compute, at finite C", f"{claim:.3f}", told, holds, REFINED))
    return found


def _draw(ax, a, b, sizes, risks, predicted, compute, trained, line):
    every = slice(1, None, 4)
    for i, n in enumerate(sizes):
        plotting.draw_pair(ax, n * TIMES[every], risks[:, i, every], n * TIMES, predicted[i], "_", i,
                           style={"lw": 0.9})  # fmt: skip
        text = f"N = {n}" if i == 0 else f"{n}"
        ax.text(1.3 * n * TIMES[-1], predicted[i, -1], text, color=plotting.COLORS[i], fontsize=6.5, va="center")
    on_line = slice(len(LINE))
    c, risk = line.compute[on_line], line.risk[on_line]
    ax.plot(c, risk, "k", lw=1.6, label="frontier of theory")
    slope, error = bootstrap_slope(compute, trained)
    ax.axvspan(compute[0], compute[-1], color="0.93", zorder=-1)
    ax.plot(compute, 0.5 * trained.mean(0)[0] * (compute / compute[0]) ** slope, "k", lw=0.9, ls="-.",
            label=f"best of those trained: $-${-slope:.3f} $\\pm$ {error:.3f}")  # fmt: skip
    claim, closed = exponents.CLAIMS["compute"].exponent(a, b), exponents.frontier_exponents(a, b)[1]
    start = np.searchsorted(c, compute[0])
    for value, style, label in ((closed, "--", "closed form"), (claim, ":", "claimed, and fails:")):
        if label == "closed form" or abs(claim - closed) > CLOSE:
            ax.plot(c[start:], risk[start] * (c[start:] / c[start]) ** -value, color=plotting.COLORS[1], lw=1.4,
                    ls=style, label=f"{label} {value:.3f}", zorder=5)  # fmt: skip
    ax.set_ylim(0.3 * min(risk[-1], predicted[-1, -1]), 2.0 * predicted[:, 0].max())
    plotting.finish(ax, "compute $C = N t$", "risk", f"a = {a:g}, b = {b:g}, M = {PER_FEATURE} N; {len(risks)} seeds")
    ax.legend(fontsize=6.5, frameon=False, loc="lower left")


main = Script(
    name="S1-4",
    title="The best risk for a budget of compute",
    source="Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), Fig. 4 and eq. 17",
    claim="the best risk falls as C^-((a-1) m/(a-1 + b m)), m = min(a-1, 2b), as time and model size balance",
    show=show,
    full=dict(tasks=((2.0, 1.0), (2.0, 1.5), (2.0, 2.0), (3.0, 1.5)), sizes=(32, 64, 128, 256, 512, 1024), seeds=32),
    smoke=dict(tasks=((2.0, 1.0), (3.0, 1.5)), sizes=(32, 64, 128), seeds=4),
)
