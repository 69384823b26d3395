"""S2, T4: a large model predicted from a small one trained longer, and the error of that rule."""

import numpy as np

from experiments.compare.comparison import agreement
from experiments.compare.statistics import log_slope, standard_error
from experiments.compare.verdicts import CONTRADICTED, REFINED, condition, judge
from experiments.output import plotting
from experiments.papers.boopathy2024 import scale_time as st
from experiments.papers.row import Script

GOOD = 0.1  # relative error of a prediction that counts as good
LATER = 6  # points of the large sizes where the error is a power law
CLOCK = np.geomspace(1.0, 1e5, 41)


def panel(ax, setting):
    """Error of the rule and of the theory against the clock, for trained models; of the rule for large ones."""
    small, big = setting.pair
    expected = st.rule_growth(setting.a, setting.b)
    clock = np.geomspace(1.0, (0.02 * st.LAW[0]) ** (1.0 / expected), 13)
    error = st.rule_error(setting.infinite, *st.LAW, clock)
    twice = st.rule_error(setting.infinite, *(2 * n for n in st.LAW), clock)
    growth, fall = log_slope(clock[LATER:], error[LATER:]), float(np.log2(error / twice)[LATER:].mean())
    found = st.cross_predict(setting.finite, setting.keys, setting.pair)
    mean, spread = found.big.mean(0), standard_error(found.big)
    by_rule, by_theory = np.abs(found.small.mean(0) / mean - 1.0), np.abs(found.big_theory / mean - 1.0)
    # of the ratio of two means
    unsure = found.small.mean(0) / mean * np.hypot(spread / mean, standard_error(found.small) / found.small.mean(0))
    rule, large, exact = (plotting.COLORS[i] for i in (1, 2, 0))
    ax.plot(CLOCK, st.rule_error(setting.finite, small, big, CLOCK), color=rule, lw=1.3)
    ax.errorbar(found.clock, by_rule, 2 * unsure, fmt="s", ms=4, color=rule, lw=0.9,
                label=f"rule, N = {small} to {big}")  # fmt: skip
    label = f"rule, {st.LAW[0]} to {st.LAW[1]}: slope {growth:.2f}"
    ax.plot(clock, error, color=large, lw=1.2, label=label)
    ax.plot(found.clock, by_theory, "o", ms=4, color=exact, label="theory, no training")
    ax.plot(found.clock, 2 * spread / mean, color="0.5", lw=1.0, ls=":", label="two standard errors of the large model")
    plotting.finish(ax, "clock $N t$", "relative error of the risk", "T4: a large model from a small one")
    ax.set_ylim(bottom=1e-5)
    table = [
        {"row": "T4", "clock": t, "risk": m, "stderr": s, "rule_error": r, "rule_stderr": u, "theory_error": e}
        for t, m, s, r, u, e in zip(found.clock, mean, spread, by_rule, unsure, by_theory, strict=True)
    ]
    late = by_rule - 2 * unsure > GOOD  # where it fails for sure
    good = found.clock[: int(np.argmax(late)) if late.any() else len(late)]
    told = f"to {GOOD:.0%} " + (f"until N t = {good[-1]:.3g}" if len(good) else "nowhere")
    told += f", off by up to {by_rule.max():.0%} later; theory by at most {by_theory.max():.1%}"
    samples = np.concatenate([found.small, found.big], 1)
    known, size = np.concatenate([found.small_theory, found.big_theory]), np.repeat(setting.pair, len(found.clock))
    return [
        condition("T4 prediction", f"N = {big} from N = {small}", told, bool(len(good)), REFINED, CONTRADICTED),
        judge("T4 error of the rule against N t, theory", growth, closed=expected),
        judge(f"T4 error of the rule against N at N = {st.LAW[0]:g}, theory", fall, closed=1.0),
        agreement(samples, known, size, "T4 theory = simulation"),
    ], table


main = Script(
    name="S2-T4",
    title="A large model predicted from a small one trained longer",
    source=st.SOURCE + "prediction of large models from small ones",
    claim="a model trained N' / N times longer predicts one N' / N times larger",
    show=st.shower(panel),
    full=dict(modes=10_000, seeds=16, pair=(st.SMALL, st.BIG)),
    smoke=dict(modes=500, seeds=4, pair=(32, 64)),
    limits="S2's networks on images are not trained here: random features only",
)
