"""Abilities that curves and sweeps share: averages over seeds, tables with names, files, pictures."""

import importlib
import os
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from rfm import checks

FIELDS = ("risk", "train_loss", "test_loss")
MOST_LINES = 12  # of a picture
Values = np.ndarray


class Labelled(NamedTuple):
    """A result with names: all `values` have the axes of `coordinates`, in their order."""

    coordinates: dict[str, np.ndarray]
    values: dict[str, np.ndarray]
    attributes: dict[str, Any]


def field_of(result: Any, name: object) -> Values:
    """Return a field of a curve or sweep; ValueError for a name that it has not."""
    averaged = ("average_risk",) if getattr(result, "average_risk", None) is not None else ()
    checks.one_of("name", name, (*FIELDS, *averaged))
    return np.asarray(getattr(result, str(name)))


def test_loss_of(risk: Any, noise_var: Any) -> Any:
    """Add the label noise to a risk; ValueError where it is unknown."""
    if noise_var is None:
        raise ValueError("The test loss is risk + noise_var, and the noise_var of this result is not known.")
    return risk + noise_var


def mean_of(values: Values, *, seeds: bool) -> Values:
    """Average over seeds, the last axis but one, where there are any."""
    return values.mean(-2) if seeds else values


def stderr_of(values: Values, *, seeds: bool) -> Values:
    """Return the standard error of that average: zero without seeds, NaN and a warning for a single one."""
    if not seeds:
        return np.zeros_like(values)
    if values.shape[-2] == 1:
        text = "One draw has no standard error (nan): give two keys or more."
        warnings.warn(text, RuntimeWarning, stacklevel=3)
        return np.full_like(values[..., 0, :], np.nan)
    with np.errstate(invalid="ignore"):  # inf - inf where a run diverged
        return values.std(-2, ddof=1) / np.sqrt(values.shape[-2])


def interval_of(values: Values, share: float, *, seeds: bool) -> tuple[Values, Values]:
    """Return the quantiles between which a share of the draws lies, the same number below and above."""
    checks.number("share", share, 0.0, "a number > 0 and < 1")
    if not share < 1.0:
        checks.fail("share", "a number > 0 and < 1", share)
    if not seeds:
        raise ValueError("Theory has no interval: it is an average over all draws; simulate with two seeds or more.")
    if values.shape[-2] == 1:
        raise ValueError("One draw has no interval: simulate with two seeds or more.")
    low, high = np.quantile(values, [0.5 - share / 2, 0.5 + share / 2], axis=-2)
    return low, high


def no_arithmetic(self: Any, *others: object) -> NoReturn:
    """Refuse to add, subtract, multiply or divide whole results, and say what to do."""
    name = type(self).__name__
    raise TypeError(f"A {name} is not an array: use one of its arrays, as in one.mean() - other.mean() or {name}.risk.")


def to_dataframe(result: Labelled) -> Any:
    """Return one row a number, with the coordinates as columns."""
    grids = np.meshgrid(*result.coordinates.values(), indexing="ij")
    columns = {name: grid.ravel() for name, grid in zip(result.coordinates, grids, strict=True)}
    frame = _package("pandas").DataFrame(columns | {name: x.ravel() for name, x in result.values.items()})
    frame.attrs.update(result.attributes)
    return frame


def to_xarray(result: Labelled) -> Any:
    """Return a data set with named axes."""
    names = tuple(result.coordinates)
    values = {name: (names, x) for name, x in result.values.items()}
    return _package("xarray").Dataset(values, result.coordinates, result.attributes)


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ImportError(f"{name} is not installed: pip install {name}.") from None


