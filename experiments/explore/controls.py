"""The widgets of the page and the numbers that they stand for."""

import dataclasses
import math
from collections.abc import Callable

from bokeh.models import CustomJSTickFormatter, RangeSlider, Select, Slider

from experiments.explore.settings import OPTION_OF, PARAMETERS, WITH_THEORY, Parameter, Settings, defaults_of

LABELS = {
    "flow": "gradient flow", "gd": "gradient descent", "heavy-ball": "heavy ball", "nesterov": "Nesterov",
    "sgd": "SGD, one pass",
}  # fmt: skip
# the same number as Parameter.value makes of a position
TICK_FORMAT = """
if (infinite && tick > high + step / 2) return "\\u221e"
if (zero && tick < low - step / 2) return "0"
const x = log ? 10 ** Math.min(Math.max(tick, low), high) : tick
if (whole) return Math.round(x).toLocaleString("en")
return x < 1e5 ? String(Number(x.toPrecision(3))) : Number(x.toPrecision(3)).toExponential().replace("+", "")
"""
FRESH = "P, data: fresh at every step"


class Controls:
    """Sliders, one a parameter, and the choice of an algorithm.

    `values` and `chosen` are exact, also where a slider cannot stand. on_change is called after every change of them.
    """

    def __init__(self, settings: Settings, on_change: Callable[[], None]) -> None:
        self._on_change, self._quiet = on_change, False
        given = dataclasses.asdict(settings)
        self.chosen = settings.algorithm
        self.values = {name: p.middle if given[name] is None else given[name] for name, p in PARAMETERS.items()}
        self.algorithm = Select(
            title="algorithm", value=settings.algorithm, options=[(n, LABELS[n]) for n in WITH_THEORY],
            sizing_mode="stretch_width", name="algorithm",
        )  # fmt: skip
        self.algorithm.on_change("value", lambda attr, old, new: self._choose(new))
        self.sliders = {name: self._slider(name) for name in PARAMETERS if name not in ("start", "stop")}
        start, stop = PARAMETERS["start"], PARAMETERS["stop"]
        (low, _), (_, high) = start.ends, stop.ends
        self.time = RangeSlider(
            title="time", start=low, end=high, step=start.step, format=_format(start._replace(high=stop.high)),
            value=(start.position(settings.start), stop.position(settings.stop)),
            sizing_mode="stretch_width", name="time",
        )  # fmt: skip
        self.time.on_change("value", self._move_time)
        self._show()

    def settings(self) -> Settings:
        """Return what the widgets say.

        Raises:
            ValueError: Numbers exclude each other.
        """
        defaults = defaults_of(self.chosen)
        used = {name: x for name, x in self.values.items() if name not in OPTION_OF or name in defaults}
        if self.chosen == "sgd":
            used["P"] = math.inf
        return Settings(algorithm=self.chosen, **used)

    def _slider(self, name: str) -> Slider:
        p = PARAMETERS[name]
        slider = Slider(
            title=p.label, start=p.ends[0], end=p.ends[1], step=p.step, value=p.position(self.values[name]),
            format=_format(p), sizing_mode="stretch_width", name=name,
        )  # fmt: skip

        def moved(attr: str, old: float, new: float) -> None:
            self.values[name] = p.value(new)
            self._tell()

        slider.on_change("value", moved)
        return slider

    def _move_time(self, attr: str, old: tuple[float, float], new: tuple[float, float]) -> None:
        for name, position in zip(("start", "stop"), new, strict=True):
            low, high = PARAMETERS[name].ends
            self.values[name] = PARAMETERS[name].value(min(max(position, low), high))
        self._tell()

    def _choose(self, algorithm: str) -> None:
        """Take another algorithm, at its defaults."""
        self.chosen, self._quiet = algorithm, True
        for name, value in defaults_of(algorithm).items():
            self.values[name] = value
            self.sliders[name].value = PARAMETERS[name].position(value)
        self._quiet = False
        self._show()
        self._tell()

    def _show(self) -> None:
        defaults = defaults_of(self.chosen)
        for name in OPTION_OF:
            self.sliders[name].visible = name in defaults
        fresh = self.chosen == "sgd"
        self.sliders["P"].disabled = fresh
        self.sliders["P"].title = FRESH if fresh else PARAMETERS["P"].label
        self.time.title = "time t" if self.chosen == "flow" else "steps"

    def _tell(self) -> None:
        if not self._quiet:
            self._on_change()


def _format(p: Parameter) -> CustomJSTickFormatter:
    low, high = (math.log10(x) if p.log else x for x in (p.low, p.high))
    args = dict(low=low, high=high, step=p.step, log=p.log, zero=p.zero, infinite=p.infinite, whole=p.whole)
    return CustomJSTickFormatter(args=args, code=TICK_FORMAT)
