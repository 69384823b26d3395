"""How far the simulator and the theory are from their floor: `python -m experiments.benchmarks.floor`.

The floor of a full-batch run is its matrix products at the matrix-product rate of the same run, plus one
eigendecomposition a seed, plus the random numbers at their own rate (told apart, since they are not linear algebra).
"""

import argparse
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp

import rfm
import theory


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1000, help="N = P (default: %(default)s)")
    parser.add_argument("--modes", type=int, default=10_000, help="M (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=16, help="draws (default: %(default)s)")
    args = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    n, m, seeds = args.size, args.modes, args.seeds

    a = jax.random.normal(jax.random.key(0), (n, n))
    gram = a @ a.T
    # arrays go in as arguments: constants would be folded at compile time
    product = best_of(jax.jit(lambda x: x @ x), 5, a)
    eigen = best_of(jax.jit(jnp.linalg.eigh), 3, gram)
    normals = best_of(jax.jit(lambda key: jax.random.normal(key, (n, n))), 5, jax.random.key(1))

    num_times = 60
    problem = rfm.power_law(1.8, 1.5, m, 0.01)
    setting = {"num_features": n, "num_samples": n, "optimizer": rfm.GradientFlow()}
    setting["times"] = rfm.log_times(0.1, 1e6, num_times)
    keys = jax.random.split(jax.random.key(2), seeds)
    run = best_of(lambda: rfm.simulate(problem, **setting, keys=keys).risk, 2)

    # in units of one n x n x n product: Psi F^T over m modes, the gram matrix, weights, their outputs, and the risk
    products = m / n + 1 + num_times / n * (2 + m / n)
    linear_algebra = seeds * (products * product + eigen)
    random = seeds * 3 * m / n * normals  # F twice, Psi once
    print(f"full batch, N = P = {n}, M = {m}, {seeds} seeds, {num_times} times to 1e6")
    print(f"  simulate              {run:8.3f} s")
    print(f"  floor, linear algebra {linear_algebra:8.3f} s   ratio {run / linear_algebra:.2f}")
    print(f"  with random numbers   {linear_algebra + random:8.3f} s   ratio {run / (linear_algebra + random):.2f}")
    print(f"  measured: product {product * 1e3:.1f} ms, eigendecomposition {eigen * 1e3:.1f} ms, 10^6 normals "
          f"{normals * 1e3 * 1e6 / n**2:.1f} ms")  # fmt: skip

    curve = {"num_features": 256, "num_samples": 512, "optimizer": rfm.GradientFlow()}
    curve["times"] = rfm.log_times(0.1, 1e8, 100)
    print("theory, 100 times to 1e8, risk and training loss")
    for modes in (10**3, 10**9, None):
        spent = best_of(lambda p: theory.predict(p, **curve).risk, 10, rfm.power_law(1.8, 1.5, modes, 0.01))
        print(f"  M = {modes or 'infinite':<10} {spent * 1e3:8.1f} ms")


def best_of(function: Callable, repeats: int, *args) -> float:
    """Shortest wall time in seconds of `repeats` calls, after one to compile."""
    jax.block_until_ready(function(*args))
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(function(*args))
        spent.append(time.perf_counter() - start)
    return min(spent)


if __name__ == "__main__":
    main()
