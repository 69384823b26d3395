"""The widgets of the page and the numbers that they stand for."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from bokeh.models import RangeSlider, Select, Slider, TextInput

from experiments.explore.parameters import (
    ALGORITHM_LABELS,
    CHOICES,
    OPTION_OF,
    PARAMETERS,
    TEXTS,
    USUAL,
)
from experiments.explore.settings import Settings, defaults_of

TIMES = ("start", "stop")
# colours are those of the page, which a dark screen changes
STYLE = """
:host { color: var(--ink); font: inherit }
input, select { background-color: var(--field) !important; color: var(--ink) !important;
  border-color: var(--line) !important }
input:focus-visible, select:focus-visible, button:focus-visible, .noUi-handle:focus-visible {
  outline: 2px solid var(--focus) !important; outline-offset: 1px }
.noUi-target { background: var(--track); border-color: var(--line); box-shadow: none }
.noUi-connect { background: var(--connect) !important }
.noUi-handle { background: var(--handle); border-color: var(--line); box-shadow: none }
label, .bk-input-group { color: var(--ink) }
.bk-btn-default { background: var(--field); color: var(--ink); border-color: var(--line) }
.notice { background: var(--notice); border-left: 4px solid var(--alert); margin: 4px 0; padding: 6px 10px;
  overflow-wrap: anywhere }
