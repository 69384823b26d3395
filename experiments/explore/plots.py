"""Figures of the page: risk, local slope, frontier. Data comes in, glyphs move."""

from typing import Literal

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    CustomJSTicker,
    DataRange1d,
    GlyphRenderer,
    HoverTool,
    LegendItem,
    SaveTool,
    TeeHead,
    Whisker,
)
from bokeh.plotting import figure

import theory
from experiments.compare.algorithms import OWN
from experiments.compare.limits import LIMITS, RISK_PARTS
from experiments.compare.spread import Spread
from experiments.explore import laws, model
from experiments.explore.model import LOSSES
from experiments.output.plotting import COLORS
from rfm.curve import Curve

TOOLS = "pan,box_zoom,wheel_zoom,reset"
# of a logarithmic axis of any length, as `axes.LogTicks` has them; those of Bokeh leave most of a short axis bare
TICKS = """
const low = Math.min(cb_data.start, cb_data.end), high = Math.max(cb_data.start, cb_data.end)
const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high))
for (const digits of [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 4, 5, 6, 8]]) {
  const stride = digits.length > 1 ? 1 : Math.ceil((last - first + 1) / 8), ticks = []
  for (let power = Math.ceil(first / stride) * stride; power <= last; power += stride)
    for (const digit of digits) ticks.push(Number(`${digit}e${power}`))
  const seen = ticks.filter(tick => tick >= low && tick <= high)
  if (seen.length >= 3) return seen
}
const unit = 10 ** Math.floor(Math.log10((high - low) / 3))
const step = unit * [5, 2, 1].find(digit => 3 * digit * unit <= high - low)
return Array.from({length: 10}, (_, i) => Number(((Math.ceil(low / step) + i) * step).toPrecision(12)))
  .filter(tick => tick <= high)
"""
PART_COLUMNS = {f"part_{name}": name for name in RISK_PARTS}  # by their columns


