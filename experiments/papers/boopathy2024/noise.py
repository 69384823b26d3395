"""S2, T5: label noise enters by the clock too; and the whole law, risk against N, t and P, with its double descent."""

import dataclasses
from collections.abc import Sequence
from itertools import product

import jax
import numpy as np
from matplotlib.axes import Axes

import rfm
import theory
from experiments.compare.comparison import AXES, Comparison
from experiments.compare.equivalence import agreement
from experiments.compare.keys import fold_keys
from experiments.compare.statistics import log_slope
from experiments.compare.verdicts import CLOSE, REFINED, condition, judge
from experiments.output import plotting, tables
from experiments.papers.boopathy2024 import scale_time as st
from rfm.arguments import Arguments

LOUD = 100.0  # noise that is trained on: what it adds is divided by it, the rest matters less the louder it is
EARLY_SPAN = (0.05, 0.2)  # of (N t)^(1/b) over the smaller of N and P
SHORT = 12  # points of a curve that is trained
FAR_CLOCK, FAR_SIZE = 1e4 * np.exp([-0.1, 0.1]), 1e9  # clock and size where theory alone measures the exponent
NOISE_SIZES, NOISE_SAMPLES, NOISE_EARLY = (1e5, 1e6), (1e4, 1e5, 1e6), 0.01
SPREAD = 0.3  # of the collapsed points

SURFACE_SAMPLES = 100
SURFACE_SIZES = SURFACE_SAMPLES * np.geomspace(1 / 16, 16, 33)
SURFACE_CLOCK = rfm.log_times(1e-1, 1e8, 46)
CUT_TIMES = np.array([0.03, 0.3, 3.0, 30.0])  # of the cuts through the surface that are trained, at these sizes
CUT_SIZES = (12, 25, 50, 80, 100, 125, 200, 400, 800)
CLEAR = 3.0  # standard errors by which a peak stands out
CUT_SEEDS = 4  # times as many as elsewhere: small models, and the risk at N = P has a heavy tail


def panel(ax: Axes, setting: st.Setting) -> st.Part:
    """Draw what noise adds, against (N t)^(1/b)/P: large sizes in theory, small ones trained beside their theory."""
    b, points, pairs = setting.b, noise_collapse(setting.a, setting.b), []
    for n, p in product(NOISE_SIZES, NOISE_SAMPLES):
        line = [(point["x"], point["added"]) for point in points if (point["N"], point["P"]) == (n, p)]
        label = f"theory, N = {n:.0e}, three P" if p == NOISE_SAMPLES[0] else None
        ax.plot(*np.transpose(line), color="0.6", ls="-" if n == NOISE_SIZES[0] else "--", lw=1.0, label=label)
    table = [{"row": "noise"} | point for point in points]
    # the smallest size that is trained, and the second largest
    ends = setting.sizes[0], setting.sizes[-2 if len(setting.sizes) > 2 else -1]
    for index, (n, p) in enumerate(product(ends, setting.samples)):
        start, stop = (np.array(EARLY_SPAN) * min(n, p)) ** b
        clock = np.geomspace(start, stop, SHORT)
        pairs.append(_train(setting, n, p, clock))
        plotting.draw(ax, pairs[-1], index)
        columns = ("row", "N", "P", "clock", "x", "added", "theory")
        table += pairs[-1].rows(*columns, row="noise", clock=clock, added=pairs[-1].mean)
    plotting.finish(ax, r"$(N t)^{1/b}/P$", "risk added by unit noise", "noise adds the same against one variable")
    late = [point["ratio"] for point in points if point["clock"] > 50]
    spread = max(late) / min(late) - 1.0
    text = f"added risk P/(N t)^(1/b) within {spread:.0%} over {len(late)} points, 2 sizes, 3 P"
    growth = log_slope(FAR_CLOCK, noise_added(setting.infinite, FAR_SIZE, FAR_SIZE, FAR_CLOCK))
    small, large = (noise_added(setting.infinite, n, FAR_SIZE, FAR_CLOCK) for n in FAR_SIZE * FAR_CLOCK / 1e4)
    # at one time: the clock of the larger model is further by its size, or is the same
    standard, ntk = (log_slope(FAR_CLOCK, np.array([small[0], end])) for end in (large[1], large[0]))
    more = f"N^{standard:.3f} with features of variance 1, N^{ntk:.3f} with 1/N"
    alone = abs(standard - 1.0 / b) < CLOSE and abs(ntk) < CLOSE
    verdicts = [
        condition("noise added against N at one t, theory", "larger is more sensitive", more, alone, yes=REFINED),
        condition("noise added", "one function of the clock and P", text, spread < SPREAD),
        judge("noise added against N t, theory", growth, closed=1.0 / b),
        agreement(pairs, "noise added: simulation against theory"),
    ]
    return st.Part(verdicts, table)


