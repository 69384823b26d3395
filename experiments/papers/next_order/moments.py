"""Moments of simulated draws with their standard errors: risks have a row a draw, (S, X)."""

import numpy as np


def std_of(risks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviation between draws, (X,), and its standard error from the fourth moment."""
    apart = risks - risks.mean(0)
    std, fourth = risks.std(0, ddof=1), (apart**4).mean(0)
    return std, np.sqrt(np.maximum(fourth / std**4 - 1.0, 0.0) / len(risks)) * std / 2


def correlation_with(risks: np.ndarray, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Correlation of all points with one of them, (X,), and its standard error."""
    apart = (risks - risks.mean(0)) / risks.std(0)
    both = apart * apart[:, index : index + 1]
    rho = both.mean(0)
    # to first order the estimate is the mean of both less rho/2 times the squares: the variances are estimated too
    influence = both - rho * (apart**2 + apart[:, index : index + 1] ** 2) / 2
    return rho, influence.std(0) / np.sqrt(len(risks))
