"""S3's duality of data and model size: exponents and amplitudes against the kernel spectrum and the task."""

import jax
import numpy as np

import rfm
import theory
from experiments.compare.comparison import AXES, agreement
from experiments.compare.keys import fold_keys
from experiments.compare.laws import all_laws
from experiments.compare.statistics import bootstrap_slope, log_slope
from experiments.compare.verdicts import CONTRADICTED, OPEN, condition, judge
from experiments.output import plotting
from experiments.papers.row import Script, Shown
from theory import exponents

END, INF = rfm.Ridge(0.0), np.inf
B = 1.5  # spectral exponent where the task varies
TASKS = 1.25 + 0.1 * np.arange(38)  # a of the lines, off 1 + B and 1 + 2 B, where laws carry logarithms
HARD, EASY = 2.0, 3.5  # of the findings: a - 1 < b, and between b and 2b
LAW = {
    "samples": ("data", r"\alpha_D", exponents.data_exponent),
    "features": ("model", r"\alpha_P", exponents.model_exponent),
}


def show(
    seed: int, kernels: tuple[float, ...], tasks: tuple[float, ...], sizes: tuple[int, ...], seeds: int, modes: int
) -> Shown:
    """alpha_D and alpha_P against alpha_K for the flat teacher and against the task, and the ratio of amplitudes."""
    keys = jax.random.split(jax.random.key(seed), seeds)
    flat = [(1.0 + alpha, 1.0 + alpha) for alpha in kernels]
    varied = [(a, B) for a in tasks]
    runs = {law: _runs(law, sizes, keys, modes) for law in dict.fromkeys(flat + varied)}
    figure, axes = plotting.new_figure(1, 3)
    _flat_panel(axes[0, 0], kernels, runs, sizes)
    _task_panel(axes[0, 1], tasks, runs, sizes)
    _ratio_panel(axes[0, 2], tasks, runs, sizes)
    table = [
        {"a": a, "b": b, "axis": AXES[axis], "size": n, "risk": m, "stderr": s, "theory": p}
        for (a, b), of_law in runs.items() for axis, (samples, predicted) in of_law.items()
        for n, m, s, p in zip(sizes, samples.mean(0), samples.std(0, ddof=1) / np.sqrt(seeds), predicted, strict=True)
    ]  # fmt: skip
    return Shown(figure, table, tuple(_findings(kernels, runs, sizes)))


def _limited(axis: str, size: float) -> dict[str, float]:
    """Sizes where this one alone limits the risk."""
    return {"num_features": INF, "num_samples": INF} | {f"num_{axis}": size}


def _runs(law, sizes, keys, modes) -> dict:
    """Trained risk (S, X) and theory (X,) at the same sizes and modes, limited by data and by model size."""
    problem, found = rfm.power_law(*law, modes), {}
    for axis in LAW:
        trained = [
            rfm.simulate(problem, **_limited(axis, n), optimizer=END, keys=fold_keys(keys, n)).risk[:, 0] for n in sizes
        ]
        predicted = [theory.predict(problem, **_limited(axis, n), optimizer=END).risk[0] for n in sizes]
        found[axis] = np.stack(trained, axis=1), np.array(predicted)
    return found


def _large(a: float, b: float) -> dict[str, float]:
    """Exponents by data and by model size, and the ratio of the risks, of theory alone at large sizes."""
    found = {law.name: law for law in all_laws(a, b)}
    return {name: found[name].measured() for name in ("data", "model", "duality") if name in found}


def _flat_panel(ax, kernels, runs, sizes):
    x = np.array(kernels)
    line_x = np.linspace(x[0], x[-1], 7)
    large = [_large(1.0 + alpha, 1.0 + alpha) for alpha in line_x]
    ax.plot(line_x, line_x, "k:", lw=1, label=r"claimed: $\alpha_D = \alpha_P = \alpha_K$")
    for index, (axis, (name, symbol, _)) in enumerate(LAW.items()):
        ax.plot(line_x, [row[name] for row in large], color=plotting.COLORS[index], lw=1.3, ls="--" if index else "-")
        shift = (-0.012, 0.012)[index]
        _slopes(ax, x + shift, [runs[1.0 + alpha, 1.0 + alpha][axis] for alpha in kernels], sizes, symbol, index)
    plotting.finish(ax, r"$\alpha_K = b - 1$", "exponent", "flat teacher, $a = b$", log=False)


def _task_panel(ax, tasks, runs, sizes):
    line_x = np.array(TASKS)
    large = [_large(a, B) for a in TASKS]
    for index, (axis, (name, symbol, closed)) in enumerate(LAW.items()):
        ax.plot(line_x - 1.0, [row[name] for row in large], color=plotting.COLORS[index], lw=1.3)
        exact = np.linspace(TASKS[0], TASKS[-1], 101)
        ax.plot(exact - 1.0, [closed(a, B) for a in exact], color=plotting.COLORS[index], lw=0.9, ls="--")
        _slopes(ax, np.array(tasks) - 1.0, [runs[a, B][axis] for a in tasks], sizes, symbol, index)
    equal = np.linspace(1.0 + B, TASKS[-1], 21)
    ax.plot(equal - 1.0, [exponents.data_exponent(a, B) for a in equal], "k:", lw=1.6,
            label=r"claimed: $\alpha_P = \alpha_D$")  # fmt: skip
    plotting.finish(ax, "$a - 1$", "exponent", f"$b$ = {B:g}; dashes: closed form", log=False)


