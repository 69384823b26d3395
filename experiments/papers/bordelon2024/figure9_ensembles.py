"""S1 Fig. 9: the interpolation peak of isotropic features against data, and what averaging models does to it."""

import jax
import numpy as np

import rfm
import theory
from experiments.compare.comparison import agreement
from experiments.compare.verdicts import condition
from experiments.output import plotting
from experiments.papers.row import Script, Shown

END = 1e6  # a time that stands for the end of training: the least curvatures here are 1e-3
FLOW = rfm.GradientFlow()
PLOTTED = {1: 0.857, 50: 0.586}  # S1 at nu = 1/4, alpha = 2: one model, and the average of 50
ROUNDING = 1e-6


def show(
    seed: int, num_modes: int, ratios: tuple[float, ...], alphas: tuple[float, ...], members: tuple[int, ...],
    seeds: int, points: int,
) -> Shown:  # fmt: skip
    """Risk over |w|^2 at the end of training against alpha = P/M, one panel a ratio nu = N/M, one curve an ensemble."""
    problem = rfm.white(num_modes)
    keys = jax.random.split(jax.random.key(seed), seeds)
    line_x = (np.arange(points) + 0.5) * 2.0 / points  # alpha; never nu itself, where the risk of one is infinite
    figure, axes = plotting.new_figure(1, len(ratios), width=4.6)
    findings, table = [], []
    for ax, nu in zip(axes[0], ratios, strict=True):
        apart = np.array([alpha for alpha in alphas if abs(alpha / nu - 1.0) > 0.19])  # the mean exists, and soon
        args = {"num_features": round(nu * num_modes), "optimizer": FLOW, "times": np.array([END])}
        grid = {"num_samples": [round(alpha * num_modes) for alpha in apart], "ensemble": list(members)}
        simulated = rfm.sweep(problem, grid, keys, **args, progress=True).risk[..., 0] / num_modes  # (P, K, S)
        # one call for the points and the lines: a sweep compiles for its number of points
        ends = {"num_samples": [*grid["num_samples"], *(line_x * num_modes)], "ensemble": [*members, np.inf]}
        every = theory.sweep(problem, ends, num_features=args["num_features"], optimizer=rfm.Ridge(0.0)).risk[..., 0]
        predicted, lines = np.split(every / num_modes, [len(apart)])  # (P, K + 1), (points, K + 1)
        predicted, lines = predicted[:, :-1], lines.T
        for index, count in enumerate(members):
            label = "one model" if count == 1 else f"average of {count}"
            plotting.draw_pair(ax, apart, simulated[:, index].T, line_x, lines[index], label, index)
        ax.plot(line_x, lines[-1], "k--", lw=1, label="average of infinitely many, theory")
        ax.axvline(nu, color="0.8", lw=0.8, zorder=-1)
        ax.set_yscale("log")
        ax.set_ylim(0.8 * lines.min(), 20.0)
        plotting.finish(ax, r"data $\alpha = P/M$", r"risk over $|w|^2$", rf"$\nu = N/M$ = {nu:g}", log=False)
        findings += _of_ratio(nu, num_modes, apart, members, simulated, predicted, line_x, lines)
        if nu == 0.25:
            findings += _at_two(ax, apart, members, simulated, predicted)
        table += [
            {"nu": nu, "alpha": alpha, "ensemble": count, "risk": s.mean(), "stderr": s.std(ddof=1) / np.sqrt(seeds),
             "theory": p}
            for alpha, of_alpha, row in zip(apart, simulated, predicted, strict=True)
            for count, s, p in zip(members, of_alpha, row, strict=True)
        ]  # fmt: skip
    return Shown(figure, table, tuple(findings))


def closed_form(nu: float, alpha: np.ndarray) -> np.ndarray:
    """Risk over |w|^2 of one model and of infinitely many on the same data, nu <= 1, no noise, at alpha != nu.

    One: (1 - nu)/(1 - nu/alpha) for nu < alpha, (1 - alpha)/(1 - alpha/nu) for alpha < nu; infinitely many:
    (1 - nu)^2/(1 - nu^2/alpha) and 1 - alpha.
    """
    few, many = np.minimum(nu, alpha), np.maximum(nu, alpha)
    infinitely_many = np.where(nu < alpha, (1 - nu) ** 2 / (1 - nu**2 / alpha), 1 - few)
    return np.stack([(1 - few) / (1 - few / many), infinitely_many])  # (2, alpha)


def _of_ratio(nu, num_modes, alphas, members, simulated, predicted, line_x, lines) -> list:
    sizes = np.repeat(num_modes / (1.0 / nu + 1.0 / alphas), len(members))
    known = closed_form(nu, line_x)
    gap = np.max(np.abs(lines[[0, -1]] / known - 1.0))
    one = simulated[:, 0].mean(-1)
    at = line_x[np.argmax(lines[0])]
    nearest = alphas[np.argsort(np.abs(alphas - nu))[:2]]
    return [
        agreement(simulated.reshape(-1, simulated.shape[-1]).T, predicted.ravel(), sizes,
                  f"theory = simulation, nu = {nu:g}"),
        condition(f"peak of one model, nu = {nu:g}", "alpha = nu",
                  f"theory at {at:.3f} of steps of {line_x[1] - line_x[0]:.3f}; largest trained risk at "
                  f"{alphas[np.argmax(one)]:g}, beside {nu:g} among the points",
                  abs(at - nu) <= line_x[1] - line_x[0] and alphas[np.argmax(one)] in nearest),
        condition(f"closed forms of 1 and infinitely many, nu = {nu:g}", "-",
                  f"theory within {gap:.0e} at {len(line_x)} alpha", gap < ROUNDING),
        condition(f"infinitely many models, nu = {nu:g}", "-",
                  f"no peak: the risk falls with alpha from {lines[-1, 0]:.3f} to {lines[-1, -1]:.3f}",
                  bool(np.all(np.diff(lines[-1]) < 0))),
    ]  # fmt: skip


def _at_two(ax, alphas, members, simulated, predicted) -> list:
    """The two numbers that S1 plots."""
    found, (at,) = [], np.flatnonzero(alphas == 2.0)
    for index, count in enumerate(members):
        if count not in PLOTTED:
            continue
        ax.plot(2.0, PLOTTED[count], "k*", ms=9, mfc="none", label=None if found else "S1")
        samples, claim = simulated[at, index], PLOTTED[count]
        found.append(condition(
            f"risk at nu = 0.25, alpha = 2, {count} model{'s' if count > 1 else ''}", f"{claim:g}",
            f"theory {predicted[at, index]:.4f}, trained {samples.mean():.3f} ± "
            f"{samples.std(ddof=1) / np.sqrt(len(samples)):.3f}", abs(predicted[at, index] - claim) < 1e-3,
        ))  # fmt: skip
    ax.legend(fontsize=6.5, frameon=False)
    return found


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
