"""Axes that can be read: ticks on logarithmic axes of any length, and legends that cover no data."""

from collections.abc import Iterator, Sequence
from typing import Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import Formatter, Locator, LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import Bbox

# digits that have ticks, the sparsest first
DIGITS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0))
LEAST_TICKS, MOST_TICKS = 3, 8
PLAIN = (1e-3, 1e4)  # numbers within are written out
Corner = Literal["upper right", "upper left", "lower left", "lower right"]
UPPER: tuple[Corner, ...] = ("upper right", "upper left")
MOST_GROWTH = 2.0  # of an axis that makes room for a legend
MARGIN = 2.0  # pixels around a legend
BETWEEN = 12  # points that are looked at between two of a line


class LogTicks(Locator):
    """Ticks at the sparsest round numbers of which at least LEAST_TICKS are in view; powers of ten on long axes."""

    def __call__(self) -> list[float]:
        return self.tick_values(*self.axis.get_view_interval())  # type: ignore[union-attr]

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        """Return ticks between two numbers above zero."""
        low, high = sorted((max(vmin, 1e-300), max(vmax, 1e-300)))
        powers = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
        stride = -(-len(powers) // MOST_TICKS)
        choices = [np.sort(np.multiply.outer(10.0 ** powers[powers % stride == 0], DIGITS[0]).ravel())]
        choices += [np.sort(np.multiply.outer(10.0**powers, digits).ravel()) for digits in DIGITS[1:]]
        for ticks in choices:
            shown = ticks[(ticks >= low * (1 - 1e-9)) & (ticks <= high * (1 + 1e-9))]
            if len(shown) >= LEAST_TICKS:
                return shown.tolist()
        return list(MaxNLocator(4).tick_values(low, high))


class LogLabels(Formatter):
    """Plain numbers where all of the axis is in PLAIN, else powers of ten."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        low, high = sorted(self.axis.get_view_interval())  # type: ignore[union-attr]
        if PLAIN[0] <= low and high <= PLAIN[1]:
            return f"{x:.6g}"
        power = int(np.floor(np.log10(x) + 1e-9))
        digits = x / 10.0**power
        return f"$10^{{{power}}}$" if abs(digits - 1.0) < 1e-6 else rf"${digits:.3g}\times10^{{{power}}}$"


def set_ticks(axis: Axis) -> None:
    """Put ticks on a logarithmic axis; nothing is done to others."""
    if axis.get_scale() == "log":
        axis.set_major_locator(LogTicks())
        axis.set_major_formatter(LogLabels())
        axis.set_minor_formatter(NullFormatter())


def tidy(figure: Figure) -> None:
    """Put ticks on logarithmic axes that have matplotlib's own, clear legends of data, and let everything stay there.

    With an engine of layout matplotlib would draw each file twice.
    """
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        if type(axis.get_major_locator()) is LogLocator:
            set_ticks(axis)
    clear_legends(figure)
    with matplotlib.rc_context({"figure.autolayout": False, "figure.constrained_layout.use": False}):
        figure.set_layout_engine(None)


def clear_legends(figure: Figure) -> None:
    """Lay out, and move legends to where they cover no line and no point; axes grow where there is no such place."""
    _lay_out(figure)
    grown = [_clear(ax) for ax in figure.axes]
    if any(grown):
        _lay_out(figure)


def _lay_out(figure: Figure) -> None:
    """Find the places of axes and labels, as drawing does."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)


def _clear(ax: Axes) -> bool:
    """Move a legend; do the axes grow for it?"""
    legend = ax.get_legend()
    if legend is None or not _covers(box := legend.get_window_extent(), data := _drawn(ax)):
        return False
    corners = _corners(ax, box)
    free: list[Corner] = [place for place, corner in corners.items() if not _covers(corner, data)]
    if free:
        legend.set_loc(free[0])
        return False
    growth = {place: _growth(ax, corners[place], data) for place in UPPER}
    place = min(UPPER, key=lambda place: growth[place])
    legend.set_loc(place)
    to, back = ax.yaxis.get_transform().transform, ax.yaxis.get_transform().inverted().transform
    bottom, top = map(to, ax.get_ylim())
    ax.set_ylim(top=float(back(bottom + min(growth[place], MOST_GROWTH) * (top - bottom))))
    return True


def _growth(ax: Axes, corner: Bbox, data: Sequence[np.ndarray]) -> float:
    """Return how many times higher the axis must be for all that is drawn below a corner to stay below it."""
    window, large = ax.get_window_extent(), corner.padded(2 * MARGIN)
    below = [points[(points[:, 0] > large.x0) & (points[:, 0] < large.x1), 1] for points in data]
    highest = max((heights.max() for heights in below if len(heights)), default=window.y0)
    return max(1.0, float((highest - window.y0) / (large.y0 - window.y0)))


def _corners(ax: Axes, box: Bbox) -> dict[Corner, Bbox]:
    """Return where a legend of that size would be in each corner of the axes."""
    window, width, height = ax.get_window_extent(), box.width, box.height
    pad = 4.0 * ax.figure.dpi / 72.0
    xs = {"right": window.x1 - pad - width, "left": window.x0 + pad}
    ys = {"upper": window.y1 - pad - height, "lower": window.y0 + pad}
    places: tuple[Corner, ...] = (*UPPER, "lower left", "lower right")
    return {p: Bbox.from_bounds(xs[p.split()[1]], ys[p.split()[0]], width, height) for p in places}


def _covers(box: Bbox, data: Sequence[np.ndarray]) -> bool:
    large = box.padded(MARGIN)
    inside = lambda p: (p[:, 0] > large.x0) & (p[:, 0] < large.x1) & (p[:, 1] > large.y0) & (p[:, 1] < large.y1)  # noqa: E731
    return any(inside(points).any() for points in data)


def _drawn(ax: Axes) -> list[np.ndarray]:
    """Return points along all that is drawn, in pixels."""
    return [points for points in _paths(ax) if points.size]


def _paths(ax: Axes) -> Iterator[np.ndarray]:
    for line in ax.get_lines():
        if line.get_visible():
            yield _along(line)
    for collection in ax.collections:
        if isinstance(collection, LineCollection):  # error bars
            to = collection.get_transform().transform
            whole = (segment for segment in collection.get_segments() if len(segment))  # no bar of NaN
            yield from (_filled(_finite(to(np.asarray(segment, float)))) for segment in whole)
        elif collection.get_offsets().size and len(collection.get_offsets()) > 1:  # type: ignore[arg-type]
            yield _finite(ax.transData.transform(np.asarray(collection.get_offsets())))


def _along(line: Line2D) -> np.ndarray:
    """Return points of a line, in pixels, and of what is drawn between them."""
    points = _finite(line.get_transform().transform(np.column_stack([np.asarray(v, float) for v in line.get_data()])))
    return points if line.get_linestyle() in ("None", "", " ") else _filled(points)


def _filled(points: np.ndarray) -> np.ndarray:
    """Return points, and some on the straight ways between them."""
    if len(points) < 2:
        return points
    part = np.linspace(0.0, 1.0, BETWEEN, endpoint=False)[:, None, None]
    return np.concatenate([(points[:-1] + part * np.diff(points, axis=0)).reshape(-1, 2), points[-1:]])


def _finite(points: np.ndarray) -> np.ndarray:
    return points[np.isfinite(points).all(-1)]
