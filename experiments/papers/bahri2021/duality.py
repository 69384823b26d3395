"""S3's duality of data and model size: exponents and amplitudes against the kernel spectrum and the task."""

import dataclasses
from collections.abc import Sequence
from functools import partial

import jax
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

import rfm
from experiments.compare.comparison import AXES, INFINITE, Comparison, Derived, agreement
from experiments.compare.laws import END, all_laws
from experiments.compare.scans import scan_size
from experiments.compare.verdicts import Verdict, judge
from experiments.output import plotting
from experiments.papers.row import Script, Shown
from theory import exponents

FIXED_B = 1.5  # spectral exponent where the task varies
TASK_LINE = 1.25 + 0.1 * np.arange(38)  # a of the lines, off 1 + b and 1 + 2b, where laws carry logarithms
HARD, EASY = 2.0, 3.5  # of the verdicts: a - 1 < b, and between b and 2b


# along an axis: the name of its law in `all_laws`, the symbol of its exponent, the closed form
DUAL_LAWS = {
    "samples": ("data", r"\alpha_D", exponents.data_exponent),
    "features": ("model", r"\alpha_P", exponents.model_exponent),
}
COLUMNS = ("a", "b", "axis", "size", "risk", "stderr", "theory")
Run = dict[str, Comparison]  # by axis, of one (a, b)


def show(
    seed: int, *, kernels: tuple[float, ...], tasks: tuple[float, ...], sizes: tuple[int, ...], seeds: int, modes: int
) -> Shown:
    """Draw alpha_D and alpha_P against alpha_K for the flat teacher, and against the task; the ratio of amplitudes."""
    keys = jax.random.split(jax.random.key(seed), seeds)
    flat = [(1.0 + alpha, 1.0 + alpha) for alpha in kernels]
    laws = dict.fromkeys(flat + [(a, FIXED_B) for a in tasks])
    runs = {law: _train(rfm.power_law(*law, modes), sizes, keys) for law in laws}
    figure, axes = plotting.new_figure(1, 3)
    _flat_panel(axes[0, 0], kernels, [runs[law] for law in flat])
    _task_panel(axes[0, 1], tasks, [runs[a, FIXED_B] for a in tasks])
    _ratio_panel(axes[0, 2], {a: runs[a, FIXED_B] for a in tasks if a - 1.0 < FIXED_B})
    table = [
        record
        for (a, b), run in runs.items()
        for axis, pair in run.items()
        for record in pair.rows(*COLUMNS, a=a, b=b, axis=AXES[axis], size=sizes)
    ]
    verdicts = [agreement([pair for run in runs.values() for pair in run.values()]), *_flat_verdicts(kernels)]
    return Shown(figure, table, (*verdicts, *_task_verdicts(runs[HARD, FIXED_B], runs[EASY, FIXED_B])))


def _train(problem: rfm.Problem, sizes: Sequence[int], keys: jax.Array) -> Run:
    """Risk at the end of training where data, or model size, alone limit it."""
    scan = partial(scan_size, problem, sizes=sizes, **INFINITE, optimizer=END, time=None, keys=keys)
    return {axis: scan(axis).risk for axis in DUAL_LAWS}


def _large(a: float, b: float) -> dict[str, float]:
    """Exponents by data and by model size, and the ratio of the risks, of theory alone at large sizes."""
    laws = {law.name: law for law in all_laws(a, b)}
    return {name: laws[name].measured() for name in ("data", "model", "duality") if name in laws}


def _flat_panel(ax: Axes, kernels: Sequence[float], runs: Sequence[Run]) -> None:
    line_x = np.linspace(kernels[0], kernels[-1], 7)
    large = [_large(1.0 + alpha, 1.0 + alpha) for alpha in line_x]
    ax.plot(line_x, line_x, "k:", lw=1, label=r"claimed: $\alpha_D = \alpha_P = \alpha_K$")
    for index, (axis, (name, symbol, _)) in enumerate(DUAL_LAWS.items()):
        line_style = "--" if index else "-"
        ax.plot(line_x, [laws[name] for laws in large], color=plotting.COLORS[index], lw=1.3, ls=line_style)
        shifted = np.array(kernels) + (0.012 if index else -0.012)
        _draw_slopes(ax, shifted, [run[axis] for run in runs], symbol, index)
    plotting.finish(ax, r"$\alpha_K = b - 1$", "exponent", "flat teacher, $a = b$", log=False)


def _task_panel(ax: Axes, tasks: Sequence[float], runs: Sequence[Run]) -> None:
    large, exact = [_large(a, FIXED_B) for a in TASK_LINE], np.linspace(TASK_LINE[0], TASK_LINE[-1], 101)
    for index, (axis, (name, symbol, closed)) in enumerate(DUAL_LAWS.items()):
        color = plotting.COLORS[index]
        ax.plot(TASK_LINE - 1.0, [laws[name] for laws in large], color=color, lw=1.3)
        ax.plot(exact - 1.0, [closed(a, FIXED_B) for a in exact], color=color, lw=0.9, ls="--")
        _draw_slopes(ax, np.array(tasks) - 1.0, [run[axis] for run in runs], symbol, index)
    equal = np.linspace(1.0 + FIXED_B, TASK_LINE[-1], 21)
    claim = [exponents.data_exponent(a, FIXED_B) for a in equal]
    ax.plot(equal - 1.0, claim, "k:", lw=1.6, label=r"claimed: $\alpha_P = \alpha_D$")
    plotting.finish(ax, "$a - 1$", "exponent", f"$b$ = {FIXED_B:g}; dashes: closed form", log=False)


