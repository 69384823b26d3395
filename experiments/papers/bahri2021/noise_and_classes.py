"""S3 on real images: noise on the inputs changes the exponent in data of a network, merging classes does not."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from experiments.compare.comparison import Comparison
from experiments.compare.statistics import power_line, slopes_of_draws, standard_error
from experiments.compare.verdicts import CLOSE, condition
from experiments.output import plotting, progress
from experiments.papers import images
from experiments.papers.row import Counts, Script, Shown, Values
from rfm.networks import networks

FULL_BATCH_LR = 3e-3  # of Adam, full batches
NUM_STOPS = 12  # times at which training could stop


def show(
    seed: int, *, data: str, samples: Counts, test: int, noises: Values, groups: Counts,
    width: int, steps: int, seeds: int,
) -> Shown:  # fmt: skip
    """Draw test loss at the best stopping time against data: panels of noise on the inputs, and of merged classes."""
    inputs, classes = images.load(data, seed)
    x, rng, most = images.flatten(inputs), np.random.default_rng(seed), max(samples)
    rows = np.array([rng.permutation(len(x))[: most + test] for _ in range(seeds)])
    noise = rng.standard_normal((*rows.shape, x.shape[1]))
    times = jnp.asarray(np.unique(np.round(np.geomspace(5, steps, NUM_STOPS))), int)
    keys = jax.random.split(jax.random.key(seed), seeds)
    whole = int(classes.max()) + 1
    panels = {
        "noise on the inputs": {f"s.d. {s:g}": (s, whole) for s in noises},
        f"{whole} classes merged": {f"{g} classes": (noises[0], g) for g in (whole, *groups)},
    }
    figure, axes = plotting.new_figure(1, 2, caption="points: networks, two standard errors over seeds; lines: fits")
    verdicts, table, size = [], [], np.array(samples, float)
    least = 0.0  # change by the least noise
    for ax, (title, curves) in zip(axes[0], panels.items(), strict=True):
        first = None
        for index, (name, (s, g)) in enumerate(curves.items()):
            z, y = (x[rows] + s * noise) / np.sqrt(1.0 + s**2), images.outputs(classes, g)[rows]
            drawn = jnp.asarray(z, jnp.float32), jnp.asarray(y, jnp.float32)
            network = networks.build((z.shape[-1], width, y.shape[-1]), "standard", "adam")
            best = np.empty((seeds, len(samples)))
            for i, count in enumerate(progress.over(samples, "run", name)):
                best[:, i] = _losses(network, drawn, count, keys, most=most, times=times).min(1)  # of (S, T)
            each = -slopes_of_draws(size, best)
            alpha, error = each.mean(), float(standard_error(each))
            label = f"{name}: $\\alpha_D$ = {alpha:.3f} $\\pm$ {error:.3f}"
            pair = Comparison("samples", size, best, power_line(size, best, -alpha), label=label)
            plotting.draw(ax, pair, index)
            columns = ("panel", "curve", "P", "loss", "stderr")
            table += pair.rows(*columns, panel=title, curve=name, P=samples, loss=pair.mean)
            if first is None:
                first = each
                continue
            change, error = float(np.mean(each - first)), float(standard_error(each - first))
            same = abs(change) <= max(2.0 * error, CLOSE)  # by seeds, of the same rows in both
            text = f"{alpha:.3f} against {first.mean():.3f}, difference {change:+.3f} ± {error:.3f}"
            if g == whole:
                least, claim, holds = least or abs(change), "another", not same
            else:
                claim, holds = "the same", same
                text += f", {abs(change) / least:.0%} of what the least noise does"
            verdicts.append(condition(f"alpha_D with {name}", claim, text, holds))
        plotting.finish(ax, "data $P$", "test loss over that of the mean label", title)
    return Shown(figure, table, tuple(verdicts))


@partial(jax.jit, static_argnames=("most",))
def _losses(
    network: networks.Network, rows: tuple[Array, Array], size: int, keys: Array, *, most: int, times: Array
) -> Array:
    """Test loss (S, T), relative to that of the mean label, after training on the first `size` of `most` rows.

    The output counts less that at the start. Sizes share one program.
    """

    def run(x: Array, y: Array, key: Array) -> Array:
        params = networks.init(network, key)
        labels = y + networks.apply(network, params, x)
        count = len(x) - most
        level = jnp.mean(jnp.sum(y[most:] ** 2, axis=1))
        weight = ((jnp.arange(most) < size) / size).astype(jnp.float32)
        test = x[most:], labels[most:], jnp.full(count, 1.0 / count, jnp.float32) / level
        rule = networks.rule(network, "adam", jnp.float32(FULL_BATCH_LR))
        return networks.train(network, params, rule, lambda _: (x[:most], labels[:most], weight), test, times=times)[1]

    return jax.vmap(run)(*rows, keys)


main = Script(
    name="S3-noise",
    title="Noise on the inputs and merged classes: the exponent in data of a network",
    source="Bahri et al. 2021 (arXiv 2102.06701), noise and superclasses on CIFAR",
    claim="noise on the inputs changes the exponent in data, merging classes into superclasses does not",
    show=show,
    full=dict(data="digits", samples=(64, 128, 256, 512, 768), test=1024, noises=(0.0, 0.5, 1.0, 2.0), groups=(5, 2),
              width=128, steps=300, seeds=12),
    smoke=dict(data="digits", samples=(32, 128), test=128, noises=(0.0, 2.0), groups=(2,), width=16, steps=60, seeds=3),
    limits=(
        "S3 trains wide residual networks on CIFAR-10 and CIFAR-100; other images with this network: rfm figures "
        "S3-noise --data FILE.npz, with arrays x (n, ...) of n >= 1,792 rows and classes y (n,)."
    ),
)  # fmt: skip
