"""S1 Fig. 8: at which rates a mode is learned, the spectral densities of random features beside those of real draws."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from matplotlib.axes import Axes

import rfm
from experiments.compare.comparison import Comparison, agreement
from experiments.compare.statistics import standard_error
from experiments.compare.verdicts import Verdict, condition
from experiments.output import plotting
from experiments.papers.row import Script, Shown
from rfm.engine.features import Keys, Setting, data_chunk, draw, feature_chunk, member_keys
from rfm.problem import PowerLawTail
from theory._predict import MARGIN, problem_modes
from theory.densities import Density, density

A, B = 1.5, 1.2  # the task, A, changes no density
SMALL, LARGE = (50, 100), (10_000, 10_000)  # N, P
HELD = {"N": 50, "P": 100}
HEAD = 512  # modes kept one by one: good to 1e-13, where the 128 of `power_law` leave 1e-3
TIMES = np.array([1.0, 10.0, 100.0, 1000.0])
LEVELS = np.geomspace(3e-3, 1.0, 7)  # above which eigenvalues are counted
BINS = np.linspace(np.log(1e-4), np.log(4.0), 43)  # of log z
MIDDLE = np.exp(0.5 * (BINS[1:] + BINS[:-1]))  # z of the bins
QUARTILES = np.array([0.1, 0.9])


class Spectra(NamedTuple):
    """Eigenvalues z_j (S, N) of A that are not zero, and their weights (S, K, N) in modes k.

    [exp(-A t)]_kk is 1 - sum_j weight_kj (1 - exp(-z_j t)).
    """

    values: np.ndarray
    weights: np.ndarray


class Rates(NamedTuple):
    """Theory at one N and P: the density over z (Z,), and that of the modes k."""

    modes: tuple[int, ...]
    z: np.ndarray
    density: Density

    def label(self, index: int) -> str:
        """Return what a legend says of a mode."""
        return f"$k$ = {self.modes[index]}: {100 * self.density.never[index]:.2g} % never learned"

    def integral(self, density: np.ndarray) -> np.ndarray:
        """Return the integral over log z of a density (..., Z)."""
        return np.trapezoid(density, np.log(self.z), axis=-1)

    def spread(self, index: int) -> float:
        """Return the ratio of the rates between which the middle 80 % of what is ever learned of a mode lies."""
        log_z, line = np.log(self.z), self.density.modes[:, index]
        part = np.concatenate([[0.0], np.cumsum(np.diff(log_z) * 0.5 * (line[1:] + line[:-1]))])
        low, high = np.interp(QUARTILES * part[-1], part, log_z)
        return float(np.exp(high - low))


def show(seed: int, shown: tuple[int, ...], late: tuple[int, ...], seeds: int, modes: int, points: int) -> Shown:
    """Show eigenvalues of A = F^T F Psi^T Psi/P, and the spectral measure of single modes, k of `shown` and `late`."""
    problem = rfm.power_law(A, B, modes)
    keys = jax.random.split(jax.random.key(seed), seeds)
    spectra = Spectra(*_spectra(problem, keys, np.array(shown) - 1))
    few = _rates(problem, SMALL, np.geomspace(1e-6, 6.0, points), shown)
    # the largest eigenvalues stand alone, 4 (1/N + 1/P)^(1/2) = 0.06 wide in log z
    z = np.unique(np.concatenate([np.geomspace(1e-9, 4.0, points), np.geomspace(0.01, 1.2, 2 * points)]))
    many = _rates(_resolved(), LARGE, z, late)
    number = _binned(spectra.values, np.ones_like(spectra.values), few.z, few.density.total)
    measures = [
        _binned(spectra.values, spectra.weights[:, i], few.z, few.density.modes[:, i]) for i in range(len(shown))
    ]

    figure, axes = plotting.new_figure(1, 3)
    _all(axes[0, 0], number, many)
    _each(axes[0, 1], measures, few)
    _each_late(axes[0, 2], many)
    columns = ("k", "z", "density", "stderr", "theory")
    table = [
        row
        for k, pair in zip(("all", *shown), (number, *measures), strict=True)
        for row in pair.rows(*columns, k=np.full(len(MIDDLE), k), density=pair.mean, stderr=standard_error(pair.risks))
    ]
    return Shown(figure, table, (*_agreements(spectra, few), *_claims(few, many)))


def _resolved() -> rfm.Problem:
    """Return infinitely many modes, HEAD of them one by one: what N = P = 10^4 needs, see `theory.density`."""
    k = np.arange(1.0, HEAD + 1.0)
    tail = PowerLawTail(np.float64(A), np.float64(B), np.float64(1.0), np.float64(1.0), None)
    return rfm.Problem(k**-B, k ** ((B - A) / 2), 0.0, tail)


def _rates(problem: rfm.Problem, sizes: tuple[int, int], z: np.ndarray, modes: tuple[int, ...]) -> Rates:
    inv_n, inv_p = (1.0 / size for size in sizes)
    kept = problem_modes(problem, MARGIN - np.log(z.min()))
    rho = density(kept, inv_n, inv_p, jnp.asarray(z), jnp.asarray(np.array(modes) ** -B))
    return Rates(modes, z, jax.tree.map(np.asarray, rho))


@jax.jit
def _spectra(problem: rfm.Problem, keys: jax.Array, index: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return eigenvalues and weights of A for every key.

    With H = F Psi^T Psi F^T/P = U z U^T the right eigenvectors are F^T U, the left ones U^T F Psi^T Psi/(P z).
    """
    n, p = SMALL
    setting = Setting(n, p, "ntk")

    def spectrum(key: Keys) -> tuple[jax.Array, jax.Array]:
        design = draw(problem, setting, key).design  # (P, N)
        z, basis = jnp.linalg.eigh(design.T @ design / p)
        f, _, _ = feature_chunk(problem, setting, key.features, 0)  # (N, c)
        psi, _ = data_chunk(problem, setting, key.data, 0)  # (P, c)
        right = basis.T @ f[:, index]  # (N, K)
        left = basis.T @ (design.T @ psi[:, index] / p)
        return z, (right * left).T / z

    return lax.map(spectrum, member_keys(keys, 1, 1))


