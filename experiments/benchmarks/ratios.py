"""The table: every part beside plain numpy, scikit-learn and its floor, as ratios measured in one run."""

import importlib.util
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

import rfm
import theory
from experiments.benchmarks import plain
from experiments.benchmarks.timing import Rates, best_of, fresh
from rfm.arguments import Sizes
from rfm.optimizers import Optimizer
from rfm.sweeps import work as sweep_work
from theory.contour import NODES
from theory.evaluation import problem_modes
from theory.fixed_point import HALVINGS, NEWTON_STEPS, POLISH_STEPS

PEAK_SCRIPT = """
import jax, resource, sys
import numpy as np
import rfm
rfm.simulate(rfm.power_law(1.8, 1.5, {modes}, 0.01), num_features={size}, num_samples={size}, times=[1.0, 1e3],
             optimizer=rfm.GradientFlow(), keys=jax.random.split(jax.random.key(0), {seeds}))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""
FIRST_CURVE = """
import time
import rfm, theory
start = time.process_time()
theory.predict(rfm.power_law(1.8, 1.5, 10**9, 0.01), num_features=256, num_samples=512, optimizer=rfm.GradientFlow(),
               times=rfm.log_times(0.1, 1e8, 100))
print(time.process_time() - start)
"""
IMPORTS = """
import time
start = time.perf_counter()
import jax
middle = time.perf_counter()
import rfm
print((time.perf_counter() - start) / (middle - start))
"""
Row = dict[str, str | float]


def rows(rates: Rates, *, quick: bool) -> Iterator[Row]:
    """Measure every part: what, bar, seconds of ours, and times as long as ours that others take, the floor too."""
    yield from theory_rows(rates, quick=quick)
    yield from simulator_rows(rates, quick=quick)
    yield from sweep_rows(quick=quick)
    yield {"what": "import rfm / import jax", "bar": "1.5", "ratio": min(float(fresh(IMPORTS)) for _ in range(3))}
    modes = 10**5 if quick else 10**6
    peak = float(fresh(PEAK_SCRIPT.format(modes=modes, size=512, seeds=2)))
    yield {"what": f"peak memory, N = P = 512, M = {modes:.0e}, GiB", "bar": "4", "ratio": peak}


def theory_rows(rates: Rates, *, quick: bool) -> Iterator[Row]:
    """Measure a curve, a static point, a cube."""
    times = rfm.log_times(0.1, 1e8, 100)
    problem = rfm.power_law(1.8, 1.5, 10**9, 0.01)

    def risk(p: ArrayLike) -> ArrayLike:
        return theory.predict(problem, num_features=256, num_samples=p, optimizer=rfm.GradientFlow(), times=times).risk

    known, curve = best_of(risk, 20, 512.0), best_of(jax.jit(risk), 20, jnp.asarray(512.0))
    kept = len(problem_modes(problem, 40.0).eigenvalues)
    # two real products over the modes, two of the filter with the nodes
    floor = rates.multiply_add * (2 * (2 * NODES) ** 2 * kept + 2 * len(times) * (2 * NODES) ** 2)
    some, small = times[::10], plain.power_law(1000)
    by_numpy_curve = best_of(lambda: plain.theory_curve(small, 256, 512, some), 2) * len(times) / len(some)
    first = min(float(fresh(FIRST_CURVE)) for _ in range(3))
    what = "theory curve, 100 times to 1e8, M = 1e9 (numpy: M = 1e3)"
    for how, bar, seconds in (("first of a process", "100 ms", first), ("known numbers", "50 ms", known),
                              ("compiled", "10 ms", curve)):  # fmt: skip
        yield {"what": f"{what}, {how}", "bar": bar, "seconds": seconds, "numpy": by_numpy_curve / seconds,
               "floor": floor / seconds}  # fmt: skip

    count, modes = 1000, 10**4
    rng = np.random.default_rng(0)
    n, p = (jnp.asarray(rng.uniform(10, 1000, count)) for _ in range(2))
    ridge, problem = jnp.asarray(10 ** rng.uniform(-6, 0, count)), rfm.power_law(1.8, 1.5, modes, 0.01)

    def static(n: jax.Array, p: jax.Array, ridge: jax.Array) -> jax.Array:
        return theory.predict(problem, num_features=n, num_samples=p, optimizer=rfm.Ridge(ridge)).risk[0]

    grid = best_of(jax.jit(jax.vmap(static)), 10, n, p, ridge) / count
    kept = len(problem_modes(problem, 40.0).eigenvalues)
    floor = rates.division * kept * (HALVINGS + NEWTON_STEPS + POLISH_STEPS + 2)
    law, first = plain.power_law(modes), list(zip(n[:20], p[:20], ridge[:20], strict=True))
    by_numpy = best_of(lambda: [plain.static_risk(law, *point) for point in first], 2) / len(first)
    yield {"what": f"static risk, vmapped over {count} (N, P, ridge), M = 1e4, a point", "bar": "0.1 ms",
           "seconds": grid, "numpy": by_numpy / grid, "floor": floor / grid}  # fmt: skip

    side = 10 if quick else 30
    axis = np.unique(np.geomspace(30, 1000, side).round())
    problem = rfm.power_law(1.8, 1.5, modes, 0.01)
    cube = {"num_features": axis, "num_samples": axis}
    spent = best_of(lambda: theory.sweep(problem, cube, optimizer=rfm.GradientFlow(), times=times).risk, 2)
    yield {"what": f"theory.sweep, {len(axis)} x {len(axis)} x 100 (N, P, t)", "bar": "10 s", "seconds": spent,
           "numpy": len(axis) ** 2 * by_numpy_curve / spent,
           "floor": len(axis) ** 2 * curve / spent}  # fmt: skip


def simulator_rows(rates: Rates, *, quick: bool) -> Iterator[Row]:
    """Measure full batches solved and stepped, one pass, ridge; and what more seeds cost."""
    n, m, seeds, times = (300 if quick else 1000), 10_000, (4 if quick else 16), rfm.log_times(0.1, 1e6, 60)
    rng, keys = np.random.default_rng(0), jax.random.split(jax.random.key(2), 32)
    law, problem = plain.power_law(m), rfm.power_law(1.8, 1.5, m, 0.01)

    def simulate(optimizer: Optimizer, times: np.ndarray | None, seeds: int, *, n: int = n, p: float = n) -> float:
        sizes = Sizes(num_features=n, num_samples=p)
        train = partial(rfm.simulate, problem, optimizer=optimizer, times=times, keys=keys[:seeds], **sizes)
        return best_of(lambda: train().risk, 2) / seeds

    # in units of an n x n x n product: Psi F^T over m modes, the gram matrix, weights, their outputs, and the risk
    products = m / n + 1 + len(times) / n * (2 + m / n)
    floor = products * n**3 * rates.multiply_add + rates.eigen * (n / 1000) ** 3
    random = 3 * m * n * rates.normal  # F twice, Psi once: drawn separately, no linear algebra
    ours = simulate(rfm.GradientFlow(), times, seeds)
    yield {"what": f"gradient flow, N = P = {n}, M = 1e4, a seed", "bar": "1.5 floors", "seconds": ours,
           "numpy": best_of(lambda: plain.full_batch(law, plain.draw(rng, law, n, n), times), 1) / ours,
           "floor": floor / ours, "floor with random numbers": (floor + random) / ours}  # fmt: skip
    steps = 1000
    ours = simulate(rfm.GradientDescent(0.5), np.array([1.0, steps]), 4)
    moves = 2 * steps * n**2 * rates.multiply_add * 8  # a product with a vector moves what it multiplies
    yield {"what": f"gradient descent, {steps} steps, N = P = {n}, a seed", "bar": "", "seconds": ours,
           "numpy": best_of(lambda: plain.descent(law, plain.draw(rng, law, n, n), steps, 0.5), 1) / ours,
           "floor": (m * n**2 * rates.multiply_add + random + moves) / ours}  # fmt: skip
    ours = simulate(rfm.Ridge(1e-3), None, 4)
    row = {"what": f"ridge regression, N = P = {n}, a seed", "bar": "", "seconds": ours}
    if importlib.util.find_spec("sklearn"):
        row["scikit-learn"] = best_of(lambda: plain.sklearn_ridge(law, plain.draw(rng, law, n, n), 1e-3), 1) / ours
    yield row
    size, steps = (200, 1000) if quick else (500, 10_000)
    optimizer, every = rfm.SGD(0.2, 1), rfm.log_times(1, steps, 50, integer=True)
    ours = simulate(optimizer, every, 16, n=size, p=np.inf)
    by_numpy = best_of(lambda: plain.one_pass(law._replace(noise_var=0.1), rng, size, steps // 20, 0.2), 1) * 20
    floor = (steps * (size + 1) + size * m) * rates.normal + rates.eigen * (size / 1000) ** 3
    yield {"what": f"one-pass SGD, {steps} steps, N = {size}, M = 1e4, a seed", "bar": "", "seconds": ours,
           "numpy": by_numpy / ours, "floor": floor / ours}  # fmt: skip
    single, many = (simulate(rfm.GradientFlow(), times, s, n=300, p=300) for s in (1, 32))
    yield {"what": "32 seeds over 32 times one seed", "bar": "1.1", "ratio": many / single}


def sweep_rows(*, quick: bool) -> Iterator[Row]:
    """Measure what a sweep costs beyond its compiled calls, in memory and stored."""
    steps = 4 if quick else 10
    grid = {"num_features": [32, 64], "num_samples": [48, 96], "lr": np.linspace(0.1, 0.5, steps),
            "noise_var": [0, 0.01, 0.02, 0.05, 0.1]}  # fmt: skip
    problem, keys = rfm.power_law(1.8, 1.5, 2000, 0.05), jax.random.split(jax.random.key(0), 16)
    arguments = {"optimizer": rfm.GradientDescent(0.5), "times": rfm.log_times(1, 300, 30, integer=True)}
    calls, run_batch = [], sweep_work.run_batch
    sweep_work.run_batch = lambda *args: calls.append(args) or run_batch(*args)
    try:
        rfm.sweep(problem, grid, keys, **arguments)
    finally:
        sweep_work.run_batch = run_batch

    def bare() -> list:
        with jax.enable_x64(True):
            return [jax.block_until_ready(run_batch(*args)) for args in calls]

    def stored() -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            return rfm.sweep(problem, grid, keys, out=Path(folder) / "sweep.zarr", **arguments).risk

    ways = {"bare": bare, "in memory": lambda: rfm.sweep(problem, grid, keys, **arguments).risk, "stored": stored}
    spent = dict.fromkeys(ways, np.inf)
    for _ in range(1 if quick else 3):  # by turns: the machine changes its pace
        spent = {name: min(spent[name], best_of(function, 1)) for name, function in ways.items()}
    for name in ("in memory", "stored"):
        yield {"what": f"sweep of {20 * steps} x 16 over its compiled calls, {name}", "bar": "1.1",
               "seconds": spent[name], "ratio": spent[name] / spent["bare"]}  # fmt: skip
