"""S1 Fig. 5: few data. Larger models stop helping, and training and test loss part as the data are used again."""

import jax
import numpy as np

import rfm
import theory
from experiments.compare.comparison import agreement
from experiments.compare.statistics import STEP, bootstrap_slope, log_derivative, log_slope, standard_error
from experiments.compare.verdicts import condition, judge
from experiments.output import plotting
from experiments.papers.row import Script, Shown

A, B = 1.5, 1.25
TIMES = rfm.log_times(1.0, 1e4, 25)
FEW, WIDE = 128, 512  # data where N varies, model size where P does
EARLY = 10.0  # time at which the gap is compared for all P; before it the scatter of training losses is as large
WINDOW = (EARLY, 100.0)  # of times, where the gap grows as a power law
SATURATED = 1.1  # times the risk of an infinite model
LARGE, HUGE, MIDDLE = 1e6, 1e9, 1e6  # sizes and time where theory alone measures exponents
GRID = np.unique(np.concatenate([TIMES, MIDDLE * np.exp([-STEP, STEP])]))  # of the theory: one compiled program
ENDLESS = 10**18  # modes that stand for infinitely many
FLOW, INF = rfm.GradientFlow(), np.inf


def show(seed: int, sizes: tuple[int, ...], samples: tuple[int, ...], seeds: int, modes: int) -> Shown:
    """Risk against time for many N at P = FEW, with training loss for many P at N = WIDE, and the gap of the two."""
    problem = rfm.power_law(A, B, modes)
    keys = jax.random.split(jax.random.key(seed), seeds)
    held = {"optimizer": FLOW, "times": TIMES}
    wider = {"num_features": list(sizes)}, {"num_samples": FEW}
    richer = {"num_samples": list(samples)}, {"num_features": WIDE}
    trained = [rfm.sweep(problem, grid, keys, **fixed, **held, progress=True) for grid, fixed in (wider, richer)]
    pairs = [(n, FEW) for n in sizes], [(WIDE, p) for p in samples]
    # (N or P, 2, T): risk and training loss
    predicted = [np.stack([_theory(problem, *pair)[:, : len(TIMES)] for pair in some]) for some in pairs]
    endless = _theory(problem, INF, FEW)[0, : len(TIMES)]
    fresh = _theory(problem, WIDE, INF)[:, : len(TIMES)]

    figure, axes = plotting.new_figure(1, 3, width=4.2)
    found = _agreements(sizes, samples, trained, predicted)
    found += _saturation(axes[0, 0], problem, sizes, trained[0], predicted[0], endless)
    _losses(axes[0, 1], samples, trained[1], predicted[1], fresh)
    found += _gap(axes[0, 2], samples, trained[1], predicted[1], fresh)
    table = [
        {"N": n, "P": p, "t": t, "risk": m, "stderr": s, "theory": line, "training loss": loss, "its theory": its}
        for runs, lines, some in zip(trained, predicted, pairs, strict=True)
        for i, (n, p) in enumerate(some)
        for t, m, s, loss, line, its in zip(
            TIMES, runs.mean()[i], runs.stderr()[i], runs.mean("train_loss")[i], *lines[i], strict=True
        )
    ]
    return Shown(figure, table, tuple(found))


def _theory(problem, n, p):
    """Risk and training loss on GRID, (2, T)."""
    curve = theory.predict(problem, num_features=n, num_samples=p, optimizer=FLOW, times=GRID)
    return np.stack([curve.risk, curve.train_loss])


def _agreements(sizes, samples, trained, predicted):
    """Of the risk, and of its gap to the training loss from EARLY on; that loss itself falls exponentially."""
    harmonic = np.concatenate([1.0 / (1.0 / np.array(sizes) + 1.0 / FEW), 1.0 / (1.0 / np.array(samples) + 1.0 / WIDE)])
    risk, loss = (np.concatenate([np.moveaxis(getattr(x, name), 1, 0) for x in trained], axis=1)
                  for name in ("risk", "train_loss"))  # fmt: skip
    lines, its = np.moveaxis(np.concatenate(predicted), 1, 0)  # (N + P, T)
    every, late = np.arange(0, len(TIMES), 3), np.arange(int(np.searchsorted(TIMES, EARLY)), len(TIMES), 3)
    told = {"risk": (risk, lines, every), "risk less training loss": (risk - loss, lines - its, late)}
    return [
        agreement(points[..., some].reshape(len(points), -1), line[:, some].ravel(),
                  np.repeat(harmonic, len(some)), f"{name}: theory = simulation")
        for name, (points, line, some) in told.items()
    ]  # fmt: skip


def _saturation(ax, problem, sizes, trained, predicted, endless):
    """Larger models on the same few data: faster, and in the end no better than an infinite one."""
    for index, n in enumerate(sizes):
        plotting.draw_pair(ax, TIMES, trained.risk[index], TIMES, predicted[index, 0], f"N = {n}", index)
    ax.plot(TIMES, endless, "k", lw=1.0, ls=":", label="N = $\\infty$")
    plotting.finish(ax, "time $t$", "risk", f"P = {FEW}; {len(trained.keys)} seeds")
    end, last = TIMES[-1], len(TIMES) - 1

    def added(many):
        return np.array([_theory(problem, n, FEW)[0, last] for n in many]) - endless[-1]

    over, error = (x / endless[-1] for x in (trained.risk[-1, :, -1].mean(), standard_error(trained.risk[-1])[-1]))
    least = trained.risk[0, :, -1].mean() / endless[-1]
    return [
        judge(f"what N adds at P = {FEW}, t = {end:g}, theory at N = {LARGE:g}", -log_derivative(added, LARGE),
                 claimed=1.0),
        condition(f"saturation at P = {FEW}, t = {end:g}", "risk stops falling with N",
                  f"trained, over theory at N = infinity: {least:.2f} at N = {sizes[0]}, {over:.3f} ± {error:.3f} "
                  f"at N = {sizes[-1]}", over - 2.0 * error < SATURATED < least),
    ]  # fmt: skip


