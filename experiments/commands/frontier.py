"""`rfm frontier`: the model size and training time that make the best of a compute budget, and training runs there."""

import argparse
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from scipy.interpolate import CubicHermiteSpline

import rfm
import theory
from experiments.commands.frontier_runs import NUM_TRAINED, Settings, Trained, train
from experiments.commands.settings import record_of, settings_of
from experiments.compare import algorithms, schedules
from experiments.compare.limits import LIMITS, limiting_terms
from experiments.output import files, plotting, progress
from experiments.output.tables import align
from rfm import checks
from rfm.arguments import Sizes

ARGUMENTS = ("a", "b", "modes", "noise", "seeds", "seed", "out", "quick")
LEAST_COMPUTE, BUDGET_POINTS = 1e2, 9  # compute where the line starts, and points of it
LINE_POINTS = 200  # of the line as it is drawn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command alone."""
    parser.add_argument(
        "--compute", type=float, nargs="+", default=[1e6], metavar="C",
        help="budgets: C = N t for flow, N x steps x batch size for sgd",
    )  # fmt: skip
    parser.add_argument("--samples", type=float, default=np.inf, metavar="P", help="training samples, if limited")
    algorithms.add_arguments(parser, ("flow", "gd", "sgd"), left_out=("average", "order"))
    parser.add_argument("--tune-lr", action="store_true", help="with sgd: the best learning rate too")
    parser.set_defaults(modes=100_000)


def run(args: argparse.Namespace) -> None:
    """Print one line a budget, write frontier.png, .pdf, .csv and .json."""
    folder = files.check_folder(args.out)
    for compute in args.compute:
        checks.number("compute", compute, 0.0, "a finite number > 0")
    algorithm = algorithms.choose(args, 1.0)
    if args.optimizer == "sgd":
        check_schedule(args)
        algorithm = rfm.SGD(args.lr, args.batch_size, args.momentum)
    elif not algorithms.is_plain(vars(args)):
        checks.fail("optimizer", "at constant lr, without weight decay, for a frontier", args.optimizer)
    if args.tune_lr and args.optimizer != "sgd":
        checks.fail("tune-lr", "left out but for --optimizer sgd", True)
    settings = settings_of(Settings, args, compute=tuple(args.compute), algorithm=algorithm)
    budgets = np.sort(np.asarray(settings.compute, float))
    few = settings.shared.quick or (settings.tune_lr and settings.schedule is not None)
    start, count = min(LEAST_COMPUTE * settings.cost, budgets[0]), 5 if few else BUDGET_POINTS
    line = np.geomspace(start, budgets[-1], count)
    with progress.until_done("looking at the smallest budget"):
        settings.optimum(line[0])  # refuses what it must
    with progress.bar(len(line) + len(budgets) + NUM_TRAINED, "point") as bar:
        bar.set_description("theory")
        points = []
        for compute in (*line, *budgets):
            points.append(settings.optimum(compute))
            bar.update()
        on_line, asked = points[: len(line)], points[len(line) :]
        steady = [] if settings.schedule is None else [settings.steady(compute) for compute in (*line, *budgets)]
        bar.set_description("training")
        trained = train(settings, on_line, bar)
    text = [plan(settings, optimum) for optimum in asked]
    text += [moved(*pair) for pair in zip(asked, steady[len(line) :], strict=False)]
    text.append(shares_table(settings, asked))
    text += [trained_table(trained)] if trained.rows else []
    record = {name: value for name, value in record_of(settings).items() if name != "algorithm"}
    rows = [*map(row, points), *(row(optimum) | {"kind": "constant rate"} for optimum in steady), *trained.rows]
    figure = lambda: draw(settings, on_line, trained.rows, steady[: len(line)])  # noqa: E731
    name = files.name_of("frontier", None if args.optimizer == "flow" else args.optimizer, settings.schedule)
    files.save_and_tell(folder, files.Result(name, rows, record, figure, "\n".join(text)))


