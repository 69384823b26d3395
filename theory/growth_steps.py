"""Discrete steps where the features are trained too: the network itself, on the nodes of a contour.

Everything that training reaches from theta = 0, W = 1 along the moment h of features and labels is a function of the
curvature H: theta = a(H) h, and W = s + sum over pairs of such vectors, a kernel B(z, z'). With the measure mu of h,

    |h|^2 = sum_n mu_n,  W^T theta -> b(z) = s a(z) + sum mu_n a_n B(z_n, z),  W g -> s g(z) + sum B(z, z_n) mu_n g_n

a step of any linear algorithm along the gradients W g of theta and gamma theta g^T of W, g = z b - 1, is exact on the
nodes. The residual left in a direction is 1 - z b(z), and the kernel has grown by m = 1 + gamma |theta|^2.
"""

from typing import Any, NamedTuple

from theory.arrays import Array, namespace, scan, stop_gradient
from theory.growth import Drive, Growth


class Rates(NamedTuple):
    """Learning rate (S,) of every step, momentum and weight decay; ahead: 1 for Nesterov's gradient, after it."""

    lr: Array
    momentum: Array
    weight_decay: Array
    ahead: float


class Network(NamedTuple):
    """Readout a (n,), identity part s (), and kernel at pairs of nodes and of a node with a conjugate, (n, n) each."""

    readout: Array
    identity: Array
    pair: Array
    mirror: Array


class Change(NamedTuple):
    """Gradient of a `Network`: that of its readout (n,), and the two factors (n,) of that of W."""

    readout: Array
    left: Array
    right: Array


def rich_steps(drive: Drive, times: Array, rates: Rates, richness: Array) -> Growth:
    """Return growth and filter before steps `times` (T,), whole numbers up to the number of rates."""
    xp = namespace(drive.z, rates.lr, richness)
    n = drive.z.shape[0]
    zero = xp.zeros_like(drive.z) * (1.0 + 0.0 * richness)
    square = xp.zeros((n, n)) * zero[None]
    start = Network(zero, xp.ones_like(richness * drive.z.real[0]), square, square)
    half = 0.5 * drive.weights  # of the upper half alone

    def observed(network: Network) -> tuple[Array, Array]:
        growth = 1.0 + richness * (network.readout**2 @ drive.weights).real
        return growth, _effective(network, half)

    def step(state: tuple[Network, Network], lr: Array) -> tuple[tuple[Network, Network], Any]:
        now, before = state
        carried = _mixed(1.0 + rates.momentum, now, -rates.momentum, before)
        at = _mixed(rates.ahead, carried, 1.0 - rates.ahead, now)
        change = _gradient(at, drive.z, half)
        return (_moved(carried, at, change, (lr, lr * richness, rates.weight_decay)), now), observed(now)

    (end, _), (growth, effective) = scan(step, (start, start), rates.lr)
    last = observed(end)
    growth, effective = (xp.concatenate([x, y[None]]) for x, y in zip((growth, effective), last, strict=True))
    at = times.astype(int)
    coarse = 1.0 + 2.0 * richness * (end.readout[::2] ** 2 @ drive.weights[::2]).real
    error = stop_gradient(((coarse - growth[-1]) / growth[-1]) ** 2)
    return Growth(growth[at], 1.0 - drive.z[None] * effective[at], error)


def _effective(network: Network, half: Array) -> Array:
    """Return b (n,), the effective weights."""
    weighed = half * network.readout
    # of the lower half of the contour: B(conj z_n, z) = conj B(z_n, conj z)
    return network.identity * network.readout + weighed @ network.pair + weighed.conj() @ network.mirror.conj()


def _gradient(network: Network, z: Array, half: Array) -> Change:
    g = z * _effective(network, half) - 1.0
    weighed = half * g
    through = network.identity * g + network.pair @ weighed + network.mirror @ weighed.conj()
    return Change(through, network.readout, g)


def _mixed(share: Any, network: Network, other_share: Any, other: Network) -> Network:
    parts = (share * x + other_share * y for x, y in zip(network, other, strict=True))
    return Network(*parts)


def _moved(start: Network, at: Network, change: Change, rates: tuple[Array, Array, Array]) -> Network:
    """Take a step from `start` along the gradient at `at`; rates: of the readout, of W, and weight decay."""
    lr, lr_features, decay = rates
    left = lr_features * change.left[:, None]
    return Network(
        start.readout - lr * (change.readout + decay * at.readout),
        start.identity - lr * decay * at.identity,
        start.pair - left * change.right[None] - lr * decay * at.pair,
        start.mirror - left * change.right.conj()[None] - lr * decay * at.mirror,
    )
