"""S2, T5: label noise enters by the clock too; and the whole law, risk against N, t and P, with its double descent."""

import jax
import numpy as np

import rfm
import theory
from experiments.compare.comparison import AXES, agreement
from experiments.compare.keys import fold_keys
from experiments.compare.statistics import log_slope
from experiments.compare.verdicts import CLOSE, CONFIRMED, OPEN, REFINED, condition, judge
from experiments.output import plotting
from experiments.papers.boopathy2024 import scale_time as st
from experiments.papers.row import Script

LOUD = 100.0  # noise that is trained on: what it adds is divided by it, the rest matters less the louder it is
EARLY = (0.05, 0.2)  # of (N t)^(1/b) over the smaller of N and P
SHORT = 12  # points of a curve that is trained
FAR_CLOCK, FAR = 1e4 * np.exp([-0.1, 0.1]), 1e9  # clock and size where theory alone measures the exponent
SPREAD = 0.3  # of the collapsed points

SURFACE_SAMPLES = 100
SURFACE_SIZES = SURFACE_SAMPLES * np.geomspace(1 / 16, 16, 33)
SURFACE_CLOCK = rfm.log_times(1e-1, 1e8, 46)
CUT_TIMES = (0.03, 0.3, 3.0, 30.0)  # of the cuts through the surface that are trained, at these sizes
CUT_SIZES = (12, 25, 50, 80, 100, 125, 200, 400, 800)
CUT_MODES = 2000
CLEAR = 3.0  # standard errors by which a peak stands out
CUT_SEEDS = 4  # times as many as elsewhere: small models, and the risk at N = P has a heavy tail


def panel(ax, setting):
    """What noise adds, against (N t)^(1/b)/P: large sizes in theory, small ones trained beside their theory."""
    b, points = setting.b, st.noise_collapse(setting.a, setting.b)
    for n, ls in zip(st.NOISE_SIZES, ("-", "--"), strict=True):
        for p in st.NOISE_SAMPLES:
            chosen = [one for one in points if one["P"] == p and one["N"] == n]
            label = f"theory, N = {n:.0e}, three P" if p == st.NOISE_SAMPLES[0] else None
            ax.plot(
                *([one[name] for one in chosen] for name in ("x", "added")), color="0.6", ls=ls, lw=1.0, label=label
            )
    table, samples, known, sizes = [{"row": "T5", **one} for one in points], [], [], []
    for index, (n, p) in enumerate((n, p) for n in _ends(setting) for p in setting.samples):
        clock = np.geomspace(*(np.array(EARLY) * min(n, p)) ** b, SHORT)
        added, line = _train(setting, n, p, clock), st.noise_added(lambda v: _problem(setting, v), n, p, clock)
        x = clock ** (1 / b) / p
        plotting.draw_pair(ax, x, added, x, line, f"N = {n}, P = {p}", index)
        samples, known = [*samples, added], [*known, line]
        sizes += [1.0 / (1.0 / n + 1.0 / p)] * SHORT
        table += [{"row": "T5", "N": n, "P": p, "clock": t, "x": t ** (1 / b) / p, "added": m, "theory": y}
                  for t, m, y in zip(clock, added.mean(0), line, strict=True)]  # fmt: skip
    plotting.finish(ax, r"$(N t)^{1/b}/P$", "risk added by unit noise", "T5: noise, on one line")
    late = [one["ratio"] for one in points if one["clock"] > 50]
    spread = max(late) / min(late) - 1.0
    told = f"added risk P/(N t)^(1/b) within {spread:.0%} over {len(late)} points, 2 sizes, 3 P"
    infinite = lambda v: rfm.power_law(setting.a, b, None, v)  # noqa: E731
    far = st.noise_added(infinite, FAR, FAR, FAR_CLOCK)
    small, large = (st.noise_added(infinite, n, FAR, FAR_CLOCK) for n in FAR * FAR_CLOCK / 1e4)
    # at one time: the clock of the larger model is further by its size, or is the same
    standard, ntk = (log_slope(FAR_CLOCK, [small[0], large[i]]) for i in (1, 0))
    more = f"N^{standard:.3f} with features of variance 1, N^{ntk:.3f} with 1/N"
    alone = abs(standard - 1.0 / b) < CLOSE and abs(ntk) < CLOSE
    return [
        condition("T5 noise added against N at one t, theory", "larger is more sensitive", more, alone, REFINED, OPEN),
        condition("T5 noise", "one function of the clock and P", told, spread < SPREAD, CONFIRMED, OPEN),
        judge("T5 noise added against N t, theory", log_slope(FAR_CLOCK, far), closed=1.0 / b),
        agreement(np.concatenate(samples, 1), np.concatenate(known), np.array(sizes), "T5 theory = simulation"),
    ], table


