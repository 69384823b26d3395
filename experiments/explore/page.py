"""One open page: a slider moves, and theory, details, frontier and training runs follow in that order.

The event loop only takes messages and sets data. Theory runs in threads of `Workers`; what they find comes back as a
callback of the next tick, and is dropped where a slider has moved since.
"""

import html
import logging
import time
from collections.abc import Callable
from functools import partial

from bokeh.document import Document
from bokeh.models import Button, CheckboxGroup, CustomJS, Div, PreText, Select, TextInput

from experiments.explore import model, training, words
from experiments.explore.controls import LABELS, Controls
from experiments.explore.plots import Plots
from experiments.explore.settings import Settings, from_address, python_call
from experiments.explore.template import PAGE
from experiments.explore.workers import Workers

GATHER = 20  # least ms between two looks at a moving slider
PATIENCE = 500  # ms without a curve after which the page says what it waits for
REST = 300  # ms of rest before the frontier is asked for
SHOWS = ("what limits the risk", "bias, variances and noise (one model)")
COPY = """
navigator.clipboard.writeText(source.text).then(() => { button.label = "Copied" })
setTimeout(() => { button.label = "Copy" }, 1500)
"""
ADDRESS = 'history.replaceState(null, "", "?" + cb_obj.value.split("?")[1])'


