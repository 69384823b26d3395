"""One small sweep, run by the tests in processes of their own: `python -m tests.sweeps STORE`."""

import argparse
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np

import rfm

GRID = {"num_features": [12, 20], "num_samples": [16], "lr": [0.1, 0.3, 0.5], "noise_var": [0.0, 0.02, 0.1, 0.3]}
PROBLEM = rfm.power_law(1.8, 1.5, 200, 0.05)
ARGUMENTS = {"optimizer": rfm.GradientDescent(0.5), "times": [1, 4, 20, 100]}
SEEDS = 5
ROOT = Path(__file__).parents[1]
FILE = """
[problem]
a = 1.8
b = 1.5
num_modes = 200
noise_var = 0.05
[optimizer]
name = "gd"
lr = 0.5
[run]
seeds = 4
num_samples = 30
times = { start = 1, stop = 60, num = 6 }
[grid]
num_features = [12, 20]
lr = [0.1, 0.5, 40.0]
noise_var = { start = 0.01, stop = 0.1, num = 2 }
"""
LONE = {name: values[:1] for name, values in GRID.items()}  # with two seeds: one run a device


def run(out, grid=None, seeds=SEEDS, key=3, **changes):
    """The sweep, or one with other arguments."""
    keys = jax.random.split(jax.random.key(key), seeds)
    return rfm.sweep(PROBLEM, GRID if grid is None else grid, keys, out=out, **ARGUMENTS | changes)


def contents(folder):
    """Every file of a folder by name, as a digest."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def start(store, *arguments):
    """Start `main` in a process of its own."""
    command = [sys.executable, "-m", "tests.sweeps", str(store), *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def main() -> None:
    """In a process that may be killed; prints a line for every chunk that is in the store."""
    parser = argparse.ArgumentParser()
    parser.add_argument("store")
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--process", help="index:port of one of two processes")
    parser.add_argument("--modes", action="store_true", help="save a run whose modes are shared by the devices, too")
    parser.add_argument("--die", type=int, help="kill this process after so many chunks")
    args = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", args.devices)
    if args.process:
        from rfm.sweeps import processes

        index, port = args.process.split(":")
        processes.HEARTBEAT = 10
        processes.start(f"127.0.0.1:{port}", 2, int(index))
    if args.modes:
        keys = jax.random.split(jax.random.key(0), 2)
        arguments = {"num_features": 20, "num_samples": 30, **ARGUMENTS, "keys": keys}
        problem = rfm.power_law(1.8, 1.5, 5000, 0.05)
        shared, own = (rfm.simulate(problem, **arguments, split=split) for split in ("modes", "runs"))
        np.testing.assert_allclose(shared.risk, own.risk, rtol=1e-11)
        np.testing.assert_allclose(shared.train_loss, own.train_loss, rtol=1e-11)

    from rfm.sweeps import store

    write, done = store.write, []

    def counted(*arguments):
        write(*arguments)
        done.append(1)
        print(len(done), flush=True)
        if args.die == len(done):
            os.kill(os.getpid(), 9)

    store.write = counted
    run(args.store, memory=2e5)
    if args.modes:
        run(args.store + "-lone", LONE, seeds=2)


if __name__ == "__main__":
    main()
