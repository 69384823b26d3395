"""Independent oracles in plain numpy: slow, literal, and sharing no method with what they check.

Model: features psi ~ N(0, diag(lam)), label y = w.psi + sigma eps, student v.(F psi) with F (N, M),
F_ik ~ N(0, 1/N), v(0) = 0 and Delta = w - F^T v. Risk is Delta^T diag(lam) Delta (no factor 1/2,
no sigma^2); the training loss is (1/P) |Psi Delta + sigma eps|^2. Sizes: M modes, N features,
P samples. Shapes stand in brackets after a name.
"""

import numpy as np
from scipy.linalg import expm
from scipy.optimize import brentq

_CHUNK = 64  # modes per batch: bounds the temporaries at a few (64, T+1, T+1) arrays


def _chunks(num_modes):
    return [slice(i, i + _CHUNK) for i in range(0, num_modes, _CHUNK)]


def _sandwich(H, Y, *weights):
    """sum_k c_k H_k Y H_k^T for each weight vector c (M,); H (M, n, n), Y (n, n)."""
    totals = [np.zeros_like(Y) for _ in weights]
    for part in _chunks(len(H)):
        HY = H[part] @ Y  # (chunk, n, n)
        for total, c in zip(totals, weights, strict=True):
            total += np.tensordot(HY * c[part, None, None], H[part], axes=([0, 2], [0, 2]))
    return totals


def _iterate(update, state, rounds, tol):
    """Repeat state <- update(*state) until no matrix moves by more than tol x its largest entry."""
    for _ in range(rounds):
        new = update(*state)
        pairs = zip(new, state, strict=True)
        settled = [np.max(np.abs(x - y)) <= tol * np.max(np.abs(x)) for x, y in pairs]
        state = new
        if all(settled):  # a NaN compares false, so an overflow ends in the error below
            return state
    raise RuntimeError(f"fixed point not reached to {tol:g} in {rounds} rounds")


def time_domain_gd(eigenvalues, target, noise_var, num_features, num_samples, lr, steps, tol=1e-13):
    """Mean-field gradient descent from step 0 to T = steps: risk (T+1,), train_loss (T+1,).

    (T+1, T+1) lower-triangular matrices; Theta = lr x strictly lower ones; 1 = ones; sums over k:
      H_k = (I + lam_k Theta R3 R1)^-1,  S = sum lam_k H_k,
      R1 = (I + S Theta R3 / P)^-1,  R3 = (I + R1 S Theta / N)^-1,
      X_k = w_k^2 11^T + Theta C3 Theta^T / N,  V_k = I - lam_k R1 H_k Theta R3,
      C0 = sum lam_k H_k [X_k + (lam_k/P) Theta R3 C1 R3^T Theta^T] H_k^T,
      C1 = R1 (C0 + sigma^2 11^T) R1^T,  C3 = R3 C2 R3^T,
      C2 = sum (lam_k/P) V_k C1 V_k^T + lam_k^2 R1 H_k X_k H_k^T R1^T;
    risk = diag C0, train_loss = diag C1. eigenvalues, target (M,); N or P may be np.inf.
    Stops when a round moves no matrix by more than `tol` of its largest entry, and raises if none
    does. So the accuracy is about `tol` times the risk at step 0. Costs M T^3 a round.
    """
    # notation:
    lam, w2 = np.asarray(eigenvalues, float), np.asarray(target, float) ** 2  # (M,)
    var, N, P, n = noise_var, num_features, num_samples, steps + 1
    identity, ones = np.eye(n), np.ones((n, n))
    Theta = lr * np.tril(ones, -1)  # (n, n)
    # Theta looks strictly back in time, so each round settles at least one more step: n rounds are
    # enough in exact arithmetic (ten to forty in practice), the rest is room for rounding to settle.
    rounds = n + 10

    def modes(part, R1, R3):
        return np.linalg.inv(identity + lam[part, None, None] * (Theta @ R3 @ R1))  # (chunk, n, n)

    def response(R1, R3):
        S = sum(np.tensordot(lam[p], modes(p, R1, R3), axes=1) for p in _chunks(len(lam)))  # (n, n)
        R1 = np.linalg.inv(identity + S @ Theta @ R3 / P)
        R3 = np.linalg.inv(identity + R1 @ S @ Theta / N)
        return R1, R3

    R1, R3 = _iterate(response, (identity, identity), rounds, tol)
    H = np.concatenate([modes(p, R1, R3) for p in _chunks(len(lam))])  # (M, n, n)
    V = identity - lam[:, None, None] * (R1 @ H @ (Theta @ R3))  # (M, n, n)
    h = H.sum(axis=2)  # (M, n), H_k 1: the rank-one part of X_k needs no matrix product
    signal_0 = (h.T * (lam * w2)) @ h  # (n, n)
    signal_2 = (h.T * (lam**2 * w2)) @ h  # (n, n)

    def correlation(C0, C1, C3):
        X_0, X_2 = _sandwich(H, Theta @ C3 @ Theta.T / N, lam, lam**2)
        (D,) = _sandwich(H, Theta @ R3 @ C1 @ R3.T @ Theta.T / P, lam**2)
        C0 = signal_0 + X_0 + D
        C1 = R1 @ (C0 + var * ones) @ R1.T
        C2 = _sandwich(V, C1, lam / P)[0] + R1 @ (signal_2 + X_2) @ R1.T
        return C0, C1, R3 @ C2 @ R3.T

    zero = np.zeros((n, n))
    C0, C1, _ = _iterate(correlation, (zero, zero, zero), rounds, tol)
    return np.diag(C0).copy(), np.diag(C1).copy()


