"""One-pass SGD beside plain numpy and beside its floor: `python -m experiments.benchmarks.one_pass`.

The simulator's floor is its random numbers and one eigendecomposition a seed; everything else is a few vectors a step.
Cold is a fresh process from after the imports to the result, compilation included.
"""

import argparse
import subprocess
import sys
import time

import jax
import numpy as np

import rfm
import theory
from experiments.benchmarks.floor import best_of

COLD = """
import time
import jax, numpy as np, rfm
start = time.perf_counter()
rfm.simulate(rfm.power_law(1.8, 1.5, {modes}, 0.1), num_features={size}, num_samples=np.inf, optimizer=rfm.SGD(0.2, 1),
             times=rfm.log_times(1, {steps}, 50, integer=True), keys=jax.random.split(jax.random.key(0), {seeds}))
print(time.perf_counter() - start)
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=500, help="N (default: %(default)s)")
    parser.add_argument("--modes", type=int, default=2000, help="M (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=10_000, help="T (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=16, help="draws (default: %(default)s)")
    args = parser.parse_args()
    n, m, steps, seeds = args.size, args.modes, args.steps, args.seeds
    problem = rfm.power_law(1.8, 1.5, m, 0.1)
    setting = {"num_features": n, "num_samples": np.inf, "optimizer": rfm.SGD(0.2, 1)}
    setting["times"] = rfm.log_times(1, steps, 50, integer=True)
    keys = jax.random.split(jax.random.key(0), seeds)

    cold = min(float(_python(COLD.format(**vars(args)))) for _ in range(2))
    warm = best_of(lambda: rfm.simulate(problem, **setting, keys=keys).risk, 3)
    expected = best_of(lambda: rfm.exact(problem, **setting, keys=keys).risk, 3)
    curve = best_of(lambda: theory.predict(problem, **setting).risk, 10)
    by_modes, by_directions = _plain_numpy(n, m, steps)

    million = jax.jit(lambda key: jax.random.normal(key, (1000, 1000), "float32"))
    normals = best_of(million, 5, jax.random.key(1)) / 1e6
    gram = np.cov(np.random.default_rng(0).standard_normal((n, 2 * n)))
    with jax.enable_x64(True):
        eigen = best_of(jax.jit(jax.numpy.linalg.eigh), 3, gram)
    floor = seeds * (steps * (n + 1) * normals + n * m * normals + eigen)

    print(f"one-pass SGD, N = {n}, M = {m}, B = 1, {steps} steps")
    print(f"  simulate, {seeds} seeds, cold        {cold:8.2f} s")
    print(f"  simulate, {seeds} seeds, warm        {warm:8.2f} s   {warm / floor:.2f} of its floor, {floor:.2f} s")
    print(f"  exact expectation, {seeds} draws     {expected:8.2f} s")
    print("  numpy, one seed; times as long as one of ours")
    print(f"    sampling all modes           {by_modes:8.2f} s   {seeds * by_modes / warm:.0f}")
    print(f"    in the N eigendirections     {by_directions:8.2f} s   {seeds * by_directions / warm:.1f}")
    print(f"  theory curve, {len(setting['times'])} times          {curve * 1e3:8.1f} ms")
    late = dict(setting, times=np.unique(np.geomspace(1, 1e9, 50).round()))
    print(f"  theory curve to 1e9 steps      {best_of(lambda: theory.predict(problem, **late).risk, 10) * 1e3:8.1f} ms")


def _python(script: str) -> str:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout


def _plain_numpy(n: int, m: int, steps: int) -> tuple[float, float]:
    """Seconds of one seed, a sample of M modes a step; and in the N eigendirections of the features' covariance."""
    rng = np.random.default_rng(0)
    k = np.arange(1.0, m + 1)
    lam, w = k**-1.5, k**-0.15
    features = rng.standard_normal((n, m)) / np.sqrt(n)

    start = time.perf_counter()
    v = np.zeros(n)
    some = max(1, steps // 10)  # a tenth of the steps tells the rate
    for _ in range(some):
        psi = rng.standard_normal(m) * np.sqrt(lam)
        phi = features @ psi
        v -= 0.2 * (phi @ v - psi @ w - np.sqrt(0.1) * rng.standard_normal()) * phi
    by_modes = (time.perf_counter() - start) * steps / some

    start = time.perf_counter()
    z, basis = np.linalg.eigh(features * lam @ features.T)
    distance = -(basis.T @ (features @ (lam * w))) / z
    scale = np.sqrt(z)
    for _ in range(steps):
        x = rng.standard_normal(n) * scale
        distance -= 0.2 * (x @ distance - np.sqrt(0.1) * rng.standard_normal()) * x
    return by_modes, time.perf_counter() - start


if __name__ == "__main__":
    main()
