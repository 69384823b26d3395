"""S3's four scaling regimes of random features: limited by variance or by resolution, in data or in model size."""

import jax
import numpy as np

import rfm
import theory
from experiments.compare.comparison import AXES, agreement
from experiments.compare.statistics import bootstrap_slope, log_slope
from experiments.compare.verdicts import condition, judge
from experiments.output import plotting
from experiments.papers.row import Script, Shown
from theory import exponents

END, INF = rfm.Ridge(0.0), np.inf
STEP = 0.1  # in log size, of a logarithmic derivative
REACH = 16  # times the largest size trained, to where a theory that tends to its slope is drawn
LARGE = 1e6  # size at which theory alone measures an exponent
OTHER = {"samples": "features", "features": "samples"}
SYMBOL = {"samples": "P", "features": "N"}
EXPONENT = {"samples": exponents.data_exponent, "features": exponents.model_exponent}
REGIMES = ("variance", "resolution")


def show(
    seed: int, kernels: tuple[float, ...], held: int, sizes: dict[str, tuple[int, ...]], seeds: int, modes: int
) -> Shown:
    """Loss against data and model size at the end of training: above its limit at a held size, and with no other."""
    keys = jax.random.split(jax.random.key(seed), seeds)
    figure, axes = plotting.new_figure(2, 2)
    findings, table = [], []
    for index, alpha in enumerate(kernels):
        law = exponents.from_kernel_exponent(alpha)
        problem = rfm.power_law(*law, modes)
        compared = []
        for row, regime in enumerate(REGIMES):
            for column, axis in enumerate(OTHER):
                fixed = held if regime == "variance" else INF
                x = np.array(sizes[regime], float)
                samples = _trained(problem, axis, x, fixed, keys)  # (S, X)
                predicted = _theory(problem, axis, x, fixed)
                compared.append((samples, predicted, 1.0 / (1.0 / x + 1.0 / fixed)))
                slope, error = _slope(x, samples)
                label = f"trained $-${-slope:.3f} (theory there $-${-log_slope(x, predicted):.3f})"
                _draw(axes[row, column], axis, fixed, x, samples, problem, alpha, label, index)
                findings += _measured(law, alpha, regime, axis, fixed, x, predicted, slope, error)
                table += [
                    {"alpha_K": alpha, "regime": regime, "axis": SYMBOL[axis], "size": n, "held": fixed, "loss": m,
                     "stderr": s, "theory": p}
                    for n, m, s, p in zip(x, samples.mean(0), samples.std(0, ddof=1) / np.sqrt(seeds), predicted,
                                          strict=True)
                ]  # fmt: skip
        parts = (np.concatenate(part, axis=-1) for part in zip(*compared, strict=True))
        findings.append(agreement(*parts, quantity=f"theory = simulation, alpha_K = {alpha:g}"))
        findings.append(_mirrored(problem, sizes["variance"], held, alpha))
    for row, column in np.ndindex(2, 2):
        axis = tuple(OTHER)[column]
        axes[row, column].set_yscale("log")
        low, high = axes[row, column].get_ylim()
        axes[row, column].set_ylim((low, 12.0 * high) if row == 0 else (0.2 * low, high))  # room for the legend
        limit = rf"${SYMBOL[OTHER[axis]]} = {held}$" if row == 0 else rf"${SYMBOL[OTHER[axis]]} = \infty$"
        plotting.finish(
            axes[row, column], AXES[axis], rf"risk $-$ risk at ${SYMBOL[axis]} = \infty$" if row == 0 else "risk",
            f"{REGIMES[row]}-limited, {limit}",
        )  # fmt: skip
    return Shown(figure, table, tuple(findings))


def _sizes(axis: str, size: float, fixed: float) -> dict[str, float]:
    return {f"num_{axis}": size, f"num_{OTHER[axis]}": fixed}


