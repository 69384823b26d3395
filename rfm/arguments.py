"""The arguments that a call of `simulate`, `exact`, `sweep`, `theory.predict` and their like have in common."""

from typing import TypedDict

from numpy.typing import ArrayLike

from rfm.optimizers import Optimizer


class Sizes(TypedDict):
    """Model size N and data P of one call by name, to be given with `**`."""

    num_features: float
    num_samples: float


class Arguments(TypedDict, total=False):
    """Arguments of one call by name, to be given with `**`: `theory.predict(problem, **arguments)`.

    Every field means what it means in `rfm.simulate`; a call takes those that it knows.
    """

    num_features: float
    num_samples: float
    optimizer: Optimizer
    times: ArrayLike | None
    parametrization: str
    richness: float
    ensemble: float
    bags: float
