"""The two models that `rfm fit` fits, with derivatives in all parameters: the solvable one, and a sum of power laws.

Solvable: loss(N, P, t) = floor + scale risk(u_N N, u_P P, u_t t; a, b, noise), risk the theory of lambda_k = k^-b,
lambda_k w_k^2 = k^-a with label noise of variance `noise` in the units of that problem, so that scale x noise is its
variance in the units of the loss. A loss that counts label noise has it in its floor. A unit u is how many features,
samples or units of time of the solvable model one of the table's is worth: 1 unless fitted.

Chinchilla (Hoffmann et al. 2022, with a term for every axis): loss = E + A N^-alpha + B P^-beta + C t^-gamma;
without P the term of t is B t^-beta.

Scale, units and A, B, C are searched as logarithms. Everything that is linear is given to non-negative least squares at
the start, so that only a few parameters have to be started from many places.
"""

import dataclasses
import math
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy.optimize import least_squares
from scipy.stats import qmc

from experiments.fit.chinchilla import Chinchilla, positive_fit
from experiments.fit.schedule_law import SEARCH, SEARCHED, EmpiricalLaw, ScheduleLaw
from experiments.fit.several_sizes import SeveralSizes
from experiments.fit.table import DESIGN_AXES, LETTERS, Curves, Design, finite_values
from experiments.fit.theory_curves import FIRST_UNIT, Points, risk, slope
from rfm import checks
from rfm.optimizers import GradientDescent, GradientFlow, Ridge
from theory.contour import length

SOLVABLE_STEP = 0.34  # of the contour: the risk to 5e-6
NODES_IN_STEPS = 16  # few shapes: few compilations
LOOKED_AT = 24  # learning curves of a first look
STARTS = 24  # per fitted unit and one; tried by their best linear fit alone
LEAST_B, LEAST_B_INFINITE = 0.05, 1.01  # the trace of infinitely many modes must converge
FINE_UNTIL = 1e8  # time of the solvable model up to which the contour is fine enough, where the unit of time is fitted
# where units may put the middle of an axis
MIDDLE = {"features": (3.0, 3e3), "samples": (3.0, 3e3), "times": (0.3, 1e5)}
SCALE, FLOOR = 3, 4  # places among the parameters of the solvable model
OUTER = (0, 1, 5, 6, 7)  # places of those that it depends on in a way that is not linear
FAR = 1e3  # a residual where there is no risk
KNOBS = (0, 1, 2, 5, 6, 7)  # places of those that its risk depends on


class Candidate(NamedTuple):
    """A start of (a, b, units): the risk (R,) there without noise, and what a noise of one adds."""

    theta: np.ndarray
    risk: np.ndarray
    noisy: np.ndarray


