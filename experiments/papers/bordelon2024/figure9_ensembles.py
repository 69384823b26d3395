"""S1 Fig. 9: the interpolation peak of isotropic features against data, and what averaging models does to it."""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np
from matplotlib.axes import Axes

import rfm
import theory
from experiments.compare.comparison import Comparison, across, agreement
from experiments.compare.verdicts import Verdict, condition
from experiments.output import plotting
from experiments.papers.row import Script, Shown
from rfm.arguments import Arguments

END = 1e6  # a time that stands for the end of training: the least curvatures here are 1e-3
FLOW = rfm.GradientFlow()
PLOTTED = {1: 0.857, 50: 0.586}  # S1 at nu = 1/4, alpha = 2: one model, and the average of 50
ROUNDING = 1e-6


@dataclasses.dataclass(frozen=True)
class Panel:
    """Risk over |w|^2 at one nu = N/M: trained at each alpha = P/M, and theory on a grid of alpha.

    Attributes:
        nu: N/M.
        points: Risk against the number of averaged models, one comparison for each alpha.
        line_x: alpha of theory, (L,).
        lines: Theory there by the number of models, (L,) each; that of np.inf is among them.
    """

    nu: float
    points: Sequence[Comparison]
    line_x: np.ndarray
    lines: dict[float, np.ndarray]

    def against_data(self, members: float) -> Comparison:
        """Return the risk of an average of so many models against alpha."""
        return dataclasses.replace(
            across(self.points, "alpha", members), line_x=self.line_x, line=self.lines[members],
            label="one model" if members == 1 else f"average of {members:g}",
        )  # fmt: skip


def show(
    *, seed: int, num_modes: int, ratios: tuple[float, ...], alphas: tuple[float, ...], members: tuple[int, ...],
    seeds: int, points: int,
) -> Shown:  # fmt: skip
    """Show the risk at the end of training against alpha = P/M, one panel a ratio nu = N/M, one curve an ensemble."""
    problem = rfm.white(num_modes)
    keys = jax.random.split(jax.random.key(seed), seeds)
    line_x = (np.arange(points) + 0.5) * 2.0 / points  # alpha; never nu itself, where the risk of one is infinite
    figure, axes = plotting.new_figure(1, len(ratios), width=4.6)
    findings, table = [], []
    for ax, nu in zip(axes[0], ratios, strict=True):
        apart = [alpha for alpha in alphas if abs(alpha / nu - 1.0) > 0.19]  # the mean exists, and soon
        grid = {"num_samples": [round(alpha * num_modes) for alpha in apart], "ensemble": list(members)}
        panel = _panel(problem, keys, nu, grid, line_x)
        _draw(ax, panel)
        findings += _verdicts(panel)
        if nu == 0.25:
            findings += _at_two(ax, panel)
        columns = ("nu", "alpha", "ensemble", "risk", "stderr", "theory")
        table += [row for point in panel.points for row in point.rows(*columns)]
    return Shown(figure, table, tuple(findings))


def closed_form(nu: float, alpha: np.ndarray) -> np.ndarray:
    """Return the risk over |w|^2 of one model and of infinitely many on the same data, (2, alpha).

    One: (1 - nu)/(1 - nu/alpha) for nu < alpha, (1 - alpha)/(1 - alpha/nu) for alpha < nu; infinitely many:
    (1 - nu)^2/(1 - nu^2/alpha) and 1 - alpha. For nu <= 1 without noise, at alpha != nu.
    """
    few, many = np.minimum(nu, alpha), np.maximum(nu, alpha)
    infinitely_many = np.where(nu < alpha, (1 - nu) ** 2 / (1 - nu**2 / alpha), 1 - few)
    return np.stack([(1 - few) / (1 - few / many), infinitely_many])


def _panel(problem: rfm.Problem, keys: jax.Array, nu: float, grid: dict[str, list[int]], line_x: np.ndarray) -> Panel:
    """Train at every number of samples and of models of the grid, and predict there and at alpha = line_x."""
    m, n = problem.num_modes, round(nu * problem.num_modes)
    run = Arguments(num_features=n, optimizer=FLOW, times=np.array([END]))
    trained = rfm.sweep(problem, grid, keys, **run, progress=True).risk[..., 0] / m  # (P, K, S)
    samples, members = grid["num_samples"], np.array(grid["ensemble"])
    # one call for the points and the lines: a sweep compiles for its number of points
    ends = {"num_samples": [*samples, *(line_x * m)], "ensemble": [*members, np.inf]}
    predicted = theory.sweep(problem, ends, num_features=n, optimizer=rfm.Ridge(0.0)).risk[..., 0] / m
    there, lines = np.split(predicted, [len(samples)])  # (P, K + 1), (L, K + 1)
    points = [
        Comparison("ensemble", members, risks.T, risk[:-1], {"nu": nu, "alpha": p / m, "N": n, "P": p})
        for p, risks, risk in zip(samples, trained, there, strict=True)
    ]
    return Panel(nu, points, line_x, dict(zip(ends["ensemble"], lines.T, strict=True)))


