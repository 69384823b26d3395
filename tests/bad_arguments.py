"""Bad arguments for every public function: what it is called with, and what each argument must refuse by name."""

import jax
import numpy as np
from bad_values import (
    AT_LEAST_ZERO,
    COUNT,
    FLOW,
    HUGE,
    KEY_ARRAYS,
    KEYS,
    LABELS,
    MATRICES,
    NAMES,
    OTHER_OPTIMIZERS,
    OTHER_PROBLEMS,
    PAIRS,
    POSITIVE,
    PROBLEM,
    ROWS,
    RUN,
    SCALARS,
    SIZE,
    TIMES,
    VECTORS,
    WHOLE_SIZE,
)

import rfm
import theory
from rfm.data import from_data


def without_steps(values):
    """Bad numbers, but for two numbers that are good as those of two steps."""
    return tuple(x for x in values if not (isinstance(x, list | jax.Array) and np.shape(x) == (2,)))


# function, good arguments, bad values of each
CASES = {
    "rfm.power_law": (
        rfm.power_law,
        dict(a=1.8, b=1.5, num_modes=50, noise_var=0.01),
        {
            "a": (*SCALARS, 1.0, 0.0, -1.0, np.inf),
            "b": POSITIVE,
            "num_modes": tuple(x for x in COUNT if x is not None and x is not np.inf),
            "noise_var": AT_LEAST_ZERO,
        },
    ),
    "rfm.white": (rfm.white, dict(num_modes=5, noise_var=0.0), {"num_modes": COUNT, "noise_var": AT_LEAST_ZERO}),
    "rfm.Problem": (
        rfm.Problem,
        dict(eigenvalues=[1.0, 0.5], target=[1.0, 1.0], noise_var=0.1),
        {
            "eigenvalues": (*PAIRS, [[1.0]], [0.5, 1.0], [-1.0, -2.0]),
            "target": (*PAIRS, [1.0]),
            "noise_var": AT_LEAST_ZERO,
        },
    ),
    "rfm.log_times": (
        rfm.log_times,
        dict(start=0.1, stop=10.0, num=5),
        {
            "start": POSITIVE,
            "stop": (*POSITIVE, 0.01),
            "num": (*COUNT, 1),
        },
    ),
    "rfm.GradientDescent": (
        rfm.GradientDescent,
        dict(lr=0.5, weight_decay=0.0),
        {
            "lr": POSITIVE,
            "weight_decay": AT_LEAST_ZERO,
        },
    ),
    "rfm.HeavyBall": (
        rfm.HeavyBall,
        dict(lr=0.5, momentum=0.5),
        {"lr": POSITIVE, "momentum": (*AT_LEAST_ZERO, 1.0, 2)},
    ),
    "rfm.Nesterov": (rfm.Nesterov, dict(lr=0.5, momentum=0.5), {"lr": POSITIVE, "momentum": (*AT_LEAST_ZERO, 1.0, 2)}),
    "rfm.SGD": (
        rfm.SGD,
        dict(lr=0.5, batch_size=4, momentum=0.5),
        {
            "lr": (*without_steps(POSITIVE), [], [[0.1]], [0.1, -0.1], range(2)),
            "momentum": (*AT_LEAST_ZERO, 1.0, 2, [0.5, 1.0]),
            "batch_size": (*without_steps(SCALARS), 0, -1, 0.5, [], [4, 0.5]),
        },
    ),
    "rfm.Ridge": (rfm.Ridge, dict(ridge=0.5), {"ridge": AT_LEAST_ZERO}),
    **{
        f"rfm.{function.__name__}": (
            function,
            RUN | {"keys": KEYS},
            {
                "problem": OTHER_PROBLEMS,
                "num_features": WHOLE_SIZE,
                "num_samples": WHOLE_SIZE,
                "optimizer": OTHER_OPTIMIZERS,
                "times": TIMES,
                "keys": KEY_ARRAYS,
                "parametrization": NAMES,
                "richness": AT_LEAST_ZERO,
                "hidden": (*COUNT, "nope"),
                "feature_noise": AT_LEAST_ZERO,
                "features": NAMES,
                "ensemble": COUNT,
                "bags": COUNT,
                "split": NAMES,
                "dtype": NAMES,
                "device": ("nope", 3, b"cpu", object()),
                "return_weights": ("yes", 3, None, object()),
                "initial_weights": tuple(x for x in VECTORS if x is not None),
            },
        )
        for function in (rfm.simulate, rfm.exact)
    },
    "theory.predict": (
        theory.predict,
        RUN,
        {
            "problem": OTHER_PROBLEMS,
            "num_features": SIZE,
            "num_samples": SIZE,
            "optimizer": OTHER_OPTIMIZERS,
            "times": TIMES,
            "parametrization": NAMES,
            "richness": AT_LEAST_ZERO,
            "hidden": (*COUNT, "nope"),
            "feature_noise": AT_LEAST_ZERO,
            "ensemble": SIZE,
            "bags": SIZE,
        },
    ),
    **{
        f"theory.{function.__name__}": (
            function,
            RUN | more,
            {
                "problem": OTHER_PROBLEMS,
                "num_features": SIZE,
                "num_samples": SIZE,
                "optimizer": OTHER_OPTIMIZERS,
                "times": TIMES,
                "parametrization": NAMES,
            }
            | dict.fromkeys(more, POSITIVE)
            | (dict.fromkeys(("richness", "feature_noise"), AT_LEAST_ZERO) if function is theory.decompose else {}),
        )
        for function, more in (
            (theory.decompose, {}),
            (theory.correction, {}),
            (theory.scatter, {}),
            (theory.seeds_needed, {"relative_error": 0.1}),
        )
    },
    "theory.learned": (
        theory.learned,
        RUN,
        {
            "problem": OTHER_PROBLEMS,
            "num_features": SIZE,
            "num_samples": SIZE,
            "optimizer": OTHER_OPTIMIZERS,
            "times": TIMES,
            "modes": ("x", [], [0], [51], [1.5], [[1]], 3, [np.nan], [1j], object(), [HUGE], [None]),
            "parametrization": NAMES,
        },
    ),
    "theory.largest_curvature": (
        theory.largest_curvature,
        dict(problem=PROBLEM, num_features=8, num_samples=12),
        {
            "problem": OTHER_PROBLEMS,
            "num_features": SIZE,
            "num_samples": SIZE,
            "parametrization": NAMES,
        },
    ),
    "theory.best_stopping": (
        theory.best_stopping,
        dict(problem=PROBLEM, num_features=8, num_samples=12, optimizer=FLOW),
        {
            "problem": OTHER_PROBLEMS,
            "num_features": SIZE,
            "num_samples": SIZE,
            "optimizer": OTHER_OPTIMIZERS,
            "parametrization": NAMES,
            "longest": tuple(x for x in POSITIVE if x is not None),
        },
    ),
    "theory.best_ridge": (
        theory.best_ridge,
        dict(problem=PROBLEM, num_features=8, num_samples=12),
        {
            "problem": OTHER_PROBLEMS,
            "num_features": SIZE,
            "num_samples": SIZE,
            "parametrization": NAMES,
        },
    ),
    "theory.frontier": (
        theory.frontier,
        dict(problem=PROBLEM, compute=[100.0], optimizer=FLOW),
        {
            "problem": OTHER_PROBLEMS,
            "optimizer": OTHER_OPTIMIZERS,
            "compute": (
                None,
                "x",
                b"x",
                [],
                [[[1.0]]],
                [np.nan],
                [-1.0],
                [0.0],
                [np.inf],
                [1j],
                object(),
                [HUGE],
                ["a"],
            ),
            "num_samples": SIZE,
            "nodes": tuple(x for x in COUNT if x is not None),
            "modes_per_feature": tuple(x for x in (*SCALARS, 0, -1) if x is not None),
            "lr_exponent": (*SCALARS, np.inf),
            "tune_lr": ("yes", 3, object(), np.nan),
        },
    ),
    "theory.sweep": (
        theory.sweep,
        dict(problem=PROBLEM, grid={"num_features": [8, 9]}, num_samples=12, optimizer=FLOW, times=[1.0]),
        {
            "problem": OTHER_PROBLEMS,
            "num_samples": SIZE,
            "optimizer": OTHER_OPTIMIZERS,
            "times": TIMES,
            "parametrization": NAMES,
            "richness": AT_LEAST_ZERO,
            "feature_noise": AT_LEAST_ZERO,
            "grid": (None, "x", 3, {}, {"nope": [1.0]}, {"num_features": []}, {"num_features": ["a"]}, object()),
        },
    ),
    "rfm.sweep": (
        rfm.sweep,
        dict(problem=PROBLEM, grid={"num_features": [8, 9]}, keys=KEYS, num_samples=12, optimizer=FLOW, times=[1.0]),
        {
            "problem": OTHER_PROBLEMS,
            "num_samples": WHOLE_SIZE,
            "optimizer": OTHER_OPTIMIZERS,
            "times": TIMES,
            "keys": KEY_ARRAYS,
            "parametrization": NAMES,
            "richness": AT_LEAST_ZERO,
            "feature_noise": AT_LEAST_ZERO,
            "grid": (None, "x", 3, {}, {"nope": [1.0]}, {"num_features": []}, {"num_features": ["a"]}, object()),
        },
    ),
    "rfm.from_features": (
        rfm.from_features,
        dict(features=ROWS, labels=LABELS),
        {"features": MATRICES, "labels": VECTORS},
    ),
    "rfm.from_kernel": (
        rfm.from_kernel,
        dict(kernel=ROWS @ ROWS.T + np.eye(40), labels=LABELS),
        {
            "kernel": (*MATRICES, ROWS, -np.eye(40), np.arange(1600.0).reshape(40, 40)),
            "labels": VECTORS,
        },
    ),
    "estimate_features": (
        from_data.estimate_features,
        dict(features=ROWS, labels=LABELS),
        {"features": MATRICES, "labels": VECTORS},
    ),
    "estimate_kernel": (
        from_data.estimate_kernel,
        dict(kernel=ROWS @ ROWS.T + np.eye(40), labels=LABELS),
        {"kernel": (*MATRICES, ROWS, -np.eye(40)), "labels": VECTORS},
    ),
    "rfm.from_inputs": (
        rfm.from_inputs,
        dict(inputs=ROWS, labels=LABELS, activation="relu"),
        {"inputs": MATRICES, "labels": VECTORS, "activation": NAMES},
    ),
}


def bad_calls():
    """Yield (name of the function, argument, bad value, call)."""
    for name, (function, good, bad) in CASES.items():
        for argument, values in bad.items():
            for value in values:
                yield name, argument, value, lambda f=function, a={**good, argument: value}: f(**a)
