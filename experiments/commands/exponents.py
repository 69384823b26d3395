"""`rfm exponents`: every scaling law as claimed, in closed form, measured on the theory and on trained models."""

import argparse
import dataclasses

import jax
import numpy as np
from tqdm import tqdm

import rfm
import theory
from experiments.compare.exponent import Exponent
from experiments.compare.laws import Law, all_laws
from experiments.compare.scans import Scan, scan_size, scan_time
from experiments.compare.windows import fit_exponent
from experiments.output import files as reports
from experiments.output import plotting
from rfm import checks

CLOSE = 0.01  # exponents that differ by less are the same
SIZES = (24, 32, 48, 64, 96, 128)
TIMES = (0.1, 1e6, 71)
CURVE = {"num_features": 1024, "num_samples": np.inf}  # of the learning curve
CURVE_MODES = 20_000  # enough for the times at which 1024 features are many
# one in so many is trained along time: the gap of early times to theory is of order 1/N, so large models, not many
CURVE_SEEDS = 8
LARGE = {"num_features": np.inf, "num_samples": np.inf}
SCANS = {"time": "time", "model": "features", "data": "samples"}  # laws that training runs measure, and along what
PANELS = (
    ("time",), ("model", "ensemble"), ("data", "stopping"), ("compute", "compute sgd"),
    ("early model in N", "early data in P"), ("early model in t", "early data in t", "noise", "batches"),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Row:
    """A law, its exponent on the theory, and the scan and fit of trained models where there are any."""

    law: Law
    theory: float
    scan: Scan | None = None
    fit: Exponent | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments and defaults of this command alone."""
    parser.add_argument("--simulate", action="store_true", help="train models too, for time, N and P (3 min more)")
    # a trace that converges slowly needs many modes: at b = 1.25 the last of 1e5 still move the risk by percents
    parser.set_defaults(a=3.0, b=1.25, seeds=128, modes=100_000)


def run(args: argparse.Namespace) -> None:
    """Print the table, write exponents.png, .pdf, .csv and .json."""
    folder = reports.open_folder(args.out)
    checks.number("a", args.a, 1.0, "a number > 1")
    checks.number("b", args.b, 1.0, "a number > 1 (infinitely many modes, a trace that converges)")
    found = all_laws(args.a, args.b)
    sizes = SIZES[:3] if args.quick else SIZES
    runs = 1 + 2 * len(sizes) if args.simulate else 0
    with tqdm(total=len(found) + runs, unit="law") as bar:
        scans = simulate(args, sizes, bar) if args.simulate else {}
        rows = []
        for law in found:
            bar.set_description(law.name)
            scan = scans.get(law.name)
            rows.append(Row(law, law.measured(), scan, None if scan is None else fit_exponent(scan)))
            bar.update()
        bar.set_description("drawing")
        figure, points = draw(rows, args.quick)
    print(f"power law a = {args.a:g}, b = {args.b:g}; theory with infinitely many modes")
    print(exponent_table(rows))
    settings = {**vars(args), "verdicts": {row.law.name: verdict(row) for row in rows}}
    settings["fits"] = {row.law.name: dataclasses.asdict(row.fit) for row in rows if row.fit is not None}
    written = reports.save(folder, "exponents", figure, table(rows) + points, settings)
    print("wrote " + ", ".join(str(path) for path in written))


def simulate(args: argparse.Namespace, sizes, bar: tqdm) -> dict[str, Scan]:
    """Trained models along time, N and P, as `rfm compare` does: all else infinite, or large along time.

    The limit that a scan should tend to is that of as many modes as the models have: the rest would shift it by more
    than the rule of `fits` allows, and where theory and training are compared, both have these.
    """
    problem = rfm.power_law(args.a, args.b, args.modes, args.noise)
    common = {"optimizer": rfm.GradientFlow(), "keys": jax.random.split(jax.random.key(args.seed), args.seeds)}
    scans = {}
    for name, axis in SCANS.items():
        bar.set_description(f"training, {name}")
        if axis == "time":
            fewer = rfm.power_law(args.a, args.b, min(args.modes, CURVE_MODES), args.noise)
            few = common | {"keys": common["keys"][: max(4, args.seeds // CURVE_SEEDS)]}
            scans[name] = scan_time(fewer, rfm.log_times(*TIMES), **CURVE, **few)
            bar.update()
        else:
            scan = scan_size(problem, axis, sizes, **LARGE, **common, time=TIMES[1], on_point=bar.update)
            end = [theory.predict(problem, **(LARGE | {f"num_{axis}": x}), optimizer=rfm.Ridge(0.0)) for x in scan.x]
            scans[name] = dataclasses.replace(scan, limit=np.array([curve.risk[0] for curve in end]))
    return scans


def verdict(row: Row) -> str:
    """What theory and training say of the claim and of the closed form."""
    law, says = row.law, []
    if law.claim is not None:
        holds = abs(row.theory - law.claim) < CLOSE
        says.append(f"claim {'holds' if holds else 'FAILS'}")
    says.append("closed form holds" if abs(row.theory - law.closed) < CLOSE else "closed form not reached yet")
    if row.fit is not None:
        if row.fit.window is None:
            says.append(row.fit.status)
        else:
            low, high = row.fit.interval
            inside = (
                "training agrees with theory" if low <= row.fit.theory <= high else f"training {row.fit.z:+.1f} s.e."
            )
            says.append(inside if row.fit.agrees else "TRAINING DISAGREES")
            if law.claim is not None and abs(law.claim - law.closed) > CLOSE and not low <= law.claim <= high:
                says.append("and excludes the claim")
    return "; ".join(says)


def exponent_table(rows: list[Row]) -> str:
    """One row a law."""
    simulated = any(row.fit is not None for row in rows)
    head = ["quantity", "claimed", "closed form", "theory"]
    head += ["simulation (95 %)", "theory there"] if simulated else []
    lines = [(*head, "verdict")]
    for row in rows:
        law, fit = row.law, row.fit
        claim = "-" if law.claim is None else f"{law.claim:.3f} ({law.source})"
        cells = [law.label, claim, f"{law.closed:.3f}", f"{row.theory:.4f}"]
        if simulated and (fit is None or fit.window is None):
            cells += ["-", "-"]
        elif simulated:
            cells += [f"{fit.simulated:.3f} [{fit.interval[0]:.3f}, {fit.interval[1]:.3f}]", f"{fit.theory:.3f}"]
        lines.append((*cells, verdict(row)))
    return reports.align(lines)


def table(rows: list[Row]) -> list[dict]:
    """The printed table with all digits, and what was simulated."""
    out = []
    for row in rows:
        law, fit = row.law, row.fit
        line = {
            "quantity": law.label, "claimed": law.claim, "source": law.source, "closed_form": law.closed,
            "theory": row.theory, "at": law.at, "verdict": verdict(row),
        }  # fmt: skip
        if fit is not None and fit.window is not None:
            line |= {
                "simulation": fit.simulated, "low": fit.interval[0], "high": fit.interval[1],
                "window_error": fit.window_error, "theory_same_window": fit.theory, "window": fit.window,
            }  # fmt: skip
        out.append(line)
    return out


def draw(rows: list[Row], quick: bool) -> tuple:
    """Laws that belong together share a panel; and the points that are drawn, as rows of the table."""
    figure, axes = plotting.new_figure(
        2, 3, caption="dashes: closed form; dots: claim that fails; " + plotting.CAPTION + plotting.POINTS
    )
    by_name, points = {row.law.name: row for row in rows}, []
    for ax, names in zip(axes.flat, PANELS, strict=True):
        shown = [by_name[name] for name in names if name in by_name]
        if not shown:
            ax.set_visible(False)
            continue
        for index, row in enumerate(shown):
            points += draw_law(ax, row, index, 7 if quick else row.law.points)
        plotting.finish(ax, shown[0].law.x_label if len(shown) == 1 else _common_label(shown), "risk", "")
    return figure, points


def draw_law(ax, row: Row, index: int, count: int) -> list[dict]:
    """Theory, the closed form and a failing claim through its last point, and simulated points."""
    law, color = row.law, plotting.COLORS[index]
    x = np.geomspace(*law.span, count)
    y = law.curve(x)
    label = f"{law.label}: {law.closed:.3g}"
    if row.scan is None:
        ax.plot(x, y, color=color, lw=1.3, label=label)
    else:
        scan = row.scan
        every = np.flatnonzero((scan.x >= law.span[0]) & (scan.x > 0))
        ax.plot(scan.x[every], scan.predicted[every], color="0.6", lw=0.9, label="theory at the sizes trained")
        every = every[:: max(1, len(every) // 16)]
        plotting.draw_pair(ax, scan.x[every], scan.samples[:, every], x, y, label, index)
    anchor = y[-1] if law.amplitude is None else law.amplitude * x[-1] ** (law.sign * law.closed)
    ax.plot(x, anchor * (x / x[-1]) ** (law.sign * law.closed), color=color, lw=0.9, ls="--")
    if law.claim is not None and abs(law.claim - law.closed) > CLOSE:
        middle = np.sqrt(x[0] * x[-1])
        stated = y[np.argmin(np.abs(np.log(x / middle)))] * (x / middle) ** (law.sign * law.claim)
        use = stated > 0.3 * y.min()
        ax.plot(x[use], stated[use], color="k", lw=1.0, ls=":", label=f"claimed {law.claim:.3g} ({law.source})")
    return [{"quantity": law.label, "x": float(u), "y": float(v)} for u, v in zip(x, y, strict=True)]


def _common_label(rows: list[Row]) -> str:
    return ", ".join(dict.fromkeys(row.law.x_label for row in rows))