def _draw(rng, eigenvalues, noise_var, num_features, num_samples):
    """F (N, M), Psi (P, M), sigma eps (P,), all dense and drawn at once.

    num_features = np.inf gives F = identity, whose F^T F is the infinite-width limit exactly.
    """
    # notation:
    lam, N, P = np.asarray(eigenvalues, float), num_features, num_samples
    M = len(lam)
    F = np.eye(M) if np.isinf(N) else rng.standard_normal((N, M)) / np.sqrt(N)  # (N, M)
    Psi = rng.standard_normal((P, M)) * np.sqrt(lam)  # (P, M)
    return F, Psi, np.sqrt(noise_var) * rng.standard_normal(P)


def _losses(Delta, eigenvalues, Psi, noise):
    """(risk, train_loss) of one error vector Delta (M,)."""
    return np.sum(eigenvalues * Delta**2), np.mean((Psi @ Delta + noise) ** 2)


def train_by_hand(rng, eigenvalues, target, noise_var, num_features, num_samples, lr, steps_list):
    """One draw, a loop of v <- v + (lr/P) F Psi^T (y - Psi F^T v): risk, train_loss (len(list),).

    `steps_list` holds step counts in any order; 0 is the untrained student.
    """
    lam, w = np.asarray(eigenvalues, float), np.asarray(target, float)  # (M,)
    F, Psi, noise = _draw(rng, lam, noise_var, num_features, num_samples)
    y = Psi @ w + noise  # (P,)
    v = np.zeros(len(F))  # (N,)
    wanted, found = set(steps_list), {}
    for step in range(max(wanted) + 1):
        if step in wanted:
            found[step] = _losses(w - F.T @ v, lam, Psi, noise)
        v = v + lr * F @ (Psi.T @ (y - Psi @ (F.T @ v))) / num_samples
    risk, train_loss = np.array([found[step] for step in steps_list]).T
    return risk, train_loss


