"""Spectrum and target of a population from a finite sample of it.

Of n rows the sample covariance has eigenvalues l_i, and the labels put the power c_i = (u_i . y)^2/n on direction i of
the sample. Both are biased: small eigenvalues come out too small, and every direction takes its share of what is not
learned. The deterministic equivalence behind the theory, read backwards, gives the population:

    kappa = s/R1,     df(s) = sum_i l_i/(l_i + s)      = sum_k lambda_k/(lambda_k + kappa),     R1 = 1 - df(s)/n
    T(kappa) = kappa sum_i c_i/(l_i + s)               = noise + sum_k p_k kappa/(lambda_k + kappa)

for s > 0, where what no row explains of the labels counts as power at l = 0 (the one-point equation of ridge regression
on n rows: Bordelon, Atanasov and Pehlevan 2024, with N infinite). Rows x = sqrt(tau) z of unequal size have
1 = E tau/(R1 + tau df/n), and the noise in T counts E v/(R1 + tau df/n) times, v its share at size tau
(`rfm.data.row_sizes`). Ridge regression on P <= n rows asks nothing else of a population, so the two sums over i,
measured, are what an estimate has to reproduce. `estimate` finds eigenvalues lambda_k and powers p_k = lambda_k w_k^2
that do.
"""

import dataclasses
import itertools
import math
from typing import NamedTuple

import numpy as np

from rfm.data.kernels import falls_faster
from rfm.problem import PowerLawTail, Problem, ScaleMixture

LEVELS = 160  # values of kappa at which the two sums are matched
RESOLVED = 0.5  # modes for each row that are estimated one by one: beyond, the sample says little of single ones
NEAREST = 0.9  # of the rows: the largest df that is used; kappa has its least value at df = n
KNOTS = 8  # of the correction of eigenvalues, piecewise linear in log-log
FEWEST_ROWS = 16  # rows or modes below which a sample is taken as it is
SINGLE, PER_FOLD = 8, 11  # powers: the first modes one by one, the others in so many groups of equal width in log k
TAIL_NODES, RESPONSE_BISECTIONS = 400, 60  # of the tail; of the response of the rows
LAST = 1e6  # modes that stand for infinitely many while eigenvalues are fitted
MATCH = 0.003  # relative error to which the sums are matched
SURE, PER_ROW = 0.01, 2.0  # a correction of mode k of n rows is of size SURE + PER_ROW k/n before it is fitted
WINDOW = (1 / 16, 1 / 2)  # of the resolved modes: where the exponents are read off; halves of the rows resolve these
STEEPEST, SHALLOWEST = 8.0, 1.05  # exponents of a tail; one with infinitely many modes has a sum that converges


class Sample(NamedTuple):
    """Second moments of n rows and their labels.

    Attributes:
        eigenvalues: Of the sample covariance, (r,), decreasing.
        power: Of the labels on each direction, (r,), summed over outputs.
        total: Variance of the labels.
        size: Number of rows, less one where means were subtracted.
        num_modes: Of the population: the columns of the features, or infinity.
        mixture: Sizes of the rows, None for equal ones; centered: were means subtracted?

    Example:
        >>> import numpy as np
        >>> from rfm.data.spectra import Sample, estimate
        >>> sample = Sample(np.array([1.0, 0.25]), np.array([0.5, 0.1]), total=0.7, size=100, num_modes=2)
        >>> round(estimate(sample, scale=1.0).noise_var, 3)
        0.103
    """

    eigenvalues: np.ndarray
    power: np.ndarray
    total: float
    size: int
    num_modes: float
    mixture: ScaleMixture | None = None
    centered: bool = True

    @property
    def left_over(self) -> float:
        """Variance that least squares on all directions leaves, unbiased; 0 where it leaves nothing."""
        unseen = self.size - len(self.power)
        return max(self.total - self.power.sum(), 0.0) * (self.size + self.centered) / unseen if unseen > 0 else 0.0


