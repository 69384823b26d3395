"""The point on the page as every command leaves one: figure, table, and the settings that made them."""

import dataclasses
import math
import tempfile
from pathlib import Path

from matplotlib.figure import Figure

from experiments.explore import model
from experiments.explore.settings import Settings, python_call
from experiments.output import files as reports
from experiments.output import plotting
from experiments.output.drawing import TEST_LOSS
from experiments.output.tables import records
from rfm.curve import Curve
from theory import exponents

NAME = "explore"
TYPES = {
    "png": "image/png", "pdf": "application/pdf", "csv": "text/csv", "json": "application/json", "py": "text/x-python",
}  # fmt: skip


def export_file(settings: Settings, runs: Curve | None, suffix: str) -> bytes:
    """Return the content of one file of TYPES.

    Raises:
        ValueError: The theory refuses the settings.
    """
    seeds = 0 if runs is None else runs.num_seeds
    if suffix == "py":
        return python_call(settings, seeds).encode()
    shown = model.curves(settings)
    details = model.details(settings, shown)
    record = dataclasses.asdict(settings) | {"seeds": seeds, "seed": 0, "call": python_call(settings, seeds)}
    laws = [
        {"quantity": law.quantity, "closed": law.closed, "here": law.theory if math.isfinite(law.theory) else None}
        for law in details.exponents
    ]
    record |= {"exponents": laws, "task": details.task}
    with tempfile.TemporaryDirectory() as folder:
        figure = lambda: draw(model.Point(settings, shown), details, runs)  # noqa: E731
        reports.save(Path(folder), reports.Result(NAME, table(shown, details, runs), record, figure))
        return (Path(folder) / f"{NAME}.{suffix}").read_bytes()


def table(shown: Curve, details: model.Details, runs: Curve | None) -> list[dict]:
    """Return a row a time."""
    slope = model.slope(shown.times, shown.risk)
    columns = {"time": shown.times, "risk": shown.risk, "train_loss": shown.train_loss, "slope": slope}
    columns |= {f"limit_{name}": y for name, y in details.limits.items()}
    columns |= {f"part_{name}": y for name, y in details.parts.items()}
    rows = records(columns)
    if runs is not None:
        for name in model.LOSSES:
            for row, mean, error in zip(rows, runs.mean(name), runs.stderr(name), strict=False):
                row |= {f"simulated_{name}": float(mean), f"simulated_{name}_stderr": float(error)}
    return rows


def draw(point: model.Point, details: model.Details, runs: Curve | None) -> Figure:
    """Return a figure of risk and training loss with what limits them, and the local slope."""
    settings, shown = point
    points = "" if runs is None else plotting.POINTS
    figure, axes = plotting.new_figure(1, 2, width=4.4, caption=plotting.CAPTION + points)
    left, right = axes[0]
    for index, (name, label) in enumerate(model.LOSSES.items()):
        if runs is None:
            dash = "-" if name == "risk" else "--"
            left.plot(shown.times, getattr(shown, name), color=plotting.COLORS[index], lw=1.3, ls=dash, label=label)
        else:
            pair = model.beside(shown, runs, name).at(slice(None, None, 2))
            plotting.draw(left, pair, index, hollow=name != "risk")
    if settings.noise:
        left.plot(shown.times, shown.risk + settings.noise, color=plotting.COLORS[0], lw=0.9, ls="-.", label=TEST_LOSS)
    for index, (name, y) in enumerate(details.limits.items()):
        style = dict(color=plotting.COLORS[(index + 2) % 7], lw=0.9, ls=":")
        left.plot(shown.times, y, label=f"limit: {name}", **style)
    left.set_ylim(*model.frame(shown, runs))
    right.plot(shown.times, model.slope(shown.times, shown.risk), color=plotting.COLORS[0], label="risk")
    closed = exponents.time_exponent(settings.a, settings.b)
    right.axhline(closed, color="0.4", lw=0.9, ls="--", label=f"time, closed form {closed:.3g}")
    s = settings
    size = f"$N$ = {plotting.number(s.N)}, $P$ = {plotting.number(s.P)}, $K$ = {plotting.number(s.K)}"
    text = f"{s.algorithm}, $a$ = {s.a:g}, $b$ = {s.b:g}, {size}, $\\sigma^2$ = {s.noise:g}"
    seeds = "" if runs is None else f"; {runs.num_seeds} seeds"
    plotting.finish(left, "time $t$" if not s.discrete else "steps", "loss", text + seeds)
    right.set_xscale("log")
    plotting.finish(right, left.get_xlabel(), "$-d\\,\\log$ risk$/d\\,\\log t$", "local slope", log=False)
    return figure
