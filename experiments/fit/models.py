"""Two models of measured losses with derivatives in all their parameters: the solvable one, and a sum of power laws.

Solvable: loss(N, P, t) = floor + scale risk(u_N N, u_P P, u_t t; a, b, noise), risk the theory of lambda_k = k^-b,
lambda_k w_k^2 = k^-a with label noise of variance `noise` in the units of that problem, so that scale x noise is its
variance in the units of the loss. A loss that counts label noise has it in its floor. A unit u is how many features,
samples or units of time of the solvable model one of the table's is worth: 1 unless fitted.

Chinchilla (Hoffmann et al. 2022, with a term for every axis): loss = E + A N^-alpha + B P^-beta + C t^-gamma.

Scale, units and A, B, C are searched as logarithms. Everything that is linear is given to non-negative least squares at
the start, so that only a few parameters have to be started from many places.
"""

import dataclasses
import math
from functools import cached_property, partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import nnls
from scipy.stats import qmc

import rfm
from experiments.fit.table import AXES, Design
from rfm import checks
from theory.cases import Case
from theory.contour import length
from theory.evaluation import evaluate

LETTERS = {"features": "N", "samples": "P", "times": "t"}
STEP = 0.26  # of the contour: the risk to 1e-7
STARTS = 48  # per fitted unit and one; tried by their best linear fit alone
LEAST_B, LEAST_B_INFINITE = 0.05, 1.01  # the trace of infinitely many modes must converge
CLOSED = 1e-2  # an estimated relative error above it is no result: the lr is beyond stability
LATEST = 1e8  # time of the solvable model up to which the contour is fine enough, where the unit of time is fitted
MIDDLE = {
    "features": (3.0, 3e3),
    "samples": (3.0, 3e3),
    "times": (0.3, 1e5),
}  # where units may put the middle of an axis
POWERS = {"features": ("A", "alpha"), "samples": ("B", "beta"), "times": ("C", "gamma")}


