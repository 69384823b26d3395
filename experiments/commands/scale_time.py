"""`rfm scale-time`: where a larger model is a faster clock, risk(N, t) = F(N t), and where that fails."""

import argparse
import dataclasses

import jax
import numpy as np
from tqdm import tqdm

import rfm
import theory
from experiments import plotting, reports
from experiments import scale_time as st
from experiments.compare import standard_error
from experiments.fits import log_slope
from rfm import checks
from theory import exponents

SURFACE_SAMPLES, SURFACE_NOISE = 100, 0.1
SURFACE_SIZES = SURFACE_SAMPLES * np.geomspace(1 / 16, 16, 33)
SURFACE_CLOCK = rfm.log_times(1e-1, 1e8, 46)
LARGE_SIZES = (512, 1024, 2048, 4096)  # where slopes of the time to a risk are taken
EARLY_LEVELS = np.geomspace(1.0, 0.6, 15)
COLLAPSE = 0.05  # slopes closer than this to a claim confirm it


@dataclasses.dataclass(frozen=True)
class Finding:
    """One row: what S2 says, what is measured here, and whether that bears it out."""

    row: str
    claim: str
    measured: str
    verdict: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Defaults of this command alone."""
    parser.set_defaults(a=1.5, b=1.25, noise=SURFACE_NOISE)


def run(args: argparse.Namespace) -> None:
    """Print the findings, write scale-time.png, .pdf, .csv and .json."""
    folder = reports.open_folder(args.out)
    checks.number("a", args.a, 1.0, "a number > 1")
    checks.number("b", args.b, 1.0, "a number > 1 (infinitely many modes, a trace that converges)")
    infinite = rfm.power_law(args.a, args.b, None)
    finite = rfm.power_law(args.a, args.b, args.modes)
    keys = jax.random.split(jax.random.key(args.seed), args.seeds)
    figure, axes = plotting.new_figure(2, 3)
    findings, rows = [], []
    steps = (clocks, floors, cross, noise, others, surface)
    with tqdm(total=len(steps), unit="row") as bar:
        for ax, step in zip(axes.flat, steps, strict=True):
            bar.set_description(step.__name__)
            found, points = step(ax, args, infinite, finite, keys)
            findings += found
            rows += points
            bar.update()
    print(reports.align([("", "S2 says", "measured", "verdict"), *(dataclasses.astuple(f) for f in findings)]))
    settings = {**vars(args), "findings": [dataclasses.asdict(f) for f in findings]}
    written = reports.save(folder, "scale-time", figure, rows, settings)
    print("wrote " + ", ".join(str(path) for path in written))


def clocks(ax, args, infinite, finite, keys):
    """T1, T3: time to a risk against N in both parametrisations, and the exponent that collapses the curves."""
    risks = np.array([st.risk_by_clock(infinite, n) for n in st.SIZES])
    ntk = np.array([st.times_to_risk(st.CLOCK, risk) for risk in risks])  # (sizes, levels): the clock is t itself
    standard = ntk / np.array(st.SIZES)[:, None]
    for index, level in enumerate(st.LEVELS):
        style = dict(color=plotting.COLORS[index], marker=plotting.MARKERS[index], ms=3.5, lw=1.2)
        reached = np.isfinite(ntk[:, index])
        x = np.array(st.SIZES)[reached]
        ax.plot(x, standard[reached, index], label=f"risk {level:g}, features of variance 1", **style)
        ax.plot(x, ntk[reached, index], ls="--", mfc="white", label=f"risk {level:g}, variance 1/N", **style)
    plotting.finish(ax, "model size $N$", "time to reach the risk", "T1: larger is faster, by normalization only")
    use = [st.SIZES.index(n) for n in LARGE_SIZES]
    if not np.isfinite(ntk[use, 0]).all():
        checks.fail("a", f"such that models of {LARGE_SIZES[0]} features reach risk {st.LEVELS[0]:g}", args.a)
    slopes = [log_slope(LARGE_SIZES, times[use, 0]) for times in (standard, ntk)]
    start = risks[:, 0].mean()
    levels = start * EARLY_LEVELS[1:]
    gammas = [
        st.collapse_exponent(LARGE_SIZES, times, risks[use], levels)
        for times in (st.CLOCK / np.array(LARGE_SIZES)[:, None], np.tile(st.CLOCK, (len(use), 1)))
    ]
    rows = [
        {"row": "T1", "N": n, "level": level, "time_standard": float(s), "time_ntk": float(t)}
        for n, line, base in zip(st.SIZES, ntk, standard, strict=True)
        for level, t, s in zip(st.LEVELS, line, base, strict=True)
    ]
    return [
        Finding(
            "T1 variance 1",
            "time to a risk ~ N^-1",
            f"N^{slopes[0]:.3f} (risk {st.LEVELS[0]:g})",
            _near(slopes[0], -1.0),
        ),
        Finding("T1 variance 1/N", "-", f"N^{slopes[1]:.3f}", _near(slopes[1], 0.0, "N does not matter")),
        Finding(
            "T3 variance 1",
            "risk(N^g t), g = 1",
            f"g = {gammas[0][0]:.3f}, spread {gammas[0][1]:.1%}",
            _near(gammas[0][0], 1.0),
        ),
        Finding(
            "T3 variance 1/N",
            "-",
            f"g = {gammas[1][0]:.3f}, spread {gammas[1][1]:.1%}",
            _near(gammas[1][0], 0.0, "t is the clock"),
        ),
    ], rows


def floors(ax, args, infinite, finite, keys):
    """T2: curves against the clock N t part at the floor of each size."""
    sizes = st.SIZES[:5]
    rows, ends = [], []
    for index, n in enumerate(sizes):
        risk = st.risk_by_clock(infinite, n)
        end = theory.predict(infinite, num_features=n, num_samples=np.inf, optimizer=rfm.Ridge(0.0)).risk[0]
        ends.append(end)
        ax.plot(st.CLOCK, risk, color=plotting.COLORS[index], lw=1.2, label=f"N = {n}")
        ax.plot(st.CLOCK[-1], end, marker="_", ms=9, color="k")
        rows += [
            {"row": "T2", "N": n, "clock": float(t), "risk": float(r)} for t, r in zip(st.CLOCK, risk, strict=True)
        ]
    plotting.finish(ax, "clock $N t$", "risk", "T2: one curve, until each size meets its floor")
    slope = -log_slope(sizes[-3:], ends[-3:])
    known = exponents.model_exponent(args.a, args.b)
    never = [n for n in sizes if ends[sizes.index(n)] > st.LEVELS[-1]]
    return [Finding(
        "T2 floor", "longer training replaces size",
        f"floor ~ N^-{slope:.3f} (closed form {known:.3f}); risk {st.LEVELS[-1]:g} never at N in {never}",
        "contradicted below the floor" if never else "not contradicted: every size gets there",
    )], rows  # fmt: skip


def cross(ax, args, infinite, finite, keys):
    """T4: a large model predicted from a small one by S2's rule, and by theory."""
    b = args.b
    expected = (1.0 if args.a - 1.0 < b else args.a - b) / b
    clock = np.geomspace(1.0, (0.02 * st.LAW[0]) ** (1.0 / expected), 13)
    error = st.rule_error(infinite, *st.LAW, clock)
    growth = log_slope(clock[6:], error[6:])
    found = st.cross_predict(finite, keys)
    mean, spread = found.simulated.mean(0), standard_error(found.simulated)
    by_rule, by_theory = np.abs(found.rule / mean - 1.0), np.abs(found.theory / mean - 1.0)
    wide = st.rule_error(infinite, st.SMALL, st.BIG, st.CLOCK[st.CLOCK >= 1.0])
    ax.plot(
        st.CLOCK[st.CLOCK >= 1.0],
        wide,
        color=plotting.COLORS[1],
        lw=1.2,
        label=f"rule, {st.SMALL} to {st.BIG} (theory)",
    )
    ax.plot(
        clock, error, color=plotting.COLORS[2], lw=1.2, label=f"rule, {st.LAW[0]} to {st.LAW[1]}: slope {growth:.2f}"
    )
    ax.plot(found.clock, by_rule, "s", ms=4, color=plotting.COLORS[1], label="rule, from trained small models")
    ax.plot(found.clock, by_theory, "o", ms=4, color=plotting.COLORS[0], label="theory, no training")
    ax.plot(found.clock, 2 * spread / mean, color="0.5", lw=1.0, ls=":", label="two standard errors of the large model")
    plotting.finish(ax, "clock $N t$", "relative error of the risk", "T4: a large model from a small one")
    ax.set_ylim(bottom=1e-6)
    rows = [
        {
            "row": "T4",
            "clock": float(t),
            "risk": float(m),
            "stderr": float(s),
            "rule_error": float(r),
            "theory_error": float(e),
        }
        for t, m, s, r, e in zip(found.clock, mean, spread, by_rule, by_theory, strict=True)
    ]
    good = found.clock[by_rule < 0.1]
    until = f"up to N t = {good[-1]:.3g}" if len(good) else "nowhere"
    worst = f"rule off by {by_rule[0]:.1%} to {by_rule.max():.0%}, theory by at most {by_theory.max():.1%}"
    return [
        Finding("T4 prediction", f"N = {st.BIG} from N = {st.SMALL}", worst, f"the rule holds to 10% {until}"),
        Finding(
            "T4 its error",
            "-",
            f"grows as (N t)^{growth:.3f}, closed form {expected:.3f}",
            _near(growth, expected, "closed form holds"),
        ),
    ], rows


