"""`rfm exponents`: every scaling law as claimed, in closed form, measured on the theory and on trained models."""

import argparse
import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import rfm
import theory
from experiments.commands.settings import Shared, record_of, settings_of
from experiments.compare.comparison import INFINITE, with_size
from experiments.compare.differences import Agreement
from experiments.compare.exponent import Exponent
from experiments.compare.laws import Law, all_laws, rich_time, undamped
from experiments.compare.scans import Scan, scan_size, scan_time
from experiments.compare.statistics import log_derivative
from experiments.compare.windows import fit_exponent, judge_scans
from experiments.output import files, plotting, progress
from experiments.output.tables import align
from rfm import checks
from rfm.arguments import Sizes
from rfm.optimizers import Optimizer
from theory import exponents

EARLY_FIT = 10.0  # a time at which runs are often fitted
SAME_EXPONENT = 0.01  # exponents that differ by less are the same
SCANNED_SIZES = (24, 32, 48, 64, 96, 128)
TIME_RANGE = (0.1, 1e6, 71)
CURVE = Sizes(num_features=1024, num_samples=np.inf)  # of the learning curve
CURVE_MODES = 20_000  # enough for the times at which 1024 features are many
# one in so many is trained along time: the gap of early times to theory is of order 1/N, so large models, not many
CURVE_SEEDS = 8
PRECONDITIONED = "time preconditioned"
SCANS = {"time": "time", "model": "features", "data": "samples"}  # laws that training runs measure, and along what
PANELS = {
    "training time": ("time", "time rich", PRECONDITIONED, "time damped"),
    "model size": ("model", "ensemble"), "data": ("data", "stopping"),
    "compute": ("compute", "compute sgd", "compute preconditioned"),
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


@dataclasses.dataclass(frozen=True)
class Row:
    """A law, its exponent on the theory, and the scan, exponent and verdict of trained models where there are any."""

    law: Law
    theory: float
    scan: Scan | None = None
    trained: Exponent | None = None
    agreement: Agreement | None = None

    @property
    def identified(self) -> Exponent | None:
        """The exponent of trained models, None where they have none."""
        return None if self.trained is None or self.trained.window is None else self.trained


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add arguments and defaults of this command alone."""
    parser.add_argument("--simulate", action="store_true", help="train models too, for time, N and P (3 min more)")
    parser.add_argument(
        "--richness", type=float, default=0.0, metavar="GAMMA",
        help="time with features that are trained too, at this ratio of learning rates, beside lazy time",
    )  # fmt: skip
    parser.add_argument(
        "--power", type=float, default=0.0, metavar="P",
        help="laws of preconditioned training too, (H + damping)^-P before the gradient: 0.5 as Shampoo, below 1",
    )  # fmt: skip
    parser.add_argument("--damping", type=float, default=0.01, metavar="RHO", help="of --power (default: %(default)s)")
    # a trace that converges slowly needs many modes: at b = 1.25 the last of 1e5 still move the risk by percents
    parser.set_defaults(a=3.0, b=1.25, seeds=128, modes=100_000)


def run(args: argparse.Namespace) -> None:
    """Print the table, write exponents.png, .pdf, .csv and .json."""
    folder = files.check_folder(args.out)
    checks.number("a", args.a, 1.0, "a number > 1")
    checks.number("b", args.b, 1.0, "a number > 1 (infinitely many modes, a trace that converges)")
    checks.number("richness", args.richness, 0.0, "a number >= 0", inclusive=True)
    checks.number("power", args.power, 0.0, "a number >= 0 and < 1", inclusive=True)
    if args.power >= 1.0:
        checks.fail("power", "a number >= 0 and < 1 (at 1 all modes are learned at once: no power law)", args.power)
    checks.number("damping", args.damping, 0.0, "a finite number > 0")
    if args.richness > 0.0 and abs(args.a - 1.0 - args.b) < SAME_EXPONENT:
        checks.fail("a", f"different from 1 + b = {1.0 + args.b:g}, where laws of trained features change", args.a)
    settings = settings_of(Settings, args)
    rows, figure, points = measure(settings)
    shared = settings.shared
    text = f"power law a = {shared.a:g}, b = {shared.b:g}; theory with infinitely many modes"
    record = record_of(settings) | {"verdicts": {row.law.name: verdict(row) for row in rows}}
    record["fits"] = {row.law.name: dataclasses.asdict(row.trained) for row in rows if row.trained is not None}
    record["agreement"] = {row.law.name: row.agreement.record() for row in rows if row.agreement is not None}
    text += "; exponents p of x^-p, negative where a quantity grows\n" + exponent_table(rows)
    text += seeming_gain(settings)
    lines = [*map(table_row, rows), *points]
    files.save_and_tell(folder, files.Result("exponents", lines, record, lambda: figure, text))


def measure(settings: Settings) -> tuple[list[Row], Figure, list[dict]]:
    """Measure every law, and draw it: the rows of the table, the figure, and the points that it shows."""
    laws = all_laws(settings.shared.a, settings.shared.b, settings.richness, settings.preconditioned)
    runs = 1 + (settings.power > 0.0) + 2 * len(settings.sizes) if settings.simulate else 0
    with progress.bar(len(laws) + runs, "law") as bar:
        scans = simulate(settings, bar) if settings.simulate else {}
        fits = {name: fit_exponent(scan) for name, scan in scans.items()}
        alone = {name: judge_scans([scans[name]], [fits[name]]) for name in scans if name == PRECONDITIONED}
        usual = [name for name in scans if name not in alone]
        judged = judge_scans([scans[name] for name in usual], [fits[name] for name in usual])
        judged |= {name: verdicts["time"] for name, verdicts in alone.items() if "time" in verdicts}
        rows = []
        for law in laws:
            bar.set_description(law.name)
            name, axis = law.name, SCANS.get(law.name, law.name)
            rows.append(Row(law, law.measured(), scans.get(name), fits.get(name), judged.get(axis)))
            bar.update()
        bar.set_description("drawing")
        return rows, *draw(rows, settings)


def seeming_gain(settings: Settings) -> str:
    """Return what a fit at an early time would claim of trained features where their exponent is the lazy one."""
    shared = settings.shared
    exponent = exponents.time_exponent(shared.a, shared.b)
    if settings.richness == 0.0 or exponent < 1.0:
        return ""
    slope = -log_derivative(rich_time(shared.a, shared.b, settings.richness).curve, EARLY_FIT)
    return (
        f"\nAn easy task, (a - 1)/b = {exponent:.3g} > 1: training of features multiplies time by a"
        f"\nnumber, and leaves the exponent as it is. The slope at t = {EARLY_FIT:g} is {slope:.3g}: a fit there"
        f"\nwould claim a gain that is not one."
    )


def simulate(settings: Settings, bar: progress.Bar) -> dict[str, Scan]:
    """Train models along time, N and P, as `rfm compare` does: all else infinite, or large along time.

    The limit that a scan should tend to is that of as many modes as the models have: the rest would shift it by more
    than the rule of `windows` allows, and where theory and training are compared, both have these.
    """
    shared = settings.shared
    problem = shared.problem
    flow, keys = rfm.GradientFlow(), settings.shared.keys
    scans = {}
    for name, axis in SCANS.items():
        bar.set_description(f"training, {name}")
        if axis == "time":
            fewer = rfm.power_law(shared.a, shared.b, min(shared.modes, CURVE_MODES), shared.noise)
            few = keys[: max(4, shared.seeds // CURVE_SEEDS)]
            trained: dict[str, Optimizer] = {name: flow}
            if settings.preconditioned is not None:
                trained[PRECONDITIONED] = undamped(settings.preconditioned)
            for law, optimizer in trained.items():
                scans[law] = scan_time(fewer, rfm.log_times(*TIME_RANGE), optimizer=optimizer, keys=few, **CURVE)
                bar.update()
        else:
            scan = scan_size(problem, axis, settings.sizes, optimizer=flow, time=TIME_RANGE[1], keys=keys,
                             on_point=bar.update, **INFINITE)  # fmt: skip
            sizes = [with_size(axis, n) for n in scan.x]
            ends = [theory.predict(problem, optimizer=rfm.Ridge(0.0), **at).risk[0] for at in sizes]
            scans[name] = dataclasses.replace(scan, limit=np.array(ends))
    return scans


def verdict(row: Row) -> str:
    """Return what theory and training say of the claim and of the closed form."""
    return "; ".join([theory_verdict(row), *([] if row.trained is None else [f"training {trained_verdict(row)}"])])


def theory_verdict(row: Row) -> str:
    """Return whether theory has the exponents of the claim and of the closed form."""
    law, says = row.law, []
    if law.claim is not None:
        holds = abs(row.theory - law.claim) < SAME_EXPONENT
        says.append("claim holds" if holds else "claim does not hold")
    says.append("closed form holds" if abs(row.theory - law.closed) < SAME_EXPONENT else "closed form not reached yet")
    return "; ".join(says)


def trained_verdict(row: Row) -> str:
    """Return whether trained models agree with theory, and whether they exclude a claim that is not the closed form."""
    law, trained, says = row.law, row.trained, [] if row.agreement is None else [row.agreement.words]
    if trained is not None and trained.window is None:
        says.append(trained.status)
    elif trained is not None:
        low, high = trained.interval
        if law.claim is not None and abs(law.claim - law.closed) > SAME_EXPONENT and not low <= law.claim <= high:
            says.append("excludes the claim")
    return "; ".join(says)


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


def table_row(row: Row) -> dict:
    """Return a row of the printed table with all digits, and what was simulated."""
    law, trained = row.law, row.identified
    line = {
        "quantity": law.label, "claimed": law.claim, "source": law.source, "closed_form": law.closed,
        "theory": row.theory, "at": law.at, "verdict": verdict(row),
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
        ax.plot(risk.x[inside], risk.theory[inside], color=plotting.LIMIT, lw=0.9, label="theory at the sizes trained")
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