table { border-collapse: collapse; font-size: 13px } th { text-align: left; font-weight: 600 }
th, td { padding: 2px 12px 2px 0; border-bottom: 1px solid var(--line) }
a { color: var(--link) } p { margin: 4px 0 } pre { margin: 0 }
"""
# label and box on one line
IN_LINE = """
.bk-input-group { flex-direction: row !important; align-items: center; justify-content: space-between; gap: 8px }
.bk-input-group > :last-child { flex: none; width: 104px }
input { text-align: right; padding: 1px 6px !important; min-height: 24px !important; height: 24px !important }
"""


class Controls:
    """Sliders and boxes, one of each a parameter, and choices.

    `values`, `texts` and `chosen` are exact, also where a slider cannot stand. on_change is called after every change
    of them, on_refusal with a sentence where a box has no such number.
    """

    def __init__(
        self, settings: Settings, on_change: Callable[[], None], on_refusal: Callable[[str], None]
    ) -> None:  # fmt: skip
        self._on_change, self._on_refusal, self._quiet = on_change, on_refusal, False
        given = dataclasses.asdict(settings)
        self.chosen = settings.algorithm
        self.values = {name: p.middle if given[name] is None else given[name] for name, p in PARAMETERS.items()}
        self.texts = {name: given[name] or USUAL[name] for name in TEXTS}
        self._finite = self.values["P"] if math.isfinite(settings.P) else 512
        self.choices = {name: self._select(name) for name in CHOICES}
        self.boxes = {name: self._box(name) for name in PARAMETERS}
        self.sliders: dict[str, Any] = {name: self._slider(name) for name in PARAMETERS if name not in TIMES}
        start, stop = (PARAMETERS[name] for name in TIMES)
        self.sliders["time"] = RangeSlider(
            title=None, start=start.ends[0], end=stop.ends[1], step=start.step, value=self._span(), show_value=False,
            tooltips=False, sizing_mode="stretch_width", name="time", stylesheets=[STYLE],
        )  # fmt: skip
        self.sliders["time"].on_change("value", self._move_time)
        self._show()

    @property
    def widgets(self) -> list[Any]:
        """All of them."""
        return [*self.choices.values(), *self.boxes.values(), *self.sliders.values()]

    def settings(self) -> Settings:
        """Return what the widgets say.

        Raises:
            ValueError: Numbers exclude each other.
        """
        defaults = defaults_of(self.chosen)
        used: dict[str, Any] = {name: x for name, x in self.values.items() if name not in OPTION_OF or name in defaults}
        used |= {name: text for name, text in self.texts.items() if self._has(name)}
        return Settings(algorithm=self.chosen, **used)

    def _has(self, text: str) -> bool:
        """Does the algorithm have that choice, and does it mean anything here?"""
        in_order = text == "order" and self.chosen == "sgd" and math.isinf(self.values["P"])
        return getattr(Settings(algorithm=self.chosen), text) is not None and not in_order

    def _select(self, name: str) -> Select:
        choice, value = CHOICES[name], self.chosen if name == "algorithm" else self.texts[name]
        options = [*choice.options, *([] if value in choice.options else [value])]
        select = Select(
            title=choice.label, value=value, name=name,
            options=[(str(x), ALGORITHM_LABELS.get(str(x), str(x))) for x in options],
            sizing_mode="stretch_width", stylesheets=[STYLE],
        )  # fmt: skip
        select.on_change("value", lambda attr, old, new: self._choose(name, new))
        return select

    def _box(self, name: str) -> TextInput:
        box = TextInput(
            title=PARAMETERS[name].label, value=shown(self.values[name]), name=f"{name}_box",
            sizing_mode="stretch_width", stylesheets=[STYLE, IN_LINE],
        )  # fmt: skip

        def typed(attr: str, old: str, new: str) -> None:
            if self._quiet:
                return
            try:
                value = PARAMETERS[name].check(name, new.strip().replace("\u221e", "inf"))
            except ValueError as error:
                self._on_refusal(str(error))
                return
            self._set(name, value)

        box.on_change("value", typed)
        return box

    def _slider(self, name: str) -> Slider:
        p = PARAMETERS[name]
        slider = Slider(
            title=None, start=p.ends[0], end=p.ends[1], step=p.step, value=p.position(self.values[name]),
            show_value=False, tooltips=False, sizing_mode="stretch_width", name=name, stylesheets=[STYLE],
        )  # fmt: skip

        def moved(attr: str, old: float, new: float) -> None:
            if not self._quiet:
                self._set(name, p.value(new), slides=True)

        slider.on_change("value", moved)
        return slider

    def _set(self, name: str, value: float, *, slides: bool = False) -> None:
        """Take a number; its box shows it, and its slider where that is not what moves."""
        self._quiet = True
        self.values[name] = value
        self.boxes[name].value = shown(value)
        if name in TIMES:
            self.sliders["time"].value = self._span()
        elif not slides:
            self.sliders[name].value = PARAMETERS[name].position(value)
        self._quiet = False
        self._show()
        self._on_change()

    def _span(self) -> tuple[float, float]:
        """Return where the slider of times stands."""
        start, stop = (PARAMETERS[name].position(self.values[name]) for name in TIMES)
        return min(start, stop), max(start, stop)

    def _move_time(self, attr: str, old: tuple[float, float], new: tuple[float, float]) -> None:
        if self._quiet:
            return
        self._quiet = True
        for name, position, stood in zip(TIMES, new, old, strict=True):
            if position != stood:
                low, high = PARAMETERS[name].ends
                self.values[name] = PARAMETERS[name].value(min(max(position, low), high))
                self.boxes[name].value = shown(self.values[name])
        self._quiet = False
        self._on_change()

    def _choose(self, name: str, value: str) -> None:
        """Take another algorithm, at its defaults, or another text."""
        if name != "algorithm":
            self.texts[name] = value
            self._on_change()
            return
        self._quiet, self.chosen = True, value
        numbers = defaults_of(value)
        if math.isfinite(self.values["P"]):
            self._finite = self.values["P"]
        numbers["P"] = math.inf if value == "sgd" else self._finite
        for number, x in numbers.items():
            self.values[number] = x
            self.boxes[number].value = shown(x)
            self.sliders[number].value = PARAMETERS[number].position(x)
        for text in TEXTS:
            self.texts[text] = USUAL[text]
            self.choices[text].value = USUAL[text]
        self._quiet = False
        self._show()
        self._on_change()

    def _show(self) -> None:
        """Show what the algorithm has, by the names that fit."""
        defaults = defaults_of(self.chosen)
        for name in OPTION_OF:
            self.sliders[name].visible = self.boxes[name].visible = name in defaults
        for name in TEXTS:
            self.choices[name].visible = self._has(name)
        steps = self.chosen != "flow"
        self.boxes["start"].title = "first step" if steps else "first time t"
        self.boxes["stop"].title = "last step" if steps else "last time t"
        fresh = self.chosen == "sgd" and math.isinf(self.values["P"])
        self.boxes["P"].title = "P, data: one pass, all fresh" if fresh else PARAMETERS["P"].label


def shown(value: float) -> str:
    """Return a number as boxes show it."""
    return "\u221e" if math.isinf(value) else f"{value:.12g}"