def _binned(values: np.ndarray, weights: np.ndarray, z: np.ndarray, line: np.ndarray) -> Comparison:
    """Return the weight per unit of log z, of values (S, N) with weights (S, N), beside theory over z."""
    counts = [np.histogram(np.log(v), BINS, weights=w)[0] for v, w in zip(values, weights, strict=True)]
    there = np.interp(np.log(MIDDLE), np.log(z), line)
    return Comparison("z", MIDDLE, np.array(counts) / np.diff(BINS), there, HELD, line_x=z, line=line)


def _all(ax: Axes, number: Comparison, many: Rates) -> None:
    """Draw numbers of eigenvalues."""
    plotting.draw(ax, number, label=f"$N$ = {SMALL[0]}, $P$ = {SMALL[1]}")
    ax.plot(many.z, many.density.total, color=plotting.COLORS[1], lw=1.0, label="$N = P = 10^4$, theory")
    ax.plot(many.z, many.z ** (-1 / B) / B, "k:", lw=1, label=r"of $\Lambda$ itself, smoothed")
    ax.set_ylim(0.3, 3e4)
    plotting.finish(ax, "eigenvalue $z$", r"eigenvalues per unit of $\log z$", rf"$b$ = {B:g}: all of $A$")
    ax.set_xlim(1e-7, 6.0)


