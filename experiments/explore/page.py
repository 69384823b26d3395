"""One open page: a slider moves, and theory, details, frontier and training runs follow in that order.

The event loop only takes messages and sets data. Theory runs in threads of `Workers`; what they find comes back as a
callback of the next tick, and is dropped where a slider has moved since.
"""

import time
from functools import partial
from typing import Any

from bokeh.document import Document

import theory
from experiments.compare.algorithms import OWN
from experiments.compare.exponent import Exponent
from experiments.compare.spread import Spread
from experiments.explore import laws, model, training, words
from experiments.explore.controls import Controls
from experiments.explore.jobs import Jobs, Ticket, Workers
from experiments.explore.parameters import ALGORITHM_LABELS
from experiments.explore.plots import Plots
from experiments.explore.settings import IN_ORDER, Query, Settings, from_address
from experiments.explore.widgets import Widgets
from rfm.curve import Curve

GATHER = 20  # least ms between two looks at a moving slider
PATIENCE = 500  # ms without a curve after which the page says what it waits for
REST = 300  # ms of rest before the frontier is asked for
KEPT = 32  # sets of training runs that can be exported


class Page:
    """The state of one open page; `doc` shows it. origin: address of the server, without a query."""

    def __init__(self, doc: Document, workers: Workers, query: Query, origin: str) -> None:
        self._doc, self._workers, self._origin = doc, workers, origin
        self._jobs = Jobs(doc, self._refuse)
        self._waiting = False  # for the next look at the sliders
        self._moved = self._asked = time.perf_counter()
        self._shown: model.Point | None = None
        self._band: Spread | None = None
        self._runs: Curve | None = None
        settings, refused = from_address(query)
        self.controls, self.plots, self.widgets = Controls(settings, self.changed, self._refuse_box), Plots(), Widgets()
        self.widgets.refused.update(text=words.notice("Refused in the address", refused), visible=bool(refused))
        self.widgets.shows.on_change("active", self._choose_lines)
        self.widgets.run.on_click(self.simulate)
        self.widgets.lay_out(doc, self.controls, self.plots)
        doc.on_session_destroyed(self._close)
        self._refresh()

    # a slider moves

    def changed(self) -> None:
        """Drop training runs of another point after every move, and ask for the theory when moves rest."""
        self._moved = time.perf_counter()
        self.widgets.refused.visible = False
        if self._runs is not None or self.widgets.busy:
            self._jobs.renew()
        self._forget_runs("cleared: a setting has changed since")
        if not self._waiting:
            self._waiting = True
            since = 1e3 * (self._moved - self._asked)
            self._doc.add_timeout_callback(self._refresh, max(0, int(GATHER - since)))

    def _refresh(self) -> None:
        self._waiting, self._asked = False, time.perf_counter()
        ticket = self._jobs.renew()
        try:
            settings = self.controls.settings()
        except ValueError as error:
            self._refuse(str(error))
            return
        self.widgets.describe(settings, self._origin)
        ticket.start(self._workers.theory, self._find_curves, settings, self._moved)
        self._doc.add_timeout_callback(partial(self._still_waiting, ticket), PATIENCE)

    def _find_curves(self, ticket: Ticket, settings: Settings, moved: float) -> None:  # in a thread
        point = model.curves(settings)
        ticket.later(self._show_curves, point, moved)
        if not ticket.valid:
            return
        if settings.corrected:
            point = model.corrected(point)
            ticket.later(self._show_curves, point, moved)
        ticket.start(self._workers.details, self._find_details, point)

    def _find_details(self, ticket: Ticket, point: model.Point) -> None:  # in a thread
        ticket.later(self._show_details, point, model.details(point))
        if ticket.valid and (band := model.scatter(point)) is not None:
            ticket.later(self._show_band, point, band)

    def _show_curves(self, point: model.Point, moved: float) -> None:
        self._shown, self._band, leading = point, None, point.leading
        self.widgets.problem.visible = False
        if leading.message:
            self.widgets.complain("Not to be trusted here", leading.message)
        elif not leading.converged:
            self.widgets.complain("Not converged", f"the theory estimates its relative error at {leading.residual:.1e}")
        elif point.label != OWN:
            self.widgets.complain(
                f"The lines are the {point.label}", f"samples in order are drawn for at most {IN_ORDER} steps, and "
                "where B divides P; training runs here see them in order",
            )  # fmt: skip
        self.plots.show_curves(point)
        self.plots.clear(self.plots.frontier)
        self.widgets.status.text = f"theory in {time.perf_counter() - moved:.2f} s"

    def _show_band(self, point: model.Point, band: Spread) -> None:
        self._band = band
        self.plots.show_curves(point, band)

    def _show_details(self, point: model.Point, details: model.Details) -> None:
        self.plots.show_details(point, details)
        self.widgets.regime.text = words.regime(point, details)
        self.widgets.exponents.text = words.exponent_table(details.exponents)
        ask = partial(self._ask_frontier, self._jobs.ticket, point.settings, details.exponents)
        self._doc.add_timeout_callback(ask, REST)

    def _still_waiting(self, ticket: Ticket) -> None:
        if ticket.valid and not self._up_to_date and not self.widgets.problem.visible:
            name = ALGORITHM_LABELS[self.controls.chosen]
            self.widgets.status.text = f"theory of {name} under way; the first of its kind is compiled \u2026"

    @property
    def _up_to_date(self) -> bool:
        """Do the curves belong to the current sliders?"""
        try:
            return self._shown is not None and self._shown.settings == self.controls.settings()
        except ValueError:
            return False

    def _refuse_box(self, text: str) -> None:
        """Show a sentence about a number typed, until a setting changes; curves of the last one may still arrive."""
        self.widgets.refused.update(text=words.notice("Refused", [text]), visible=True)

    def _refuse(self, text: str) -> None:
        """Show a sentence in place of curves."""
        self._shown = None
        self.widgets.refuse(text)
        self.plots.clear()

    def _choose_lines(self, attr: str, old: list[int], new: list[int]) -> None:
        self.plots.show_lines(limits=0 in new, parts=1 in new)

    # the frontier

    def _ask_frontier(self, ticket: Ticket, settings: Settings, exponents: list[Exponent]) -> None:
        if ticket.valid:
            self.widgets.note.text = "frontier: computing \u2026"
            ticket.start(self._workers.frontier, self._find_frontier, settings, exponents)

    def _find_frontier(self, ticket: Ticket, settings: Settings, exponents: list[Exponent]) -> None:  # in a thread
        try:
            for optimum in laws.frontier(settings):
                if not ticket.valid:
                    return
                ticket.later(self._show_budget, optimum, exponents + laws.frontier_exponents(settings, optimum))
        except ValueError as error:
            ticket.later(self._no_frontier, str(error))

    def _show_budget(self, optimum: theory.Frontier, exponents: list[Exponent]) -> None:
        self.plots.add_budget(optimum)
        self.widgets.note.text = words.budget(optimum, len(self.plots.budgets), laws.NUM_BUDGETS)
        self.widgets.exponents.text = words.exponent_table(exponents)

    def _no_frontier(self, reason: str) -> None:
        self.widgets.note.text = words.plain(f"No frontier here. {reason}")

    # training runs

    def simulate(self) -> None:
        """Start training runs at this point, or stop those that are under way."""
        if self.widgets.busy:
            self._jobs.renew()
            self.widgets.idle("stopped")
            return
        if self._shown is None or self._waiting or not self._up_to_date:
            self.widgets.progress.text = "wait for the curve first"
            return
        self._forget_runs("")
        seeds = int(self.widgets.seeds.value)
        try:
            training.check_cost(self._shown.settings, seeds)
        except ValueError as error:
            self.widgets.progress.text = words.notice("Refused", [str(error)])
            return
        self.widgets.start(f"training 0 of {seeds} seeds (the first run of a size is compiled) \u2026")
        self._jobs.ticket.start(self._workers.training, self._train, self._shown, seeds)

    def _train(self, ticket: Ticket, point: model.Point, seeds: int) -> None:  # in a thread
        started = time.perf_counter()
        try:
            for runs in training.train(point.settings, seeds):
                if not ticket.valid:
                    return
                ticket.later(self._show_runs, point, runs, seeds, time.perf_counter() - started)
        except ValueError as error:
            ticket.later(self.widgets.idle, words.notice("Refused", [str(error)]))

    def _show_runs(self, point: model.Point, runs: Curve, seeds: int, took: float) -> None:
        self._runs = runs
        self.plots.show_runs(point, runs)
        if runs.num_seeds < seeds:
            self.widgets.progress.text = f"training {runs.num_seeds} of {seeds} seeds, {took:.0f} s \u2026"
            return
        self.widgets.idle(
            f"{seeds} seeds, {runs.kind}, {took:.1f} s; bars: two standard errors. Simulation against "
            f"theory: {model.verdict(point, runs, self._band)}."
        )
        kept = self._workers.kept
        kept[point.settings, seeds] = runs
        while len(kept) > KEPT:
            del kept[next(iter(kept))]
        self.widgets.describe(point.settings, self._origin, seeds)

    def _forget_runs(self, text: str) -> None:
        if self._runs is not None or self.widgets.busy:
            self._runs = None
            self.plots.clear(self.plots.runs)
            self.widgets.idle(text)

    def _close(self, session_context: Any) -> None:
        self._jobs.renew()  # nothing is wanted any more