def _draw(ax: Axes, panel: Panel) -> None:
    """Draw one curve an ensemble, and the average of infinitely many."""
    for index, members in enumerate(panel.points[0].x):
        plotting.draw(ax, panel.against_data(members), index)
    ax.plot(panel.line_x, panel.lines[np.inf], "k--", lw=1, label="average of infinitely many, theory")
    ax.axvline(panel.nu, color="0.8", lw=0.8, zorder=-1)
    ax.set_yscale("log")
    ax.set_ylim(0.8 * min(line.min() for line in panel.lines.values()), 20.0)
    plotting.finish(ax, r"data $\alpha = P/M$", r"risk over $|w|^2$", rf"$\nu = N/M$ = {panel.nu:g}", log=False)


def _verdicts(panel: Panel) -> list[Verdict]:
    """Judge agreement, the peak, the closed forms, and that infinitely many models have no peak."""
    nu, x, name = panel.nu, panel.line_x, f"nu = {panel.nu:g}"
    one, endless = panel.lines[1], panel.lines[np.inf]
    gap = np.max(np.abs(np.stack([one, endless]) / closed_form(nu, x) - 1.0))
    peak, step = x[np.argmax(one)], x[1] - x[0]
    trained = panel.against_data(1)
    highest = trained.x[np.argmax(trained.mean)]
    nearest = trained.x[np.argsort(np.abs(trained.x - nu))[:2]]
    return [
        agreement(panel.points, f"theory = simulation, {name}"),
        condition(f"peak of one model, {name}", "alpha = nu",
                  f"theory at {peak:.3f} of steps of {step:.3f}; largest trained risk at {highest:g}, beside {nu:g} "
                  "among the points", bool(abs(peak - nu) <= step and highest in nearest)),
        condition(f"closed forms of 1 and infinitely many, {name}", "-",
                  f"theory within {gap:.0e} at {len(x)} alpha", bool(gap < ROUNDING)),
        condition(f"infinitely many models, {name}", "-",
                  f"no peak: the risk falls with alpha from {endless[0]:.3f} to {endless[-1]:.3f}",
                  bool(np.all(np.diff(endless) < 0))),
    ]  # fmt: skip


def _at_two(ax: Axes, panel: Panel) -> list[Verdict]:
    """Judge the two numbers that S1 plots, at alpha = 2, and mark them."""
    findings: list[Verdict] = []
    for row in next(point for point in panel.points if point.fixed["alpha"] == 2.0).rows():
        count = int(row["ensemble"])
        if count not in PLOTTED:
            continue
        claim = PLOTTED[count]
        ax.plot(2.0, claim, "k*", ms=9, mfc="none", label=None if findings else "S1")
        findings.append(condition(
            f"risk at nu = 0.25, alpha = 2, {count} model{'s' if count > 1 else ''}", f"{claim:g}",
            f"theory {row['theory']:.4f}, trained {row['risk']:.3f} ± {row['stderr']:.3f}",
            bool(abs(row["theory"] - claim) < 1e-3),
        ))  # fmt: skip
    ax.legend(fontsize=6.5, frameon=False)
    return findings


main = Script(
    name="S1-9",
    title="Double descent in data, and ensembles",
    source="Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), Fig. 9",
    claim="isotropic features: the risk peaks at P = N, and an ensemble over features lowers it, at most to that of "
    "infinitely many",
    show=show,
    full=dict(
        num_modes=200, ratios=(0.25, 0.75), alphas=(0.1, 0.2, 0.4, 0.6, 1.0, 2.0), members=(1, 5, 50),
        seeds=16, points=200,
    ),
    smoke=dict(num_modes=40, ratios=(0.25,), alphas=(0.5, 2.0), members=(1, 5), seeds=4, points=40),
)  # fmt: skip
