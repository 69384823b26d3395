"""S2 on networks of one hidden layer, whose size is n (d + k): steps to a loss against width n at one learning rate."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from matplotlib.axes import Axes

from experiments.compare.comparison import Comparison
from experiments.compare.keys import fold_keys
from experiments.compare.statistics import power_line, slopes_of_draws, standard_error
from experiments.compare.verdicts import approaching, condition, judge
from experiments.output import plotting, progress
from experiments.papers import images
from experiments.papers.boopathy2024.scale_time import time_to_risk
from experiments.papers.row import Counts, Script, Shown
from rfm.networks import networks
from rfm.pytrees import pytree, static

POOLED_SIDE = 2  # images are pooled so that the first layer's share of the kernel, d/n of it in "standard", is small
LAST_TWO = slice(-2, None)  # widths at the end that slopes are fitted to
RECORDS = 40
LOSS_LEVEL = 0.6  # part of the test loss at the start that is to be reached
STEPS_AT_MOST = 20_480  # steps: 80, times four until all are there
# parametrization, algorithm: learning rate, small enough for several steps at the largest width; g in time ~ n^-g
NETWORK_RUNS = {
    ("standard", "gd"): (1e-4, 1.0), ("standard", "adam"): (1e-5, 1.0), ("standard", "sign-sgd"): (1e-5, 1.0),
    ("ntk", "gd"): (1e-1, 0.0), ("ntk", "adam"): (1e-3, 0.5), ("ntk", "sign-sgd"): (1e-3, 0.5),
    ("mup", "gd"): (4e-3, 0.0), ("mup", "adam"): (1e-3, 0.0), ("mup", "sign-sgd"): (1e-3, 0.0),
}  # fmt: skip
LAST_ONLY = "standard"  # where the last layer is trained alone too: random features, the model that S2 solves
ALGORITHM_NAMES = {"gd": "gradient descent", "adam": "Adam", "sign-sgd": "sign-SGD"}


@pytree
class Task:
    """Inputs x (n, d) and outputs y (n, k), the first `train` of them to train on."""

    x: Array
    y: Array
    train: int = static()


@pytree
class Trainer:
    """A network, and the algorithm with its learning rate that trains it."""

    network: networks.Network
    lr: Array
    name: str = static()


def show(seed: int, *, data: str, train: int, test: int, widths: Counts, seeds: int, rate: float) -> Shown:
    """Draw steps to LOSS_LEVEL of the loss at the start against width, at `rate` times the rates of NETWORK_RUNS."""
    inputs, classes = images.load(data, seed)
    x = images.flatten(images.pool(inputs, POOLED_SIDE) if inputs.ndim == 3 else inputs)
    x, y = (jnp.asarray(array[: train + test], jnp.float32) for array in (x, images.outputs(classes)))
    task = Task(x, y, train)
    keys = jax.random.split(jax.random.key(seed), seeds)
    caption, n = "points: networks, two standard errors; lines: fits", np.array(widths)
    figure, axes = plotting.new_figure(1, len(networks.PARAMETRIZATIONS), caption=caption)
    panels: dict[str, Axes] = dict(zip(networks.PARAMETRIZATIONS, axes[0], strict=True))
    verdicts, table = [], []
    for (parametrization, name), (lr, closed) in progress.over(NETWORK_RUNS.items(), "algorithm"):
        for last_only in (True, False) if parametrization == LAST_ONLY else (False,):
            steps, label = np.empty((seeds, len(n))), f"{ALGORITHM_NAMES[name]}{', last layer' * last_only}"
            for i, width in enumerate(widths):
                network = networks.build((x.shape[1], width, y.shape[1]), parametrization, name)
                if last_only:
                    network = dataclasses.replace(network, rate=network.rate * [0.0, 1.0])
                steps[:, i] = _steps(task, Trainer(network, jnp.asarray(rate * lr), name), fold_keys(keys, width))
            quantity = f"{parametrization}, {label}: g in steps ~ n^-g, n = {n[LAST_TWO][0]} to {n[-1]}"
            if not np.all(np.isfinite(steps)):
                verdicts.append(condition(quantity, "1.000", f"not reached in {STEPS_AT_MOST} steps", False))
                continue
            each = -slopes_of_draws(n[LAST_TWO], steps[:, LAST_TWO])
            g, error = float(each.mean()), float(standard_error(each))
            verdict = judge(quantity, g, claimed=1.0, closed=closed, error=error)
            # in "standard" 1 is reached from below: the first layer, whose share falls as d/n (gradient descent) or
            # sqrt(d/n) (signs), is the faster learner of a narrow network
            verdicts.append(approaching(verdict, n, steps.mean(0), 1.0) if closed == 1.0 else verdict)
            line = power_line(n[LAST_TWO], steps.mean(0)[LAST_TWO], -g)
            label += f": slope ${-g:+.3f} \\pm {error:.3f}$"
            pair = Comparison("width", n, steps, steps.mean(0), {}, label, n[LAST_TWO], line)
            plotting.draw(panels[parametrization], pair, list(ALGORITHM_NAMES).index(name), hollow=last_only)
            held = {"parametrization": parametrization, "optimizer": label.split(":")[0], "lr": rate * lr}
            table += pair.rows(*held, "width", "steps", "stderr", **held, steps=pair.mean)
    for parametrization, ax in panels.items():
        lowest = min((np.min(np.asarray(line.get_ydata())) for line in ax.lines), default=1.0)
        ax.plot(n[LAST_TWO], 0.6 * lowest * n[-1] / n[LAST_TWO], "k:", lw=1.2, label="S2: slope $-1$")
        plotting.finish(ax, "width $n$", f"steps to {LOSS_LEVEL:g} of the test loss", parametrization)
        ax.set_ylim(bottom=0.3 * lowest, top=ax.get_ylim()[1] * 12)
    return Shown(figure, table, tuple(verdicts))


@jax.jit
def _init(network: networks.Network, keys: Array) -> list[Array]:
    return jax.vmap(partial(networks.init, network))(keys)


@jax.jit
def _losses(task: Task, trainer: Trainer, times: Array, params: list[Array]) -> Array:
    """Test loss (S, T) of the output less that at the start, which is random and no part of what is learned."""

    def run(params: list[Array]) -> Array:
        labels = task.y + networks.apply(trainer.network, params, task.x)
        batch, test = (
            (task.x[part], labels[part], jnp.full(count, 1.0 / count, jnp.float32))
            for part, count in ((slice(task.train), task.train), (slice(task.train, None), len(task.x) - task.train))
        )
        rule = networks.rule(trainer.network, trainer.name, trainer.lr.astype(jnp.float32))
        return networks.train(trainer.network, params, rule, lambda _: batch, test, times=times)[1]

    return jax.vmap(run)(params)


def _steps(task: Task, trainer: Trainer, keys: Array) -> np.ndarray:
    """Steps (S,) to the level, between records by a power law; the horizon grows until all are there."""
    horizon, params = 2 * RECORDS, _init(trainer.network, keys)
    level = LOSS_LEVEL * float(jnp.mean(jnp.sum(task.y[task.train :] ** 2, axis=1)))
    while True:
        times = np.unique(np.round(np.geomspace(1, horizon, RECORDS)))
        times = np.concatenate([times, horizon + np.arange(1.0, 1 + RECORDS - len(times))])  # one length, one program
        losses = np.asarray(_losses(task, trainer, jnp.asarray(times, int), params), float)
        if np.all(losses.min(1) <= level) or horizon >= STEPS_AT_MOST:
            return np.array([time_to_risk(times, loss, level) for loss in losses])
        horizon *= 4


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
