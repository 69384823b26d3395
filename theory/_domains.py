"""`domains` and `best_shares`: the risk in each of several domains of rows, and the best mixture of them."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rfm import checks
from rfm.curve import THEORY, Curve
from rfm.optimizers import Batched, Optimizer, Ridge, check_stability
from rfm.parts import Domains, check_shares
from rfm.precision import is_traced
from rfm.problem import Problem, check_problem
from rfm.pytrees import pytree
from theory.cases import Case, check_case, curve_times
from theory.domain_curves import DomainLosses, losses_at_ridge, losses_in_time
from theory.domain_points import DomainModel
from theory.dynamics import MOST_NODES, TOLERANCE
from theory.evaluation import filter_of, in_reach

MINOR = 0.2  # share of all domains together in starts of the search that favour one
TRIED = 2  # of the starts: the best
STEP = 1e-6  # of a share, of which slopes are taken
SETTLED = 1e-13  # of the logarithm of the risk, in which shares are then good to 1e-6
AT_EDGE = 1e-3  # a share below it is at the edge


@pytree
class DomainCurves:
    """Risk in every domain against time, for a model that is trained on a mixture of them.

    Attributes:
        times: (T,).
        shares: (D,) of the domains among the rows trained on.
        risk: (D, T) average risk on rows of each domain.
        pooled: (T,) average risk on rows of the mixture itself.
        train_loss: (T,) average training loss.
        converged: Whether residual is below 1e-8.
        residual: Estimated relative error.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.from_domains([[1.0, 0.1], [0.1, 1.0]], [1.0, 1.0], shares=[0.5, 0.5])
        >>> curves = theory.domains(problem, num_features=8, num_samples=4, optimizer=rfm.Ridge(0.1))
        >>> curves.risk.shape, bool(abs(curves.risk[0] - curves.risk[1]).max() < 1e-12)
        ((2, 1), True)
    """

    times: Any
    shares: Any
    risk: Any
    pooled: Any
    train_loss: Any
    converged: Any
    residual: Any


def domains(
    problem: Problem,
    *,
    num_features: float,
    num_samples: float,
    optimizer: Optimizer,
    times: ArrayLike | None = None,
    shares: ArrayLike | None = None,
    parametrization: str = "ntk",
) -> DomainCurves:
    """Predict the risk in every domain for a model that is trained on rows of all of them.

        s nu_e = (1 - sum_f p_f df_f/N) (1 - df_e/P),   df_e = nu_e sum_k lambda_ek/(1 + sum_f p_f nu_f lambda_fk)

    gives an effective ridge 1/nu_e for every domain e of share p_e, and D linear equations the risks in all domains.
    Known numbers only: it cannot be called inside a JAX transformation.

    Source: derived here as the theory of one domain in Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092).

    Args:
        problem: Made by `rfm.from_domains`.
        num_features: Model size N, any number >= 1 or jnp.inf.
        num_samples: Data P, all domains together, likewise.
        optimizer: A full-batch algorithm.
        times: (T,); None for Ridge.
        shares: (D,) other shares of the domains than those of the problem, zeros among them if need be.
        parametrization: "ntk" or "standard".

    Returns:
        A `DomainCurves`.

    Raises:
        ValueError: For a problem of one domain, shares that do not sum to one, SGD, and as `predict` does.

    Example:
        >>> import numpy as np, rfm, theory
        >>> k = np.arange(1.0, 101.0)
        >>> problem = rfm.from_domains([k**-1.2, k[::-1]**-1.2], k**-0.2, shares=[0.8, 0.2], noise_var=0.01)
        >>> args = dict(num_features=40, num_samples=60, optimizer=rfm.Ridge(0.001))
        >>> theory.domains(problem, **args).risk.round(2).tolist()
        [[0.64], [1.1]]
        >>> theory.domains(problem, **args, shares=[0.5, 0.5]).risk.round(2).tolist()
        [[0.8], [0.71]]
    """
    case = Case(problem, num_features, num_samples, optimizer, times, parametrization)
    parts = _checked(case)
    p = parts.shares if shares is None else checks.numeric("shares", shares)
    check_shares("shares", p, len(parts.shares))
    return _curves(case, parts, p)


def pooled_curve(case: Case) -> Curve:
    """Return the risk on rows of the mixture, as `predict` does for a problem of one domain."""
    parts = _checked(case)
    curves = _curves(case, parts, parts.shares)
    more = {"noise_var": case.problem.noise_var}
    losses = curves.pooled, curves.train_loss, curves.converged, curves.residual
    return Curve(curves.times, *losses, THEORY, **more)


def _checked(case: Case) -> Domains:
    """Return the domains of a case; ValueError for what has none, or no theory."""
    check_problem(case.problem)
    parts = case.problem.domains
    if parts is None:
        checks.fail("problem", "one of several domains, as rfm.from_domains makes", case.problem)
    if is_traced(case):
        checks.fail("problem", "known, as all arguments, outside of JAX transformations, for several domains", None)
    check_case(dataclasses.replace(case, problem=dataclasses.replace(case.problem, domains=None)))
    for name in ("richness", "feature_noise"):
        if getattr(case, name) is not None:
            checks.fail(name, "0 for rows of several domains", getattr(case, name))
    if isinstance(case.optimizer, Batched):
        checks.fail("optimizer", "a full-batch algorithm for rows of several domains", case.optimizer)
    return parts


def _curves(case: Case, parts: Domains, shares: np.ndarray) -> DomainCurves:
    losses = _losses(case, parts, shares)
    pooled = shares @ np.where(shares[:, None] > 0, losses.risk, 0.0)
    residual = losses.residual
    parts_of_curve = curve_times(case.times), shares, losses.risk, pooled, losses.train_loss
    return DomainCurves(*parts_of_curve, residual < TOLERANCE, residual)


def _losses(case: Case, parts: Domains, shares: np.ndarray) -> DomainLosses:
    problem, clock = case.problem, float(case.clock)
    noise = np.asarray(problem.noise_var * parts.noise)
    sizes = 1.0 / float(case.num_features), 1.0 / float(case.num_samples)
    # curvatures in units of the clock; the risk has none
    model = DomainModel(parts.spectra * clock, problem.target**2 / clock, shares, noise, *sizes)
    arrays = in_reach(dataclasses.replace(case, problem=dataclasses.replace(problem, domains=None)).arrays())
    if isinstance(arrays.optimizer, Ridge):
        return losses_at_ridge(model, float(arrays.optimizer.ridge))
    losses = losses_in_time(model, *filter_of(arrays.optimizer), arrays.times)
    check_stability(arrays.optimizer, np.asarray(losses.edge), case.num_features, case.num_samples)
    if losses.nodes > MOST_NODES:
        allowed = f"smaller: at this lr its contour asks for {losses.nodes:,} nodes; the most are {MOST_NODES:,}"
        checks.fail("momentum", allowed, getattr(case.optimizer, "momentum", None))
    return losses


class BestShares(NamedTuple):
    """The mixture of domains with the least risk.

    Attributes:
        shares: (D,) of the domains among the rows trained on.
        risk: (D,) risk in each domain there.
        mean_risk: () their weighted mean, which is the least.
        at_edge: (D,) is a share at the edge, zero?
        converged: Whether the search has settled and the residual is below 1e-8.
        residual: Estimated relative error of the risk.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.from_domains([[1.0, 0.1], [0.1, 1.0]], [1.0, 1.0], shares=[0.9, 0.1])
        >>> best = theory.best_shares(problem, num_features=8, num_samples=4, optimizer=rfm.Ridge(0.1))
        >>> best.shares.round(3).tolist()
        [0.5, 0.5]
    """

    shares: np.ndarray
    risk: np.ndarray
    mean_risk: float
    at_edge: np.ndarray
    converged: bool
    residual: float


def best_shares(
    problem: Problem,
    *,
    num_features: float,
    num_samples: float,
    optimizer: Optimizer,
    times: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    parametrization: str = "ntk",
) -> BestShares:
    """Find the shares of the domains among P rows that leave the least risk, as the user of the model weighs domains.

        shares = argmin_p sum_d weights_d risk_d(t; p)

    by sequential quadratic programming (Kraft 1988, `scipy.optimize`) from the best two of several starts. The best
    shares change with N, P and t: what is best for a small run is not for a large one.

    Args:
        problem: Made by `rfm.from_domains`; its shares are one of the starts.
        num_features: Model size N.
        num_samples: Data P, all domains together.
        optimizer: A full-batch algorithm.
        times: The one time at which training ends; None for Ridge.
        weights: (D,) of the domains in the risk, >= 0, which sum to one; None for equal ones.
        parametrization: "ntk" or "standard".

    Returns:
        A `BestShares`.

    Raises:
        ValueError: For weights that do not sum to one, more than one time, an infinite risk, and as `domains` does.

    Example:
        >>> import numpy as np, rfm, theory
        >>> k = np.arange(1.0, 101.0)
        >>> problem = rfm.from_domains([k**-1.2, k[::-1]**-1.2], k**-0.2, shares=[0.5, 0.5], noise_var=0.01)
        >>> args = dict(num_features=40, optimizer=rfm.Ridge(0.001), weights=[0.5, 0.5])
        >>> [float(theory.best_shares(problem, num_samples=p, **args).shares[0].round(2)) for p in (10, 1000)]
        [0.69, 0.51]
    """
    from scipy.optimize import minimize

    if times is not None and np.size(times) != 1:
        checks.fail("times", "the one time at which training ends", times)
    case = Case(
        problem,
        num_features,
        num_samples,
        optimizer,
        None if times is None else np.reshape(checks.numeric("times", times), 1),
        parametrization,
    )
    parts = _checked(case)
    count = len(parts.shares)
    of_domains = np.full(count, 1.0 / count) if weights is None else checks.numeric("weights", weights)
    check_shares("weights", of_domains, count)

    def at(shares: np.ndarray) -> DomainLosses:
        return _losses(case, parts, shares / shares.sum())

    def log_risk(shares: np.ndarray) -> float:
        return float(np.log(of_domains @ np.where(of_domains > 0, at(shares).risk[:, 0], 0.0)))

    even, alone = np.full(count, 1.0 / count), np.eye(count)
    starts = [parts.shares, even, 0.5 * (even + of_domains), *(MINOR * even + (1.0 - MINOR) * alone), *alone]
    values = [log_risk(start) for start in starts]
    if not np.isfinite(values).all():
        checks.fail("num_samples", "another than num_features for Ridge(0), whose risk is infinite there", num_samples)
    ends = [
        minimize(
            log_risk, starts[i], method="SLSQP", bounds=[(0.0, 1.0)] * count,
            constraints=[{"type": "eq", "fun": lambda p: p.sum() - 1.0}], options={"eps": STEP, "ftol": SETTLED},
        )
        for i in np.argsort(values)[:TRIED]
    ]  # fmt: skip
    best = min(ends, key=lambda end: end.fun)
    shares = np.clip(best.x, 0.0, 1.0)
    shares /= shares.sum()
    losses = at(shares)
    mean = float(of_domains @ np.where(of_domains > 0, losses.risk[:, 0], 0.0))
    converged = bool(best.success) and losses.residual < TOLERANCE
    return BestShares(shares, losses.risk[:, 0], mean, shares < AT_EDGE, converged, losses.residual)