def surface(ax: Axes, setting: st.Setting) -> st.Part:
    """Draw the unified law: risk over model size and clock at fixed data, with its double descent at N = P."""
    problem = _noisy(setting.infinite, setting.noise)
    risk = np.array([st.risk_by_clock(problem, n, SURFACE_SAMPLES, clock=SURFACE_CLOCK) for n in SURFACE_SIZES])
    picture = ax.pcolormesh(SURFACE_CLOCK, SURFACE_SIZES, np.log10(risk), cmap="cividis", shading="nearest", vmax=1.0)
    ax.axhline(SURFACE_SAMPLES, color="w", lw=0.8, ls=":", label="$N = P$")
    ax.figure.colorbar(picture, ax=ax, label=r"$\log_{10}$ risk", extend="max")
    title = f"one law: risk at P = {SURFACE_SAMPLES}, noise {setting.noise:g}"
    plotting.finish(ax, "clock $N t$", "model size $N$", title)
    ax.legend(fontsize=6.5, frameon=False, labelcolor="w")
    middle = (SURFACE_SIZES > SURFACE_SAMPLES / 4) & (SURFACE_SIZES < SURFACE_SAMPLES * 4)
    late = risk[:, SURFACE_CLOCK >= 1e4]
    peaks = np.unique(SURFACE_SIZES[middle][np.argmax(late[middle], axis=0)])
    where = " to ".join(f"{peak:.0f}" for peak in dict.fromkeys((peaks[0], peaks[-1])))
    stays = peaks[-1] / peaks[0] < 1.3  # one step of the grid, over four decades of the clock
    text = f"late peak at N = {where} for P = {SURFACE_SAMPLES}, N t = 1e4 to 1e8: "
    text += "the peak does not move with N t" if stays else "the peak moves with N t"
    table = tables.records({"row": "surface", "N": SURFACE_SIZES[:, None], "clock": SURFACE_CLOCK, "risk": risk})
    return st.Part([condition("risk over N and N t", "one law in N t", text, stays, yes=REFINED)], table)


def cuts(ax: Axes, setting: st.Setting) -> st.Part:
    """Draw cuts through the surface at fixed t, trained: a U in model size early, the peak at N = P late."""
    n = np.array(CUT_SIZES if len(setting.samples) > 1 else CUT_SIZES[::4])
    keys = jax.random.split(jax.random.key(setting.seed), CUT_SEEDS * setting.seeds)
    args = Arguments(num_samples=SURFACE_SAMPLES, optimizer=st.FLOW, times=CUT_TIMES, parametrization="standard")
    problem = _noisy(setting.small, setting.noise)
    trained = rfm.sweep(problem, {"num_features": n}, keys, **args).risk  # (N, S, T)
    line_x = np.unique([*n, *SURFACE_SIZES])
    line = theory.sweep(problem, {"num_features": line_x}, **args).risk  # (N, T)
    known = line[np.searchsorted(line_x, n)]
    pairs = []
    for i, t in enumerate(CUT_TIMES):
        risks, held, label = trained[..., i].T, {"P": SURFACE_SAMPLES, "t": t}, f"$t$ = {t:g}"
        pairs.append(Comparison("features", n, risks, known[:, i], held, label, line_x, line[:, i]))
    plotting.draw_all(ax, pairs)
    ax.axvline(SURFACE_SAMPLES, color="0.6", lw=0.8, ls=":")
    title = f"the same at fixed $t$, P = {SURFACE_SAMPLES}: U in size, then a peak"
    plotting.finish(ax, AXES["features"], "risk", title)
    ax.set(xlim=(0.8 * n[0], 1.25 * n[-1]), ylim=(0.7 * known.min(), 4 * known.max()))
    humps = [text for pair in pairs if (text := _hump(n, pair.mean, pair.stderr, pair.fixed["t"]))]
    text = "; ".join(humps) if humps else "falls with N at every time"
    verdicts = [
        condition("risk against N at fixed t, with noise", "U-shaped, then a second descent", text, bool(humps)),
        agreement(pairs, "risk at fixed t: simulation against theory"),
    ]
    table = sorted((record for pair in pairs for record in pair.rows()), key=lambda record: record["N"])
    return st.Part(verdicts, [{"row": "fixed time"} | record for record in table])


