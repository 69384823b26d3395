"""S1 Fig. 8: at which rates a mode is learned, the spectral densities of random features beside those of real draws."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import rfm
from experiments.compare.comparison import agreement
from experiments.compare.verdicts import condition
from experiments.output import plotting
from experiments.papers.row import Script, Shown
from rfm.engine.features import Setting, data_chunk, draw, feature_chunk, member_keys
from rfm.problem import PowerLawTail
from theory._predict import MARGIN, problem_modes
from theory.densities import Density, density

A, B = 1.5, 1.2  # the task, A, changes no density
SMALL, LARGE = (50, 100), (10_000, 10_000)  # N, P
HEAD = 512  # modes kept one by one: good to 1e-13, where the 128 of `power_law` leave 1e-3
TIMES = (1.0, 10.0, 100.0, 1000.0)
LEVELS = np.geomspace(3e-3, 1.0, 7)  # above which eigenvalues are counted
BINS = np.linspace(np.log(1e-4), np.log(4.0), 43)  # of log z
QUARTILES = (0.1, 0.9)


def show(seed: int, shown: tuple[int, ...], late: tuple[int, ...], seeds: int, modes: int, points: int) -> Shown:
    """Eigenvalues of A = F^T F Psi^T Psi/P, and the spectral measure of single modes, k of `shown` and `late`."""
    problem = rfm.power_law(A, B, modes)
    keys = jax.random.split(jax.random.key(seed), seeds)
    values, weights = _spectra(problem, keys, np.array(shown) - 1)  # (S, N), (S, K, N)
    z = np.geomspace(1e-6, 6.0, points)
    rho = _density(problem, SMALL, z, shown)
    # the largest eigenvalues stand alone, 4 (1/N + 1/P)^(1/2) = 0.06 wide in log z
    late_z = np.unique(np.concatenate([np.geomspace(1e-9, 4.0, points), np.geomspace(0.01, 1.2, 2 * points)]))
    late_rho = _density(_resolved(), LARGE, late_z, late)

    figure, axes = plotting.new_figure(1, 3)
    _all(axes[0, 0], values, z, rho, late_z, late_rho)
    _each(axes[0, 1], values, weights, z, rho, shown)
    _each_late(axes[0, 2], late_z, late_rho, late)
    table = _table(values, weights, z, rho, shown)
    return Shown(figure, table, tuple(_findings(values, weights, z, rho, shown, late_z, late_rho, late)))


def _resolved() -> rfm.Problem:
    """Infinitely many modes, HEAD of them one by one: what the cut needs at N = P = 10^4, see `theory.density`."""
    k = np.arange(1.0, HEAD + 1.0)
    tail = PowerLawTail(np.float64(A), np.float64(B), np.float64(1.0), np.float64(1.0), None)
    return rfm.Problem(k**-B, k ** ((B - A) / 2), 0.0, tail)


def _density(problem, sizes, z, shown) -> Density:
    inv_n, inv_p = (1.0 / size for size in sizes)
    modes = problem_modes(problem, MARGIN - np.log(z.min()))
    return jax.tree.map(np.asarray, density(modes, inv_n, inv_p, jnp.asarray(z), jnp.asarray(np.array(shown) ** -B)))


@jax.jit
def _spectra(problem, keys, index):
    """Eigenvalues z_j (S, N) of A that are not zero, and their weights (S, K, N) in modes k: [exp(-A t)]_kk is
    1 - sum_j weight_kj (1 - exp(-z_j t)).

    With H = F Psi^T Psi F^T/P = U z U^T the right eigenvectors are F^T U, the left ones U^T F Psi^T Psi/(P z).
    """
    n, p = SMALL
    setting = Setting(n, p, "ntk")

    def one(key):
        design = draw(problem, setting, key).design  # (P, N)
        z, basis = jnp.linalg.eigh(design.T @ design / p)
        f, _, _ = feature_chunk(problem, setting, key.features, 0)  # (N, c)
        psi, _ = data_chunk(problem, setting, key.data, 0)  # (P, c)
        right = basis.T @ f[:, index]  # (N, K)
        left = basis.T @ (design.T @ psi[:, index] / p)
        return z, (right * left).T / z

    return lax.map(one, member_keys(keys, 1, 1))


def _binned(values, weights) -> np.ndarray:
    """Weight per unit of log z, (S, bins), from values (S, N) and their weights (S, N)."""
    rows = [np.histogram(np.log(v), BINS, weights=w)[0] for v, w in zip(values, weights, strict=True)]
    return np.array(rows) / np.diff(BINS)


def _middle() -> np.ndarray:
    return np.exp(0.5 * (BINS[1:] + BINS[:-1]))


def _all(ax, values, z, rho, late_z, late_rho):
    """Numbers of eigenvalues."""
    samples, x = _binned(values, np.ones_like(values)), _middle()
    plotting.draw_pair(ax, x, samples, z, rho.total, f"$N$ = {SMALL[0]}, $P$ = {SMALL[1]}", 0)
    ax.plot(late_z, late_rho.total, color=plotting.COLORS[1], lw=1.0, label="$N = P = 10^4$, theory")
    ax.plot(late_z, late_z ** (-1 / B) / B, "k:", lw=1, label=r"of $\Lambda$ itself, smoothed")
    ax.set_ylim(0.3, 3e4)
    plotting.finish(ax, "eigenvalue $z$", r"eigenvalues per unit of $\log z$", rf"$b$ = {B:g}: all of $A$")
    ax.set_xlim(1e-7, 6.0)


def _each(ax, values, weights, z, rho, shown):
    """Weights of single modes; bars at lambda_k."""
    for index, k in enumerate(shown):
        label = f"$k$ = {k}: {100 * rho.never[index]:.2g} % never learned"
        plotting.draw_pair(ax, _middle(), _binned(values, weights[:, index]), z, rho.modes[:, index], label, index)
        ax.axvline(k**-B, ymax=0.7, color=plotting.COLORS[index], lw=0.8, ls=":")
    ax.set_ylim(1e-3, 30.0)
    plotting.finish(ax, "rate $z$", r"weight of mode $k$ per unit of $\log z$",
                    rf"$N$ = {SMALL[0]}, $P$ = {SMALL[1]}; dots: $\lambda_k$")  # fmt: skip
    ax.set_xlim(1e-4, 6.0)


def _each_late(ax, z, rho, late):
    for index, k in enumerate(late):
        label = f"$k$ = {k}: {100 * rho.never[index]:.2g} % never learned"
        ax.plot(z, rho.modes[:, index], color=plotting.COLORS[index], lw=1.1, label=label)
        ax.axvline(k**-B, ymax=0.68, color=plotting.COLORS[index], lw=0.8, ls=":")
    ax.set_ylim(1e-3, 3e3)
    plotting.finish(
        ax, "rate $z$", r"weight of mode $k$ per unit of $\log z$", r"$N = P = 10^4$, theory alone; dots: $\lambda_k$"
    )
    ax.set_xlim(1e-7, 6.0)


def _table(values, weights, z, rho, shown) -> list[dict]:
    rows, x = [], _middle()
    curves = [("all", np.ones_like(values), rho.total)]
    curves += [(k, weights[:, i], rho.modes[:, i]) for i, k in enumerate(shown)]
    for k, weight, line in curves:
        samples = _binned(values, weight)
        errors = samples.std(0, ddof=1) / np.sqrt(len(samples))
        there = np.interp(np.log(x), np.log(z), line)
        rows += [
            {"k": k, "z": u, "density": m, "stderr": s, "theory": p}
            for u, m, s, p in zip(x, samples.mean(0), errors, there, strict=True)
        ]
    return rows


def _spread(z, line) -> float:
    """Ratio of the rates between which the middle 80 % of the weight that is ever learned lies."""
    log_z = np.log(z)
    part = np.concatenate([[0.0], np.cumsum(np.diff(log_z) * 0.5 * (line[1:] + line[:-1]))])
    low, high = np.interp(np.array(QUARTILES) * part[-1], part, log_z)
    return float(np.exp(high - low))


def _findings(values, weights, z, rho, shown, late_z, late_rho, late) -> list:
    log_z, size = np.log(z), 1.0 / (1.0 / SMALL[0] + 1.0 / SMALL[1])
    times = np.array(TIMES)
    lost = 1.0 - np.exp(-values[:, None, :] * times[:, None])  # (S, T, N)
    decays = 1.0 - np.einsum("skn,stn->skt", weights, lost)  # (S, K, T)
    end = 1.0 - weights.sum(-1)  # (S, K)
    line = np.trapezoid(rho.modes.T[:, None] * np.exp(-z * times[:, None]), log_z, axis=-1) + rho.never[:, None]
    counts = np.sum(values[..., None] > LEVELS, axis=1)  # (S, levels)
    above = np.array([np.trapezoid(np.where(z > level, rho.total, 0.0), log_z) for level in LEVELS])
    widths = [_spread(z, rho.modes[:, i]) for i in range(len(shown))]
    late_widths = [_spread(late_z, late_rho.modes[:, i]) for i in range(len(late))]
    weight = np.trapezoid(late_rho.modes, np.log(late_z), axis=0) + late_rho.never
    return [
        agreement(counts, above, size, "theory = simulation, eigenvalues above z"),
        agreement(decays.reshape(len(decays), -1), line.ravel(), size, "theory = simulation, [exp(-A t)]_kk"),
        agreement(end, rho.never, size, "theory = simulation, part never learned"),
        condition(
            "spread of rates, 10 to 90 % of what is learned", "narrow for large lambda_k, broad for small ones",
            f"a factor {widths[0]:.2g} at k = {shown[0]}, {widths[-1]:.2g} at k = {shown[-1]} for N, P = {SMALL}; "
            f"{late_widths[0]:.3f} at k = {late[0]}, {late_widths[-1]:.2g} at k = {late[-1]} for {LARGE}",
            widths[0] < widths[-1] and late_widths[0] < min(late_widths[-1], widths[0]),
        ),
        condition(
            "part never learned", "grows with k",
            f"{rho.never[0]:.1%} at k = {shown[0]}, {rho.never[-1]:.1%} at k = {shown[-1]}; N = P = 10^4: "
            f"{late_rho.never[0]:.1e} and {late_rho.never[-1]:.1%} at k = {late[0]} and {late[-1]}",
            bool(np.all(np.diff(rho.never) > 0) and np.all(np.diff(late_rho.never) > 0)),
        ),
        condition("weight of a mode at N = P = 10^4", "-", f"one to {np.max(np.abs(weight - 1.0)):.0e} at all k drawn",
                  bool(np.max(np.abs(weight - 1.0)) < 0.01 and max(rho.residual, late_rho.residual) < 1e-8)),
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
