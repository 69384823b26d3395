"""What a sweep is read as: risk and training loss on a grid of settings, with or without seeds."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np
from jax import Array

from rfm import checks
from rfm.curve import Curve
from rfm.grid import Axes, words
from rfm.sweeps import store


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Risk and training loss on a grid of settings.

    axes: values (n,) by name; times: (T,); risk, train_loss: (axes..., S, T), inf from where a run has diverged, NaN
    where it is missing; keys: (S,) of the seeds. Theory has no axis S and no keys. kind: as in `Curve`.
    """

    axes: dict[str, np.ndarray]
    times: np.ndarray
    risk: np.ndarray
    train_loss: np.ndarray
    keys: Array | None
    kind: str

    @staticmethod
    def load(path: str | Path) -> "Sweep":
        """All that a store holds, axes in increasing order. Raises ValueError where there is no store."""
        if not Path(path).exists():
            checks.fail("path", "a store of a sweep", str(path))
        found = store.open_store(Path(path), "r")
        times, keys = store.times_and_keys(found)
        everything = Axes({name: np.sort(values) for name, values in found.axes.values.items()})
        results = store.load(found, everything, len(keys))
        return Sweep(everything.values, times, *results, keys, store.settings_of(found)["kind"])

    @property
    def missing(self) -> np.ndarray:
        """Runs that a store has not yet, (axes..., S)."""
        return store.Results(self.risk, self.train_loss).missing

    @property
    def diverged(self) -> np.ndarray:
        """Runs that passed all bounds, (axes..., S)."""
        return store.Results(self.risk, self.train_loss).diverged

    def mean(self, name: str = "risk") -> np.ndarray:
        """Mean over seeds of "risk" or "train_loss", (axes..., T)."""
        values = getattr(self, name)
        return values if self.keys is None else values.mean(-2)

    def stderr(self, name: str = "risk") -> np.ndarray:
        """Standard error of that mean over seeds, (axes..., T); zero for theory, NaN for a single seed."""
        if self.keys is None:
            return np.zeros_like(getattr(self, name))
        values, seeds = getattr(self, name), len(self.keys)
        with np.errstate(invalid="ignore"):  # inf - inf where a run diverged
            return values.std(-2, ddof=1) / math.sqrt(seeds) if seeds > 1 else np.full_like(values[..., 0, :], np.nan)

    def curve(self, **point: float) -> Curve:
        """The curve of one point of the grid; ValueError where a value is not on its axis."""
        index = tuple(_position(self.axes, name, point) for name in self.axes)
        converged = not (self.missing[index].any() or self.diverged[index].any())
        residual = 0.0 if converged else math.inf
        return Curve(self.times, self.risk[index], self.train_loss[index], converged, residual, self.kind)

    def keys_at(self, **point: float) -> Array:
        """The keys (S,) that `simulate` draws one point of the grid from."""
        if self.keys is None:
            checks.fail("keys", "those of a simulation; theory has none", None)
        low, high = words({name: float(self.axes[name][_position(self.axes, name, point)]) for name in self.axes})
        return jax.vmap(lambda key: jax.random.fold_in(jax.random.fold_in(key, low), high))(self.keys)


def _position(found: dict[str, np.ndarray], name: str, point: Mapping[str, float]) -> int:
    if sorted(point) != sorted(found):
        checks.fail("point", "one value of each of " + ", ".join(found), dict(point))
    place = np.flatnonzero(found[name] == float(point[name]))
    if not len(place):
        checks.fail(name, f"on the grid, one of {found[name].tolist()}", point[name])
    return int(place[0])
