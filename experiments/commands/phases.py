"""`rfm phases`: compute-optimal one-pass SGD over the (alpha, beta) plane of Paquette et al. 2024."""

import argparse
import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from experiments.commands.parsing import NO_DRAWS
from experiments.commands.settings import settings_of
from experiments.compare.limits import in_words
from experiments.output import files as reports
from experiments.output import plotting
from experiments.output.tables import align
from experiments.papers.paquette2024 import phase_map as phases
from experiments.papers.paquette2024.phase_map import Best
from rfm import checks
from theory import exponents

ARGUMENTS = ("out", "quick")
PHASE_POINTS = {
    "Ia": (0.75, 0.25), "Ib": (0.33, 0.45), "Ic": (0.2, 2.0), "II": (1.25, 0.75), "III": (1.0, 2.0),
    "IVa": (0.45, 1.0), "IVb": (0.27, 0.8),
}  # fmt: skip
Lines = Mapping[str, Sequence[Best]]  # a point of each phase, followed in compute


@dataclasses.dataclass(frozen=True)
class Settings:
    """Compute at which exponents of the plane are measured, points of the grid a side, compute of the trends."""

    compute: float
    grid: int
    trend: np.ndarray


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command alone."""
    parser.add_argument("--seed", **NO_DRAWS)
    parser.add_argument("--compute", type=float, default=1e10, metavar="C", help="where exponents are measured")
    parser.add_argument("--grid", type=int, default=24, metavar="K", help="K x K points of the plane")


def run(args: argparse.Namespace) -> None:
    """Print the table, write phases.png, .pdf, .csv and .json."""
    folder = reports.check_folder(args.out)
    checks.number("compute", args.compute, 1e4, "a finite number >= 1e4", inclusive=True)
    size = 8 if args.quick else checks.count("grid", args.grid, "an integer >= 2")
    if size < 2:
        checks.fail("grid", "an integer >= 2", size)
    chosen = settings_of(Settings, args, grid=size, trend=phases.TREND[: 3 if args.quick else None])
    alphas, betas = (np.linspace(*span, chosen.grid) for span in (phases.ALPHAS, phases.BETAS))
    plane = [(alpha, beta) for beta in betas for alpha in alphas if phases.inside(alpha, beta)]
    grid = [best for line in phases.follow(plane, [chosen.compute]) for best in line]
    lines = dict(zip(PHASE_POINTS, phases.follow(list(PHASE_POINTS.values()), chosen.trend), strict=True))
    followed = [best for line in lines.values() for best in line]
    text = [trend_table(lines, chosen)]
    if not all(best.converged for best in followed):
        text += [
            "?: not converged, the risk is too small for a contour of so few nodes; left out of verdict and figure"
        ]
    text += [grid_summary(grid, chosen)]
    settings = vars(args) | {"lr": phases.LR, "modes_per_feature": phases.MODES_PER_FEATURE}
    table = [record(best) for best in (*grid, *followed)]
    result = reports.Result("phases", table, settings, lambda: draw(grid, lines, chosen), "\n".join(text))
    reports.save_and_tell(folder, result)


def trend_table(lines: Lines, settings: Settings) -> str:
    """Return one row a phase: the formula, and what the theory measures as compute grows."""
    rows = [("phase", "alpha, beta", "what balances", "formula", *(f"C = {c:.0e}" for c in settings.trend), "verdict")]
    for name, (alpha, beta) in PHASE_POINTS.items():
        phase, line = exponents.phase(alpha, beta), lines[name]
        reached = np.array([best.risk for best in line if best.converged])
        measured = (f"{best.risk:.4f}" + ("" if best.converged else "?") for best in line)
        text = phases.verdict(phase.risk, reached)
        rows.append((name, f"{alpha:g}, {beta:g}", in_words(phase.balance), f"{phase.risk:.4f}", *measured, text))
    return align(rows)


def grid_summary(grid: Sequence[Best], settings: Settings) -> str:
    """Return how far the plane is from the formulas, phase by phase."""
    rows: list[tuple[str, ...]] = [("phase", "points", "median |measured - formula|", "worst", "not converged")]
    for name in PHASE_POINTS:
        points = [best for best in grid if best.phase.name == name]
        gaps = [abs(best.risk - best.phase.risk) for best in points if best.converged]
        shown = (f"{np.median(gaps):.3f}", f"{max(gaps):.3f}") if gaps else ("-", "-")
        rows.append((name, str(len(points)), *shown, str(len(points) - len(gaps))))
    return f"the grid at C = {settings.compute:.0e}\n" + align(rows)


def record(best: Best) -> dict:
    """Return formula and measurement as a row of the table."""
    phase, (alpha, beta) = best.phase, best.point
    return {
        "alpha": alpha, "beta": beta, "phase": phase.name, "balance": phase.balance, "compute": best.compute,
        "risk_exponent": best.risk, "risk_formula": phase.risk, "size_exponent": best.size,
        "size_formula": phase.size, "converged": best.converged,
    }  # fmt: skip


def draw(grid: Sequence[Best], lines: Lines, settings: Settings) -> Figure:
    """Draw the formula with its regions, the measurement, and how one point of each phase tends to its formula."""
    caption = "theory: closed form and derivatives at the optimum; nothing is simulated; grey: none, or not converged"
    figure, axes = plotting.new_figure(1, 3, width=4.2, caption=caption)
    off = np.median([abs(best.risk - best.phase.risk) for best in grid if best.converged] or [np.nan])
    phases.draw_map(axes[0, 0], "formula: seven phases")
    where = f"$C$ = {plotting.number(settings.compute)}"
    phases.draw_map(axes[0, 1], f"theory at {where}: {off:.3f} from the formula (median)", grid)
    phases.draw_trend(axes[0, 2], lines, "one point of each phase")
    return figure
