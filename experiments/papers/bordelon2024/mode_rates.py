"""Rates at which modes are learned: the density of theory, and the eigensystems of real draws."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import rfm
from rfm.engine.features import Keys, Setting, data_chunk, draw, feature_chunk, member_keys
from rfm.problem import PowerLawTail
from theory.densities import density
from theory.evaluation import MARGIN, problem_modes
from theory.fixed_point import Model

A_RATES, B_RATES = 1.5, 1.2  # the task, the first, changes no density
KEPT_MODES = 512  # modes kept one by one: good to 1e-13, where the 128 of `power_law` leave 1e-3
QUARTILES = np.array([0.1, 0.9])


class Rates(NamedTuple):
    """Theory at one N and P, per unit of log z: the density of all rates (Z,) and that of the modes k (K, Z).

    Of each mode the part `never` (K,) is never learned. residual: relative error that is left in the solution.
    """

    modes: tuple[int, ...]
    z: np.ndarray
    total: np.ndarray
    measures: np.ndarray
    never: np.ndarray
    residual: float

    def label(self, index: int) -> str:
        """Return what a legend says of a mode."""
        return f"$k$ = {self.modes[index]}: {100 * self.never[index]:.2g} % never learned"

    def integral(self, density: np.ndarray) -> np.ndarray:
        """Return the integral over log z of a density (..., Z)."""
        return np.trapezoid(density, np.log(self.z), axis=-1)

    def spread(self, index: int) -> float:
        """Return the ratio of the rates between which the middle 80 % of what is ever learned of a mode lies."""
        log_z, line = np.log(self.z), self.measures[index]
        part = np.concatenate([[0.0], np.cumsum(np.diff(log_z) * 0.5 * (line[1:] + line[:-1]))])
        low, high = np.interp(QUARTILES * part[-1], part, log_z)
        return float(np.exp(high - low))


def resolved() -> rfm.Problem:
    """Return infinitely many modes, KEPT_MODES of them one by one: what N = P = 10^4 needs, see `theory.density`."""
    k = np.arange(1.0, KEPT_MODES + 1.0)
    tail = PowerLawTail(np.float64(A_RATES), np.float64(B_RATES), np.float64(1.0), np.float64(1.0), None)
    return rfm.Problem(k**-B_RATES, k ** ((B_RATES - A_RATES) / 2), 0.0, tail)


def predict_rates(problem: rfm.Problem, sizes: tuple[int, int], z: np.ndarray, modes: tuple[int, ...]) -> Rates:
    """Return the density over z (Z,) of all rates, and of those of some modes k, at sizes N and P."""
    inv_n, inv_p = (1.0 / size for size in sizes)
    model = Model(problem_modes(problem, MARGIN - np.log(z.min())), inv_n, inv_p)
    rho = density(model, jnp.asarray(z), jnp.asarray(np.array(modes) ** -B_RATES))
    total, never = np.asarray(rho.total), np.asarray(rho.never)
    return Rates(modes, z, total, np.asarray(rho.modes).T, never, float(rho.residual))


@partial(jax.jit, static_argnames="sizes")
def draw_spectra(
    problem: rfm.Problem, sizes: tuple[int, int], keys: jax.Array, index: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return eigenvalues z_j (S, N) of A that are not zero, and their weights (S, K, N) in the modes of `index`.

    [exp(-A t)]_kk is 1 - sum_j weight_kj (1 - exp(-z_j t)). With H = F Psi^T Psi F^T/P = U z U^T the right eigenvectors
    are F^T U, the left ones U^T F Psi^T Psi/(P z).
    """
    n, p = sizes
    setting = Setting(n, p, "ntk")

    def spectrum(key: Keys) -> tuple[jax.Array, jax.Array]:
        design = draw(problem, setting, key).design  # (P, N)
        if design is None:
            raise ValueError(f"Argument `sizes` must be two finite numbers, but is {sizes}.")
        z, basis = jnp.linalg.eigh(design.T @ design / p)
        f, _, _ = feature_chunk(problem, setting, key.features, 0)  # (N, c)
        psi, _ = data_chunk(problem, setting, key.data, 0)  # (P, c)
        right = basis.T @ f[:, index]  # (N, K)
        left = basis.T @ (design.T @ psi[:, index] / p)
        return z, (right * left).T / z[None]

    return lax.map(spectrum, member_keys(keys, 1, 1))