class Plots:
    """The figures, and the sources of data that they draw."""

    def __init__(self) -> None:
        lines = (f"{kind}{loss}" for loss in LOSSES for kind in ("", "leading_"))
        self.curve = _source("times", *lines, "slope", "compute", "leading",
                             "test_loss", "lower", "upper", name="curve")  # fmt: skip
        self.terms = _source("times", *LIMITS, *PART_COLUMNS, name="terms")
        self.closed, self.corners = _source("times", "slope", name="closed"), _source("x", "y", name="corners")
        columns = (f"{loss}_{column}" for loss in LOSSES for column in ("mean", "lower", "upper"))
        self.runs = _source("times", *columns, name="runs")
        self.frontier = _source("compute", "risk", "size", name="frontier")
        self.frontier_line = _source("compute", "risk", name="frontier_line")
        self.budgets: list[theory.Frontier] = []
        self.drawn = {name: name in LIMITS for name in (*LIMITS, *PART_COLUMNS)}  # is the line wanted?
        self.lines: dict[str, GlyphRenderer] = {}
        self.risk = self._risk()
        self.slope = self._slope()
        self.best = self._frontier()

    def show_curves(self, point: model.Point, band: Spread | None = None) -> None:
        """Draw the curves themselves, with the band of one model if it is known, and the axes that hold them."""
        settings, times = point.settings, point.times
        infinite, none = np.isinf(settings.N), np.full(len(times), np.nan)
        data = {"times": times, "slope": point.slope, "lower": none, "upper": none}
        data["compute"] = none if infinite else laws.compute(settings, times)
        data["leading"] = _positive(point.leading.risk)  # as the frontier is
        data["test_loss"] = point.losses["risk"].line + settings.noise if settings.noise else none
        for loss in LOSSES:
            curve = point.losses.get(loss)
            data[loss] = none if curve is None else _positive(curve.line)
            data[f"leading_{loss}"] = none if curve is None else _positive(model.dotted(curve))
        if band is not None:
            line, std = band.line, band.std
            data |= {"lower": np.maximum(line - std, 1e-3 * line), "upper": line + std}
        self.curve.update(data=data)
        law = laws.time_law(settings)
        self.closed.update(data={"times": times[[0, -1]], "slope": np.full(2, np.nan if law is None else law)})
        for plot in (self.risk, self.slope):
            plot.xaxis.axis_label = "steps" if settings.discrete else "time t"
        for legend in self.risk.legend:
            legend.title = None if point.label == OWN else point.label
        self._frame(point)
        self._show_lines()

    def show_details(self, point: model.Point, details: model.Details) -> None:
        """Draw what limits the risk, and its parts."""
        none = np.full(len(point.times), np.nan)
        terms = {name: _positive(details.limits.get(name, none)) for name in LIMITS}
        parts = {column: _positive(details.parts.get(name, none)) for column, name in PART_COLUMNS.items()}
        self.terms.update(data={"times": point.times} | terms | parts)
        self._show_lines()

    def show_lines(self, *, limits: bool, parts: bool) -> None:
        """Choose which kinds of lines are drawn."""
        self.drawn = dict.fromkeys(LIMITS, limits) | dict.fromkeys(PART_COLUMNS, parts)
        self._show_lines()

    def _show_lines(self) -> None:
        """Draw the lines that are wanted and have data; the legend names them."""
        for name, line in self.lines.items():
            column = np.asarray((self.terms if name in self.drawn else self.curve).data[name], float)
            line.visible = self.drawn.get(name, True) and bool(np.any(np.isfinite(column)))
        for legend in self.risk.legend:
            for item in legend.items:
                if isinstance(item, LegendItem):
                    item.visible = all(line.visible for line in item.renderers)

    def show_runs(self, point: model.Point, runs: Curve) -> None:
        """Draw training runs with two standard errors."""
        few = slice(None, None, 2)
        data = {"times": runs.times[few]}
        for loss in LOSSES:
            if loss not in point.losses:
                data |= {
                    f"{loss}_{column}": np.full(len(data["times"]), np.nan) for column in ("mean", "lower", "upper")
                }
                continue
            mean, error = runs.mean(loss)[few], 2.0 * runs.stderr(loss)[few]
            data |= {f"{loss}_mean": _positive(mean), f"{loss}_upper": mean + error}
            data[f"{loss}_lower"] = np.maximum(mean - error, 1e-3 * mean)
        self.runs.update(data=data)
        self._frame(point, runs)

    def add_budget(self, optimum: theory.Frontier) -> None:
        """Draw one more point of the frontier."""
        columns = {"compute": optimum.compute, "risk": optimum.risk, "size": optimum.num_features}
        self.frontier.stream({name: np.asarray(values) for name, values in columns.items()})
        self.budgets.append(optimum)
        compute, risk = laws.joined(self.budgets)
        self.frontier_line.update(data={"compute": compute, "risk": risk})

    def clear(self, *sources: ColumnDataSource) -> None:
        """Take what these sources draw off the figures; all that depends on the settings where none is named."""
        sources = sources or (self.curve, self.terms, self.runs, self.frontier)
        if self.frontier in sources:
            sources, self.budgets = (*sources, self.frontier_line), []
        for source in sources:
            if any(len(source.data[name]) for name in source.column_names):
                source.update(data={name: [] for name in source.column_names})
        self._show_lines()

    def _frame(self, point: model.Point, runs: Curve | None = None) -> None:
        self.corners.update(data={"x": point.times[[0, -1]], "y": model.frame(point, runs)})

    def _risk(self) -> figure:
        plot = _figure("risk", y_axis_type="log", height=430)
        corners = plot.scatter("x", "y", source=self.corners, alpha=0.0)
        # axes follow the corners alone, until the reader zooms: limits and losses may lie decades below
        plot.x_range = DataRange1d(renderers=[corners], range_padding=0.02)
        plot.y_range = DataRange1d(renderers=[corners], range_padding=0.0)
        for color, name in zip(COLORS[2:], LIMITS, strict=True):
            self.lines[name] = plot.line("times", name, source=self.terms, color=color, line_dash="dotted",
                                         line_width=1.5, legend_label=f"limit: {name}")  # fmt: skip
        for color, (column, name) in zip(COLORS[2:], PART_COLUMNS.items(), strict=True):
            self.lines[column] = plot.line("times", column, source=self.terms, color=color, line_dash="dotdash",
                                           visible=False, legend_label=f"part: {name}")  # fmt: skip
        band = plot.varea("times", "lower", "upper", source=self.curve, color=COLORS[0], alpha=0.15,
                          legend_label="one model: \u00b1 standard deviation")  # fmt: skip
        self.lines["upper"] = band
        for color, (loss, label) in zip(COLORS, LOSSES.items(), strict=False):
            dash, face = ("dashed", "white") if loss == "train_loss" else ("solid", color)
            self.lines[f"leading_{loss}"] = plot.line(
                "times", f"leading_{loss}", source=self.curve, color=color, line_dash="dotted", line_width=1.5,
                legend_label=f"{label}, leading order",
            )  # fmt: skip
            line = plot.line("times", loss, source=self.curve, color=color, line_dash=dash, line_width=2,
                             legend_label=label)  # fmt: skip
            self.lines[loss] = line
            plot.scatter("times", f"{loss}_mean", source=self.runs, color=color, fill_color=face, size=6)
            lower, upper = (TeeHead(size=5, line_color=color) for _ in range(2))
            plot.add_layout(Whisker(
                base="times", lower=f"{loss}_lower", upper=f"{loss}_upper", source=self.runs, line_color=color,
                level="overlay", lower_head=lower, upper_head=upper,
            ))  # fmt: skip
            if loss == "risk":
                tips = [("t", "@times{0.000a}"), ("risk", "@risk{0.000e+0}")]
                tips += [("training loss", "@train_loss{0.000e+0}"), ("slope", "@slope{0.000}")]
                plot.add_tools(HoverTool(renderers=[line], tooltips=tips, mode="vline"))
        # training losses have the label noise in them, the risk has not: this is what they lie below
        self.lines["test_loss"] = plot.line(
            "times", "test_loss", source=self.curve, color=COLORS[0], line_dash="dotdash",
            legend_label="test loss = risk + \u03c3\u00b2",
        )  # fmt: skip
        _legend(plot)
        return plot

    def _slope(self) -> figure:
        plot = _figure("local slope \u2212d log risk/d log t", height=260)
        plot.x_range = self.risk.x_range
        plot.line("times", "slope", source=self.curve, color=COLORS[0], line_width=2, legend_label="risk")
        label = "closed form, time alone"
        plot.line("times", "slope", source=self.closed, color="#666666", line_dash="dashed", legend_label=label)
        _legend(plot)
        return plot

    def _frontier(self) -> figure:
        plot = _figure("best risk for a budget", y_axis_type="log", height=260)
        plot.xaxis.axis_label = "compute C = N t (SGD: N t B)"
        plot.line("compute", "leading", source=self.curve, color=COLORS[0], line_width=2, legend_label="this model")
        label, color = "frontier, one model", COLORS[6]
        plot.line("compute", "risk", source=self.frontier_line, color=color, line_width=2, legend_label=label)
        dots = plot.scatter("compute", "risk", source=self.frontier, color=color, size=6)
        tips = [("C", "@compute{0.0e+0}"), ("best N", "@size{0.[0]}"), ("risk", "@risk{0.000e+0}")]
        plot.add_tools(HoverTool(renderers=[dots], tooltips=tips))
        _legend(plot)
        return plot