def noise(ax, args, infinite, finite, keys):
    """T5: label noise enters as tau^(1/b)/P."""
    points = st.noise_collapse(args.a, args.b)
    for index, p in enumerate(st.NOISE_SAMPLES):
        for n, ls in zip(st.NOISE_SIZES, ("-", "--"), strict=True):
            chosen = [one for one in points if one["P"] == p and one["N"] == n]
            x, y = ([one[name] for one in chosen] for name in ("x", "added"))
            ax.plot(x, y, ls=ls, marker=plotting.MARKERS[index],
                    ms=3.5, color=plotting.COLORS[index], label=f"N = {n:.0e}, P = {p:.0e}")  # fmt: skip
    plotting.finish(ax, r"$(N t)^{1/b}/P$", "risk added by unit noise", "T5: noise, on one line")
    late = [one["ratio"] for one in points if one["clock"] > 50]
    spread = max(late) / min(late) - 1.0
    verdict = "collapses: sensitivity is the clock" if spread < 0.3 else "does not collapse"
    rows = [{"row": "T5", **one} for one in points]
    return [Finding(
        "T5 noise", "larger models are more sensitive",
        f"added risk P/(N t)^(1/b) within {spread:.0%} over {len(late)} points, 2 sizes, 3 P",
        verdict,
    )], rows  # fmt: skip


