"""S3 on networks: what a finite width, and finite data, add to the loss where an infinite one has a limit."""

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from experiments.compare.statistics import bootstrap_means, bootstrap_slope
from experiments.compare.verdicts import approaching, condition, judge
from experiments.output import plotting
from experiments.papers import images
from experiments.papers.row import Script, Shown
from rfm.networks import networks

GD = ("gd", 0.05, 100)  # algorithm, learning rate (a fiftieth of the largest stable one on digits), steps
ADAM = ("adam", 5e-4, 40)
LATE = ("adam", 3e-3, 100)  # all training labels are learned: 1/width begins at larger widths
# S3 expands the trained network in what the data change; a step of Adam is nearly a sign, which flips with a chance of
# the order P^(-1/2): the outputs may approach their limit more slowly than 1/P, up to P^(-1/2)
SMALL = 32  # width of the networks whose data vary
LAST = 3  # sizes at the end that slopes are fitted to: corrections to 1/n are of relative size 1/n


def show(seed: int, data: str, rows: int, train: int, widths: tuple, deep: tuple, samples: tuple, seeds: int) -> Shown:
    """Loss less that of infinite width or data, and the variance of the outputs, against width and against data."""
    inputs, classes = (array[:rows] for array in images.load(data, seed))
    x, y = images.flatten(inputs), images.outputs(classes)
    key = jax.random.key(seed)
    figure, axes = plotting.new_figure(
        1, 3, caption="points: networks, two standard errors over seeds; lines: slope $-1$"
    )
    with tqdm(total=len(widths) + 2 * len(deep) + 2 * len(samples), unit="size") as bar:
        panels = (
            ("lazy: ntk, gradient descent", "width $n$", widths, _lazy(x, y, train, widths, seeds, key, bar)),
            ("features: mup, Adam", "width $n$", deep, _mup(x, y, train, deep, seeds, key, bar)),
            ("width 32, finite data", "data $P$", samples, _data(x, y, samples, seeds, key, bar)),
        )
    findings, table = [], []
    for ax, (title, x_name, sizes, curves) in zip(axes[0], panels, strict=True):
        for index, (name, points) in enumerate(curves.items()):
            finding, rows = _draw(ax, index, name, title, np.array(sizes, float), points)
            findings.append(finding)
            table += rows
        plotting.finish(ax, x_name, "mean square, all outputs", title)
        ax.set_ylim(bottom=ax.get_ylim()[0] / 5)
    return Shown(figure, table, tuple(findings))


def _draw(ax, index, name, title, sizes, points):
    """One curve (S, X), its last slope, and a line of slope -1 through its last point."""
    last, mean, label = points[:, -LAST:], points.mean(0), name
    quantity = f"{title}: {name}, {sizes[-LAST:][0]:g} to {sizes[-1]:g}".replace("$", "").replace("\\infty", "inf")
    if np.all(bootstrap_means(last) > 0):
        slope, error = bootstrap_slope(sizes[-LAST:], last)
        label += f": slope $-${-slope:.3f} $\\pm$ {error:.3f}"
        finding = judge(quantity, -slope, claimed=1.0, error=error)
        finding = approaching(finding, sizes, mean, 1.0)
    else:
        finding = condition(quantity, "1", "not identified: within its error of zero", False)
    plotting.draw_pair(ax, sizes, points, sizes, mean[-1] * sizes[-1] / sizes, label, index)
    rows = [
        {"panel": title, "curve": name, "size": n, "mean": m, "stderr": s}
        for n, m, s in zip(sizes, mean, points.std(0, ddof=1) / np.sqrt(len(points)), strict=True)
    ]
    return finding, rows


