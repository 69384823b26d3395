"""S6: the best learning rate at every step, for an easy and for a hard task, as the number of steps grows."""

from collections.abc import Mapping

import jax
import numpy as np

import rfm
import theory
from experiments.compare.comparison import Comparison
from experiments.compare.equivalence import agreement
from experiments.compare.statistics import log_slope
from experiments.compare.verdicts import Verdict, approaching, condition, judge
from experiments.output import plotting, progress
from experiments.papers.one_pass import TAME, tamed, trained
from experiments.papers.row import Counts, Script, Shown

# exponents (a, b): easy for a > b, hard for a < b
TASKS = {"easy": (2.5, 1.5), "hard": (1.5, 2.0)}
NOISE = 0.1
EARLY = 0.1  # share of the steps after which the plateau of a schedule is read
MIDDLE = (0.05, 0.9)  # of the steps, where the power of (1 - t/T) is fitted
NEAR = 0.05  # of an exponent of time: T is a few thousand


def show(seed: int, *, steps: Counts, size: int, taught: int, seeds: int) -> Shown:
    """Show schedules against the share of time for both tasks, and what families lose, trained beside theory."""
    figure, axes = plotting.new_figure(1, 4, width=3.4)
    verdicts, table = [], []
    for ax, (name, (a, b)) in zip(axes[0, :2], TASKS.items(), strict=True):
        problem = rfm.power_law(a, b, None, NOISE)
        schedules = {
            t: theory.best_schedule(problem, num_features=np.inf, steps=t, batch_size=1)
            for t in progress.over(steps, "steps", name)
        }
        for index, (t, best) in enumerate(schedules.items()):
            x = (np.arange(t) + 0.5) / t
            ax.plot(x, best.lr, color=plotting.COLORS[index], lw=1.3, label=f"T = {t}")
            table += [{"task": name, "T": t, "x": x[i], "lr": best.lr[i]} for i in range(0, t, max(t // 50, 1))]
        plotting.finish(ax, "share of steps $t/T$", "best learning rate", f"{name}: a = {a:g}, b = {b:g}", log=False)
        ax.set_yscale("log")
        verdicts += _judged(name, (a, b), schedules)
    for ax, (name, (a, b)) in zip(axes[0, 2:], TASKS.items(), strict=True):
        runs = _trained(rfm.power_law(a, b, 2000, NOISE), size, taught, jax.random.split(jax.random.key(seed), seeds))
        plotting.draw_all(ax, runs)
        plotting.finish(ax, "steps $t$", "risk", f"{name}, N = {size}, {TAME:g} of the rates best at T = {taught}")
        table += [row for run in runs for row in run.rows(task=name, schedule=run.label)]
        verdicts.append(agreement(runs, f"{name}: simulation against theory"))
    return Shown(figure, table, tuple(verdicts))


def _judged(name: str, exponents: tuple[float, float], schedules: Mapping[int, theory.BestSchedule]) -> list[Verdict]:
    """Set plateau, shape and risk beside what is claimed."""
    a, b = exponents
    t = np.array(list(schedules))
    lr = np.array([best.lr[int(EARLY * steps)] for steps, best in schedules.items()])
    risk = np.array([best.risk for best in schedules.values()])
    if name == "easy":
        shape = [_power(best.lr) for best in schedules.values()]
        text = ", ".join(f"{x:.2f}" for x in shape) + f" at T = {', '.join(map(str, t))}"
        return [
            _exponent(f"{name}: peak ~ T^-(a - b)/a", t, lr, (a - b) / a),
            _exponent(f"{name}: risk ~ T^-(a - 1)/a", t, risk, (a - 1) / a),
            condition(f"{name}: lr ~ (1 - t/T)^(2b - 1)", f"{2 * b - 1:g}", f"{text}: rising towards it",
                      bool(np.all(np.diff(shape) > 0) and shape[-1] < 2 * b - 1), yes="refined"),
        ]  # fmt: skip
    share = [float(np.mean(best.lr < 0.5 * best.lr[int(EARLY * steps)])) for steps, best in schedules.items()]
    text = ", ".join(f"{x:.2f}" for x in share) + f" at T = {', '.join(map(str, t))}"
    lost = [best.families["wsd"].excess for best in schedules.values()]
    others = [min(best.families[x].excess for x in ("linear", "cosine", "power")) for best in schedules.values()]
    wsd = f"{100 * lost[-1]:.1f} % above the best, the next family {100 * others[-1]:.1f} %"
    return [
        judge(f"{name}: plateau ~ T^0", -log_slope(t[-2:], lr[-2:]), claimed=0.0, close=NEAR),
        condition(f"{name}: share of the steps below half the plateau", "vanishes", text, share[-1] < share[0]),
        condition(f"{name}: best family", "WSD", wsd, lost[-1] < others[-1]),
        _exponent(f"{name}: risk ~ T^-(a - 1)/b", t, risk, (a - 1) / b),
    ]


def _exponent(quantity: str, t: np.ndarray, y: np.ndarray, claimed: float) -> Verdict:
    """Judge the last local exponent; refined where every step of T comes nearer."""
    local = -np.diff(np.log(y)) / np.diff(np.log(t))
    verdict = judge(quantity, float(local[-1]), claimed=claimed, close=NEAR)
    if local[-1] < claimed:
        return approaching(verdict, t, y, claimed)
    nearer = len(local) > 1 and bool(np.all(np.diff(local) < 0))
    if verdict.verdict == "open" and nearer:
        path = ", ".join(f"{g:.3f}" for g in local)
        return condition(quantity, f"{claimed:.3f}", f"falling with T: {path}", nearer, yes="refined")
    return verdict


def _power(lr: np.ndarray) -> float:
    x = np.arange(len(lr)) / len(lr)
    some = (x > MIDDLE[0]) & (x < MIDDLE[1])
    return log_slope(1.0 - x[some], lr[some])


def _trained(problem: rfm.Problem, size: int, steps: int, keys: jax.Array) -> list[Comparison]:
    """Train with the best schedule, the best linear one and the best constant rate."""
    best = theory.best_schedule(problem, num_features=size, steps=steps, batch_size=1)
    rates = {"best": best.lr} | {name: best.families[name].lr for name in ("linear", "wsd", "constant")}
    return trained(problem, size, tamed(rates), steps, keys)


main = Script(
    name="S6",
    title="The best learning-rate schedule: power decay where (a - 1)/b > 1, WSD below",
    source="Li et al. 2026 (arXiv 2602.06797), Bordelon and Mori 2026 (arXiv 2602.04774)",
    claim="the best rate falls as (1 - t/T)^(2b - 1) from a peak that falls with T (a > b), or decays late (a < b)",
    show=show,
    full=dict(steps=(250, 1000, 4000), size=64, taught=1000, seeds=256),
    smoke=dict(steps=(50, 100), size=16, taught=50, seeds=8),
    limits="compute-optimal sizes, and schedules of the momentum",
)  # fmt: skip
