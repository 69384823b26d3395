"""S4: compute-optimal one-pass SGD at six points of the (alpha, beta) plane: curves, exponents, and the phase map."""

import jax
import numpy as np
from tqdm import tqdm

import rfm
import theory
from experiments.compare.comparison import agreement
from experiments.compare.keys import fold_keys
from experiments.compare.statistics import log_slope
from experiments.compare.verdicts import CLOSE, CONFIRMED, OPEN, REFINED, condition, judge
from experiments.output import plotting
from experiments.papers.boopathy2024 import scale_time as st
from experiments.papers.paquette2024 import phase_map as phases
from experiments.papers.row import Script, Shown
from theory import exponents

POINTS = ((0.75, 0.25), (1.25, 0.75), (1.0, 2.0), (0.25, 2.0), (0.33, 0.45), (0.45, 0.33))
BETAS = (0.05, 2.2)  # of the map
GRID = 16  # compute points of a frontier
RECORDED = 40  # steps at which risks are recorded


def show(seed: int, sizes: tuple[int, ...], steps: int, seeds: int, points: int, trend: int) -> Shown:
    """Trained models of some sizes beside their theory, their frontier, and where its exponent tends."""
    chosen, computes = POINTS[:points], phases.TREND[:trend]
    work = [(point, compute) for point in chosen for compute in computes]
    followed = phases.measure_all(work).reshape(len(chosen), len(computes), 3)
    names = {f"({a:g}, {b:g}) {exponents.phase(a, b).name}": (a, b) for a, b in chosen}
    figure, axes = plotting.new_figure(2, 4)
    findings, table = [], []
    times = rfm.log_times(1, steps, RECORDED, integer=True)
    with tqdm(total=len(chosen) * len(sizes), unit="run") as bar:
        for ax, (name, point), line in zip(axes.flat, names.items(), followed, strict=False):
            keys = jax.random.split(jax.random.key(seed), seeds)
            risks, known = _train(point, sizes, times, keys, bar)
            findings += [_tends(name, point, line, computes), *_compare(ax, name, point, sizes, times, risks, known)]
            table += [
                {"alpha": point[0], "beta": point[1], "N": n, "steps": t, "compute": n * t, "risk": m, "stderr": s,
                 "theory": y}
                for n, samples, curve in zip(sizes, risks, known, strict=True)
                for t, m, s, y in zip(times, samples.mean(0), samples.std(0, ddof=1) / seeds**0.5, curve, strict=True)
            ]  # fmt: skip
            table += [
                {"alpha": point[0], "beta": point[1], "compute": c, "risk_exponent": risk, "size_exponent": size,
                 "converged": bool(ok)} for c, (risk, size, ok) in zip(computes, line, strict=True)
            ]  # fmt: skip
    for ax in axes.flat[len(chosen) : -2]:
        ax.set_visible(False)
    last = [line[line[:, 2] > 0, 0][-1] if line[:, 2].any() else np.nan for line in followed]
    phases.draw_map(figure, axes[1, 2], "dots: measured", betas=BETAS)
    axes[1, 2].scatter(*np.array(chosen).T, c=last, cmap="cividis", vmin=0.0, vmax=1.0, s=70, edgecolors="w")
    phases.draw_trend(axes[1, 3], names, followed, computes, "exponent of the frontier, theory")
    return Shown(figure, table, tuple(findings))


def _train(point, sizes, times, keys, bar):
    """Risk (sizes, S, T) of SGD with batches of one, and theory (sizes, T): lr shrinks with N for 2 alpha < 1."""
    a, b = exponents.from_alpha_beta(*point)
    lr, shrinks = phases.learning_rate(b)
    risks, known = [], []
    for n in sizes:
        problem = rfm.power_law(a, b, int(phases.MODES_PER_FEATURE * n))
        args = dict(num_features=n, num_samples=np.inf, optimizer=rfm.SGD(lr * n**shrinks, 1), times=times)
        risks.append(rfm.simulate(problem, **args, keys=fold_keys(keys, n)).risk)
        known.append(theory.predict(problem, **args).risk)
        bar.update()
    return np.array(risks), np.array(known)


