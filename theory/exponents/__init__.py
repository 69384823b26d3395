"""Closed-form exponents and amplitudes of the power-law problem lambda_k = k^-b, lambda_k w_k^2 = k^-a.

`theory.exponents.laws` derives them, `theory.exponents.phases` those of one-pass SGD; `theory.exponents.conventions`
has the symbols of other papers and, in CLAIMS, what a paper states differently.

Sources: S1 Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), S3 Bahri et al. 2021 (arXiv 2102.06701),
S4 Paquette et al. 2024 (arXiv 2405.15074).
"""

from theory.exponents.conventions import (
    CLAIMS,
    Claim,
    PowerLaw,
    from_alpha_beta,
    from_kernel_exponent,
    from_source_capacity,
    to_alpha_beta,
)
from theory.exponents.laws import (
    data_amplitude,
    data_exponent,
    duality_ratio,
    early_data_exponents,
    early_model_exponents,
    ensemble_amplitude,
    ensemble_exponent,
    frontier_balance,
    frontier_exponents,
    model_amplitude,
    model_exponent,
    noise_exponents,
    noisy_data_exponents,
    preconditioned_frontier_exponents,
    preconditioned_time_amplitude,
    preconditioned_time_exponent,
    sgd_noise_exponent,
    time_amplitude,
    time_exponent,
)
from theory.exponents.phases import Phase, phase
from theory.exponents.rich import rich_frontier_exponents, rich_time_amplitude, rich_time_exponent

__all__ = [
    "CLAIMS",
    "Claim",
    "Phase",
    "PowerLaw",
    "data_amplitude",
    "data_exponent",
    "duality_ratio",
    "early_data_exponents",
    "early_model_exponents",
    "ensemble_amplitude",
    "ensemble_exponent",
    "from_alpha_beta",
    "from_kernel_exponent",
    "from_source_capacity",
    "frontier_balance",
    "frontier_exponents",
    "model_amplitude",
    "model_exponent",
    "noise_exponents",
    "noisy_data_exponents",
    "phase",
    "preconditioned_frontier_exponents",
    "preconditioned_time_amplitude",
    "preconditioned_time_exponent",
    "rich_frontier_exponents",
    "rich_time_amplitude",
    "rich_time_exponent",
    "sgd_noise_exponent",
    "time_amplitude",
    "time_exponent",
    "to_alpha_beta",
]