def noise_added(problem: rfm.Problem, n: float, p: float, clock: np.ndarray) -> np.ndarray:
    """Return what label noise of variance one adds to the predicted risk (T,)."""
    noisy, clean = (st.risk_by_clock(_noisy(problem, noise_var), n, p, clock=clock) for noise_var in (1.0, 0.0))
    return noisy - clean


def noise_collapse(a: float, b: float) -> list[dict]:
    """Return what noise adds at clock tau over two N and three P, and its ratio to tau^(1/b)/P: one number if early."""
    points = []
    for n, p in product(NOISE_SIZES, NOISE_SAMPLES):
        clock = np.geomspace(10.0, (NOISE_EARLY * min(n, p)) ** b, 7)
        added = noise_added(rfm.power_law(a, b, None), n, p, clock)
        x = clock ** (1 / b) / p
        points += tables.records({"N": n, "P": p, "clock": clock, "x": x, "added": added, "ratio": added / x})
    return points


def _hump(n: Sequence[int] | np.ndarray, mean: np.ndarray, error: np.ndarray, t: float) -> str:
    """A valley, a peak and a second descent in words, where they stand out of the errors; else nothing."""
    valley = int(np.argmin(mean[: np.searchsorted(n, SURFACE_SAMPLES) + 1]))
    peak = valley + int(np.argmax(mean[valley:]))
    sides = all(mean[peak] - mean[i] > CLEAR * np.hypot(error[peak], error[i]) for i in (valley, -1))
    if not sides or valley == 0:
        return ""
    return f"t = {t:g}: " + ", then ".join(f"{mean[i]:.2f} at N = {n[i]}" for i in (valley, peak, -1))


def _noisy(problem: rfm.Problem, noise_var: float) -> rfm.Problem:
    return dataclasses.replace(problem, noise_var=noise_var)


def _train(setting: st.Setting, n: int, p: int, clock: np.ndarray) -> Comparison:
    """Risk that unit noise adds, against (N t)^(1/b)/P: the same draws with noise and without."""
    keys, problem, args = fold_keys(fold_keys(setting.keys, n), p), setting.small, st.by_clock(n, p, clock)
    noisy, clean = (rfm.simulate(_noisy(problem, var), **args, keys=keys).risk for var in (LOUD, 0.0))
    x, predicted = clock ** (1 / setting.b) / p, noise_added(problem, n, p, clock)
    return Comparison("x", x, (noisy - clean) / LOUD, predicted, {"N": n, "P": p}, f"N = {n}, P = {p}")


main = st.script(
    name="S2-T5",
    title="Label noise by the clock, and the unified law in N, t and P",
    shown="unified scaling laws",
    claim="size and time act as N t: so does the sensitivity to noise, and double descent",
    panels=(panel, surface, cuts),
    full=dict(modes=2000, seeds=16, noise=0.1, sizes=(64, 128, 256, 512), samples=st.T5_SAMPLES),
    smoke=dict(modes=500, seeds=4, noise=0.1, sizes=(32, 64), samples=(64,)),
)