def _spread(outputs: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(S,) squared distance of the outputs (S, n, k) of each seed from their mean; its mean is the variance."""
    count = len(outputs)
    return ((outputs - outputs.mean(0)) ** 2).sum(-1) @ weight * count / (count - 1)


def _split(x, y, train):
    """Rows as float32 arrays, and the weights of the training and of the test rows."""
    first = np.arange(len(x)) < train
    weights = first / train, ~first / (len(x) - train)
    return jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32), *weights


def _lazy(x, y, train, widths, seeds, key, bar):
    """Output less that at the start, so that infinite width has one limit: that of its tangent kernel."""
    _, kernel = networks.kernels(x)
    rows, labels, trained, tested = _split(x, y, train)
    limit = tested @ np.sum((networks.lazy(kernel, y, trained, *GD[1:]) - y) ** 2, axis=1)
    losses, spread = [], []
    for n in widths:
        network = networks.build((x.shape[1], n, y.shape[1]), "ntk")

        def run(key, network=network):
            params = networks.init(network, key)
            start = networks.apply(network, params, rows)
            batch = rows[:train], (labels + start)[:train], jnp.full(train, 1.0 / train, jnp.float32)
            params, _ = _train(network, params, GD, batch, batch)
            return networks.apply(network, params, rows) - start

        outputs = np.asarray(jax.jit(jax.vmap(run))(_keys(key, n, seeds)), float)
        losses.append(((outputs - y) ** 2).sum(-1) @ tested - limit)
        spread.append(_spread(outputs, tested))
        bar.update()
    return {"loss $-$ loss at $n = \\infty$": np.array(losses).T, "variance over draws": np.array(spread).T}


def _mup(x, y, train, widths, seeds, key, bar):
    """Two hidden layers; the limit of infinite width is one function, not in closed form."""
    rows, labels, _, tested = _split(x, y, train)
    spread = {"early": [], "late": []}
    for n in widths:
        network = networks.build((x.shape[1], n, n, y.shape[1]), "mup", "adam")

        def run(key, lr, steps, network=network):
            batch = rows[:train], labels[:train], jnp.full(train, 1.0 / train, jnp.float32)
            params, _ = _train(network, networks.init(network, key), ("adam", lr, steps), batch, batch)
            return networks.apply(network, params, rows)

        many, keys = jax.jit(jax.vmap(run, (0, None, None))), _keys(key, n, seeds)
        for name, (_, lr, steps) in (("early", ADAM), ("late", LATE)):
            spread[name].append(_spread(np.asarray(many(keys, lr, steps), float), tested))
            bar.update()
    return {f"{name}: variance over draws": np.array(points).T for name, points in spread.items()}


def _data(x, y, samples, seeds, key, bar):
    """The rows are the population, P of them drawn with replacement; P = infinity is all of them; one start a seed."""
    found = {}
    for how, depth, parametrization in ((GD, 1, "ntk"), (ADAM, 2, "standard")):
        network = networks.build((x.shape[1], *[SMALL] * depth, y.shape[1]), parametrization, how[0])
        rows, labels = jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32)
        whole = jnp.full(len(x), 1.0 / len(x), jnp.float32)

        def run(key, size, network=network, how=how, rows=rows, labels=labels, whole=whole):
            """The outputs after training on a draw of `size` rows."""
            own, sample = jax.random.split(key)
            drawn = jax.random.randint(jax.random.fold_in(sample, size), (max(samples),), 0, len(rows))
            weight = jnp.zeros(len(rows)).at[drawn].add(jnp.arange(max(samples)) < size) / size
            weight = jnp.where(size > 0, weight, whole).astype(jnp.float32)
            params = networks.init(network, own)
            params, _ = _train(network, params, how, (rows, labels, weight), (rows, labels, whole))
            return networks.apply(network, params, rows)

        many = jax.jit(lambda keys, size, run=run: jax.lax.map(lambda key: run(key, size), keys))
        keys = jax.random.split(key, seeds)
        limit = np.asarray(many(keys, 0), float)  # (S, n, k)
        added, spread = [], []
        for size in samples:
            outputs = np.asarray(many(keys, size), float)
            losses = [((o - y) ** 2).sum(-1).mean(-1) for o in (outputs, limit)]
            added.append(losses[0] - losses[1])
            spread.append(((outputs - limit) ** 2).sum(-1).mean(-1))
            bar.update()
        told = {"gd": "gd", "adam": "Adam"}[how[0]]
        found[f"{told}: loss $-$ loss at $P = \\infty$"] = np.array(added).T
        found[f"{told}: distance from $P = \\infty$"] = np.array(spread).T
    return found


def _train(network, params, how, batch, test):
    name, lr, steps = how
    rule = networks.rule(network, name, jnp.asarray(lr, jnp.float32))
    return networks.train(network, params, rule, lambda _: batch, test, jnp.array([steps]))


def _keys(key, size, seeds):
    """Draws of their own at every size."""
    return jax.random.split(jax.random.fold_in(key, size), seeds)


main = Script(
    name="S3-net",
    title="Variance-limited width and data of networks",
    source="Bahri et al. 2021 (arXiv 2102.06701), the variance-limited columns of Fig. 1",
    claim="where infinite width or data has a limit, the loss approaches it as 1/width and 1/P",
    show=show,
    full=dict(data="digits", rows=2000, train=256, widths=(16, 32, 64, 128, 256, 512), deep=(64, 128, 256, 512),
              samples=(256, 512, 1024, 2048, 4096), seeds=64),
    smoke=dict(data="digits", rows=200, train=64, widths=(8, 16), deep=(8, 16), samples=(128, 256), seeds=8),
    limits=(
        "S3 trains convolutional and residual networks on CIFAR-10, SVHN and others; these networks on other images: "
        "rfm figures S3-net --data FILE.npz, with arrays x (n, ...) and classes y (n,); 2,000 of them are used."
    ),
)  # fmt: skip