@dataclasses.dataclass(frozen=True)
class Solvable:
    """The solvable model; num_modes None: infinitely many. units: axes whose unit is fitted; fixed: values by name."""

    design: Design
    optimizer: rfm.optimizers.Optimizer = rfm.GradientFlow()  # noqa: RUF009 (frozen)
    num_modes: int | None = None
    units: tuple[str, ...] = ()
    fixed: tuple[tuple[str, float], ...] = ()

    names = ("a", "b", "noise", "scale", "floor", *(f"unit of {LETTERS[axis]}" for axis in AXES))
    logarithmic = (False, False, False, True, False, True, True, True)

    @property
    def axes(self) -> tuple[str, ...]:
        """Those that the model depends on."""
        return self.design.axes

    @cached_property
    def held(self) -> dict[str, float]:
        """Parameters that are not fitted: those asked for, units that are not fitted, noise without data."""
        held = {f"unit of {LETTERS[axis]}": 1.0 for axis in AXES if axis not in self.units}
        if "samples" not in self.design.axes:
            held["noise"] = 0.0  # on fresh data label noise leaves the mean dynamics alone
        return held | dict(self.fixed)

    @cached_property
    def free(self) -> np.ndarray:
        """Places of the fitted parameters."""
        return np.array([i for i, name in enumerate(self.names) if name not in self.held])

    @cached_property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Of all parameters as they are searched."""
        low = [1.01, LEAST_B_INFINITE if self.num_modes is None else LEAST_B, 0.0, -np.inf, 0.0]
        high = [12.0, 12.0, np.inf, np.inf, np.inf]
        for axis in AXES:
            x = _finite(getattr(self.design, axis))
            low.append(np.log((0.5 if axis != "times" else 1e-3) / x.max()))
            high.append(np.log((1e9 if axis != "times" else 1e12) / x.max()))
        return np.array(low), np.array(high)

    def at(self, design: Design) -> "Solvable":
        """The same model at other points."""
        return dataclasses.replace(self, design=design)

    def loss(self, theta: np.ndarray) -> np.ndarray:
        """(R,) at searched parameters (8,)."""
        return theta[4] + np.exp(theta[3]) * np.asarray(_risk(*self._arguments(theta)))[self._curves[3]]

    def derivatives(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """loss (R,) and its derivatives in the searched parameters, (R, 8)."""
        risk, slopes = (np.asarray(x)[self._curves[3]] for x in _risk_slopes(*self._arguments(theta), self._active))
        scale = np.exp(theta[3])
        jacobian = np.zeros((len(risk), len(self.names)))
        jacobian[:, list(self._active)] = scale * slopes
        jacobian[:, 3] = scale * risk
        jacobian[:, 4] = 1.0
        return theta[4] + scale * risk, jacobian

    def starts(self, loss: np.ndarray, weight: np.ndarray) -> list[np.ndarray]:
        """Searched parameters (8,) to start from, best first: many (a, b, units), the rest by least squares of relative
        residuals with `weight` (R,)."""
        found = []
        linear = [name not in self.held for name in ("floor", "scale", "noise")]
        for theta, risk, noisy in self._candidates:
            columns = np.stack([np.ones_like(risk), risk, noisy], 1) * (weight / loss)[:, None]
            held = np.array([self.held.get("floor", 0.0), 0.0, 0.0])
            if "scale" in self.held or "noise" in self.held:  # what is held ties the columns together
                noise = self.held.get("noise", 0.0)
                columns[:, 1] += noise * columns[:, 2]
                linear[2] = "noise" not in self.held and "scale" not in self.held
                held[1] = self.held.get("scale", 0.0)
            use = np.array(linear)
            value = held.copy()
            norm = np.sqrt((columns[:, use] ** 2).sum(0)) + 1e-300
            value[use], error = nnls(columns[:, use] / norm, weight - columns @ held)
            value[use] /= norm
            theta = theta.copy()
            scale = max(value[1], 1e-3 * loss.min() / risk.max())
            theta[2:5] = self.held.get("noise", np.clip(value[2] / scale, 1e-3, 1e3)), np.log(scale), value[0]
            found.append((error, self._hold(theta)))
        return [theta for _, theta in sorted(found, key=lambda pair: pair[0])]

    def _hold(self, theta: np.ndarray) -> np.ndarray:
        """Parameters with those that are held in their places."""
        theta = theta.copy()
        for name, value in self.held.items():
            i = self.names.index(name)
            theta[i] = np.log(value) if self.logarithmic[i] else value
        return theta

    @cached_property
    def _curves(self):
        return self.design.curves()

    @cached_property
    def _active(self) -> tuple[int, ...]:
        return tuple(int(i) for i in self.free if i not in (3, 4))

    def _arguments(self, theta: np.ndarray) -> tuple:
        optimizer = self.optimizer if self._curves[2] is not None else rfm.Ridge(0.0)
        knobs = jax.tree.map(jnp.asarray, theta[[0, 1, 2, 5, 6, 7]])
        where = jax.tree.map(lambda x: jnp.asarray(x, float), (optimizer, *self._curves[:3]))
        return knobs, where, self.num_modes, self._nodes

    @cached_property
    def _nodes(self) -> int:
        horizon = LATEST if "times" in self.units else _finite(self.design.times).max()
        return math.ceil(float(length(horizon, 4.0)) / STEP)

    @cached_property
    def _candidates(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Starts of (a, b, units), the risk there at no noise and what a noise of one adds; they know no loss."""
        low, high = self.bounds
        middle = [np.exp(np.log(_finite(getattr(self.design, axis))).mean()) for axis in AXES]
        points = qmc.Halton(2 + len(self.units), scramble=False).random(STARTS * (1 + len(self.units)) + 1)[1:]
        found = []
        for point in points:
            theta = np.zeros(len(self.names))
            theta[1] = max(low[1], 1.0) + 0.05 + 2.5 * point[1]
            theta[0] = 1.05 + (0.15 + 1.85 * point[0]) * theta[1]
            for axis, u in zip(self.units, point[2:], strict=True):
                i = AXES.index(axis)
                theta[5 + i] = np.log(MIDDLE[axis][0] / middle[i]) + u * np.log(MIDDLE[axis][1] / MIDDLE[axis][0])
            theta = self._hold(np.clip(theta, low, high))
            theta[2] = 0.0
            clean = np.asarray(_risk(*self._arguments(theta)))[self._curves[3]]
            theta[2] = 1.0
            noisy = np.asarray(_risk(*self._arguments(theta)))[self._curves[3]]
            if np.all(np.isfinite(noisy)) and clean.max() > 0.0:  # no risk at all: more samples than modes everywhere
                found.append((theta, clean, noisy - clean))
        if not found:
            allowed = "one for which the model has a finite loss: not at N = P for t = infinity, lr within stability"
            checks.fail("FILE", allowed, "another")
        return found


@partial(jax.jit, static_argnums=(2, 3))
def _risk(knobs, where, num_modes, nodes):
    """(G T,) at knobs a, b, noise and logarithms of the units of N, P, t (6,)."""
    optimizer, features, samples, times = where
    return jax.lax.map(
        lambda row: _curve(knobs, optimizer, row, num_modes, nodes), (features, samples, times)
    ).reshape(-1)  # fmt: skip


