"""`rfm modes`: how much of each mode is learned against time, how that scatters, and each mode's part of the risk."""

import argparse
import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

import rfm
import theory
from experiments.commands.settings import AtSizes, Usual, add_times, record_of, settings_of, timed
from experiments.compare import algorithms
from experiments.compare.comparison import AXES
from experiments.output import files, plotting, progress
from experiments.output.tables import align, records
from rfm.optimizers import Optimizer

SHOWN = (1, 3, 10, 30, 100, 300)  # modes, as many as there are
POINTS = 12  # of the simulation in the figure
TIMES = Usual(flow="0.1 1e5 37", steps="1 2000 25")


@dataclasses.dataclass(frozen=True)
class Learned:
    """Share of modes (K,) at times (T,): by theory, and of models (S, T, K) that were trained."""

    theory: theory.ModeCurves
    share: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """Average over models, (T, K)."""
        return self.share.mean(0)

    @property
    def std(self) -> np.ndarray:
        """Standard deviation over models, (T, K)."""
        return self.share.std(0, ddof=1)

    @property
    def stderr(self) -> np.ndarray:
        """Standard error of the average, (T, K)."""
        return self.std / np.sqrt(len(self.share))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add arguments and defaults of this command alone."""
    parser.add_argument("--features", type=int, default=64, metavar="N", help="model size")
    parser.add_argument("--samples", type=int, default=128, metavar="P", help="training samples")
    add_times(parser, TIMES)
    algorithms.add_arguments(parser, algorithms.FULL_BATCH)
    parser.set_defaults(noise=0.1, modes=1_000, seeds=100)


def run(args: argparse.Namespace) -> None:
    """Print the table, write modes.png, .pdf, .csv and .json."""
    folder = files.check_folder(args.out)
    times, optimizer = timed(args, TIMES)
    settings = settings_of(AtSizes, args, times=times)
    learned = train(settings, optimizer)
    result = files.Result("modes", table(learned), record_of(settings), lambda: draw(settings, learned), text(learned))
    files.save_and_tell(folder, result)


def train(settings: AtSizes, optimizer: Optimizer) -> Learned:
    """Train models, and predict what they learn of a few modes."""
    problem, times = settings.shared.problem, np.array(settings.times)
    numbers = np.array([k for k in SHOWN if k <= problem.num_modes])
    args = dict(**settings.sizes, optimizer=optimizer, times=times)
    predicted = theory.modes(problem, **args, modes=numbers)  # pyright: ignore[reportArgumentType]
    last = int(numbers[-1])
    share = []
    with progress.bar(len(settings.shared.keys), "model") as bar:
        for keys in np.array_split(np.arange(len(settings.shared.keys)), max(1, len(settings.shared.keys) // 25)):
            some = rfm.coefficients(problem, **args, keys=settings.shared.keys[keys], num_modes=last)  # pyright: ignore
            share.append(some[..., numbers - 1] / problem.spectrum(last)[1][numbers - 1])
            bar.update(len(keys))
    return Learned(predicted, np.concatenate(share))


def text(learned: Learned) -> str:
    """Return share and scatter at four times, theory beside simulation."""
    known = learned.theory
    rows: list[Sequence[str]] = [("mode", "t", "share", "simulated", "scatter", "simulated")]
    for k in range(len(known.modes)):
        for i in np.unique(np.linspace(0, len(known.times) - 1, 4).astype(int)):
            numbers = (known.learned, learned.mean, known.scatter, learned.std)
            rows.append((f"{known.modes[k]:.0f}", f"{known.times[i]:.3g}", *(f"{x[i, k]:.3f}" for x in numbers)))
    return align(rows)


def table(learned: Learned) -> list[dict]:
    """Return every mode and time, one row each."""
    known, rows = learned.theory, []
    for i, number in enumerate(known.modes):
        rows += records({
            "mode": int(number), "t": known.times, "share": learned.mean[:, i], "stderr": learned.stderr[:, i],
            "share_theory": known.learned[:, i], "std": learned.std[:, i], "std_theory": known.scatter[:, i],
            "risk_theory": known.risk[:, i],
        })  # fmt: skip
    return rows


def draw(settings: AtSizes, learned: Learned) -> Figure:
    """Draw share, scatter and part of the risk against time, a colour for each mode."""
    figure, axes = plotting.new_figure(1, 3)
    known, seeds = learned.theory, len(learned.share)
    some = np.unique(np.linspace(0, len(known.times) - 1, POINTS).astype(int))
    errors = learned.std / np.sqrt(2 * (seeds - 1))
    for i, number in enumerate(known.modes):
        label, color = f"mode {number:.0f}", plotting.COLORS[i % len(plotting.COLORS)]
        for ax, line, points, error in (
            (axes[0, 0], known.learned, learned.mean, learned.stderr),
            (axes[0, 1], known.scatter, learned.std, errors),
        ):
            ax.plot(known.times, line[:, i], color=color, lw=1.3)
            plotting.draw_points(ax, known.times[some], points[some, i], error[some, i], i, label=label)
        axes[0, 2].plot(known.times, known.risk[:, i], color=color, lw=1.3, label=label)
    held = f"$N$ = {settings.features}, $P$ = {settings.samples}; {seeds} models"
    x = AXES["time"] if settings.options["optimizer"] == "flow" else "steps"
    titles: Sequence[tuple[str, str]] = (
        ("share of the mode that is learned", held), ("standard deviation of the share", held),
        ("part of the risk", "theory"),
    )  # fmt: skip
    for ax, (y, title) in zip(axes[0], titles, strict=True):
        plotting.finish(ax, x, y, title, log=ax is axes[0, 2])
        ax.set_xscale("log")
    axes[0, 0].set_ylim(-0.3, 1.3)
    axes[0, 2].set_ylim(1e-4 * known.risk.max(), 2 * known.risk.max())
    return figure