def _draw_slopes(ax: Axes, x: np.ndarray, pairs: Sequence[Comparison], symbol: str, index: int) -> None:
    slopes, sizes = [pair.slope() for pair in pairs], pairs[0].x
    measured = [Derived(slope.simulated, slope.stderr, slope.theory) for slope in slopes]
    labels = f"${symbol}$, trained at {sizes[0]:g} to {sizes[-1]:g}", f"${symbol}$, theory there"
    _draw(ax, x, measured, labels, index, hollow=index > 0)


def _draw(
    ax: Axes, x: ArrayLike, measured: Sequence[Derived], labels: tuple[str, str], index: int, *, hollow: bool = False
) -> None:
    """Numbers of trained models with two standard errors, and of theory over the same sizes as a short bar."""
    trained, errors, known = np.transpose(measured)
    plotting.draw_points(ax, x, trained, errors, index, label=labels[0], hollow=hollow)
    ax.plot(x, known, "_", color=plotting.COLORS[index], ms=11, label=labels[1])


def _ratio_panel(ax: Axes, runs: dict[float, Run]) -> None:
    """risk(P)/risk(N) at P = N: equal only for the flat teacher."""
    line_x, tasks = [a for a in TASK_LINE if a - 1.0 < FIXED_B], list(runs)
    ax.plot(line_x, [_large(a, FIXED_B)["duality"] for a in line_x], "k", lw=1.3, label="theory at large sizes")
    closed, label = [exponents.duality_ratio(a, FIXED_B) for a in line_x], "closed form $b - (a - 1)$"
    ax.plot(line_x, closed, color="0.5", lw=2.5, ls="--", zorder=0, label=label)
    sizes = next(iter(runs.values()))["samples"].x
    for index, end in enumerate((0, -1)):
        labels = f"trained, $N = P$ = {sizes[end]:g}", "theory there"
        _draw(ax, tasks, [_ratio(run, end) for run in runs.values()], labels, index)
    ax.axhline(1.0, color="k", ls=":", lw=1, label="claimed: equal")
    ax.axvline(FIXED_B, color="0.8", lw=0.8, zorder=-1)
    ax.set_ylim(0.2, 1.9)
    plotting.finish(ax, "$a$", "risk($P$)/risk($N$) at $P = N$", f"$b$ = {FIXED_B:g}; grey: flat teacher", log=False)


def _ratio(run: Run, end: int) -> Derived:
    """risk(P)/risk(N) at one P = N."""
    data, model = run["samples"], run["features"]
    ratio = data.mean / model.mean
    error = ratio * np.hypot(data.stderr / data.mean, model.stderr / model.mean)
    return Derived(ratio[end], error[end], data.theory[end] / model.theory[end])


def _flat_verdicts(kernels: Sequence[float]) -> list[Verdict]:
    """Exponents of the flat teacher are alpha_K, and its risks are equal, in theory at large sizes."""
    verdicts = []
    for alpha in kernels:
        a = 1.0 + alpha
        for name, symbol, closed in DUAL_LAWS.values():
            quantity = f"{symbol[1:]}, flat teacher of alpha_K = {alpha:g}, theory"
            verdicts.append(judge(quantity, _large(a, a)[name], claimed=alpha, closed=closed(a, a)))
    return [*verdicts, judge("risk(P)/risk(N), flat teacher, theory", _large(FIXED_B, FIXED_B)["duality"], claimed=1.0)]


def _task_verdicts(hard: Run, easy: Run) -> list[Verdict]:
    """Other teachers: a ratio that is not one, and exponents that differ."""
    mean, error, known = _ratio(hard, -1)
    sizes, large, closed = hard["samples"].x, _large(EASY, FIXED_B), exponents.duality_ratio(HARD, FIXED_B)
    quantity = f"risk(P)/risk(N), a = {HARD:g}, b = {FIXED_B:g}, theory"
    split = judge(quantity, _large(HARD, FIXED_B)["duality"], claimed=1.0, closed=closed)
    text = f"{split.measured} (trained at {sizes[-1]:g}: {mean:.2f} ± {error:.2f}, theory there {known:.2f})"
    verdicts = [dataclasses.replace(split, measured=text)]
    claimed, closed = exponents.data_exponent(EASY, FIXED_B), exponents.model_exponent(EASY, FIXED_B)
    quantity = f"alpha_P, a = {EASY:g}, b = {FIXED_B:g}, theory; alpha_D = {large['data']:.3f}"
    verdicts.append(judge(quantity, large["model"], claimed=claimed, closed=closed))
    for axis, (_, symbol, _) in DUAL_LAWS.items():
        quantity = f"{symbol[1:]}, a = {EASY:g}, trained at {sizes[0]:g} to {sizes[-1]:g}, beside theory there"
        verdicts.append(easy[axis].slope(quantity=quantity).verdict())
    return verdicts


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
