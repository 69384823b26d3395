"""Grids of settings: which names an axis may have, which points share a compilation, and the random numbers of a point.

An axis is a size, by which arrays are shaped and programs compiled, or a number, which is traced.
"""

import dataclasses
import hashlib
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from rfm import checks, threefry
from rfm.devices import available_memory
from rfm.optimizers import Optax, Optimizer
from rfm.precision import is_traced
from rfm.problem import Problem, check_problem, power_law
from rfm.sgd import changes
from rfm.steps import Schedule

SIZES = ("num_features", "num_samples", "batch_size", "num_modes", "ensemble", "bags")
UNITS = {
    "num_features": "random features", "num_samples": "training samples", "batch_size": "samples a step",
    "num_modes": "modes", "ensemble": "feature draws", "bags": "data sets", "lr": "1/curvature",
}  # fmt: skip


ROOM = 0.5  # of the free memory, that a grid and its results may take
POINT_BYTES, VALUE_BYTES = 1000, 32  # of a point, of a value of both losses, while they are worked on


class Axes(NamedTuple):
    """Axes by name, each (n,) float64 without repetition, in the order of the result; the grid is their product."""

    values: dict[str, np.ndarray]

    @property
    def shape(self) -> tuple[int, ...]:
        """Points along each axis."""
        return tuple(len(v) for v in self.values.values())

    def points(self) -> Iterator[tuple[tuple[int, ...], dict[str, float]]]:
        """Index and values by name of every point, the last axis fastest."""
        for index in itertools.product(*(range(n) for n in self.shape)):
            yield index, {name: float(v[i]) for (name, v), i in zip(self.values.items(), index, strict=True)}


def axes(grid: Mapping[str, Any], problem: Problem, optimizer: Optimizer, whole: bool = True) -> Axes:
    """Check a grid {name: values}; ValueError for a name that this problem and optimizer do not have, or bad values.

    whole: sizes must be whole numbers, as where arrays of that size are drawn.
    """
    check_problem(problem)
    if not isinstance(optimizer, Optimizer):
        checks.fail("optimizer", "a training algorithm, as rfm.GradientDescent(0.1)", optimizer)
    if not isinstance(grid, Mapping) or not grid:
        checks.fail("grid", "a mapping from names of axes to values, not empty", grid)
    check_room(grid, {})
    allowed = axis_names(problem, optimizer)
    checked = {}
    for name, values in grid.items():
        if name not in allowed:
            checks.fail("grid", "of axes out of " + ", ".join(allowed), name)
        try:
            values = np.atleast_1d(checks.numeric(name, values)) + 0.0  # -0.0 is 0.0
        except checks.ArgumentError:
            checks.fail(name, "numbers", values)
        if values.ndim != 1 or not values.size or np.isnan(values).any() or len(set(values.tolist())) < values.size:
            checks.fail(name, "different numbers in one dimension, not empty", values)
        fractions = np.isfinite(values) & (values != np.round(values)) & (whole or name == "num_modes")
        if name in SIZES and np.any((values < 1) | fractions):
            checks.fail(name, ("integers" if whole else "numbers") + " >= 1", values)
        checked[name] = values
        if name in numbers_of(optimizer):
            for value in values:
                place_optimizer(optimizer, {name: float(value)})  # its own checks
    a, b = exponents(problem) or (None, None)
    if {"a", "b", "num_modes"} & set(checked):
        numbers = {"a": a, "b": b, "num_modes": problem.num_modes}
        spectra = (checked.get(name, [number]) for name, number in numbers.items())
        for a, b, num_modes in itertools.product(*spectra):
            power_law(a, b, finite_or_none(num_modes))
    for name in ("richness", "feature_noise"):
        for value in checked.get(name, ()):
            checks.number(name, value, 0.0, "finite numbers >= 0", inclusive=True)
    for value in checked.get("noise_var", ()):
        place_problem(problem, {"noise_var": float(value)})
    return Axes(checked)


def check_room(grid: Mapping[str, Any], runs: Mapping[str, int]) -> None:
    """ValueError, before any array of them is built, for more points and runs than there is memory for.

    grid: values by name; runs: numbers, by the names that they have for who reads the error, whose product is how many
    values of risk and training loss a point has.
    """
    lengths = {name: len_of(values) for name, values in grid.items()}
    points, lengths = math.prod(lengths.values()), lengths | dict(runs)
    needed, free = points * (POINT_BYTES + VALUE_BYTES * math.prod(runs.values())), ROOM * available_memory()
    if needed > free:
        name = max(lengths, key=lambda name: lengths[name])
        what = " x ".join([f"{points} points", *(f"{n} {name}" for name, n in runs.items())])
        allowed = f"fewer: {what} take {needed / 1e9:.3g} GB of memory, and {free / 1e9:.3g} GB are free"
        checks.fail(name, allowed, lengths[name])


