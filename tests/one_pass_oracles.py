"""Oracles of one-pass SGD, as those of `oracles`: plain numpy, slow, literal, and of no method of ours.

Sizes and words are those of `oracles`; features (N, M) are given, and B is the number of samples a step.
"""

import numpy as np
from scipy.optimize import brentq


def one_pass_moments(features, eigenvalues, target, noise_var, lr, batch_size, steps, momentum=0.0):
    """One-pass SGD given F: expected risk (steps+1,) from full second moments in the space of modes.

    Delta' = Delta - lr F^T F g + momentum (Delta - Delta_before), g = (1/B) sum psi (psi.Delta + sigma eps).
    E[psi psi^T C psi psi^T] = 2 L C L + L tr(L C) for symmetric C and L = diag(eigenvalues).
    The state is S (2M, 2M), the second moment of (Delta, Delta_before).
    """
    # notation:
    lam, w, M = np.asarray(eigenvalues, float), np.asarray(target, float), len(eigenvalues)
    A, Lam, identity = features.T @ features, np.diag(lam), np.eye(M)  # (M, M)
    T = np.block([[(1 + momentum) * identity - lr * A @ Lam, -momentum * identity], [identity, 0 * identity]])
    S = np.tile(np.outer(w, w), (2, 2))
    risk = [np.sum(lam * w**2)]
    for _ in range(steps):
        mean = Lam @ S[:M, :M] @ Lam
        one_sample = 2 * mean + Lam * (risk[-1] + noise_var)
        S = T @ S @ T.T
        S[:M, :M] += lr**2 * A @ ((one_sample - mean) / batch_size) @ A.T
        risk.append(np.trace(Lam @ S[:M, :M]))
    return np.array(risk)


def one_pass_volterra(features, eigenvalues, target, noise_var, lr, batch_size, steps):
    """The same without momentum, from L(t) = D(t) + (lr^2/B) sum_{u<t} K(t-1-u) L(u), H = F L F^T = U z U^T.

    D = sigma^2 + floor + sum z d^2 g^t and K(n) = sum z^2 g^n, g = 1 - 2 lr z + lr^2 (1 + 1/B) z^2, d = U^T v*.
    """
    lam, w = np.asarray(eigenvalues, float), np.asarray(target, float)  # (M,)
    z, U = np.linalg.eigh((features * lam) @ features.T)  # (N,), (N, N)
    d = U.T @ (features @ (lam * w)) / z  # (N,)
    floor = np.sum(lam * w**2) - np.sum(z * d**2)
    powers = (1 - 2 * lr * z + lr**2 * (1 + 1 / batch_size) * z**2) ** np.arange(steps + 1)[:, None]  # (T, N)
    forcing, kernel = noise_var + floor + powers @ (z * d**2), powers @ z**2  # (T,)
    label_risk = np.empty(steps + 1)
    for t in range(steps + 1):
        label_risk[t] = forcing[t] + lr**2 / batch_size * np.sum(kernel[:t][::-1] * label_risk[:t])
    return label_risk - noise_var


def one_pass_by_hand(rng, features, eigenvalues, target, noise_var, lr, batch_size, steps, runs, momentum=0.0):
    """Sampled one-pass SGD given F: risk (runs, steps+1), B fresh samples of all modes at every step of a run."""
    # notation:
    lam, w, B = np.asarray(eigenvalues, float), np.asarray(target, float), batch_size
    v = before = np.zeros((runs, len(features)))  # (R, N)
    risk = []
    for _ in range(steps + 1):
        Delta = w - v @ features  # (R, M)
        risk.append(Delta**2 @ lam)
        psi = rng.standard_normal((runs, B, len(lam))) * np.sqrt(lam)
        error = np.einsum("rbm,rm->rb", psi, Delta) + np.sqrt(noise_var) * rng.standard_normal((runs, B))
        pull = np.einsum("rb,rbm->rm", error, psi) @ features.T / B  # (R, N)
        v, before = v + lr * pull + momentum * (v - before), v
    return np.array(risk).T


