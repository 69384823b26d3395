"""`rfm predict FILE`: learning curves of features (or a kernel) and labels, before any training."""

import argparse
import math
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
from tqdm import tqdm

import theory
from experiments.compare import algorithms
from experiments.forecast import curves as forecast
from experiments.forecast import held_out
from experiments.forecast import laws as forecast_laws
from experiments.forecast import plots as forecast_figures
from experiments.forecast import report as report
from experiments.forecast.held_out import Trial
from experiments.output import files as reports
from experiments.papers import images
from rfm import checks, log_times
from rfm.data import datasets, files, from_data
from rfm.data.rows import PARTS, refuse_too_large

ARGUMENTS = ("seeds", "seed", "out", "quick")
MAPS = ("relu",)
SHARES = (1 / 64, 1 / 16, 1 / 4, 1)  # of half the rows: training sets; models are twice as large
LINE, LINE_QUICK, CHECKED = 25, 13, 20  # points of a line; times of a check
PLAN_NODES = 64  # of the contour of a plan: 1e-5 of the loss
LATEST, MOST_TIMES, MOST_STEPS = 1e8, 10_000, 2_000
FEWEST = PARTS  # rows: halves of them are halves of so many parts
BUDGETS = np.array([0.01, 0.1, 1.0])  # of what the largest model costs that is planned


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command alone."""
    parser.add_argument("file", metavar="FILE", help="features and labels: .npz (X or K, and y), .npy, .csv, .parquet; "
                        f"or a data set: {', '.join(datasets.NAMES)}")  # fmt: skip
    parser.add_argument("--labels", nargs="+", metavar="LABELS", help="FILE.npy of labels, or columns of a table")
    parser.add_argument("--target", metavar="KIND", help="labels as real, one-hot, parity or class")
    parser.add_argument("--kernel", action="store_true", help="FILE holds a kernel (n, n) in place of features")
    parser.add_argument("--num-modes", type=int, metavar="M", help="modes of the kernel (default: infinitely many)")
    parser.add_argument("--map", choices=MAPS, help="take random neurons of what FILE holds as features")
    parser.add_argument("--width", type=int, default=2_000, help="of the layer of --map")
    parser.add_argument("--features", type=float, nargs="+", metavar="N", help="model sizes, inf for all features")
    parser.add_argument("--samples", type=int, nargs="+", metavar="P", help="training samples")
    parser.add_argument("--times", type=float, nargs=3, metavar=("START", "STOP", "NUM"), help="log-spaced times")
    algorithms.add_arguments(parser, algorithms.FULL_BATCH)
    parser.add_argument("--budget", type=float, nargs="+", metavar="C", help="compute C = N t to plan for")
    parser.add_argument("--replicas", type=int, default=12, help="halves of the rows that the band comes from")
    parser.add_argument("--check", action="store_true", help="train on half of the rows what the other half predicts")
    parser.add_argument("--model", choices=held_out.MODELS, default="project",
                        help="of --check: N random projections of the features, or N of their columns")  # fmt: skip
    parser.set_defaults(seeds=8)


def run(args: argparse.Namespace) -> None:
    """Print what is foretold; write predict.* and predict-spectrum.*, with --check predict-check.* too."""
    checks.number("replicas", args.replicas, 2, "an integer >= 2 (the band is their scatter)", inclusive=True)
    if args.num_modes is not None and not args.kernel:
        checks.fail("num-modes", "left out but for --kernel", args.num_modes)
    data, labels = load(args)
    replicas = 4 if args.quick else args.replicas
    how = dict(replicas=replicas, seed=args.seed)
    if args.kernel:
        estimate = from_data.estimate_kernel(data, labels, num_modes=args.num_modes, **how)
    else:
        estimate = from_data.estimate_features(data, labels, **how)
    features, samples = planned(args, len(data))
    times = time_grid(args, estimate, max(samples))
    optimizer = algorithms.choose(args, times[-1])
    budgets = None if args.budget is None else np.sort(np.asarray(args.budget, float))
    if budgets is not None and not can_plan(args):
        checks.fail("budget", "left out but for flow and gd at constant lr, without weight decay", args.budget)
    for compute in args.budget or ():
        checks.number("budget", compute, 0.0, "a finite number > 0")
    to_check = check_points(args, data) if args.check else []
    # refuses a learning rate before any work: small sizes have the largest curvature
    forecast.losses(estimate.problem, min(features), min(samples), optimizer, times)
    folder = reports.open_folder(args.out)
    bounds = estimate.problem.num_modes, estimate.sample.size

    num = LINE_QUICK if args.quick else LINE
    how = (optimizer, times)
    with tqdm(total=len(features) * len(samples) + 2 * (num // forecast.COARSE + 2) + 2, unit="point") as bar, \
            ThreadPoolExecutor(1) as beside:  # fmt: skip
        # it compiles for as long as all else takes
        frontier = beside.submit(best_use, args, estimate, features, max(samples), *how, budgets)

        def advance():
            bar.update()
            if frontier.done():
                frontier.result()  # raises at once what it refuses

        bar.set_description("sizes and times")
        grid = forecast.grid(estimate, features, samples, *how, advance)
        bar.set_description("lines")
        lines = [
            forecast.line(estimate, axis, span(axis, features, samples, num, *bounds), fixed, *how, advance)
            for axis, fixed in (("features", max(samples)), ("samples", max(features)))
        ]
        bar.update(bar.total - bar.n - 2)
        laws = forecast_laws.exponent_table(estimate)
        bar.update()
        bar.set_description("plan")
        found = frontier.result()
        plan = None if found is None else forecast_laws.plan(estimate, found, max(samples), *how)
        bar.update()
    peaks = [forecast.find_peak(one) for one in lines]

    print("\n".join([
        *report.data_lines(args.file, data, labels, args.kernel, estimate), report.size_table(grid),
        *report.peak_lines(lines, peaks), report.exponent_lines(laws), *report.plan_lines(plan, max(samples)),
    ]))  # fmt: skip
    tested = check(args, data, labels, optimizer, to_check) if args.check else None
    settings = {**vars(args), "features": features, "samples": samples, "times": times.tolist()}
    settings |= report.record(estimate, laws, peaks, plan, None if tested is None else report.summary(*tested))
    figure = forecast_figures.curves(grid, lines, plan)
    written = reports.save(folder, "predict", figure, report.rows(grid, lines), settings)
    figure = forecast_figures.spectrum(estimate)
    written += reports.save(folder, "predict-spectrum", figure, report.spectrum_rows(estimate), settings)
    if tested is not None:
        figure = forecast_figures.check(*tested)
        written += reports.save(folder, "predict-check", figure, report.trial_rows(*tested), settings)
    print("wrote " + ", ".join(str(path) for path in written))


def load(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, d), or a kernel (n, n), and labels (n,) or (n, K), neither too few nor constant."""
    images.check_source("file", args.file)
    if args.file in datasets.NAMES:
        if args.labels is not None or args.kernel:
            checks.fail("labels", f"left out, and --kernel too, for the data set {args.file!r}", args.labels)
        data, labels = datasets.load(args.file, args.target)
    else:
        column = args.labels[0] if args.labels and len(args.labels) == 1 else args.labels
        data, labels = files.read(args.file, column, args.kernel, args.target)
    if len(data) < FEWEST:
        checks.fail("file", f"of at least {FEWEST} rows (bands come from halves of them)", len(data))
    if args.check and held_out.rows_of_half(len(data)) < FEWEST:
        checks.fail("check", f"left out for fewer than {2 * FEWEST} rows", len(data))
    if not np.ptp(labels, axis=0).any():
        checks.fail("labels", "of non-zero variance", "constant")
    return (data if args.map is None else mapped(args, data)), labels


