"""`rfm exponents`: every scaling law as claimed, in closed form, measured on the theory and on trained models."""

import argparse
import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import rfm
import theory
from experiments.commands.settings import Shared, check_endless, record_of, settings_of
from experiments.compare.comparison import INFINITE, with_size
from experiments.compare.differences import Agreement
from experiments.compare.exponent import Exponent
from experiments.compare.laws import Law, all_laws
from experiments.compare.laws_conditioned import preconditioned_laws, undamped
from experiments.compare.laws_judged import SAME_EXPONENT, Row, theory_verdict, trained_verdict, verdict
from experiments.compare.laws_trained import COUNTS, rich_laws, rich_time
from experiments.compare.scans import Scan, scan_size, scan_time
from experiments.compare.statistics import log_derivative
from experiments.compare.windows import fit_exponent, judge_scans
from experiments.output import files, plotting, progress
from experiments.output.tables import align
from rfm import checks
from rfm.arguments import Sizes
from rfm.optimizers import Optimizer
from theory import exponents

DAMPING = 0.01
EARLY_FIT = 10.0  # a time at which runs are often fitted
SCANNED_SIZES = (24, 32, 48, 64, 96, 128)
TIME_RANGE = (0.1, 1e6, 71)
CURVE = Sizes(num_features=1024, num_samples=np.inf)  # of the learning curve
CURVE_MODES = 20_000  # enough for the times at which 1024 features are many
CURVE_SEEDS = 8  # one in so many is trained along time: gaps at early times are of order 1/N, so large models
LEFT_OUT = "a quick look: laws of compute are left out, each of whose points is a search over sizes\n"
RICH, PRECONDITIONED = "time rich", "time preconditioned"
# laws that training runs measure, and along what
SCANS = {"time": "time", RICH: "time", PRECONDITIONED: "time", "model": "features", "data": "samples"}
PANELS = {
    "training time": ("time", RICH, PRECONDITIONED, "time damped"),
    "model size": ("model", "ensemble"), "data": ("data", "stopping"),
    "compute": ("compute", "compute sgd", *(f"compute rich {cost}" for cost in COUNTS), "compute preconditioned"),
    "early corrections in size": ("early model in N", "early data in P"),
    "corrections and noise in time": ("early model in t", "early data in t", "noise", "batches"),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of `rfm exponents`."""

    shared: Shared
    simulate: bool
    richness: float
    power: float
    damping: float

    @property
    def preconditioned(self) -> rfm.Preconditioned | None:
        """The preconditioned flow that is asked for, if any."""
        return rfm.Preconditioned(self.power, self.damping) if self.power > 0.0 else None

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes that are trained."""
        return SCANNED_SIZES[:3] if self.shared.quick else SCANNED_SIZES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add arguments and defaults of this command alone."""
    parser.add_argument("--simulate", action="store_true", help="train models too, for time, N and P (3 min more)")
    parser.add_argument(
        "--richness", type=float, default=0.0, metavar="GAMMA",
        help="time and compute with features that are trained too, this many times as fast as the readout",
    )  # fmt: skip
    parser.add_argument(
        "--power", type=float, default=0.0, metavar="P",
        help="laws of preconditioned training too, (H + damping)^-P before the gradient: 0.5 as Shampoo, below 1",
    )  # fmt: skip
    parser.add_argument("--damping", type=float, metavar="RHO", help=f"of --power (default: {DAMPING:g})")
    # a trace that converges slowly needs many modes: at b = 1.25 the last of 1e5 still move the risk by percents
    parser.set_defaults(a=3.0, b=1.25, seeds=128, modes=100_000)


def run(args: argparse.Namespace) -> None:
    """Print the table, write exponents.png, .pdf, .csv and .json."""
    folder = files.check_folder(args.out)
    check_endless(args)
    checks.number("richness", args.richness, 0.0, "a number >= 0", inclusive=True)
    checks.number("power", args.power, 0.0, "a number >= 0 and < 1", inclusive=True)
    if args.power >= 1.0:
        checks.fail("power", "a number >= 0 and < 1 (at 1 all modes are learned at once: no power law)", args.power)
    if args.damping is not None:
        checks.number("damping", args.damping, 0.0, "a finite number > 0")
        if args.power == 0.0:
            checks.fail("damping", "left out without --power P, which it belongs to", args.damping)
    if args.richness > 0.0 and abs(args.a - 1.0 - args.b) < SAME_EXPONENT:
        checks.fail("a", f"different from 1 + b = {1.0 + args.b:g}, where laws of trained features change", args.a)
    settings = settings_of(Settings, args, damping=DAMPING if args.damping is None else args.damping)
    rows, figure, points = measure(settings)
    shared = settings.shared
    text = f"power law a = {shared.a:g}, b = {shared.b:g}; theory with infinitely many modes"
    record = record_of(settings) | {"verdicts": {row.law.name: verdict(row) for row in rows}}
    record["fits"] = {row.law.name: dataclasses.asdict(row.trained) for row in rows if row.trained is not None}
    record["agreement"] = {row.law.name: row.agreement.record() for row in rows if row.agreement is not None}
    text += f"; exponents p of x^-p, negative where a quantity grows\n{LEFT_OUT if shared.quick else ''}"
    text += exponent_table(rows) + amplitude_table(rows, settings) + seeming_gain(settings)
    lines = [*map(table_row, rows), *points]
    files.save_and_tell(folder, files.Result("exponents", lines, record, lambda: figure, text))


def measure(settings: Settings) -> tuple[list[Row], Figure, list[dict]]:
    """Measure every law, and draw it: the rows of the table, the figure, and the points that it shows."""
    laws, algorithms = _laws(settings), _algorithms(settings)
    runs = len(algorithms) + 2 * len(settings.sizes) if settings.simulate else 0
    with progress.bar(len(laws) + runs, "law") as bar:
        scans = simulate(settings, bar) if settings.simulate else {}
        fits = {name: fit_exponent(scan) for name, scan in scans.items()}
        agreed, rows = _judge(scans, fits), []
        for law in laws:
            bar.set_description(law.name)
            name = law.name
            rows.append(Row(law, law.measured(), scans.get(name), fits.get(name), agreed.get(name)))
            bar.update()
        bar.set_description("drawing")
        return rows, *draw(rows, settings)


def _laws(settings: Settings) -> list[Law]:
    """Return the laws of flow, and of trained features and preconditioned flow where asked for, as LEFT_OUT says."""
    a, b = settings.shared.a, settings.shared.b
    rich = rich_laws(a, b, settings.richness) if settings.richness > 0.0 else []
    conditioned = [] if settings.preconditioned is None else preconditioned_laws(a, b, settings.preconditioned)
    laws = [*all_laws(a, b), *rich, *conditioned]
    return [law for law in laws if not (settings.shared.quick and law.name.startswith("compute"))]


def _algorithms(settings: Settings) -> dict[str, tuple[Optimizer, float]]:
    """Return what is trained along time for which law: the algorithm, and its richness."""
    trained: dict[str, tuple[Optimizer, float]] = {"time": (rfm.GradientFlow(), 0.0)}
    if settings.richness > 0.0:
        trained[RICH] = rfm.GradientFlow(), settings.richness
    if settings.preconditioned is not None:
        trained[PRECONDITIONED] = undamped(settings.preconditioned), 0.0
    return trained


def _judge(scans: Mapping[str, Scan], fits: Mapping[str, Exponent]) -> dict[str, Agreement | None]:
    """Return whether training agrees with theory, scan by scan: those of flow together, any other by itself."""
    alone = [[name] for name in (RICH, PRECONDITIONED) if name in scans]
    agreed = {}
    for group in ([name for name in scans if [name] not in alone], *alone):
        judged = judge_scans([scans[name] for name in group], [fits[name] for name in group]) if group else {}
        agreed |= {name: judged.get(SCANS[name]) for name in group}
    return agreed


def seeming_gain(settings: Settings) -> str:
    """Return what a fit at an early time would claim of trained features where their exponent is the lazy one."""
    a, b = settings.shared.a, settings.shared.b
    exponent = exponents.time_exponent(a, b)
    if settings.richness == 0.0 or exponent < 1.0:
        return ""
    slope = -log_derivative(rich_time(a, b, settings.richness).curve, EARLY_FIT)
    return (
        f"\nAn easy task, (a - 1)/b = {exponent:.3g} > 1: training of features multiplies time by a"
        f"\nnumber, and leaves the exponent as it is. The slope at t = {EARLY_FIT:g} is {slope:.3g}: a fit there"
        f"\nwould claim a gain that is not one."
    )


def simulate(settings: Settings, bar: progress.Bar) -> dict[str, Scan]:
    """Train models along time, N and P, as `rfm compare` does: all else infinite, or large along time.

    Along time with trained features and preconditioned too, where they are asked for, on the same draws.

    The limit that a scan should tend to is that of as many modes as the models have: the rest would shift it by more
    than the rule of `windows` allows, and where theory and training are compared, both have these.
    """
    shared = settings.shared
    problem, keys, algorithms = shared.problem, shared.keys, _algorithms(settings)
    fewer = rfm.power_law(shared.a, shared.b, min(shared.modes, CURVE_MODES), shared.noise)
    few, times = keys[: max(4, shared.seeds // CURVE_SEEDS)], rfm.log_times(*TIME_RANGE)
    scans = {}
    for name, axis in SCANS.items():
        if axis == "time" and name not in algorithms:
            continue
        bar.set_description(f"training, {name}")
        if axis == "time":
            optimizer, richness = algorithms[name]
            scans[name] = scan_time(fewer, times, optimizer=optimizer, keys=few, richness=richness, **CURVE)
            bar.update()
        else:
            scan = scan_size(problem, axis, settings.sizes, optimizer=rfm.GradientFlow(), time=TIME_RANGE[1], keys=keys,
                             on_point=bar.update, **INFINITE)  # fmt: skip
            sizes = [with_size(axis, n) for n in scan.x]
            ends = [theory.predict(problem, optimizer=rfm.Ridge(0.0), **at).risk[0] for at in sizes]
            scans[name] = dataclasses.replace(scan, limit=np.array(ends))
    return scans


def exponent_table(rows: Sequence[Row]) -> str:
    """Return one row a law; and one for each that models were trained for."""
    lines = [("quantity", "claimed", "closed form", "theory", "verdict")]
    for law, row in ((row.law, row) for row in rows):
        claim = "-" if law.claim is None else f"{law.claim:.3f} ({law.source})"
        lines.append((law.label, claim, f"{law.closed:.3f}", f"{row.theory:.4f}", theory_verdict(row)))
    trained = [("training runs", "simulation (95 %)", "theory, same sizes", "verdict")]
    for row in (row for row in rows if row.trained is not None):
        measured, there = "-", "-"
        if (known := row.identified) is not None:
            low, high = known.interval
            measured, there = f"{known.simulated:.3f} ({low:.3f} .. {high:.3f})", f"{known.theory:.3f}"
        trained.append((row.law.label, measured, there, trained_verdict(row)))
    return "\n\n".join(align(cells) for cells in (lines, trained) if len(cells) > 1)


def amplitude_table(rows: Sequence[Row], settings: Settings) -> str:
    """Return the amplitudes A of laws A t^-p in time, features as drawn and trained, where there is a richness."""
    if settings.richness == 0.0:
        return ""
    lines = [("law A t^-p", "p", "A, closed form", "A, theory")]
    for row in rows:
        if row.law.name.startswith("time") and (known := row.law.amplitude) is not None:
            lines.append((row.law.label, f"{row.law.closed:.3f}", f"{known:.4f}", f"{row.law.level():.4f}"))
    return "\n\n" + align(lines)


def table_row(row: Row) -> dict:
    """Return a row of the printed table with all digits, and what was simulated."""
    law, trained = row.law, row.identified
    line = {
        "quantity": law.label, "claimed": law.claim, "source": law.source, "closed_form": law.closed,
        "theory": row.theory, "at": law.at, "verdict": verdict(row),
        "amplitude": law.amplitude, "amplitude_theory": None if law.amplitude is None else law.level(),
    }  # fmt: skip
    if trained is not None:
        low, high = trained.interval
        line |= {
            "simulation": trained.simulated, "low": low, "high": high, "window_error": trained.window_error,
            "theory_same_window": trained.theory, "window": trained.window,
        }  # fmt: skip
    return line


def draw(rows: Sequence[Row], settings: Settings) -> tuple[Figure, list[dict]]:
    """Draw laws that belong together in one panel; return the points that are drawn, as rows of the table."""
    caption = "dashes: closed form; dots: claim that does not hold; " + plotting.CAPTION
    caption += plotting.POINTS if settings.simulate else "numbers: p of x^-p, negative where a quantity grows"
    figure, axes = plotting.new_figure(2, 3, caption=caption)
    by_name, points = {row.law.name: row for row in rows}, []
    for ax, (title, names) in zip(axes.flat, PANELS.items(), strict=True):
        shown = [by_name[name] for name in names if name in by_name]
        if not shown:
            ax.set_visible(False)
            continue
        for index, row in enumerate(shown):
            points += draw_law(ax, row, index, 7 if settings.shared.quick else row.law.points)
        quantity = "part of the risk" if shown[0].law.name.startswith("early") else "risk"
        x_label = ", ".join(dict.fromkeys(row.law.x_label for row in shown))
        plotting.finish(ax, x_label, quantity, f"{title}: {message(shown)}")
    return figure, points


def message(rows: Sequence[Row]) -> str:
    """Return what a panel shows: whether closed forms hold, and claims."""
    closed = all(abs(row.theory - row.law.closed) < SAME_EXPONENT for row in rows)
    claimed = [row for row in rows if row.law.claim is not None]
    fails = any(abs(row.theory - row.law.claim) >= SAME_EXPONENT for row in claimed if row.law.claim is not None)
    words = ["closed form holds" if closed else "closed form not reached yet"]
    return ", ".join([*words, *(["a claim does not"] if fails else [])])


def draw_law(ax: Axes, row: Row, index: int, count: int) -> list[dict]:
    """Draw theory, the closed form and a failing claim through its last point, and simulated points."""
    law, color = row.law, plotting.COLORS[index]
    x = np.geomspace(*law.span, count)
    y = law.curve(x)
    label = f"{law.label}: {law.closed:.3g}"
    if row.scan is None:
        ax.plot(x, y, color=color, lw=1.3, label=label)
    else:
        risk = row.scan.risk
        inside = np.flatnonzero((risk.x >= law.span[0]) & (risk.x > 0))
        there = None if index else "theory at the sizes trained"
        ax.plot(risk.x[inside], risk.theory[inside], color=plotting.LIMIT, lw=0.9, label=there)
        points = risk.at(inside[:: max(1, len(inside) // 16)])
        plotting.draw(ax, dataclasses.replace(points, line_x=x, line=y), index, label=label)
    anchor = y[-1] if law.amplitude is None else law.amplitude * x[-1] ** -law.closed
    ax.plot(x, anchor * (x / x[-1]) ** -law.closed, color=color, lw=0.9, ls="--")
    if law.claim is not None and abs(law.claim - law.closed) > SAME_EXPONENT:
        middle = np.sqrt(x[0] * x[-1])
        stated = y[np.argmin(np.abs(np.log(x / middle)))] * (x / middle) ** -law.claim
        use = stated > 0.3 * y.min()
        label = f"claimed {law.claim:.3g} ({law.source})"
        ax.plot(x[use], stated[use], color=plotting.CLAIMED, lw=1.0, ls=":", label=label)
    return [{"quantity": law.label, "x": float(u), "y": float(v)} for u, v in zip(x, y, strict=True)]
