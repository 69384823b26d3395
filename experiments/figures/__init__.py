"""Published figures and claims as scripts: `main(size="full" | "smoke")` of each runs one row and gives its verdict."""

import importlib

from experiments.rows import Script
from rfm import checks

# name of a row: the module that shows it
ROWS = {
    "S1-2a-c": "s1_2abc_model_size",
    "S1-2d-f": "s1_2def_data",
    "S2-T1": "s2_t1_clock",
    "S2-T2": "s2_t2_floor",
    "S2-T3": "s2_t3_collapse",
    "S2-T4": "s2_t4_prediction",
    "S2-T5": "s2_t5_noise",
    "S2-T6": "s2_t6_algorithms",
    "S4": "s4_phases",
}


def load(name: str) -> Script:
    """The script of a row. Raises ValueError for an unknown name."""
    checks.one_of("name", name, tuple(ROWS))
    return importlib.import_module(f"experiments.figures.{ROWS[name]}").main
