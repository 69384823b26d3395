"""S3's duality of data and model size: exponents and amplitudes against the kernel spectrum and the task."""

import dataclasses
from collections.abc import Sequence
from functools import partial

import jax
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

import rfm
from experiments.compare.comparison import AXES, INFINITE, Comparison, Derived
from experiments.compare.equivalence import agreement
from experiments.compare.laws import END, all_laws
from experiments.compare.scans import scan_size
from experiments.compare.verdicts import Verdict, judge
from experiments.output import plotting
from experiments.papers.row import Counts, Script, Shown, Values
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
Law = tuple[float, float]  # a, b
Runs = dict[tuple[Law, str], Comparison]  # by law and axis, the other size infinite


def show(seed: int, *, kernels: Values, tasks: Values, sizes: Counts, seeds: int, modes: int) -> Shown:
    """Draw alpha_D and alpha_P against alpha_K for the flat teacher, and against the task; the ratio of amplitudes."""
    end = partial(scan_size, **INFINITE, optimizer=END, time=None, keys=jax.random.split(jax.random.key(seed), seeds))
    flat, varied = [(1.0 + alpha, 1.0 + alpha) for alpha in kernels], [(a, FIXED_B) for a in tasks]
    laws = dict.fromkeys(flat + varied)
    runs = {(law, axis): end(rfm.power_law(*law, modes), axis, sizes).risk for law in laws for axis in DUAL_LAWS}
    figure, axes = plotting.new_figure(1, 3)
    _flat_panel(axes[0, 0], flat, runs)
    _task_panel(axes[0, 1], varied, runs)
    _ratio_panel(axes[0, 2], [law for law in varied if law[0] - 1.0 < FIXED_B], runs)
    table = []
    for ((a, b), axis), pair in runs.items():
        table += pair.rows(*COLUMNS, a=a, b=b, axis=AXES[axis], size=sizes)
    return Shown(figure, table, (agreement(list(runs.values())), *_flat_verdicts(kernels), *_task_verdicts(runs)))


def _large(a: float, b: float) -> dict[str, float]:
    """Exponents by data and by model size, and the ratio of the risks, of theory alone at large sizes."""
    laws = {law.name: law for law in all_laws(a, b)}
    return {name: laws[name].measured() for name in ("data", "model", "duality") if name in laws}


def _flat_panel(ax: Axes, flat: Sequence[Law], runs: Runs) -> None:
    line_x = np.linspace(flat[0][1] - 1.0, flat[-1][1] - 1.0, 7)
    ax.plot(line_x, line_x, "k:", lw=1, label=r"claimed: $\alpha_D = \alpha_P = \alpha_K$")
    _draw_exponents(ax, flat, runs, [(1.0 + alpha, 1.0 + alpha) for alpha in line_x], apart=0.012)
    plotting.finish(ax, r"$\alpha_K = b - 1$", "exponent", "flat teacher, $a = b$", log=False)


def _task_panel(ax: Axes, varied: Sequence[Law], runs: Runs) -> None:
    _draw_exponents(ax, varied, runs, [(a, FIXED_B) for a in TASK_LINE])
    exact, equal = (np.linspace(start, TASK_LINE[-1], 101) for start in (TASK_LINE[0], 1.0 + FIXED_B))
    for index, (_, _, closed) in enumerate(DUAL_LAWS.values()):
        ax.plot(exact - 1.0, [closed(a, FIXED_B) for a in exact], color=plotting.COLORS[index], lw=0.9, ls="--")
    claim = [exponents.data_exponent(a, FIXED_B) for a in equal]
    ax.plot(equal - 1.0, claim, "k:", lw=1.6, label=r"claimed: $\alpha_P = \alpha_D$")
    plotting.finish(ax, "$a - 1$", "exponent", f"$b$ = {FIXED_B:g}; dashes: closed form", log=False)


