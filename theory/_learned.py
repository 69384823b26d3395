"""`learned`: how much of each mode a model has learned, on average."""

import math

import numpy as np
from numpy.typing import ArrayLike

from rfm import checks
from rfm.optimizers import SGD, Optimizer, Ridge, check_stability
from rfm.precision import is_traced, settle
from rfm.problem import MOST_MODES, Problem
from theory.arrays import Array, evaluated, namespace
from theory.cases import Case, arithmetic, check_case, richness_of
from theory.contour import NODES
from theory.dynamics import TOLERANCE
from theory.evaluation import count_nodes, in_reach, model_of, most_nodes
from theory.moments import learned_share
from theory.routes import filter_along, route_of

MOST_NODES = 65_536


def learned(
    problem: Problem,
    *,
    num_features: ArrayLike,
    num_samples: ArrayLike,
    optimizer: Optimizer,
    times: ArrayLike | None = None,
    modes: ArrayLike | None = None,
    parametrization: str = "ntk",
    richness: ArrayLike = 0.0,
) -> Array:
    """Predict the share of each mode that is learned: the average over draws of the student's coefficient over w_k.

        E [F^T v(t)]_k / w_k = (1/2 pi i) oint r_t(z) lambda_k/(kappa + lambda_k) dz/z,   kappa at s = -z

    It is 0 early and, for modes that N and P resolve, near 1 late. It says what the average over models has learned:
    the risk of one model has its variance beside it (`decompose`).

    Source: Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), response functions of modes.

    Args:
        problem: Spectrum; target and noise enter where features are trained.
        num_features: Model size N, any number >= 1 or jnp.inf.
        num_samples: Data P, likewise; jnp.inf for SGD.
        optimizer: The training algorithm.
        times: (T,); None for Ridge.
        modes: (K,) numbers k of modes, 1 for the largest eigenvalue; None for all.
        parametrization: "ntk" or "standard".
        richness: As in `predict`, of a full-batch algorithm.

    Returns:
        The share, (T, K); NaN where the contour does not resolve it.

    Raises:
        ValueError: For modes that the problem has not, more than 100,000 of them, and as `predict` does.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100)
        >>> args = dict(num_features=16, num_samples=32, optimizer=rfm.GradientFlow(), times=[1.0, 100.0])
        >>> theory.learned(problem, **args, modes=[1, 10]).round(3)
        array([[0.585, 0.028],
               [0.959, 0.403]])
    """
    case = Case(problem, num_features, num_samples, optimizer, times, parametrization, richness=richness_of(richness))
    check_case(case)
    if case.richness is not None and isinstance(optimizer, SGD):
        checks.fail("optimizer", "a full-batch algorithm where features are trained", optimizer)
    eigenvalues = eigenvalues_of(problem, modes)
    with arithmetic(case):
        arrays = case.arrays()
        share, edge = settle(_share(arrays, eigenvalues * arrays.clock, nodes=nodes_of(arrays)))
        check_edge(case, arrays, edge)
        return share


def eigenvalues_of(problem: Problem, modes: ArrayLike | None) -> np.ndarray:
    """Return the eigenvalues (K,) of modes k = 1, 2, ...; ValueError for a mode that does not exist."""
    if is_traced(problem, modes):
        checks.fail("modes", "those of a problem that is known (sizes, times and numbers may be traced)", modes)
    last, kept, t = problem.num_modes, len(problem.eigenvalues), problem.tail
    if modes is None and last > MOST_MODES:
        checks.fail("modes", f"given where a problem has more than {MOST_MODES}", None)
    k = np.arange(1.0, last + 1) if modes is None else checks.numeric("modes", modes)
    if k.ndim != 1 or not 1 <= k.size <= MOST_MODES or not np.all((k >= 1) & (k <= last) & (k == np.floor(k))):
        checks.fail("modes", f"whole numbers from 1 to {last}, at most {MOST_MODES} of them", modes)
    inside = problem.eigenvalues[np.minimum(k, kept).astype(int) - 1]
    return inside if t is None else np.where(k <= kept, inside, t.eigenvalue_scale * k**-t.b)


def target_of(problem: Problem, numbers: np.ndarray) -> np.ndarray:
    """Return the coefficients w_k (K,) of modes that exist."""
    kept, t = len(problem.target), problem.tail
    inside = problem.target[np.minimum(numbers, kept).astype(int) - 1]
    if t is None:
        return inside
    return np.where(numbers <= kept, inside, np.sqrt(t.power_scale / t.eigenvalue_scale) * numbers ** ((t.b - t.a) / 2))


def nodes_of(case: Case) -> int:
    """Count nodes of the contour: no pairs of them are needed, so that there may be many."""
    if isinstance(case.optimizer, Ridge):
        return 0
    if is_traced(case):
        return NODES if is_traced(getattr(case.optimizer, "momentum", 0.0)) else most_nodes(case.optimizer)
    nodes = max(NODES, math.ceil(float(count_nodes(in_reach(case)))))
    if nodes > MOST_NODES:
        checks.fail("momentum", "smaller: at this lr its contour takes too many nodes", case.optimizer)
    return nodes


@evaluated("nodes")
def _share(case: Case, eigenvalues: Array, *, nodes: int) -> tuple[Array, Array]:
    case = in_reach(case)
    model = model_of(case)
    route = route_of(case, model, filter_along(case, model, nodes))
    share = learned_share(route, eigenvalues)
    return namespace(share).where(route.residual < TOLERANCE, share, math.nan), route.edge


def check_edge(case: Case, arrays: Case, edge: Array) -> None:
    """Raise ValueError for a learning rate beyond stability; edge: the largest curvature that was found on the way."""
    if not is_traced(arrays, edge):
        check_stability(arrays.optimizer, np.asarray(edge), case.num_features, case.num_samples)
