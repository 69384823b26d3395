"""The next order of the mean: what finite N and P add to risk and training loss beyond the leading theory.

The average over rows and features of determinants of resolvents is an integral over two small matrices, R (of the
data) and rho = R3/s (of the features). The leading theory stands at its saddle; its one-loop determinant is the whole
next order. For two points a, b of one model both are 2 x 2, with a source J of the population loss and a source eps
of the target that turn them off the diagonal:

    L0 = sum_k log det(1 + lambda_k (rho + eps w_k^2 e)(R + J e)) + eps sigma^2 tr(e R)
         - P (log det R - tr R) - N (log det rho - tr Z rho),             e = [0 1; 1 0],  Z = diag(s_a, s_b)
    E - sigma^2 = (1/2) d_J d_eps [L0 + (1/2)(log det_sym - log det_anti)(H_free^-1 H)]

H holds the second derivatives of L0 in the symmetric and in the antisymmetric directions of (R, rho), H_free those
without modes. The mixed derivative is written out here. With e = lambda/(kappa + lambda) and g = 1 - e it consists of
sums over modes of powers of e and g at a times powers of e and g at b, which are products of matrices. The equation
of the off-diagonal elements v = R_ab and u = rho_ab is linear in the sources; v is kept in units of R_a R_b where eps
moves it, u in units of rho_a rho_b where J moves it, so that only kappa_a kappa_b = 1/(R_a R_b rho_a rho_b) remains.

N and P enter as 1/N and 1/P and may be infinite. Derived in docs/second-order.md.
"""

from typing import NamedTuple

from theory.arrays import Array, complex_of, namespace
from theory.fixed_point import Model
from theory.mode_sums import resolvent


class Pair(NamedTuple):
    """Components along the data, R or v = R_ab, and along the features, rho or u = rho_ab."""

    data: Array
    features: Array


class Symmetric(NamedTuple):
    """A symmetric 2 x 2 matrix in the directions of `Pair`."""

    data: Array
    mixed: Array
    features: Array

    def form(self, x: Pair, y: Pair) -> Array:
        """x . self y."""
        mixed = self.mixed * (x.data * y.features + x.features * y.data)
        return self.data * x.data * y.data + mixed + self.features * x.features * y.features

    def trace(self, other: "Symmetric") -> Array:
        """Trace of the product."""
        return self.data * other.data + 2.0 * self.mixed * other.mixed + self.features * other.features


class Point(NamedTuple):
    """One replica at points (n,): kappa, the inverse of H and the shift of (R, rho) by the next order.

    H and the shift are derivatives by log R and log rho.
    """

    kappa: Array
    inverse: Symmetric
    shift: Pair


class Sums(NamedTuple):
    """Sums over modes (2, ...) of the function before `_` at a and the one behind it at b; `l` is the eigenvalue.

    The first sums count modes, the second ones weigh them by w^2.
    """

    e_e: Array
    lg_g: Array
    leg_g: Array
    leeg_g: Array
    ee_e: Array
    eg_e: Array
    eee_e: Array
    eeg_e: Array
    eg_eg: Array
    leg_eg: Array
    ee_ee: Array


def one_replica(kappa: Array, model: Model) -> Point:
    """Return what one replica contributes at kappa (...,)."""
    modes, inv_n, inv_p, _ = model
    g = kappa[..., None] * resolvent(kappa, modes.eigenvalues)
    e = 1.0 - g
    count = modes.multiplicity
    df2, t = e**2 @ count, (e * g) @ count
    df2_slope, t_slope = 2.0 * ((e**2 * g) @ count), (e * g * (g - e)) @ count  # by log R, or log rho
    kept_p, kept_n = 1.0 - inv_p * df2, 1.0 - inv_n * df2
    det = kept_p * kept_n - inv_p * inv_n * t**2
    slope = -df2_slope * (inv_p * kept_n + inv_n * kept_p) - 2.0 * inv_p * inv_n * t * t_slope
    inverse = Symmetric(inv_p * kept_n / det, -inv_p * inv_n * t / det, inv_n * kept_p / det)
    half = -0.5 * slope / det
    return Point(kappa, inverse, Pair(half * (inverse.data + inverse.mixed), half * (inverse.mixed + inverse.features)))


class Kept(NamedTuple):
    """Shares kept at pairs of points: 1 - df2/P, 1 - df2/N, and the determinant of both directions."""

    data: Array
    features: Array
    det: Array


