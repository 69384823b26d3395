"""The page without a server, for a class: theory worked out beforehand on a grid, in one file that opens anywhere."""

import dataclasses
import functools
import itertools
import math
import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from bokeh.embed import file_html
from bokeh.models import CustomJS, Div, LegendItem, Slider, TextInput
from bokeh.resources import INLINE

from experiments.compare.limits import limiting_terms
from experiments.explore import model, words
from experiments.explore.controls import IN_LINE, STYLE, shown
from experiments.explore.parameters import PARAMETERS
from experiments.explore.plots import Plots
from experiments.explore.settings import Settings, from_address
from experiments.output import console, files, pages, progress
from rfm import checks

AXES: Mapping[str, tuple[float, ...]] = {
    "N": (8, 16, 32, 64, 128, 256, 512, 1024), "P": (8, 16, 32, 64, 128, 256, 512, 1024),
    "noise": (0.0, 0.01, 0.1, 1.0),
}  # fmt: skip
NOISES = (0.0, 1.0)  # of labels, between which all others lie on a line
Limits = dict[str, np.ndarray]
MOVE = """
const place = sliders.reduce((sum, slider, i) => sum * axes[i].length + Math.round(slider.value), 0)
sliders.forEach((slider, i) => { boxes[i].value = axes[i][Math.round(slider.value)] })
for (const [source, columns] of [[curve, curve_columns], [terms, term_columns]]) {
  const data = {}
  for (const name of Object.keys(columns)) {
    const [all, count] = [columns[name], source.data.times.length]
    data[name] = Array.from(all).slice(place * count, (place + 1) * count)
  }
  source.data = data
}
corners.data = {x: corners.data.x, y: Array.from(frames).slice(2 * place, 2 * place + 2)}
text.text = texts[place]
for (const [name, line] of Object.entries(lines)) {
  const column = line.data_source.data[name]
  line.visible = wanted.includes(name) && column.some(Number.isFinite)
}
for (const item of items) item.visible = item.renderers.every(line => line.visible)
"""


def write_page(path: str, at: str = "", axes: Mapping[str, tuple[float, ...]] = AXES) -> None:
    """Write the page.

    Args:
        path: Of the file, NAME.html; an earlier one is kept.
        at: The point around which the grid lies: a link of the page, or its part a=1.8&b=1.5&...
        axes: Values of the sliders by name; those of the point are added.

    Raises:
        ValueError: The file cannot be written, or the point is refused.
    """
    target = Path(path)
    if target.suffix != ".html" or target.exists() or not target.absolute().parent.is_dir():
        checks.fail("static", "a file NAME.html that is not there yet, in a folder that is", path)
    settings, refused = from_address(urllib.parse.parse_qs(at.partition("?")[2] or at, keep_blank_values=True))
    if refused:
        reason = re.sub(r"Argument `(\w+)`", r"\1", refused[0]).rstrip(".")
        checks.fail("at", f"a link of the page ({reason})", at)
    html = page(settings, axes)
    files.replace(target, lambda written: written.write_text(html, encoding="utf-8"))
    console.tell(f"{target} opens in any browser, without a server.", {"file": str(target)})


def page(settings: Settings, axes: Mapping[str, tuple[float, ...]] = AXES) -> str:
    """Return the page with curves at every point of the grid."""
    if math.isinf(settings.P):
        axes = {name: values for name, values in axes.items() if name != "P"}  # fresh samples stay fresh
    axes = {name: tuple(sorted({*values, getattr(settings, name)})) for name, values in axes.items()}
    plots, points = Plots(), list(itertools.product(*axes.values()))
    start = points.index(tuple(getattr(settings, name) for name in axes))
    curve, terms = ([] for _ in range(2))
    frames, texts = [], []
    for numbers in progress.over([points[start], *points], "point", "theory"):
        text, frame = _show(plots, settings, dict(zip(axes, numbers, strict=True)))
        texts.append(text)
        frames.append(frame)
        for source, kept in ((plots.curve, curve), (plots.terms, terms)):
            kept.append({name: np.asarray(source.data[name], np.float32) for name in source.column_names})
    first, *texts = texts
    _show(plots, settings, {name: getattr(settings, name) for name in axes})
    sliders, boxes = _controls(axes, settings)
    text = Div(text=first, name="regime", stylesheets=[STYLE], sizing_mode="stretch_width")
    items = [item for legend in plots.risk.legend for item in legend.items if isinstance(item, LegendItem)]
    move = CustomJS(code=MOVE, args=dict(
        sliders=sliders, boxes=boxes, axes=[[shown(x) for x in values] for values in axes.values()], curve=plots.curve,
        terms=plots.terms, curve_columns=_stacked(curve[1:]), term_columns=_stacked(terms[1:]), corners=plots.corners,
        frames=np.array(frames[1:]).ravel(), text=text, texts=texts, lines=plots.lines, items=items,
        wanted=[name for name in plots.lines if plots.drawn.get(name, True)],
    ))  # fmt: skip
    for slider in sliders:
        slider.js_on_change("value", move)
    plots.risk.name, plots.slope.name = "risk", "slope"
    told = ", ".join(
        f"{name} = {shown(value) if isinstance(value, int | float) else value}"
        for name, value in dataclasses.asdict(settings).items() if value is not None and name not in axes
    )  # fmt: skip
    variables: dict[str, Any] = dict(names=list(axes), parameters=PARAMETERS, told=told)
    template = pages.ENVIRONMENT.get_template("explore/static.html")
    roots = [*sliders, *boxes, plots.risk, plots.slope, text]
    return file_html(roots, INLINE, "random-feature theory", template=template, template_variables=variables)