def _trained(problem, axis, x, fixed, keys) -> np.ndarray:
    """Risk (S, X), less that at infinite size where another is held: of the same draws, so that most noise cancels."""

    def risk(size):
        size = int(size) if np.isfinite(size) else size
        return rfm.simulate(problem, **_sizes(axis, size, fixed), optimizer=END, keys=keys).risk[:, 0]

    limit = risk(INF) if np.isfinite(fixed) else 0.0
    return np.stack([risk(size) - limit for size in x], axis=1)


def _theory(problem, axis, x, fixed) -> np.ndarray:
    """The same in closed form, (X,)."""

    def risk(size):
        return theory.predict(problem, **_sizes(axis, size, fixed), optimizer=END).risk[0]

    limit = risk(INF) if np.isfinite(fixed) else 0.0
    return np.array([risk(size) - limit for size in x])


def _slope(x, samples) -> tuple[float, float]:
    """Slope and error; NaN where the draws leave the sign of a difference open, which too few of them do."""
    try:
        return bootstrap_slope(x, samples)
    except ValueError:
        return np.nan, np.nan


def _draw(ax, axis, fixed, x, samples, problem, alpha, label, index):
    line_x = np.geomspace(x[0], (REACH if np.isfinite(fixed) else 1.0) * x[-1], 25)
    line = _theory(problem, axis, line_x, fixed)
    plotting.draw_pair(ax, x, samples, line_x, line, rf"$\alpha_K$ = {alpha:g}: {label}", index)
    claim = 1.0 if np.isfinite(fixed) else alpha
    guide = 0.6 * line[-1] * (line_x / line_x[-1]) ** -claim
    ax.plot(line_x, guide, color=plotting.COLORS[index], lw=0.9, ls="--", label=f"slope $-${claim:g}")


def _measured(law, alpha, regime, axis, fixed, x, predicted, slope, error) -> list:
    """The exponent of theory at large size, and of training beside theory over the same sizes."""
    clean = rfm.power_law(*law, None)
    low, high = _theory(clean, axis, LARGE * np.exp([-STEP, STEP]), fixed)
    name = f"{regime}-limited in {SYMBOL[axis]}, alpha_K = {alpha:g}"
    closed = {} if regime == "variance" else {"closed": EXPONENT[axis](*law)}
    return [
        judge(f"{name}, theory at {LARGE:g}", -np.log(high / low) / (2.0 * STEP),
                 claimed=1.0 if regime == "variance" else alpha, **closed),
        judge(f"{name}, trained at {x[0]:g} to {x[-1]:g}, beside theory there", -slope,
                 closed=-log_slope(x, predicted), error=error),
    ]  # fmt: skip


def _mirrored(problem, sizes, held, alpha):
    """Flat teacher: N and P exchanged leave the risk as it is, at every pair of sizes."""
    args = {"optimizer": END}
    pairs = [
        [theory.predict(problem, num_features=n, num_samples=p, **args).risk[0] for n, p in ((held, x), (x, held))]
        for x in sizes
    ]  # fmt: skip
    gap = max(abs(one / other - 1.0) for one, other in pairs)
    return condition(
        f"data and model size exchanged, alpha_K = {alpha:g}",
        "the same law",
        f"theory differs by {gap:.0e}",
        gap < 1e-9,
    )


main = Script(
    name="S3-RF",
    title="Four scaling regimes of random features",
    source="Bahri, Dyer, Kaplan, Lee and Sharma 2021 (arXiv 2102.06701), four regimes of the random-feature model",
    claim="limited by variance the loss tends to its limit as 1/P and 1/N, by resolution it falls as P^-alpha_K and "
    "N^-alpha_K",
    show=show,
    full=dict(
        kernels=(0.5, 1.0), held=32, seeds=64, modes=4000,
        sizes={"variance": (64, 128, 256), "resolution": (16, 32, 64, 128)},
    ),
    smoke=dict(
        kernels=(0.5,), held=16, seeds=32, modes=600, sizes={"variance": (24, 32), "resolution": (16, 32)},
    ),
    limits="Gaussian features of a power-law spectrum in place of random networks on images; for those see row S3-pool",
)  # fmt: skip
