"""S1 Fig. 3: one-pass SGD. What model size and batch size do to the risk, early and at its plateau."""

from functools import partial

import jax
import numpy as np
from tqdm import tqdm

import rfm
import theory
from experiments.compare.comparison import agreement
from experiments.compare.keys import fold_keys
from experiments.compare.statistics import bootstrap_slope, log_derivative, log_slope, standard_error
from experiments.compare.verdicts import CLOSE, REFINED, condition, judge
from experiments.output import plotting
from experiments.papers.row import Script, Shown
from theory import exponents

A, B, LR = 1.5, 1.25, 0.5
LINE = rfm.log_times(1, 1e6, 61, integer=True)  # steps of the theory, to every plateau
LARGE, LATE = 1e6, 1e12  # size where theory alone measures the plateau, and steps that are enough to be there
ENDLESS = 10**18  # modes that stand for infinitely many
MANY = 1e4  # batch size where theory alone measures how the excess falls
NEAR = 1.02  # times its plateau: a risk below it has ended
INF = np.inf


def plateau_factor(lr: float, batch_size: float, eigenvalues: np.ndarray) -> float:
    """Plateau of one-pass SGD over that of full batches, label noise included, for N so large that H has the spectrum
    of the data: 1/(1 - (lr/B) sum_k lambda_k/(2 - lr (1 + 1/B) lambda_k)), the end of the Volterra equation."""
    spread = 2.0 - lr * (1.0 + 1.0 / batch_size) * eigenvalues
    return 1.0 / (1.0 - lr / batch_size * float(np.sum(eigenvalues / spread)))


def show(
    seed: int, sizes: tuple[int, ...], trained: int, size: int, batch: int, batches: tuple[int, ...],
    steps: int, seeds: int, modes: int,
) -> Shown:  # fmt: skip
    """Risk against steps for many N and for many B, its plateau against N, and what small batches add against B.

    trained: the largest of sizes with training runs; size, batch: what is held where the other varies.
    """
    problem = rfm.power_law(A, B, modes)
    times = rfm.log_times(1, steps, 25, integer=True)
    keys = jax.random.split(jax.random.key(seed), seeds)
    pairs = [(n, batch) for n in sizes if n <= trained] + [(size, b) for b in batches if b != batch]
    args = {"num_samples": INF, "times": times}
    runs = {
        (n, b): rfm.simulate(problem, num_features=n, optimizer=rfm.SGD(LR, b), keys=fold_keys(keys, n), **args).risk
        for n, b in tqdm(pairs, desc="one-pass SGD")
    }
    # the same features with and without batches, in expectation: one run's own noise would hide their small effect
    exact = partial(rfm.exact, problem, num_features=size, keys=fold_keys(keys, size), **args)
    still = exact(optimizer=rfm.GradientDescent(LR)).risk
    expected = np.stack([exact(optimizer=rfm.SGD(LR, b)).risk for b in batches], axis=1)  # (S, B, T)
    grid = np.unique(np.concatenate([LINE, times, [LATE]]))
    curve = partial(_curve, times=grid)
    at = np.searchsorted(grid, times)

    figure, axes = plotting.new_figure(2, 2, width=4.4)
    lines = {(n, b): curve(problem, n, b) for n, b in [*pairs, *((n, batch) for n in sizes)]}
    varied = {"N": [(n, batch) for n in sizes], "B": [(size, b) for b in batches]}
    for ax, (name, some), held in zip(axes[0], varied.items(), (f"B = {batch}", f"N = {size}"), strict=True):
        for index, pair in enumerate(some):
            label = f"{name} = {pair[name == 'B']}"
            if pair in runs:
                plotting.draw_pair(ax, times, runs[pair], grid[:-1], lines[pair][:-1], label, index)
            else:
                color = plotting.COLORS[index % len(plotting.COLORS)]
                ax.plot(grid[:-1], lines[pair][:-1], color=color, lw=1.3, label=f"{label}, theory")
        plotting.finish(ax, "steps", "risk", held)
    some = at[::3]
    found = [agreement(
        np.concatenate([runs[pair][:, ::3] for pair in pairs], axis=1),
        np.concatenate([lines[pair][some] for pair in pairs]),
        np.repeat([n for n, _ in pairs], len(some)),
    )]  # fmt: skip
    found += _plateau(axes[1, 0], problem, sizes, batches, batch, runs, lines, at, curve)
    found += _excess(axes[1, 1], problem, size, batches, expected, still, times, at, curve)
    table = [
        {"N": n, "B": b, "steps": t, "risk": m, "stderr": s, "theory": p}
        for (n, b), risk in runs.items()
        for t, m, s, p in zip(times, risk.mean(0), standard_error(risk), lines[n, b][at], strict=True)
    ]
    return Shown(figure, table, tuple(found))


def _curve(problem, n, b, times):
    """Risk (T,) of one-pass SGD in theory; b = inf: full batches, in the same compiled program."""
    return theory.predict(problem, num_features=n, num_samples=INF, optimizer=rfm.SGD(LR, b), times=times).risk


