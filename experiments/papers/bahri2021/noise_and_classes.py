"""S3 on real images: noise on the inputs changes the exponent in data of a network, merging classes does not."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from experiments.compare.statistics import log_slope, standard_error
from experiments.compare.verdicts import CLOSE, Verdict, condition
from experiments.output import plotting
from experiments.papers import images
from experiments.papers.row import Script, Shown
from rfm.networks import networks

LR = 3e-3  # of Adam, full batches
RECORDS = 12  # times at which training could stop


def show(
    seed: int, data: str, samples: tuple, test: int, noises: tuple, groups: tuple, width: int, steps: int, seeds: int
) -> Shown:
    """Test loss at the best stopping time against data: panels of noise on the inputs, and of merged classes."""
    inputs, classes = images.load(data, seed)
    x, rng = images.flatten(inputs), np.random.default_rng(seed)
    rows = np.array([rng.permutation(len(x))[: max(samples) + test] for _ in range(seeds)])
    noise = rng.standard_normal((*rows.shape, x.shape[1]))
    times = jnp.asarray(np.unique(np.round(np.geomspace(5, steps, RECORDS))), int)
    keys = jax.random.split(jax.random.key(seed), seeds)
    whole = int(classes.max()) + 1
    panels = {
        "noise on the inputs": {f"s.d. {s:g}": (s, whole) for s in noises},
        f"{whole} classes merged": {f"{g} classes": (noises[0], g) for g in (whole, *groups)},
    }
    figure, axes = plotting.new_figure(1, 2, caption="points: networks, two standard errors over seeds; lines: fits")
    findings, table, size = [], [], np.array(samples, float)
    with tqdm(total=len(samples) * (len(noises) + len(groups) + 1), unit="run") as bar:
        for panel, (ax, (title, curves)) in enumerate(zip(axes[0], panels.items(), strict=True)):
            exponents = []
            for index, (name, (s, g)) in enumerate(curves.items()):
                z = (x[rows] + s * noise) / np.sqrt(1.0 + s**2)
                y = images.outputs(classes, g)[rows]
                losses = _curve(z, y, samples, width, times, keys, bar)
                each = np.array([-log_slope(size, one) for one in losses])
                alpha, error = each.mean(), float(standard_error(each[:, None])[0])
                exponents.append(each)
                line = np.exp(np.log(losses).mean() - alpha * (np.log(size) - np.log(size).mean()))
                plotting.draw_pair(ax, size, losses, size, line,
                                   f"{name}: $\\alpha_D$ = {alpha:.3f} $\\pm$ {error:.3f}", index)  # fmt: skip
                if index and panel == 0:
                    findings.append(_noisy(name, each, exponents[0]))
                    least = exponents[1]
                elif index:
                    findings.append(_merged(name, each, exponents[0], least))
                table += [
                    {"panel": title, "curve": name, "P": n, "loss": m, "stderr": e}
                    for n, m, e in zip(samples, losses.mean(0), standard_error(losses), strict=True)
                ]
            plotting.finish(ax, "data $P$", "test loss over that of the mean label", title)
    return Shown(figure, table, tuple(findings))


def _noisy(name, each, first) -> Verdict:
    """Another exponent? By more than two standard errors over seeds, of the same rows in both, and CLOSE."""
    moved = abs(np.mean(each - first)) > _near(each - first)
    return condition(f"alpha_D with {name}", "another", _told(each, first), moved)


def _merged(name, each, first, noisy) -> Verdict:
    """The same exponent? And how much it changes beside what noise of the exponents `noisy` (S,) does."""
    change, least = abs(np.mean(each - first)), abs(np.mean(noisy - first))
    told = _told(each, first) + f", {change / least:.0%} of what the least noise does"
    return condition(f"alpha_D with {name}", "the same", told, change <= _near(each - first))


def _near(difference) -> float:
    return max(2.0 * float(standard_error(difference[:, None])[0]), CLOSE)


def _told(each, first) -> str:
    error = float(standard_error((each - first)[:, None])[0])
    return f"{each.mean():.3f} against {first.mean():.3f}, difference {np.mean(each - first):+.3f} ± {error:.3f}"


def _curve(x, y, samples, width, times, keys, bar):
    """Best test loss over times, relative to that of the mean label, (S, X)."""
    network = networks.build((x.shape[-1], width, y.shape[-1]), "standard", "adam")
    x, y = jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32)
    columns = []
    for size in samples:
        losses = _losses(network, x, y, size, max(samples), times, keys)  # (S, T)
        columns.append(np.asarray(losses, float).min(1))
        bar.update()
    return np.array(columns).T


@partial(jax.jit, static_argnames=("most",))
def _losses(network, x, y, size, most, times, keys):
    """Test loss (S, T) after training on the first `size` of `most` rows; sizes share one program."""

    def one(x, y, key):
        params = networks.init(network, key)
        labels = y + networks.apply(network, params, x)  # the output less that at the start
        count = len(x) - most
        level = jnp.mean(jnp.sum(y[most:] ** 2, axis=1))
        weight = ((jnp.arange(most) < size) / size).astype(jnp.float32)
        test = x[most:], labels[most:], jnp.full(count, 1.0 / count, jnp.float32) / level
        steps = networks.rule(network, "adam", jnp.float32(LR))
        return networks.train(network, params, steps, lambda _: (x[:most], labels[:most], weight), test, times)[1]

    return jax.vmap(one)(x, y, keys)


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
