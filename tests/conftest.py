"""Settings of the whole test session: float64 throughout, figures without a display, one BLAS thread."""

import os

os.environ["MPLBACKEND"] = "Agg"
# before numpy loads: on a shared machine two threads that wait for each other made small products ten times slower
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import jax

jax.config.update("jax_enable_x64", True)