def one_pass_largest_lr(curvature, batch_size, momentum=0.0):
    """The lr where the linear map of the second moments of d = v - v* gets spectral radius one; H (n, n) given.

    The map of S, as in `one_pass_moments`, is written out as a (4 n^2, 4 n^2) matrix: tiny n only.
    """
    # notation:
    H, n, identity = np.asarray(curvature, float), len(curvature), np.eye(len(curvature))

    def radius(lr):
        T = np.block([[(1 + momentum) * identity - lr * H, -momentum * identity], [identity, 0 * identity]])

        def move(state):
            S = state.reshape(2 * n, 2 * n)
            moved = T @ S @ T.T
            moved[:n, :n] += lr**2 / batch_size * (H @ S[:n, :n] @ H + H * np.trace(H @ S[:n, :n]))
            return moved.ravel()

        return np.max(np.abs(np.linalg.eigvals(np.stack([move(row) for row in np.eye(4 * n * n)], axis=1))))

    stable_end = 2 * (1 + momentum) / np.linalg.norm(H, 2)  # of the mean
    return brentq(lambda lr: radius(lr) - 1, 1e-3 * stable_end, stable_end, xtol=1e-10)


def one_pass_edge(eigenvalues, num_features, batch_size):
    """(z*, largest lr) of the deterministic equivalent without momentum: -df1(kappa(-z*)) = 1 + B, kappa < -lambda_1.

    s = kappa (1 - df1/N) grows with kappa up to the edge of the spectrum, where sum lam^2/(lam + kappa)^2 = N.
    """
    lam, N = np.asarray(eigenvalues, float), num_features
    top = np.max(lam)
    df1 = lambda kappa: np.sum(lam / (lam + kappa))  # noqa: E731
    slope = lambda kappa: 1 - np.sum(lam**2 / (lam + kappa) ** 2) / N  # noqa: E731
    far, near = -1e4 * np.sum(lam), -top * (1 + 1e-12)
    last = near if slope(near) > 0 else brentq(slope, far, near, xtol=1e-15)
    bound = lambda kappa: -df1(kappa) - 1 - batch_size  # noqa: E731
    kappa = last if bound(last) < 0 else brentq(bound, far, last, xtol=1e-15)
    edge = -kappa * (1 - df1(kappa) / N)
    return edge, 2 / ((1 + 1 / batch_size) * edge)


def one_pass_plateau(eigenvalues, target, noise_var, num_features, lr, batch_size):
    """Risk of the deterministic equivalent at t -> inf: L = D(inf)/(1 - (lr^2/B) sum_n K(n)), no momentum, N < M.

    D(inf) = sigma^2 + kappa sum lam w^2/(kappa + lam) at df1 = N; sum K = -df1(kappa(-z))/(lr^2 (1 + 1/B)) at
    z = 2/(lr (1 + 1/B)), beyond the spectrum.
    """
    lam, w, N = np.asarray(eigenvalues, float), np.asarray(target, float), num_features
    df1 = lambda kappa: np.sum(lam / (lam + kappa))  # noqa: E731
    floor_kappa = np.exp(brentq(lambda x: df1(np.exp(x)) - N, -60, 20, xtol=1e-14))
    floor = floor_kappa * np.sum(lam * w**2 / (floor_kappa + lam))
    z = 2 / (lr * (1 + 1 / batch_size))
    slope = lambda kappa: 1 - np.sum(lam**2 / (lam + kappa) ** 2) / N  # noqa: E731
    last = brentq(slope, -1e4 * np.sum(lam), -np.max(lam) * (1 + 1e-12), xtol=1e-15)
    kappa = brentq(lambda k: k * (1 - df1(k) / N) + z, -1e4 * z, last, xtol=1e-14)
    return (noise_var + floor) / (1 + df1(kappa) / (batch_size + 1)) - noise_var