def _slopes(ax, x, runs, sizes, symbol, index):
    """Exponents of trained models with two standard errors, and of theory over the same sizes as a short bar."""
    found = np.array([bootstrap_slope(sizes, samples) for samples, _ in runs])
    there = [-log_slope(sizes, predicted) for _, predicted in runs]
    color, window = plotting.COLORS[index], f"{sizes[0]} to {sizes[-1]}"
    ax.errorbar(x, -found[:, 0], 2.0 * found[:, 1], fmt=plotting.MARKERS[index], ms=3.6, color=color, lw=0.9,
                mfc="white" if index else color, label=f"${symbol}$, trained at {window}")  # fmt: skip
    ax.plot(x, there, "_", color=color, ms=11, label=f"${symbol}$, theory there")


def _ratio_panel(ax, tasks, runs, sizes):
    """risk(P)/risk(N) at P = N: equal only for the flat teacher."""
    line_x = np.array([a for a in TASKS if a - 1.0 < B])
    some = [a for a in tasks if a - 1.0 < B]
    ax.plot(line_x, [_large(a, B)["duality"] for a in line_x], "k", lw=1.3, label="theory at large sizes")
    ax.plot(line_x, [exponents.duality_ratio(a, B) for a in line_x], color="0.5", lw=2.5, ls="--", zorder=0,
            label="closed form $b - (a - 1)$")  # fmt: skip
    for index, at in enumerate((0, len(sizes) - 1)):
        mean, error, there = zip(*(_ratio(runs[a, B], at) for a in some), strict=True)
        style = {"fmt": plotting.MARKERS[index], "color": plotting.COLORS[index], "lw": 0.9, "ms": 3.6}
        ax.errorbar(some, mean, 2.0 * np.array(error), **style, label=f"trained, $N = P$ = {sizes[at]}")
        ax.plot(some, there, "_", color=style["color"], ms=11, label="theory there")
    ax.axhline(1.0, color="k", ls=":", lw=1, label="claimed: equal")
    ax.axvline(B, color="0.8", lw=0.8, zorder=-1)
    ax.set_ylim(0.2, 1.9)
    plotting.finish(ax, "$a$", "risk($P$)/risk($N$) at $P = N$", f"$b$ = {B:g}; grey: flat teacher", log=False)


def _ratio(run, at: int) -> tuple[float, float, float]:
    """Trained ratio, its standard error, and that of theory at the same size."""
    (data, data_theory), (model, model_theory) = run["samples"], run["features"]
    means = np.array([data[:, at].mean(), model[:, at].mean()])
    errors = np.array([x[:, at].std(ddof=1) / np.sqrt(len(x)) for x in (data, model)])
    ratio = means[0] / means[1]
    return ratio, ratio * np.sqrt(np.sum((errors / means) ** 2)), data_theory[at] / model_theory[at]


def _findings(kernels, runs, sizes) -> list:
    samples, predicted = zip(*(run for of_law in runs.values() for run in of_law.values()), strict=True)
    found = [agreement(np.concatenate(samples, 1), np.concatenate(predicted), np.tile(sizes, len(samples)))]
    for alpha in kernels:
        large = _large(1.0 + alpha, 1.0 + alpha)
        for name, symbol, closed in LAW.values():
            found.append(judge(f"{symbol[1:]}, flat teacher of alpha_K = {alpha:g}, theory", large[name],
                                  claimed=alpha, closed=closed(1.0 + alpha, 1.0 + alpha)))  # fmt: skip
    large = _large(B, B)
    found.append(judge("risk(P)/risk(N), flat teacher, theory", large["duality"], claimed=1.0))
    hard, easy = _large(HARD, B), _large(EASY, B)
    ratio, error, there = _ratio(runs[HARD, B], -1)
    told = f" (trained at {sizes[-1]}: {ratio:.2f} ± {error:.2f}, theory there {there:.2f})"
    split = judge(f"risk(P)/risk(N), a = {HARD:g}, b = {B:g}, theory", hard["duality"], claimed=1.0,
                     closed=exponents.duality_ratio(HARD, B))  # fmt: skip
    found.append(condition(split.quantity, split.claimed, split.measured + told, split.verdict == CONTRADICTED,
                           CONTRADICTED, OPEN))  # fmt: skip
    found.append(
        judge(
            f"alpha_P, a = {EASY:g}, b = {B:g}, theory; alpha_D = {easy['data']:.3f}",
            easy["model"],
            claimed=exponents.data_exponent(EASY, B),
            closed=exponents.model_exponent(EASY, B),
        )
    )
    for axis, (_, symbol, _) in LAW.items():
        trained, line = runs[EASY, B][axis]
        slope, error = bootstrap_slope(sizes, trained)
        found.append(judge(f"{symbol[1:]}, a = {EASY:g}, trained at {sizes[0]} to {sizes[-1]}, beside theory there",
                              -slope, closed=-log_slope(sizes, line), error=error))  # fmt: skip
    return found


main = Script(
    name="S3-dual",
    title="Duality of data and model size",
    source="Bahri, Dyer, Kaplan, Lee and Sharma 2021 (arXiv 2102.06701), duality of the resolution-limited regimes",
    claim="data and model size are dual: alpha_D = alpha_P = alpha_K, and the losses are equal at P = N",
    show=show,
    full=dict(
        kernels=(0.25, 0.5, 0.75, 1.0, 1.5), tasks=(1.5, 2.0, 3.5, 4.6), sizes=(16, 32, 64, 128), seeds=64, modes=4000
    ),
    smoke=dict(kernels=(0.5, 1.0), tasks=(2.0, 3.5), sizes=(16, 32), seeds=32, modes=600),
)
