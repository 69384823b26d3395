"""S9: exponents of the risk in time for SGD, SGD with momentum and DANA, and the three trained beside theory."""

import jax
import numpy as np

import rfm
import theory
from experiments.compare.comparison import INFINITE
from experiments.compare.equivalence import agreement
from experiments.compare.verdicts import approaching, condition, judge
from experiments.output import plotting
from experiments.papers.one_pass import trained
from experiments.papers.row import Script, Shown

A, B = 1.75, 1.5
LR, BATCH, MOMENTUM = 0.25, 8, 0.8
POINTS = 7  # of a line whose local exponents are read


def show(seed: int, *, steps: int, size: int, taught: int, seeds: int, modes: int) -> Shown:
    """Show risk against time at N = infinity, and at one size the theory and training of all."""
    endless, drawn = rfm.power_law(A, B, None), rfm.power_law(A, B, modes)
    optimizers = {
        "SGD": rfm.SGD(LR, BATCH),
        "momentum": rfm.SGD(LR * (1.0 - MOMENTUM), BATCH, MOMENTUM),
        "DANA-decaying": rfm.DANA.decay(LR, B, BATCH),
        "DANA-constant": rfm.DANA.constant(LR, size, BATCH),
    }
    figure, axes = plotting.new_figure(1, 2, width=4.4)
    times, ends = (
        rfm.log_times(1, steps, 40, integer=True),
        np.unique(np.geomspace(steps / 1000, steps, POINTS).round()),
    )
    table, verdicts = [], []
    plain, faster = (A - 1) / B, (A - 1) / B * (2.0 - 1.0 / B)
    for index, (name, optimizer) in enumerate(optimizers.items()):
        if name == "DANA-constant":
            continue  # its momentum_lr is zero at N = infinity
        risk = theory.predict(endless, **INFINITE, optimizer=optimizer, times=times).risk
        axes[0, 0].plot(times, risk, color=plotting.COLORS[index], lw=1.3, label=name)
        table += [{"optimizer": name, "t": t, "risk": r} for t, r in zip(times, risk, strict=True)]
        late = theory.predict(endless, **INFINITE, optimizer=optimizer, times=ends).risk
        local = -np.log(late[-1] / late[-2]) / np.log(ends[-1] / ends[-2])
        claimed = faster if name == "DANA-decaying" else plain
        verdict = judge(f"{name}: risk in time, N = ∞", float(local), claimed=claimed)
        verdicts.append(approaching(verdict, ends, late, claimed))
    plotting.finish(axes[0, 0], "steps $t$", "risk", f"N = ∞, a = {A:g}, b = {B:g}, batches of {BATCH}")
    runs = trained(drawn, size, optimizers, taught, jax.random.split(jax.random.key(seed), seeds))
    plotting.draw_all(axes[0, 1], runs)
    plotting.finish(axes[0, 1], "steps $t$", "risk", f"N = {size}; {seeds} draws")
    table += [row for run in runs for row in run.rows(optimizer=run.label)]
    # risk at the time when DANA-constant is past N steps, and above the floor
    halfway = np.array([run.theory[-1] for run in runs])
    text = ", ".join(f"{name} {x:.4g}" for name, x in zip(optimizers, halfway, strict=True)) + f" after {taught} steps"
    verdicts.append(condition(f"N = {size}: DANA before SGD", "less risk", text, bool(halfway[2] < halfway[0])))
    return Shown(figure, table, (*verdicts, agreement(runs, "simulation against theory")))


main = Script(
    name="S9",
    title="DANA against SGD: exponents in time",
    source="Ferbach et al. 2025 (arXiv 2505.16098)",
    claim="momentum keeps the exponent (a - 1)/b of SGD in time, DANA-decaying has 2 - 1/b times as much",
    show=show,
    full=dict(steps=100_000, size=128, taught=1000, seeds=64, modes=2000),
    smoke=dict(steps=2000, size=16, taught=100, seeds=8, modes=100),
    limits="compute-optimal sizes; Adam and networks",
)
