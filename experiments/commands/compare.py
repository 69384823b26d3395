"""`rfm compare`: training runs beside their theory, and the exponents for time, model size and data."""

import argparse
import dataclasses

import jax
import numpy as np
from tqdm import tqdm

import rfm
from experiments.compare import algorithms
from experiments.compare.exponent import Exponent
from experiments.compare.power_laws import power_law_exponents
from experiments.compare.scans import Scan, check, scan_size, scan_time
from experiments.compare.windows import fit_exponent
from experiments.output import files as reports
from experiments.output import plotting
from rfm import checks
from rfm.data import datasets
from rfm.engine.features import ACTIVATIONS, FEATURES
from theory import exponents

SIZES = (8, 16, 32, 64, 128, 256)
POOL = 1_500  # inputs sampled from a power law where neurons need inputs to act on, and their largest dimension
POOL_DIMENSION = 300
KERNEL_ROWS = 2_000  # of real inputs, whose kernel is an eigenproblem of this size
RELU_FEATURES = 2_000  # hidden width of the random layer that makes features of real inputs
QUANTITIES = {
    "time": "time t (N, P large)",
    "features": "model size N (t, P large)",
    "samples": "data P (t, N large)",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command alone; those that all share are in `experiments.cli`."""
    parser.add_argument(
        "--features", type=int, metavar="N", help="model size of the learning curve (default: 512; 200 for real inputs)"
    )
    parser.add_argument(
        "--samples",
        type=int,
        metavar="P",
        help="training samples of the learning curve (default: 1024; 400 for real inputs; one pass for sgd)",
    )
    parser.add_argument(
        "--times", type=float, nargs=3, metavar=("START", "STOP", "NUM"),
        help="log-spaced times (default: 0.1 1e6 71; steps 1 2000 34 where steps are taken)",
    )  # fmt: skip
    algorithms.add_arguments(parser, tuple(algorithms.ALGORITHMS))
    parser.add_argument("--ensemble", type=int, default=1, metavar="K", help="feature draws whose models are averaged")
    parser.add_argument("--bags", type=int, default=1, metavar="B", help="data sets whose models are averaged")
    parser.add_argument(
        "--map", choices=FEATURES, default="gaussian",
        help=f"law of the random features; relu and erf act on inputs: those of --data, or {POOL} of the power law",
    )  # fmt: skip
    parser.add_argument("--data", metavar="NAME", help=f"real data instead of a power law: {', '.join(datasets.NAMES)}")


def run(args: argparse.Namespace) -> None:
    """Print the tables, write compare.png, .pdf, .csv and .json."""
    folder = reports.open_folder(args.out)
    real = args.data is not None or args.map in ACTIVATIONS  # rows of a finite population, not Gaussians
    one_pass = args.optimizer == "sgd" and args.samples is None
    args.features = (200 if real else 512) if args.features is None else args.features
    samples = (np.inf if one_pass else 400 if real else 1024) if args.samples is None else args.samples
    args.samples = "one pass" if one_pass else samples
    steps = args.optimizer != "flow"
    times = rfm.log_times(*(args.times or ((1, 2000, 34) if steps else (0.1, 1e6, 71))), integer=steps)
    optimizer = algorithms.choose(args, times[-1])
    keys = jax.random.split(jax.random.key(args.seed), args.seeds)
    problem, a, b = build_problem(args)
    sizes = SIZES[:4] if args.quick else SIZES
    curve = {"num_features": args.features, "num_samples": samples}
    plan = plan_sizes(args, optimizer, sizes)

    check(problem, optimizer, times, keys, [curve, *smallest(plan)], args.map)

    common = {"optimizer": optimizer, "keys": keys, "features": args.map, "ensemble": args.ensemble, "bags": args.bags}
    scans: list[Scan] = []
    with tqdm(total=1 + sum(len(points) for points, _ in plan.values()), unit="run") as bar:
        for axis, (points, others) in plan.items():
            bar.set_description(axis)
            scans.append(scan_size(problem, axis, points, **others, **common, time=times[-1], on_point=bar.update))
        bar.set_description("time")
        scans.insert(0, scan_time(problem, times, **curve, **common))
        bar.update()
    messages = [f"{QUANTITIES[scan.axis]}: {message}" for scan in scans for message in scan.messages]
    scans = [scan for scan in scans if len(scan.x)]
    if not scans:
        checks.fail("lr", "smaller: every run diverged before the first point", args.lr)
    fits = [fit_exponent(scan) for scan in scans]

    source = f"fitted to the spectrum of {args.data or f'the {args.map} kernel'}" if real else "given"
    print(f"power law a = {a:.4g}, b = {b:.4g} ({source}); {args.seeds} seeds; noise variance {args.noise:g}")
    print(exponent_table(scans, fits, closed_form(args, a, b, noisy=float(problem.noise_var) > 1e-12)))
    print("\n".join([*gap_summaries(scans), *messages]))
    settings = {**vars(args), "a": a, "b": b, "times": times.tolist(), "sizes": sizes}
    settings["fits"] = {scan.axis: dataclasses.asdict(fit) for scan, fit in zip(scans, fits, strict=True)}
    if messages or not all(scan.own_theory for scan in scans):
        settings |= {"theory": {scan.axis: scan.theory_label for scan in scans}, "messages": messages}
    written = reports.save(folder, "compare", draw(scans, fits), table(scans), settings)
    print("wrote " + ", ".join(str(path) for path in written))


def plan_sizes(args: argparse.Namespace, optimizer, sizes) -> dict[str, tuple[tuple[int, ...], dict[str, float]]]:
    """Sizes along each axis, and what is held: the other size is infinite, fresh data at every step or a student that
    sees every mode."""
    plan = {"features": (sizes, {"num_features": np.inf, "num_samples": np.inf})}
    if not isinstance(optimizer, rfm.SGD | rfm.Optax):
        plan["samples"] = (sizes, {"num_features": np.inf, "num_samples": np.inf})
    elif args.samples != "one pass":
        # batches, and steps coordinate by coordinate, need the features of a finite student
        points = tuple(size for size in sizes if size >= getattr(optimizer, "batch_size", 1))
        plan["samples"] = (points, {"num_features": args.features, "num_samples": np.inf})
    return plan


def smallest(plan) -> list[dict[str, float]]:
    """The first point along each axis."""
    return [others | {f"num_{axis}": points[0]} for axis, (points, others) in plan.items() if points]


def build_problem(args: argparse.Namespace) -> tuple[rfm.Problem, float, float]:
    """The problem and its exponents a, b: given for a power law, fitted for the kernel of real data or of neurons."""
    if args.data is None and args.map not in ACTIVATIONS:
        return rfm.power_law(args.a, args.b, args.modes, args.noise), args.a, args.b
    inputs, labels = power_law_inputs(args) if args.data is None else real_inputs(args.data)
    if args.map in ACTIVATIONS:
        if len(inputs) > KERNEL_ROWS:
            rows = np.random.default_rng(args.seed + 1).choice(len(inputs), KERNEL_ROWS, replace=False)
            inputs, labels = inputs[rows], labels[rows]
        problem = rfm.from_inputs(inputs, labels, args.map, args.noise)
    else:
        hidden = datasets.random_relu(inputs, RELU_FEATURES, jax.random.key(args.seed + 1))
        problem = rfm.from_features(hidden, labels, noise_var=args.noise)
    return problem, *power_law_exponents(problem.eigenvalues, problem.target)


def real_inputs(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs of a data set and one label a row: a real one, or the parity of its class."""
    classes = name in datasets.NAMES and datasets.SETS[name].classes is not None
    return datasets.load(name, "parity" if classes else None)


def power_law_inputs(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """A pool of Gaussian inputs psi with the spectrum of the power law, and their labels w psi."""
    law = rfm.power_law(args.a, args.b, min(args.modes, POOL_DIMENSION))
    key = jax.random.key(args.seed + 1)
    inputs = np.asarray(jax.random.normal(key, (POOL, law.num_modes))) * np.sqrt(law.eigenvalues)
    return inputs, inputs @ law.target


def closed_form(args: argparse.Namespace, a: float, b: float, noisy: bool) -> dict[str, float]:
    """The exponents known in closed form: for full batches at constant learning rate, without weight decay."""
    if args.optimizer not in algorithms.FULL_BATCH or args.weight_decay or args.schedule == "cosine":
        return {}
    known = {"time": exponents.time_exponent(a, b), "features": exponents.model_exponent(a, b)}
    return known if noisy else known | {"samples": exponents.data_exponent(a, b)}


def exponent_table(scans: list[Scan], fits: list[Exponent], closed: dict[str, float]) -> str:
    """One row a quantity, to be read at a glance."""
    rows = [("quantity", "closed form", "theory", "simulation", "window", "agrees")]
    for scan, fit in zip(scans, fits, strict=True):
        limit = f"{closed[scan.axis]:.3f}" if scan.axis in closed else "-"
        if not scan.comparable:
            rows.append((QUANTITIES[scan.axis], limit, "no theory", "-", "-", "-"))
            continue
        if fit.window is None:
            rows.append((QUANTITIES[scan.axis], limit, "-", "-", "-", fit.status))
            continue
        low, high = fit.window
        verdict = f"{'yes' if fit.agrees else 'NO'} ({fit.z:+.1f} s.e.)" if scan.own_theory else scan.theory_label
        if fit.status != "steady":
            verdict += f"; {fit.status}"
        rows.append((
            QUANTITIES[scan.axis], limit, f"{fit.theory:.3f}", f"{fit.simulated:.3f} ± {fit.stderr:.3f}",
            f"{low:.3g} .. {high:.3g}", verdict,
        ))  # fmt: skip
    return reports.align(rows)


def gap_summaries(scans: list[Scan]) -> list[str]:
    """One line on every theory that is drawn."""
    labels = dict.fromkeys(scan.theory_label for scan in scans)
    groups = {label: [scan for scan in scans if scan.theory_label == label] for label in labels}
    return [gap_summary(group) if group[0].comparable else final_risks(group) for group in groups.values()]


def final_risks(scans: list[Scan]) -> str:
    """Where a run without a theory ended, beside what is drawn for orientation."""
    return "\n".join(
        f"last point, {QUANTITIES[scan.axis]}: risk {scan.mean[-1]:.4g} ± {scan.stderr[-1]:.1g}; {scan.theory_label} "
        f"{scan.predicted[-1]:.4g}"
        for scan in scans
    )


def gap_summary(scans: list[Scan]) -> str:
    """Median and worst relative gap and z over all points of all scans, t = 0 and vanished risks excepted."""
    # a risk that has vanished has no relative gap
    use = [(scan.x > 0) & (scan.predicted > 1e-12 * scan.predicted.max()) for scan in scans]
    gap = np.concatenate([scan.gap[kept] for scan, kept in zip(scans, use, strict=True)])
    z = np.concatenate([scan.z[kept] for scan, kept in zip(scans, use, strict=True)])
    worst, worst_z = gap[np.argmax(np.abs(gap))], z[np.argmax(np.abs(z))]
    return (
        f"simulation against {scans[0].theory_label} at {len(gap)} points: relative gap "
        f"median {np.median(np.abs(gap)):.2%}, worst {worst:+.2%}; "
        f"z median {np.median(np.abs(z)):.2f}, worst {worst_z:+.2f}"
    )


def table(scans: list[Scan]) -> list[dict]:
    """Every point of every scan, one row each."""
    rows = []
    for scan in scans:
        columns = {
            "x": scan.x, "risk": scan.mean, "stderr": scan.stderr, "theory": scan.predicted,
            "theory_all_else_infinite": scan.limit, "z": scan.z, "relative_gap": scan.gap,
            "train_loss": scan.train_samples.mean(0), "train_loss_theory": scan.train_predicted,
        }  # fmt: skip
        other = {} if scan.own_theory else {"theory_of": scan.theory_label}
        if not scan.comparable:
            columns = {name: column for name, column in columns.items() if name not in ("z", "relative_gap")}
        for i in range(len(scan.x)):
            values = {name: float(column[i]) for name, column in columns.items()}
            rows.append({"axis": scan.axis, "kind": scan.kind, **scan.fixed, **values, **other})
    return rows


def draw(scans: list[Scan], fits: list[Exponent]):
    """The three scans side by side."""
    own = any(scan.own_theory for scan in scans)
    figure, axes = plotting.new_figure(1, len(scans), caption=(plotting.CAPTION if own else "") + plotting.POINTS)
    for ax, scan, fit in zip(axes[0], scans, fits, strict=True):
        plotting.draw_scan(ax, scan, fit if scan.comparable else None)
    return figure