def mapped(args: argparse.Namespace, data: np.ndarray) -> np.ndarray:
    """The data through a random layer, (n, width)."""
    if args.kernel:
        checks.fail("map", "left out with --kernel", args.map)
    width = checks.count("width", args.width, "an integer >= 1")
    files.check_finite(data)
    n, d = len(data), data[0].size
    refuse_too_large(8 * (2 * n * (width + d) + width * d), f"{n} rows of {width} features", "lower --width")
    return datasets.random_relu(images.flatten(data), width, jax.random.key(args.seed))


def planned(args: argparse.Namespace, rows: int) -> tuple[list[float], list[int]]:
    """Model sizes and training sets: those asked for, or what the rows can answer for, P <= n/2 and N <= 2 P."""
    sizes = [max(1, round_down(share * rows / 2)) for share in (SHARES[1::2] if args.quick else SHARES)]
    samples = list(dict.fromkeys(sizes)) if args.samples is None else sorted(set(args.samples))
    features = [2 * p for p in dict.fromkeys(sizes)] + [math.inf] if args.features is None else args.features
    for name, values in (("features", features), ("samples", samples)):
        for value in values:
            checks.size(name, value, integer=True)
    if any(math.isinf(p) for p in samples):
        checks.fail("samples", "finite", samples)
    return sorted(set(features)), samples


