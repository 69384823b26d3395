"""Published figures and claims as scripts: `main(size="full" | "smoke")` of each runs one row and gives its verdict."""

import importlib

from experiments.rows import Script
from rfm import checks

# name of a row: the module that shows it
ROWS = {
    "S1-2a-c": "s1_2abc_model_size",
    "S1-2d-f": "s1_2def_data",
    "S1-3": "s1_3_online",
    "S1-4": "s1_4_compute",
    "S1-5": "s1_5_data_reuse",
    "S1-6": "s1_6_ensembles",
    "S1-8": "s1_8_spectra",
    "S1-9": "s1_9_ensembles",
    "S1-10": "s1_10_early_stopping",
    "S1-11": "s1_11_plotted_bias",
    "S2-T1": "s2_t1_clock",
    "S2-T2": "s2_t2_floor",
    "S2-T3": "s2_t3_collapse",
    "S2-T4": "s2_t4_prediction",
    "S2-T5": "s2_t5_noise",
    "S2-T6": "s2_t6_algorithms",
    "S2-net": "s2_net_clock",
    "S3-RF": "s3_four_regimes",
    "S3-dual": "s3_duality",
    "S3-pool": "s3_pool_images",
    "S3-4d": "s3_4d_dimension",
    "S3-noise": "s3_noise_classes",
    "S3-net": "s3_net_variance",
    "S4": "s4_phases",
}


def load(name: str) -> Script:
    """The script of a row. Raises ValueError for an unknown name."""
    checks.one_of("name", name, tuple(ROWS))
    return importlib.import_module(f"experiments.figures.{ROWS[name]}").main