@partial(jax.jit, static_argnums=(2, 3, 4))
def _risk_slopes(knobs, where, num_modes, nodes, active):
    """`_risk` and its derivatives (G T, K) in the K knobs of `active`, places among the parameters of `Solvable`."""
    optimizer, *rows = where
    places = [i if i < 3 else i - 2 for i in active]

    def one(row):
        def curve(chosen):
            return (_curve(knobs.at[jnp.array(places)].set(chosen), optimizer, row, num_modes, nodes),) * 2

        slopes, risk = jax.jacfwd(curve, has_aux=True)(knobs[jnp.array(places)])
        return risk, slopes

    risk, slopes = jax.lax.map(one, tuple(rows))
    return risk.reshape(-1), slopes.reshape(risk.size, len(active))


def _curve(knobs, optimizer, row, num_modes, nodes):
    a, b, noise, *units = knobs
    features, samples, times = row
    problem = rfm.power_law(a, b, num_modes, noise)
    sizes = (_in_units(x, u) for x, u in zip((features, samples), units, strict=False))
    times = None if times is None else times * jnp.exp(units[2])
    curve = evaluate(Case(problem, *sizes, optimizer, times), nodes=nodes)
    return jnp.where(curve.residual < CLOSED, curve.risk, jnp.nan)


def _in_units(size, log_unit):
    # an infinite size has no derivative
    finite = jnp.isfinite(size)
    return jnp.where(finite, jnp.where(finite, size, 1.0) * jnp.exp(log_unit), jnp.inf)


@dataclasses.dataclass(frozen=True)
class Chinchilla:
    """E + A N^-alpha + B P^-beta + C t^-gamma over `axes`; every parameter is fitted."""

    design: Design
    axes: tuple[str, ...]

    fixed = ()
    held: ClassVar[dict[str, float]] = {}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """E, and an amplitude and an exponent for each axis."""
        return ("E", *(name for axis in self.axes for name in POWERS[axis]))

    @property
    def logarithmic(self) -> tuple[bool, ...]:
        """Amplitudes are searched as logarithms."""
        return tuple(name in "ABC" for name in self.names)

    @property
    def free(self) -> np.ndarray:
        """Places of the fitted parameters: all."""
        return np.arange(len(self.names))

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Of all parameters as they are searched."""
        terms = len(self.names) // 2
        return np.array([0.0] + [-np.inf, 0.01] * terms), np.array([np.inf] + [np.inf, 8.0] * terms)

    def at(self, design: Design) -> "Chinchilla":
        """The same model at other points."""
        return dataclasses.replace(self, design=design)

    def loss(self, theta: np.ndarray) -> np.ndarray:
        """(R,) at searched parameters."""
        return self.derivatives(theta)[0]

    def derivatives(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """loss (R,) and its derivatives in the searched parameters."""
        loss, columns = np.full(len(self.design), theta[0]), [np.ones(len(self.design))]
        for axis, log_amplitude, exponent in zip(self.axes, theta[1::2], theta[2::2], strict=True):
            x = getattr(self.design, axis)
            term = np.exp(log_amplitude) * x**-exponent
            columns += [term, np.where(term > 0, -term * np.log(np.where(term > 0, x, 1.0)), 0.0)]
            loss = loss + term
        return loss, np.stack(columns, 1)

    def starts(self, loss: np.ndarray, weight: np.ndarray) -> list[np.ndarray]:
        """As `Solvable.starts`: exponents on a grid, amplitudes and E by least squares."""
        axes, found = self.axes, []
        for exponents in np.stack(np.meshgrid(*[[0.15, 0.4, 0.8, 1.6]] * len(axes)), -1).reshape(-1, len(axes)):
            terms = [getattr(self.design, axis) ** -power for axis, power in zip(axes, exponents, strict=True)]
            columns = np.stack([np.ones(len(loss)), *terms], 1) * (weight / loss)[:, None]
            norm = np.sqrt((columns**2).sum(0)) + 1e-300
            value, error = nnls(columns / norm, weight)
            value /= norm
            theta = np.zeros(len(self.names))
            theta[0], theta[2::2] = value[0], exponents
            theta[1::2] = np.log(np.maximum(value[1:], 1e-3 * loss.min() / np.array([term.max() for term in terms])))
            found.append((error, theta))
        return [theta for _, theta in sorted(found, key=lambda pair: pair[0])]


def _finite(x: np.ndarray) -> np.ndarray:
    """The finite values of an axis, one where there are none."""
    finite = x[np.isfinite(x)]
    return finite if len(finite) else np.ones(1)