def round_down(value: float) -> int:
    """To two digits."""
    unit = 10 ** max(0, math.floor(math.log10(max(value, 1.0))) - 1)
    return int(value // unit * unit)


def time_grid(args: argparse.Namespace, estimate, most: int, num: int = forecast.TIMES) -> np.ndarray:
    """Those asked for, or as long as it takes to learn the modes that the sample or the largest training set tells."""
    steps = args.optimizer != "flow"
    if args.times is not None:
        start, stop, asked = args.times
        if asked > MOST_TIMES:
            checks.fail("times", f"at most {MOST_TIMES} of them", asked)
        return log_times(start, stop, min(asked, num) if num == CHECKED else asked, integer=steps)
    eigenvalues = estimate.problem.eigenvalues
    last = eigenvalues[min(estimate.trusted, most, len(eigenvalues)) - 1] / eigenvalues[0]
    stop = min(LATEST, 10.0 ** math.ceil(math.log10(10.0 / last)))
    return log_times(1.0 if steps else 0.1, stop, num, integer=steps)


def span(
    axis: str, features: list[float], samples: list[int], points: int, modes: float, known_rows: float
) -> np.ndarray:
    """Log-spaced sizes along an axis: over what is planned, and to both sides of where the interpolation peak may be.

    That is where N or P is the other size or, P at N beyond them, the number of modes; unless that takes more rows than
    are known. Along N there is none where P tells all modes.
    """
    own, other = (features, max(samples)) if axis == "features" else (samples, max(features))
    peak = other if other < modes else modes if axis == "samples" else math.inf
    around = other if axis == "features" else peak
    ends = (around / 2, 2 * around) if around <= known_rows else ()
    finite = [size for size in (*own, *ends) if math.isfinite(size)]
    low, high = max(1.0, min(finite)), max(finite)
    x = np.geomspace(low if low < high else high / 10.0, high, points)
    if low < peak < high:  # on the peak itself
        x[np.abs(np.log(x / peak)).argmin()] = peak
    return x


def can_plan(args: argparse.Namespace) -> bool:
    """Does `theory.frontier` know the algorithm?"""
    constant = getattr(args, "schedule", None) != "cosine" and not getattr(args, "weight_decay", None)
    return args.optimizer in ("flow", "gd") and constant


def best_use(args, estimate, features, num_samples, optimizer, times, budgets) -> theory.Frontier | None:
    """For the budgets asked for, or up to what the largest model costs at its best time; none in a quick look."""
    if not can_plan(args) or (budgets is None and args.quick):
        return None
    if budgets is None:
        largest = max((n for n in features if math.isfinite(n)), default=2.0 * num_samples)
        sizes = dict(num_features=largest, num_samples=num_samples, optimizer=optimizer)
        best = theory.best_stopping(estimate.problem, **sizes, longest=max(1.0, times[-1])).time
        budgets = BUDGETS * largest * (best or times[-1])
    return theory.frontier(estimate.problem, budgets, num_samples=num_samples, optimizer=optimizer, nodes=PLAN_NODES)


def check_points(args: argparse.Namespace, data: np.ndarray) -> list[tuple[float, int]]:
    """Pairs (N, P) to train at: those asked for that half of the rows has room for, or twelve."""
    rows = held_out.rows_of_half(len(data))
    features, samples = held_out.sizes(rows)
    features, samples = args.features or features, args.samples or samples
    if args.model == "columns":
        if args.kernel:
            checks.fail("model", "project with --kernel, which has no columns", args.model)
        features = [n for n in features if n <= data.shape[1] or math.isinf(n)]
    points = [(n, p) for n in features for p in samples if p <= held_out.LEFT * rows]
    if not points:
        allowed = f"at most {held_out.LEFT:.0%} of the {rows} rows of a half, to be checked"
        checks.fail("samples", allowed, args.samples or samples)
    return points


def check(
    args: argparse.Namespace, data, labels, optimizer, points: list[tuple[float, int]]
) -> tuple[list[Trial], list[np.ndarray]]:
    """Train on half of the rows what the other half predicts, both ways; print how it went.

    Trials, and where each of them extrapolates, (T,).
    """
    halves = held_out.halves(data, labels, args.kernel, args.seed, args.num_modes)
    times = time_grid(args, halves[0].estimate, max(p for _, p in points), CHECKED)
    keys = jax.random.split(jax.random.key(args.seed), args.seeds)
    with tqdm(total=len(halves) * len(points) + 1, unit="point", desc="training") as bar:
        tested = held_out.trials(halves, points, optimizer, times, keys, args.model, bar.update)
        n, p = next((point for point in points if math.isfinite(point[0])), (16, points[0][1]))
        taken = held_out.steps_taken(halves[0], int(n), p, MOST_STEPS, keys[:2])
        bar.update()
    far = []
    for trial in tested:
        estimate, sizes = halves[trial.half].estimate, (trial.num_features, trial.num_samples)
        share = forecast.unresolved_share(estimate, *sizes, optimizer, times, trial.predicted)
        far.append(forecast.extrapolates(estimate, trial.num_samples, share))
    print(report.check_table(tested, far))
    print(f"gradient descent, all {MOST_STEPS} steps taken at N = {n:.0f}, P = {p}: its loss is that of the exact "
          f"solution to {taken:.1e}")  # fmt: skip
    return tested, far
