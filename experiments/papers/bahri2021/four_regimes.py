"""S3's four scaling regimes of random features: limited by variance or by resolution, in data or in model size."""

from functools import partial
from itertools import product

import jax
import numpy as np
from matplotlib.axes import Axes

import rfm
from experiments.compare.comparison import AXES, SYMBOLS, Comparison, with_size
from experiments.compare.equivalence import agreement
from experiments.compare.exponent import Exponent
from experiments.compare.laws import END, risk_at_end
from experiments.compare.statistics import log_derivative, log_slope
from experiments.compare.verdicts import Verdict, condition, judge
from experiments.output import plotting
from experiments.papers.row import Counts, Script, Shown, Values
from theory import exponents

REACH = 16  # times the largest size trained, to where a theory that tends to its slope is drawn
THEORY_SIZE = 1e6  # size at which theory alone measures an exponent
OTHER = {"samples": "features", "features": "samples"}
EXPONENT = {"samples": exponents.data_exponent, "features": exponents.model_exponent}
REGIMES = ("variance", "resolution")


def show(seed: int, *, kernels: Values, held: int, sizes: dict[str, Counts], seeds: int, modes: int) -> Shown:
    """Draw the loss at the end of training against data and model size: above its limit at a held size, and alone."""
    keys = jax.random.split(jax.random.key(seed), seeds)
    figure, axes = plotting.new_figure(2, 2)
    panels = dict(zip(product(REGIMES, OTHER), axes.flat, strict=True))
    verdicts, table = [], []
    for index, alpha in enumerate(kernels):
        law, pairs = exponents.from_kernel_exponent(alpha), []
        problem = rfm.power_law(*law, modes)
        for (regime, axis), ax in panels.items():
            fixed = held if regime == "variance" else np.inf
            claim, symbol = 1.0 if regime == "variance" else alpha, SYMBOLS[axis]
            pair = _compare(problem, axis, np.array(sizes[regime], float), fixed, keys)
            pairs.append(pair)
            name, here = f"{regime}-limited in {symbol}, alpha_K = {alpha:g}", f"{pair.x[0]:g} to {pair.x[-1]:g}"
            slope = _slope(pair, f"{name}, trained at {here}, beside theory there")
            label = rf"$\alpha_K$ = {alpha:g}: trained $-${slope.simulated:.3f} (theory there $-${slope.theory:.3f})"
            _draw(ax, pair, claim, label, index)
            large = -log_derivative(partial(_predict, rfm.power_law(*law, None), axis, fixed=fixed), THEORY_SIZE)
            closed = None if regime == "variance" else EXPONENT[axis](*law)
            verdicts.append(judge(f"{name}, theory at {THEORY_SIZE:g}", large, claimed=claim, closed=closed))
            verdicts.append(judge(slope.quantity, slope.simulated, closed=slope.theory, error=slope.stderr))
            columns = {"alpha_K": alpha, "regime": regime, "axis": symbol, "size": pair.x, "held": fixed}
            table += pair.rows(*columns, "loss", "stderr", "theory", **columns, loss=pair.mean)
        verdicts.append(agreement(pairs, f"simulation against theory, alpha_K = {alpha:g}"))
        verdicts.append(_mirrored(problem, sizes["variance"], held, alpha))
    for (regime, axis), ax in panels.items():
        variance, symbol, other = regime == "variance", SYMBOLS[axis], SYMBOLS[OTHER[axis]]
        ax.set_yscale("log")
        low, high = ax.get_ylim()
        ax.set_ylim((low, 12.0 * high) if variance else (0.2 * low, high))  # room for the legend
        title = f"{regime}-limited, " + (rf"${other} = {held}$" if variance else rf"${other} = \infty$")
        y_label = rf"risk $-$ risk at ${symbol} = \infty$" if variance else "risk"
        plotting.finish(ax, AXES[axis], y_label, title)
    return Shown(figure, table, tuple(verdicts))


def _compare(problem: rfm.Problem, axis: str, x: np.ndarray, fixed: float, keys: jax.Array) -> Comparison:
    """Risk along one axis, less that at infinite size where another is held: of the same draws, so noise cancels."""

    def risk(size: float) -> np.ndarray:
        sizes = with_size(axis, size, with_size(OTHER[axis], fixed))
        return rfm.simulate(problem, **sizes, optimizer=END, keys=keys).risk[:, 0]

    limit, reach = (risk(np.inf), REACH) if np.isfinite(fixed) else (0.0, 1.0)
    risks = np.stack([risk(int(size)) - limit for size in x], axis=1)
    line_x = np.geomspace(x[0], reach * x[-1], 25)
    predicted, line = (_predict(problem, axis, points, fixed) for points in (x, line_x))
    return Comparison(axis, x, risks, predicted, {SYMBOLS[OTHER[axis]]: fixed}, line_x=line_x, line=line)


def _predict(problem: rfm.Problem, axis: str, x: np.ndarray, fixed: float) -> np.ndarray:
    """Risk of `_compare` in closed form, (X,)."""
    risk = partial(risk_at_end, problem, axis=axis, held=with_size(OTHER[axis], fixed))
    return risk(x) - risk([np.inf]) if np.isfinite(fixed) else risk(x)


def _slope(pair: Comparison, quantity: str) -> Exponent:
    """The exponent; NaN where the draws leave the sign of a difference open, which too few of them do."""
    try:
        return pair.slope(quantity=quantity)
    except ValueError:
        return Exponent(quantity, theory=-log_slope(pair.x, pair.theory), simulated=np.nan, stderr=np.nan)


def _draw(ax: Axes, pair: Comparison, claim: float, label: str, index: int) -> None:
    """A comparison, and a line of the claimed slope below the end of its theory."""
    plotting.draw(ax, pair, index, label=label)
    x, y = pair.theory_line
    guide = 0.6 * y[-1] * (x / x[-1]) ** -claim
    ax.plot(x, guide, color=plotting.COLORS[index], lw=0.9, ls="--", label=f"slope $-${claim:g}")


def _mirrored(problem: rfm.Problem, sizes: Counts, held: int, alpha: float) -> Verdict:
    """Flat teacher: N and P exchanged leave the risk as it is, at every pair of sizes."""
    data, model = (risk_at_end(problem, sizes, axis, held=with_size(OTHER[axis], held)) for axis in OTHER)
    gap = np.max(np.abs(data / model - 1.0))
    quantity = f"data and model size exchanged, alpha_K = {alpha:g}"
    return condition(quantity, "the same law", f"theory differs by {gap:.0e}", bool(gap < 1e-9))


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
