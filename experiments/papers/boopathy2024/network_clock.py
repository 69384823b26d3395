"""S2 on networks of one hidden layer, whose size is n (d + k): steps to a loss against width n at one learning rate."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from experiments.compare.statistics import log_slope, standard_error
from experiments.compare.verdicts import approaching, condition, judge
from experiments.output import plotting
from experiments.papers import images
from experiments.papers.boopathy2024.scale_time import times_to_risk
from experiments.papers.row import Script, Shown
from rfm.networks import networks

POOL = 2  # images are pooled so that the first layer's share of the kernel, d/n of it in "standard", is small
LAST = 2  # widths at the end that slopes are fitted to
RECORDS = 40
LEVEL = 0.6  # part of the test loss at the start that is to be reached
LONGEST = 20_480  # steps: 80, times four until all are there
# parametrization, algorithm: learning rate, small enough for several steps at the largest width; g in time ~ n^-g
RUNS = {
    ("standard", "gd"): (1e-4, 1.0), ("standard", "adam"): (1e-5, 1.0), ("standard", "sign-sgd"): (1e-5, 1.0),
    ("ntk", "gd"): (1e-1, 0.0), ("ntk", "adam"): (1e-3, 0.5), ("ntk", "sign-sgd"): (1e-3, 0.5),
    ("mup", "gd"): (4e-3, 0.0), ("mup", "adam"): (1e-3, 0.0), ("mup", "sign-sgd"): (1e-3, 0.0),
}  # fmt: skip
LAST_ONLY = "standard"  # where the last layer is trained alone too: random features, the model that S2 solves
NAMES = {"gd": "gradient descent", "adam": "Adam", "sign-sgd": "sign-SGD"}


def show(seed: int, data: str, train: int, test: int, widths: tuple[int, ...], seeds: int, rate: float) -> Shown:
    """Steps to LEVEL of the loss at the start against width; one panel a parametrization; rate: of RUNS, times this."""
    inputs, classes = images.load(data, seed)
    x = images.flatten(images.pool(inputs, POOL) if inputs.ndim == 3 else inputs)
    x, y = (jnp.asarray(array[: train + test], jnp.float32) for array in (x, images.outputs(classes)))
    level = LEVEL * float(jnp.mean(jnp.sum(y[train:] ** 2, axis=1)))
    keys = jax.random.split(jax.random.key(seed), seeds)
    figure, axes = plotting.new_figure(
        1,
        len(networks.PARAMETRIZATIONS),
        caption="points: networks, two standard errors; lines: fits",
    )
    findings, table = [], []
    with tqdm(total=(len(RUNS) + len(networks.OPTIMIZERS)) * len(widths), unit="width") as bar:
        for ax, parametrization in zip(axes[0], networks.PARAMETRIZATIONS, strict=True):
            for index, name in enumerate(networks.OPTIMIZERS):
                lr, closed = rate * RUNS[parametrization, name][0], RUNS[parametrization, name][1]
                for last_only in (True, False) if parametrization == LAST_ONLY else (False,):
                    columns = []
                    for n in widths:
                        network = networks.build((x.shape[1], n, y.shape[1]), parametrization, name)
                        if last_only:
                            network = dataclasses.replace(network, rate=network.rate * [0.0, 1.0])
                        own = jax.vmap(jax.random.fold_in, (0, None))(keys, n)
                        columns.append(_steps(network, name, lr, x, y, train, own, level))
                        bar.update()
                    steps = np.array(columns).T  # (S, X)
                    told = f"{NAMES[name]}{', last layer' * last_only}"
                    findings.append(_finding(f"{parametrization}, {told}", widths, steps, closed))
                    if not np.all(np.isfinite(steps)):
                        continue
                    found, error = _slope(widths, steps)
                    plotting.draw_pair(ax, widths, steps, widths[-LAST:], _line(widths[-LAST:], steps, found),
                                       f"{told}: slope ${-found:+.3f} \\pm {error:.3f}$", index, last_only)  # fmt: skip
                    run = {"parametrization": parametrization, "optimizer": told, "lr": lr}
                    table += [
                        run | {"width": n, "steps": m, "stderr": s}
                        for n, m, s in zip(widths, steps.mean(0), standard_error(steps), strict=True)
                    ]
            lowest = min((np.min(line.get_ydata()) for line in ax.lines), default=1.0)
            claim = 0.6 * lowest * widths[-1] / np.array(widths[-LAST:], float)
            ax.plot(widths[-LAST:], claim, "k:", lw=1.2, label="S2: slope $-1$")
            plotting.finish(ax, "width $n$", f"steps to {LEVEL:g} of the test loss", parametrization)
            ax.set_ylim(bottom=0.3 * lowest, top=ax.get_ylim()[1] * 12)
    return Shown(figure, table, tuple(findings))


@jax.jit
def _init(network, keys):
    return jax.vmap(partial(networks.init, network))(keys)


@partial(jax.jit, static_argnames=("name", "train"))
def _losses(network, name, lr, x, y, train, times, params):
    """Test loss (S, T) of the output less that at the start, which is random and no part of what is learned."""

    def run(params):
        labels = y + networks.apply(network, params, x)
        rest = len(x) - train
        batch, test = (
            (x[part], labels[part], jnp.full(count, 1.0 / count, jnp.float32))
            for part, count in ((slice(None, train), train), (slice(train, None), rest))
        )
        steps = networks.rule(network, name, lr.astype(jnp.float32))
        return networks.train(network, params, steps, lambda _: batch, test, times)[1]

    return jax.vmap(run)(params)


def _steps(network, name, lr, x, y, train, keys, level):
    """Steps (S,) to the level, between records by a power law; the horizon grows until all are there."""
    horizon, params = 2 * RECORDS, _init(network, keys)
    while True:
        times = np.unique(np.round(np.geomspace(1, horizon, RECORDS)))
        times = np.concatenate([times, horizon + np.arange(1.0, 1 + RECORDS - len(times))])  # one length, one program
        losses = np.asarray(
            _losses(network, name, jnp.asarray(lr), x, y, train, jnp.asarray(times, int), params), float
        )
        if np.all(losses.min(1) <= level) or horizon >= LONGEST:
            return np.array([times_to_risk(times, one, (level,))[0] for one in losses])
        horizon *= 4


def _slope(widths, steps):
    """g in steps ~ n^-g over the last widths, mean and standard error over seeds."""
    each = np.array([-log_slope(np.array(widths[-LAST:], float), one[-LAST:]) for one in steps])
    return float(each.mean()), float(standard_error(each[:, None])[0])


def _line(widths, steps, slope):
    centre = np.exp(np.log(steps.mean(0)[-LAST:]).mean())
    return centre * (np.array(widths) / np.exp(np.log(widths).mean())) ** -slope


def _finding(quantity, widths, steps, closed):
    """S2's exponent is 1. Where both layers learn in "standard", it is reached from below: the first layer, whose share
    falls as d/n (gradient descent) or sqrt(d/n) (signs), is the faster learner of a narrow network."""
    quantity = f"{quantity}: g in steps ~ n^-g, n = {widths[-LAST:][0]} to {widths[-1]}"
    if not np.all(np.isfinite(steps)):
        return condition(quantity, "1.000", f"not reached in {LONGEST} steps", False)
    found, error = _slope(widths, steps)
    finding = judge(quantity, found, claimed=1.0, closed=closed, error=error)
    return approaching(finding, np.array(widths, float), steps.mean(0), 1.0) if closed == 1.0 else finding


main = Script(
    name="S2-net",
    title="Steps to a loss against width, in three parametrizations",
    source="Boopathy and Fiete 2024 (arXiv 2409.05782), scale-time equivalence of trained networks",
    claim="a network of p times the size needs 1/p of the time",
    show=show,
    full=dict(data="digits", train=128, test=256, widths=(64, 256, 1024, 4096), seeds=6, rate=1.0),
    smoke=dict(data="digits", train=128, test=256, widths=(64, 128), seeds=4, rate=10.0),
    limits=(
        "S2 trains convolutional networks on larger images too; other images: rfm figures S2-net --data FILE.npz, "
        "with arrays x (n, height, width) and classes y (n,)."
    ),
)
