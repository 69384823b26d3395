"""Tables and sentences of `rfm compare`: exponents, verdicts, and where runs ended."""

from collections.abc import Sequence

from experiments.compare.comparison import SYMBOLS
from experiments.compare.differences import Agreement
from experiments.compare.exponent import Exponent
from experiments.compare.scans import Scan
from experiments.compare.spread import scatter_ratio
from experiments.compare.windows import AVERAGE
from experiments.output.tables import align

QUANTITIES = {
    "time": "time t (N, P large)", "features": "model size N (t, P large)", "samples": "data P (t, N large)",
    AVERAGE: "averaged weights, time t",
}  # fmt: skip


def exponent_table(scans: Sequence[Scan], fits: Sequence[Exponent], closed: dict[str, float]) -> str:
    """Return one row a quantity, to be read at a glance."""
    rows = [("exponent of", "closed form", "theory", "simulation", "window")]
    for scan, fit in zip(scans, fits, strict=True):
        head = QUANTITIES[scan.axis], f"{closed[scan.axis]:.3f}" if scan.axis in closed else "-"
        if not scan.comparable:
            rows.append((*head, "no theory", "-", "-"))
            continue
        if fit.window is None:
            rows.append((*head, "-", "-", fit.status))
            continue
        low, high = fit.window
        window = f"{low:.3g} .. {high:.3g}" + ("" if fit.status == "steady" else f"; {fit.status}")
        rows.append((*head, f"{fit.theory:.3f}", f"{fit.simulated:.3f} ± {fit.stderr:.3f}", window))
    return align(rows)


def verdict_lines(scans: Sequence[Scan], judged: dict[str, Agreement]) -> list[str]:
    """Return the table of verdicts, and what they rest on."""
    rows = [("simulation against theory", "slope", "level", "std", "verdict")]
    ratios = {scan.axis: scatter_ratio(scan.risk) for scan in scans}
    labels = {scan.axis: scan.theory_label for scan in scans} | ({AVERAGE: ""} if AVERAGE in judged else {})
    for axis, label in labels.items():
        judgement = judged.get(axis)
        if judgement is None:
            rows.append((QUANTITIES[axis], "-", "-", "-", f"not judged: {label}"))
            continue
        slope = "flat" if judgement.slope is None else str(judgement.slope)
        rows.append((QUANTITIES[axis], slope, str(judgement.level), ratios.get(axis, "-"), judgement.words))
    lines = ["", align(rows)]
    if judged:
        every = [difference for judgement in judged.values() for difference in judgement.differences.values()]
        least, most = (100 * pick(d.visible for d in every) for pick in (min, max))
        lines.append(
            "Differences are over all points of a row, with 95 % intervals. Of those above this run would see\n"
            f"{least:.1f} % in the one it knows best and {most:.1f} % in the one it knows least."
        )
    if any(ratio != "-" for ratio in ratios.values()):
        lines.append("Intervals are those of theory; std is the scatter of simulated draws over that of theory.")
    fitted = {axis: judgement.finite_size for axis, judgement in judged.items() if judgement.finite_size}
    if fitted:
        power = {1: "", 2: "^2"}
        parts = ", ".join(f"({size})/{SYMBOLS[axis]}{power[size.order]}" for axis, size in fitted.items())
        lines.append(f"The finite-size part that theory leaves out, fitted and not counted above: {parts}.")
    return lines


def final_growth(scans: Sequence[Scan]) -> list[str]:
    """Return by how much the kernel has grown at the last time, where features are trained."""
    return [
        f"the kernel has grown by {scan.growth.mean[-1]:.4g} ± {scan.growth.stderr[-1]:.1g} at the last time, "
        f"{scan.theory_label} {scan.growth.theory[-1]:.4g}"
        for scan in scans if scan.growth is not None
    ]  # fmt: skip


def final_risks(scans: Sequence[Scan]) -> list[str]:
    """Return where runs without a theory of their own ended, beside what is drawn for orientation."""
    return [
        f"last point, {QUANTITIES[scan.axis]}: risk {scan.risk.mean[-1]:.4g} ± {scan.risk.stderr[-1]:.1g}; "
        f"{scan.theory_label} {scan.risk.theory[-1]:.4g}"
        for scan in scans if not scan.own_theory
    ]  # fmt: skip
