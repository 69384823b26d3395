"""`rfm double-descent`: the interpolation peak in model size, data and time, and what stopping or ridge does to it."""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

import rfm
import theory
from experiments import plotting, reports

LATE = 1e5  # flow time that stands for the end of training; at infinity the peak itself is infinite
RATIOS = (0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0, 8.0)
RIDGES = np.geomspace(1e-8, 10.0, 91)
FLOW = rfm.GradientFlow()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments and defaults of this command alone."""
    parser.add_argument(
        "--size", type=int, default=128, metavar="N", help="the fixed size: P in the first panel, N in the next"
    )
    parser.set_defaults(noise=0.1, seeds=32, modes=2_000)


def run(args: argparse.Namespace) -> None:
    """Print the table, write double-descent.png, .pdf, .csv and .json."""
    folder = reports.open_folder(args.out)
    keys = jax.random.split(jax.random.key(args.seed), args.seeds)
    fixed = args.size
    if fixed < 8:
        raise ValueError(f"Argument `size` must be an integer >= 8, but is {fixed}.")
    ratios = RATIOS[::2] if args.quick else RATIOS
    noises = dict.fromkeys((0.0, args.noise))  # one curve where the noise asked for is zero
    problems = {noise: rfm.power_law(args.a, args.b, args.modes, noise) for noise in noises}
    times = rfm.log_times(0.1, LATE, 25)
    rows: list[dict] = []
    figure, axes = plotting.new_figure(2, 2)
    total = len(noises) * (2 * len(ratios) + 1) + 2 * len(ratios)

    with tqdm(total=total, unit="run") as bar:
        for index, (noise, problem) in enumerate(problems.items()):
            label = f"noise {noise:g}"
            for ax, axis in zip(axes[0], ("features", "samples"), strict=True):
                bar.set_description(f"{axis}, {label}")
                line_x, line = _predict_sizes(problem, axis, fixed)
                samples = []
                for ratio in ratios:
                    sizes = _sizes(axis, ratio, fixed)
                    samples.append(rfm.simulate(problem, **sizes, optimizer=FLOW, times=[LATE], keys=keys).risk[:, 0])
                    predicted = theory.predict(problem, **sizes, optimizer=FLOW, times=[LATE]).risk[0]
                    rows.append(_row(f"{axis}, {label}", sizes, LATE, 0.0, samples[-1], predicted))
                    bar.update()
                x = np.round(np.array(ratios) * fixed)
                plotting.draw_pair(ax, x, np.stack(samples, 1), line_x, line, label, index)
            bar.set_description(f"time, {label}")
            at_peak = {"num_features": fixed, "num_samples": fixed, "optimizer": FLOW}
            simulated = rfm.simulate(problem, **at_peak, times=times, keys=keys).risk
            predicted = theory.predict(problem, **at_peak, times=times).risk
            fine = rfm.log_times(times[0], LATE, 120)
            line = theory.predict(problem, **at_peak, times=fine).risk
            plotting.draw_pair(axes[1, 0], times, simulated, fine, line, label, index)
            rows += [
                _row(
                    f"time, {label}",
                    {"num_features": fixed, "num_samples": fixed},
                    t,
                    0.0,
                    simulated[:, i],
                    predicted[i],
                )
                for i, t in enumerate(times)
            ]
            bar.update()
        bar.set_description("stopping and ridge")
        cures = _cures(problems[args.noise], fixed, ratios, keys, rows, axes[1, 1], bar)

    _label(axes, fixed, args.noise)
    print(cures)
    written = reports.save(folder, "double-descent", figure, rows, vars(args))
    print("wrote " + ", ".join(str(path) for path in written))


def _cures(problem, fixed, ratios, keys, rows, ax, bar) -> str:
    """Risk against N at the end of training, at the best stopping time and at the best ridge, both from theory."""
    grid_n = np.geomspace(fixed / 8, fixed * 8, 49)
    times = rfm.log_times(0.1, LATE, 121)

    def flow(n):
        return theory.predict(problem, num_features=n, num_samples=fixed, optimizer=FLOW, times=times).risk

    def ridge(n, strength):
        return theory.predict(problem, num_features=n, num_samples=fixed, optimizer=rfm.Ridge(strength)).risk[0]

    all_ridges = jax.jit(jax.vmap(ridge, (None, 0)))
    stopped = np.array([flow(n) for n in grid_n])  # (X, T)
    regular = np.array([all_ridges(n, jnp.asarray(RIDGES)) for n in grid_n])  # (X, ridges)
    lines = (stopped[:, -1], stopped.min(1), regular.min(1))

    points: list[list[np.ndarray]] = [[], [], []]
    text = ["    N   risk at the end   best stopping (t)        best ridge (ridge)"]
    for ratio in ratios:
        n = _sizes("features", ratio, fixed)["num_features"]
        best_t = times[np.argmin(flow(n))]
        best_ridge = RIDGES[np.argmin(all_ridges(n, jnp.asarray(RIDGES)))]
        args = {"num_features": n, "num_samples": fixed}
        both = rfm.simulate(problem, **args, optimizer=FLOW, times=np.unique([best_t, LATE]), keys=keys).risk
        bar.update()
        chosen = rfm.simulate(problem, **args, optimizer=rfm.Ridge(best_ridge), keys=keys).risk[:, 0]
        bar.update()
        samples = (both[:, -1], both[:, 0], chosen)
        for collected, sample in zip(points, samples, strict=True):
            collected.append(sample)
        rows.append(_row("best stopping", args, best_t, 0.0, samples[1], flow(n).min()))
        rows.append(_row("best ridge", args, np.inf, best_ridge, samples[2], all_ridges(n, jnp.asarray(RIDGES)).min()))
        end, stop, best = (f"{s.mean():.4f}" for s in samples)
        text.append(f"{n:5d}   {end:>15}   {stop:>13} ({best_t:<8.3g})   {best:>10} ({best_ridge:.2g})")
    x = np.round(np.array(ratios) * fixed)
    for index, (line, sample, label) in enumerate(
        zip(lines, points, ("end of training", "best stopping time", "best ridge"), strict=True)
    ):
        plotting.draw_pair(ax, x, np.stack(sample, 1), grid_n, line, label, index)
    return "\n".join(text)


def _predict_sizes(problem: rfm.Problem, axis: str, fixed: int) -> tuple[np.ndarray, np.ndarray]:
    """Theory against the ratio of sizes, through the peak."""
    ratios = np.unique(np.concatenate([np.geomspace(1 / 8, 8, 61), np.geomspace(0.8, 1.25, 31)]))
    x = ratios * fixed
    other = "num_samples" if axis == "features" else "num_features"
    predict = [
        theory.predict(problem, **{f"num_{axis}": size, other: fixed}, optimizer=FLOW, times=[LATE]).risk[0]
        for size in x
    ]
    return x, np.array(predict)


def _sizes(axis: str, ratio: float, fixed: int) -> dict[str, int]:
    other = "num_samples" if axis == "features" else "num_features"
    return {f"num_{axis}": max(1, round(ratio * fixed)), other: fixed}


def _row(panel, sizes, time, ridge, samples, predicted) -> dict:
    mean, stderr = samples.mean(), samples.std(ddof=1) / np.sqrt(len(samples))
    return {
        "panel": panel, **sizes, "time": time, "ridge": ridge, "risk": float(mean), "stderr": float(stderr),
        "theory": float(predicted), "z": float((mean - predicted) / stderr),
    }  # fmt: skip


def _label(axes, fixed: int, noise: float) -> None:
    late = f"$t = 10^{{{np.log10(LATE):g}}}$"
    plotting.finish(axes[0, 0], "model size $N$", "risk", f"$P$ = {fixed}, {late}")
    plotting.finish(axes[0, 1], "data $P$", "risk", f"$N$ = {fixed}, {late}")
    plotting.finish(axes[1, 0], "time $t$", "risk", f"$N = P$ = {fixed}")
    plotting.finish(axes[1, 1], "model size $N$", "risk", f"$P$ = {fixed}, noise {noise:g}")
    for ax in (axes[0, 0], axes[0, 1], axes[1, 1]):
        ax.axvline(fixed, color="0.8", lw=0.8, zorder=-1)
