"""One-pass SGD where the features are trained too: mean and scatter of the weights, to first order in lr/B.

To the steps of `theory.growth_steps` a batch of B samples adds noise of covariance (H L + g g^T)/B to the gradient,
with L the label risk. Effective weights are then b(H) h on average, with residual g = 1 - z b, and scatter by c per
unit of the density nu of curvatures, sum_n nu_n f(z_n) = tr H f(H):

    b <- b + lr [(1 + d) g + A mu g + gamma n g + (gamma/m) b B_n] + lr^2 gamma (B_s + B_n) g
    c <- (1 - lr m z + lr gamma B_s/m)^2 c + lr^2 m^2 (nu L + mu g^2 + z^2 c)/B
    B_s = sum mu b g,  B_n = -sum c z,  L = sigma^2 + risk,  risk = (risk of the mean) + sum c z

with K = W^T W of mean 1 + A between directions and 1 + d along one, n = |theta|^2 and m = 1 + gamma n. What is left out
are correlations that only one direction feels; they matter once lr m tr(H)/B is of order one, which is reported.

Of P samples that are used again, each batch drawn anew, 1/B becomes (P - B)/((P - 1) B) and L the training loss. Risk
is no sum over directions of H then: what a batch adds along g is kept apart, as moments X of b at pairs of nodes, and
both losses are double integrals over two nodes,

    X <- keep keep' X + (lr m)^2 (g g' + z z' X) (P - B)/((P - 1) B),  S = g g' + z z' X
    L = (1/2 pi i)^2 oint oint R1 R1' E S dz dz'/(z z') + sum c z,  risk with E - sigma^2, and -kappa R3 c in the sum
"""

from typing import Any, NamedTuple

from theory.arrays import Array, namespace, scan


class Cloud(NamedTuple):
    """Nodes z (n,), weights (n,) of h and of curvatures there, of the risk, the label noise, and samples used again.

    bias: of fresh samples; of others the weights are in `again`, None for fresh ones.
    """

    z: Array
    moment: Array
    curvatures: Array
    bias: Array
    noise_var: Array
    again: "Again | None" = None


class Again(NamedTuple):
    """Weights (2, n, n) of pairs of nodes, and of a node with a conjugate, in risk and training loss, and of c (n,)."""

    pair: Array
    mirror: Array
    scatter: Array


class Batches(NamedTuple):
    """Learning rate (S,) of every step, and the variance of a batch's mean, that of one sample being 1."""

    lr: Array
    chance: Array


class Losses(NamedTuple):
    """Risk, training loss and growth (T,) at some steps, and the largest lr m tr(H)/B on the way."""

    risk: Array
    train_loss: Array
    growth: Array
    crowding: Array


class Mean(NamedTuple):
    """Mean b (n,), kernel A at pairs of nodes and with conjugates (n, n), d, c and scatter of a mode (n,), and n.

    apart: X at pairs and with conjugates (n, n), None for fresh samples.
    """

    weights: Array
    pair: Array
    mirror: Array
    diagonal: Array
    scatter: Array
    variance: Array
    square: Array
    apart: tuple[Array, Array] | None


def rich_batches(cloud: Cloud, times: Array, rates: Batches, richness: Array) -> Losses:
    """Return losses before steps `times` (T,), whole numbers up to the number of rates."""
    xp = namespace(cloud.z, rates.lr, richness)
    z, moment, nu = cloud.z, cloud.moment, cloud.curvatures
    zero = xp.zeros_like(z) * (1.0 + 0.0 * richness)
    kernel = zero[:, None] * zero[None]
    apart = None if cloud.again is None else (kernel, kernel)
    start = Mean(zero, kernel, kernel, zero, zero, zero, zero.real[0], apart)
    trace = nu.real.sum()

    def total(weights: Array, values: Array) -> Array:
        return (weights * values).real.sum()

    def step(state: Mean, now: Batches) -> tuple[Mean, Any]:
        rate, chance = now
        b, pair, mirror, d, c, v, n, apart = state
        m, g = 1.0 + richness * n, 1.0 - z * b
        risk, label = _losses(cloud, state, g)
        weighed = 0.5 * moment * g
        through = (1.0 + d) * g + pair @ weighed + mirror @ weighed.conj()
        signal, noise = total(moment, b * g), -total(c, z)
        if apart is not None:
            noise = noise - total(moment, z * xp.diagonal(apart[0]))
        moved = b + rate * (through + richness * (n * g + b * noise / m)) + rate**2 * richness * (signal + noise) * g
        keep = 1.0 - rate * m * z + rate * richness * signal / m
        kick = (rate * m) ** 2 * chance
        along = moment * g * g if apart is None else 0.0
        new_c = keep**2 * c + kick * (nu * label + along + z * z * c)
        if apart is not None:
            apart = tuple(
                keep[:, None] * y[None] * x + kick * s  # eq. 59
                for x, y, s in zip(apart, (keep, keep.conj()), _moments(g, z, apart), strict=True)
            )
        new_v = keep**2 * v + kick * z * label
        new_d = d - 2.0 * rate * richness * z * v + (rate * richness) ** 2 * n * chance * z * label
        # of g^T K g: that of the mean, and the noise of a batch in all directions
        spread = total(nu, 1.0 + d) + total(moment, z * xp.diagonal(pair))
        push = total(moment, g * through) + chance * label * spread
        new_n = n + 2.0 * rate * (signal + noise) + rate**2 * push
        grown, bent = rate * richness, (rate * richness) ** 2 * n
        left = grown * b + bent * g
        pair = pair + left[:, None] * g[None] + grown * g[:, None] * b[None]
        mirror = mirror + left[:, None] * g.conj()[None] + grown * g[:, None] * b.conj()[None]
        state = Mean(moved, pair, mirror, new_d, new_c, new_v, new_n, apart)
        return state, (risk, label, m, rate * m * trace * chance)

    # one more, whose result is not looked at
    longer = Batches(*(xp.concatenate([x, x[-1:]]) for x in rates))
    _, (risk, train_loss, growth, crowding) = scan(step, start, longer)  # eq. 44
    at = times.astype(int)
    return Losses(risk[at], train_loss[at], growth[at], crowding.max())


def _moments(g: Array, z: Array, apart: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return S at pairs of nodes and with conjugates (n, n)."""
    pair, mirror = apart
    same = g[:, None] * g[None] + z[:, None] * z[None] * pair
    return same, g[:, None] * g.conj()[None] + z[:, None] * z.conj()[None] * mirror


def _losses(cloud: Cloud, state: Mean, g: Array) -> tuple[Array, Array]:
    """Return risk and L."""
    c, again = state.scatter, cloud.again
    if again is None or state.apart is None:
        risk = (cloud.bias * g * g).real.sum() + (c * cloud.z).real.sum()
        return risk, risk + cloud.noise_var
    pair, mirror = _moments(g, cloud.z, state.apart)
    weighed = 2.0 * (again.pair * pair[None] + again.mirror * mirror[None]).real.sum((1, 2))
    return weighed[0] + (c * again.scatter).real.sum(), weighed[1] + (c * cloud.z).real.sum()
