"""S1 Fig. 3: one-pass SGD. What model size and batch size do to the risk, early and at its plateau."""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import numpy as np
from matplotlib.axes import Axes
from tqdm import tqdm

import rfm
import theory
from experiments.compare.comparison import Comparison, across, agreement
from experiments.compare.keys import fold_keys
from experiments.compare.statistics import log_derivative
from experiments.compare.verdicts import CLOSE, REFINED, Verdict, condition, judge
from experiments.output import plotting
from experiments.papers.row import Script, Shown
from rfm.arguments import Arguments
from theory import exponents

A, B, LR = 1.5, 1.25, 0.5
LINE = rfm.log_times(1, 1e6, 61, integer=True)  # steps of the theory, to every plateau
LARGE, LATE = 1e6, 1e12  # size where theory alone measures the plateau, and steps that are enough to be there
ENDLESS = 10**18  # modes that stand for infinitely many
MANY = 1e4  # batch size where theory alone measures how the excess falls
NEAR = 1.02  # times its plateau: a risk below it has ended
INF = np.inf


@dataclasses.dataclass(frozen=True)
class Design:
    """Pairs of model size and batch size: `sizes` at one `batch`, and `batches` at one `size`."""

    problem: rfm.Problem
    sizes: tuple[int, ...]
    batch: int
    batches: tuple[int, ...]
    size: int
    times: np.ndarray

    @property
    def clock(self) -> np.ndarray:
        """Steps of the theory, those of training among them, LATE the last: one compiled program."""
        return np.unique(np.concatenate([LINE, self.times, [LATE]]))

    def predict(self, n: float, b: float) -> np.ndarray:
        """Return the risk on `clock` in theory; b = inf: full batches, in the same compiled program."""
        return _predict(self.problem, n, b, self.clock)

    def known(self, b: float) -> float:
        """Return the factor of the plateau in closed form."""
        eigenvalues, _ = self.problem.modes(0, int(self.problem.num_modes))
        return plateau_factor(LR, b, np.asarray(eigenvalues))


Runs = Mapping[tuple[int, int], Comparison]  # risk against steps, by (N, B)


def _predict(problem: rfm.Problem, n: float, b: float, times: np.ndarray) -> np.ndarray:
    return theory.predict(problem, num_features=n, num_samples=INF, optimizer=rfm.SGD(LR, b), times=times).risk


def plateau_factor(lr: float, batch_size: float, eigenvalues: np.ndarray) -> float:
    """Return the plateau of one-pass SGD over that of full batches, label noise included, at large N.

    There H has the spectrum of the data, and the Volterra equation ends at
    1/(1 - (lr/B) sum_k lambda_k/(2 - lr (1 + 1/B) lambda_k)).
    """
    spread = 2.0 - lr * (1.0 + 1.0 / batch_size) * eigenvalues
    return 1.0 / (1.0 - lr / batch_size * float(np.sum(eigenvalues / spread)))


def show(
    *, seed: int, sizes: tuple[int, ...], trained: int, size: int, batch: int, batches: tuple[int, ...],
    steps: int, seeds: int, modes: int,
) -> Shown:  # fmt: skip
    """Show the risk against steps for many N and for many B, its plateau against N, and what batches add against B.

    trained: the largest of sizes with training runs; size, batch: what is held where the other varies.
    """
    times = rfm.log_times(1, steps, 25, integer=True)
    design = Design(rfm.power_law(A, B, modes), sizes, batch, batches, size, times)
    keys = jax.random.split(jax.random.key(seed), seeds)
    pairs = [(n, batch) for n in sizes if n <= trained] + [(size, b) for b in batches if b != batch]
    runs = {pair: _train(design, *pair, keys) for pair in tqdm(pairs, desc="one-pass SGD")}

    figure, axes = plotting.new_figure(2, 2, width=4.4)
    _against_steps(axes[0, 0], design, runs, {f"N = {n}": (n, batch) for n in sizes})
    _against_steps(axes[0, 1], design, runs, {f"B = {b}": (size, b) for b in batches})
    findings = [
        agreement([run.at(slice(None, None, 3)) for run in runs.values()]),
        *_plateau(axes[1, 0], design, runs),
        *_excess(axes[1, 1], design, _added(design, keys)),
    ]
    table = [row for run in runs.values() for row in run.rows("N", "B", "steps", "risk", "stderr", "theory")]
    return Shown(figure, table, tuple(findings))


def _train(design: Design, n: int, b: int, keys: jax.Array) -> Comparison:
    """Return the risk of models trained, beside theory on a finer grid."""
    args = Arguments(num_features=n, num_samples=INF, optimizer=rfm.SGD(LR, b), times=design.times)
    risks = rfm.simulate(design.problem, **args, keys=fold_keys(keys, n)).risk
    clock, line = design.clock, design.predict(n, b)
    there = line[np.searchsorted(clock, design.times)]
    held = {"N": n, "B": b, "P": INF}
    return Comparison("steps", design.times, risks, there, held, line_x=clock[:-1], line=line[:-1])