def flow_by_hand(rng, eigenvalues, target, noise_var, num_features, num_samples, times):
    """One draw of d Delta/dt = -F^T F (1/P) Psi^T (Psi Delta + sigma eps): risk, train_loss (T,).

    times (T,). The exponential of the (M+1, M+1) affine system [[-A, -c], [0, 0]] acting on
    (Delta, 1): A is not symmetric, so no eigendecomposition and no kernel is involved. Small M
    only. Squaring loses about eps x t |A| of relative accuracy, so keep t below about 1e5.
    """
    lam, w = np.asarray(eigenvalues, float), np.asarray(target, float)  # (M,)
    F, Psi, noise = _draw(rng, lam, noise_var, num_features, num_samples)
    M = len(lam)
    G = F.T @ (F @ Psi.T) / num_samples  # (M, P)
    generator = np.zeros((M + 1, M + 1))
    generator[:M, :M] = -G @ Psi
    generator[:M, M] = -G @ noise
    start = np.append(w, 1.0)  # (M+1,)
    paths = [(expm(generator * t) @ start)[:M] for t in times]
    risk, train_loss = np.array([_losses(Delta, lam, Psi, noise) for Delta in paths]).T
    return risk, train_loss


def ridge_by_hand(rng, eigenvalues, target, noise_var, num_features, num_samples, ridge):
    """One draw of (F Psi^T Psi F^T / P + ridge I) v = F Psi^T y / P: scalars risk, train_loss."""
    lam, w = np.asarray(eigenvalues, float), np.asarray(target, float)  # (M,)
    F, Psi, noise = _draw(rng, lam, noise_var, num_features, num_samples)
    Phi = Psi @ F.T  # (P, N)
    gram = Phi.T @ Phi / num_samples + ridge * np.eye(len(F))  # (N, N)
    v = np.linalg.solve(gram, Phi.T @ (Psi @ w + noise) / num_samples)  # (N,)
    return _losses(w - F.T @ v, lam, Psi, noise)


def kappa_real(eigenvalues, multiplicity, s, num_features, num_samples):
    """The positive root of s = kappa (1 - df1/N)(1 - df1/P), real s > 0, with df1 < min(N, P).

    df1 = sum m lam/(lam + kappa); eigenvalues, multiplicity (M,). The search starts at kappa = s,
    because both brackets are at most 1. For s -> 0 a bracket cancels and the relative residual
    grows to about 1e-16 kappa/s; kappa itself keeps its digits.
    """
    # notation:
    lam, m = np.asarray(eigenvalues, float), np.asarray(multiplicity, float)  # (M,)
    N, P = num_features, num_samples
    if not s > 0:
        raise ValueError(f"Argument `s` must be positive, but is {s}.")

    def gap(log_kappa):
        df1 = np.sum(m * lam / (lam + np.exp(log_kappa)))
        # Where df1 exceeds both N and P the product is positive again: a spurious root lies there,
        # so from df1 = min(N, P) on the function keeps its boundary value.
        if df1 >= min(N, P):
            return -1.0
        return np.exp(log_kappa) * (1 - df1 / N) * (1 - df1 / P) / s - 1.0

    low = np.log(s)
    high = low + 1.0
    while gap(high) <= 0:
        high += 1.0
    return np.exp(brentq(gap, low, high, xtol=1e-15, rtol=1e-15, maxiter=1000))


def static_risk(eigenvalues, target, noise_var, num_features, num_samples, ridge):
    """Ridge regression, ridge > 0, from E(s, s) at s = ridge by direct sums: risk, train_loss ().

    E = [sigma^2 + k^2 T1 + k^2 t1 T2/(N - df2)] / [1 - df2/P - k^2 t1^2/(P (N - df2))],
    t1 = sum lam q, df2 = sum lam^2 q, T1 = sum lam w^2 q, T2 = sum lam^2 w^2 q, q = (k + lam)^-2;
    risk = E - sigma^2, train_loss = (1 - df1/P)^2 E, k = kappa.
    """
    # notation:
    lam, w2 = np.asarray(eigenvalues, float), np.asarray(target, float) ** 2  # (M,)
    N, P = num_features, num_samples
    k = kappa_real(lam, np.ones_like(lam), ridge, N, P)
    q = 1 / (k + lam) ** 2  # (M,)
    t1, df2 = np.sum(lam * q), np.sum(lam**2 * q)
    T1, T2 = np.sum(lam * w2 * q), np.sum(lam**2 * w2 * q)
    R1 = 1 - np.sum(lam / (lam + k)) / P
    top = noise_var + k**2 * T1 + k**2 * t1 * T2 / (N - df2)
    E = top / (1 - df2 / P - (k * t1) ** 2 / (P * (N - df2)))
    return E - noise_var, R1**2 * E