class Page:
    """The state of one open page; `doc` shows it. origin: address of the server, without a query."""

    def __init__(self, doc: Document, workers: Workers, query: dict, origin: str):
        self._doc, self._workers, self._origin = doc, workers, origin
        self._wanted, self._waiting = 0, False
        self._moved = self._asked = time.perf_counter()
        self._shown: tuple[Settings, model.Curves] | None = None
        self._runs: training.Runs | None = None
        self._details: model.Details | None = None
        settings, refused = from_address(query)
        self.controls, self.plots = Controls(settings, self.changed), Plots()
        text = partial(Div, sizing_mode="stretch_width")
        self.refused = text(text=words.notice("Refused in the address", refused), name="refused", visible=bool(refused))
        self.problem = text(visible=False, name="problem")
        self.status = text(text="starting: compiling the theory, once \u2026", name="status")
        self.regime, self.table = text(name="regime"), text(name="exponents")
        self.note = text(name="frontier_note")
        self.progress = text(name="progress")
        self.downloads = text(name="downloads")
        self.call = PreText(name="call", sizing_mode="stretch_width")
        self.link = TextInput(title="link to this point", name="link", sizing_mode="stretch_width")
        self.link.js_on_change("value", CustomJS(code=ADDRESS))
        self.copy = Button(label="Copy", name="copy", width=90)
        self.copy.js_on_event("button_click", CustomJS(args=dict(source=self.call, button=self.copy), code=COPY))
        self.shows = CheckboxGroup(labels=list(SHOWS), active=[0], name="shows")
        self.shows.on_change("active", self._choose_lines)
        seeds = [str(n) for n in training.SEEDS]
        self.seeds = Select(title="seeds", value="8", options=seeds, name="seeds", width=90)
        self.run = Button(label="Simulate this point", button_type="primary", name="simulate")
        self.run.on_click(self.simulate)
        self._lay_out()
        doc.on_session_destroyed(self._close)
        self._refresh()

    def _lay_out(self) -> None:
        c, p = self.controls, self.plots
        for slider in (c.algorithm, *c.sliders.values(), c.time):
            self._doc.add_root(slider)
        for plot, name in ((p.risk, "risk"), (p.slope, "slope"), (p.best, "best")):
            plot.name = name
            self._doc.add_root(plot)
        for widget in (self.refused, self.problem, self.status, self.regime, self.table, self.note, self.progress,
                       self.downloads, self.call, self.link, self.copy, self.shows, self.seeds, self.run):  # fmt: skip
            self._doc.add_root(widget)
        self._doc.title = "random-feature theory"
        self._doc.template = PAGE
        self._doc.template_variables["sliders"] = list(c.sliders)

    # a slider moves

    def changed(self) -> None:
        """After every move: training runs of another point go, and the theory is asked for when moves rest."""
        self._moved = time.perf_counter()
        self._wanted += 1 if self._runs is not None or self._busy else 0
        self._forget_runs("cleared: a setting has changed since")
        if not self._waiting:
            self._waiting = True
            since = 1e3 * (self._moved - self._asked)
            self._doc.add_timeout_callback(self._refresh, max(0, int(GATHER - since)))

    def _refresh(self) -> None:
        self._waiting, self._asked = False, time.perf_counter()
        self._wanted += 1
        try:
            settings = self.controls.settings()
        except ValueError as error:
            self._refuse(str(error))
            return
        self._describe(settings)
        self._workers.theory.submit(self._guard, self._wanted, self._compute, self._wanted, settings, self._moved)
        self._doc.add_timeout_callback(partial(self._still_waiting, self._wanted), PATIENCE)

    def _compute(self, wanted: int, settings: Settings, moved: float) -> None:  # in a thread
        shown = model.curves(settings)
        self._later(wanted, self._show_curve, settings, shown, moved)
        self._workers.details.submit(self._guard, wanted, self._find_details, wanted, settings, shown)

    def _find_details(self, wanted: int, settings: Settings, shown: model.Curves) -> None:  # in a thread
        self._later(wanted, self._show_details, settings, shown, model.details(settings, shown))

    def _show_curve(self, settings: Settings, shown: model.Curves, moved: float) -> None:
        first = self._details is None
        self._shown = settings, shown
        self.problem.visible = False
        if not shown.converged:
            self._complain("Not converged", f"the theory estimates its relative error at {shown.residual:.1e}")
        self.plots.show_curve(settings, shown)
        self.plots.clear(self.plots.frontier)
        took = 1e3 * (time.perf_counter() - moved)
        compiling = "what limits it is being compiled, once \u2026"
        self.status.text = f"the curve is there; {compiling}" if first else f"theory in {took:.0f} ms"

    def _show_details(self, settings: Settings, shown: model.Curves, details: model.Details) -> None:
        if self._details is None:
            self.status.text = "ready"
        self._details = details
        self.plots.show_details(shown, details)
        self.regime.text = words.regime(settings, shown, details)
        self.table.text = words.exponent_table(details.exponents)
        self._doc.add_timeout_callback(partial(self._ask_frontier, self._wanted, settings), REST)
        self._warm_up(settings)

    def _still_waiting(self, wanted: int) -> None:
        waits = self._shown is None or self._shown[0] != self._settings_or_none()
        if wanted == self._wanted and waits and not self.problem.visible:
            name = LABELS[self.controls.values["algorithm"]]
            self.status.text = f"compiling the theory of {name}, once: some seconds \u2026"

    # the frontier

    def _ask_frontier(self, wanted: int, settings: Settings) -> None:
        if wanted == self._wanted:
            self.note.text = "frontier: computing (the first time it is compiled, which takes half a minute) \u2026"
            self._workers.frontier.submit(self._guard, wanted, self._find_frontier, wanted, settings)

    def _find_frontier(self, wanted: int, settings: Settings) -> None:  # in a thread
        try:
            for one in model.frontier(settings):
                if wanted != self._wanted:
                    return
                self._later(wanted, self._show_budget, settings, one)
        except ValueError as error:
            self._later(wanted, self._no_frontier, str(error))

    def _show_budget(self, settings: Settings, one) -> None:
        self.plots.add_budget(one)
        unsure = "" if one.converged[0] else "; not converged"
        self.note.text = html.escape(
            f"At C = {one.compute[0]:.3g} the best model has N = {one.num_features[0]:.4g}, t = {one.times[0]:.4g} "
            f"and the risk {one.risk[0]:.3g}{unsure}."
        )
        self.table.text = words.exponent_table(self._details.exponents + model.frontier_exponents(settings, one))

    def _no_frontier(self, reason: str) -> None:
        self.note.text = html.escape(f"No frontier here. {reason}")

    # training runs

    @property
    def _busy(self) -> bool:
        return self.run.label == "Stop"

    def simulate(self) -> None:
        """Start training runs at this point, or stop those that are under way."""
        if self._busy:
            self._wanted += 1
            self._idle("stopped")
            return
        if self._shown is None or self._waiting or self._shown[0] != self._settings_or_none():
            self.progress.text = "wait for the curve first"
            return
        self._forget_runs("")
        settings, seeds = self._shown[0], int(self.seeds.value)
        try:
            training.check_cost(settings, seeds)
        except ValueError as error:
            self.progress.text = words.notice("Refused", [str(error)])
            return
        self.run.label, self.run.button_type = "Stop", "warning"
        self.progress.text = f"training 0 of {seeds} seeds (the first run of a size is compiled) \u2026"
        self._workers.training.submit(self._guard, self._wanted, self._train, self._wanted, settings, seeds)

    def _train(self, wanted: int, settings: Settings, seeds: int) -> None:  # in a thread
        started = time.perf_counter()
        try:
            for runs in training.train(settings, seeds):
                if wanted != self._wanted:
                    return
                self._later(wanted, self._show_runs, settings, runs, time.perf_counter() - started)
        except ValueError as error:
            self._later(wanted, self._idle, words.notice("Refused", [str(error)]))

    def _show_runs(self, settings: Settings, runs: training.Runs, took: float) -> None:
        self._runs = runs
        done = len(runs.risk)
        self.plots.show_runs(self._shown[1], runs)
        self.progress.text = f"training {done} of {runs.wanted} seeds, {took:.0f} s \u2026"
        if done == runs.wanted:
            gap = model.largest_gap(self._shown[1], runs)
            self._idle(
                f"{done} seeds, {runs.kind}, {took:.1f} s; bars: two standard errors. Simulation against theory: "
                f"largest gap {gap[0]:.1%}, {gap[1]:.1f} standard errors there."
            )
            kept = self._workers.kept
            kept[settings, done] = runs
            while len(kept) > 32:
                del kept[next(iter(kept))]
            self._describe(settings, done)

    def _forget_runs(self, text: str) -> None:
        if self._runs is not None or self._busy:
            self._runs = None
            self.plots.clear(self.plots.runs)
            self._idle(text)

    def _idle(self, text: str) -> None:
        self.run.label, self.run.button_type = "Simulate this point", "primary"
        self.progress.text = text

    # what the page says

    def _describe(self, settings: Settings, seeds: int = 0) -> None:
        query = settings.address()
        self.link.value = f"{self._origin}/?{query}"
        self.call.text = python_call(settings, seeds)
        query += f"&seeds={seeds}" if seeds else ""
        links = [
            f'<a href="export/explore.{suffix}?{html.escape(query)}" download>{suffix.upper()}</a>'
            for suffix in ("png", "pdf", "csv", "json", "py")
        ]
        self.downloads.text = "download: " + " \u00b7 ".join(links)

    def _refuse(self, text: str) -> None:
        """In place of curves."""
        self._shown = None
        self._complain("Refused", text)
        self.plots.clear()
        self.regime.text = self.table.text = self.note.text = self.downloads.text = self.call.text = ""
        self.status.text = "no curve"

    def _complain(self, title: str, text: str) -> None:
        self.problem.text, self.problem.visible = words.notice(title, [text]), True

    def _choose_lines(self, attr, old, new) -> None:
        self.plots.show_lines(0 in new, 1 in new)

    # threads

    def _later(self, wanted: int, function: Callable, *args) -> None:
        """Call in the event loop, if by then nothing else is wanted; from a thread."""

        def call():
            if wanted == self._wanted:
                function(*args)

        self._doc.add_next_tick_callback(call)

    def _guard(self, wanted: int, job: Callable, *args) -> None:
        """A job whose failure is seen: what theory refuses on the page, anything else there and in the log."""
        if wanted != self._wanted:
            return
        try:
            job(*args)
        except ValueError as error:
            self._later(wanted, self._refuse, str(error))
        except Exception as error:
            if wanted != self._wanted:  # a page that was closed meanwhile has no document any more
                return
            logging.getLogger(__name__).exception("a job of the page failed")
            self._later(wanted, self._refuse, f"{type(error).__name__}: {error}")

    def _warm_up(self, settings: Settings) -> None:
        if settings.algorithm not in self._workers.warm:
            self._workers.warm.add(settings.algorithm)
            self._workers.warming.submit(self._warm, settings)

    def _warm(self, settings: Settings) -> None:  # in a thread
        shapes = model.warm_up(settings)
        for index, one in enumerate(shapes):
            text = f"warming up {index + 1} of {len(shapes)}: until then a move may take seconds"
            self._doc.add_next_tick_callback(partial(self._say, text))
            try:
                model.details(one, model.curves(one))
            except ValueError:  # a corner that the theory refuses compiles nothing either
                continue
        self._doc.add_next_tick_callback(partial(self._say, "ready"))

    def _say(self, text: str) -> None:
        self.status.text = text

    def _settings_or_none(self) -> Settings | None:
        try:
            return self.controls.settings()
        except ValueError:
            return None

    def _close(self, session_context) -> None:
        self._wanted += 1  # nothing is wanted any more