def kept_at(df2: Array, mix: Array, kk: Array, model: Model) -> Kept:
    """Return what is kept, from df2, sum lambda g g' and kappa kappa' at pairs of points."""
    data, features = 1.0 - model.inv_p * df2, 1.0 - model.inv_n * df2
    return Kept(data, features, data * features - model.inv_p * model.inv_n * mix**2 / kk)


def turned_by_loss(df2: Array, mix: Array, kk: Array, model: Model) -> Pair:
    """Return P dR_ab/dJ, and N drho_ab/dJ in units of rho_a rho_b, of the source J of the population loss."""
    kept = kept_at(df2, mix, kk, model)
    return Pair((kept.features * df2 + model.inv_n * mix**2 / kk) / kept.det, -mix / kept.det)


def _factors(kappa: Array, model: Model) -> list[tuple[bool, Array, Array]]:
    """Return the functions at a and at b of every sum of `Sums`, and whether it has an eigenvalue in it."""
    g = kappa[..., None] * resolvent(kappa, model.modes.eigenvalues)
    e = 1.0 - g
    eg, ee = e * g, e * e
    return [
        (False, e, e),
        (True, g, g),
        (True, eg, g),
        (True, ee * g, g),
        (False, ee, e),
        (False, eg, e),
        (False, ee * e, e),
        (False, ee * g, e),
        (False, eg, eg),
        (True, eg, eg),
        (False, ee, ee),
    ]


def _weights(model: Model, eigenvalue: bool) -> Array:
    """Weights of modes in sums that count them and in sums over w^2, (2, K)."""
    modes = model.modes
    both = namespace(modes.power).stack([modes.multiplicity, modes.power / modes.eigenvalues])
    return both * modes.eigenvalues[None] if eigenvalue else both


def sums_at_pairs(kappa: Array, model: Model) -> Sums:
    """Return the sums (2, 2, n, n) at all pairs of kappa (n,), and of it and its conjugate."""
    n, sums = kappa.shape[0], []
    for eigenvalue, f, h in _factors(kappa, model):
        xp = namespace(f)
        left = xp.concatenate([f.real, f.imag])  # (2n, K)
        right = xp.concatenate([h.real, h.imag])
        products = (left[None] * _weights(model, eigenvalue)[:, None]) @ right.T  # (2, 2n, 2n)
        xx, xy, yx, yy = products[:, :n, :n], products[:, :n, n:], products[:, n:, :n], products[:, n:, n:]
        sums.append(complex_of(xp.stack([xx - yy, xx + yy], axis=1), xp.stack([yx + xy, yx - xy], axis=1)))
    return Sums(*sums)


def sums_at_point(kappa: Array, model: Model) -> Sums:
    """Return the sums (2,) of a real kappa () with itself."""
    return Sums(*(_weights(model, eigenvalue) @ (f * h) for eigenvalue, f, h in _factors(kappa, model)))


def training_correction(point: Point, data: Array, model: Model) -> Array:
    """Return the correction of phi = s y'(s + K)^-1 y/P, K the kernel matrix over P, at points; data: R1 there."""
    modes, kappa = model.modes, point.kappa
    g = kappa[..., None] * resolvent(kappa, modes.eigenvalues)
    e, target = 1.0 - g, modes.power / modes.eigenvalues
    eeg, eee, eg, ee = (kappa * (f @ target) for f in (e * e * g, e**3, e * g, e * e))
    turned = point.inverse.trace(Symmetric(-2.0 * eeg, -2.0 * eeg, 2.0 * eee))
    return data * (0.5 * turned + (eg + model.noise_var) * point.shift.data - ee * point.shift.features)


