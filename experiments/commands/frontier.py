"""`rfm frontier`: the model size and training time that make the best of a compute budget, and training runs there."""

import argparse

import jax
import numpy as np
from tqdm import tqdm

import rfm
import theory
from experiments.compare import algorithms
from experiments.compare.limits import frontier_law, limiting_terms
from experiments.compare.statistics import standard_error
from experiments.output import files as reports
from experiments.output import plotting
from rfm import checks

ARGUMENTS = ("a", "b", "modes", "noise", "seeds", "seed", "out", "quick")
LEAST, POINTS = 1e2, 9  # compute where the line starts, and points of it
TRAINED = (8, 200)  # model sizes on the line that are trained too
RUNS = 4
LIMITS = ("time", "model", "data", "noise", "batches")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command alone."""
    parser.add_argument(
        "--compute", type=float, nargs="+", default=[1e6], metavar="C",
        help="budgets: C = N t for flow, N x steps x batch size for sgd",
    )  # fmt: skip
    parser.add_argument("--samples", type=float, default=np.inf, metavar="P", help="training samples, if limited")
    algorithms.add_arguments(parser, ("flow", "gd", "sgd"))
    parser.add_argument("--tune-lr", action="store_true", help="with sgd: the best learning rate too")
    parser.set_defaults(modes=100_000)


def run(args: argparse.Namespace) -> None:
    """Print one line a budget, write frontier.png, .pdf, .csv and .json."""
    folder = reports.open_folder(args.out)
    budgets = np.sort(np.asarray(args.compute, float))
    optimizer = algorithms.choose(args, 1.0)
    if getattr(args, "schedule", None) == "cosine" or getattr(args, "weight_decay", None):
        checks.fail("optimizer", "at constant lr, without weight decay, for a frontier", args.optimizer)
    if args.tune_lr and args.optimizer != "sgd":
        checks.fail("tune-lr", "left out but for --optimizer sgd", True)
    law = rfm.power_law(args.a, args.b, None if args.b > 1.0 else args.modes, args.noise)
    finite = rfm.power_law(args.a, args.b, args.modes, args.noise)
    line = np.geomspace(min(LEAST * cost(optimizer), budgets[0]), budgets[-1], 5 if args.quick else POINTS)
    how = dict(num_samples=args.samples, optimizer=optimizer, tune_lr=args.tune_lr)
    theory.frontier(law, line[:1], **how)  # refuses before any progress is shown
    with tqdm(total=len(line) + len(budgets) + RUNS, unit="point") as bar:
        bar.set_description("theory")
        points = [theory.frontier(law, np.array([c]), **how) for c in _each([*line, *budgets], bar)]
        on_line, asked = points[: len(line)], points[len(line) :]
        bar.set_description("training")
        trained = train(args, finite, on_line, optimizer, bar)
    print("\n".join(plan(args, one, optimizer) for one in asked))
    print(shares_table([(one, shares(law, one, optimizer, args.samples)) for one in asked]))
    if trained:
        print(trained_table(trained))
    rows = [row(one) for one in points] + trained
    figure = draw(args, law, on_line, trained, optimizer)
    written = reports.save(folder, "frontier", figure, rows, vars(args))
    print("wrote " + ", ".join(str(path) for path in written))


def cost(optimizer) -> float:
    """Samples a step."""
    return float(getattr(optimizer, "batch_size", 1))


def _each(values, bar: tqdm):
    for value in values:
        yield value
        bar.update()


def at(optimizer, one: theory.Frontier):
    """The optimizer with the lr of the optimum."""
    return optimizer if not isinstance(optimizer, rfm.SGD) else rfm.SGD(float(one.lr[0]), optimizer.batch_size)


def plan(args, one: theory.Frontier, optimizer) -> str:
    """The plan for one budget in one line."""
    lr = "" if one.lr is None else f", lr = {one.lr[0]:.3g}"
    known = frontier_law(args.a, args.b, args.noise, args.samples, optimizer)
    formula = "no closed form" if known is None else f"closed form {known[0]:.3f}, {known[1]:.3f}: {known[2]}"
    unsure = "" if one.converged[0] else "; NOT CONVERGED"
    return (
        f"C = {one.compute[0]:.3g}: N = {one.num_features[0]:.4g}, t = {one.times[0]:.4g}{lr}, risk {one.risk[0]:.4g}; "
        f"here N* ~ C^{one.size_exponent[0]:.3f}, risk* ~ C^-{one.risk_exponent[0]:.3f} ({formula}){unsure}"
    )


def shares(law, one: theory.Frontier, optimizer, num_samples: float) -> dict[str, float]:
    """What limits the risk at an optimum, in parts of it; see `limits.limits`."""
    own, t = at(optimizer, one), np.array([float(one.times[0])])
    if own.discrete:
        t = np.maximum(np.round(t), 1.0)
    n = float(one.num_features[0])
    found = limiting_terms(law, num_features=n, num_samples=num_samples, optimizer=own, times=t)
    return {name: float(value[0] / one.risk[0]) for name, value in found.items()}


def shares_table(found: list[tuple[theory.Frontier, dict[str, float]]]) -> str:
    """One row a budget."""
    rows = [("limits in parts of the risk", *(name for name in LIMITS if name in found[0][1]))]
    rows += [(f"C = {one.compute[0]:.3g}", *(f"{value:.3f}" for value in parts.values())) for one, parts in found]
    return reports.align(rows)


def train(args, problem, on_line: list[theory.Frontier], optimizer, bar: tqdm) -> list[dict]:
    """Training runs at optima of the line that are small enough, and theory at the same number of modes."""
    small = [one for one in on_line if TRAINED[0] <= one.num_features[0] <= TRAINED[1] and one.times[0] >= 1.0]
    rows = []
    for one in small[:: max(1, -(-len(small) // RUNS))]:
        n = round(float(one.num_features[0]))
        time = float(one.compute[0]) / cost(optimizer) / n
        time = round(time) if optimizer.discrete else time
        setting = dict(num_features=n, num_samples=_whole(args.samples), optimizer=at(optimizer, one), times=[time])
        keys = jax.random.split(jax.random.key(args.seed), args.seeds)
        risk = rfm.simulate(problem, **setting, keys=keys).risk
        predicted = theory.predict(problem, **setting).risk[0]
        error = float(standard_error(risk)[0])
        rows.append({
            "kind": "training", "compute": n * time * cost(optimizer), "num_features": n, "times": time,
            "risk": float(risk.mean()), "stderr": error, "theory": float(predicted),
            "z": float((risk.mean() - predicted) / max(error, 1e-300)),
        })  # fmt: skip
        bar.update()
    bar.update(bar.total - bar.n)
    return rows


def _whole(samples: float) -> float:
    return samples if np.isinf(samples) else int(samples)


def trained_table(rows: list[dict]) -> str:
    """One row a training run."""
    lines = [("trained at the optimum", "risk", "theory, as many modes", "agrees")]
    lines += [
        (f"N = {row['num_features']}, t = {row['times']:.4g}", f"{row['risk']:.4g} ± {row['stderr']:.2g}",
         f"{row['theory']:.4g}", f"{'yes' if abs(row['z']) < 3 else 'NO'} ({row['z']:+.1f} s.e.)")
        for row in rows
    ]  # fmt: skip
    return reports.align(lines)


def row(one: theory.Frontier) -> dict:
    """One optimum of the theory."""
    values = {name: float(value[0]) for name, value in one._asdict().items() if value is not None}
    return {"kind": "theory", **values, "converged": bool(one.converged[0])}


def draw(args, law, on_line: list[theory.Frontier], trained: list[dict], optimizer):
    """Risk against compute, with curves of fixed size beside the frontier; and the best size and time."""
    line = theory.Frontier(*(None if v[0] is None else np.concatenate(v) for v in zip(*on_line, strict=True)))
    figure, axes = plotting.new_figure(1, 2, width=4.4)
    left, right = axes[0]
    chosen = line.num_features[:: max(1, len(line.compute) // 4)]
    for index, n in enumerate(chosen):
        last = line.compute[-1] / cost(optimizer) / n
        if last < 2.0:
            continue
        times = rfm.log_times(max(1.0, line.compute[0] / cost(optimizer) / n), last, 40, integer=optimizer.discrete)
        fixed = rfm.SGD(float(line.lr[-1]), optimizer.batch_size) if isinstance(optimizer, rfm.SGD) else optimizer
        risk = theory.predict(law, num_features=float(n), num_samples=args.samples, optimizer=fixed, times=times).risk
        shade = dict(color=plotting.COLORS[5], lw=0.8, label="models of one size" if index == 0 else None)
        left.plot(n * times * cost(optimizer), risk, **shade)
    known = frontier_law(args.a, args.b, args.noise, args.samples, optimizer)
    label = f"frontier, slope $-${line.risk_exponent[-1]:.3f} at the end"
    left.plot(line.compute, line.risk, color="k", lw=1.5, label=label)
    if known is not None:
        stated = line.risk[-1] * (line.compute / line.compute[-1]) ** -known[1]
        left.plot(line.compute, stated, color=plotting.COLORS[1], lw=1.0, ls="--", label=f"closed form {known[1]:.3f}")
    if trained:
        columns = {name: np.array([row[name] for row in trained]) for name in ("compute", "risk", "stderr")}
        left.errorbar(columns["compute"], columns["risk"], 2 * columns["stderr"], fmt="o", ms=4,
                      color=plotting.COLORS[0], label=f"training runs, {args.modes} modes")  # fmt: skip
        right.plot(columns["compute"], [row["num_features"] for row in trained], "o", ms=4, color=plotting.COLORS[0])
    left.set_ylim(0.3 * line.risk[-1], 3 * line.risk[0])
    right.plot(line.compute, line.num_features, color=plotting.COLORS[0],
               label=f"$N^*$, slope {line.size_exponent[-1]:.3f} at the end")  # fmt: skip
    right.plot(line.compute, line.times, color=plotting.COLORS[1], ls="-.",
               label=f"$t^*$, slope {1 - line.size_exponent[-1]:.3f}")  # fmt: skip
    task = f"a = {args.a:g}, b = {args.b:g}, {args.optimizer}"
    plotting.finish(left, "compute $C$", "risk", task)
    plotting.finish(right, "compute $C$", "best size and time", task)
    return figure
