"""S7: exponents of the risk in the number of steps for the best constant, exponential and WSD rates."""

import jax
import numpy as np

import rfm
import theory
from experiments.compare.comparison import Comparison
from experiments.compare.equivalence import agreement
from experiments.compare.verdicts import Verdict, condition, judge
from experiments.output import plotting, progress
from experiments.papers.one_pass import TAME, tamed, trained
from experiments.papers.row import Counts, Script, Shown

A, B, NOISE = 2.5, 1.5, 0.1
PEAKS, RATIOS = np.geomspace(0.02, 0.9, 16), (1e-3, 1e-2, 3e-2, 0.1)  # of exponential decay: lr at the end over lr
FINER = 1.06  # between peaks looked at last
CLOSE = 0.05


def show(seed: int, *, steps: Counts, size: int, taught: int, seeds: int) -> Shown:
    """Show the risk of the best member of each family against T, and trained curves of the three."""
    problem = rfm.power_law(A, B, None, NOISE)
    risks: dict[str, list[float]] = {"constant": [], "exponential": [], "wsd": []}
    for t in progress.over(steps, "steps"):
        families = theory.best_schedule(problem, num_features=np.inf, steps=t, batch_size=1).families
        for name in ("constant", "wsd"):
            risks[name].append(families[name].risk)
        risks["exponential"].append(best_exponential(problem, np.inf, t)[1])
    figure, axes = plotting.new_figure(1, 2, width=4.4)
    table = [{"schedule": name, "T": t, "risk": r} for name, values in risks.items()
             for t, r in zip(steps, values, strict=True)]  # fmt: skip
    for index, (name, values) in enumerate(risks.items()):
        axes[0, 0].plot(steps, values, color=plotting.COLORS[index], marker=".", lw=1.3, label=name)
    plotting.finish(axes[0, 0], "steps $T$", "least risk after $T$ steps", f"a = {A:g}, b = {B:g}, N = ∞")
    runs = _trained(size, taught, jax.random.split(jax.random.key(seed), seeds))
    plotting.draw_all(axes[0, 1], runs)
    plotting.finish(axes[0, 1], "steps $t$", "risk", f"N = {size}, {TAME:g} of the rates best at T = {taught}")
    table += [row for run in runs for row in run.rows(schedule=run.label)]
    t, made = np.array(steps), {name: np.array(values) for name, values in risks.items()}
    claimed = {"constant": (A - 1) / (A - 1 + B), "wsd": (A - 1) / A}
    verdicts: list[Verdict] = [
        judge(f"{name}: risk in T", float(-np.log(made[name][-1] / made[name][-2]) / np.log(t[-1] / t[-2])),
              claimed=exponent, close=CLOSE)
        for name, exponent in claimed.items()
    ]  # fmt: skip
    order = bool(np.all(made["wsd"] < made["exponential"]) and np.all(made["exponential"] < made["constant"]))
    text = ", ".join(f"{name} {values[-1] / made['wsd'][-1]:.3f}" for name, values in made.items())
    text = f"{text} of wsd at T = {t[-1]}"
    verdicts.append(condition("least risk", "wsd < exponential < constant", text, order))
    return Shown(figure, table, (*verdicts, agreement(runs, "simulation against theory")))


def best_exponential(problem: rfm.Problem, size: float, steps: int) -> tuple[np.ndarray, float]:
    """Return the best lr_t = peak ratio^(t/T) of a few ratios, and its risk."""
    x, best = np.arange(steps) / steps, (np.array([]), np.inf)

    def look(peak: float, ratio: float) -> None:
        nonlocal best
        lr = peak * ratio**x
        try:
            curve = theory.predict(
                problem, num_features=size, num_samples=np.inf, optimizer=rfm.SGD(lr, 1), times=[steps]
            )
        except ValueError:  # beyond stability
            return
        if curve.risk[-1] < best[1]:
            best = lr, float(curve.risk[-1])

    for ratio in RATIOS:
        for peak in PEAKS:
            look(float(peak), ratio)
    peak, ratio = float(best[0][0]), float((best[0][-1] / best[0][0]) ** (steps / max(steps - 1, 1)))
    for factor in FINER ** np.arange(-4.0, 5.0):
        look(peak * factor, ratio)
    return best


def _trained(size: int, steps: int, keys: jax.Array) -> list[Comparison]:
    """Train with the best member of each family."""
    problem = rfm.power_law(A, B, 2000, NOISE)
    families = theory.best_schedule(problem, num_features=size, steps=steps, batch_size=1).families
    rates = {"constant": families["constant"].lr, "exponential": best_exponential(problem, size, steps)[0]}
    return trained(problem, size, tamed(rates | {"wsd": families["wsd"].lr}), steps, keys)


main = Script(
    name="S7",
    title="Scaling laws of schedules: constant, exponential, warm-up-stable-decay",
    source="Li et al. 2025 (arXiv 2509.19189)",
    claim="decay makes training more efficient, WSD more than exponential decay, with exponents of an intrinsic time",
    show=show,
    full=dict(steps=(250, 1000, 4000), size=64, taught=1000, seeds=256),
    smoke=dict(steps=(50, 100), size=16, taught=50, seeds=8),
    limits="the easy task alone, where the best share of decay is near 1: WSD is linear decay; language models",
)
