"""The same results in plain numpy, as one would write them down, and with scikit-learn: what the package is beside."""

import numpy as np


def modes(num_modes: int, a: float = 1.8, b: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and target of a power law."""
    k = np.arange(1.0, num_modes + 1)
    return k**-b, k ** ((b - a) / 2)


def static_risk(n: float, p: float, ridge: float, num_modes: int, noise_var: float = 0.01) -> float:
    """Risk of ridge regression: kappa by bisection over all modes."""
    lam, w = modes(num_modes)
    low, high = 1e-12, ridge + lam.sum() * (1 / n + 1 / p)
    for _ in range(60):
        kappa = np.sqrt(low * high)
        df1 = (lam / (kappa + lam)).sum()
        above = kappa * max(1 - df1 / n, 0) * max(1 - df1 / p, 0) > ridge
        low, high = (low, kappa) if above else (kappa, high)
    return float(_two_point(np.array([high]), np.array([high]), lam, w, noise_var, n, p)[0, 0])


def theory_curve(times: np.ndarray, n: float, p: float, num_modes: int, noise_var: float = 0.01) -> np.ndarray:
    """Risk of gradient flow: Weideman's contour for every time, kappa followed along it by Newton's method."""
    lam, w = modes(num_modes)
    count = 16
    theta = np.pi * (np.arange(count) + 0.5) / count
    cot = 1 / np.tan(0.6407 * theta)
    shape = 0.5017 * theta * cot - 0.6122 + 0.2645j * theta
    slope = 0.5017 * (cot - 0.6407 * theta / np.sin(0.6407 * theta) ** 2) + 0.2645j
    risk = []
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
        here = _two_point(kappa, kappa, lam, w, noise_var, n, p)
        across = _two_point(kappa, kappa.conj(), lam, w, noise_var, n, p)
        risk.append(-0.5 * (weights @ here @ weights - weights @ across @ weights.conj()).real)
    return np.array(risk)


def _two_point(kappa, other, lam, w, noise_var, n, p) -> np.ndarray:
    left, right = 1 / (kappa[:, None] + lam), 1 / (other[:, None] + lam)
    t1, df2 = (left * lam) @ right.T, (left * lam**2) @ right.T
    big_t1, big_t2 = (left * lam * w**2) @ right.T, (left * lam**2 * w**2) @ right.T
    kk = kappa[:, None] * other
    top = noise_var + kk * big_t1 + kk * t1 * big_t2 / (n - df2)
    return top / (1 - df2 / p - kk * t1**2 / (p * (n - df2))) - noise_var


def full_batch(rng, n: int, p: int, num_modes: int, times: np.ndarray, noise_var: float = 0.01) -> np.ndarray:
    """Risk of gradient flow on one draw, by eigendecomposition."""
    lam, w = modes(num_modes)
    features, psi, labels = _draw(rng, lam, w, n, p, noise_var)
    phi = psi @ features.T
    z, basis = np.linalg.eigh(phi.T @ phi / p)
    z = np.maximum(z, 1e-300)
    weights = (-np.expm1(-np.outer(times, z)) / z * (labels @ phi / p @ basis)) @ basis.T
    return (w - weights @ features) ** 2 @ lam


def descent(rng, n: int, p: int, num_modes: int, steps: int, lr: float, noise_var: float = 0.01) -> float:
    """Risk after so many steps of gradient descent on one draw."""
    lam, w = modes(num_modes)
    features, psi, labels = _draw(rng, lam, w, n, p, noise_var)
    phi, v = psi @ features.T, np.zeros(n)
    for _ in range(steps):
        v -= lr / p * ((phi @ v - labels) @ phi)
    return float((w - v @ features) ** 2 @ lam)


def sklearn_ridge(rng, n: int, p: int, num_modes: int, ridge: float, noise_var: float = 0.01) -> float:
    """Risk of scikit-learn's ridge regression on one draw."""
    from sklearn.linear_model import Ridge

    lam, w = modes(num_modes)
    features, psi, labels = _draw(rng, lam, w, n, p, noise_var)
    fit = Ridge(alpha=ridge * p, fit_intercept=False).fit(psi @ features.T, labels)
    return float((w - fit.coef_ @ features) ** 2 @ lam)


def one_pass(rng, n: int, num_modes: int, steps: int, lr: float, noise_var: float = 0.1) -> float:
    """Risk after one-pass SGD with batches of one, a sample of all modes a step."""
    lam, w = modes(num_modes)
    features, v = rng.standard_normal((n, num_modes)) / np.sqrt(n), np.zeros(n)
    for _ in range(steps):
        psi = rng.standard_normal(num_modes) * np.sqrt(lam)
        phi = features @ psi
        v -= lr * (phi @ v - psi @ w - np.sqrt(noise_var) * rng.standard_normal()) * phi
    return float((w - v @ features) ** 2 @ lam)


def _draw(rng, lam, w, n, p, noise_var):
    features = rng.standard_normal((n, len(lam))) / np.sqrt(n)
    psi = rng.standard_normal((p, len(lam))) * np.sqrt(lam)
    return features, psi, psi @ w + np.sqrt(noise_var) * rng.standard_normal(p)