def _each(ax: Axes, measures: Sequence[Comparison], few: Rates) -> None:
    """Draw weights of single modes; bars at lambda_k."""
    for index, measure in enumerate(measures):
        plotting.draw(ax, measure, index, label=few.label(index))
        ax.axvline(few.modes[index] ** -B, ymax=0.7, color=plotting.COLORS[index], lw=0.8, ls=":")
    ax.set_ylim(1e-3, 30.0)
    title = rf"$N$ = {SMALL[0]}, $P$ = {SMALL[1]}; dots: $\lambda_k$"
    plotting.finish(ax, "rate $z$", r"weight of mode $k$ per unit of $\log z$", title)
    ax.set_xlim(1e-4, 6.0)


def _each_late(ax: Axes, many: Rates) -> None:
    for index, k in enumerate(many.modes):
        line, color = many.density.modes[:, index], plotting.COLORS[index]
        ax.plot(many.z, line, color=color, lw=1.1, label=many.label(index))
        ax.axvline(k**-B, ymax=0.68, color=color, lw=0.8, ls=":")
    ax.set_ylim(1e-3, 3e3)
    title = r"$N = P = 10^4$, theory alone; dots: $\lambda_k$"
    plotting.finish(ax, "rate $z$", r"weight of mode $k$ per unit of $\log z$", title)
    ax.set_xlim(1e-7, 6.0)


def _agreements(spectra: Spectra, few: Rates) -> list[Verdict]:
    values, weights = spectra
    counts = np.sum(values[..., None] > LEVELS, axis=1)  # (S, levels)
    above = np.array([few.integral(np.where(few.z > level, few.density.total, 0.0)) for level in LEVELS])
    lost = 1.0 - np.exp(-values[:, None, :] * TIMES[:, None])  # (S, T, N)
    decays = 1.0 - np.einsum("skn,stn->kst", weights, lost)  # (K, S, T)
    measures, never = few.density.modes.T, few.density.never
    kept = few.integral(measures[:, None] * np.exp(-few.z * TIMES[:, None])) + never[:, None]  # (K, T)
    modes = [Comparison("time", TIMES, risks, line, HELD) for risks, line in zip(decays, kept, strict=True)]
    return [
        agreement([Comparison("z", LEVELS, counts, above, HELD)], "theory = simulation, eigenvalues above z"),
        agreement(modes, "theory = simulation, [exp(-A t)]_kk"),
        agreement(
            [Comparison("k", np.array(few.modes), 1.0 - weights.sum(-1), never, HELD)],
            "theory = simulation, part never learned",
        ),
    ]


def _claims(few: Rates, many: Rates) -> list[Verdict]:
    narrow, wide = few.spread(0), few.spread(-1)
    late_narrow, late_wide = many.spread(0), many.spread(-1)
    never, late_never = few.density.never, many.density.never
    weight = many.integral(many.density.modes.T) + late_never
    off = np.max(np.abs(weight - 1.0))
    k, late = few.modes, many.modes
    return [
        condition(
            "spread of rates, 10 to 90 % of what is learned", "narrow for large lambda_k, broad for small ones",
            f"a factor {narrow:.2g} at k = {k[0]}, {wide:.2g} at k = {k[-1]} for N, P = {SMALL}; "
            f"{late_narrow:.3f} at k = {late[0]}, {late_wide:.2g} at k = {late[-1]} for {LARGE}",
            narrow < wide and late_narrow < min(late_wide, narrow),
        ),
        condition(
            "part never learned", "grows with k",
            f"{never[0]:.1%} at k = {k[0]}, {never[-1]:.1%} at k = {k[-1]}; N = P = 10^4: "
            f"{late_never[0]:.1e} and {late_never[-1]:.1%} at k = {late[0]} and {late[-1]}",
            bool(np.all(np.diff(never) > 0) and np.all(np.diff(late_never) > 0)),
        ),
        condition("weight of a mode at N = P = 10^4", "-", f"one to {off:.0e} at all k drawn",
                  bool(off < 0.01 and max(few.density.residual, many.density.residual) < 1e-8)),
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