@dataclasses.dataclass(frozen=True)
class Estimate:
    """The population that a sample comes from.

    Attributes:
        problem: For theory; its eigenvalues are those of the population divided by `scale`.
        sample: What it was estimated from.
        scale: Largest eigenvalue where time is in units of the fastest mode, else 1.
        trusted: Modes that are resolved one by one; beyond them is a power law.
        window: Modes over which the exponents are read off.
        a: Exponent of lambda_k w_k^2 ~ k^-a.
        b: Exponent of lambda_k ~ k^-b.
        spread: How much the size of rows varies beyond what it does for Gaussian rows, relative; the theory knows sizes
            (`sample.mixture`), but takes small and large rows for the same otherwise.
        replicas: Estimates from random halves of the rows, without replacement: a statistic of halves has about its
            mean the variance that the statistic has on all rows.

    Example:
        >>> import numpy as np
        >>> from rfm.data.from_data import estimate_features
        >>> rows = np.random.default_rng(0).standard_normal((200, 30)) / np.arange(1, 31)
        >>> estimate = estimate_features(rows, rows[:, 0], replicas=2)
        >>> estimate.trusted, len(estimate.replicas)
        (30, 2)
    """

    problem: Problem
    sample: Sample
    scale: float
    trusted: int
    window: tuple[int, int]
    a: float
    b: float
    spread: float = math.nan
    replicas: tuple["Estimate", ...] = ()

    @property
    def noise_var(self) -> float:
        """Variance of the labels that no mode explains, all outputs together."""
        return float(self.problem.noise_var)

    def error(self, name: str) -> float:
        """Return the standard error of a, b or noise_var, from the replicas; NaN for fewer than two."""
        values = [getattr(replica, name) for replica in self.replicas]
        return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


class Levels(NamedTuple):
    """The two sums at LEVELS values of kappa, each (L,), decreasing kappa; noise: how often the noise counts in T."""

    kappa: np.ndarray
    df: np.ndarray
    unlearned: np.ndarray
    noise: np.ndarray


def sums(sample: Sample) -> Levels:
    """Measure df and T of the population; see the head of this module."""
    lam, c, n = sample.eigenvalues, sample.power, sample.size
    null = max(sample.total - c.sum(), 0.0)
    s = np.geomspace(30 * lam[0], 1e-2 * lam[-1], 4 * LEVELS)
    df = np.array([np.sum(lam / (lam + x)) for x in s])
    use = np.flatnonzero(df < NEAREST * n)
    use = use[np.unique(np.round(np.linspace(0, len(use) - 1, LEVELS)).astype(int))]
    s, df = s[use], df[use]
    response, noise = _response(df / n, sample.mixture)
    kappa = s / response
    return Levels(kappa, df, kappa * np.array([np.sum(c / (lam + x)) + null / x for x in s]), noise)


def _response(x: np.ndarray, mixture: ScaleMixture | None) -> tuple[np.ndarray, np.ndarray]:
    """Return R1 at x = df/n, and E v/(R1 + tau x), each (L,)."""
    if mixture is None:
        return 1 - x, np.ones_like(x)
    tau, v, w = mixture.sizes, mixture.noise, mixture.weights
    low, high = np.zeros_like(x), np.ones_like(x)
    for _ in range(RESPONSE_BISECTIONS):
        middle = 0.5 * (low + high)
        below = (tau / (middle[:, None] + tau * x[:, None])) @ w > 1
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return high, (v / (high[:, None] + tau * x[:, None])) @ w


