"""`rfm compare`: training runs beside their theory, and the exponents for time, model size and data."""

import argparse
import dataclasses
import math
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure

import rfm
from experiments.commands.compare_words import QUANTITIES, exponent_table, final_growth, final_risks, verdict_lines
from experiments.commands.parsing import RICHNESS
from experiments.commands.settings import Shared, Usual, add_seeds, add_times, record_of, settings_of, timed
from experiments.compare import algorithms
from experiments.compare.comparison import INFINITE, with_size
from experiments.compare.differences import TOLD, Agreement
from experiments.compare.exponent import Exponent
from experiments.compare.predictions import Members, seeds_of_curve
from experiments.compare.scans import Draws, Scan, check, scan_size, scan_time
from experiments.compare.spread import Call, standard_scores
from experiments.compare.tasks import POOL, POOL_DIMENSION, Task, power_law_rows, real_rows, task_of_rows
from experiments.compare.windows import fit_exponent, judge_scans
from experiments.output import files, plotting, progress
from experiments.output.drawing import draw_scan
from experiments.output.tables import records
from rfm import checks, datasets
from rfm.arguments import Sizes
from rfm.engine.features import ACTIVATIONS, FEATURES
from rfm.optimizers import Optimizer
from rfm.protocols import Stepper
from rfm.sgd import DRAWN_ANEW
from theory import exponents

MODEL_SIZES = {8: 12, 16: 24, 32: 24, 64: 4, 128: 2, 256: 1, 512: 2}  # and how many draws of each a seed stands for
STEADY = 32  # size from which curvatures of hundreds of draws are alike
SEEDS, OF_CURVE = 16, (8, 512)  # draws, and least and most of the learning curve where its scatter is predicted
ARGUMENTS = ("a", "b", "modes", "noise", "seed", "out", "quick")
ONE_PASS = "one pass"
TITLE = 48  # characters of a line
TIMES = Usual(flow="0.1 1e6 71", steps="1 2000 34")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of `rfm compare`; samples: a number, or ONE_PASS; options: see `algorithms.options_of`."""

    shared: Shared
    features: int
    samples: float | str
    options: dict[str, Any]
    ensemble: int
    bags: int
    richness: float
    map: str
    data: str | None
    times: tuple[float, ...]
    sizes: tuple[int, ...]
    curve_seeds: int

    @property
    def real(self) -> bool:
        """Are rows those of a finite population, not Gaussians?"""
        return self.data is not None or self.map in ACTIVATIONS

    @property
    def num_samples(self) -> float:
        """Training samples of the learning curve, infinite for one pass."""
        return np.inf if isinstance(self.samples, str) else self.samples


class SizePlan(NamedTuple):
    """Sizes along an axis, draws of each that a seed stands for, and the arguments that are held."""

    axis: str
    sizes: tuple[int, ...]
    draws: tuple[int, ...]
    held: Sizes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command alone; those that all share are in `experiments.commands.parsing`."""
    parser.add_argument(
        "--features", type=int, metavar="N", help="model size of the learning curve (default: 512; 200 for real inputs)"
    )
    parser.add_argument(
        "--samples", type=int, metavar="P",
        help="training samples of the learning curve (default: 1024; 400 for real inputs; one pass for sgd)",
    )  # fmt: skip
    add_times(parser, TIMES)
    told = f"as many as tell {100 * TOLD[2]:g} %%, {OF_CURVE[0]} to {OF_CURVE[1]}"
    add_seeds(parser, f"{SEEDS}; of the learning curve {told}")
    algorithms.add_arguments(parser, tuple(algorithms.ALGORITHMS))
    parser.add_argument("--ensemble", type=int, default=1, metavar="K", help="feature draws whose models are averaged")
    parser.add_argument("--bags", type=int, default=1, metavar="B", help="data sets whose models are averaged")
    parser.add_argument("--richness", **RICHNESS)
    parser.add_argument(
        "--map", choices=FEATURES, default="gaussian",
        help=f"law of the random features; relu and erf act on inputs: those of --data, or {POOL} of the power law",
    )  # fmt: skip
    parser.add_argument("--data", metavar="NAME", help=f"real data instead of a power law: {', '.join(datasets.NAMES)}")


