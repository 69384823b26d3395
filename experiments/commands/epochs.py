"""`rfm epochs`: loss against epochs for several training sets, what samples used again are worth, and when to stop."""

import argparse
import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

import rfm
import theory
from experiments.commands.settings import Shared, add_seeds, record_of, settings_of
from experiments.compare.algorithms import OWN, theory_of
from experiments.compare.comparison import Comparison, derive
from experiments.compare.equivalence import agreements
from experiments.compare.scans import check
from experiments.output import files, plotting, progress
from experiments.output.tables import align
from rfm import checks
from rfm.arguments import Sizes
from rfm.sgd import DRAWN_ANEW, ORDERS
from theory.reuse import MOST_FRESH, first_below
from theory.schedules import MOST_STEPS

ARGUMENTS = ("a", "b", "modes", "noise", "seed", "out", "quick")
# training sets, epochs and seeds that are not given: batches drawn anew, samples in order, a quick look
USUAL = {DRAWN_ANEW: ((32, 128, 512), 32, 64), "in order": ((16, 32, 64, 128), 16, 64), "quick": ((32,), 8, 16)}
POINTS = 4  # at which training is recorded, as epochs double
FIRST = 0.05  # epochs at which a figure begins
FRESH_POINTS = 200  # steps at which one pass is recorded


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of `rfm epochs`."""

    shared: Shared
    features: int
    samples: tuple[int, ...]
    epochs: int
    batch_size: int
    lr: float
    order: str

    @property
    def optimizer(self) -> rfm.SGD:
        """SGD on a training set."""
        return rfm.SGD(self.lr, self.batch_size, order=self.order)

    def an_epoch(self, samples: int) -> float:
        """Return the steps of an epoch: in order the last batch may be a short one."""
        exact = samples / self.batch_size
        return exact if self.order == DRAWN_ANEW else math.ceil(exact)

    def steps(self, samples: int) -> int:
        """Count the steps of all epochs."""
        return max(1, round(self.epochs * self.an_epoch(samples)))

    def often(self) -> np.ndarray:
        """Return the epochs of the table: 1, 2, 4, ... and the last."""
        return np.union1d(2 ** np.arange(self.epochs.bit_length()), self.epochs)


class Reuse(NamedTuple):
    """One training set used again and again.

    Attributes:
        samples: P.
        risk, training: Training beside theory at recorded steps.
        fresh: One pass at FRESH_POINTS steps, theory and training on the same features.
        an_epoch: Steps of an epoch.
        exact: Steps of P samples.
        label: Whose theory it is.
    """

    samples: int
    risk: Comparison
    training: Comparison
    fresh: Comparison
    an_epoch: float
    exact: float
    label: str

    @property
    def best(self) -> tuple[float, float]:
        """Return the epochs after which theory has its least risk, and that risk."""
        steps, risk = self.risk.theory_line
        least = int(np.argmin(risk))
        return float(steps[least]) / self.an_epoch, float(risk[least])

    @property
    def falls(self) -> bool:
        """Tell whether the risk of theory is least at the end."""
        return bool(np.isclose(self.best[0], self.epochs[-1]))

    @property
    def epochs(self) -> np.ndarray:
        """Epochs of the recorded steps."""
        return self.risk.x / self.an_epoch

    def worth(self) -> Any:
        """Derive fresh samples, in units of P, after which one pass has the risk of every recorded step."""
        recorded = len(self.risk.x)
        both = Comparison("time", np.append(self.risk.x, self.fresh.x), np.hstack([self.risk.risks, self.fresh.risks]),
                          np.append(self.risk.theory, self.fresh.theory))  # fmt: skip

        def fresh_for(risks: np.ndarray) -> np.ndarray:
            again, one_pass = risks[0, :recorded], risks[0, recorded:]
            return np.array([first_below(self.fresh.x, one_pass, risk) for risk in again]) / self.exact

        return derive([both], fresh_for)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add arguments and defaults of this command alone."""
    usual, in_order, quick = USUAL[DRAWN_ANEW], USUAL["in order"], USUAL["quick"]
    add_seeds(parser, f"{usual[2]}; {quick[2]} with --quick")
    words = [" ".join(map(str, sizes[0])) for sizes in (usual, in_order)]
    parser.add_argument("--features", type=int, default=128, metavar="N", help="model size")
    parser.add_argument(
        "--samples", type=int, nargs="+", metavar="P",
        help=f"training sets (default: {words[0]}; {words[1]} for samples in order; {quick[0][0]} with --quick)",
    )  # fmt: skip
    parser.add_argument(
        "--epochs", type=int, metavar="E",
        help=f"how often all are used (default: {usual[1]}; {in_order[1]} in order; {quick[1]} with --quick)",
    )  # fmt: skip
    parser.add_argument("--batch-size", type=int, default=4, metavar="B", help="samples a step")
    parser.add_argument("--lr", type=float, default=0.1, help="learning rate")
    parser.add_argument(
        "--order", choices=ORDERS, default=DRAWN_ANEW,
        help="batches drawn anew at every step, or epochs: shuffled anew, or in a fixed order",
    )  # fmt: skip
    parser.set_defaults(a=1.6, b=1.3, noise=0.1)