def _source(*columns: str, name: str) -> ColumnDataSource:
    return ColumnDataSource(data={column: [] for column in columns}, name=name)


def _figure(title: str, *, height: int, y_axis_type: Literal["linear", "log"] = "linear") -> figure:
    plot = figure(
        title=title, x_axis_type="log", y_axis_type=y_axis_type, height=height, sizing_mode="stretch_width",
        tools=TOOLS, toolbar_location="above", min_width=260,
        # nothing is dragged before a tool is chosen: on a phone the page must scroll
        active_drag=None, active_scroll=None,
    )  # fmt: skip
    plot.add_tools(SaveTool(filename="explore"))  # without a name it asks for one
    plot.toolbar.logo = None
    if y_axis_type == "log":
        plot.yaxis.ticker = CustomJSTicker(major_code=TICKS)
    return plot


def _legend(plot: figure) -> None:
    for legend in plot.legend:
        legend.update(
            location="bottom_left", label_text_font_size="8.5pt", background_fill_alpha=0.7, spacing=0, padding=4,
            glyph_width=18, glyph_height=15, label_height=15,
        )  # fmt: skip


def _positive(values: np.ndarray) -> np.ndarray:
    """Return what a logarithmic axis can show, NaN for the rest."""
    return np.where(values > 0, values, np.nan)