def _losses(ax, samples, trained, predicted, fresh):
    """Risk and training loss at one model size: one curve on fresh data, two that part on few."""
    for index, p in enumerate(samples):
        plotting.draw_pair(ax, TIMES, trained.risk[index], TIMES, predicted[index, 0], f"P = {p}, risk", index)
        plotting.draw_pair(ax, TIMES, trained.train_loss[index], TIMES, predicted[index, 1],
                           f"P = {p}, training loss", index, hollow=True)  # fmt: skip
    ax.plot(TIMES, fresh[0], "k", lw=1.0, ls=":", label="fresh data, both")
    plotting.finish(ax, "time $t$", "risk, training loss", f"N = {WIDE}")
    ax.set_ylim(0.02 * fresh[0, -1], 1.5 * predicted[:, 0].max())


def _gap(ax, samples, trained, predicted, fresh):
    """The gap in parts of the risk: the modes learned for each sample, t^(1/b)/P, until all that is seen is fitted."""
    x = np.array(samples, float)
    mean = trained.risk.mean(1, keepdims=True)
    part, line = (trained.risk - trained.train_loss) / mean, 1.0 - predicted[:, 1] / predicted[:, 0]
    for index, p in enumerate(samples):
        plotting.draw_pair(ax, TIMES, part[index], TIMES, line[index], f"P = {p}", index)
    at, some = int(np.argmin(np.abs(TIMES - EARLY))), np.clip(TIMES, *WINDOW) == TIMES
    growth, error = bootstrap_slope(TIMES[some], part[-1][:, some])
    fall, fall_error = bootstrap_slope(x, part[..., at].T)
    window = TIMES[some]
    ax.axvspan(window[0], window[-1], color="0.93", zorder=-1)
    ax.plot(window, 0.6 * line[-1, some][0] * (window / window[0]) ** growth, "k", lw=1, label=f"slope {growth:.3f}")
    plotting.finish(ax, "time $t$", "1 $-$ training loss/risk", f"N = {WIDE}; {len(trained.keys)} seeds")
    ax.set_ylim(bottom=0.5 * line.min())

    clean = rfm.power_law(A, B, ENDLESS)

    def early(p):  # at MIDDLE, a step before and a step after
        risk, loss = _theory(clean, INF, p)[:, -2:]
        return 1.0 - loss / risk

    of_time = float(np.log(early(HUGE)[1] / early(HUGE)[0]) / (2 * STEP))
    of_data = -log_derivative(lambda many: np.array([early(p)[0] for p in many]), HUGE)
    gaps, none = part.mean(1), float(np.abs(1.0 - fresh[1] / fresh[0]).max())
    grows = bool(np.all((np.diff(gaps) > 0) | (gaps[:, 1:] > 0.99)))
    told = "; ".join(f"{g[0]:.2f}, {g[at]:.2f}, {g[-1]:.2f} at P = {p}" for g, p in zip(gaps, samples, strict=True))
    return [
        judge(f"gap in parts of the risk, against t, theory at t = {MIDDLE:g}, P = {HUGE:g}", of_time, closed=1 / B),
        judge(f"the same, against P, theory at P = {HUGE:g}", of_data, closed=1.0),
        judge(f"the same, against t, trained at P = {samples[-1]}, t = {window[0]:.3g} to {window[-1]:.3g}, beside "
                 "theory there", growth, closed=log_slope(window, line[-1, some]), error=error),
        judge(f"the same, against P, trained at t = {TIMES[at]:g}, P = {samples[0]} to {samples[-1]}, beside theory "
                 "there", -fall, closed=-log_slope(x, line[:, at]), error=fall_error),
        condition("the gap as the same data are used longer", "grows",
                  f"trained, parts of the risk at t = {TIMES[0]:g}, {TIMES[at]:g}, {TIMES[-1]:g}: {told}", grows),
        condition("the gap on fresh data", "vanishes",
                  f"{none:.1g} in theory at P = infinity, where a batch is tried before it is learned; trained at "
                  f"t = {TIMES[at]:g}: from {gaps[0, at]:.3f} at P = {samples[0]} to {gaps[-1, at]:.3f} at "
                  f"P = {samples[-1]}", none < 1e-9 and fall + 2.0 * fall_error < 0),
    ]  # fmt: skip


main = Script(
    name="S1-5",
    title="Few data: larger models saturate, and training and test loss part",
    source="Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), Fig. 5",
    claim="at fixed data larger models cannot go on improving, and the gap of test to training loss grows with reuse",
    show=show,
    full=dict(sizes=(64, 128, 256, 512, 1024, 2048, 4096), samples=(64, 128, 256, 512), seeds=16, modes=10_000),
    smoke=dict(sizes=(64, 256), samples=(32, 64), seeds=4, modes=1000),
)
