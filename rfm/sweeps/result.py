"""The result of a sweep: risk and training loss on a grid of settings, with or without seeds."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rfm import checks
from rfm.curve import Curve
from rfm.grid import fold_point, words
from rfm.sweeps import store


@dataclasses.dataclass(frozen=True)
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

    Example:
        >>> import jax, rfm
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100, noise_var=0.01)
        >>> args = dict(num_samples=32, optimizer=rfm.GradientFlow(), times=[1.0, 10.0, 100.0])
        >>> keys = jax.random.split(jax.random.key(0), 2)
        >>> swept = rfm.sweep(problem, {"num_features": [16, 24]}, keys, **args)
        >>> swept.mean().shape, swept.curve(num_features=16).risk.shape
        ((2, 3), (2, 3))
    """

    axes: dict[str, np.ndarray]
    times: np.ndarray
    risk: np.ndarray
    train_loss: np.ndarray
    keys: Array | None
    kind: str

    @staticmethod
    def load(path: str | Path) -> "Sweep":
        """Read all that a store holds, its axes in increasing order.

        Args:
            path: The folder that `sweep` was given as `out`.

        Returns:
            The sweep, NaN where a run is missing.

        Raises:
            ValueError: There is no store of a sweep, or a damaged one: named is the file that is to be deleted, which
                the same sweep makes again.
        """
        if not Path(path).exists():
            checks.fail("path", "a store of a sweep", str(path))
        opened = store.open_store(Path(path), argument="path")
        header, axes = opened.manifest.header, opened.axes
        results = store.load_whole(opened, len(header.keys))
        keys = jax.random.wrap_key_data(jnp.array(header.keys), impl=header.settings["key"])
        return Sweep(axes.values, header.times, *results, keys, header.settings["kind"])

    @property
    def missing(self) -> np.ndarray:
        """Runs that a store has not yet, (axes..., S)."""
        return store.Results(self.risk, self.train_loss).missing

    @property
    def diverged(self) -> np.ndarray:
        """Runs that passed all bounds, (axes..., S)."""
        return store.Results(self.risk, self.train_loss).diverged

    def mean(self, name: str = "risk") -> np.ndarray:
        """Return the mean over seeds of "risk" or "train_loss", (axes..., T)."""
        values = getattr(self, name)
        return values if self.keys is None else values.mean(-2)

    def stderr(self, name: str = "risk") -> np.ndarray:
        """Return the standard error of that mean, (axes..., T): zero for theory, NaN for a single seed."""
        values = getattr(self, name)
        if self.keys is None:
            return np.zeros_like(values)
        seeds = len(self.keys)
        with np.errstate(invalid="ignore"):  # inf - inf where a run diverged
            return values.std(-2, ddof=1) / math.sqrt(seeds) if seeds > 1 else np.full_like(values[..., 0, :], np.nan)

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
        return Curve(self.times, self.risk[index], self.train_loss[index], converged, residual, self.kind)

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
        folded = words({name: float(values[i]) for (name, values), i in zip(self.axes.items(), index, strict=True)})
        return jax.vmap(fold_point, (0, None))(self.keys, np.array(folded, np.uint32))

    def _index(self, point: Mapping[str, float]) -> tuple[int, ...]:
        if sorted(point) != sorted(self.axes):
            checks.fail("point", "one value of each of " + ", ".join(self.axes), dict(point))
        for name, values in self.axes.items():
            if float(point[name]) not in values:
                checks.fail(name, f"on the grid, one of {values.tolist()}", point[name])
        return tuple(int(np.flatnonzero(values == float(point[name]))[0]) for name, values in self.axes.items())
