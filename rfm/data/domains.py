"""Problems whose rows come from several domains, as the training mixtures of language models do."""

import numpy as np
from numpy.typing import ArrayLike

from rfm import checks
from rfm.parts import Domains, check_shares
from rfm.precision import is_traced
from rfm.problem import Problem


def from_domains(
    eigenvalues: ArrayLike, target: ArrayLike, *, shares: ArrayLike, noise_var: ArrayLike = 0.0
) -> Problem:
    """State the problem of training on rows from several domains, each with a spectrum of its own.

    A row comes from domain d with probability shares[d]; its modes are then independent Gaussians of the variances
    eigenvalues[d]. One target serves all domains, which have their modes in common and differ in how much of each they
    show. `simulate`, `exact` and `theory.predict` take the result: their risk is that on rows of the same shares. The
    risk in each domain is given by `theory.domains`, and in simulation by `coefficients`.

    Args:
        eigenvalues: (D, M) variances >= 0 of the modes in every domain, in any order of the modes. A mode that no row
            of the mixture shows, of pooled variance zero, is refused.
        target: (M,) the coefficients w_k of the label, y = sum_k w_k psi_k + noise, of all domains.
        shares: (D,) of the domains among the rows, >= 0, which sum to one.
        noise_var: variance of the label noise, >= 0; or (D,), one for each domain.

    Returns:
        `Problem` with the pooled eigenvalues sum_d shares_d eigenvalues_d, in decreasing order; its `domains.spectra`
        (D, M) have the modes in the same order.

    Raises:
        ValueError: for arrays of other shapes, numbers that are negative or not finite, or a mode that no row shows.

    Example:
        >>> import numpy as np, rfm, theory
        >>> k = np.arange(1.0, 101.0)
        >>> problem = rfm.from_domains([k**-1.2, k**-2.0], k**-0.2, shares=[0.3, 0.7])
        >>> args = dict(num_features=16, num_samples=32, optimizer=rfm.GradientFlow(), times=[1.0, 100.0])
        >>> curves = theory.domains(problem, **args)
        >>> curves.risk.shape, bool(abs(problem.domains.shares @ curves.risk - curves.pooled).max() < 1e-12)
        ((2, 2), True)
    """
    if is_traced(eigenvalues, target, shares, noise_var):
        checks.fail("eigenvalues", "known numbers, outside of JAX transformations", eigenvalues)
    spectra, w = checks.numeric("eigenvalues", eigenvalues), checks.numeric("target", target)
    if spectra.ndim != 2 or not spectra.size or not np.all(np.isfinite(spectra) & (spectra >= 0)):
        checks.fail("eigenvalues", "finite numbers >= 0 of shape (D, M), a row for each domain", spectra)
    count, num_modes = spectra.shape
    if w.shape != (num_modes,) or not np.all(np.isfinite(w)):
        checks.fail("target", f"finite numbers, one for each of {num_modes} modes", w)
    p, noise = checks.numeric("shares", shares), checks.numeric("noise_var", noise_var)
    check_shares("shares", p, count)
    if noise.shape not in ((), (count,)) or not np.all(np.isfinite(noise) & (noise >= 0)):
        checks.fail("noise_var", f"a finite variance >= 0, or one for each of {count} domains", noise)
    noise = np.broadcast_to(noise, count)
    pooled, mean = p @ spectra, float(p @ noise)
    if pooled.min() <= 0:
        hidden = f"such that some row shows every mode (none shows mode {int(pooled.argmin()) + 1})"
        checks.fail("shares", hidden, p)
    order = np.argsort(-pooled, kind="stable")
    of_noise = noise / mean if mean > 0 else np.ones(count)
    # summed anew in the new order, so that both are equal to the last digit
    domains = Domains(spectra[:, order], of_noise, p)
    return Problem(domains.pooled, w[order], mean, domains=domains)
