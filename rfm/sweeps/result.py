"""The result of a sweep: risk and training loss on a grid of settings, with or without seeds."""

import dataclasses
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rfm import checks, display, results
from rfm.curve import Curve
from rfm.grid import fold_point, words
from rfm.sweeps import store

NEAREST = "nearest"


@dataclasses.dataclass(frozen=True, repr=False)
class Sweep:
    """Risk and training loss on a grid of settings.

    Theory has no axis S and no keys.

    Attributes:
        axes: Values (n,) by name, in the order of the axes of the results.
        times: (T,), as in `Curve`.
        risk: (axes..., S, T), inf from where a run has diverged, NaN where it is missing.
        train_loss: (axes..., S, T), likewise.
        keys: (S,) of the seeds, None for theory.
        kind: "Monte Carlo", "exact given the draw" or "deterministic equivalent", as in `Curve`.
        noise_var: Variance of the label noise, unless it is an axis; None where it is not known.
        held: Value by name of the axes that `sel` has taken one point of.

    Example:
        >>> import jax, rfm
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100, noise_var=0.01)
        >>> args = dict(num_samples=32, optimizer=rfm.GradientFlow(), times=[1.0, 10.0, 100.0])
        >>> swept = rfm.sweep(problem, {"num_features": [16, 24]}, seeds=2, **args)
        >>> swept
        <Sweep: exact given the draw; num_features 2, 16 .. 24; seeds 2; times 3, 1 .. 100; noise_var 0.01>
        >>> swept.mean().shape, swept.curve(num_features=16).risk.shape
        ((2, 3), (2, 3))
        >>> swept.sel(num_features=16, time=10.0).risk.shape
        (2, 1)
    """

    axes: dict[str, np.ndarray]
    times: np.ndarray
    risk: np.ndarray
    train_loss: np.ndarray
    keys: Array | None
    kind: str
    noise_var: Any = None
    held: dict[str, float] = dataclasses.field(default_factory=dict)

    @staticmethod
    def load(path: str | Path) -> "Sweep":
        """Read all that a store holds, its axes in increasing order, or a file that `save` wrote.

        Args:
            path: The folder that `sweep` was given as `out`, or the file.

        Returns:
            The sweep, NaN where a run is missing.

        Raises:
            ValueError: There is not the store of a sweep, or is damaged: named is the file that is to be deleted, which
                the same sweep makes again.
        """
        if not Path(path).exists():
            checks.fail("path", "a store of a sweep", str(path))
        if zipfile.is_zipfile(path):
            return _read(path)
        opened = store.open_store(Path(path), argument="path")
        header, axes = opened.manifest.header, opened.axes
        losses = store.load_whole(opened, len(header.keys))
        noise_var = header.settings.get("noise_var")
        return Sweep(
            axes.values, header.times, *losses, _wrapped(header.keys, header.settings["key"]), header.settings["kind"],
            None if noise_var is None else float(noise_var),
        )  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write all into one npz file, which `Sweep.load` reads and which holds no pickled object."""
        axes = {f"axis {i} {name}": values for i, (name, values) in enumerate(self.axes.items())}
        held = {f"held {name}": value for name, value in self.held.items()}
        losses = {name: getattr(self, name) for name in ("times", "risk", "train_loss", "kind", "noise_var")}
        keys = {} if self.keys is None else {"keys": jax.random.key_data(self.keys), "key": _impl(self.keys)}
        results.save(path, "Sweep", {**axes, **held, **losses, **keys})

    @property
    def missing(self) -> np.ndarray:
        """Runs that a store has not yet, (axes..., S)."""
        return store.Results(self.risk, self.train_loss).missing

    @property
    def diverged(self) -> np.ndarray:
        """Runs that passed all bounds, (axes..., S)."""
        return store.Results(self.risk, self.train_loss).diverged

    @property
    def test_loss(self) -> np.ndarray:
        """Risk + noise_var, the loss on fresh labels, of the shape of risk."""
        noise_var = self.axes.get("noise_var", self.held.get("noise_var", self.noise_var))
        if "noise_var" in self.axes:
            behind = self.risk.ndim - 1 - list(self.axes).index("noise_var")
            noise_var = np.asarray(noise_var).reshape(-1, *[1] * behind)
        return results.test_loss_of(self.risk, noise_var)

    def mean(self, name: str = "risk") -> np.ndarray:
        """Return the mean over seeds of "risk", "train_loss" or "test_loss", (axes..., T)."""
        return results.mean_of(results.field_of(self, name), seeds=self.keys is not None)

    def stderr(self, name: str = "risk") -> np.ndarray:
        """Return the standard error of it, (axes..., T): zero for theory, NaN and a warning for a single seed."""
        return results.stderr_of(results.field_of(self, name), seeds=self.keys is not None)

    def interval(self, name: str = "risk", share: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Return the quantiles over draws, (axes..., T) each, between which a share of them lies, as in `Curve`."""
        return results.interval_of(results.field_of(self, name), share, seeds=self.keys is not None)

    def sel(self, *, method: str | None = None, **values: Any) -> "Sweep":
        """Return the part of the sweep at some values of its axes, or of time.

        Args:
            method: "nearest" takes the nearest value of an axis; None takes none but those on it.
            **values: By name of an axis, or `time`: a number, which the result then has no axis of, or several. The
                axis of time stays.

        Returns:
            The sweep at these values.

        Raises:
            ValueError: A name that is not an axis, or a value that is not on it.
        """
        if method is not None:
            checks.one_of("method", method, (NEAREST,))
        axes, held, indices = {}, dict(self.held), []
        for name in values:
            if name not in (*self.axes, "time"):
                raise ValueError(f"`{name}` is not an axis of this sweep, which has {', '.join((*self.axes, 'time'))}.")
        for name, points in (*self.axes.items(), ("time", self.times)):
            asked = values.get(name, points)
            index = np.array([_position(name, points, x, method) for x in np.atleast_1d(asked).tolist()])
            if np.ndim(asked) == 0 and name != "time":
                held[name] = float(points[index[0]])
                indices.append(index[0])
            else:
                axes[name] = points[index]
                indices.append(index)
        times, parts = axes.pop("time"), []
        for losses in (self.risk, self.train_loss):
            for axis in reversed(range(len(self.axes))):
                losses = np.take(losses, indices[axis], axis)
            parts.append(losses[..., indices[-1]])
        return dataclasses.replace(self, axes=axes, times=times, risk=parts[0], train_loss=parts[1], held=held)

    def plot(self, x: str = "time", name: str = "risk", *, ax: Any = None, **style: Any) -> Any:
        """Draw the mean of a field against time or an axis, and return the axes of matplotlib.

        Every point of the other axes is a line, with two standard errors shaded; `sel` chooses among them.

        Args:
            x: "time", or the name of an axis.
            name: "risk", "train_loss" or "test_loss".
            ax: Where to draw, None for the current axes.
            **style: As `matplotlib.axes.Axes.plot` takes it.
        """
        return results.plot(self._labelled(), name, x, ax, style)

    def to_dataframe(self) -> Any:
        """Return a pandas table, one row a number: its point, seed where there are some, time, and losses."""
        return results.to_dataframe(self._labelled())

    def to_xarray(self) -> Any:
        """Return an xarray data set with the axes of the sweep, seed where there are some, and time."""
        return results.to_xarray(self._labelled())

    def curve(self, **point: float) -> Curve:
        """Return the curve of one point of the grid.

        Args:
            **point: A value of every axis, by name.

        Returns:
            The curve, with seeds as `simulate` gives it.

        Raises:
            ValueError: An axis is left out, or a value is not on it.
        """
        index = self._index(point)
        converged = not (self.missing[index].any() or self.diverged[index].any())
        residual = 0.0 if converged else math.inf
        noise_var = {"noise_var": self.noise_var, **self.held, **point}["noise_var"]
        losses = self.risk[index], self.train_loss[index]
        return Curve(self.times, *losses, converged, residual, self.kind, noise_var=noise_var)

    def keys_at(self, **point: float) -> Array:
        """Return the keys (S,) with which `simulate` draws what this sweep drew at a point of the grid.

        Args:
            **point: A value of every axis, by name.

        Returns:
            Typed keys, each with 64 bits of the point's values folded in.

        Raises:
            ValueError: An axis is left out, a value is not on it, or the sweep is theory.
        """
        if self.keys is None:
            checks.fail("keys", "those of a simulation; theory has none", None)
        index = self._index(point)
        there = {name: float(values[i]) for (name, values), i in zip(self.axes.items(), index, strict=True)}
        return jax.vmap(fold_point, (0, None))(self.keys, np.array(words(self.held | there), np.uint32))

    def _index(self, point: Mapping[str, float]) -> tuple[int, ...]:
        if sorted(point) != sorted(self.axes):
            checks.fail("point", "one value of each of " + ", ".join(self.axes), dict(point))
        return tuple(_position(name, values, point[name], None) for name, values in self.axes.items())

    def _labelled(self) -> results.Labelled:
        seeds = {} if self.keys is None else {"seed": np.arange(len(self.keys))}
        known = "noise_var" in {*self.axes, *self.held} or self.noise_var is not None
        values = {name: getattr(self, name) for name in results.FIELDS if name != "test_loss" or known}
        attributes = {"kind": self.kind, **self.held}
        return results.Labelled({**self.axes, **seeds, "time": self.times}, values, attributes)

    def _facts(self) -> dict[str, Any]:
        """Summarize the contents, by name."""
        axes = {name: f"{len(values)}, {display.span(values)}" for name, values in self.axes.items()}
        seeds = {} if self.keys is None else {"seeds": len(self.keys)}
        words = {"": self.kind, **axes, **seeds, "times": f"{len(self.times)}, {display.span(self.times)}"}
        words |= {f"at {name}": f"{value:g}" for name, value in self.held.items()}
        if self.noise_var is not None:
            words["noise_var"] = f"{float(self.noise_var):.4g}"
        counts = {"diverged": int(self.diverged.sum()), "missing": int(self.missing.sum())}
        return {**words, **{name: count for name, count in counts.items() if count}}

    def __repr__(self) -> str:
        return display.line("Sweep", self._facts())

    def _repr_html_(self) -> str:
        return display.table("Sweep", self._facts())

    __array_ufunc__ = None  # arrays of numpy leave arithmetic to the operators below
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = results.no_arithmetic
    __truediv__ = __rtruediv__ = __pow__ = __neg__ = __abs__ = results.no_arithmetic


