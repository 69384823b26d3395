"""`predict`: the simulator's arguments in, the closed form out."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rfm import checks
from rfm.curve import THEORY, Curve
from rfm.optimizers import Batched, GradientFlow, Optimizer
from rfm.precision import is_traced, settle
from rfm.problem import Problem
from rfm.pytrees import pytree
from rfm.sgd import DRAWN_ANEW
from theory._correction import corrected
from theory._domains import pooled_curve
from theory.arrays import Array, evaluated
from theory.cases import Case, arithmetic, check_size, curve_times, feature_noise_of, members_of, richness_of
from theory.evaluation import MARGIN, problem_modes, solve
from theory.fixed_point import Model, spectral_edge
from theory.rich_curves import BEYOND_THE_EDGE, CROWDED


def predict(
    problem: Problem,
    *,
    num_features: ArrayLike,
    num_samples: ArrayLike,
    optimizer: Optimizer,
    times: ArrayLike | None = None,
    parametrization: str = "ntk",
    richness: ArrayLike = 0.0,
    hidden: str | int = checks.IDENTITY,
    feature_noise: ArrayLike = 0.0,
    ensemble: ArrayLike = 1,
    bags: ArrayLike = 1,
    correction: bool = False,
) -> Curve:
    """Predict average risk and training loss at finite N, P and t, in closed form.

        risk(t) = (1/2 pi i)^2 oint oint r_t(z) r_t(z') [E(-z, -z') - sigma^2] dz dz'/(z z')

    The average of K x B models, K feature draws on each of B data sets, has the risk
    risk/(KB) + (1/B)(1 - 1/K) same data + (1/K)(1 - 1/B) same features + (1 - 1/K)(1 - 1/B) independent,
    with the two-point functions of `theory.equivalent`. train_loss is that of one model, as in `rfm.simulate`.

    With x64 enabled the call can be jitted, vmapped and differentiated in all sizes and numbers, times, ensemble and
    bags; without it results are numpy float64 all the same, and a call inside a transformation is refused.

    Source: Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), appendices on the Fourier-space and discrete-time
    response functions, with their misprints corrected; one-pass SGD: Paquette et al. 2024 (arXiv 2405.15074).

    Args:
        problem: Spectrum, target and noise; the number of modes may be infinite. Where rows come from several domains
            the risk is that on rows of the same shares (`theory.domains` gives each), for known numbers.
        num_features: Model size N, any number >= 1 or jnp.inf.
        num_samples: Data P, any number >= 1 or jnp.inf; jnp.inf for SGD, which sees every sample once.
        optimizer: The training algorithm.
        times: (T,), lr x steps for gradient flow, numbers of steps for other algorithms; None for Ridge.
        parametrization: "ntk", features of variance 1/N, or "standard", of variance 1.
        richness: How fast a layer between features and readout learns, over the rate of the readout, a number >= 0;
            0 leaves the features as they are drawn. Full-batch algorithms, and SGD, in one pass or on P samples in
            batches drawn anew, to first order in lr/B (`converged` is False, and `message` says so, where that is not
            enough).
        hidden: "identity"; a Gaussian layer of some width is for `rfm.simulate` alone.
        feature_noise: Variance >= 0 of white noise on every feature of every row, as quantised activations have, as in
            `rfm.simulate`: df1 gains feature_noise N/kappa, and the risk counts feature_noise |v|^2.
        ensemble: Feature draws K whose models are averaged, any number >= 1 or jnp.inf.
        bags: Data sets B whose models are averaged, likewise.
        correction: Add the next order in 1/N and 1/P, for one model trained by full batches; see `theory.correction`.
            For SGD in epochs: the part of the noise along the gradient of a batch, of order 1/batch_size.

    Returns:
        A `Curve` with risk and train_loss (T,). `residual` estimates the error of the worst value, relative to it or to
        1e-12 of the loss at t = 0 where a value is smaller; `converged` says whether it is below 1e-8. With a richness
        `kernel_growth` (T,) is m, by which the kernel has grown.

    Raises:
        ValueError: For wrong sizes or times, an algorithm without a theory (naming those that have one), or a learning
            rate beyond stability (named with the largest stable one).

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100, noise_var=0.01)
        >>> args = dict(num_features=16, num_samples=32, optimizer=rfm.GradientFlow(), times=[1.0, 10.0, 100.0])
        >>> theory.predict(problem, **args).risk.round(4)
        array([0.8733, 0.4628, 0.4809])
    """
    members = members_of(optimizer, ensemble, bags)
    rich, noise = richness_of(richness), feature_noise_of(feature_noise)
    if not checks.is_identity(hidden):
        allowed = f"{checks.IDENTITY!r} in theory, as a Gaussian layer has no closed form (rfm.simulate: any width)"
        checks.fail("hidden", allowed, hidden)
    case = Case(
        problem, num_features, num_samples, optimizer, times, parametrization, richness=rich, feature_noise=noise
    )
    if not isinstance(correction, bool):
        checks.fail("correction", "True or False", correction)
    if isinstance(problem, Problem) and problem.domains is not None:
        if correction or members is not None:
            name, value = ("correction", correction) if correction else ("ensemble", (ensemble, bags))
            checks.fail(name, "left out for rows of several domains, of which the theory is that of one model", value)
        return pooled_curve(case)
    if (
        correction
        and noise is None
        and isinstance(optimizer, Batched)
        and optimizer.order != DRAWN_ANEW
        and members is None
    ):
        case = dataclasses.replace(case, fourth_moment=True)
    elif correction:
        if members is not None:
            checks.fail("correction", "False for ensemble or bags: the next order is that of one model", correction)
        if noise is not None:
            checks.fail("correction", "False where features have noise (or feature_noise=0)", correction)
        if rich is not None:
            checks.fail("correction", "False for a richness, whose next order is not known", correction)
        return corrected(case)
    curves = solve(case, members)
    losses = curves.risk, curves.train_loss
    rest = curves.converged, curves.residual, THEORY
    average, growth, message = curves.average_risk, curves.kernel_growth, ""
    if curves.crowding is not None and not is_traced(curves.crowding) and not curves.crowding < CROWDED:
        reached = float(np.nan_to_num(curves.crowding, nan=np.inf))
        message = (
            f"batches too small for a theory of the first order in lr/B: lr m tr(H)/B reaches {reached:.3g}, "
            f"{CROWDED} is allowed; larger batches, a smaller lr, or rfm.simulate"
        )
    elif growth is not None and not is_traced(growth) and optimizer.discrete and not np.isfinite(curves.residual):
        lost = np.asarray(times)[np.isnan(growth)]
        message = f"{BEYOND_THE_EDGE} (rfm.exact goes on)" + (f": NaN from time {lost[0]:g} on" if lost.size else "")
    more = problem.noise_var, None, average, growth
    return Curve(curve_times(times), *losses, *rest, message, *more)


@pytree
class Decomposition:
    """Where the risk comes from: bias + features + data + interaction + noise = risk.

    Attributes:
        times: (T,), as do all that follow but for the last two.
        risk: Average risk of one model.
        bias: Squared bias, what an average over infinitely many feature draws and data sets keeps.
        features: Variance over feature draws, averaged over data sets.
        data: Variance over data sets, averaged over feature draws.
        interaction: Variance beyond the sum of these two.
        noise: Everything proportional to the label noise; the others are those of clean labels.
        converged: Whether residual is below 1e-8.
        residual: Estimated relative error of the worst value.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100, noise_var=0.01)
        >>> args = dict(num_features=16, num_samples=32, optimizer=rfm.GradientFlow(), times=[1.0, 10.0, 100.0])
        >>> split = theory.decompose(problem, **args)
        >>> total = split.bias + split.features + split.data + split.interaction + split.noise
        >>> bool(abs(total / split.risk - 1.0).max() < 1e-12)
        True
    """

    times: Any
    risk: Any
    bias: Any
    features: Any
    data: Any
    interaction: Any
    noise: Any
    converged: Any
    residual: Any


def decompose(
    problem: Problem,
    *,
    num_features: ArrayLike,
    num_samples: ArrayLike,
    optimizer: Optimizer,
    times: ArrayLike | None = None,
    parametrization: str = "ntk",
    richness: ArrayLike = 0.0,
    feature_noise: ArrayLike = 0.0,
) -> Decomposition:
    """Split the risk at every time into bias, variances and label noise, for a full-batch algorithm.

    Transformations as in `predict`. Source: Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), ensembling and
    bagging.

    Args:
        problem: Spectrum, target and noise.
        num_features: Model size N.
        num_samples: Data P.
        optimizer: The training algorithm, not SGD.
        times: (T,); None for Ridge.
        parametrization: "ntk" or "standard".
        richness: As in `predict`.
        feature_noise: As in `predict`.

    Returns:
        A `Decomposition`.

    Raises:
        ValueError: For SGD, and as `predict` does.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100, noise_var=0.01)
        >>> args = dict(num_features=16, num_samples=32, optimizer=rfm.GradientFlow(), times=[1.0, 10.0, 100.0])
        >>> parts = theory.decompose(problem, **args)
        >>> (parts.bias / parts.risk).round(3)
        array([0.924, 0.622, 0.331])
    """
    if isinstance(optimizer, Batched):
        checks.fail("optimizer", "a full-batch algorithm: no theory splits the noise of SGD's batches", optimizer)
    rich, noise = richness_of(richness), feature_noise_of(feature_noise)
    case = Case(
        problem, num_features, num_samples, optimizer, times, parametrization, richness=rich, feature_noise=noise
    )
    curves = solve(case, split=True)
    pieces = curves.pieces
    assert pieces is not None
    features = pieces.same_features - pieces.independent  # eq. 5
    data = pieces.same_data - pieces.noise_same_data - pieces.independent
    interaction = pieces.risk - pieces.noise - pieces.independent - features - data
    parts = (pieces.risk, pieces.independent, features, data, interaction, pieces.noise)
    return Decomposition(curve_times(times), *parts, curves.converged, curves.residual)


def largest_curvature(
    problem: Problem, *, num_features: ArrayLike, num_samples: ArrayLike, parametrization: str = "ntk"
) -> Array:
    """Return z_max, the upper edge of the limiting spectrum of F^T F Psi^T Psi/P.

    Gradient descent is stable for lr < 2/z_max. Source: Silverstein and Choi 1995.

    Args:
        problem: Spectrum; target and noise do not enter.
        num_features: Model size N.
        num_samples: Data P.
        parametrization: "ntk" or "standard", which multiplies every curvature by N.

    Returns:
        z_max, ().

    Raises:
        ValueError: As `predict` does, for wrong sizes.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100, noise_var=0.01)
        >>> float(theory.largest_curvature(problem, num_features=16, num_samples=32).round(4))
        1.9046
    """
    case = Case(problem, num_features, num_samples, GradientFlow(), None, parametrization)
    check_size(case)
    with arithmetic(case):
        return settle(_edge(case.arrays()))


@evaluated()
def _edge(case: Case) -> Array:
    modes = problem_modes(case.problem, MARGIN, case.clock)
    return spectral_edge(Model(modes, 1.0 / case.num_features, 1.0 / case.num_samples))