def check_schedule(args: argparse.Namespace) -> None:
    """Refuse schedules that no length of training can have."""
    if schedules.is_file(args.schedule):
        checks.fail("schedule", "a schedule known by name, since each length of training needs its own", args.schedule)
    if args.schedule != schedules.CONSTANT and np.isfinite(args.samples):
        checks.fail("samples", "left out with --schedule: the search is over one pass", args.samples)


def moved(decayed: theory.Frontier, steady: theory.Frontier) -> str:
    """Return what decay does to one budget, beside a constant rate."""
    n, t, risk = (float(getattr(decayed, x)[0] / getattr(steady, x)[0]) for x in ("num_features", "times", "risk"))
    return (
        f"C = {decayed.compute[0]:.3g}, constant rate: N = {steady.num_features[0]:.4g}, t = {steady.times[0]:.4g}, "
        f"risk {steady.risk[0]:.4g}; N* ~ C^{steady.size_exponent[0]:.3f}, risk* ~ C^-{steady.risk_exponent[0]:.3f}"
        f"\n  the schedule makes N* {n:.2f}, t* {t:.2f} and the risk {risk:.2f} times as large"
    )


def plan(settings: Settings, optimum: theory.Frontier) -> str:
    """Return the plan for one budget in two lines."""
    best = theory.Frontier(*(None if value is None else value[0] for value in optimum))
    rate = "" if best.lr is None else f", lr = {best.lr:.3g}"
    known = settings.closed_form
    formula = "no closed form" if known is None else "closed form {:.3f}, {:.3f}; {}".format(*known)
    flaw = "; AT THE EDGE OF THE RANGE" if best.at_edge else "" if best.converged else "; NOT CONVERGED"
    return (
        f"C = {best.compute:.3g}: N = {best.num_features:.4g}, t = {best.times:.4g}{rate}, risk {best.risk:.4g}\n"
        f"  here N* ~ C^{best.size_exponent:.3f}, risk* ~ C^-{best.risk_exponent:.3f} ({formula}){flaw}"
    )


def shares(settings: Settings, optimum: theory.Frontier) -> dict[str, float]:
    """Return what limits the risk at an optimum, in parts of it; see `limits.limiting_terms`."""
    t = np.array([float(optimum.times[0])])
    if settings.algorithm.discrete:
        t = np.maximum(np.round(t), 1.0)
    algorithm = settings.at(optimum, t[0])
    sizes = Sizes(num_features=float(optimum.num_features[0]), num_samples=settings.samples)
    terms = limiting_terms(settings.law, optimizer=algorithm, times=t, **sizes)
    return {name: float(value[0] / optimum.risk[0]) for name, value in terms.items()}


def shares_table(settings: Settings, optima: Sequence[theory.Frontier]) -> str:
    """Return one row a budget."""
    parts = [shares(settings, optimum) for optimum in optima]
    rows = [("limits in parts of the risk", *(name for name in LIMITS if name in parts[0]))]
    for optimum, of_risk in zip(optima, parts, strict=True):
        rows.append((f"C = {optimum.compute[0]:.3g}", *(f"{value:.3f}" for value in of_risk.values())))
    return align(rows)


def trained_table(trained: Trained) -> str:
    """Return one row a training run, and the verdict on all."""
    lines = [("trained at the optimum", "risk", "theory, as many modes", "gap")]
    lines += [
        (f"N = {row['num_features']}, t = {row['times']:.4g}", f"{row['risk']:.4g} ± {row['stderr']:.2g}",
         f"{row['theory']:.4g}", f"{100 * (row['risk'] / row['theory'] - 1):+.1f} %")
        for row in trained.rows
    ]  # fmt: skip
    if trained.agreement is None:
        return align(lines)
    verdict = f"simulation against theory: level {trained.agreement.level}, {trained.agreement.words}"
    return align(lines) + "\n" + verdict


def row(optimum: theory.Frontier) -> dict:
    """Return one optimum of the theory as a row of the table."""
    values = {name: float(value[0]) for name, value in optimum._asdict().items() if value is not None}
    return {"kind": "theory", **values, **{name: bool(values[name]) for name in ("converged", "at_edge")}}