def run(args: argparse.Namespace) -> None:
    """Print the tables, write epochs.png, .pdf, .csv and .json."""
    folder = files.check_folder(args.out)
    samples, epochs, seeds = USUAL["quick" if args.quick else args.order if args.order == DRAWN_ANEW else "in order"]
    args.seeds = seeds if args.seeds is None else args.seeds
    sets = samples if args.samples is None else tuple(sorted(set(args.samples)))
    checks.count("batch_size", args.batch_size, "an integer >= 1")
    settings = settings_of(
        Settings, args, samples=tuple(checks.count("samples", size, "an integer >= 1") for size in sets),
        epochs=checks.count("epochs", epochs if args.epochs is None else args.epochs, "an integer >= 1"),
    )  # fmt: skip
    shared = settings.shared
    for size in settings.samples:  # refuses before any progress is shown
        last = np.array([settings.steps(size)])
        if last[0] > MOST_STEPS:
            checks.fail("epochs", f"smaller: at most {MOST_STEPS:,} steps are taken", settings.epochs)
        sizes = Sizes(num_features=settings.features, num_samples=size)
        check(shared.problem, settings.optimizer, last, shared.keys, [(sizes, 1)])
    reuses = measure(settings)
    judged = agreements([reuse.risk for reuse in reuses], [0.0] * len(reuses))
    text = [describe(settings), table(settings, reuses), "", stops(reuses, [each.words for each in judged])]
    record = record_of(settings) | {
        "best": {reuse.samples: dict(zip(("epochs", "risk"), reuse.best, strict=True)) for reuse in reuses},
        "agreement": {reuse.samples: each.record() for reuse, each in zip(reuses, judged, strict=True)},
        "theory": {reuse.samples: reuse.label for reuse in reuses},
    }
    name = files.name_of("epochs", None if settings.order == DRAWN_ANEW else settings.order)
    rows = [row for reuse in reuses for row in rows_of(reuse)]
    result = files.Result(name, rows, record, lambda: draw(settings, reuses), "\n".join(text))
    files.save_and_tell(folder, result)


def measure(settings: Settings) -> list[Reuse]:
    """Train on every set, and on fresh samples, beside theory."""
    problem, keys = settings.shared.problem, settings.shared.keys
    with progress.bar(len(settings.samples) + 1, "set", "fresh samples") as bar:
        longest = int(np.ceil(MOST_FRESH * settings.steps(settings.samples[-1])))
        passed = np.append(0, rfm.log_times(1, longest, min(FRESH_POINTS, longest), integer=True))
        one_pass = Sizes(num_features=settings.features, num_samples=np.inf)
        once = dataclasses.replace(settings.optimizer, order=DRAWN_ANEW)
        fresh = Comparison(
            "time", passed, rfm.simulate(problem, **one_pass, optimizer=once, times=passed, keys=keys).risk,
            theory.predict(problem, **one_pass, optimizer=once, times=passed).risk,
        )  # fmt: skip
        bar.update()
        reuses = []
        for samples in settings.samples:
            bar.set_description(f"P = {samples}")
            reuses.append(reuse_of(settings, samples, fresh))
            bar.update()
    return reuses


def reuse_of(settings: Settings, samples: int, fresh: Comparison) -> Reuse:
    """Train on one set beside theory, which is known at every step."""
    problem, optimizer, last = settings.shared.problem, settings.optimizer, settings.steps(samples)
    sizes, an_epoch = Sizes(num_features=settings.features, num_samples=samples), settings.an_epoch(samples)
    doublings = np.log2(settings.epochs / FIRST)
    spread = settings.epochs * 2.0 ** -np.linspace(doublings, 0.0, 1 + round(POINTS * doublings))
    recorded = np.unique(np.round(np.append(spread, settings.often()) * an_epoch))
    recorded = recorded[(recorded >= 1) & (recorded <= last)]
    trained = rfm.simulate(problem, **sizes, optimizer=optimizer, times=recorded, keys=settings.shared.keys)
    every = np.arange(last + 1.0)
    drawn, label = theory_of(optimizer, problem, times=every, **sizes)
    predicted = theory.predict(problem, **sizes, optimizer=drawn, times=every)
    held, here = {"N": settings.features, "P": samples}, recorded.astype(int)
    risk, training = (
        Comparison("time", recorded, simulated, line[here], held, f"$P$ = {samples}", line_x=every, line=line)
        for simulated, line in ((trained.risk, predicted.risk), (trained.train_loss, predicted.train_loss))
    )
    return Reuse(samples, risk, training, fresh, an_epoch, samples / settings.batch_size, label)