def _plateau(ax, problem, sizes, batches, batch, runs, lines, at, curve):
    """Where training ends, against N: as the floor of the model, times a factor of lr and B alone."""
    x, least = np.array(sizes, float), min(batches)
    ends = np.array([lines[n, batch][-1] for n in sizes])
    floors, noisy = (np.array([curve(problem, n, b)[-1] for n in sizes]) for b in (INF, least))
    ended = [i for i, n in enumerate(sizes) if (n, batch) in runs and lines[n, batch][at[-1]] < NEAR * ends[i]]
    last = np.stack([runs[sizes[i], batch][:, -1] for i in ended], axis=1)  # (S, X)
    plotting.draw_pair(ax, x[ended], last, x, ends, f"B = {batch}", 0)
    ax.plot(x, noisy, color=plotting.COLORS[1], lw=1.3, label=f"B = {least}")
    ax.plot(x, floors, color="k", lw=0.9, ls="--", label="full batches: the floor of the model")
    slope, error = bootstrap_slope(x[ended], last)
    ax.axvspan(x[ended[0]], x[ended[-1]], color="0.93", zorder=-1)
    window = x[ended]
    ax.plot(window, 0.8 * ends[ended[0]] * (window / window[0]) ** slope, "k", lw=1, label=f"slope $-${-slope:.3f}")
    plotting.finish(ax, "model size $N$", "risk at the plateau", "")

    endless = rfm.power_law(A, B, ENDLESS)
    far = -log_derivative(lambda many: np.array([curve(endless, n, batch)[-1] for n in many]), LARGE)
    lam, _ = problem.modes(0, int(problem.num_modes))
    ratio = {b: curve(problem, sizes[-1], b)[-1] / floors[-1] for b in batches}
    known = {b: plateau_factor(LR, b, np.asarray(lam)) for b in batches}
    told = ", ".join(f"{ratio[b]:.3f} at B = {b} (closed form {known[b]:.3f})" for b in batches)
    right = all(abs((ratio[b] - 1.0) / (known[b] - 1.0) - 1.0) < CLOSE for b in batches)
    return [
        judge(f"plateau against N, theory at {LARGE:g}", far, claimed=A - 1.0,
                 closed=exponents.model_exponent(A, B)),
        judge(f"plateau against N, trained at {window[0]:g} to {window[-1]:g}, beside theory there", -slope,
                 closed=-log_slope(window, ends[ended]), error=error),
        condition(f"plateau over that of full batches, N = {sizes[-1]}", "moves with N only",
                  f"times a factor of lr and B that N does not change and that is 1 for small lr/B: {told}",
                  right and ratio[least] > NEAR, REFINED),
    ]  # fmt: skip


def _excess(ax, problem, size, batches, expected, still, times, at, curve):
    """What finite batches add to the risk, in parts of it: 1/B at all times, at the plateau the factor less one."""
    x, line = np.array(batches, float), np.geomspace(batches[0], batches[-1], 9)
    picked = [int(np.searchsorted(times, times[-1] ** power)) for power in (0.3, 0.6, 1.0)]
    full = curve(problem, size, INF)
    more = lambda some: np.stack([curve(problem, size, b) / full - 1.0 for b in some])  # noqa: E731
    here, predicted = more(batches)[:, at], more(line)[:, at]  # (b, T)
    added = (expected - still[:, None]) / still.mean(0)  # (S, B, T): a ratio of means, not the mean of ratios
    for index, i in enumerate(picked):
        plotting.draw_pair(ax, x, added[..., i], line, predicted[:, i], f"{times[i]:g} steps", index)
    lam, _ = problem.modes(0, int(problem.num_modes))
    closed = [plateau_factor(LR, b, np.asarray(lam)) - 1.0 for b in line]
    ax.plot(line, closed, color="k", lw=0.9, ls="--", label="plateau, closed form")
    plotting.finish(
        ax, "batch size $B$", "risk over that of full batches $-$ 1", f"N = {size}; points: expectation over batches"
    )

    slope = -log_derivative(lambda many: more(many)[:, -1], MANY)
    return [
        agreement(added[..., picked].reshape(len(added), -1), here[:, picked].ravel(), float(size),
                  "what batches add, in expectation: theory = the same features exactly"),
        judge(f"what batches add at the plateau, against B, theory at {MANY:g}", slope, closed=1.0),
    ]  # fmt: skip


main = Script(
    name="S1-3",
    title="One-pass SGD: model size sets the plateau, batches add noise",
    source="Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), Fig. 3",
    claim="trained on fresh batches, a model ends on a plateau that moves with N and not with B",
    show=show,
    full=dict(sizes=(64, 128, 256, 512, 1024, 2048, 4096), trained=1024, size=256, batch=32,
              batches=(8, 16, 32, 64, 128), steps=4000, seeds=16, modes=10_000),
    smoke=dict(sizes=(16, 32), trained=32, size=32, batch=16, batches=(8, 16), steps=200, seeds=4, modes=1000),
    limits="models of 2048 and 4096 features are theory alone: their plateaus lie beyond the steps trained here",
)  # fmt: skip