def smooth(x: np.ndarray, y: np.ndarray, slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return many points of a curve through some with known logarithmic slopes: cubic in between, in logarithms."""
    fine = np.geomspace(x[0], x[-1], LINE_POINTS)
    return fine, np.exp(CubicHermiteSpline(np.log(x), np.log(y), slopes)(np.log(fine)))


def joined(optima: Sequence[theory.Frontier]) -> theory.Frontier:
    """Return optima of one budget each as one of all."""
    return theory.Frontier(*(None if v[0] is None else np.concatenate(v) for v in zip(*optima, strict=True)))


def draw(
    settings: Settings, on_line: Sequence[theory.Frontier], trained: Sequence[dict], steady: Sequence[theory.Frontier]
) -> Figure:
    """Draw risk against compute, with curves of fixed size beside the frontier; and the best size and time."""
    line = joined([optimum for optimum in on_line if np.isfinite(optimum.risk_exponent[0])])
    figure, axes = plotting.new_figure(1, 2, width=4.4)
    left, right = axes[0]
    steps = line.compute / settings.cost
    for index, n in enumerate(line.num_features[:: max(1, len(line.compute) // 4)]):
        last = steps[-1] / n
        if last < 2.0:
            continue
        times = rfm.log_times(max(1.0, steps[0] / n), last, 40, integer=settings.algorithm.discrete)
        risk = settings.risk(line, float(n), times)
        shade = dict(color=plotting.COLORS[5], lw=0.8, label="models of one size" if index == 0 else None)
        left.plot(n * times * settings.cost, risk, **shade)
    label = f"frontier, slope $-${line.risk_exponent[-1]:.3f} at the end"
    left.plot(*smooth(line.compute, line.risk, -line.risk_exponent), color=plotting.FRONTIER, lw=1.5, label=label)
    if settings.closed_form is not None:
        _, exponent, _ = settings.closed_form
        stated = line.risk[-1] * (line.compute / line.compute[-1]) ** -exponent
        label = f"closed form, slope $-${exponent:.3f}"
        left.plot(line.compute, stated, color=plotting.CLOSED, lw=1.0, ls="--", label=label)
    if trained:
        compute, risk, stderr, sizes = (
            np.array([row[name] for row in trained]) for name in ("compute", "risk", "stderr", "num_features")
        )
        label = f"training runs, {settings.shared.modes} modes"
        left.errorbar(compute, risk, 2 * stderr, fmt="o", ms=4, color=plotting.COLORS[0], label=label)
        right.plot(compute, sizes, "o", ms=4, color=plotting.COLORS[0])
    left.set_ylim(0.3 * line.risk[-1], 3 * line.risk[0])
    grows = line.size_exponent[-1]
    size, time = (plotting.COLORS[place] for place in (plotting.BEST_SIZE, plotting.BEST_TIME))
    best = smooth(line.compute, line.num_features, line.size_exponent)
    right.plot(*best, color=size, label=f"$N^*$, slope {grows:.3f} at the end")
    best = smooth(line.compute, line.times, 1 - line.size_exponent)
    right.plot(*best, color=time, ls="-.", label=f"$t^*$, slope {1 - grows:.3f}")
    if steady:
        constant, thin = joined(steady), {"lw": 0.9, "ls": ":"}
        left.plot(constant.compute, constant.risk, color=plotting.FRONTIER, **thin, label="frontier, constant rate")
        right.plot(constant.compute, constant.num_features, color=size, **thin, label="$N^*$, constant rate")
        right.plot(constant.compute, constant.times, color=time, **thin, label="$t^*$, constant rate")
    task = f"a = {settings.shared.a:g}, b = {settings.shared.b:g}, {settings.options['optimizer']}"
    task += "" if settings.schedule is None else f", {settings.schedule}"
    falls = line.risk_exponent[-1]
    plotting.finish(left, "compute $C$", "risk", f"the best risk falls as $C^{{-{falls:.2f}}}$\n{task}")
    title = f"the best model grows as $C^{{{grows:.2f}}}$\n{task}"
    plotting.finish(right, "compute $C$", "best size $N$ and time $t$", title)
    return figure