def _position(name: str, values: np.ndarray, value: Any, method: str | None) -> int:
    """Return where a value is on an axis; ValueError where it is not."""
    number = checks.numeric(name, value)
    if number.ndim or np.isnan(number):
        checks.fail(name, "a number on the grid", value)
    with np.errstate(invalid="ignore"):  # infinity less itself
        distance = np.where(values == number, 0.0, np.abs(values - number))
    index = int(np.argmin(distance))
    if distance[index] != 0.0 and method is None:
        near = ", ".join(f"{x:.10g}" for x in np.sort(values[np.argsort(distance)[:4]]))
        checks.fail(name, f"on the grid, as {near} are (the nearest is taken by sel(..., method={NEAREST!r}))", value)
    return index


def _impl(keys: Array) -> str:
    return str(jax.random.key_impl(keys))


def _wrapped(data: Any, impl: str) -> Array:
    return jax.random.wrap_key_data(jnp.array(data), impl=impl)


def _read(path: str | Path) -> Sweep:
    """Return what `Sweep.save` wrote."""
    arrays: dict[str, Any] = {name: x if x.ndim else x.item() for name, x in results.load(path, "Sweep").items()}
    axes = {name.split(" ", 2)[2]: arrays.pop(name) for name in [*arrays] if name.startswith("axis ")}
    held = {name.removeprefix("held "): arrays.pop(name) for name in [*arrays] if name.startswith("held ")}
    keys = _wrapped(arrays.pop("keys"), arrays.pop("key")) if "keys" in arrays else None
    return Sweep(axes, keys=keys, held=held, **arrays)
