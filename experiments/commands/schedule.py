"""`rfm schedule`: the best learning rate at every step, what families of schedules lose to it, and training beside."""

import argparse
import dataclasses
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import rfm
import theory
from experiments.commands.settings import Shared, add_seeds, record_of, settings_of
from experiments.compare.comparison import Comparison
from experiments.compare.differences import Agreement
from experiments.compare.equivalence import agreements
from experiments.compare.scans import check
from experiments.compare.statistics import over_draws
from experiments.output import files, plotting, progress
from experiments.output.tables import align, records
from rfm import checks
from rfm.arguments import Sizes
from theory.schedules import FAMILIES, FASTEST, MOST_STEPS

ARGUMENTS = ("a", "b", "modes", "noise", "seed", "out", "quick")
STEPS, QUICK_STEPS = 2000, 200
SEEDS, QUICK_SEEDS = 256, 16
POINTS = 16  # steps along a curve at which training is recorded
LINE = 120  # steps at which theory is drawn
SLOWEST = 1e-9  # a learning rate that diverges nowhere
SEARCHES = 3  # trainings that a search takes as long as
BEST = "best"
PLACES = {name: place for place, name in enumerate(FAMILIES)} | {BEST: 6}  # in plotting.COLORS


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of `rfm schedule`."""

    shared: Shared
    features: int
    steps: int
    batch_size: int
    most: float

    @property
    def sizes(self) -> Sizes:
        """Sizes of theory and training: fresh samples."""
        return Sizes(num_features=self.features, num_samples=np.inf)

    @property
    def times(self) -> np.ndarray:
        """Steps at which training is recorded, the last among them."""
        return rfm.log_times(1, self.steps, min(POINTS, self.steps), integer=True)


@dataclasses.dataclass(frozen=True)
class Trained:
    """A schedule, and training with it beside theory.

    Attributes:
        lr: (steps,) its learning rates.
        shape: That of its family, NaN where there is none.
        pair: Along steps; without seeds where training was refused.
        refusal: Why.
    """

    lr: np.ndarray
    shape: float
    pair: Comparison
    refusal: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add arguments and defaults of this command alone."""
    add_seeds(parser, f"{SEEDS}; {QUICK_SEEDS} with --quick")
    parser.add_argument("--features", type=int, default=128, metavar="N", help="model size")
    parser.add_argument(
        "--steps", type=int, metavar="T", help=f"length of training (default: {STEPS}; {QUICK_STEPS} with --quick)"
    )
    parser.add_argument("--batch-size", type=int, default=1, metavar="B", help="fresh samples a step")
    parser.add_argument(
        "--most", type=float, default=FASTEST, metavar="SHARE",
        help="of the largest stable learning rate that may be used; less where some drawn model would diverge",
    )  # fmt: skip
    parser.set_defaults(a=1.6, b=1.3, noise=0.05)


def run(args: argparse.Namespace) -> None:
    """Print the table, write schedule.png, .pdf, .csv and .json."""
    folder = files.check_folder(args.out)
    usual = QUICK_STEPS if args.quick else STEPS
    steps = checks.count("steps", usual if args.steps is None else args.steps, "an integer >= 2")
    if not 2 <= steps <= MOST_STEPS:
        checks.fail("steps", f"an integer from 2 to {MOST_STEPS:,}", steps)
    if not 0.0 < args.most < 1.0:
        checks.fail("most", "a number > 0 and < 1", args.most)
    if args.seeds is None:
        args.seeds = QUICK_SEEDS if args.quick else SEEDS
    settings = settings_of(Settings, args, steps=steps)
    shared = settings.shared
    slow = rfm.SGD(np.full(steps, SLOWEST), settings.batch_size)
    check(shared.problem, slow, settings.times, shared.keys, [(settings.sizes, len(PLACES))])
    best, trained = measure(settings)
    pairs = {name: each.pair for name, each in trained.items() if each.pair.seeds}
    judged = dict(zip(pairs, agreements(list(pairs.values()), [0.0] * len(pairs)), strict=True))
    text = [describe(settings), table(best, trained, judged)]
    if not best.converged:
        text.append("The search for the best schedule stopped at its limit: a longer one would still gain.")
    text += [f"{name} is not trained: {each.refusal} Lower --most." for name, each in trained.items() if each.refusal]
    families = {name: {"risk": family.risk, "excess": family.excess, "peak": float(family.lr.max()),
                       "shape": None if np.isnan(family.shape) else family.shape}
                for name, family in best.families.items()}  # fmt: skip
    record = record_of(settings) | {"risk": best.risk, "converged": best.converged, "families": families}
    record |= {"lr": best.lr, "agreement": {name: judgement.record() for name, judgement in judged.items()}}
    rows = [row for name, each in trained.items() for row in rows_of(name, each)]
    result = files.Result("schedule", rows, record, lambda: draw(settings, trained), "\n".join(text))
    files.save_and_tell(folder, result)


