"""Closed-form theory of the random-feature model at finite model size, data and time; never sees a random number.

| symbol | name in code | meaning | equation |
|---|---|---|---|
| lambda_k, w_k | eigenvalues, target | spectrum and target | lambda_k w_k^2 is the power of a mode |
| N, P, sigma^2 | num_features, num_samples, noise_var | model size, data, label noise | inv_n = 1/N, inv_p = 1/P |
| z, s = -z | curvature | eigenvalue of A = F^T F Psi^T Psi / P; its resolvent variable | |
| kappa(s) | kappa | effective ridge | s = kappa (1 - df1/N)(1 - df1/P) |
| df1, df2 | df1, df2 | degrees of freedom | sum lambda^j/(lambda + kappa)^j |
| R1, R3 | data, features | response of data, of features | 1 - df1/P, 1 - df1/N |
| t1, T1, T2 | t1, big_t1, big_t2 | two-point sums | see `equivalent.two_point` |
| E(s, s') | risk + noise_var | transform of the risk | see `equivalent.one_model` |
| r_t(z) | response | filter of a training algorithm | see `filters` |
| rho_k(z) | modes | density of the rates at which mode k is learned | see `density` |
| w | nodes | curvature mapped to the stable half plane | see `contour` |
"""

from theory._chains import Generations, generations, student
from theory._correction import correction
from theory._domains import BestShares, DomainCurves, best_shares, domains
from theory._learned import learned
from theory._modes import ModeCurves, modes, shifted
from theory._predict import Decomposition, decompose, largest_curvature, predict
from theory._scatter import Scatter, scatter, seeds_needed
from theory._sweep import sweep
from theory.optimal import frontier
from theory.reuse import BestEpochs, EpochsWorth, best_epochs, epochs_worth
from theory.scheduled import Frontier
from theory.schedules import BestSchedule, Family, best_schedule
from theory.stopping import BestRidge, Stopping, best_ridge, best_stopping

__all__ = [
    "BestEpochs",
    "BestRidge",
    "BestSchedule",
    "BestShares",
    "Decomposition",
    "DomainCurves",
    "EpochsWorth",
    "Family",
    "Frontier",
    "Generations",
    "ModeCurves",
    "Scatter",
    "Stopping",
    "best_epochs",
    "best_ridge",
    "best_schedule",
    "best_shares",
    "best_stopping",
    "correction",
    "decompose",
    "domains",
    "epochs_worth",
    "frontier",
    "generations",
    "largest_curvature",
    "learned",
    "modes",
    "predict",
    "scatter",
    "seeds_needed",
    "shifted",
    "student",
    "sweep",
]
