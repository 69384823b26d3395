"""S2, T4: a large model predicted from a small one trained longer, and the error of that rule."""

import numpy as np
from matplotlib.axes import Axes

import rfm
from experiments.compare.comparison import Comparison
from experiments.compare.equivalence import agreement
from experiments.compare.keys import fold_keys
from experiments.compare.statistics import log_slope
from experiments.compare.verdicts import CONTRADICTED, REFINED, condition, judge
from experiments.output import plotting
from experiments.papers.boopathy2024 import scale_time as st

GOOD = 0.1  # relative error of a prediction that counts as good
LATER = 6  # points of the large sizes where the error is a power law
THEORY_CLOCK, TRAINED_CLOCK = np.geomspace(1.0, 1e5, 41), np.geomspace(1.0, 1e5, 11)  # of theory, and of trained models


def panel(ax: Axes, setting: st.Setting) -> st.Part:
    """Draw errors of the rule and of the theory against the clock, for trained models; of the rule for large ones."""
    growth = st.rule_growth(setting.a, setting.b)
    clock = np.geomspace(1.0, (0.02 * st.LAW[0]) ** (1.0 / growth), 13)
    (low, high), (n, larger) = st.LAW, setting.pair
    error = st.rule_error(setting.infinite, low, high, clock)
    twice = st.rule_error(setting.infinite, 2 * low, 2 * high, clock)
    measured, fall = log_slope(clock[LATER:], error[LATER:]), float(np.log2(error / twice)[LATER:].mean())
    big, small = _train(setting, larger), _train(setting, n)
    ratio = small.mean / big.mean
    by_rule, by_theory = np.abs(ratio - 1.0), np.abs(big.theory / big.mean - 1.0)
    unsure = ratio * np.hypot(big.stderr / big.mean, small.stderr / small.mean)  # of the ratio of two means
    exact, rule, large = plotting.COLORS[:3]
    ax.plot(THEORY_CLOCK, st.rule_error(setting.finite, n, larger, THEORY_CLOCK), color=rule, lw=1.3)
    plotting.draw_points(ax, TRAINED_CLOCK, by_rule, unsure, 1, label=f"rule, N = {n} to {larger}")
    ax.plot(clock, error, color=large, lw=1.2, label=f"rule, {low} to {high}: slope {measured:.2f}")
    ax.plot(TRAINED_CLOCK, by_theory, "o", ms=4, color=exact, label="theory, no training")
    label = "two standard errors of the large model"
    ax.plot(TRAINED_CLOCK, 2 * big.stderr / big.mean, color="0.5", lw=1.0, ls=":", label=label)
    plotting.finish(ax, "clock $N t$", "relative error of the risk", "a large model predicted by a small one")
    ax.set_ylim(bottom=1e-5)
    late = by_rule - 2 * unsure > GOOD  # where it fails for sure
    good = TRAINED_CLOCK[: int(np.argmax(late)) if late.any() else len(late)]
    text = f"to {GOOD:.0%} " + (f"until N t = {good[-1]:.3g}" if len(good) else "nowhere")
    text += f", off by up to {by_rule.max():.0%} later; theory by at most {by_theory.max():.1%}"
    verdicts = [
        condition("prediction", f"N = {larger} from N = {n}", text, bool(len(good)), yes=REFINED, no=CONTRADICTED),
        judge("error of the rule against N t, theory", measured, closed=growth),
        judge(f"error of the rule against N at N = {low:g}, theory", fall, closed=1.0),
        agreement([small, big], "prediction: simulation against theory"),
    ]
    columns = ("row", "clock", "risk", "stderr", "rule_error", "rule_stderr", "theory_error")
    table = big.rows(*columns, row="prediction", rule_error=by_rule, rule_stderr=unsure, theory_error=by_theory)
    return st.Part(verdicts, table)


def _train(setting: st.Setting, n: int) -> Comparison:
    """One size against the clock; by S2's rule all sizes are the same."""
    args, keys = st.by_clock(n, np.inf, TRAINED_CLOCK), fold_keys(setting.keys, n)
    risks = rfm.simulate(setting.finite, **args, keys=keys).risk
    return Comparison("clock", TRAINED_CLOCK, risks, st.risk_by_clock(setting.finite, n, clock=TRAINED_CLOCK), {"N": n})


main = st.script(
    name="S2-T4",
    title="A large model predicted from a small one trained longer",
    shown="prediction of large models from small ones",
    claim="a model trained N' / N times longer predicts one N' / N times larger",
    panels=(panel,),
    full=dict(modes=10_000, seeds=16, pair=(st.SMALL, st.BIG)),
    smoke=dict(modes=500, seeds=4, pair=(32, 64)),
)