def measure(settings: Settings) -> tuple[theory.BestSchedule, dict[str, Trained]]:
    """Search for the best schedules, and train with all of them on the same features and samples."""
    problem, sizes, keys = settings.shared.problem, settings.sizes, settings.shared.keys
    with progress.bar(len(PLACES) + SEARCHES, "training", "search") as bar:
        best = theory.best_schedule(
            problem, num_features=settings.features, steps=settings.steps, batch_size=settings.batch_size,
            most=settings.most,
        )  # fmt: skip
        bar.update(SEARCHES)
        line = np.union1d(settings.times, rfm.log_times(1, settings.steps, LINE, integer=True))
        schedules = {name: (family.lr, family.shape) for name, family in best.families.items()}
        trained = {}
        for name, (lr, shape) in (schedules | {BEST: (best.lr, np.nan)}).items():
            bar.set_description(name)
            optimizer, refusal = rfm.SGD(lr, settings.batch_size), ""
            try:
                risks = rfm.simulate(problem, **sizes, optimizer=optimizer, times=settings.times, keys=keys).risk
            except checks.ArgumentError as error:  # draws scatter about the edge of stability that theory knows
                risks, refusal = np.empty((0, len(settings.times))), error.sentence("the learning rate")
            risk = theory.predict(problem, **sizes, optimizer=optimizer, times=line).risk
            here = risk[np.searchsorted(line, settings.times)]
            held = {"N": settings.features, "P": np.inf}
            pair = Comparison("time", settings.times, risks, here, held, name, line_x=line, line=risk)
            trained[name] = Trained(lr, shape, pair, refusal)
            bar.update()
    return best, trained


def lost(trained: Mapping[str, Trained], name: str) -> tuple[float, float, float]:
    """Return the last risk relative to the best schedule, less 1: of theory, of training, and its standard error.

    Training shares features and samples, so that most of their scatter is not in the ratio.
    """
    pairs = [trained[name].pair, trained[BEST].pair]
    expected = float(pairs[0].theory[-1] / pairs[1].theory[-1] - 1.0)
    if not all(pair.seeds for pair in pairs):
        return expected, np.nan, np.nan
    ends = np.stack([pair.risks[:, -1] for pair in pairs], axis=1)
    ratio, stderr = over_draws(ends, lambda mean: np.asarray(mean[0] / mean[1] - 1.0))
    return expected, float(ratio), float(stderr)


def describe(settings: Settings) -> str:
    """Return what was trained, in a line."""
    shared = settings.shared
    return (
        f"power law a = {shared.a:g}, b = {shared.b:g}, noise variance {shared.noise:g}; N = {settings.features}, "
        f"{settings.steps} steps of {settings.batch_size} fresh samples; {shared.seeds} seeds"
    )


def table(best: theory.BestSchedule, trained: Mapping[str, Trained], judged: Mapping[str, Agreement]) -> str:
    """Return one row a schedule, the best one first."""
    rows = [("schedule", "peak lr", "risk", "loses", "trained", "loses", "training against theory")]
    for name in sorted(trained, key=lambda name: (name != BEST, trained[name].pair.theory[-1])):
        each, (expected, measured, stderr) = trained[name], lost(trained, name)
        pair = each.pair
        shape = "" if np.isnan(each.shape) else f" {each.shape:.2f}"
        known = name != BEST, name != BEST and np.isfinite(measured)
        losses = f"{expected:.2%}", f"{100 * measured:.2f} ± {100 * stderr:.1g} %"
        risk = f"{pair.mean[-1]:.5g} ± {pair.stderr[-1]:.1g}" if pair.seeds else "-"
        verdict = judged[name].words if pair.seeds else "not trained"
        losses = [text if there else "-" for text, there in zip(losses, known, strict=True)]
        rows.append((name + shape, f"{each.lr.max():.3g}", f"{pair.theory[-1]:.5g}", losses[0], risk, losses[1],
                     verdict))  # fmt: skip
    return align(rows)


def rows_of(name: str, each: Trained) -> list[dict]:
    """Return a row for every recorded step."""
    pair = each.pair
    columns = {"theory": pair.theory, "lr": each.lr[pair.x.astype(int) - 1]}
    if pair.seeds:
        columns |= {"risk": pair.mean, "stderr": pair.stderr, "z": pair.z}
    return records({"schedule": name, **pair.fixed, "t": pair.x} | columns)


def draw(settings: Settings, trained: Mapping[str, Trained]) -> Figure:
    """Draw learning rates and risks against the step, and what every family loses at the end."""
    figure, axes = plotting.new_figure(1, 3)
    rates, curves, ends = axes[0]
    task = f"a = {settings.shared.a:g}, b = {settings.shared.b:g}, N = {settings.features}, B = {settings.batch_size}"
    for name, each in trained.items():
        color, width = plotting.COLORS[PLACES[name]], 2.0 if name == BEST else 1.2
        rates.plot(np.arange(settings.steps), each.lr, color=color, lw=width, label=name)
        if each.pair.seeds:
            plotting.draw(curves, each.pair, PLACES[name])
        else:
            curves.plot(*each.pair.theory_line, color=color, lw=1.3, label=f"{name}, not trained")
    plotting.finish(rates, "step", "learning rate", "best members of families, and the best of all", log=False)
    plotting.finish(curves, "step", "risk", f"what they reach\n{task}")
    draw_ends(ends, trained)
    return figure


def draw_ends(ax: Axes, trained: Mapping[str, Trained]) -> None:
    """Draw what families lose to the best schedule at the last step: theory bars, training points."""
    names = sorted((name for name in trained if name != BEST), key=lambda name: lost(trained, name)[0])
    for place, name in enumerate(names):
        expected, measured, stderr = lost(trained, name)
        ax.barh(place, 100 * expected, color=plotting.COLORS[PLACES[name]], alpha=0.45, height=0.6)
        ax.errorbar(100 * measured, place, xerr=200 * stderr, fmt=plotting.MARKERS[PLACES[name]], ms=4,
                    color=plotting.COLORS[PLACES[name]], lw=0.9)  # fmt: skip
    ax.axvline(0.0, color=plotting.COLORS[PLACES[BEST]], lw=0.9)
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("risk above that of the best schedule, %")
    ax.set_title("what a family loses at the last step\nbars: theory; points: training", fontsize=9)
