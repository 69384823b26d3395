"""Differences of simulation from theory, and the verdict on them: they agree, they differ, or a run cannot tell.

A run is asked to tell theories apart that differ by TOLD. A difference agrees where its 95 % interval is within SHARE
of that around zero: few seeds make no agreement. It differs where zero is outside the interval that holds for all
differences of a table at once: many rows make no alarm. Between the two a run cannot tell, and says how many seeds
could.
"""

import dataclasses
import math
from typing import NamedTuple

from scipy.special import ndtri, stdtrit

TOLD = {1: 0.05, 2: 0.03}  # relative difference that a run should tell, by the order of theory: `Comparison.order`
SHARE = 0.9  # of it: an interval that ends before is no such difference, but for a chance of a few in 100
CHANCE = 0.05  # of an interval that misses, and of any alarm among all differences of a table


def rounded_up(count: float) -> int:
    """Round up to two digits."""
    unit = 10 ** max(0, len(str(int(count))) - 2)
    return int(-(-count // unit)) * unit


def seeds_for(predicted: float, told: float, tests: int = 1, allowance: float = 0.0) -> int:
    """Return the least number of seeds that tell a relative difference in 95 % of all repetitions.

    Args:
        predicted: Standard error over one seed.
        told: The difference.
        tests: How many differences are tested together.
        allowance: Difference that the finite size may make.

    Example:
        >>> seeds_for(0.03, 0.03)
        17
    """
    factor = float(ndtri(1.0 - 0.5 * CHANCE / tests) + ndtri(1.0 - CHANCE))
    return max(2, math.ceil((factor * predicted / (SHARE * told - allowance)) ** 2))


@dataclasses.dataclass(frozen=True)
class Difference:
    """Relative difference of simulation from theory in one number.

    Attributes:
        value: Simulation/theory - 1.
        stderr: Its standard error over draws.
        freedom: Degrees of freedom of the standard error; infinite where theory predicts it.
        seeds: Draws that it rests on, for advice.
        allowance: Difference that the finite size may make, where it was not fitted.
        tests: How many differences are tested together.
        told: Relative difference that should be seen.
        predicted: Standard error over one seed as theory predicts it, for advice; None where it is not known.

    Example:
        >>> right = Difference(0.004, 0.006, freedom=15, seeds=16)
        >>> right.agrees, right.differs, str(right)
        (True, False, '+0.4 ± 1.3 %')
        >>> Difference(0.004, 0.03, freedom=15, seeds=16).advice
        'cannot tell 5 %: needs 110 seeds'
    """

    value: float
    stderr: float
    freedom: float
    seeds: int
    allowance: float = 0.0
    tests: int = 1
    told: float = TOLD[1]
    predicted: float | None = None

    @property
    def margin(self) -> float:
        """Where the interval of a difference that agrees must end."""
        return SHARE * self.told

    @property
    def half_width(self) -> float:
        """Half of the 95 % interval."""
        return self._quantile(CHANCE) * self.stderr

    @property
    def within(self) -> float:
        """The end of the interval that is further from zero."""
        return abs(self.value) + self.half_width

    @property
    def visible(self) -> float:
        """Smallest difference that a run like this sees in 95 % of all repetitions."""
        power = float(stdtrit(self.freedom, 1.0 - CHANCE))
        return (self._quantile(CHANCE / self.tests) + power) * self.stderr + self.allowance

    @property
    def agrees(self) -> bool:
        """Is the whole interval within the margin around zero?"""
        return self.within <= self.margin

    @property
    def differs(self) -> bool:
        """Is zero outside the joint interval, by more than the finite size allows, and the margin not kept?"""
        joint = self._quantile(CHANCE / self.tests) * self.stderr
        return not self.agrees and abs(self.value) - joint > self.allowance

    @property
    def advice(self) -> str:
        """Advice on what it takes to tell the difference asked for, where this run cannot."""
        if self.allowance >= self.margin:
            return f"cannot tell {100 * self.told:g} %: needs larger N and P"
        if self.predicted is None:
            needed = self.seeds * ((self.visible - self.allowance) / (self.margin - self.allowance)) ** 2
        else:
            needed = seeds_for(self.predicted, self.told, self.tests, self.allowance)
        return f"cannot tell {100 * self.told:g} %: needs {rounded_up(max(2.0 * self.seeds, needed))} seeds"

    def __str__(self) -> str:
        return f"{100 * self.value:+.1f} ± {100 * self.half_width:.1f} %"

    def _quantile(self, chance: float) -> float:
        return float(stdtrit(self.freedom, 1.0 - 0.5 * chance))


class FiniteSize(NamedTuple):
    """The fitted finite-size part: coefficient of (1/N + 1/P)^order, and its standard error."""

    coefficient: float
    stderr: float
    order: int = 1

    def __str__(self) -> str:
        return f"{self.coefficient:.2f} ± {self.stderr:.2f}"


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Simulation against theory along one axis, or over several curves.

    Attributes:
        level: Difference of the risk.
        slope: Difference of the exponent; None where theory is flat, or where there is no common axis.
        finite_size: The fitted finite-size part; None where it cannot be fitted.
    """

    level: Difference
    slope: Difference | None
    finite_size: FiniteSize | None

    @property
    def differences(self) -> dict[str, Difference]:
        """Differences in slope and level by name, where there are any."""
        return {name: d for name, d in (("slope", self.slope), ("level", self.level)) if d is not None}

    @property
    def agrees(self) -> bool:
        """Do slope and level both agree?"""
        return all(d.agrees for d in self.differences.values())

    @property
    def differs(self) -> bool:
        """Does one of the two differ significantly?"""
        return any(d.differs for d in self.differences.values())

    @property
    def words(self) -> str:
        """The verdict in a few words."""
        apart = [f"{name} differs by {d}" for name, d in self.differences.items() if d.differs]
        if apart:
            return ", ".join(apart)
        if self.agrees:
            return f"agrees within {100 * max(d.within for d in self.differences.values()):.1f} %"
        unsure = [d for d in self.differences.values() if not d.agrees]
        return max(unsure, key=lambda d: d.visible).advice

    def record(self) -> dict:
        """Return what a file keeps: all numbers, and the verdict in words."""
        return dataclasses.asdict(self) | {"words": self.words}
