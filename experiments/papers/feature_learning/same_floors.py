"""FL-4: where training ends: floors in model size, and double descent, at every richness."""

import jax
import numpy as np

import rfm
import theory
from experiments.compare.comparison import AXES, Comparison
from experiments.compare.equivalence import agreement
from experiments.compare.keys import fold_keys
from experiments.compare.laws import FLOW
from experiments.compare.statistics import log_slope
from experiments.compare.verdicts import Verdict, condition, judge
from experiments.output import plotting, progress
from experiments.papers.feature_learning.training import NOISE, A, B
from experiments.papers.row import Counts, Script, Shown, Values
from rfm.arguments import Arguments

END, LOOKS = 1e6, 9
LINE = 21  # points of a line
SAME = 1e-3  # relative spread over richness of what counts as one number


def show(
    seed: int,
    *,
    sizes: Counts,
    every: float,
    samples: int,
    ratios: Values,
    richness: Values,
    early: float,
    modes: int,
    seeds: int,
) -> Shown:
    """Show the risk at the end against model size, on `every` sample and on `samples` with noise, early too."""
    key = jax.random.key(seed)
    figure, axes = plotting.new_figure(1, 2, width=4.4)
    findings, table = [], []
    noisy = tuple(round(ratio * samples) for ratio in ratios)
    panels = (
        (axes[0, 0], "floors, no noise", rfm.power_law(A, B, modes), every, sizes),
        (axes[0, 1], "double descent, noise 0.25", rfm.power_law(A, B, modes, NOISE), float(samples), noisy),
    )
    for place, (ax, name, problem, p, counts) in enumerate(panels):
        keys, ends = jax.random.split(fold_keys(key, place), seeds), []
        line = np.geomspace(counts[0], counts[-1], LINE if len(counts) > 1 else 1)
        for index, gamma in enumerate(progress.over(richness, name)):
            trained = _trained(problem, (p, counts), np.geomspace(early, END, LOOKS), gamma, keys)
            there, drawn = (_theory(problem, p, sizes, (early, END), gamma) for sizes in (np.array(counts), line))
            for column, t, hollow in ((-1, END, False), (0, early, True)):
                label = f"$\\gamma$ = {gamma:g}, t = {plotting.number(t)}"
                held = {"P": p, "richness": gamma}
                pair = Comparison("features", np.array(counts), trained[..., column], there[:, column], held, label,
                                  line, drawn[:, column])  # fmt: skip
                plotting.draw(
                    ax,
                    pair,
                    index,
                    hollow=hollow,
                    line_style={"lw": 1.1 if hollow else 1.3 + 1.1 * (len(richness) - 1 - index)},
                )
                table += pair.rows(t=np.full(len(counts), t), panel=np.full(len(counts), name))
                ends += [] if hollow else [pair]
        predicted = np.array([end.theory for end in ends])
        for who, values in (("theory", predicted), ("trained", np.array([end.mean for end in ends]))):
            spread = float(np.max(values.max(0) / values.min(0)) - 1.0)
            text = f"{spread:.1e} for richness {richness[0]:g} to {richness[-1]:g}"
            findings.append(condition(f"{name}, {who}: spread over richness", f"< {SAME:g}", text, spread < SAME))
        findings.append(agreement(ends[:1], f"{name}: simulation against theory"))
        if place == 0 and len(counts) > 1:
            slope = -log_slope(np.array(counts, float), predicted[-1])
            lazy = -log_slope(np.array(counts, float), predicted[0])
            quantity = f"{name}: exponent in N at richness {richness[-1]:g}"
            findings.append(judge(quantity, slope, closed=lazy, known="lazy"))
        plotting.finish(ax, AXES["features"], "risk", f"{name}, P = {plotting.number(p)}; {seeds} seeds")
    findings.append(_peak(panels[1][2], samples, richness))
    return Shown(figure, table, tuple(findings))


def _trained(
    problem: rfm.Problem, sizes: tuple[float, Counts], times: np.ndarray, gamma: float, keys: jax.Array
) -> np.ndarray:
    """Return risks of trained models (S, N, T), the same draws at every richness; sizes: P, and N of each."""
    p, counts = sizes
    args = [Arguments(num_features=n, num_samples=p, optimizer=FLOW, times=times) for n in counts]
    draws = [fold_keys(keys, n) for n in counts]
    drawn = [rfm.exact(problem, **x | {"richness": gamma}, keys=k).risk for x, k in zip(args, draws, strict=True)]
    return np.stack(drawn, axis=1)


def _theory(problem: rfm.Problem, p: float, sizes: np.ndarray, times: Values, gamma: float) -> np.ndarray:
    """Return the predicted risk (N, T)."""
    args = [Arguments(num_features=n, num_samples=p, optimizer=FLOW, times=np.array(times)) for n in sizes]
    return np.array([theory.predict(problem, **x | {"richness": gamma}).risk for x in args])


def _peak(problem: rfm.Problem, samples: int, richness: Values) -> Verdict:
    """Judge whether the risk at the end is largest at N = P for every richness."""
    sizes = samples * np.array([0.5, 0.8, 1.0, 1.25, 2.0])
    peaks = [int(np.argmax(_theory(problem, samples, sizes, (END,), gamma)[:, 0])) for gamma in richness]
    text = ", ".join(f"N = {sizes[i]:g}" for i in peaks)
    return condition(f"theory: peak at P = {samples}", f"N = {samples}", text, set(peaks) == {2})


main = Script(
    name="FL-4",
    title="Where training ends: the same floors and the same double descent at every richness",
    source="this project, docs/richness.md",
    claim="floors, double descent and the law in model size do not depend on richness",
    show=show,
    full=dict(
        sizes=(16, 64, 256), every=np.inf, samples=128, ratios=(0.125, 0.25, 0.5, 2.0, 4.0),
        richness=(0.0, 0.1, 1.0, 10.0), early=10.0, modes=2000, seeds=96,
    ),
    smoke=dict(sizes=(24,), every=16, samples=16, ratios=(1.5,), richness=(0.0, 1.0), early=10.0, modes=60, seeds=16),
)  # fmt: skip
