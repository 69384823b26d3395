"""One-pass SGD where the features are trained too: mean and scatter of the weights, to first order in lr/B.

To the steps of `theory.growth_steps` a batch of B samples adds noise of covariance (H L + g g^T)/B to the gradient,
with L the label risk. Effective weights are then b(H) h on average, with residual g = 1 - z b, and scatter by c per
unit of the density nu of curvatures, sum_n nu_n f(z_n) = tr H f(H):

    b <- b + lr [(1 + d) g + A mu g + gamma n g + (gamma/m) b B_n] + lr^2 gamma (B_s + B_n) g
    c <- (1 - lr m z + lr gamma B_s/m)^2 c + lr^2 m^2 (nu L + mu g^2 + z^2 c)/B
    B_s = sum mu b g,  B_n = -sum c z,  L = sigma^2 + risk,  risk = (risk of the mean) + sum c z

with K = W^T W of mean 1 + A between directions and 1 + d along one, n = |theta|^2 and m = 1 + gamma n. What is left out
are correlations that only one direction feels; they matter once lr m tr(H)/B is of order one, which is reported.
"""

from typing import Any, NamedTuple

from theory.arrays import Array, namespace, scan


class Cloud(NamedTuple):
    """Nodes z (n,), weights (n,) of h and of curvatures there, of the risk, the label noise, and tr H."""

    z: Array
    moment: Array
    curvatures: Array
    bias: Array
    noise_var: Array


class Batches(NamedTuple):
    """Learning rate and batch size (S,) of every step."""

    lr: Array
    size: Array


class Losses(NamedTuple):
    """Risk and growth (T,) at some steps, and the largest lr m tr(H)/B on the way."""

    risk: Array
    growth: Array
    crowding: Array


class Mean(NamedTuple):
    """Mean b (n,), kernel A at pairs of nodes and with conjugates (n, n), d, c and scatter of a mode (n,), and n."""

    weights: Array
    pair: Array
    mirror: Array
    diagonal: Array
    scatter: Array
    variance: Array
    square: Array


def rich_batches(cloud: Cloud, times: Array, rates: Batches, richness: Array) -> Losses:
    """Return losses before steps `times` (T,), whole numbers up to the number of rates."""
    xp = namespace(cloud.z, rates.lr, richness)
    z, moment, nu = cloud.z, cloud.moment, cloud.curvatures
    zero = xp.zeros_like(z) * (1.0 + 0.0 * richness)
    kernel = zero[:, None] * zero[None]
    start = Mean(zero, kernel, kernel, zero, zero, zero, zero.real[0])
    trace = nu.real.sum()

    def total(weights: Array, values: Array) -> Array:
        return (weights * values).real.sum()

    def step(state: Mean, now: Batches) -> tuple[Mean, Any]:
        rate, chance = now.lr, 1.0 / now.size
        b, pair, mirror, d, c, v, n = state
        m, g = 1.0 + richness * n, 1.0 - z * b
        risk = total(cloud.bias, g * g) + total(c, z)
        label = risk + cloud.noise_var
        weighed = 0.5 * moment * g
        through = (1.0 + d) * g + pair @ weighed + mirror @ weighed.conj()
        signal, noise = total(moment, b * g), -total(c, z)
        moved = b + rate * (through + richness * (n * g + b * noise / m)) + rate**2 * richness * (signal + noise) * g
        keep = (1.0 - rate * m * z + rate * richness * signal / m) ** 2
        kick = (rate * m) ** 2 * chance
        new_c = keep * c + kick * (nu * label + moment * g * g + z * z * c)
        new_v = keep * v + kick * z * label
        new_d = d - 2.0 * rate * richness * z * v + (rate * richness) ** 2 * n * chance * z * label
        # of g^T K g: that of the mean, and the noise of a batch in all directions
        spread = total(nu, 1.0 + d) + total(moment, z * xp.diagonal(pair))
        push = total(moment, g * through) + chance * label * spread
        new_n = n + 2.0 * rate * (signal + noise) + rate**2 * push
        grown, bent = rate * richness, (rate * richness) ** 2 * n
        left = grown * b + bent * g
        pair = pair + left[:, None] * g[None] + grown * g[:, None] * b[None]
        mirror = mirror + left[:, None] * g.conj()[None] + grown * g[:, None] * b.conj()[None]
        state = Mean(moved, pair, mirror, new_d, new_c, new_v, new_n)
        return state, (risk, m, rate * m * trace * chance)

    # one more, whose result is not looked at
    longer = Batches(*(xp.concatenate([x, x[-1:]]) for x in rates))
    _, (risk, growth, crowding) = scan(step, start, longer)
    at = times.astype(int)
    return Losses(risk[at], growth[at], crowding.max())