def surface(ax, setting):
    """The unified law: risk over model size and clock at fixed data, with its double descent."""
    problem = rfm.power_law(setting.a, setting.b, None, setting.noise)
    risk = st.surface(problem, SURFACE_SIZES, SURFACE_SAMPLES, SURFACE_CLOCK)  # (N, T)
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
    told = f"late peak at N = {where} for P = {SURFACE_SAMPLES}, N t = 1e4 to 1e8: "
    told += "the peak does not move with N t" if stays else "the peak moves with N t"
    table = [
        {"row": "surface", "N": n, "clock": t, "risk": r}
        for n, line in zip(SURFACE_SIZES, risk, strict=True) for t, r in zip(SURFACE_CLOCK, line, strict=True)
    ]  # fmt: skip
    return [condition("surface", "one law in N t", told, stays, REFINED, OPEN)], table


def cuts(ax, setting):
    """Cuts through the surface at fixed t, trained: a U in model size early, the peak at N = P late."""
    problem = rfm.power_law(setting.a, setting.b, min(setting.modes, CUT_MODES), setting.noise)
    n = CUT_SIZES if len(setting.samples) > 1 else CUT_SIZES[::4]
    keys = jax.random.split(jax.random.key(setting.seed), CUT_SEEDS * setting.seeds)
    args = dict(num_samples=SURFACE_SAMPLES, optimizer=st.FLOW, times=np.array(CUT_TIMES), parametrization="standard")
    trained = rfm.sweep(problem, {"num_features": n}, keys, **args)
    line = np.unique([*n, *SURFACE_SIZES])
    fine = theory.sweep(problem, {"num_features": line}, **args).risk  # (N, T)
    known = fine[np.searchsorted(line, n)]
    for index, t in enumerate(CUT_TIMES):
        plotting.draw_pair(ax, n, trained.risk[..., index].T, line, fine[:, index], f"$t$ = {t:g}", index)
    ax.axvline(SURFACE_SAMPLES, color="0.6", lw=0.8, ls=":")
    plotting.finish(
        ax, AXES["features"], "risk", f"the same at fixed $t$, P = {SURFACE_SAMPLES}: U in size, then a peak"
    )
    ax.set_xlim(0.8 * n[0], 1.25 * n[-1])
    low, high = known.min(), known.max()
    ax.set_ylim(0.7 * low, 4 * high)
    mean, error = trained.mean(), trained.stderr()  # (N, T)
    humps = [told for i, t in enumerate(CUT_TIMES) if (told := _hump(n, mean[:, i], error[:, i], t))]
    size = np.repeat(1.0 / (1.0 / np.array(n) + 1.0 / SURFACE_SAMPLES), len(CUT_TIMES))
    samples = np.moveaxis(trained.risk, 1, 0).reshape(len(keys), -1)
    return [
        condition("T5 risk against N at fixed t, with noise", "U-shaped, then a second descent",
                  "; ".join(humps) if humps else "falls with N at every time", bool(humps), CONFIRMED, OPEN),
        agreement(samples, known.ravel(), size, "T5 cuts, theory = simulation"),
    ], [
        {"row": "T5 cut", "N": x, "P": SURFACE_SAMPLES, "t": t, "risk": m, "stderr": s, "theory": y}
        for x, means, errors, line in zip(n, mean, error, known, strict=True)
        for t, m, s, y in zip(CUT_TIMES, means, errors, line, strict=True)
    ]  # fmt: skip


def _hump(n, mean, error, t):
    """A valley, a peak and a second descent in words, where they stand out of the errors; else nothing."""
    valley = int(np.argmin(mean[: np.searchsorted(n, SURFACE_SAMPLES) + 1]))
    peak = valley + int(np.argmax(mean[valley:]))
    sides = all(mean[peak] - mean[i] > CLEAR * np.hypot(error[peak], error[i]) for i in (valley, -1))
    if not sides or valley == 0:
        return ""
    return f"t = {t:g}: " + ", then ".join(f"{mean[i]:.2f} at N = {n[i]}" for i in (valley, peak, -1))


def _ends(setting):
    """The smallest size that is trained, and the second largest."""
    return setting.sizes[0], setting.sizes[-2 if len(setting.sizes) > 2 else -1]


def _problem(setting, noise):
    return rfm.power_law(setting.a, setting.b, min(setting.modes, CUT_MODES), noise)


def _train(setting, n, p, clock):
    """What noise adds to the risk of trained models (S, T), divided by it: the same draws with it and without."""
    keys = fold_keys(fold_keys(setting.keys, n), p)
    noisy, clean = (
        rfm.simulate(_problem(setting, v), num_features=n, num_samples=p, optimizer=st.FLOW, times=clock / n, keys=keys,
                     parametrization="standard").risk for v in (LOUD, 0.0)
    )  # fmt: skip
    return (noisy - clean) / LOUD


main = Script(
    name="S2-T5",
    title="Label noise by the clock, and the unified law in N, t and P",
    source=st.SOURCE + "unified scaling laws",
    claim="size and time act as N t: so does the sensitivity to noise, and double descent",
    show=st.shower(panel, surface, cuts),
    full=dict(modes=2000, seeds=16, noise=0.1, sizes=(64, 128, 256, 512), samples=st.SAMPLES),
    smoke=dict(modes=500, seeds=4, noise=0.1, sizes=(32, 64), samples=(64,)),
    limits="S2's networks on images are not trained here: random features only",
)