def save(path: str | Path, kind: str, arrays: Mapping[str, Any]) -> None:
    """Write arrays, numbers and words as a npz file, under a temporary name first; nothing is pickled."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    given: Any = {name: np.asarray(value) for name, value in arrays.items() if value is not None}
    try:
        with open(temporary, "wb") as file:
            np.savez(file, type=np.asarray(kind), **given)
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(f"{path} could not be written ({error.strerror or error}).") from error
    finally:
        temporary.unlink(missing_ok=True)


def load(path: str | Path, kind: str) -> dict[str, np.ndarray]:
    """Read what `save` wrote of a type; ValueError for anything else, or a damaged file."""
    allowed = f"a file that {kind}.save wrote"
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as read:
            arrays = dict(read)
        of = str(arrays.pop("type"))
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is not one, or it is damaged"
        checks.fail("path", f"{allowed} ({reason})", str(path))
    if of != kind:
        checks.fail("path", f"{allowed}, not {of}.save", str(path))
    return arrays


def plot(result: Labelled, name: str, x: str, ax: Any, style: Mapping[str, Any]) -> Any:
    """Draw the mean of a field against an axis, a line for every point of the others, two standard errors shaded.

    Args:
        result: What to draw.
        name: Field.
        x: Coordinate along the picture.
        ax: Where to draw, None for the current axes of matplotlib.
        style: As `Axes.plot` takes it.

    Returns:
        The axes.

    Raises:
        ValueError: An axis or field that does not exist, or too many lines.
    """
    checks.one_of("name", name, tuple(result.values))
    along = {axis: values for axis, values in result.coordinates.items() if axis != "seed"}
    checks.one_of("x", x, tuple(along))
    values, seeds = result.values[name], "seed" in result.coordinates
    place = list(along).index(x)
    several = seeds and values.shape[-2] > 1
    mean = mean_of(values, seeds=seeds)
    spread = 2 * stderr_of(values, seeds=seeds) if several else np.zeros_like(mean)
    mean, spread = (np.moveaxis(y, place, -1) for y in (mean, spread))
    others = {axis: points for axis, points in along.items() if axis != x}
    lines = list(np.ndindex(mean.shape[:-1]))
    if len(lines) > MOST_LINES:
        allowed = f"another axis, or chosen from with .sel(...): {len(lines)} lines, and at most {MOST_LINES} are drawn"
        checks.fail("x", allowed, x)
    if ax is None:
        from matplotlib import pyplot

        ax = pyplot.gca()
    for index in lines:
        held = ((axis, points[i]) for (axis, points), i in zip(others.items(), index, strict=True) if len(points) > 1)
        label = ", ".join([f"{axis} = {point:.4g}" for axis, point in held]) or _name(result, several=several)
        _draw_line(ax, along[x], mean[index], spread[index] if several else None, {"label": label, **style})
    ax.set_xlabel(x)
    ax.set_ylabel(name)
    _number_short_axes(ax)
    ax.legend()
    return ax


def _name(result: Labelled, *, several: bool) -> str:
    """Name a line that is alone: what it is, and how it was made."""
    kind = result.attributes["kind"]
    if "seed" not in result.coordinates:
        return f"theory, {kind}"
    number = len(result.coordinates["seed"])
    return f"mean of {number} seeds, {kind}" if several else f"one seed, {kind}"


def _number_short_axes(ax: Any) -> None:
    """Label a logarithmic axis of less than a decade with plain numbers: as 2.8 x 10^2 they push its name away."""
    for axis in (ax.xaxis, ax.yaxis):
        low, high = axis.get_view_interval()
        if axis.get_scale() == "log":
            usual = type(axis.get_major_formatter())  # again on an axis that has grown since
            axis.set_minor_formatter("{x:g}" if high < 10.0 * low else usual())


def _draw_line(ax: Any, x: Values, y: Values, spread: Values | None, style: Mapping[str, Any]) -> None:
    """Draw one line on logarithmic scales, where its numbers are positive; a line across where x is infinite."""
    if not np.isfinite(x).any():
        ax.axhline(y[0], **style)
        return
    (drawn,) = ax.plot(x, y, **({"marker": "o"} if len(x) == 1 else {}), **style)
    if spread is not None:
        ax.fill_between(x, y - spread, y + spread, color=drawn.get_color(), alpha=0.2, lw=0)
    if np.all(x > 0):
        ax.set_xscale("log")
    if np.all(y > 0):
        ax.set_yscale("log")
