"""Plain numpy, as one would write it down, and scikit-learn: what the package is measured beside."""

from typing import NamedTuple

import numpy as np


class Law(NamedTuple):
    """Eigenvalues and target (M,) of a problem, and the variance of its label noise."""

    lam: np.ndarray
    w: np.ndarray
    noise_var: float


class Draw(NamedTuple):
    """Random features (N, M), a training set (P, M) and its labels (P,)."""

    features: np.ndarray
    psi: np.ndarray
    labels: np.ndarray

    @property
    def phi(self) -> np.ndarray:
        """The training set as the student sees it, (P, N)."""
        return self.psi @ self.features.T


def power_law(num_modes: int, noise_var: float = 0.01) -> Law:
    """Write down the modes of the power law a = 1.8, b = 1.5."""
    k = np.arange(1.0, num_modes + 1)
    return Law(k**-1.5, k ** ((1.5 - 1.8) / 2), noise_var)


def draw(rng: np.random.Generator, law: Law, n: int, p: int) -> Draw:
    """Draw features and a training set."""
    features = rng.standard_normal((n, len(law.lam))) / np.sqrt(n)
    psi = rng.standard_normal((p, len(law.lam))) * np.sqrt(law.lam)
    return Draw(features, psi, psi @ law.w + np.sqrt(law.noise_var) * rng.standard_normal(p))


def risk(law: Law, features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Risk of weights (..., N)."""
    return (law.w - weights @ features) ** 2 @ law.lam


def static_risk(law: Law, n: float, p: float, ridge: float) -> float:
    """Risk of ridge regression: kappa by bisection over all modes."""
    lam = law.lam
    low, high = 1e-12, ridge + lam.sum() * (1 / n + 1 / p)
    for _ in range(60):
        kappa = np.sqrt(low * high)
        df1 = (lam / (kappa + lam)).sum()
        above = kappa * max(1 - df1 / n, 0) * max(1 - df1 / p, 0) > ridge
        low, high = (low, kappa) if above else (kappa, high)
    return float(_two_point(law, np.array([high]), np.array([high]), n, p)[0, 0])


def theory_curve(law: Law, n: float, p: float, times: np.ndarray) -> np.ndarray:
    """Risk of gradient flow: Weideman's contour for every time, kappa followed along it by Newton's method."""
    lam, count = law.lam, 16
    theta = np.pi * (np.arange(count) + 0.5) / count
    cot = 1 / np.tan(0.6407 * theta)
    shape = 0.5017 * theta * cot - 0.6122 + 0.2645j * theta
    slope = 0.5017 * (cot - 0.6407 * theta / np.sin(0.6407 * theta) ** 2) + 0.2645j
    risks = []
    for t in times:
        s = 2 * count / t * shape
        weights = np.exp(s * t) * 2 / t * slope / s
        kappa = np.empty(count, complex)
        x = 1.0 + 0j
        for i in range(count):
            path = s[i] if i else np.geomspace(abs(s[0]) * 1e3, abs(s[0]), 30) * s[0] / abs(s[0])
            for target in np.atleast_1d(path):
                for _ in range(8):
                    q = lam / (x + lam)
                    df1, df1_slope = q.sum(), -(q / (x + lam)).sum()
                    data, features = 1 - df1 / p, 1 - df1 / n
                    value = x * data * features - target
                    x = x - value / (data * features - x * df1_slope * (features / p + data / n))
            kappa[i] = x
        here = _two_point(law, kappa, kappa, n, p)
        across = _two_point(law, kappa, kappa.conj(), n, p)
        risks.append(-0.5 * (weights @ here @ weights - weights @ across @ weights.conj()).real)
    return np.array(risks)


def _two_point(law: Law, kappa: np.ndarray, other: np.ndarray, n: float, p: float) -> np.ndarray:
    lam, w, noise_var = law
    left, right = 1 / (kappa[:, None] + lam), 1 / (other[:, None] + lam)
    t1, df2 = (left * lam) @ right.T, (left * lam**2) @ right.T
    big_t1, big_t2 = (left * lam * w**2) @ right.T, (left * lam**2 * w**2) @ right.T
    kk = kappa[:, None] * other
    top = noise_var + kk * big_t1 + kk * t1 * big_t2 / (n - df2)
    return top / (1 - df2 / p - kk * t1**2 / (p * (n - df2))) - noise_var


def full_batch(law: Law, drawn: Draw, times: np.ndarray) -> np.ndarray:
    """Risk of gradient flow on one draw, by eigendecomposition."""
    phi, p = drawn.phi, len(drawn.labels)
    z, basis = np.linalg.eigh(phi.T @ phi / p)
    z = np.maximum(z, 1e-300)
    weights = (-np.expm1(-np.outer(times, z)) / z * (drawn.labels @ phi / p @ basis)) @ basis.T
    return risk(law, drawn.features, weights)


def descent(law: Law, drawn: Draw, steps: int, lr: float) -> float:
    """Risk after so many steps of gradient descent on one draw."""
    phi, labels = drawn.phi, drawn.labels
    v = np.zeros(phi.shape[1])
    for _ in range(steps):
        v -= lr / len(labels) * ((phi @ v - labels) @ phi)
    return float(risk(law, drawn.features, v))


def sklearn_ridge(law: Law, drawn: Draw, ridge: float) -> float:
    """Risk of scikit-learn's ridge regression on one draw."""
    from sklearn.linear_model import Ridge

    fit = Ridge(alpha=ridge * len(drawn.labels), fit_intercept=False).fit(drawn.phi, drawn.labels)
    return float(risk(law, drawn.features, fit.coef_))


def one_pass(law: Law, rng: np.random.Generator, n: int, steps: int, lr: float) -> float:
    """Risk after one-pass SGD with batches of one, a sample of all modes a step."""
    lam, w, noise_var = law
    features, v = rng.standard_normal((n, len(lam))) / np.sqrt(n), np.zeros(n)
    for _ in range(steps):
        psi = rng.standard_normal(len(lam)) * np.sqrt(lam)
        phi = features @ psi
        v -= lr * (phi @ v - psi @ w - np.sqrt(noise_var) * rng.standard_normal()) * phi
    return float(risk(law, features, v))
