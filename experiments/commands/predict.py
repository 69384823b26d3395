"""`rfm predict FILE`: learning curves of features (or a kernel) and labels, before any training."""

import argparse
from functools import partial

import jax
import numpy as np

from experiments.commands.settings import settings_of
from experiments.compare import algorithms
from experiments.forecast import check_report, held_out, independence, job, plots, records, report
from experiments.forecast.settings import Settings, check_points
from experiments.forecast.source import Source
from experiments.output import files as output
from experiments.output import progress
from experiments.papers import images
from rfm import checks
from rfm.data import datasets, files, oddities
from rfm.data.rows import refuse_too_large

ARGUMENTS = ("seeds", "seed", "out", "quick")
MAPS = ("relu",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command alone."""
    parser.add_argument("file", metavar="FILE", help="features and labels: .npz (X or K, and y), .npy, .csv, .parquet; "
                        f"or a data set: {', '.join(datasets.NAMES)}")  # fmt: skip
    parser.add_argument("--labels", nargs="+", metavar="LABELS", help="FILE.npy of labels, or columns of a table")
    parser.add_argument("--target", metavar="KIND", help="labels as real, one-hot, parity or class")
    parser.add_argument("--kernel", action="store_true", help="FILE holds a kernel (n, n) in place of features")
    parser.add_argument("--num-modes", type=int, metavar="M", help="modes of the kernel (default: infinitely many)")
    parser.add_argument("--map", choices=MAPS, help="use random neurons of the inputs in FILE as features")
    parser.add_argument("--width", type=int, default=2_000, help="of the layer of --map")
    parser.add_argument("--features", type=float, nargs="+", metavar="N", help="model sizes, inf for all features")
    parser.add_argument("--samples", type=int, nargs="+", metavar="P", help="training samples")
    parser.add_argument("--times", type=float, nargs=3, metavar=("START", "STOP", "NUM"), help="log-spaced times")
    algorithms.add_arguments(parser, algorithms.FULL_BATCH)
    parser.add_argument("--budget", type=float, nargs="+", metavar="C", help="compute C = N t to plan for")
    parser.add_argument("--replicas", type=int, default=12, help="halves of the rows: bands of exponents")
    parser.add_argument("--target-loss", type=float, nargs="+", metavar="L", help="losses, to see what rows they take")
    parser.add_argument("--groups", metavar="GROUPS", help="column of a table, or FILE.npy: rows of one "
                        "group, such as a patient or a window, are not independent")  # fmt: skip
    parser.add_argument("--time-series", action="store_true", help="rows are in order of time, neighbours alike")
    parser.add_argument("--check", nargs="?", const="halves", choices=tuple(held_out.CHECKS),
                        help="train on one half of the rows, beside the forecast from the other half; "
                        "extrapolate: beside that from an eighth, on up to half of the rows")  # fmt: skip
    parser.add_argument("--model", choices=held_out.MODELS, default="project",
                        help="models of --check: N random projections of features, or N of their columns")  # fmt: skip
    parser.set_defaults(seeds=8)


def run(args: argparse.Namespace) -> None:
    """Print the forecast; write predict-FILE.* and -spectrum.*, with --check -check.* too."""
    settings = _settings(args)
    folder = output.check_folder(settings.out)
    with progress.until_done(f"reading {settings.file}"):
        source = load(settings)
    points = check_points(settings, source) if settings.check else []
    task = job.prepare(settings, source)

    record = {**vars(args), "features": task.features, "samples": task.samples, "times": task.forecast.times.tolist()}
    foretold, estimate = task.run(), task.forecast.estimate
    name = output.name_of("predict", settings.file)
    spectrum = output.Result(
        f"{name}-spectrum", records.spectrum_rows(estimate), record, lambda: plots.spectrum(estimate)
    )  # fmt: skip
    forecast = output.Result(
        name, records.rows(foretold), record | records.record(foretold, None), lambda: plots.curves(foretold),
        "\n".join(report.lines(settings.file, source, foretold)),
    )  # fmt: skip
    output.save(folder, spectrum)
    output.save_and_tell(folder, forecast, last=not points)
    if points:  # the forecast is on disk before the check begins
        checked = job.check(settings, source, task.forecast.optimizer, points)
        output.save_and_tell(folder, output.Result(
            f"{name}-check", records.trial_rows(checked.trials), record | records.record(foretold, checked),
            lambda: plots.check(checked.trials), "\n".join(check_report.check_lines(checked)),
        ))  # fmt: skip
        output.save_settings(forecast.path(folder, ".json"), record | records.record(foretold, checked))


def _settings(args: argparse.Namespace) -> Settings:
    """Return the settings that the command line asks for; ValueError for what is wrong before any file is read."""
    images.check_source("file", args.file)
    algorithms.choose(args, 1.0)  # refuses options of other algorithms, and fills in defaults
    return settings_of(
        Settings,
        args,
        make_optimizer=partial(algorithms.choose, args),
        plans=args.optimizer in ("flow", "gd") and algorithms.is_plain(vars(args)),
    )


def load(settings: Settings) -> Source:
    """Read features (n, d), or a kernel (n, n), and labels (n,) or (n, K), neither too few nor constant."""
    file, labels = settings.file, settings.labels
    names = None if settings.groups is None else files.read_groups(file, settings.groups)
    if file in datasets.NAMES:
        if labels is not None or settings.kernel:
            checks.fail("labels", f"left out, and --kernel too, for the data set {file!r}", labels)
        data, y = datasets.load(file, settings.target)
    else:
        column = labels[0] if labels and len(labels) == 1 else labels
        named = () if settings.groups is None or settings.groups.lower().endswith(".npy") else (settings.groups,)
        data, y = files.read(file, column, kernel=settings.kernel, target=settings.target, left_out=named)
    files.check_finite(file, data)
    if len(data) < job.FEWEST:
        checks.fail("file", f"of at least {job.FEWEST} rows (bands come from halves of them)", len(data))
    if settings.check and held_out.parts_of(len(data), share := held_out.CHECKS[settings.check])[0] < job.FEWEST:
        checks.fail("check", f"left out for fewer than {job.FEWEST / share:.0f} rows", settings.check)
    if not np.ptp(y, axis=0).any():
        checks.fail("labels", "of non-zero variance", y[0], f"all {len(y)} rows of {file} have this one; name others")
    remarks = [] if settings.target else oddities.of_labels(y)
    remarks += [] if settings.kernel else oddities.of_columns(data)
    rows = data if settings.map is None else mapped(settings, data)
    source = Source(rows, y, settings.kernel, settings.num_modes, tuple(remarks))
    return independence.with_units(source, settings, names)


def mapped(settings: Settings, data: np.ndarray) -> np.ndarray:
    """Put the data through a random layer, (n, width)."""
    width = checks.count("width", settings.width, "an integer >= 1")
    n, d = len(data), data[0].size
    refuse_too_large(8 * (2 * n * (width + d) + width * d), f"{n} rows of {width} features", "lower --width")
    return datasets.random_relu(images.flatten(data), width, jax.random.key(settings.seed))
