"""S14: models that learn from models: how the risk grows with the generation, with the size, and with the ridge."""

import numpy as np
from matplotlib.axes import Axes

import rfm
import theory
from experiments.compare.verdicts import REFINED, condition, judge
from experiments.output import plotting, progress
from experiments.papers.row import Counts, Script, Shown
from experiments.papers.two_points.draws import NOISE, RIDGE, A, B, Model, agrees, fits, risks

RIDGES = np.geomspace(1e-3, 3.0, 41)


def show(seed: int, *, white: Counts, sizes: Counts, samples: int, last: int, modes: int, draws: int) -> Shown:
    """Show risk against the generation where all modes are learned, and against model size where they are not."""
    figure, axes = plotting.new_figure(1, 3, caption=plotting.CAPTION + plotting.POINTS)
    rng, steps, table = np.random.default_rng(seed), np.arange(1, last + 1), []
    whole, more = white
    flat = rfm.white(whole, NOISE)
    whole_model = Model(2 * whole, more, rfm.Ridge(0.0))
    known = _known(flat, last, whole_model)
    drawn = _drawn(rng, flat, last, whole_model, draws)
    line = steps * NOISE * whole / (more - whole)
    _draw(axes[0, 0], steps, known, drawn, index=0, label="all modes learned")
    axes[0, 0].plot(steps, line, color=plotting.LIMIT, lw=0.9, ls="--", label="claimed")
    plotting.finish(axes[0, 0], "generation", "risk", f"M = {whole}, P = {more}: a straight line", log=False)
    table += [{"generation": k, "theory": x, "claimed": y} for k, x, y in zip(steps, known, line, strict=True)]
    problem = rfm.power_law(A, B, modes, NOISE)
    curves = []
    for n in progress.over(sizes, "model size"):
        model = Model(n, samples, rfm.Ridge(RIDGE))
        curves.append((_known(problem, last, model), _drawn(rng, problem, last, model, draws)))
    theories, draws_of = np.array([x for x, _ in curves]), np.stack([y for _, y in curves], 1)  # (X, n), (D, X, n)
    for i, k in enumerate((0, 1, last - 1)):
        _draw(axes[0, 1], np.array(sizes), theories[:, k], draws_of[:, :, k], index=i, label=f"generation {k + 1}")
    plotting.finish(axes[0, 1], "model size $N$", "risk", f"power law, P = {samples}")
    for j, n in enumerate(sizes):
        table += [{"N": n, "generation": k, "theory": x, "risk": y}
                  for k, x, y in zip(steps, theories[j], draws_of[:, j].mean(0), strict=True)]  # fmt: skip
    n = sizes[int(np.argmin(np.abs(np.array(sizes) - samples)))]
    ends = np.array([_known(problem, last, Model(n, samples, rfm.Ridge(r))) for r in RIDGES])  # (R, n)
    for i, k in enumerate((0, 1, last - 1)):
        axes[0, 2].plot(RIDGES, ends[:, k], color=plotting.COLORS[i], lw=1.3, label=f"generation {k + 1}")
    plotting.finish(axes[0, 2], "ridge of all generations", "risk", f"N = {n}: another ridge is best")
    table += [{"N": n, "ridge": r, "first": x, "last": y} for r, x, y in zip(RIDGES, *ends[:, [0, -1]].T, strict=True)]
    best = RIDGES[ends.argmin(0)]
    growth, below = theories[:, -1] / theories[:, 0], np.array(sizes) <= samples
    added = theories[:, -1] - theories[:, 0]
    linear = (theories[:, -1] - theories[:, 0]) / (theories[:, 1] - theories[:, 0]) / (last - 1)
    return Shown(figure, table, (
        judge("all modes learned: risk of the last generation over n noise M/(P - M)", float(known[-1] / line[-1]),
              claimed=1.0),
        condition("power law: growth over the line through the first two", "1: linear in n",
                  f"{linear.min():.3f} .. {linear.max():.3f}", bool(np.all(np.abs(linear - 1.0) < 0.05)), no=REFINED),
        condition("risk of the last generation over the first, N up to P", "rises: larger models collapse more",
                  ", ".join(f"{x:.2f}" for x in growth[below]), bool(growth[below][-1] > growth[below][0])),
        condition("risk that generations add, N from P on", "falls: mitigated, not prevented",
                  ", ".join(f"{x:.3f}" for x in added[~below | (np.array(sizes) == samples)]),
                  bool(added[-1] < added[below][-1])),
        condition(f"risk at the best ridge over a ridge of {RIDGES[0]:g}, last generation", "below 1: it mitigates",
                  f"{ends[:, -1].min() / ends[0, -1]:.3f}; best ridge {best[0]:.2g} first, {best[-1]:.2g} last",
                  bool(ends[:, -1].min() < ends[0, -1]) and best[0] != best[-1]),
        agrees("simulation over theory, all modes learned", drawn, known, more - whole),
        agrees("simulation over theory, power law", draws_of.reshape(draws, -1), theories.ravel(),
               min(*sizes, samples) // last + 1),
    ))  # fmt: skip


def _known(problem: rfm.Problem, last: int, model: Model) -> np.ndarray:
    return theory.generations(problem, last, **model.arguments()).risk[:, 0]


def _drawn(rng: np.random.Generator, problem: rfm.Problem, last: int, model: Model, draws: int) -> np.ndarray:
    """Return the risk (D, n) of chains of trained models."""
    target, ends = np.broadcast_to(problem.target, (draws, len(problem.target))), []
    for _ in range(last):
        target = fits(rng, problem, target, model, NOISE)
        ends.append(risks(problem, target))
    return np.stack(ends, 1)


def _draw(ax: Axes, x: np.ndarray, known: np.ndarray, drawn: np.ndarray, *, index: int, label: str) -> None:
    ax.plot(x, known, color=plotting.COLORS[index], lw=1.3)
    error = drawn.std(0, ddof=1) / np.sqrt(len(drawn))
    plotting.draw_points(ax, x, drawn.mean(0), error, index, label=label)


main = Script(
    name="S14",
    title="Generations of models: collapse is linear where all modes are learned, and grows with the model",
    source="Dohmatob, Feng and Kempe 2024 (arXiv 2402.07712); Dohmatob et al. 2024 (arXiv 2410.04840)",
    claim="the risk grows linearly with the generation, more for larger models up to N = P, and a ridge mitigates it",
    show=show,
    full=dict(white=(40, 100), sizes=(20, 40, 80, 120, 160, 240, 400), samples=120, last=6, modes=300, draws=48),
    smoke=dict(white=(10, 30), sizes=(10, 20, 40), samples=20, last=3, modes=60, draws=32),
    limits="mixtures of true and generated labels, and chains of which the last model alone has a ridge",
)
