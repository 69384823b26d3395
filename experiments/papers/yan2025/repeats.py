"""S8: fresh samples that epochs on the same ones are worth, and how that grows with how many there are."""

import jax
import numpy as np

import rfm
import theory
from experiments.compare.comparison import Comparison
from experiments.compare.equivalence import agreement
from experiments.compare.verdicts import condition
from experiments.output import plotting, progress
from experiments.papers.row import Counts, Script, Shown
from rfm.arguments import Sizes

A, B, NOISE = 1.6, 1.3, 0.0
LR, BATCH = 0.1, 4


def show(seed: int, *, samples: Counts, epochs: Counts, size: int, taught: Counts, seeds: int, modes: int) -> Shown:
    """Show the worth of epochs for several P, and the risk against epochs, trained beside theory."""
    problem, optimizer = rfm.power_law(A, B, modes, NOISE), rfm.SGD(LR, BATCH)
    figure, axes = plotting.new_figure(1, 2, width=4.4)
    times, worth, table, runs = np.array(epochs), [], [], []
    for index, p in enumerate(progress.over(samples, "samples")):
        call = Sizes(num_features=size, num_samples=p)
        worth.append(theory.epochs_worth(problem, **call, optimizer=optimizer, epochs=times).fresh)
        axes[0, 0].plot(times, worth[-1], color=plotting.COLORS[index], marker=".", lw=1.3, label=f"P = {p}")
        table += [{"P": p, "epochs": e, "fresh": f} for e, f in zip(times, worth[-1], strict=True)]
        if p in taught:
            steps = times * (p // BATCH)
            keys = jax.random.split(jax.random.key(seed), seeds)
            risks = rfm.simulate(problem, **call, optimizer=optimizer, times=steps, keys=keys).risk
            predicted = theory.predict(problem, **call, optimizer=optimizer, times=steps).risk
            runs.append(Comparison("epochs", times, risks, predicted, {"N": size, "P": p}, f"P = {p}"))
            plotting.draw(axes[0, 1], runs[-1], index)
    axes[0, 0].plot(times, times, color=plotting.LIMIT, lw=1, label="as good as fresh")
    plotting.finish(axes[0, 0], "epochs", "fresh samples they are worth, in $P$", f"N = {size}, no label noise")
    plotting.finish(axes[0, 1], "epochs", "risk", f"batches of {BATCH}; {seeds} draws")
    table += [row for run in runs for row in run.rows()]
    worth = np.array(worth)
    two = worth[:, times == 2][:, 0] / worth[:, 0]
    last = worth[:, -1]
    few = ", ".join(f"{x:.2f}" for x in two) + f" at P = {', '.join(map(str, samples))}"
    many = ", ".join(f"{x:.1f}" for x in last) + f" at P = {', '.join(map(str, samples))}"
    again = f"{times[-1]} epochs, in fresh samples over P"
    grows = np.diff(np.log(worth)) / np.diff(np.log(times))
    slow = f"d log worth/d log epochs {grows[-1, 0]:.2f} at first, {grows[-1, -1]:.2f} at last, P = {samples[-1]}"
    return Shown(figure, table, (
        condition("two epochs over one", "2 for few epochs", f"{few}, rising", bool(two[-1] > 1.8 and two[-1] > two[0]),
                  yes="refined"),
        condition(again, "grows with P", many, bool(np.all(np.diff(last) > 0))),
        condition("worth of later epochs", "levels off", slow, bool(grows[-1, -1] < grows[-1, 0])),
        agreement(runs, "simulation against theory"),
    ))  # fmt: skip


main = Script(
    name="S8",
    title="What repeating samples is worth",
    source="Yan et al. 2025 (arXiv 2511.13421)",
    claim="few epochs are worth as much as fresh samples, more of them level off, later for larger sets",
    show=show,
    full=dict(samples=(32, 64, 128, 256, 512), epochs=(1, 2, 4, 8, 16, 32), size=512, taught=(32, 128), seeds=100,
              modes=2000),
    smoke=dict(samples=(16, 32), epochs=(1, 2, 4), size=32, taught=(16,), seeds=8, modes=100),
    limits="constant learning rates, batches drawn anew; strongly convex problems are left out",
)  # fmt: skip
