"""The point on the page as every command leaves one: figure, table, and the settings that made them."""

import dataclasses
import math
import tempfile
from functools import lru_cache
from pathlib import Path

from matplotlib.figure import Figure

from experiments.compare.algorithms import OWN
from experiments.compare.spread import Spread
from experiments.explore import model
from experiments.explore.call import notebook, python_call
from experiments.explore.laws import time_law
from experiments.explore.parameters import USUAL
from experiments.explore.settings import Settings
from experiments.output import files as reports
from experiments.output import plotting
from experiments.output.drawing import TEST_LOSS
from experiments.output.tables import records
from rfm.curve import Curve

NAME = "explore"
TYPES = {
    "png": "image/png", "pdf": "application/pdf", "csv": "text/csv", "json": "application/json", "py": "text/x-python",
    "ipynb": "application/x-ipynb+json",
}  # fmt: skip


def export_file(settings: Settings, runs: Curve | None, suffix: str) -> bytes:
    """Return the content of one file of TYPES.

    Raises:
        ValueError: The theory refuses the settings.
    """
    seeds = 0 if runs is None else runs.num_seeds
    if suffix == "py":
        return python_call(settings, seeds).encode()
    if suffix == "ipynb":
        return notebook(settings, seeds).encode()
    return _files(settings, runs)[suffix]


@lru_cache(maxsize=4)
def _files(settings: Settings, runs: Curve | None) -> dict[str, bytes]:
    """Return every file that is drawn, by type: who takes one of a point takes another of it."""
    seeds = 0 if runs is None else runs.num_seeds
    point = model.corrected(model.curves(settings))
    details, band = model.details(point), model.scatter(point)
    record = dataclasses.asdict(settings) | {"seeds": seeds, "seed": 0, "call": python_call(settings, seeds)}
    laws = [
        {"quantity": law.quantity, "closed": law.closed, "here": law.theory if math.isfinite(law.theory) else None}
        for law in details.exponents
    ]
    record |= {"exponents": laws, "task": details.task}
    with tempfile.TemporaryDirectory() as folder:
        figure = lambda: draw(point, details, runs, band)  # noqa: E731
        written = reports.save(Path(folder), reports.Result(NAME, table(point, details, runs, band), record, figure))
        return {path.suffix[1:]: path.read_bytes() for path in written}


def table(point: model.Point, details: model.Details, runs: Curve | None, band: Spread | None) -> list[dict]:
    """Return a row a time."""
    columns = {"time": point.times}
    for name, loss in point.losses.items():
        columns |= {name: model.best(loss), f"{name}_leading": loss.leading}
    columns |= {"slope": point.slope} | ({} if band is None else {"std": band.std})
    if point.leading.kernel_growth is not None:
        columns["kernel_growth"] = point.leading.kernel_growth
    columns |= {f"limit_{name}": y for name, y in details.limits.items()}
    columns |= {f"part_{name}": y for name, y in details.parts.items()}
    rows = records(columns)
    if runs is not None:
        for name in point.losses:
            for row, mean, error in zip(rows, runs.mean(name), runs.stderr(name), strict=False):
                row |= {f"simulated_{name}": float(mean), f"simulated_{name}_stderr": float(error)}
    return rows


def draw(point: model.Point, details: model.Details, runs: Curve | None, band: Spread | None) -> Figure:
    """Return a figure of risk and training loss with what limits them, and the local slope."""
    s, times, risk = point.settings, point.times, point.losses["risk"]
    caption = plotting.CAPTION if point.label == OWN else f"lines: {point.label}; "
    caption = plotting.SPREAD if s.corrected else caption + ("" if runs is None else plotting.POINTS)
    figure, axes = plotting.new_figure(1, 2, width=4.4, caption=caption)
    left, right = axes[0]
    for index, (name, loss) in enumerate(point.losses.items()):
        hollow = name == "train_loss"
        if runs is None:
            style = dict(color=plotting.COLORS[index], lw=1.3, ls="--" if hollow else "-")
            left.plot(times, loss.line, label=model.LOSSES[name], **style)
        else:
            pair = model.beside(point, runs, name).at(slice(None, None, 2))
            plotting.draw(left, pair, index, hollow=hollow)
        if name != "risk" or band is None:
            left.plot(times, model.dotted(loss), color=plotting.COLORS[index], lw=1.0, ls=":")
    if band is not None:
        plotting.draw_spread(left, band)
    if s.noise:
        left.plot(times, risk.line + s.noise, color=plotting.COLORS[0], lw=0.9, ls="-.", label=TEST_LOSS)
    for index, (name, y) in enumerate(details.limits.items()):
        left.plot(times, y, label=f"limit: {name}", color=plotting.COLORS[(index + 2) % 7], lw=0.9, ls=":")
    left.set_ylim(*model.frame(point, runs))
    right.plot(times, point.slope, color=plotting.COLORS[0], label="risk")
    closed = time_law(s)
    if closed is not None:
        right.axhline(closed, color="0.4", lw=0.9, ls="--", label=f"time, closed form {closed:.3g}")
    size = f"$N$ = {plotting.number(s.N)}, $P$ = {plotting.number(s.P)}, $K$ = {plotting.number(s.K)}"
    text = f"{s.algorithm}, $a$ = {s.a:g}, $b$ = {s.b:g}, {size}, $\\sigma^2$ = {s.noise:g}"
    usual = USUAL | {"richness": 0.0}
    said = [f"{name} {getattr(s, name)}" for name in usual if getattr(s, name) not in (None, usual[name])]
    text += "\n" + ", ".join(said) if said else ""
    seeds = "" if runs is None else f"; {runs.num_seeds} seeds"
    plotting.finish(left, "time $t$" if not s.discrete else "steps", "loss", text + seeds)
    right.set_xscale("log")
    plotting.finish(right, left.get_xlabel(), "$-d\\,\\log$ risk$/d\\,\\log t$", "local slope", log=False)
    return figure