def _tends(name, point, line, computes):
    """Is the exponent of the paper reached at all compute that is followed, only tended to, or neither?"""
    formula, ok = exponents.phase(*point).risk, line[:, 2] > 0
    measured = line[ok, 0]
    gap = np.abs(measured - formula)
    told = ", ".join(f"{value:.3f} at C = {c:.0e}" for value, c in zip(measured, computes[ok], strict=True))
    told += (": " if told else "") + phases.verdict(formula, measured)
    everywhere = len(gap) and gap.max() < CLOSE
    closer = len(gap) > 1 and np.all(np.diff(gap) < 0)
    return condition(
        f"{name}: best risk in C, theory", f"{formula:.3f}", told, everywhere or closer,
        CONFIRMED if everywhere else REFINED, OPEN,
    )  # fmt: skip


def _compare(ax, name, point, sizes, times, risks, known):
    """Curves against compute and their lower envelope; its slope where no size at an end of the range is the best."""
    n = np.array(sizes, float)
    every = np.arange(len(times)) % 3 == 0
    for index, size in enumerate(sizes):
        plotting.draw_pair(ax, size * times[every], risks[index][:, every], size * times, known[index], f"N = {size}",
                           index)  # fmt: skip
    compute = np.geomspace(n[-1], n[1] * times[-1], 8 * GRID)
    best = np.argmin(_at(known, n, times, compute), axis=0)
    inner = compute[(best > 0) & (best < len(n) - 1)]
    if len(inner) < GRID:  # too few sizes
        inner = compute
    window = np.geomspace(inner[0], inner[-1], GRID)
    envelope = lambda curves: np.exp(_at(curves, n, times, window).min(0))  # noqa: E731
    slope = lambda curves: -log_slope(window, envelope(curves))  # noqa: E731
    trained, error = st.over_draws(risks, lambda mean: np.array(slope(mean)))
    phase, line = exponents.phase(*point), envelope(known)
    ax.plot(window, line, "k", lw=2.0, alpha=0.6, label=f"frontier: {slope(known):.3f}, trained {trained:.3f}")
    ax.plot(window, 0.7 * line[-1] * (window / window[-1]) ** -phase.risk, "k--", lw=1.0,
            label=f"formula: {phase.risk:.3f}")  # fmt: skip
    plotting.finish(ax, "compute $f = N r$", "risk", f"$(\\alpha, \\beta)$ = {name}: {phase.balance}")
    ax.set_ylim(0.3 * known.min(), None)
    ax.legend(fontsize=5.5, frameon=False, loc="lower left")
    size = np.repeat(n, every.sum())
    samples = np.moveaxis(risks[..., every], 1, 0).reshape(risks.shape[1], -1)
    span = f"C = {window[0]:.0e} to {window[-1]:.0e}"
    return [
        judge(f"{name}: trained, {span}, beside theory there", float(trained), closed=slope(known),
                 error=float(error)),
        agreement(samples, known[:, every].ravel(), size, f"{name}: theory = simulation"),
    ]  # fmt: skip


def _at(curves, sizes, times, compute):
    """log risk (sizes, compute) of curves (sizes, T), infinite where a curve does not reach."""
    return np.array([
        np.interp(np.log(compute), np.log(n * times), np.log(curve), left=np.inf, right=np.inf)
        for n, curve in zip(sizes, curves, strict=True)
    ])  # fmt: skip


main = Script(
    name="S4",
    title="Compute-optimal one-pass SGD: curves, exponents and phases",
    source="Paquette, Paquette, Xiao and Pennington 2024 (arXiv 2405.15074), 4+3 phases",
    claim="the best risk falls as a power of compute, with the exponent of its phase",
    show=show,
    full=dict(sizes=(16, 32, 64, 128, 256), steps=10_000, seeds=32, points=6, trend=5),
    smoke=dict(sizes=(8, 16), steps=200, seeds=4, points=1, trend=0),  # the frontier takes long to compile
    limits="measured exponents over the whole plane: rfm phases",
)