def risk_correction(sums: Sums, a: Point, b: Point, model: Model) -> tuple[Array, Array]:
    """Return the correction of E - sigma^2 in two parts: one that is symmetric in a and b, one to symmetrise.

    The correction is the first part and the second one for (a, b) and for (b, a); a and b broadcast against sums.
    """
    # notation: v_j, u_j, v_eps, u_eps derivatives of R_ab + J and rho_ab by J and by eps; uv, vv, uu their products of
    # order J eps with _w where the target turns u by w^2 eps; own_* those of R_ab and rho_ab alone, times P and N
    inv_n, inv_p = model.inv_n, model.inv_p
    kk = a.kappa * b.kappa
    df2, df2_w = sums.e_e
    mix, mix_w = sums.lg_g
    kept_p, kept_n, det = kept_at(df2, mix, kk, model)
    label = mix_w + model.noise_var
    by_j = turned_by_loss(df2, mix, kk, model)
    by_eps = Pair(-(kept_n * label + inv_n * df2_w * mix) / det, (kept_p * df2_w + inv_p * mix * label / kk) / det)
    v_j, u_j = 1.0 + inv_p * by_j.data, inv_n * by_j.features
    v_eps, u_eps = inv_p * by_eps.data, inv_n * by_eps.features
    uv, vv, uu = v_j * u_eps + v_eps * u_j / kk, 2.0 * v_j * v_eps, 2.0 * u_j * u_eps
    uv_w, uu_w = v_j, 2.0 * u_j
    own_vv = 2.0 * inv_p * by_j.data * by_eps.data
    own_uu = 2.0 * inv_n * by_j.features * by_eps.features
    inverse = Symmetric(0.5 * inv_p * kept_n / det, -0.5 * inv_p * inv_n * mix / det, 0.5 * inv_n * kept_p / det)

    # what turns the diagonal of a: its saddle, its own second derivatives, and those that mix it with v and u
    leg, leg_w = sums.leg_g
    leeg, leeg_w = sums.leeg_g
    (ee_e, ee_e_w), (eg_e, eg_e_w) = sums.ee_e, sums.eg_e
    (eee, eee_w), (eeg, eeg_w) = sums.eee_e, sums.eeg_e
    crossed = -2.0 * (uv * leg + uv_w * leg_w)
    force = Pair(
        crossed + vv * ee_e - (uu * eg_e + uu_w * eg_e_w) - own_vv,
        crossed - vv * eg_e + (uu * ee_e + uu_w * ee_e_w) - own_uu,
    )
    bent, turned = 4.0 * (uv * leeg + uv_w * leeg_w), 2.0 * (uu * eeg + uu_w * eeg_w)
    second = Symmetric(
        bent - 2.0 * vv * eee + turned + 2.0 * own_vv,
        bent + crossed + 2.0 * vv * eeg + turned,
        bent + 2.0 * vv * eeg - 2.0 * (uu * eee + uu_w * eee_w) + 2.0 * own_uu,
    )
    both = -2.0 * u_j * leg / kk
    j_v = Pair(both + 2.0 * v_j * ee_e - 2.0 * by_j.data, both - 2.0 * v_j * eg_e)
    both = -2.0 * v_j * leg
    j_u = Pair(both - 2.0 * u_j * eg_e, both + 2.0 * u_j * ee_e - 2.0 * by_j.features)
    both = -2.0 * (u_eps * leg + leg_w)
    eps_v = Pair(both + 2.0 * v_eps * ee_e - 2.0 * by_eps.data, both - 2.0 * v_eps * eg_e)
    both = -2.0 * v_eps * leg / kk
    eps_u = Pair(both - 2.0 * (u_eps * eg_e + eg_e_w), both + 2.0 * (u_eps * ee_e + ee_e_w) - 2.0 * by_eps.features)
    loop = (
        inverse.data * a.inverse.form(j_v, eps_v)
        + inverse.mixed * (a.inverse.form(j_v, eps_u) + a.inverse.form(j_u, eps_v) / kk)
        + inverse.features * a.inverse.form(j_u, eps_u)
    )
    one_sided = 0.5 * (
        force.data * a.shift.data + force.features * a.shift.features + 0.5 * a.inverse.trace(second) - loop
    )  # eq. 32

    # second derivatives off the diagonal: symmetric directions less antisymmetric ones
    q1, q2, q3 = (x[0] for x in (sums.eg_eg, sums.leg_eg, sums.ee_ee))
    q1_eps, q2_eps, q3_eps = (u_eps * x[0] + x[1] for x in (sums.eg_eg, sums.leg_eg, sums.ee_ee))
    uv_j = v_eps * u_j / kk
    square_v = u_j * q1_eps - uv_j * q2 - v_j * q2_eps + v_j * v_eps * q3
    square_u = v_j * v_eps * q1 - v_j * q2_eps - uv_j * q2 + u_j * q3_eps
    product = uv_j * (q1 + q3) + v_j * (q3_eps + q1_eps) - 2.0 * (u_j * q2_eps + v_j * v_eps * q2) / kk
    seen = v_j * (u_eps * df2 + df2_w) + uv_j * df2
    odd = Symmetric(4.0 * own_vv - 8.0 * square_v, 4.0 * (seen - product), 4.0 * own_uu - 8.0 * square_u)
    return 0.5 * (0.5 * inverse.trace(odd) - inv_p * own_vv - inv_n * own_uu), one_sided  # eq. 32
