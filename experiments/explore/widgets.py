"""Texts, buttons and fields of the page, but for the sliders."""

from bokeh.document import Document
from bokeh.models import Button, CheckboxGroup, CustomJS, Div, PreText, Select, TextInput, UIElement
from bokeh.plotting import figure

from experiments.explore import training, words
from experiments.explore.call import python_call
from experiments.explore.controls import STYLE, Controls
from experiments.explore.parameters import CHOICES, PARAMETERS
from experiments.explore.plots import Plots
from experiments.explore.settings import Settings
from experiments.output import pages

SHOWS = ("what limits the risk", "bias, variances and noise (one model)")
COPY = """
navigator.clipboard.writeText(source.text).then(() => { button.label = "Copied" })
setTimeout(() => { button.label = "Copy" }, 1500)
"""
ADDRESS = 'history.replaceState(null, "", "?" + cb_obj.value.split("?")[1])'


class Widgets:
    """Everything that the template of the page names, but for sliders and figures."""

    def __init__(self) -> None:
        self.refused, self.problem = _text("refused", visible=False), _text("problem", visible=False)
        self.status = _text("status", "starting \u2026")
        self.regime, self.exponents = _text("regime"), _text("exponents")
        self.note, self.progress, self.downloads = _text("frontier_note"), _text("progress"), _text("downloads")
        self.call = PreText(name="call", sizing_mode="stretch_width")
        self.link = TextInput(title="link to this point", name="link", sizing_mode="stretch_width")
        self.link.js_on_change("value", CustomJS(code=ADDRESS))
        self.copy = Button(label="Copy", name="copy", width=90)
        self.copy.js_on_event("button_click", CustomJS(args=dict(source=self.call, button=self.copy), code=COPY))
        self.shows = CheckboxGroup(labels=list(SHOWS), active=[0], name="shows")
        seeds = [str(n) for n in training.SEEDS]
        self.seeds = Select(title="seeds", value="8", options=[*seeds], name="seeds", width=90)
        self.run = Button(label="Simulate this point", button_type="primary", name="simulate")

    def lay_out(self, doc: Document, controls: Controls, plots: Plots) -> None:
        """Put these, sliders and figures where the template of the page wants them."""
        figures = {"risk": plots.risk, "slope": plots.slope, "best": plots.best}
        for name, plot in figures.items():
            plot.name = name
        widgets: list[UIElement] = [*controls.widgets, *figures.values(), *vars(self).values()]
        for widget in widgets:
            if STYLE not in widget.stylesheets and not isinstance(widget, figure):
                widget.stylesheets = [*widget.stylesheets, STYLE]
            doc.add_root(widget)
        doc.title = "random-feature theory"
        doc.template = pages.ENVIRONMENT.get_template("explore/page.html")
        doc.template_variables.update(parameters=PARAMETERS, choices=CHOICES)

    @property
    def busy(self) -> bool:
        """Are training runs under way?"""
        return self.run.label == "Stop"

    def start(self, text: str) -> None:
        """Say that training runs are under way."""
        self.run.label, self.run.button_type, self.progress.text = "Stop", "warning", text

    def idle(self, text: str) -> None:
        """Say that no training runs are under way, and why."""
        self.run.label, self.run.button_type, self.progress.text = "Simulate this point", "primary", text

    def describe(self, settings: Settings, origin: str, seeds: int = 0) -> None:
        """Say how to come back to this point: link, Python call, files."""
        query = settings.address()
        self.link.value = f"{origin}/?{query}"
        self.call.text = python_call(settings, seeds)
        self.downloads.text = words.downloads(query + (f"&seeds={seeds}" if seeds else ""))

    def complain(self, title: str, text: str) -> None:
        """Show what is wrong above the curves."""
        self.problem.update(text=words.notice(title, [text]), visible=True)

    def refuse(self, text: str) -> None:
        """Say why there are no curves, in place of their description."""
        self.complain("Refused", text)
        for widget in (self.regime, self.exponents, self.note, self.downloads, self.call):
            widget.text = ""
        self.status.text = "no curve"


def _text(name: str, text: str = "", *, visible: bool = True) -> Div:
    return Div(name=name, text=text, visible=visible, sizing_mode="stretch_width")
