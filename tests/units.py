"""Problems and algorithms in other units."""

import dataclasses

import numpy as np

import rfm

NOISY = rfm.power_law(1.8, 1.5, None, noise_var=0.5)
SHORT = rfm.power_law(1.8, 1.2, 60, noise_var=0.1)
SIZES = dict(num_features=100, num_samples=200)


def rescaled(problem, curvature, loss):
    """Eigenvalues times `curvature`, risk and noise times `loss`."""
    tail = problem.tail
    if tail is not None:
        scales = dict(eigenvalue_scale=tail.eigenvalue_scale * curvature, power_scale=tail.power_scale * loss)
        tail = dataclasses.replace(tail, **scales)
    target = problem.target * np.sqrt(loss / curvature)
    return rfm.Problem(problem.eigenvalues * curvature, target, problem.noise_var * loss, tail)


def faster(optimizer, curvature):
    """The optimizer that does the same at `curvature` times the curvatures."""
    numbers = {"lr": 1 / curvature, "ridge": curvature, "weight_decay": curvature}
    named = {name: getattr(optimizer, name) * x for name, x in numbers.items() if hasattr(optimizer, name)}
    return dataclasses.replace(optimizer, **named)


RUNS = [
    (rfm.GradientFlow(), [0.0, 0.3, 20.0, 1e5]),
    (rfm.GradientDescent(0.3, weight_decay=0.01), [0, 1, 30, 1000]),
    (rfm.HeavyBall(0.2, 0.5), [0, 1, 30, 1000]),
    (rfm.Nesterov(0.2, 0.5), [0, 1, 30, 1000]),
    (rfm.SGD(0.1, 4, 0.3), [0, 1, 30, 1000]),
    (rfm.Ridge(0.01), None),
    (rfm.Ridge(0.0), None),
]


def at(optimizer, times, curvature=1.0, sizes=SIZES):
    """Arguments of a run, where curvatures are so many times larger."""
    sizes = sizes | ({"num_samples": np.inf} if isinstance(optimizer, rfm.SGD) else {})
    if times is not None and not optimizer.discrete:
        times = np.array(times) / curvature
    return sizes | dict(optimizer=faster(optimizer, curvature), times=times)
