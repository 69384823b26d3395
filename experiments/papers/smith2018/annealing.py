"""S10: averages of the weights and growing batches in place of a learning rate that decays."""

import jax
import numpy as np

import rfm
import theory
from experiments.compare.comparison import Comparison
from experiments.compare.equivalence import agreement
from experiments.compare.verdicts import condition
from experiments.output import plotting
from experiments.papers.row import Script, Shown, Values
from rfm.arguments import Arguments

A, B, NOISE, BATCH = 1.8, 1.5, 0.3, 4
DECAYS = 1.0 - np.geomspace(3e-4, 0.3, 25)  # of averages that are tried
NEAR = 0.05  # of the risk, between ways to anneal


def show(seed: int, *, steps: int, size: int, rates: Values, seeds: int, modes: int) -> Shown:
    """Show curves of a constant rate, its average, linear decay and a batch ramp, and what each ends at by rate."""
    problem = rfm.power_law(A, B, modes, NOISE)
    figure, axes = plotting.new_figure(1, 2, width=4.4)
    ways = [_ways(lr, steps, size, problem) for lr in rates]
    names = tuple(ways[0])
    ends = np.array([[_end(problem, size, how) for how in values.values()] for values in ways])
    for index, (name, values) in enumerate(zip(names, ends.T, strict=True)):
        axes[0, 0].plot(rates, values, color=plotting.COLORS[index], marker=".", lw=1.3, label=name)
    plotting.finish(axes[0, 0], "learning rate at first", "risk at the end", f"N = {size}, {BATCH * steps} samples")
    runs, keys = [], jax.random.split(jax.random.key(seed), seeds)
    for index, (name, optimizer) in enumerate(ways[-1].items()):
        last = _last(optimizer, steps)
        times = rfm.log_times(1, last, 10, integer=True)
        args = Arguments(num_features=size, num_samples=np.inf, optimizer=optimizer, times=times)
        drawn, known = rfm.simulate(problem, **args, keys=keys), theory.predict(problem, **args)
        averaged = known.average_risk is not None
        risks, line = (drawn.average_risk, known.average_risk) if averaged else (drawn.risk, known.risk)
        seen = np.cumsum(_sizes(optimizer, last))[times.astype(int) - 1]
        runs.append(Comparison("seen", seen, risks, line, {"N": size}, name))
        plotting.draw(axes[0, 1], runs[-1], index)
    plotting.finish(axes[0, 1], "samples seen", "risk", f"learning rate {rates[-1]:g} at first; {seeds} draws")
    table = [{"lr": lr} | dict(zip(names, values, strict=True)) for lr, values in zip(rates, ends, strict=True)]
    table += [row for run in runs for row in run.rows(way=run.label)]
    _, average, linear, ramp = ends.T
    moved, left = ramp / linear - 1.0, average / linear - 1.0
    text, also = (
        ", ".join(f"{100 * x:+.1f} % at lr = {lr:g}" for x, lr in zip(way, rates, strict=True)) for way in (moved, left)
    )
    return Shown(figure, table, (
        condition("growing batches, against decay at the same samples", "the same risk", text,
                  bool(np.abs(moved).max() < NEAR)),
        condition("best average of a constant rate, against decay", "no more risk", also, bool(left.max() < NEAR)),
        agreement(runs, "simulation against theory"),
    ))  # fmt: skip


def _ways(lr: float, steps: int, size: int, problem: rfm.Problem) -> dict[str, rfm.SGD]:
    """Four ways to use as many samples: a constant rate, its best exponential average, linear decay, a batch ramp."""
    linear = lr * (1.0 - np.arange(steps) / steps)
    best = min(DECAYS, key=lambda e: _end(problem, size, rfm.SGD(np.full(steps, lr), BATCH, average=float(e))))
    return {
        "constant": rfm.SGD(np.full(steps, lr), BATCH), "average": rfm.SGD(np.full(steps, lr), BATCH, average=best),
        "linear decay": rfm.SGD(linear, BATCH), "batch ramp": rfm.SGD(*_ramp(lr, linear)),
    }  # fmt: skip


def _ramp(lr: float, decayed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return steps at the first rate with batches that grow, over as many samples and as much time as the decay."""
    time = np.cumsum(decayed)  # in lr x steps
    steps = int(np.floor(time[-1] / lr))
    ends = np.interp(lr * np.arange(1.0, steps + 1.0), time, BATCH * np.arange(1.0, len(decayed) + 1.0)).round()
    return np.full(steps, lr), np.maximum(np.diff(ends, prepend=0.0), 1.0)


def _sizes(optimizer: rfm.SGD, steps: int) -> np.ndarray:
    return np.broadcast_to(optimizer.batch_size, steps)


def _last(optimizer: rfm.SGD, steps: int) -> int:
    return len(optimizer.lr) if np.ndim(optimizer.lr) else steps


def _end(problem: rfm.Problem, size: int, optimizer: rfm.SGD) -> float:
    """Return the risk after all steps, of the average where there is one."""
    curve = theory.predict(
        problem, num_features=size, num_samples=np.inf, optimizer=optimizer, times=[_last(optimizer, 0)]
    )
    return float(curve.risk[-1] if curve.average_risk is None else curve.average_risk[-1])


main = Script(
    name="S10",
    title="Averages and growing batches in place of decay",
    source="Smith et al. 2018 (arXiv 1711.00489) for batches; averages: folklore",
    claim="batches that grow do what a decaying rate does, and so does an average of the weights",
    show=show,
    full=dict(steps=2000, size=64, rates=(0.05, 0.1, 0.2, 0.3), seeds=64, modes=1000),
    smoke=dict(steps=100, size=16, rates=(0.05, 0.1), seeds=8, modes=100),
    limits="networks, and averages whose window grows",
)