def _draw_exponents(ax: Axes, trained: Sequence[Law], runs: Runs, line: Sequence[Law], apart: float = 0.0) -> None:
    """Exponents by data and by model size against a - 1: of theory at large sizes, and of what was trained."""
    large = [_large(*law) for law in line]
    for index, (axis, (name, symbol, _)) in enumerate(DUAL_LAWS.items()):
        style = {"color": plotting.COLORS[index], "lw": 1.3, "ls": "--" if index and apart else "-"}
        ax.plot([a - 1.0 for a, _ in line], [laws[name] for laws in large], **style)
        slopes, sizes = [runs[law, axis].slope() for law in trained], runs[trained[0], axis].x
        measured = [(slope.simulated, slope.stderr, slope.theory) for slope in slopes]
        labels = f"${symbol}$, trained at {sizes[0]:g} to {sizes[-1]:g}", f"${symbol}$, theory there"
        x = [a - 1.0 + (apart if index else -apart) for a, _ in trained]
        _draw(ax, x, measured, labels, index, hollow=index > 0)


def _draw(ax: Axes, x: ArrayLike, measured: ArrayLike, labels: tuple[str, str], index: int, *, hollow: bool) -> None:
    """Numbers of trained models with two standard errors, and of theory over the same sizes as a short bar."""
    trained, errors, known = np.transpose(measured)
    plotting.draw_points(ax, x, trained, errors, index, label=labels[0], hollow=hollow)
    ax.plot(x, known, "_", color=plotting.COLORS[index], ms=11, label=labels[1])


def _ratio_panel(ax: Axes, hard: Sequence[Law], runs: Runs) -> None:
    """risk(P)/risk(N) at P = N: equal only for the flat teacher."""
    line_x = [a for a in TASK_LINE if a - 1.0 < FIXED_B]
    ax.plot(line_x, [_large(a, FIXED_B)["duality"] for a in line_x], "k", lw=1.3, label="theory at large sizes")
    closed, label = [exponents.duality_ratio(a, FIXED_B) for a in line_x], "closed form $b - (a - 1)$"
    ax.plot(line_x, closed, color="0.5", lw=2.5, ls="--", zorder=0, label=label)
    for index, end in enumerate((0, -1)):
        labels = f"trained, $N = P$ = {runs[hard[0], 'samples'].x[end]:g}", "theory there"
        _draw(ax, [a for a, _ in hard], [_ratio(runs, law, end) for law in hard], labels, index, hollow=False)
    ax.axhline(1.0, color="k", ls=":", lw=1, label="claimed: equal")
    ax.axvline(FIXED_B, color="0.8", lw=0.8, zorder=-1)
    ax.set_ylim(0.2, 1.9)
    plotting.finish(ax, "$a$", "risk($P$)/risk($N$) at $P = N$", f"$b$ = {FIXED_B:g}; grey: flat teacher", log=False)


def _ratio(runs: Runs, law: Law, end: int) -> Derived:
    """risk(P)/risk(N) at one P = N."""
    data, model = runs[law, "samples"], runs[law, "features"]
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


def _task_verdicts(runs: Runs) -> list[Verdict]:
    """Other teachers: a ratio that is not one, and exponents that differ."""
    hard, easy = (HARD, FIXED_B), (EASY, FIXED_B)
    ratio, sizes, large = _ratio(runs, hard, -1), runs[hard, "samples"].x, _large(*easy)
    quantity = f"risk(P)/risk(N), a = {HARD:g}, b = {FIXED_B:g}, theory"
    split = judge(quantity, _large(*hard)["duality"], claimed=1.0, closed=exponents.duality_ratio(*hard))
    trained = f"trained at {sizes[-1]:g}: {ratio.simulated:.2f} ± {ratio.stderr:.2f}, theory there {ratio.theory:.2f}"
    claimed, closed = exponents.data_exponent(*easy), exponents.model_exponent(*easy)
    quantity = f"alpha_P, a = {EASY:g}, b = {FIXED_B:g}, theory; alpha_D = {large['data']:.3f}"
    beside = f"a = {EASY:g}, trained at {sizes[0]:g} to {sizes[-1]:g}, beside theory there"
    return [
        dataclasses.replace(split, measured=f"{split.measured} ({trained})"),
        judge(quantity, large["model"], claimed=claimed, closed=closed),
        *(runs[easy, axis].slope(quantity=f"{law[1][1:]}, {beside}").verdict() for axis, law in DUAL_LAWS.items()),
    ]


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