@dataclasses.dataclass(frozen=True)
class Solvable:
    """The solvable model at the points of a design.

    Parameters as they are searched: a, b, noise, log scale, floor, and the logarithms of the units of N, P and t, (8,).

    Attributes:
        design: R points.
        optimizer: The algorithm that the losses come from.
        num_modes: None for infinitely many.
        units: Axes whose unit is fitted.
        fixed: Parameters that are held, as pairs of name and value.
        tries: Starts of the search, per fitted unit and one; None for STARTS.

    Example:
        >>> model = Solvable(Design.grid([16.0], [32.0], [1.0, 10.0, 100.0]), num_modes=100, fixed=(("floor", 0.0),))
        >>> [model.names[i] for i in model.free]
        ['a', 'b', 'noise', 'scale']
        >>> model.loss(np.array([1.8, 1.5, 0.01, 0.0, 0.0, 0.0, 0.0, 0.0])).round(2).tolist()
        [0.87, 0.46, 0.48]
    """

    design: Design
    optimizer: GradientFlow | GradientDescent = GradientFlow()  # noqa: RUF009 (frozen)
    num_modes: int | None = None
    units: tuple[str, ...] = ()
    fixed: tuple[tuple[str, float], ...] = ()
    tries: int | None = None

    name = "solvable"
    names = ("a", "b", "noise", "scale", "floor", *(f"unit of {LETTERS[axis]}" for axis in DESIGN_AXES))
    logarithmic = (False, False, False, True, False, True, True, True)

    @cached_property
    def held(self) -> dict[str, float]:
        """Parameters that are not fitted: those asked for, units that are not fitted, noise without data."""
        held = {f"unit of {LETTERS[axis]}": 1.0 for axis in DESIGN_AXES if axis not in self.units}
        if "samples" not in self.design.axes:
            held["noise"] = 0.0  # on fresh data label noise leaves the mean dynamics alone
        return held | dict(self.fixed)

    @cached_property
    def free(self) -> np.ndarray:
        """Places of the fitted parameters."""
        return np.array([i for i, name in enumerate(self.names) if name not in self.held])

    @cached_property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper bounds of all parameters as they are searched."""
        low = [1.01, LEAST_B_INFINITE if self.num_modes is None else LEAST_B, 0.0, -np.inf, 0.0]
        high = [12.0, 12.0, np.inf, np.inf, np.inf]
        for axis in DESIGN_AXES:
            largest = self._finite(axis).max()
            low.append(np.log((0.5 if axis != "times" else 1e-3) / largest))
            high.append(np.log((1e9 if axis != "times" else 1e12) / largest))
        return np.array(low), np.array(high)

    def at(self, design: Design) -> "Solvable":
        """Return the same model at other points."""
        return dataclasses.replace(self, design=design)

    def loss(self, theta: np.ndarray) -> np.ndarray:
        """Return the loss (R,) at searched parameters (8,)."""
        return theta[FLOOR] + np.exp(theta[SCALE]) * self._risk(theta)

    def derivatives(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the loss (R,) and its derivatives in the searched parameters, (R, 8)."""
        knobs, scale = theta[list(KNOBS)], np.exp(theta[SCALE])
        values = self._values(knobs.tobytes())
        jacobian = np.zeros((len(self.design), len(self.names)))
        jacobian[:, SCALE] = scale * self._curves.rows(values)
        jacobian[:, FLOOR] = 1.0
        for place in set(KNOBS) & set(self.free.tolist()):
            slopes = slope(knobs, KNOBS.index(place), self._points, self.num_modes, self._nodes)
            jacobian[:, place] = scale * self._curves.row_slopes(values, slopes)
        return theta[FLOOR] + jacobian[:, SCALE], jacobian

    def starts(
        self, loss: np.ndarray, weight: np.ndarray, on_step: Callable[[float], object] = lambda _: None
    ) -> list[np.ndarray]:
        """Return searched parameters (8,) to start from: the best of some searches over (a, b, units) alone.

        These begin at the best of many candidates, and see the curves of a first look; the rest follows by least
        squares of relative residuals of loss (R,) with weight (R,). Peaks at N = P trap them: then the candidates are
        starts too.
        """
        loss, weight, looked_at = loss[self.few], weight[self.few], self.at(self.design.select(self.few))
        tried = [looked_at._projected(candidate, loss, weight) for candidate in looked_at._candidates]
        best = sorted(tried, key=lambda pair: np.sum(pair[1] ** 2))[:SEARCHED]
        searched = [looked_at._search(theta, loss, weight, on_step) for theta, _ in best]
        theta, _ = min(searched, key=lambda pair: np.sum(pair[1] ** 2))
        peaks = {"features", "samples"} <= set(self.design.axes)
        return [*(start for start, _ in best), theta] if peaks else [theta]

    def _search(
        self, theta: np.ndarray, loss: np.ndarray, weight: np.ndarray, on_step: Callable[[float], object]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Search (a, b, units) from a start: parameters (8,) and relative residuals (R,)."""
        places = [i for i in map(int, self.free) if i in OUTER]
        low, high = (bound[places] for bound in self.bounds)

        def at(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            outer = theta.copy()
            outer[places] = x
            projected = self._projected(self._candidate(outer), loss, weight)
            on_step(float(np.sqrt(np.mean(projected[1] ** 2))))
            return projected

        if not places:
            return at(theta[places])
        options: dict[str, Any] = dict(x_scale=np.full(len(places), 0.3), diff_step=1e-4, max_nfev=SEARCH)
        start = np.clip(theta[places], np.nextafter(low, np.inf), np.nextafter(high, -np.inf))
        return at(least_squares(lambda x: at(x)[1], start, bounds=(low, high), ftol=1e-4, **options).x)

    def _projected(self, candidate: Candidate, loss: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return parameters (8,) with the best floor, scale and noise, and relative residuals (R,) there."""
        theta, clean, noisy = candidate
        free = [name not in self.held for name in ("floor", "scale", "noise")]
        # linear in floor, scale and scale x noise: what is held of the last two ties these together
        linear = np.array([free[0], free[1], free[1] and free[2]])
        held = np.array([self.held.get("floor", 0.0), self.held.get("scale", 0.0), 0.0])
        if not np.all(np.isfinite(noisy)):
            return theta, np.full(len(loss), FAR)
        columns = np.stack([np.ones_like(clean), clean, noisy], 1) * (weight / loss)[:, None]
        columns[:, 1] += self.held.get("noise", 0.0) * columns[:, 2]
        value, aim = held.copy(), weight - columns @ held
        value[linear], _ = positive_fit(columns[:, linear], aim)
        residual = (columns * linear) @ value - aim
        floor, slope, noise_part = value
        scale = max(slope, 1e-3 * loss.min() / clean.max())
        theta = theta.copy()
        theta[2] = self.held.get("noise", np.clip(noise_part / scale, 1e-3, 1e3))
        theta[SCALE], theta[FLOOR] = np.log(scale), floor
        return self._hold(theta), residual

    def _hold(self, theta: np.ndarray) -> np.ndarray:
        """Put the held parameters into their places."""
        theta = theta.copy()
        for name, value in self.held.items():
            i = self.names.index(name)
            theta[i] = np.log(value) if self.logarithmic[i] else value
        return theta

    def _finite(self, axis: str) -> np.ndarray:
        """Finite values along an axis, or the value 1 without any."""
        finite = finite_values(getattr(self.design, axis))
        return finite if len(finite) else np.ones(1)

    @cached_property
    def _curves(self) -> Curves:
        return self.design.curves(smooth=self.num_modes is None)

    @cached_property
    def few(self) -> np.ndarray:
        """Rows (R,) of a first look: rows of some curves, which span as much as all of them."""
        _, _, times, place, weights = self._curves
        if weights is not None:
            return np.ones(len(self.design), bool)
        curve = place // (1 if times is None else times.shape[1])
        count = curve.max() + 1
        return np.isin(curve, np.linspace(0, count - 1, min(count, LOOKED_AT)).round().astype(int))

    @cached_property
    def _points(self) -> Points:
        features, samples, times, *_ = self._curves
        optimizer = Ridge(0.0) if times is None else self.optimizer
        return Points(*jax.tree.map(lambda x: np.asarray(x, float), (optimizer, features, samples, times)))

    @cached_property
    def _nodes(self) -> int:
        horizon = FINE_UNTIL if "times" in self.units else self._finite("times").max()
        return NODES_IN_STEPS * math.ceil(float(length(horizon, 4.0)) / SOLVABLE_STEP / NODES_IN_STEPS)

    @cached_property
    def _values(self) -> Callable[[bytes], np.ndarray]:
        """Risk (G T,) at knobs; the last one is kept, as a loss and its slopes are asked for one after the other."""
        return lru_cache(1)(lambda knobs: risk(np.frombuffer(knobs), self._points, self.num_modes, self._nodes))

    def _risk(self, theta: np.ndarray) -> np.ndarray:
        return self._curves.rows(self._values(theta[list(KNOBS)].tobytes()))

    def _candidate(self, theta: np.ndarray) -> Candidate:
        theta = self._hold(theta)
        theta[2] = 0.0
        clean = self._risk(theta)
        theta[2] = 1.0
        with np.errstate(invalid="ignore"):  # infinite less infinite at N = P, t = infinity: not finite, so left out
            noisy = self._risk(theta) - clean if "samples" in self.design.axes else 0.0 * clean
        return Candidate(theta, clean, noisy)

    @cached_property
    def _candidates(self) -> list[Candidate]:
        """Starts of (a, b, units); they know no loss."""
        low, high = self.bounds
        middle = [np.exp(np.log(self._finite(axis)).mean()) for axis in DESIGN_AXES]
        points = qmc.Halton(2 + len(self.units), scramble=False).random(
            (self.tries or STARTS) * (1 + len(self.units)) + 1
        )[1:]
        candidates = []
        for point in points:
            theta = np.zeros(len(self.names))
            theta[1] = max(low[1], 1.0) + 0.05 + 2.5 * point[1]
            theta[0] = 1.05 + (0.15 + 1.85 * point[0]) * theta[1]
            for axis, u in zip(self.units, point[2:], strict=True):
                i = DESIGN_AXES.index(axis)
                least, most = MIDDLE[axis]
                theta[KNOBS[FIRST_UNIT + i]] = np.log(least / middle[i]) + u * np.log(most / least)
            candidate = self._candidate(np.clip(theta, low, high))
            # no risk at all: more samples than modes everywhere
            if np.all(np.isfinite(candidate.noisy)) and candidate.risk.max() > 0.0:
                candidates.append(candidate)
        if not candidates:
            same = self.design.features == self.design.samples
            if np.any(same & np.isinf(self.design.times)):
                allowed = "a table without rows of N = P that have no time, where the loss of the model is infinite "
                checks.fail("FILE", f"{allowed}(leave them out, or add a column of times)", "one with such rows")
            checks.fail("FILE", "one for which the model has a finite loss: lr within stability", "another")
        return candidates


Law = Chinchilla | ScheduleLaw | EmpiricalLaw | SeveralSizes  # those that are cheap to evaluate
SizeModel = Solvable | Chinchilla  # those of N, P and t
Model = Solvable | Law
