"""S15: the risk in each domain against its share among the rows, and the best shares of small and large runs."""

import jax
import numpy as np

import rfm
import theory
from experiments.compare.verdicts import REFINED, condition
from experiments.output import plotting, progress
from experiments.papers.row import Counts, Script, Shown, Values
from experiments.papers.two_points.draws import NOISE, RIDGE, A, B, Model, agrees

CLOSE = 0.02  # of a risk, within which a law describes it
MIDDLE = 0.25, 0.75  # shares that are not extreme
TRANSFERRED = 1e-3  # of the least risk, by which the best shares of the smallest run have to miss


def show(
    seed: int, *, shares: Values, sizes: Counts, samples: Counts, features: Values, modes: int, draws: int
) -> Shown:
    """Show the risk in two domains against the share of the first, and the best share against the data."""
    k, optimizer = np.arange(1.0, modes + 1), rfm.Ridge(RIDGE)
    spectra, target = np.stack([k**-B, k[::-1] ** -B]), k ** ((B - A) / 2)
    figure, axes = plotting.new_figure(1, 2, caption=plotting.CAPTION + plotting.POINTS)
    (n, p), inner = sizes, np.array(shares)
    model = Model(n, p, optimizer).arguments()

    def problem(share: float) -> rfm.Problem:
        return rfm.from_domains(spectra, target, shares=[share, 1.0 - share], noise_var=NOISE)

    keys = jax.random.split(jax.random.key(seed), draws)
    drawn = np.zeros((draws, 2, len(inner)))
    for i, share in enumerate(progress.over(shares, "share")):
        mixed = problem(share)
        assert mixed.domains is not None
        off = (mixed.target - rfm.coefficients(mixed, **model, keys=keys)[:, 0]) ** 2  # (draws, M)
        drawn[:, :, i] = off @ mixed.domains.spectra.T
    fine = np.linspace(inner.min(), inner.max(), 31)
    half = problem(0.5)
    at = lambda x: theory.domains(half, **model, shares=[x, 1.0 - x]).risk[:, 0]  # noqa: E731
    lines, known = (np.array([at(x) for x in xs]).T for xs in (fine, inner))
    laws = np.array([exponential(fine, risk) for risk in lines])
    names = ("steep on the first modes", "steep on the last modes")
    for i, name in enumerate(names):
        axes[0, 0].plot(fine, lines[i], color=plotting.COLORS[i], lw=1.3)
        axes[0, 0].plot(fine, laws[i], color=plotting.COLORS[i], lw=1.0, ls=":")
        mean, error = drawn[:, i].mean(0), drawn[:, i].std(0, ddof=1) / np.sqrt(draws)
        plotting.draw_points(axes[0, 0], inner, mean, error, i, label=name)
    axes[0, 0].plot([], [], color=plotting.LIMIT, lw=1.0, ls=":", label="exponential in the share")
    plotting.finish(axes[0, 0], "share of the first domain", "risk in a domain", f"N = {n}, P = {p}", log=False)
    table = [
        {"share": x, "domain": d, "risk": r, "stderr": e, "theory": t}
        for d in range(2)
        for x, r, e, t in zip(
            inner, drawn[:, d].mean(0), drawn[:, d].std(0, ddof=1) / np.sqrt(draws), known[d], strict=True
        )
    ]
    best = np.array([
        [theory.best_shares(half, **Model(m, q, optimizer).arguments()).shares[0] for q in samples]
        for m in progress.over(features, "model size")
    ])  # fmt: skip
    for i, (m, line) in enumerate(zip(features, best, strict=True)):
        label = "$N = \\infty$" if np.isinf(m) else f"N = {m:g}"
        axes[0, 1].plot(samples, line, color=plotting.COLORS[i], marker="o", ms=3, lw=1.3, label=label)
        table += [{"N": m, "P": q, "best share": x} for q, x in zip(samples, line, strict=True)]
    plotting.finish(axes[0, 1], "data $P$", "best share of the first domain", "both domains count the same", log=False)
    axes[0, 1].set_xscale("log")
    largest = Model(features[-1], samples[-1], optimizer).arguments()
    kept = [theory.domains(half, **largest, shares=[x, 1.0 - x]).risk.mean() for x in (best[0, 0], best[-1, -1])]
    mid = (fine >= MIDDLE[0]) & (fine <= MIDDLE[1])
    off = np.abs(laws / lines - 1.0).max(1)
    off_middle = [np.abs(exponential(fine[mid], risk[mid]) / risk[mid] - 1.0).max() for risk in lines]
    return Shown(figure, table, (
        agrees("simulation over theory, both domains", drawn.reshape(draws, -1), known.ravel(), min(n, p)),
        condition(f"risk in a domain, from c + k exp(t share), at shares {MIDDLE[0]:g} to {MIDDLE[1]:g}",
                  f"within {CLOSE:.0%}", ", ".join(f"{x:.1%}" for x in off_middle), max(off_middle) < CLOSE),
        condition(f"the same, at shares {inner.min():g} to {inner.max():g}", f"within {CLOSE:.0%}",
                  ", ".join(f"{x:.1%}" for x in off), bool(off.max() < CLOSE), no=REFINED),
        condition("best share of the smallest and of the largest run", "another",
                  f"{best[0, 0]:.2f}, {best[-1, -1]:.2f}", abs(best[0, 0] - best[-1, -1]) > 0.05),
        condition("largest run with the best shares of the smallest", "worse",
                  f"{kept[0] / kept[1] - 1.0:.1%}", kept[0] > (1.0 + TRANSFERRED) * kept[1]),
    ))  # fmt: skip


def exponential(x: np.ndarray, risk: np.ndarray) -> np.ndarray:
    """Return the c + k exp(t x) of least relative squares at x: c and k by linear algebra, t by search."""
    from scipy.optimize import minimize_scalar

    def fitted(t: float) -> np.ndarray:
        columns = np.stack([np.ones_like(x), np.exp(t * x)], 1) / risk[:, None]
        return columns @ np.linalg.lstsq(columns, np.ones_like(x))[0] * risk

    rates = np.linspace(-20.0, 20.0, 40)  # none of them zero
    coarse = rates[np.argmin([np.sum((fitted(t) / risk - 1.0) ** 2) for t in rates])]
    found = minimize_scalar(lambda t: np.sum((fitted(t) / risk - 1.0) ** 2), bracket=(coarse, coarse * 1.02))
    return fitted(found.x)


main = Script(
    name="S15",
    title="Domains: the risk against shares of the rows, and the best shares of small and large runs",
    source="Ye et al. 2024 (arXiv 2403.16952); Kang et al. 2024 (arXiv 2407.20177)",
    claim="the loss in a domain is exponential in the shares, and the best shares change with the scale",
    show=show,
    full=dict(shares=(0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95), sizes=(120, 200),
              samples=(10, 20, 40, 80, 160, 320, 640, 1280, 2560), features=(50.0, 200.0, np.inf), modes=300,
              draws=100),
    smoke=dict(shares=(0.1, 0.5, 0.9), sizes=(20, 30), samples=(10, 1000), features=(20.0, np.inf), modes=40, draws=32),
    limits="domains whose eigenvectors or targets differ, and shares of one pass of SGD",
)  # fmt: skip
