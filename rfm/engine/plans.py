"""Records of the engine: the plan of a call, its traced values, batches of draws, solutions and losses.

A run is one seed of one problem and optimizer; ensembles make some models of each. The K outputs of a problem share
features, rows and curvature: only labels, target and weights have an axis K, and risks are summed over it. The numbers
of problem and optimizer (`grid`) come one set a run, so that a sweep over them compiles once.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from rfm.devices import Layout
from rfm.engine.curvature import Eigensystems
from rfm.engine.features import Counts, Draw, Keys, Setting
from rfm.grid import place_optimizer
from rfm.optimizers import Optimizer
from rfm.problem import Problem


class Task(NamedTuple):
    """Traced values that all runs of a call share: a problem, and an algorithm at times (T,).

    counts: sizes, where those of the plan are longer. richness: how fast features learn, None where they do not.
    feature_noise: variance of the noise of features, None where they have none.
    """

    problem: Problem
    optimizer: Optimizer
    times: Array | np.ndarray
    counts: Counts | None = None
    richness: Any = None
    feature_noise: Any = None


class Batch(NamedTuple):
    """Draws of all models of some runs: each field with a leading axis S, and labels with a second one, K.

    numbers: of problem and optimizer, (S,) each, always with "noise_var", and with "feature_noise" where features have
    noise. spectra: eigensystems of the curvature of the training loss, where the plan says that they are needed.
    bounds: numbers (S,) that no curvature is above, where it asks for them. start: weights (S, K, n) at t = 0, None for
    zero.
    """

    keys: Keys
    draws: Draw
    numbers: dict[str, Array]
    spectra: Eigensystems | None = None
    bounds: Array | None = None
    start: Array | None = None

    @property
    def eigensystems(self) -> Eigensystems:
        """Eigenvalues (S, m) and eigenvectors (S, m, m); TypeError where the plan left them out."""
        if self.spectra is None:
            raise TypeError("This batch was drawn without eigensystems: its plan says `spectrum=False`.")
        return self.spectra


class Solution(NamedTuple):
    """Result of a method on a batch of draws.

    weights: (S, K, T, n), or None where only the risk is known; risk: (S, T) where it is known without them. steps:
    (S,) how many were taken before a run was over or diverged, None for methods that cannot diverge. average: weights
    and risk of an average over steps, as these; None where none was asked for. growth: (S, T) of the kernel, None where
    features are not trained.
    """

    weights: Array | None
    steps: Array | None = None
    risk: Array | None = None
    average: "tuple[Array | None, Array | None] | None" = None
    growth: Array | None = None


Method = Callable[[Task, Setting, Batch], Solution]


class Shape(NamedTuple):
    """Sizes, devices and models of a run, on which the programs that all algorithms share depend. Hashable."""

    setting: Setting
    layout: Layout
    ensemble: int
    bags: int

    @property
    def models(self) -> int:
        """Models of one run."""
        return self.ensemble * self.bags


class Plan(NamedTuple):
    """Everything that is fixed at compile time: hashable.

    method: solves a batch; kind: of the curve that it gives; spectrum: does it need eigensystems? bounded: is the
    largest curvature limited, so that it is checked? weights: are they asked for?
    """

    setting: Setting
    layout: Layout
    method: Method
    kind: str = ""
    ensemble: int = 1
    bags: int = 1
    spectrum: bool = True
    weights: bool = False
    bounded: bool = False

    @property
    def models(self) -> int:
        """Models of one run."""
        return self.shape.models

    @property
    def shape(self) -> Shape:
        """The shape: what is left without the algorithm."""
        setting = self.setting._replace(batch_size=0, hidden=None, kept_steps=0)
        return Shape(setting, self.layout, self.ensemble, self.bags)


class Drawing(NamedTuple):
    """Some runs of a sweep: which of its keys, words (S, 2) of their point to fold in, and numbers (S,) each."""

    seeds: Array | np.ndarray
    words: Array | np.ndarray
    numbers: Mapping[str, Array | np.ndarray]


class Losses(NamedTuple):
    """Risk and training loss (S, T) of runs, the steps (S,) that they took and weights (S, K, T, n); None for none.

    average_risk: that of an average of the weights over steps. kernel_growth: (S, T), the average over models.
    """

    risk: Array
    train_loss: Array
    steps: Array | None = None
    weights: Array | None = None
    average_risk: Array | None = None
    kernel_growth: Array | None = None


def each(optimizer: Optimizer, batch: Batch, function: Callable, *args: Any) -> Any:
    """Map function(optimizer of the run, *args of the run) over all runs at once."""
    placed = lambda numbers, *args: function(place_optimizer(optimizer, numbers), *args)  # noqa: E731
    return jax.vmap(placed)(batch.numbers, *args)
