"""`rfm compare`: training runs beside their theory, and the exponents for time, model size and data."""

import argparse
import dataclasses

import jax
import numpy as np
from tqdm import tqdm

import rfm
import theory
from experiments import plotting, reports
from experiments.compare import Scan, scan_size, scan_time
from experiments.fits import Fit, fit_exponent, power_law_exponents
from rfm import batches, datasets
from rfm.features import Setting
from theory import exponents

SIZES = (8, 16, 32, 64, 128, 256)
RELU_FEATURES = 2_000  # hidden width of the random layer that makes features of real inputs
QUANTITIES = {
    "time": "time t (N, P large)",
    "features": "model size N (t, P large)",
    "samples": "data P (t, N large)",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command alone; those that all share are in `experiments.cli`."""
    parser.add_argument(
        "--features", type=int, metavar="N", help="model size of the learning curve (default: 512; 200 with --data)"
    )
    parser.add_argument(
        "--samples",
        type=int,
        metavar="P",
        help="training samples of the learning curve (default: 1024; 400 with --data)",
    )
    parser.add_argument(
        "--times", type=float, nargs=3, metavar=("START", "STOP", "NUM"),
        help="log-spaced times (default: 0.1 1e6 71; steps 1 2000 34 for gd)",
    )  # fmt: skip
    parser.add_argument("--optimizer", choices=("flow", "gd"), default="flow", help="gradient flow or gradient descent")
    parser.add_argument("--lr", type=float, default=0.5, help="learning rate of gd")
    parser.add_argument("--data", metavar="NAME", help=f"real data instead of a power law: {', '.join(datasets.NAMES)}")


def run(args: argparse.Namespace) -> None:
    """Print the tables, write compare.png, .pdf, .csv and .json."""
    folder = reports.open_folder(args.out)
    args.features = (200 if args.data else 512) if args.features is None else args.features
    args.samples = (400 if args.data else 1024) if args.samples is None else args.samples
    optimizer = rfm.GradientFlow() if args.optimizer == "flow" else rfm.GradientDescent(args.lr)
    start, stop, num = args.times or ((0.1, 1e6, 71) if args.optimizer == "flow" else (1, 2000, 34))
    times = rfm.log_times(start, stop, num, integer=optimizer.discrete)
    keys = jax.random.split(jax.random.key(args.seed), args.seeds)
    problem, a, b = build_problem(args)
    sizes = SIZES[:4] if args.quick else SIZES

    check(problem, optimizer, times, keys, args, sizes)

    scans: list[Scan] = []
    with tqdm(total=1 + 2 * len(sizes), unit="run") as bar:
        # the other size is infinite: fresh data at every step, or a student that sees every mode
        for axis in ("features", "samples"):
            bar.set_description(axis)
            scans.append(
                scan_size(
                    problem, axis, sizes, num_features=np.inf, num_samples=np.inf,
                    optimizer=optimizer, time=times[-1], keys=keys, on_point=bar.update,
                )
            )  # fmt: skip
        bar.set_description("time")
        curve = scan_time(
            problem, times, num_features=args.features, num_samples=args.samples, optimizer=optimizer, keys=keys
        )
        scans.insert(0, curve)
        bar.update()
    fits = [fit_exponent(scan) for scan in scans]

    noisy = float(problem.noise_var) > 1e-12  # the closed form of the data exponent is that without noise
    closed = [exponents.time_exponent(a, b), exponents.model_exponent(a, b)]
    closed.append(None if noisy else exponents.data_exponent(a, b))
    source = f"fitted to the spectrum of {args.data}" if args.data else "given"
    print(f"power law a = {a:.4g}, b = {b:.4g} ({source}); {args.seeds} seeds; noise variance {args.noise:g}")
    print(exponent_table(scans, fits, closed))
    print(gap_summary(scans))
    settings = {**vars(args), "a": a, "b": b, "times": times.tolist(), "sizes": sizes}
    settings["fits"] = {scan.axis: dataclasses.asdict(fit) for scan, fit in zip(scans, fits, strict=True)}
    written = reports.save(folder, "compare", draw(scans, fits), table(scans), settings)
    print("wrote " + ", ".join(str(path) for path in written))


def check(problem, optimizer, times, keys, args: argparse.Namespace, sizes) -> None:
    """Refuse wrong sizes, times or learning rates before any work: theory knows at once what training would."""
    batches.check(problem, Setting(args.features, args.samples, "ntk"), optimizer, times, keys)
    for n, p in ((args.features, args.samples), (sizes[0], np.inf), (np.inf, sizes[0])):
        theory.predict(problem, num_features=n, num_samples=p, optimizer=optimizer, times=times)


def build_problem(args: argparse.Namespace) -> tuple[rfm.Problem, float, float]:
    """The problem and its exponents a, b: given for a power law, fitted for real data."""
    if args.data is None:
        return rfm.power_law(args.a, args.b, args.modes, args.noise), args.a, args.b
    inputs, labels = datasets.load(args.data)
    hidden = datasets.random_relu(inputs, RELU_FEATURES, jax.random.key(args.seed + 1))
    problem = rfm.from_features(hidden, labels, noise_var=args.noise)
    return problem, *power_law_exponents(problem.eigenvalues, problem.target)


def exponent_table(scans: list[Scan], fits: list[Fit], closed: list[float | None]) -> str:
    """One row a quantity, to be read at a glance."""
    rows = [("quantity", "closed form", "theory", "simulation", "window", "agrees")]
    for scan, fit, exponent in zip(scans, fits, closed, strict=True):
        limit = "-" if exponent is None else f"{exponent:.3f}"
        if fit.window is None:
            rows.append((QUANTITIES[scan.axis], limit, "-", "-", "-", fit.status))
            continue
        low, high = fit.window
        verdict = f"{'yes' if fit.agrees else 'NO'} ({fit.z:+.1f} s.e.)"
        if fit.status != "steady":
            verdict += f"; {fit.status}"
        rows.append((
            QUANTITIES[scan.axis], limit, f"{fit.theory:.3f}", f"{fit.simulated:.3f} ± {fit.stderr:.3f}",
            f"{low:.3g} .. {high:.3g}", verdict,
        ))  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def gap_summary(scans: list[Scan]) -> str:
    """Median and worst relative gap and z over all points of all scans, t = 0 and vanished risks excepted."""
    # a risk that has vanished has no relative gap
    use = [(scan.x > 0) & (scan.predicted > 1e-12 * scan.predicted.max()) for scan in scans]
    gap = np.concatenate([scan.gap[kept] for scan, kept in zip(scans, use, strict=True)])
    z = np.concatenate([scan.z[kept] for scan, kept in zip(scans, use, strict=True)])
    worst, worst_z = gap[np.argmax(np.abs(gap))], z[np.argmax(np.abs(z))]
    return (
        f"simulation against theory at {len(gap)} points: relative gap median {np.median(np.abs(gap)):.2%}, "
        f"worst {worst:+.2%}; z median {np.median(np.abs(z)):.2f}, worst {worst_z:+.2f}"
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
        for i in range(len(scan.x)):
            values = {name: float(column[i]) for name, column in columns.items()}
            rows.append({"axis": scan.axis, "kind": scan.kind, **scan.fixed, **values})
    return rows


def draw(scans: list[Scan], fits: list[Fit]):
    """The three scans side by side."""
    figure, axes = plotting.new_figure(1, len(scans))
    for ax, scan, fit in zip(axes[0], scans, fits, strict=True):
        plotting.draw_scan(ax, scan, fit)
    return figure