def estimate(sample: Sample, scale: float, window: tuple[int, int] | None = None) -> Estimate:
    """Estimate eigenvalues, powers, noise and tail of the population; eigenvalues are divided by `scale`.

    Eigenvalues are those of the sample times a smooth function of the mode number, and a power law beyond what is
    resolved: least squares on log df and on the trace. Powers and noise: non-negative least squares on T.
    window: modes at which exponents are read off; None: WINDOW of the resolved ones.
    """
    lam, c, n = sample.eigenvalues, sample.power, sample.size
    if min(len(lam), n) < FEWEST_ROWS:
        noise = sample.left_over  # of which each direction has a share
        power = np.maximum(c - noise / (n + sample.centered), 0.1 * c)
        problem = _problem(sample, lam / scale, power, noise)
        return Estimate(problem, sample, scale, len(lam), (1, len(lam)), math.nan, math.nan)
    levels = sums(sample)
    trusted = len(lam) if sample.num_modes <= RESOLVED * n else min(len(lam), int(RESOLVED * n))
    fast = trusted < len(lam) and falls_faster(lam[:trusted])  # then what was measured stands for itself
    resolved = len(lam) if fast else trusted
    tail = _tail_nodes(resolved, len(lam) if fast else sample.num_modes)
    spectrum = _eigenvalues(sample, levels, resolved, tail)
    head, steepness = spectrum.head, spectrum.exponent
    window = window or (max(1, round(WINDOW[0] * trusted)), round(WINDOW[1] * trusted))
    powers = _powers(sample, levels, spectrum, tail, window)
    a, b, law = _slope(powers.head, window), _slope(head, window), None
    if len(tail.k):
        eigenvalue_scale = spectrum.outer[0] * tail.k[0] ** steepness / scale
        power_scale = powers.outer[0] * tail.k[0] ** powers.exponent
        num_modes = None if math.isinf(sample.num_modes) else np.float64(sample.num_modes)
        exponents = np.float64(powers.exponent), np.float64(steepness)
        law = PowerLawTail(*exponents, eigenvalue_scale, power_scale, num_modes)
    problem = _problem(sample, head / scale, powers.head, powers.noise, law)
    return Estimate(problem, sample, scale, trusted, window, a, b)


def _problem(
    sample: Sample, eigenvalues: np.ndarray, power: np.ndarray, noise: float, tail: PowerLawTail | None = None
) -> Problem:
    return Problem(eigenvalues, np.sqrt(power / eigenvalues), noise, tail, mixture=sample.mixture)


class _Tail(NamedTuple):
    """Groups of modes beyond the resolved ones: a mode number k and how many modes, each (J,).

    endless: are there modes beyond the last group?
    """

    k: np.ndarray
    modes: np.ndarray
    endless: bool

    def rest(self, exponent: float) -> float:
        """Sum (k/k_1)^-exponent over the modes beyond the groups, k_1 the first group's."""
        return LAST * (LAST / self.k[0]) ** -exponent / (exponent - 1.0) if self.endless else 0.0


def _tail_nodes(resolved: int, num_modes: float) -> _Tail:
    if num_modes <= resolved:
        return _Tail(np.zeros(0), np.zeros(0), False)
    edges = np.unique(np.round(np.geomspace(resolved, min(num_modes, LAST), TAIL_NODES)))
    return _Tail(np.sqrt((edges[:-1] + 1) * edges[1:]), np.diff(edges), math.isinf(num_modes))


class _Modes(NamedTuple):
    """Eigenvalues or powers of resolved modes and of the tail's nodes, the exponent of the tail, the noise."""

    head: np.ndarray
    outer: np.ndarray
    exponent: float
    noise: float = 0.0


