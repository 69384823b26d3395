"""The result of every run, simulated or predicted, and grids of times."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from rfm import checks, display, results
from rfm.pytrees import pytree, static

MONTE_CARLO = "Monte Carlo"  # a training run with its steps taken
EXACT = "exact given the draw"  # random features and data, dynamics solved exactly
MOST_TIMES = 10_000_000
THEORY = "deterministic equivalent"  # the closed-form theory at finite N, P, t


@pytree
class Curve:
    """Risk and training loss against time.

    Attributes:
        times: (T,), lr x steps for gradient flow and a number of steps for discrete algorithms.
        risk: (S, T) from the simulator, one row a seed; (T,) from the theory.
        train_loss: of the shape of risk.
        converged: the computation is sound: for the simulator, every number is finite and no run diverged.
        residual: estimated relative error of the theory; 0 or inf from the simulator.
        kind: "Monte Carlo", "exact given the draw" or "deterministic equivalent", never mixed.
        message: why a run ended early, else empty.
        noise_var: variance of the label noise, () or None where it is not known.
        average_risk: of the average of the weights over steps that `SGD(average=...)` asks for, of the shape of risk.
        weights: (S, T, n) of every model, where `simulate` was asked for them; (S, K, T, n) of K outputs.
        kernel_growth: m = 1 + richness |readout|^2, by which the kernel has grown, of the shape of risk; None where
            features are not trained.

    Example:
        >>> curve = Curve([1.0, 2.0], np.array([[3.0, 1.0], [5.0, 1.0]]), np.zeros((2, 2)), True, 0.0, "Monte Carlo")
        >>> curve
        <Curve: Monte Carlo; seeds 2; times 2, 1 .. 2; risk 4 .. 1; train_loss 0 .. 0; converged True>
        >>> curve.num_seeds, curve.mean().tolist(), curve.stderr().tolist()
        (2, [4.0, 1.0], [1.0, 0.0])
    """

    times: Any
    risk: Any
    train_loss: Any
    converged: Any
    residual: Any
    kind: str = static()
    message: str = static(default="")
    noise_var: Any = None
    weights: Any = None
    average_risk: Any = None
    kernel_growth: Any = None

    @property
    def num_seeds(self) -> int:
        """Number of independent draws; 1 for theory."""
        return self.risk.shape[0] if self._seeds else 1

    @property
    def test_loss(self) -> Any:
        """Risk + noise_var, the loss on fresh labels, of the shape of risk."""
        return results.test_loss_of(self.risk, self.noise_var)

    @property
    def _seeds(self) -> bool:
        return self.kind != THEORY and np.ndim(self.risk) == 2

    def mean(self, name: str = "risk") -> np.ndarray:
        """Average "risk", "train_loss" or "test_loss" over seeds, (T,)."""
        return results.mean_of(results.field_of(self, name), seeds=self._seeds)

    def stderr(self, name: str = "risk") -> np.ndarray:
        """Return the standard error of `mean`, (T,): zero for theory, NaN and a warning for a single seed."""
        return results.stderr_of(results.field_of(self, name), seeds=self._seeds)

    def interval(self, name: str = "risk", share: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Return the quantiles over draws, (T,) each, between which a share of them lies, the rest equally outside.

        It shows how draws scatter. How well their mean is known is `stderr`.
        """
        return results.interval_of(results.field_of(self, name), share, seeds=self._seeds)

    def plot(self, name: str = "risk", *, ax: Any = None, **style: Any) -> Any:
        """Draw the mean of a field against time, two standard errors shaded, and return the axes of matplotlib.

        Args:
            name: "risk", "train_loss" or "test_loss".
            ax: where to draw, None for the current axes.
            **style: as `matplotlib.axes.Axes.plot` takes it.
        """
        return results.plot(self._labelled(), name, "time", ax, style)

    def to_dataframe(self) -> Any:
        """Return a pandas table, one row a number: time, seed where there are some, and losses."""
        return results.to_dataframe(self._labelled())

    def to_xarray(self) -> Any:
        """Return an xarray data set with the axes seed, where there are some, and time."""
        return results.to_xarray(self._labelled())

    def save(self, path: str | Path) -> None:
        """Write all fields into one npz file, which `Curve.load` reads and which holds no pickled object."""
        results.save(path, "Curve", {field.name: getattr(self, field.name) for field in dataclasses.fields(self)})

    @staticmethod
    def load(path: str | Path) -> "Curve":
        """Read what `save` wrote; ValueError for anything else."""
        read: dict[str, Any] = {name: x if x.ndim else x.item() for name, x in results.load(path, "Curve").items()}
        return Curve(**read)

    def _labelled(self) -> results.Labelled:
        seeds = {"seed": np.arange(self.num_seeds)} if self._seeds else {}
        names = [name for name in results.FIELDS if name != "test_loss" or self.noise_var is not None]
        names += [] if self.average_risk is None else ["average_risk"]
        values = {name: np.asarray(getattr(self, name)) for name in names}
        return results.Labelled({**seeds, "time": np.asarray(self.times)}, values, {"kind": self.kind})

    def _facts(self) -> dict[str, Any]:
        """Summarize the contents, by name."""
        seeds = {"seeds": self.num_seeds} if self._seeds else {}
        average = {name: getattr(self, name) for name in ("risk", "train_loss")}
        if seeds:
            average = {name: values.mean(0) for name, values in average.items()}
        words = {"": self.kind, **seeds, "times": f"{len(self.times)}, {display.span(self.times)}"}
        words |= {name: display.span(values) for name, values in average.items()}
        words |= {} if self.noise_var is None else {"noise_var": display.span(self.noise_var)}
        words |= {} if self.weights is None else {"weights": " x ".join(map(str, self.weights.shape))}
        return words | {"converged": self.converged} | ({"message": self.message} if self.message else {})

    def __repr__(self) -> str:
        return display.line("Curve", self._facts())

    def _repr_html_(self) -> str:
        return display.table("Curve", self._facts())

    __array_ufunc__ = None  # arrays of numpy leave arithmetic to the operators below
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = results.no_arithmetic
    __truediv__ = __rtruediv__ = __pow__ = __neg__ = __abs__ = results.no_arithmetic


def log_times(start: float, stop: float, num: int, integer: bool = False) -> np.ndarray:
    """Make a grid of logarithmically spaced times.

    Args:
        start: the first time, > 0.
        stop: the last time, > start.
        num: number of times, >= 2.
        integer: round to distinct whole steps >= 1, maybe fewer.

    Returns:
        (num,) times in increasing order.

    Raises:
        ValueError: for other values.

    Example:
        >>> log_times(1.0, 100.0, 3).tolist(), log_times(1.0, 4.0, 9, integer=True).tolist()
        ([1.0, 10.0, 100.0], [1.0, 2.0, 3.0, 4.0])
    """
    checks.number("start", start, 0.0, "a number > 0")
    checks.number("stop", stop, start, f"a number > start = {start}")
    checks.number("num", num, 2, "an integer >= 2", inclusive=True)
    if num > MOST_TIMES:
        checks.fail("num", f"at most {MOST_TIMES:,}", num)
    times = np.geomspace(start, stop, checks.count("num", num, "an integer >= 2"))
    return np.unique(np.maximum(np.round(times), 1.0)) if integer else times
