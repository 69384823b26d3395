"""The figures of the page: risk, local slope, frontier; data in, glyphs moved."""

import numpy as np
from bokeh.models import ColumnDataSource, DataRange1d, HoverTool, SaveTool, Whisker
from bokeh.plotting import figure

import theory
from experiments.explore import model
from experiments.explore.settings import Settings
from experiments.explore.training import Runs
from experiments.output.plotting import COLORS
from theory import exponents

TOOLS = "pan,box_zoom,wheel_zoom,reset"
LIMITS = ("time", "model", "data", "noise", "batches")
LOSSES = {"risk": ("risk", "solid"), "train_loss": ("training loss", "dashed")}


class Plots:
    """Sources and the figures that draw them."""

    def __init__(self):
        empty = {"times": [], "risk": [], "train_loss": [], "slope": [], "compute": []}
        self.curve = ColumnDataSource(empty, name="curve")
        self.terms = ColumnDataSource({"times": []} | {name: [] for name in (*LIMITS, *_part_names())}, name="terms")
        self.corners = ColumnDataSource({"x": [], "y": []})
        columns = ("mean", "lower", "upper")
        self.runs = ColumnDataSource(
            {"times": []} | {f"{loss}_{c}": [] for loss in LOSSES for c in columns}, name="runs"
        )
        self.kinds = True, False  # limits, parts
        self.frontier = ColumnDataSource({"compute": [], "risk": [], "size": []}, name="frontier")
        self.risk, self.limits, self.parts = self._risk()
        self.slope, self.closed = self._slope()
        self.best = self._frontier()

    def show_curve(self, settings: Settings, shown: model.Curves) -> None:
        """The curve itself, and the axes that hold it."""
        infinite = np.isinf(settings.N)
        work = np.full(len(shown.times), np.nan) if infinite else model.compute(settings, shown.times)
        self.curve.data = {
            "times": shown.times, "risk": _positive(shown.risk), "train_loss": _positive(shown.train_loss),
            "slope": shown.slope, "compute": work,
        }  # fmt: skip
        ends = shown.times[[0, -1]]
        self.closed.data = {"times": ends, "slope": np.full(2, exponents.time_exponent(settings.a, settings.b))}
        for plot in (self.risk, self.slope):
            plot.xaxis.axis_label = "steps" if settings.discrete else "time t"
        self._frame(shown, [])

    def show_details(self, shown: model.Curves, details: model.Details) -> None:
        """What limits the risk, and its parts."""
        none = np.full(len(shown.times), np.nan)
        terms = {name: _positive(details.limits.get(name, none)) for name in LIMITS}
        parts = {f"part_{name}": _positive(details.parts.get(name, none)) for name in model.PARTS}
        self.terms.data = {"times": shown.times} | terms | parts
        self.show_lines()

    def show_lines(self, limits: bool | None = None, parts: bool | None = None) -> None:
        """Which kinds of lines are drawn; the legend names those that are there."""
        self.kinds = (self.kinds[0] if limits is None else limits, self.kinds[1] if parts is None else parts)
        for kind, lines in zip(self.kinds, (self.limits, self.parts), strict=True):
            for line in lines:
                there = bool(np.any(np.isfinite(np.asarray(line.data_source.data[line.glyph.y], float))))
                line.visible = kind and there
        for item in self.risk.legend.items:
            item.visible = item.renderers[0].visible

    def show_runs(self, shown: model.Curves, runs: Runs) -> None:
        """Training runs with two standard errors."""
        few = slice(None, None, 2)
        data = {"times": runs.times[few]}
        for loss in LOSSES:
            mean, error = runs.mean(loss)[few], 2.0 * runs.stderr(loss)[few]
            data |= {f"{loss}_mean": _positive(mean), f"{loss}_upper": mean + error}
            data[f"{loss}_lower"] = np.maximum(mean - error, 1e-3 * mean)
        self.runs.data = data
        self._frame(shown, [runs.mean(loss) for loss in LOSSES])

    def add_budget(self, one: theory.Frontier) -> None:
        """One more point of the frontier."""
        self.frontier.stream(
            {"compute": one.compute, "risk": one.risk, "size": one.num_features}
        )  # fmt: skip

    def clear(self, *sources: ColumnDataSource) -> None:
        """Take what these sources draw off the figures."""
        for source in sources or (self.curve, self.terms, self.runs, self.frontier):
            if len(next(iter(source.data.values()))):
                source.data = {name: [] for name in source.data}

    def _frame(self, shown: model.Curves, means: list[np.ndarray]) -> None:
        low, high = model.frame(shown, means)
        self.corners.data = {"x": [shown.times[0], shown.times[-1]], "y": [low, high]}

    def _risk(self):
        plot = _figure("risk", y_axis_type="log", height=430)
        corners = plot.scatter("x", "y", source=self.corners, alpha=0.0)
        # axes follow the corners alone, until the reader zooms: limits and losses may lie decades below
        plot.x_range = DataRange1d(renderers=[corners], range_padding=0.02)
        plot.y_range = DataRange1d(renderers=[corners], range_padding=0.0)
        limits = [
            plot.line("times", name, source=self.terms, color=COLORS[i + 2], line_dash="dotted", line_width=1.5,
                      legend_label=f"limit: {name}")
            for i, name in enumerate(LIMITS)
        ]  # fmt: skip
        parts = [
            plot.line("times", name, source=self.terms, color=COLORS[i + 2], line_dash="dotdash", visible=False,
                      legend_label=f"part: {name[5:]}")
            for i, name in enumerate(_part_names())
        ]  # fmt: skip
        for color, (loss, (label, dash)) in zip(COLORS, LOSSES.items(), strict=False):
            line = plot.line("times", loss, source=self.curve, color=color, line_dash=dash, line_width=2,
                             legend_label=label,)  # fmt: skip
            face = color if loss == "risk" else "white"
            plot.scatter("times", f"{loss}_mean", source=self.runs, color=color, fill_color=face, size=6)
            bar = Whisker(base="times", lower=f"{loss}_lower", upper=f"{loss}_upper", source=self.runs,
                          line_color=color, level="overlay")  # fmt: skip
            bar.upper_head.size = bar.lower_head.size = 5
            bar.upper_head.line_color = bar.lower_head.line_color = color
            plot.add_layout(bar)
            if loss == "risk":
                tips = [("t", "@times{0.000a}"), ("risk", "@risk{0.000e+0}")]
                tips += [("training loss", "@train_loss{0.000e+0}"), ("slope", "@slope{0.000}")]
                plot.add_tools(HoverTool(renderers=[line], tooltips=tips, mode="vline"))
        _legend(plot)
        return plot, limits, parts

    def _slope(self):
        plot = _figure("local slope, \u2212d log risk / d log t", height=260)
        plot.x_range = self.risk.x_range
        plot.line("times", "slope", source=self.curve, color=COLORS[0], line_width=2, legend_label="risk")
        closed = ColumnDataSource({"times": [], "slope": []})
        label = "closed form (a \u2212 1)/b, time alone"
        plot.line("times", "slope", source=closed, color="#666666", line_dash="dashed", legend_label=label)
        _legend(plot)
        return plot, closed

    def _frontier(self):
        plot = _figure("best risk for a budget", y_axis_type="log", height=260)
        plot.xaxis.axis_label = "compute C = N t (SGD: N t B)"
        plot.line("compute", "risk", source=self.curve, color=COLORS[0], line_width=2, legend_label="this model")
        style = dict(source=self.frontier, color=COLORS[6])
        plot.line("compute", "risk", line_width=2, legend_label="frontier, one model", **style)
        dots = plot.scatter("compute", "risk", size=6, **style)
        tips = [("C", "@compute{0.0e+0}"), ("best N", "@size{0.[0]}"), ("risk", "@risk{0.000e+0}")]
        plot.add_tools(HoverTool(renderers=[dots], tooltips=tips))
        _legend(plot)
        return plot


def _figure(title: str, height: int, y_axis_type: str = "linear"):
    plot = figure(
        title=title, x_axis_type="log", y_axis_type=y_axis_type, height=height, sizing_mode="stretch_width",
        tools=TOOLS, toolbar_location="above", min_width=260,
        # nothing is dragged before a tool is chosen: on a phone the page must scroll
        active_drag=None, active_scroll=None,
    )  # fmt: skip
    plot.add_tools(SaveTool(filename="explore"))  # without a name it asks for one
    plot.toolbar.logo = None
    return plot


def _legend(plot) -> None:
    legend = plot.legend
    legend.location = "bottom_left"
    legend.label_text_font_size = "8.5pt"
    legend.background_fill_alpha = 0.7
    legend.spacing, legend.padding, legend.glyph_width = 0, 4, 18
    legend.label_height = legend.glyph_height = 15


def _part_names() -> list[str]:
    return [f"part_{name}" for name in model.PARTS]


def _positive(values: np.ndarray) -> np.ndarray:
    """For a logarithmic axis."""
    return np.where(values > 0, values, np.nan)