def _eigenvalues(sample: Sample, levels: Levels, resolved: int, tail: _Tail) -> _Modes:
    from scipy.optimize import least_squares

    lam, log_k = sample.eigenvalues[:resolved], np.log(np.arange(1.0, resolved + 1))
    knots, half = np.linspace(0, log_k[-1], KNOTS), slice(resolved // 2, None)
    shallowest = SHALLOWEST if math.isinf(sample.num_modes) else 0.0
    expected = SURE + PER_ROW * np.exp(knots) / sample.size

    def spectrum(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        head = lam * np.exp(np.interp(log_k, knots, theta[:KNOTS]))
        # the tail begins where a line through the last half of the resolved modes ends
        level = np.exp(np.polyval(np.polyfit(log_k[half], np.log(head[half]), 1), log_k[-1]))
        return head, level * (tail.k / resolved) ** -theta[KNOTS]

    def misfit(theta: np.ndarray) -> np.ndarray:
        head, outer = spectrum(theta)
        df = np.sum(head / (head + levels.kappa[:, None]), axis=1)
        df += (outer / (outer + levels.kappa[:, None])) @ tail.modes
        rest = outer[0] * tail.rest(theta[KNOTS]) if tail.endless else 0.0
        df += rest / levels.kappa
        trace = (head.sum() + outer @ tail.modes + rest) / sample.eigenvalues.sum()
        close = np.append(np.log(df / levels.df), np.log(trace)) / MATCH
        return np.concatenate([close, theta[:KNOTS] / expected])

    slope = -np.polyfit(log_k[half], np.log(lam[half]), 1)[0]
    start = np.append(np.zeros(KNOTS), np.clip(slope, shallowest + 0.01, STEEPEST - 0.01))
    low, high = np.full(KNOTS + 1, -10.0), np.full(KNOTS + 1, 10.0)
    low[KNOTS], high[KNOTS] = shallowest, STEEPEST
    theta = least_squares(misfit, start, bounds=(low, high)).x
    head, outer = spectrum(theta)
    return _Modes(np.minimum.accumulate(head), np.minimum(outer, head.min()), float(theta[KNOTS]))


def _powers(sample: Sample, levels: Levels, spectrum: _Modes, tail: _Tail, window: tuple[int, int]) -> _Modes:
    from scipy.optimize import nnls

    eigenvalues, outer, resolved = spectrum.head, spectrum.outer, len(spectrum.head)
    k = np.arange(1.0, resolved + 1)
    share = np.interp(-np.log(eigenvalues), -np.log(levels.kappa), levels.unlearned) / sample.size
    # a direction's share of what is not learned is subtracted; what little is left of small powers stays positive
    rough = np.maximum(sample.power[:resolved] - share, 0.1 * sample.power[:resolved])
    edges = np.unique(np.append(np.arange(min(SINGLE, resolved)), np.geomspace(SINGLE, resolved, PER_FOLD).round()))
    groups = [slice(int(u), int(v)) for u, v in itertools.pairwise(edges)]
    learned = levels.kappa[:, None] / (eigenvalues + levels.kappa[:, None])  # (L, K)
    columns = np.stack([learned[:, g] @ rough[g] for g in groups] + [levels.noise], axis=1)
    # as far as powers are known before: by the place of a mode, and by what was subtracted from it
    known = [SURE + PER_ROW * g.stop / sample.size + share[g].sum() / rough[g].sum() for g in groups]
    known = np.clip(known, 0, 1)
    before = np.concatenate([np.diag(1 / known), np.zeros((len(groups), 1))], axis=1)
    side = np.append(np.full(len(levels.kappa), 1 / MATCH), 1 / known)
    power, outer_power, a = rough, np.zeros(0), 1.5
    far, factors = np.zeros(len(levels.kappa)), np.ones(len(groups) + 1)
    for _ in range(4 if len(tail.k) else 1):  # the tail follows the slope of the powers, and they leave it the rest
        if len(tail.k):
            a = float(np.clip(_slope(power, window), SHALLOWEST, STEEPEST))
            last = slice(resolved // 2, None)
            outer_power = rough[last].sum() / np.sum(k[last] ** -a) * tail.k**-a
            far = levels.kappa[:, None] / (outer + levels.kappa[:, None]) @ (tail.modes * outer_power)
            far += outer_power[0] * tail.rest(a)  # far below kappa: not learned
        matched = columns / levels.unlearned[:, None] / MATCH
        matched[:, len(groups) - 1] += far / levels.unlearned / MATCH
        factors, _ = nnls(np.concatenate([matched, before]), side, maxiter=100 * len(groups))
        power = rough * np.repeat(factors[:-1], np.diff(edges).astype(int))
    return _Modes(power, outer_power * factors[-2], a, float(factors[-1]))


def _slope(values: np.ndarray, window: tuple[int, int]) -> float:
    """Return -d log/d log k of means over groups of modes, by least squares; 1.5 where too few are positive."""
    edges = np.unique(np.round(np.geomspace(window[0], window[1], 8)).astype(int))
    parts = [(math.sqrt((u + 1) * v), values[u:v].mean()) for u, v in itertools.pairwise(edges)]
    k, means = np.array([part for part in parts if part[1] > 0]).T if any(m > 0 for _, m in parts) else ([], [])
    return -float(np.polyfit(np.log(k), np.log(means), 1)[0]) if len(k) > 2 else 1.5