def others(ax, args, infinite, finite, keys):
    """T6: algorithms that are not linear in the gradient, in both parametrisations."""
    problem = rfm.power_law(args.a, args.b, min(args.modes, 2000))
    keys, findings, rows = keys[: 4 if args.quick else 16], [], []
    for parametrization, name, fill in (("standard", "variance 1", None), ("ntk", "variance 1/N", "white")):
        clock = None  # of gradient descent: exponent and standard error
        for index, (algorithm, optimizer) in enumerate(st.algorithms(problem, parametrization).items()):
            steps = st.steps_to_risk(problem, optimizer, parametrization, keys)
            if not np.isfinite(steps).all():
                never = f"not identified: not all reach the risk in {st.STEPS} steps"
                findings.append(Finding(f"T6 {algorithm}, {name}", "risk(N^g t)", "-", never))
                continue
            each = np.array([-log_slope(st.TRAINED, row) for row in steps])
            gamma, error = each.mean(), float(standard_error(each[:, None])[0])
            clock = clock or (gamma, error)
            same = abs(gamma - clock[0]) < 3.0 * np.hypot(error, clock[1])
            style = dict(color=plotting.COLORS[index], marker=plotting.MARKERS[index], ms=4, lw=1.0, mfc=fill)
            label = f"{algorithm}, {name}: slope {-gamma:.2f}"
            ax.errorbar(st.TRAINED, steps.mean(0), 2 * standard_error(steps), label=label, **style)
            verdict = "gradient descent's clock" if same else "another clock: equivalence broken"
            measured = f"g = {gamma:.2f} ± {error:.2f}"
            findings.append(Finding(f"T6 {algorithm}, {name}", "risk(N^g t)", measured, verdict if index else "-"))
            rows += [
                {
                    "row": "T6",
                    "algorithm": algorithm,
                    "parametrization": parametrization,
                    "N": n,
                    "steps": m,
                    "stderr": s,
                }
                for n, m, s in zip(st.TRAINED, steps.mean(0).tolist(), standard_error(steps).tolist(), strict=True)
            ]
    plotting.finish(ax, "model size $N$", f"steps to {st.REACH:g} of the risk at the start", "T6: training runs")
    ax.set_ylim(top=ax.get_ylim()[1] * 30)
    return findings, rows