def describe(settings: Settings) -> str:
    """Return what was trained, in a line."""
    shared = settings.shared
    return (
        f"power law a = {shared.a:g}, b = {shared.b:g}, noise variance {shared.noise:g}; N = {settings.features}, "
        f"batches of {settings.batch_size}, lr {settings.lr:g}, order {settings.order}; {shared.seeds} seeds"
    )


def table(settings: Settings, reuses: list[Reuse]) -> str:
    """Return a row for every training set and number of epochs: risk, and what they are worth in fresh samples."""
    rows = [("P", "epochs", "risk", "trained", "worth, in fresh P", "trained")]
    for reuse in reuses:
        worth = reuse.worth()
        for often in settings.often():
            i = int(np.searchsorted(reuse.risk.x, np.round(often * reuse.an_epoch)))
            rows.append((
                str(reuse.samples), str(often), f"{reuse.risk.theory[i]:.4g}",
                f"{reuse.risk.mean[i]:.4g} ± {reuse.risk.stderr[i]:.1g}", number(worth.theory[i]),
                number(worth.simulated[i]) + (f" ± {worth.stderr[i]:.1g}" if np.isfinite(worth.stderr[i]) else ""),
            ))  # fmt: skip
    return align(rows)


def number(worth: float) -> str:
    """Return what epochs are worth in words: more than was looked at where one pass reaches their risk at no step."""
    return f"{worth:.2f}" if np.isfinite(worth) else "more than looked at"


def stops(reuses: list[Reuse], words: list[str]) -> str:
    """Return one row a training set: after how many epochs the risk is least, what more cost, and the verdict."""
    rows = [("P", "best stop", "risk there", "at the end", "training against theory")]
    for reuse, verdict in zip(reuses, words, strict=True):
        (epochs, risk), end = reuse.best, reuse.risk.theory[-1]
        stop = f"not before {epochs:g} epochs" if reuse.falls else f"{epochs:.3g} epochs"
        judged = verdict if reuse.label == OWN else f"not judged: {reuse.label}"
        rows.append((str(reuse.samples), stop, f"{risk:.4g}", f"{end / risk - 1:+.1%}", judged))
    return align(rows)


def rows_of(reuse: Reuse) -> list[dict]:
    """Return a row for every recorded step."""
    worth, training = reuse.worth(), reuse.training
    columns = {
        "epochs": reuse.epochs, "z": reuse.risk.z, "train_loss": training.mean, "train_loss_theory": training.theory,
        "fresh": worth.simulated, "fresh_stderr": worth.stderr, "fresh_theory": worth.theory,
    }  # fmt: skip
    names = ("N", "P", "epochs", "t", "risk", "stderr", "theory", *list(columns)[1:])
    other = {} if reuse.label == OWN else {"theory_of": reuse.label}
    return [row | other for row in reuse.risk.rows(*names, **columns)]


def draw(settings: Settings, reuses: list[Reuse]) -> Figure:
    """Draw risk against epochs with the best stop, and fresh samples of the same risk against epochs."""
    label = reuses[-1].label
    caption = plotting.CAPTION if label == OWN else f"lines: {label}; "
    figure, axes = plotting.new_figure(1, 2, width=4.4, caption=caption + plotting.POINTS)
    left, right = axes[0]
    starred = False
    for place, reuse in enumerate(reuses):
        plotting.draw(left, along_epochs(reuse.risk, reuse.an_epoch), place)
        if not reuse.falls:
            label = None if starred else "least risk"
            left.plot(*reuse.best, "*", ms=11, mfc="none", color="k", zorder=4, label=label)
            starred = True
        worth, x = reuse.worth(), reuse.epochs
        right.plot(x, worth.theory, color=plotting.COLORS[place], lw=1.3)
        plotting.draw_points(right, x, worth.simulated, worth.stderr, place, label=reuse.risk.label)
    ends = np.array([min(reuse.epochs[0] for reuse in reuses), settings.epochs])
    right.plot(ends, ends, color=plotting.LIMIT, ls=":", lw=1, label="fresh samples", zorder=0)
    shared = settings.shared
    task = f"a = {shared.a:g}, b = {shared.b:g}, N = {settings.features}, B = {settings.batch_size}, {settings.order}"
    plotting.finish(left, "epochs", "risk", f"samples used again\n{task}")
    plotting.finish(right, "epochs", "worth in fresh samples, over $P$", f"what repeating is worth\n{task}")
    return figure


def along_epochs(pair: Comparison, an_epoch: float) -> Comparison:
    """Return a comparison along steps as one along epochs, without the start."""
    line_x, line = pair.theory_line
    return dataclasses.replace(pair, x=pair.x / an_epoch, line_x=line_x[1:] / an_epoch, line=line[1:])