def _added(design: Design, keys: jax.Array) -> list[Comparison]:
    """Return what batches add to the risk, over that of full batches, against B, at three times.

    The same features with and without batches, in expectation: one run's own noise would hide their small effect.
    """
    args = Arguments(num_features=design.size, num_samples=INF, times=design.times)
    drawn = fold_keys(keys, design.size)
    still = rfm.exact(design.problem, optimizer=rfm.GradientDescent(LR), **args, keys=drawn).risk
    runs = [rfm.exact(design.problem, optimizer=rfm.SGD(LR, b), **args, keys=drawn).risk for b in design.batches]
    added = np.stack([(risks - still) / still.mean(0) for risks in runs], axis=1)  # a ratio of means; (S, B, T)
    times = design.times
    picked = [int(np.searchsorted(times, times[-1] ** power)) for power in (0.3, 0.6, 1.0)]
    there = np.searchsorted(design.clock, times)
    x, line_x = np.array(design.batches, float), np.geomspace(design.batches[0], design.batches[-1], 9)
    predicted, line = (_predicted_excess(design, some)[:, there] for some in (x, line_x))  # (B, T)
    return [
        Comparison(
            "B", x, added[..., i], predicted[:, i], {"N": design.size, "P": INF}, f"{times[i]:g} steps",
            line_x, line[:, i],
        )
        for i in picked
    ]  # fmt: skip


def _predicted_excess(design: Design, batches: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return what batches add in theory, in parts of the risk of full batches, (B, T) on the clock."""
    full = design.predict(design.size, INF)
    return np.stack([design.predict(design.size, b) / full - 1.0 for b in batches])


def _against_steps(ax: Axes, design: Design, runs: Runs, pairs: Mapping[str, tuple[int, int]]) -> None:
    for index, (label, pair) in enumerate(pairs.items()):
        if pair in runs:
            plotting.draw(ax, runs[pair], index, label=label)
        else:
            color = plotting.COLORS[index % len(plotting.COLORS)]
            ax.plot(design.clock[:-1], design.predict(*pair)[:-1], color=color, lw=1.3, label=f"{label}, theory")
    held = f"B = {design.batch}" if "N" in next(iter(pairs)) else f"N = {design.size}"
    plotting.finish(ax, "steps", "risk", held)


def _plateau(ax: Axes, design: Design, runs: Runs) -> list[Verdict]:
    """Draw where training ends, against N: at the floor of the model, times a factor of lr and B alone."""
    x, least = np.array(design.sizes, float), min(design.batches)
    ends = {b: np.array([design.predict(n, b)[-1] for n in design.sizes]) for b in (design.batch, least, INF)}
    ended = [
        dataclasses.replace(run, theory=np.full_like(run.theory, end))
        for n, end in zip(design.sizes, ends[design.batch], strict=True)
        if (run := runs.get((n, design.batch))) is not None and run.theory[-1] < NEAR * end
    ]
    plateau = across(ended, "features", design.times[-1])
    plateau = dataclasses.replace(plateau, label=f"B = {design.batch}", line_x=x, line=ends[design.batch])
    plotting.draw(ax, plateau)
    ax.plot(x, ends[least], color=plotting.COLORS[1], lw=1.3, label=f"B = {least}")
    ax.plot(x, ends[INF], color="k", lw=0.9, ls="--", label="full batches: the floor of the model")
    window = f"{plateau.x[0]:g} to {plateau.x[-1]:g}"
    slope = plateau.slope(quantity=f"plateau against N, trained at {window}, beside theory there")
    plotting.draw_slope(ax, slope, 0.8 * plateau.theory[0])
    plotting.finish(ax, "model size $N$", "risk at the plateau", "")

    endless, largest = rfm.power_law(A, B, ENDLESS), design.sizes[-1]
    far = -log_derivative(
        lambda sizes: np.array([_predict(endless, n, design.batch, design.clock)[-1] for n in sizes]), LARGE
    )
    ratio = {b: design.predict(largest, b)[-1] / ends[INF][-1] for b in design.batches}
    each = ", ".join(f"{ratio[b]:.3f} at B = {b} (closed form {design.known(b):.3f})" for b in ratio)
    right = all(abs((ratio[b] - 1.0) / (design.known(b) - 1.0) - 1.0) < CLOSE for b in ratio)
    return [
        judge(f"plateau against N, theory at {LARGE:g}", far, claimed=A - 1.0, closed=exponents.model_exponent(A, B)),
        slope.verdict(),
        condition(f"plateau over that of full batches, N = {largest}", "moves with N only",
                  f"times a factor of lr and B that N does not change and that is 1 for small lr/B: {each}",
                  bool(right and ratio[least] > NEAR), REFINED),
    ]  # fmt: skip


def _excess(ax: Axes, design: Design, added: Sequence[Comparison]) -> list[Verdict]:
    """Draw what batches add to the risk, in parts of it: 1/B at all times, at the plateau the factor less one."""
    for index, pair in enumerate(added):
        plotting.draw(ax, pair, index)
    line_x = added[0].line_x
    ax.plot(line_x, [design.known(b) - 1.0 for b in line_x], color="k", lw=0.9, ls="--", label="plateau, closed form")
    title = f"N = {design.size}; points: expectation over batches"
    plotting.finish(ax, "batch size $B$", "risk over that of full batches $-$ 1", title)
    slope = -log_derivative(lambda batches: _predicted_excess(design, batches)[:, -1], MANY)
    return [
        agreement(added, "what batches add, in expectation: theory = the same features exactly"),
        judge(f"what batches add at the plateau, against B, theory at {MANY:g}", slope, closed=1.0),
    ]


main = Script(
    name="S1-3",
    title="One-pass SGD: model size sets the plateau, batches add noise",
    source="Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), Fig. 3",
    claim="trained on fresh batches, a model ends on a plateau that moves with N and not with B",
    show=show,
    full=dict(sizes=(64, 128, 256, 512, 1024, 2048, 4096), trained=1024, size=256, batch=32,
              batches=(8, 16, 32, 64, 128), steps=4000, seeds=16, modes=10_000),
    smoke=dict(sizes=(16, 32), trained=32, size=32, batch=16, batches=(8, 16), steps=200, seeds=4, modes=1000),
    limits="models of 2048 and 4096 features are theory alone: their plateaus lie beyond the steps trained here",
)  # fmt: skip
