"""Published figures and claims as scripts: `main(size="full" | "smoke")` of each runs one row and gives its verdict."""

import importlib

from experiments.papers.row import Script
from rfm import checks

# the module that shows a row, by the name of the row
ROW_MODULES = {
    "S1-2a-c": "bordelon2024.figure2_model_size",
    "S1-2d-f": "bordelon2024.figure2_data",
    "S1-3": "bordelon2024.figure3_online",
    "S1-4": "bordelon2024.figure4_compute",
    "S1-5": "bordelon2024.figure5_data_reuse",
    "S1-6": "bordelon2024.figure6_ensembles",
    "S1-8": "bordelon2024.figure8_spectra",
    "S1-9": "bordelon2024.figure9_ensembles",
    "S1-10": "bordelon2024.figure10_early_stopping",
    "S1-11": "bordelon2024.figure11_plotted_bias",
    "S2-T1": "boopathy2024.clock",
    "S2-T2": "boopathy2024.floor",
    "S2-T3": "boopathy2024.collapse",
    "S2-T4": "boopathy2024.prediction",
    "S2-T5": "boopathy2024.noise",
    "S2-T6": "boopathy2024.algorithms",
    "S2-net": "boopathy2024.network_clock",
    "S3-RF": "bahri2021.four_regimes",
    "S3-dual": "bahri2021.duality",
    "S3-pool": "bahri2021.pooled_images",
    "S3-4d": "bahri2021.dimension",
    "S3-noise": "bahri2021.noise_and_classes",
    "S3-net": "bahri2021.network_variance",
    "S4": "paquette2024.phases_of_sgd",
    "S5-gap": "next_order.gap",
    "S5-std": "next_order.std",
    "S5-seeds": "next_order.seeds",
    "S6": "li2026.best_schedules",
    "S7": "li2025.functional_laws",
    "S8": "yan2025.repeats",
    "S9": "ferbach2025.dana_exponents",
    "S10": "smith2018.annealing",
    "S11": "two_points.left_out_rows",
    "S12": "two_points.covariate_shift",
    "S13": "two_points.weak_to_strong",
    "S14": "two_points.generations",
    "S15": "two_points.domain_shares",
    "FL-1": "feature_learning.exponents_in_time",
    "FL-2": "feature_learning.easy_tasks",
    "FL-3": "feature_learning.collapse",
    "FL-4": "feature_learning.same_floors",
    "FL-5": "feature_learning.compute",
    "FL-6": "feature_learning.other_clock",
    "FL-7": "feature_learning.batches",
    "FL-8": "feature_learning.weight_decay",
    "FL-9": "feature_learning.sharpness",
    "FL-10": "feature_learning.tuned_steps",
}


def load(name: str) -> Script:
    """Return the script of a row.

    Raises:
        ValueError: The name is unknown.
    """
    checks.one_of("name", name, tuple(ROW_MODULES))
    return importlib.import_module(f"experiments.papers.{ROW_MODULES[name]}").main
