"""`rfm phases`: compute-optimal one-pass SGD over the (alpha, beta) plane of Paquette et al. 2024."""

import argparse

import numpy as np

from experiments.output import files as reports
from experiments.output import plotting
from experiments.output.tables import align
from experiments.papers.paquette2024.phase_map import (
    ALPHAS,
    BETAS,
    LR,
    MODES_PER_FEATURE,
    TREND,
    draw_map,
    draw_trend,
    inside,
    measure_all,
    verdict,
)
from rfm import checks
from theory import exponents

ARGUMENTS = ("out", "quick")
POINTS = {
    "Ia": (0.75, 0.25), "Ib": (0.33, 0.45), "Ic": (0.2, 2.0), "II": (1.25, 0.75), "III": (1.0, 2.0),
    "IVa": (0.45, 1.0), "IVb": (0.27, 0.8),
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command alone."""
    parser.add_argument("--compute", type=float, default=1e10, metavar="C", help="where exponents are measured")
    parser.add_argument("--grid", type=int, default=24, metavar="K", help="K x K points of the plane")


def run(args: argparse.Namespace) -> None:
    """Print the table, write phases.png, .pdf, .csv and .json."""
    folder = reports.open_folder(args.out)
    checks.number("compute", args.compute, 1e4, "a finite number >= 1e4", inclusive=True)
    size = 8 if args.quick else checks.count("grid", args.grid, "an integer >= 2")
    if size < 2:
        checks.fail("grid", "an integer >= 2", size)
    alphas, betas = (np.linspace(*span, size) for span in (ALPHAS, BETAS))
    plane = [(alpha, beta) for beta in betas for alpha in alphas if inside(alpha, beta)]
    trend = TREND[:3] if args.quick else TREND
    work = [(point, args.compute) for point in plane]
    work += [(point, compute) for point in POINTS.values() for compute in trend]
    found = measure_all(work)
    grid, followed = found[: len(plane)], np.reshape(found[len(plane) :], (len(POINTS), len(trend), 3))
    print(trend_table(followed, trend))
    if not np.all(followed[..., 2]):
        print("?: not converged, the risk is too small for a contour of so few nodes; left out of verdict and figure")
    print(grid_summary(plane, grid, args.compute))
    settings = vars(args) | {"lr": LR, "modes_per_feature": MODES_PER_FEATURE}
    rows = table(plane, grid, args.compute) + [
        row for name, line in zip(POINTS, followed, strict=True)
        for c, one in zip(trend, line, strict=True) for row in table([POINTS[name]], [one], c)
    ]  # fmt: skip
    written = reports.save(folder, "phases", draw(plane, grid, followed, trend), rows, settings)
    print("wrote " + ", ".join(str(path) for path in written))


def trend_table(followed: np.ndarray, trend: np.ndarray) -> str:
    """One row a phase: the formula, and what the theory measures as compute grows."""
    rows = [("phase", "alpha, beta", "balance", "formula", *(f"C = {c:.0e}" for c in trend), "verdict")]
    for (name, point), line in zip(POINTS.items(), followed, strict=True):
        phase = exponents.phase(*point)
        rows.append((
            name, f"{point[0]:g}, {point[1]:g}", phase.balance, f"{phase.risk:.4f}",
            *(f"{value:.4f}" + ("" if ok else "?") for value, _, ok in line),
            verdict(phase.risk, line[line[:, 2] > 0, 0]),
        ))  # fmt: skip
    return align(rows)


def grid_summary(plane, grid, compute: float) -> str:
    """How far the plane is from the formulas, phase by phase."""
    rows = [("phase", "points", "median |measured - formula|", "worst", "not converged")]
    for name in POINTS:
        pairs = [(exponents.phase(*p).risk, one) for p, one in zip(plane, grid, strict=True)
                 if exponents.phase(*p).name == name]  # fmt: skip
        gaps = [abs(one[0] - formula) for formula, one in pairs if one[2]]
        shown = (f"{np.median(gaps):.3f}", f"{max(gaps):.3f}") if gaps else ("-", "-")
        rows.append((name, str(len(pairs)), *shown, str(len(pairs) - len(gaps))))
    return f"the grid at C = {compute:.0e}\n" + align(rows)


def table(points, found, compute: float) -> list[dict]:
    """Formula and measurement of each point."""
    rows = []
    for (alpha, beta), (risk, size, converged) in zip(points, found, strict=True):
        phase = exponents.phase(alpha, beta)
        rows.append({
            "alpha": alpha, "beta": beta, "phase": phase.name, "balance": phase.balance, "compute": compute,
            "risk_exponent": risk, "risk_formula": phase.risk, "size_exponent": size, "size_formula": phase.size,
            "converged": bool(converged),
        })  # fmt: skip
    return rows


def draw(plane, grid, followed, trend):
    """The formula with its regions, the measurement, and how one point of each phase tends to its formula."""
    figure, axes = plotting.new_figure(
        1, 3, width=4.2, caption="theory: closed form and derivatives at the optimum; nothing is simulated"
    )
    measured = np.array([one[0] if one[2] else np.nan for one in grid])
    draw_map(figure, axes[0, 0], "formula")
    draw_map(figure, axes[0, 1], "measured", plane, measured)
    draw_trend(axes[0, 2], POINTS, followed, trend, "one point of each phase")
    return figure
