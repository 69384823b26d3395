"""Laws of features that are trained: risk in time, and in compute counted in the three ways of `best_sizes`."""

from functools import lru_cache, partial

import numpy as np
from scipy.interpolate import make_interp_spline

import rfm
from experiments.compare.best_sizes import Grid, predicted
from experiments.compare.laws import LATE, LEAST_RISK, Law, risk_in_time
from theory import exponents

SOURCE = "arXiv 2409.17858"
COUNTS = {"N t": "N t", "N^2 t": "N^2 t", "N tau": "N int m dt"}  # of compute, as `rich_frontier_exponents` names them
FIRST, FAR = 1e2, 1e14  # compute from which laws are drawn, and at which they are measured at most
SIZES, TIMES = (3.0, 1e9, 56), (1e-2, 1e9, 160)  # at which the theory is evaluated


def rich_laws(a: float, b: float, richness: float) -> list[Law]:
    """Return the laws in time and in compute of features that are trained, for a richness > 0 away from a = 1 + b."""
    laws = [rich_time(a, b, richness)]
    for cost, words in COUNTS.items():
        _, closed = exponents.rich_frontier_exponents(a, b, cost=cost)
        claim = {"claim": closed, "source": SOURCE} if cost == "N t" and a - 1.0 < b else {}
        far = min(FAR, (10.0 * LEAST_RISK) ** (-1.0 / closed))
        laws.append(Law(
            f"compute rich {cost}", f"compute C = {words}, richness {richness:g}", "compute $C$", closed,
            partial(_best_risk, a, b, richness=richness, cost=cost), far, (FIRST, far), **claim,
        ))  # fmt: skip
    return laws


def rich_time(a: float, b: float, richness: float) -> Law:
    """Return the law in time of features that are trained, at N = P = infinity."""
    closed = exponents.rich_time_exponent(a, b)
    late = min(LATE, LEAST_RISK ** (-1.0 / closed))
    return Law(
        "time rich", f"time t, richness {richness:g}", "time $t$", closed,
        partial(risk_in_time, rfm.power_law(a, b, None), richness=richness), late, (1.0, late),
        closed, SOURCE, exponents.rich_time_amplitude(a, b, richness),
    )  # fmt: skip


@lru_cache
def _grid(a: float, b: float, richness: float) -> Grid:
    return predicted(a, b, np.geomspace(*SIZES), np.geomspace(*TIMES), richness=richness)


def _best_risk(a: float, b: float, compute: np.ndarray, *, richness: float, cost: str) -> np.ndarray:
    """Return the least risk over model size at every budget, (C,)."""
    return _grid(a, b, richness).best(cost, compute, join=partial(make_interp_spline, k=5), looks=(50,)).risk