def marchenko_pastur_limits(num_modes, num_samples, noise_var, target_norm_sq):
    """White spectrum, all lam = 1, N = inf, t -> inf: (signal risk, noise risk, train_loss).

    P < M: (1 - P/M) |w|^2, sigma^2 P/(M - P), 0.   P > M: 0, sigma^2 M/(P - M), sigma^2 (1 - M/P).
    Risk is the sum of the first two.
    """
    M, P = num_modes, num_samples
    if P == M:
        raise ValueError(f"Argument `num_samples` must differ from num_modes, but both are {M}.")
    if P < M:
        return (1 - P / M) * target_norm_sq, noise_var * P / (M - P), 0.0
    return 0.0, noise_var * M / (P - M), noise_var * (1 - M / P)


def white_two_sided_limit(nu, alpha):
    """White spectrum, sigma = 0, t -> inf, |w|^2/M = 1, nu = N/M, alpha = P/M: (one, ensemble).

    Risk/M of one model, and of infinitely many that share the data but not the features:
      nu < alpha: (1-nu)/(1-nu/alpha), (1-nu)^2/(1-nu^2/alpha);
      alpha < nu: (1-alpha)/(1-alpha/nu), 1-alpha.
    With min(nu, alpha) >= 1 every mode is learned and both vanish, but not at nu = alpha = 1, where
    the limit depends on the direction (and is 1/3 along it).
    """
    if nu == alpha <= 1:
        raise ValueError(f"Argument `nu` must differ from alpha, but both are {nu}.")
    if min(nu, alpha) >= 1:
        return 0.0, 0.0
    if nu < alpha:
        return (1 - nu) / (1 - nu / alpha), (1 - nu) ** 2 / (1 - nu**2 / alpha)
    return (1 - alpha) / (1 - alpha / nu), 1 - alpha


def population_flow(eigenvalues, target, times):
    """N = P = inf, gradient flow: risk(t) = sum lam w^2 exp(-2 lam t); times (T,) -> (T,)."""
    lam, w = np.asarray(eigenvalues, float), np.asarray(target, float)  # (M,)
    return np.array([np.sum(lam * w**2 * np.exp(-2 * lam * t)) for t in times])


def population_gd(eigenvalues, target, lr, steps):
    """N = P = inf, gradient descent: risk = sum lam w^2 (1 - lr lam)^(2 steps); (T,) -> (T,)."""
    lam, w = np.asarray(eigenvalues, float), np.asarray(target, float)  # (M,)
    return np.array([np.sum(lam * w**2 * (1 - lr * lam) ** (2 * n)) for n in steps])


def momentum_residual(z, lr, momentum, steps, nesterov=False):
    """r_t(z) for t = 0 .. steps by taking the steps in extended precision: (steps+1, *z.shape); z real or complex.

    Heavy ball: r' = r - lr z r + momentum (r - r_before); Nesterov: u = r + momentum (r - r_before), r' = u - lr z u.
    """
    lr, momentum, z = np.longdouble(lr), np.longdouble(momentum), z * np.longdouble(1)
    r = before = np.ones_like(z)
    out = [r]
    for _ in range(steps):
        ahead = r + momentum * (r - before)
        r, before = ahead - lr * z * (ahead if nesterov else r), r
        out.append(r)
    return np.array(out)
