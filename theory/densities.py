"""Where the curvatures lie: the limiting density of eigenvalues of A = F^T F Psi^T Psi/P, and of one mode over them.

The average of s (s + A)^-1 tends to kappa/(kappa + lambda_k), so that mode k is learned at rates z spread as rho_k,

    [exp(-A t)]_kk = never_k + int rho_k(z) exp(-z t) dz,   never_k = kappa/(kappa + lambda_k) at s = 0,
    z rho_k(z) = -(1/pi) Im kappa/(kappa + lambda_k),   z sum_k rho_k(z) = (1/pi) Im df1,   at s = -z - i0.

Source: Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), response functions read as densities of rates; the
continuation to the cut is that of Silverstein and Choi 1995.
"""

from typing import NamedTuple

import numpy as np

from theory.arrays import Array, evaluated, over
from theory.fixed_point import Model, kappa_path, kappa_real
from theory.mode_sums import degrees_of_freedom

GAP = 1e-9  # angle that is left to the negative axis, where kappa has its cut
TURNS = 72  # points of a ray's turn towards it: the angle shrinks by a quarter at each


class Density(NamedTuple):
    """Per unit of log z: total (Z,) number of eigenvalues, modes (Z, K) of the weight one of each mode; never (K,).

    residual: the largest relative Newton step that is left, at any z.
    """

    total: Array
    modes: Array
    never: Array
    residual: Array


@evaluated()
def density(model: Model, curvature: Array, eigenvalues: Array) -> Density:
    """Return the density at every curvature z (Z,), and that of the modes with `eigenvalues` (K,).

    From s = z > 0 each z turns by almost pi to the axis on its own, so that no path runs along the cut past the edges
    of the spectrum. Errors are of order GAP, but of its root within GAP of an edge. `model.modes` must resolve what
    lies on the cut: where kappa comes within an angle of -lambda_k that is small against the spacing of nodes, the k
    there must be among the modes kept one by one.
    """
    turn = np.exp(-1j * (np.pi - np.geomspace(np.pi, GAP, TURNS)))  # (turns,)

    def at(z: Array) -> tuple[Array, Array, Array]:
        path = kappa_path(z * turn, model)
        df1, _ = degrees_of_freedom(path.kappa[-1:], model.modes)
        left = path.kappa[-1] / (path.kappa[-1] + eigenvalues)  # (K,)
        return df1[0].imag / np.pi, -left.imag / np.pi, path.residual

    total, of_modes, residual = over(at, curvature)
    kappa, _ = kappa_real(0.0 * curvature[0], model)
    return Density(total, of_modes, kappa / (kappa + eigenvalues), residual.max())