def surface(ax, args, infinite, finite, keys):
    """The unified law: risk over model size and clock at fixed data, with its double descent."""
    problem = rfm.power_law(args.a, args.b, None, args.noise)
    risk = st.surface(problem, SURFACE_SIZES, SURFACE_SAMPLES, SURFACE_CLOCK)  # (N, T)
    picture = ax.pcolormesh(SURFACE_CLOCK, SURFACE_SIZES, np.log10(risk), cmap="cividis", shading="nearest")
    ax.axhline(SURFACE_SAMPLES, color="w", lw=0.8, ls=":", label="$N = P$")
    ax.figure.colorbar(picture, ax=ax, label=r"$\log_{10}$ risk")
    plotting.finish(ax, "clock $N t$", "model size $N$", f"risk at P = {SURFACE_SAMPLES}, noise {args.noise:g}")
    ax.legend(fontsize=6.5, frameon=False, labelcolor="w")
    middle = (SURFACE_SIZES > SURFACE_SAMPLES / 4) & (SURFACE_SIZES < SURFACE_SAMPLES * 4)
    late = risk[:, SURFACE_CLOCK >= 1e4]
    peaks = np.unique(SURFACE_SIZES[middle][np.argmax(late[middle], axis=0)])
    where = " to ".join(f"{peak:.0f}" for peak in dict.fromkeys((peaks[0], peaks[-1])))
    stays = peaks[-1] / peaks[0] < 1.3  # one step of the grid, over four decades of the clock
    moves = "the peak does not move with N t" if stays else "the peak moves with N t"
    rows = [
        {"row": "surface", "N": float(n), "clock": float(t), "risk": float(r)}
        for n, line in zip(SURFACE_SIZES, risk, strict=True) for t, r in zip(SURFACE_CLOCK, line, strict=True)
    ]  # fmt: skip
    return [Finding(
        "surface", "one law in N t", f"late peak at N = {where} for P = {SURFACE_SAMPLES}, N t = 1e4 to 1e8", moves,
    )], rows  # fmt: skip


def _near(value: float, claim: float, yes: str = "confirmed") -> str:
    return yes if abs(value - claim) < COLLAPSE else f"off by {value - claim:+.3f}"
