"""The random-feature linear model: problem statement, training algorithms, simulation.

A `Problem` states a spectrum, a target and label noise; an algorithm such as `GradientDescent` states how a model is
trained; `simulate` trains it on random draws and `exact` solves the same draws. `theory.predict` takes the same
arguments and gives the closed form. The convention of risk is stated in `rfm.problem`.

Example:
    >>> import jax, rfm
    >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100, noise_var=0.01)
    >>> args = dict(num_features=16, num_samples=32, optimizer=rfm.GradientFlow(), times=rfm.log_times(1.0, 100.0, 3))
    >>> rfm.simulate(problem, **args, keys=jax.random.split(jax.random.key(0), 2)).mean().round(3).tolist()
    [0.706, 0.442, 0.476]
"""

from rfm.compilations import cache_compilations
from rfm.curve import Curve, log_times
from rfm.data import datasets as datasets
from rfm.data import files as files
from rfm.data import from_data as from_data
from rfm.data.correlated import correlated_rows
from rfm.data.domains import from_domains
from rfm.data.from_data import from_features, from_inputs, from_kernel
from rfm.data.left_out import estimated_stopping, estimated_test_loss
from rfm.engine.exact_solution import exact
from rfm.engine.learned_modes import coefficients
from rfm.engine.simulation import simulate
from rfm.networks import features as network_features  # noqa: F401
from rfm.optimizers import DANA, SGD, GradientDescent, GradientFlow, HeavyBall, Nesterov, Optax, Preconditioned, Ridge
from rfm.own_spectrum import from_spectrum
from rfm.problem import Problem, power_law, white
from rfm.sgd import TailAverage
from rfm.sweeps.result import Sweep
from rfm.sweeps.sweeping import sweep

__version__ = "0.1.0"

__all__ = [
    "DANA",
    "SGD",
    "Curve",
    "GradientDescent",
    "GradientFlow",
    "HeavyBall",
    "Nesterov",
    "Optax",
    "Preconditioned",
    "Problem",
    "Ridge",
    "Sweep",
    "TailAverage",
    "cache_compilations",
    "coefficients",
    "correlated_rows",
    "estimated_stopping",
    "estimated_test_loss",
    "exact",
    "from_domains",
    "from_features",
    "from_inputs",
    "from_kernel",
    "from_spectrum",
    "log_times",
    "power_law",
    "simulate",
    "sweep",
    "white",
]
