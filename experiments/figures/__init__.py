"""Published figures and claims as scripts: `main(size="full" | "smoke")` of each runs one row and gives its verdict."""

import importlib

from experiments.rows import Script
from rfm import checks

# name of a row: the module that shows it
ROWS = {
    "S1-2a-c": "s1_2abc_model_size",
    "S1-2d-f": "s1_2def_data",
    "S2-net": "s2_net_clock",
    "S3-pool": "s3_pool_images",
    "S3-4d": "s3_4d_dimension",
    "S3-noise": "s3_noise_classes",
    "S3-net": "s3_net_variance",
}


def load(name: str) -> Script:
    """The script of a row. Raises ValueError for an unknown name."""
    checks.one_of("name", name, tuple(ROWS))
    return importlib.import_module(f"experiments.figures.{ROWS[name]}").main
