"""S1 Fig. 8: at which rates a mode is learned, the spectral densities of random features beside those of real draws."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes

import rfm
from experiments.compare.comparison import Comparison
from experiments.compare.equivalence import agreement
from experiments.compare.statistics import standard_error
from experiments.compare.verdicts import Verdict, condition
from experiments.output import plotting
from experiments.papers.bordelon2024.mode_rates import A_RATES, B_RATES, Rates, draw_spectra, predict_rates, resolved
from experiments.papers.row import Counts, Script, Shown

SMALL_PAIR, LARGE_PAIR = (50, 100), (10_000, 10_000)  # N, P
HELD = dict(zip("NP", SMALL_PAIR, strict=True))
DECAY_TIMES = np.array([1.0, 10.0, 100.0, 1000.0])
Z_LEVELS = np.geomspace(3e-3, 1.0, 7)  # above which eigenvalues are counted
BINS = np.linspace(np.log(1e-4), np.log(4.0), 43)  # of log z
BIN_Z = np.exp(0.5 * (BINS[1:] + BINS[:-1]))  # z of the bins


def show(seed: int, *, shown: Counts, late: Counts, seeds: int, modes: int, points: int) -> Shown:
    """Show eigenvalues of A = F^T F Psi^T Psi/P, and the spectral measure of single modes, k of `shown` and `late`."""
    problem, keys = rfm.power_law(A_RATES, B_RATES, modes), jax.random.split(jax.random.key(seed), seeds)
    drawn = draw_spectra(problem, SMALL_PAIR, keys, jnp.array(shown) - 1)
    values, weights = (np.asarray(x) for x in drawn)  # (S, N), (S, K, N)
    few = predict_rates(problem, SMALL_PAIR, np.geomspace(1e-6, 6.0, points), shown)
    # the largest eigenvalues stand alone, 4 (1/N + 1/P)^(1/2) = 0.06 wide in log z
    z = np.unique(np.concatenate([np.geomspace(1e-9, 4.0, points), np.geomspace(0.01, 1.2, 2 * points)]))
    many = predict_rates(resolved(), LARGE_PAIR, z, late)
    number = _binned(values, np.ones_like(values), few.z, few.total)
    each = zip(np.moveaxis(weights, 1, 0), few.measures, strict=True)
    measures = [_binned(values, weight, few.z, line) for weight, line in each]

    figure, axes = plotting.new_figure(1, 3)
    _all(axes[0, 0], number, many)
    _each(axes[0, 1], few, rf"$N$ = {HELD['N']}, $P$ = {HELD['P']}; dots: $\lambda_k$", measures)
    axes[0, 1].set(xlim=(1e-4, 6.0), ylim=(1e-3, 30.0))
    _each(axes[0, 2], many, r"$N = P = 10^4$, theory alone; dots: $\lambda_k$")
    axes[0, 2].set(xlim=(1e-7, 6.0), ylim=(1e-3, 3e3))
    columns = ("k", "z", "density", "stderr", "theory")
    table = []
    for k, pair in zip(("all", *shown), (number, *measures), strict=True):
        table += pair.rows(*columns, k=k, density=pair.mean, stderr=standard_error(pair.risks))
    return Shown(figure, table, (*_agreements(values, weights, few), *_claims(few, many)))


def _binned(values: np.ndarray, weights: np.ndarray, z: np.ndarray, line: np.ndarray) -> Comparison:
    """Return the weight per unit of log z, of values (S, N) with weights (S, N), beside theory over z."""
    draws = [np.histogram(np.log(v), BINS, weights=w) for v, w in zip(values, weights, strict=True)]
    density = np.array([counts for counts, _ in draws]) / np.diff(BINS)  # (S, bins)
    there = np.interp(np.log(BIN_Z), np.log(z), line)
    return Comparison("z", BIN_Z, density, there, HELD, line_x=z, line=line)


def _all(ax: Axes, number: Comparison, many: Rates) -> None:
    """Draw numbers of eigenvalues."""
    plotting.draw(ax, number, label=f"$N$ = {HELD['N']}, $P$ = {HELD['P']}")
    ax.plot(many.z, many.total, color=plotting.COLORS[1], lw=1.0, label="$N = P = 10^4$, theory")
    ax.plot(many.z, many.z ** (-1 / B_RATES) / B_RATES, "k:", lw=1, label=r"of $\Lambda$ itself, smoothed")
    plotting.finish(ax, "eigenvalue $z$", r"eigenvalues per unit of $\log z$", rf"$b$ = {B_RATES:g}: all of $A$")
    ax.set(xlim=(1e-7, 6.0), ylim=(0.3, 3e4))


def _each(ax: Axes, rates: Rates, title: str, measures: Sequence[Comparison] = ()) -> None:
    """Draw weights of single modes, of real draws where there are any; bars at lambda_k."""
    for index, k in enumerate(rates.modes):
        if measures:
            plotting.draw(ax, measures[index], index, label=rates.label(index))
        else:
            ax.plot(rates.z, rates.measures[index], color=plotting.COLORS[index], lw=1.1, label=rates.label(index))
        ax.axvline(k**-B_RATES, ymax=0.7, color=plotting.COLORS[index], lw=0.8, ls=":")
    plotting.finish(ax, "rate $z$", r"weight of mode $k$ per unit of $\log z$", title)


def _agreements(values: np.ndarray, weights: np.ndarray, few: Rates) -> list[Verdict]:
    """Judge theory of the eigenvalues above levels, of how modes decay, and of the part never learned."""
    counts = np.sum(values[..., None] > Z_LEVELS, axis=1)  # (S, levels)
    above = np.array([few.integral(np.where(few.z > level, few.total, 0.0)) for level in Z_LEVELS])
    lost = 1.0 - np.exp(-values[:, None, :] * DECAY_TIMES[:, None])  # (S, T, N)
    decays = 1.0 - np.einsum("skn,stn->kst", weights, lost)  # (K, S, T)
    measures, never = few.measures, few.never
    kept = few.integral(measures[:, None] * np.exp(-few.z * DECAY_TIMES[:, None])) + never[:, None]  # (K, T)
    unlearned = Comparison("k", np.array(few.modes), 1.0 - weights.sum(-1), never, HELD)
    modes = [Comparison("time", DECAY_TIMES, risks, line, HELD) for risks, line in zip(decays, kept, strict=True)]
    return [
        agreement([Comparison("z", Z_LEVELS, counts, above, HELD)], "simulation against theory, eigenvalues above z"),
        agreement(modes, "simulation against theory, [exp(-A t)]_kk"),
        agreement([unlearned], "simulation against theory, part never learned"),
    ]


def _claims(few: Rates, many: Rates) -> list[Verdict]:
    narrow, wide, late_narrow, late_wide = few.spread(0), few.spread(-1), many.spread(0), many.spread(-1)
    never, late_never = few.never, many.never
    off = np.max(np.abs(many.integral(many.measures) + late_never - 1.0))
    low, high, late_low, late_high = few.modes[0], few.modes[-1], many.modes[0], many.modes[-1]
    return [
        condition("spread of rates, 10 to 90 % of what is learned", "narrow for large lambda_k, broad for small ones",
                  f"a factor {narrow:.2g} at k = {low}, {wide:.2g} at k = {high} for N, P = {SMALL_PAIR}; "
                  f"{late_narrow:.3f} at k = {late_low}, {late_wide:.2g} at k = {late_high} for {LARGE_PAIR}",
                  narrow < wide and late_narrow < min(late_wide, narrow)),
        condition("part never learned", "grows with k",
                  f"{never[0]:.1%} at k = {low}, {never[-1]:.1%} at k = {high}; N = P = 10^4: "
                  f"{late_never[0]:.1e} and {late_never[-1]:.1%} at k = {late_low} and {late_high}",
                  bool(np.all(np.diff(never) > 0) and np.all(np.diff(late_never) > 0))),
        condition("weight of a mode at N = P = 10^4", "-", f"one to {off:.0e} at all k drawn",
                  bool(off < 0.01 and max(few.residual, many.residual) < 1e-8)),
    ]  # fmt: skip


main = Script(
    name="S1-8",
    title="Spectral densities: at which rates a mode is learned",
    source="Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), Fig. 8",
    claim="finite N and P spread the rate lambda_k of a mode into a density, narrow for the largest, broad beyond, "
    "with a part that is never learned",
    show=show,
    full=dict(shown=(1, 5, 20, 100), late=(1, 10, 100, 1000, 10_000), seeds=1024, modes=2000, points=600),
    smoke=dict(shown=(1, 20), late=(1, 100), seeds=16, modes=600, points=100),
    limits="N = P = 10^4 is theory alone: an eigensystem of 10^4 takes minutes and 2 GB a draw",
)
