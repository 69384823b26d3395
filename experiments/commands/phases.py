"""`rfm phases`: compute-optimal one-pass SGD over the (alpha, beta) plane of Paquette et al. 2024."""

import argparse
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tqdm import tqdm

import rfm
import theory
from experiments import plotting, reports
from rfm import checks
from theory import exponents

ARGUMENTS = ("out", "quick")
ALPHAS, BETAS = (0.14, 1.6), (0.05, 1.6)  # of the grid
MODES_PER_FEATURE = 2.0
LR = 0.5  # of what the trace of the spectrum allows
NODES = 80
TREND = np.geomspace(1e6, 1e14, 5)  # compute at which one point of each phase is followed
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
    # two at a time: each leaves a core idle
    with ThreadPoolExecutor(2) as pool, tqdm(total=len(work), unit="point") as bar:

        def one(item):
            found = measure(*item)
            bar.update()
            return found

        found = list(pool.map(one, work))
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


def inside(alpha: float, beta: float) -> bool:
    """Is the point inside a phase?"""
    try:
        exponents.phase(alpha, beta)
    except ValueError:
        return False
    return True


def measure(point: tuple[float, float], compute: float) -> tuple[float, float, float]:
    """Exponents of risk and of model size at the frontier of the theory, and whether it converged."""
    alpha, beta = point
    a, b = exponents.from_alpha_beta(alpha, beta)
    # sum of k^-b: 1/(1 - b) times M^(1 - b), or b/(b - 1)
    lr = LR * (1.0 - b) * MODES_PER_FEATURE ** (b - 1.0) if b < 1.0 else LR * (b - 1.0) / b
    found = theory.frontier(
        rfm.power_law(a, b, 1000), np.array([compute]), optimizer=rfm.SGD(lr, 1), lr_exponent=min(0.0, b - 1.0),
        modes_per_feature=MODES_PER_FEATURE, nodes=NODES,
    )  # fmt: skip
    return float(found.risk_exponent[0]), float(found.size_exponent[0]), float(found.converged[0])


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
    return reports.align(rows)


def verdict(formula: float, measured: np.ndarray) -> str:
    """Does the measured exponent reach the formula, or come closer?"""
    if not len(measured):
        return "not converged"
    gap = np.abs(measured - formula)
    if gap[-1] < 0.01:
        return "reached"
    return f"{gap[-1]:.3f} off, closer with compute" if gap[-1] < gap[0] else f"{gap[-1]:.3f} off, not closer"


def grid_summary(plane, grid, compute: float) -> str:
    """How far the plane is from the formulas, phase by phase."""
    rows = [("phase", "points", "median |measured - formula|", "worst", "not converged")]
    for name in POINTS:
        pairs = [(exponents.phase(*p).risk, one) for p, one in zip(plane, grid, strict=True)
                 if exponents.phase(*p).name == name]  # fmt: skip
        gaps = [abs(one[0] - formula) for formula, one in pairs if one[2]]
        shown = (f"{np.median(gaps):.3f}", f"{max(gaps):.3f}") if gaps else ("-", "-")
        rows.append((name, str(len(pairs)), *shown, str(len(pairs) - len(gaps))))
    return f"the grid at C = {compute:.0e}\n" + reports.align(rows)


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
    alpha, beta = np.array(plane).T
    measured = np.array([one[0] if one[2] else np.nan for one in grid])
    fine = [(x, y) for y in np.linspace(*BETAS, 200) for x in np.linspace(*ALPHAS, 200)]
    formula = np.array([exponents.phase(*p).risk if inside(*p) else np.nan for p in fine]).reshape(200, 200)
    extent = (*ALPHAS, *BETAS)
    colours = dict(cmap="cividis", vmin=0.0, vmax=1.0)
    pictures = (
        axes[0, 0].imshow(formula, origin="lower", extent=extent, aspect="auto", **colours),
        axes[0, 1].scatter(alpha, beta, c=measured, s=62, marker="s", **colours),
    )
    for ax, picture, title in zip(axes[0, :2], pictures, ("formula", "measured"), strict=True):
        boundaries(ax)
        ax.set_xlim(*ALPHAS)
        ax.set_ylim(*BETAS)
        ax.set_xlabel(r"$\alpha$")
        ax.set_ylabel(r"$\beta$")
        ax.set_title(f"exponent of the best risk, {title}", fontsize=9)
        figure.colorbar(picture, ax=ax)
    for index, (name, line) in enumerate(zip(POINTS, followed, strict=True)):
        gap = np.where(line[:, 2] > 0, line[:, 0], np.nan) - exponents.phase(*POINTS[name]).risk
        style = dict(color=plotting.COLORS[index], marker=plotting.MARKERS[index], ms=4, lw=1.0)
        axes[0, 2].plot(trend, gap, label=name, **style)
    axes[0, 2].axhline(0.0, color="0.6", lw=0.8)
    axes[0, 2].set_xscale("log")
    plotting.finish(axes[0, 2], "compute $C$", "measured $-$ formula", "one point of each phase", log=False)
    return figure


def boundaries(ax) -> None:
    """Where phases meet, and their names."""
    line = dict(color="w", lw=1.2)
    ax.plot([0.5, 0.5], [0.0, BETAS[1]], **line)
    ax.plot([0.25, ALPHAS[1]], [0.5, 0.5], **line)
    ax.plot([0.5, ALPHAS[1]], [0.5, ALPHAS[1]], **line)
    for x in (0.25, 1.0 - 1.0 / np.sqrt(2.0)):
        ax.plot([x, x], [0.5, BETAS[1]], **line)
    labels = {"Ia": (1.0, 0.25), "Ib": (0.4, 0.3), "Ic": (0.17, 1.1), "II": (1.2, 0.75), "III": (0.8, 1.2),
              "IVa": (0.4, 1.0), "IVb": (0.27, 1.4)}  # fmt: skip
    for name, (x, y) in labels.items():
        ax.text(x, y, name, color="w", ha="center", va="center", fontsize=9, path_effects=plotting.OUTLINE)