def run(args: argparse.Namespace) -> None:
    """Print the tables, write compare.png, .pdf, .csv and .json."""
    folder = files.check_folder(args.out)
    checks.number("richness", args.richness, 0.0, "a finite number >= 0", inclusive=True)
    real = args.data is not None or args.map in ACTIVATIONS
    times, optimizer = timed(args, TIMES._replace(steps=f"1 {algorithms.usual_steps(args, 2000)} 34"))
    part = 2 if args.quick and not real else 1  # of the learning curve
    samples = ONE_PASS if args.optimizer == "sgd" else 400 if real else 1024 // part
    largest = 4 if args.quick else 6 if real else 7
    settings = settings_of(
        Settings, args, times=times, sizes=tuple(MODEL_SIZES)[:largest],
        features=(200 if real else 512 // part) if args.features is None else args.features,
        samples=samples if args.samples is None else args.samples,
        shared=settings_of(Shared, args, seeds=SEEDS if args.seeds is None else args.seeds),
        curve_seeds=SEEDS if args.seeds is None else args.seeds,
    )  # fmt: skip
    task = make_task(settings)
    if args.seeds is None and not args.quick:
        settings = dataclasses.replace(settings, curve_seeds=seeds_for_curve(settings, task.problem, optimizer))
    scans = scan_all(settings, task.problem, optimizer)
    messages = [f"{QUANTITIES[scan.axis]}: {message}" for scan in scans for message in scan.messages]
    scans = [scan for scan in scans if len(scan.x)]
    if not scans:
        checks.fail("lr", "smaller: every run diverged before the first point", settings.options["lr"])
    fits = [fit_exponent(scan) for scan in scans]

    source = f"fitted to the spectrum of {settings.data or f'the {settings.map} kernel'}" if real else "given"
    law = f"power law a = {task.a:.4g}, b = {task.b:.4g} ({source})"
    shared = settings.shared
    judged = judge_scans(scans, fits)
    trained = f"; features trained, richness {settings.richness:g}" if settings.richness > 0.0 else ""
    seeds, more = f"{shared.seeds} seeds", settings.curve_seeds
    seeds += f" ({more} along time)" if more != shared.seeds else ""
    text = [f"{law}; {seeds}; noise variance {shared.noise:g}{trained}"]
    text += [] if settings.options["optimizer"] == "flow" else [algorithms.in_words(settings.options)]
    text += [exponent_table(scans, fits, closed_form(settings, task)), *verdict_lines(scans, judged)]
    text += [*final_growth(scans), *final_risks(scans), *messages]
    record = record_of(settings) | {"a": task.a, "b": task.b}
    record["fits"] = {scan.axis: dataclasses.asdict(fit) for scan, fit in zip(scans, fits, strict=True)}
    record["agreement"] = {axis: judgement.record() for axis, judgement in judged.items()}
    if messages or not all(scan.own_theory for scan in scans):
        record |= {"theory": {scan.axis: scan.theory_label for scan in scans}, "messages": messages}
    rows = [row for scan in scans for row in table(scan)]
    optimizer_name = settings.options["optimizer"]
    name = files.name_of(
        "compare", settings.data, None if settings.map == "gaussian" else settings.map,
        None if optimizer_name == "flow" else optimizer_name,
    )  # fmt: skip
    files.save_and_tell(folder, files.Result(name, rows, record, lambda: draw(scans, fits, judged), "\n".join(text)))


def scan_all(settings: Settings, problem: rfm.Problem, optimizer: Optimizer) -> list[Scan]:
    """Train and predict along time, model size and data."""
    times, keys, count = np.array(settings.times), settings.shared.keys, settings.curve_seeds
    curve = Sizes(num_features=settings.features, num_samples=settings.num_samples)
    plan = plan_sizes(settings, optimizer)
    runs = [(curve, math.ceil(count / len(keys)))]
    for axis, sizes, draws, held in plan:
        runs += [(with_size(axis, size, held), count) for size, count in zip(sizes, draws, strict=True)]
    members = members_of(settings)
    check(problem, optimizer, times, keys, runs, feature_law=settings.map, **members)
    how = Draws(**members, keys=keys, features=settings.map)
    scans = []
    with progress.bar(1 + sum(len(here.sizes) for here in plan), "run") as bar:
        for axis, sizes, draws, held in plan:
            bar.set_description(axis)
            scans.append(scan_size(problem, axis, sizes, optimizer=optimizer, time=times[-1], draws=draws,
                                   on_point=bar.update, **held, **how))  # fmt: skip
        bar.set_description("time")
        more = Draws(
            **members, keys=jax.random.split(jax.random.key(settings.shared.seed), count), features=settings.map
        )
        scans.insert(0, scan_time(problem, times, optimizer=optimizer, **curve, **more))
        bar.update()
    return scans


def members_of(settings: Settings) -> Members:
    """Return what is averaged, and the richness."""
    return Members(ensemble=settings.ensemble, bags=settings.bags, richness=settings.richness)


def seeds_for_curve(settings: Settings, problem: rfm.Problem, optimizer: Optimizer) -> int:
    """Count the draws of the learning curve with which the verdict on it tells what it should."""
    curve = Sizes(num_features=settings.features, num_samples=settings.num_samples)
    call = Call(**curve, optimizer=optimizer, times=np.array(settings.times))
    return seeds_of_curve(problem, members_of(settings), settings.map, call, OF_CURVE) or settings.shared.seeds


def plan_sizes(settings: Settings, optimizer: Optimizer) -> list[SizePlan]:
    """Choose sizes along each axis; what is held is infinite: fresh data, or a student that sees every mode.

    The variance of a draw falls as 1/size and its cost rises as the size, so small sizes are drawn more often; most is
    drawn at both ends, which tell a slope. Where steps are taken the smallest sizes are drawn once: one of hundreds of
    draws has a curvature at which a learning rate diverges that the mean draw allows.
    """
    sizes = settings.sizes
    least = STEADY if isinstance(optimizer, Stepper) else 1
    fewer = 4 if settings.shared.quick else 1
    draws = tuple(max(1, MODEL_SIZES[size] // fewer) if size >= least else 1 for size in sizes)
    in_order = getattr(optimizer, "order", DRAWN_ANEW) != DRAWN_ANEW  # of one training set, which has a size
    held = with_size("samples", settings.num_samples) if in_order else INFINITE
    plan = [SizePlan("features", sizes, draws, held)]
    stepped = isinstance(optimizer, Stepper) and settings.richness > 0.0
    if not stepped and not isinstance(optimizer, rfm.SGD | rfm.Optax):
        plan.append(SizePlan("samples", sizes, draws, INFINITE))
    elif settings.samples != ONE_PASS:
        # batches, steps coordinate by coordinate and steps of features need those of a finite student, which cost most
        largest = int(np.max(getattr(optimizer, "batch_size", None) or 1))
        if in_order:
            sizes = tuple(n for n in (largest * 2**i for i in range(len(sizes))) if n <= settings.num_samples)
        sizes = tuple(size for size in sizes if size >= largest)
        if sizes:
            plan.append(SizePlan("samples", sizes, (1,) * len(sizes), with_size("features", settings.features)))
    return plan


def make_task(settings: Settings) -> Task:
    """Make the problem, and its exponents where they are not given."""
    shared = settings.shared
    a, b, noise, seed = shared.a, shared.b, shared.noise, shared.seed + 1
    if not settings.real:
        return Task(shared.problem, a, b)
    if settings.data is None:
        inputs, labels = power_law_rows(rfm.power_law(a, b, min(shared.modes, POOL_DIMENSION)), seed)
    else:
        inputs, labels = real_rows(settings.data)
    return task_of_rows(inputs, labels, feature_law=settings.map, noise_var=noise, seed=seed)


def closed_form(settings: Settings, task: Task) -> dict[str, float]:
    """Return the exponents known in closed form: full batches at constant learning rate, without weight decay."""
    if settings.options["optimizer"] not in algorithms.FULL_BATCH or not algorithms.is_plain(settings.options):
        return {}
    a, b = task.a, task.b
    if settings.richness > 0.0 and settings.options["optimizer"] != "flow":
        return {}  # steps advance less where the kernel has grown
    known = {"time": exponents.time_exponent(a, b), "features": exponents.model_exponent(a, b)}
    if settings.richness > 0.0:
        known["time"] = exponents.rich_time_exponent(a, b)
    noisy = float(task.problem.noise_var) > 1e-12
    return known if noisy else known | {"samples": exponents.data_exponent(a, b)}


def table(scan: Scan) -> list[dict]:
    """Return every point of a scan, one row each."""
    risk, training = scan.risk, scan.training
    columns = {
        "x": scan.x, "risk": risk.mean, "stderr": risk.stderr, "theory": risk.theory,
        "theory_all_else_infinite": scan.limit, "z": standard_scores(risk), "relative_gap": risk.gap,
        "train_loss": training.mean, "train_loss_theory": training.theory,
    }  # fmt: skip
    if scan.spread is not None:
        columns |= {"leading": scan.spread.leading, "std": scan.spread.std}
    if not scan.comparable:
        del columns["z"], columns["relative_gap"]
    if (average := scan.average) is not None:
        columns |= {"average_risk": average.mean, "average_stderr": average.stderr, "average_theory": average.theory}
    if (growth := scan.growth) is not None:
        columns |= {"kernel_growth": growth.mean, "growth_stderr": growth.stderr, "growth_theory": growth.theory}
    other = {} if scan.own_theory else {"theory_of": scan.theory_label}
    return records({"axis": scan.axis, "kind": scan.kind, **risk.fixed} | columns | other)


def draw(scans: Sequence[Scan], fits: Sequence[Exponent], judged: dict[str, Agreement]) -> Figure:
    """Draw the scans side by side, each under its verdict."""
    caption = (plotting.CAPTION if any(scan.own_theory for scan in scans) else "") + plotting.POINTS
    if any(scan.spread is not None for scan in scans):
        caption = plotting.SPREAD
    figure, axes = plotting.new_figure(1, len(scans), caption=caption)
    for ax, scan, fit in zip(axes[0], scans, fits, strict=True):
        words = f"simulation against theory: {judged[scan.axis].words}" if scan.axis in judged else ""
        message = textwrap.fill(words, TITLE)
        draw_scan(ax, scan, fit if scan.comparable else None, message)
    return figure