def _show(plots: Plots, settings: Settings, numbers: Mapping[str, float]) -> tuple[str, tuple[float, float]]:
    """Draw one point of the grid; return what it says and the frame of its figure."""
    try:
        here = dataclasses.replace(settings, **numbers)
        point, limits = known(here)
    except ValueError as error:
        for source in (plots.curve, plots.terms):
            none = np.full(len(source.data["times"]), np.nan)
            source.update(data={name: source.data[name] if name == "times" else none for name in source.column_names})
        return words.notice("Refused", [str(error)]), (1e-3, 1.0)
    details = model.describe(point, limits)
    plots.show_curves(point)
    plots.show_details(point, details)
    return words.regime(point, details), model.frame(point)


def known(here: Settings) -> tuple[model.Point, Limits]:
    """Return the theory of a point and what limits its risk: every loss is of first order in the label noise.

    Two noises are worked out, and others follow, but where features are trained on the labels.
    """
    if here.richness or here.noise in NOISES:
        return _worked_out(here)
    (clean, clean_limits), (noisy, limits) = (_worked_out(dataclasses.replace(here, noise=x)) for x in NOISES)

    def between(x: Any, y: Any) -> np.ndarray:
        return x + here.noise * (np.asarray(y) - x)

    curves = {name: between(x, y) for name in model.LOSSES if (x := getattr(clean.leading, name)) is not None
              and (y := getattr(noisy.leading, name)) is not None}  # fmt: skip
    losses = {
        name: model.known(x.x, between(x.leading, y.leading), between(x.mean, y.mean))
        for (name, x), y in zip(clean.losses.items(), noisy.losses.values(), strict=True)
    }
    point = clean._replace(settings=here, leading=dataclasses.replace(clean.leading, **curves), losses=losses)
    return point, {name: between(clean_limits.get(name, 0.0), y) for name, y in limits.items()}


@functools.lru_cache(maxsize=4)  # the noise is the axis that changes first
def _worked_out(here: Settings) -> tuple[model.Point, Limits]:
    point = model.corrected(model.curves(here))
    if not math.isinf(here.most_steps):  # each takes as long as the curve itself
        return point, {}
    return point, limiting_terms(
        here.problem, num_features=here.N, num_samples=here.P, optimizer=here.optimizer, times=point.times,
        ensemble=here.K, richness=here.richness,
    )  # fmt: skip


def _controls(axes: Mapping[str, tuple[float, ...]], settings: Settings) -> tuple[list[Slider], list[TextInput]]:
    sliders, boxes = [], []
    for name, values in axes.items():
        value = getattr(settings, name)
        sliders.append(Slider(
            title=None, start=0, end=max(len(values) - 1, 1), step=1, value=values.index(value), show_value=False,
            tooltips=False, name=name, sizing_mode="stretch_width", stylesheets=[STYLE],
        ))  # fmt: skip
        boxes.append(TextInput(
            title=PARAMETERS[name].label, value=shown(value), disabled=True, name=f"{name}_box",
            sizing_mode="stretch_width", stylesheets=[STYLE, IN_LINE],
        ))  # fmt: skip
    return sliders, boxes


def _stacked(kept: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([data[name] for data in kept]) for name in kept[0]}