def check_sizes(grid_axes: Axes, sizes: Mapping[str, Any]) -> None:
    """ValueError unless N and P each come once: as an argument, in `sizes`, or as an axis."""
    for name in ("num_features", "num_samples"):
        if (sizes[name] is None) == (name not in grid_axes.values):
            checks.fail(name, "either an argument or an axis of the grid", sizes[name])
        if sizes[name] is not None:
            checks.size(name, sizes[name], integer=False)


def axis_names(problem: Problem, optimizer: Optimizer) -> tuple[str, ...]:
    """Names that an axis of a grid may have."""
    names = ["num_features", "num_samples", "noise_var", "richness", "feature_noise", *numbers_of(optimizer)]
    names += ["ensemble", "bags"]
    size = getattr(optimizer, "batch_size", None)
    if size is not None and not changes(size):
        names.append("batch_size")
    if exponents(problem) is not None:
        names += ["a", "b", "num_modes"]
    return tuple(names)


def len_of(values: Any) -> int:
    """Return how many values there are, without an array of them; 1 for a number."""
    try:
        return len(values)
    except TypeError:
        return 1


def numbers_of(optimizer: Optimizer) -> dict[str, Any]:
    """The traced numbers of an optimizer by name."""
    if isinstance(optimizer, Optax):
        return dict(optimizer.numbers)
    names = [f.name for f in dataclasses.fields(optimizer) if f.name not in ("batch_size", "average", "order")]
    numbers = {name: getattr(optimizer, name) for name in names}
    return {name: x for name, x in numbers.items() if not (x is None or changes(x) or isinstance(x, Schedule))}


def exponents(problem: Problem) -> tuple[float, float] | None:
    """(a, b) of a problem made by `power_law`; None for any other, and for a single mode."""
    if problem.population is not None or not problem.equal_rows:
        return None
    lam, w = problem.eigenvalues, problem.target
    if len(lam) < 2:
        return None
    t = problem.tail
    with np.errstate(divide="ignore", invalid="ignore"):
        # the arrays determine the exponents to 12 digits
        b, a = (round(-math.log2(x), 12) if x > 0 else math.nan for x in (float(lam[1]), float(lam[1] * w[1] ** 2)))
    if t is not None:
        a, b = float(t.a), float(t.b)
    if not (a > 1 and b > 0):
        return None
    k = np.arange(1.0, len(lam) + 1)
    same = np.allclose(lam, k**-b, rtol=1e-9, atol=0) and np.allclose(w, k ** ((b - a) / 2), rtol=1e-9, atol=0)
    return (a, b) if same else None


def finite_or_none(num_modes: Any) -> Any:
    """The number of modes as `power_law` takes it: None where it is infinite, else whole; a tracer as it is."""
    if is_traced(num_modes):
        return num_modes
    return None if math.isinf(num_modes) else int(num_modes)


def resize(problem: Problem, num_modes: Any) -> Problem:
    """Return the power law with another number of modes."""
    a, b = exponents(problem) or (math.nan, math.nan)  # `axes` has refused other problems
    return power_law(a, b, finite_or_none(num_modes), problem.noise_var)


def place_problem(problem: Problem, numbers: Mapping[str, ArrayLike]) -> Problem:
    """The problem with some numbers replaced; a and b come together and make a new power law."""
    noise_var = numbers.get("noise_var", problem.noise_var)
    if "a" in numbers:
        return power_law(numbers["a"], numbers["b"], finite_or_none(problem.num_modes), noise_var)
    return dataclasses.replace(problem, noise_var=noise_var)


def place_optimizer(optimizer: Optimizer, numbers: Mapping[str, ArrayLike]) -> Optimizer:
    """The optimizer with some numbers replaced."""
    if isinstance(optimizer, Optax):
        placed = {name: numbers.get(name, value) for name, value in optimizer.numbers.items()}
        return dataclasses.replace(optimizer, numbers=placed)
    names = {f.name for f in dataclasses.fields(optimizer)}
    placed = {name: value for name, value in numbers.items() if name in names}
    return dataclasses.replace(optimizer, **placed) if placed else optimizer


def words(point: Mapping[str, float]) -> tuple[int, int]:
    """64 bits that depend on the values of a point and not on its grid; they are folded into its keys."""
    text = ";".join(f"{name}={(float(point[name]) + 0.0).hex()}" for name in sorted(point))
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")


def fold_point(key: Array, words: ArrayLike) -> Array:
    """The key of a run at a point of a grid: the key of its seed with both `words` (2,) of the point folded in."""
    low, high = jnp.asarray(words, jnp.uint32)
    return threefry.fold_in(threefry.fold_in(key, low), high)
