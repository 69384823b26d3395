"""S3 on networks: what a finite width, and finite data, add to the loss where an infinite one has a limit."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from experiments.compare.comparison import Comparison
from experiments.compare.statistics import bootstrap_means
from experiments.compare.verdicts import approaching, condition, judge
from experiments.output import plotting, progress
from experiments.papers import images
from experiments.papers.row import Counts, Script, Shown
from rfm.networks import networks


class Rule(NamedTuple):
    """An algorithm, its learning rate, and how many steps it takes."""

    name: str
    lr: float
    steps: int


GD = Rule("gd", 0.05, 100)  # a fiftieth of the largest stable rate on digits
ADAM = Rule("adam", 5e-4, 40)
LATE_ADAM = Rule("adam", 3e-3, 100)  # all training labels are learned: 1/width begins at larger widths
# S3 expands the trained network in what the data change; a step of Adam is nearly a sign, which flips with a chance of
# the order P^(-1/2): the outputs may approach their limit more slowly than 1/P, up to P^(-1/2)
DATA_WIDTH = 32  # width of the networks whose data vary
LAST_THREE = slice(-3, None)  # sizes at the end that slopes are fitted to: corrections to 1/n are of relative size 1/n
Curves = dict[str, np.ndarray]  # positive numbers (S, X) by name
Batch = tuple[Array, Array, Array]


@dataclasses.dataclass(frozen=True)
class Task:
    """Inputs x (n, d) and outputs y (n, k), the first `train` to train on; `seeds` networks drawn from `key`."""

    x: np.ndarray
    y: np.ndarray
    train: int
    seeds: int
    key: Array

    @property
    def rows(self) -> tuple[Array, Array]:
        """Inputs and outputs in single precision."""
        return jnp.asarray(self.x, jnp.float32), jnp.asarray(self.y, jnp.float32)

    @property
    def test(self) -> np.ndarray:
        """Weights (n,) of the mean over the other rows."""
        return (np.arange(len(self.x)) >= self.train) / (len(self.x) - self.train)

    def loss(self, outputs: np.ndarray) -> np.ndarray:
        """Mean square error (...) of outputs (..., n, k) on the test rows."""
        return _squares(outputs - self.y) @ self.test

    def variance(self, outputs: np.ndarray) -> np.ndarray:
        """Squared distance (S,) of outputs (S, n, k) from their mean over seeds; its mean is the variance."""
        count = len(outputs)
        return _squares(outputs - outputs.mean(0)) @ self.test * count / (count - 1)

    def trained(self, network: networks.Network, *rules: Rule, centred: bool = False) -> list[np.ndarray]:
        """Outputs (S, n, k) after training by each rule, less those at the start if `centred`."""
        (rows, labels), train = self.rows, self.train

        def run(key: Array, lr: float, steps: int) -> Array:  # traced, so that rules share one program
            params = networks.init(network, key)
            start = networks.apply(network, params, rows) if centred else jnp.zeros_like(labels)
            batch = rows[:train], (labels + start)[:train], jnp.full(train, 1.0 / train, jnp.float32)
            params = _train(network, params, Rule(rules[0].name, lr, steps), batch, batch)
            return networks.apply(network, params, rows) - start

        many = jax.jit(jax.vmap(run, (0, None, None)))
        keys = jax.random.split(jax.random.fold_in(self.key, network.widths[1]), self.seeds)
        return [np.asarray(many(keys, rule.lr, rule.steps), float) for rule in rules]


def show(
    seed: int, *, data: str, rows: int, train: int, widths: Counts, deep: Counts, samples: Counts, seeds: int
) -> Shown:
    """Draw loss less that of infinite width or data, and the variance of outputs, against width and against data."""
    inputs, classes = (array[:rows] for array in images.load(data, seed))
    task = Task(images.flatten(inputs), images.outputs(classes), train, seeds, jax.random.key(seed))
    caption, verdicts, table = "points: networks, two standard errors over seeds; lines: slope $-1$", [], []
    figure, axes = plotting.new_figure(1, 3, caption=caption)
    panels = (
        ("lazy: ntk, gradient descent", "width $n$", widths, _lazy),
        ("features: mup, Adam", "width $n$", deep, _mup),
        ("width 32, finite data", "data $P$", samples, _data),
    )
    for ax, (title, x_name, sizes, measure) in zip(axes[0], panels, strict=True):
        x, curves = np.array(sizes, float), measure(task, sizes)
        for index, (name, points) in enumerate(curves.items()):
            mean, label = points.mean(0), name
            quantity = f"{title}: {name}, {x[LAST_THREE][0]:g} to {x[-1]:g}".replace("$", "").replace("\\infty", "inf")
            pair = Comparison("size", x, points, mean[-1] * x[-1] / x)
            if np.all(bootstrap_means(points[:, LAST_THREE]) > 0):
                slope = pair.slope(LAST_THREE, quantity)
                label += f": slope $-${slope.simulated:.3f} $\\pm$ {slope.stderr:.3f}"
                verdict = judge(quantity, slope.simulated, claimed=1.0, error=slope.stderr)
                verdicts.append(approaching(verdict, x, mean, 1.0))
            else:
                verdicts.append(condition(quantity, "1", "not identified: within its error of zero", False))
            plotting.draw(ax, pair, index, label=label)
            table += pair.rows("panel", "curve", "size", "mean", "stderr", panel=title, curve=name, mean=mean)
        plotting.finish(ax, x_name, "mean square, all outputs", title)
        ax.set_ylim(bottom=ax.get_ylim()[0] / 5)
    return Shown(figure, table, tuple(verdicts))


def _lazy(task: Task, widths: Counts) -> Curves:
    """Output less that at the start, so that infinite width has one limit: that of its tangent kernel."""
    first = (np.arange(len(task.x)) < task.train) / task.train
    limit = task.loss(networks.lazy(networks.kernels(task.x)[1], task.y, first, GD.lr, GD.steps))
    added, spread = [], []
    for n in progress.over(widths, "width", "ntk"):
        (outputs,) = task.trained(networks.build((task.x.shape[1], n, task.y.shape[1]), "ntk"), GD, centred=True)
        added.append(task.loss(outputs) - limit)
        spread.append(task.variance(outputs))
    return {"loss $-$ loss at $n = \\infty$": np.array(added).T, "variance over draws": np.array(spread).T}


def _mup(task: Task, widths: Counts) -> Curves:
    """Two hidden layers; the limit of infinite width is one function, not in closed form."""
    spread = []
    for n in progress.over(widths, "width", "mup"):
        network = networks.build((task.x.shape[1], n, n, task.y.shape[1]), "mup", "adam")
        spread.append([task.variance(outputs) for outputs in task.trained(network, ADAM, LATE_ADAM)])
    early, late = np.moveaxis(np.array(spread), 0, -1)
    return {"early: variance over draws": early, "late: variance over draws": late}


def _data(task: Task, samples: Counts) -> Curves:
    """The rows are the population, P of them drawn with replacement; P = infinity is all of them; one start a seed."""
    curves, (rows, labels), most = {}, task.rows, max(samples)
    whole, keys = jnp.full(len(rows), 1.0 / len(rows), jnp.float32), jax.random.split(task.key, task.seeds)
    for name, rule, depth, parametrization in (("gd", GD, 1, "ntk"), ("Adam", ADAM, 2, "standard")):
        network = networks.build((rows.shape[1], *[DATA_WIDTH] * depth, labels.shape[1]), parametrization, rule.name)

        def run(key: Array, size: int, network: networks.Network = network, rule: Rule = rule) -> Array:
            """Return the outputs after training on a draw of `size` rows, of all where it is 0."""
            start, sample = jax.random.split(key)
            drawn = jax.random.randint(jax.random.fold_in(sample, size), (most,), 0, len(rows))
            weight = jnp.zeros(len(rows)).at[drawn].add(jnp.arange(most) < size) / size
            weight = jnp.where(size > 0, weight, whole).astype(jnp.float32)
            params = networks.init(network, start)
            params = _train(network, params, rule, (rows, labels, weight), (rows, labels, whole))
            return networks.apply(network, params, rows)

        many = jax.jit(lambda keys, size, run=run: jax.lax.map(lambda key: run(key, size), keys))
        limit = np.asarray(many(keys, 0), float)  # (S, n, k)
        outputs = np.array([many(keys, size) for size in progress.over(samples, "size", name)], float)
        added = _squares(outputs - task.y).mean(-1) - _squares(limit - task.y).mean(-1)
        curves[f"{name}: loss $-$ loss at $P = \\infty$"] = added.T
        curves[f"{name}: distance from $P = \\infty$"] = _squares(outputs - limit).mean(-1).T
    return curves


def _squares(differences: np.ndarray) -> np.ndarray:
    """Squares (..., n) of differences (..., n, k), summed over outputs."""
    return (differences**2).sum(-1)


def _train(network: networks.Network, params: list[Array], rule: Rule, batch: Batch, test: Batch) -> list[Array]:
    """Weights after all steps of a rule on one batch."""
    algorithm = networks.rule(network, rule.name, jnp.asarray(rule.lr, jnp.float32))
    trained, _ = networks.train(network, params, algorithm, lambda _: batch, test, times=jnp.array([rule.steps]))
    return trained


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
