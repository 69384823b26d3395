"""Closed forms, and theory of one-pass SGD, that the figures of S1 are held against."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

import rfm
import theory
from theory import exponents

A, B = 1.5, 1.25  # of the task, and of the spectrum, where a figure has one of both
ONE_PASS_LR = 0.5  # of one-pass SGD
ENDLESS = 10**18  # modes that stand for infinitely many
END_OF_TRAINING = 1e6  # stands for the end of training: in Fig. 9 the least curvatures are 1e-3
SAME_NUMBER = 1e-6  # relative gap of two routes through the theory to one number


def claimed_size(a: float, b: float) -> float:
    """Return x of N* ~ C^x in S1: the limits t^-((a-1)/b) and N^-min(a-1, 2b) balance, x = r_t/(r_t + r_N)."""
    time, model = exponents.CLAIMS["time"].exponent(a, b), exponents.CLAIMS["model"].exponent(a, b)
    return time / (time + model)


def best_risk(a: float, b: float) -> tuple[float, float]:
    """Return the exponent of the best risk in compute, as S1 has it and in closed form."""
    _, closed = exponents.frontier_exponents(a, b)
    return exponents.CLAIMS["compute"].exponent(a, b), closed


def limit(values: np.ndarray, compute: np.ndarray) -> float:
    """Return the limit of an exponent that is approached as 1/log C: a straight line in 1/log C, at zero."""
    return float(np.polyfit(1.0 / np.log(compute), values, 1)[1])


def plateau_factor(lr: float, batch_size: float, eigenvalues: np.ndarray) -> float:
    """Return the plateau of one-pass SGD over that of full batches, label noise included, at large N.

    There H has the spectrum of the data, and the Volterra equation ends at
    1/(1 - (lr/B) sum_k lambda_k/(2 - lr (1 + 1/B) lambda_k)).
    """
    spread = 2.0 - lr * (1.0 + 1.0 / batch_size) * eigenvalues
    return 1.0 / (1.0 - lr / batch_size * float(np.sum(eigenvalues / spread)))


class OnePass(NamedTuple):
    """Theory of one-pass SGD on `clock`, which ends at FAR_STEPS: one compiled program for all N and B."""

    problem: rfm.Problem
    clock: np.ndarray

    def risk(self, n: float, b: float) -> np.ndarray:
        """Return the risk on the clock; b = inf: full batches."""
        sgd = rfm.SGD(ONE_PASS_LR, b)
        return theory.predict(self.problem, num_features=n, num_samples=np.inf, optimizer=sgd, times=self.clock).risk

    def ends(self, sizes: Sequence[float] | np.ndarray, b: float) -> np.ndarray:
        """Return the risk at the end against N."""
        return np.array([self.risk(n, b)[-1] for n in sizes])

    def excess(self, n: float, batches: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return what batches add to the risk, in parts of that of full batches, (B, T)."""
        full = self.risk(n, np.inf)
        return np.stack([self.risk(n, b) / full - 1.0 for b in batches])

    def factor(self, b: float) -> float:
        """Return the factor of the plateau in closed form."""
        eigenvalues, _ = self.problem.modes(0, int(self.problem.num_modes))
        return plateau_factor(ONE_PASS_LR, b, np.asarray(eigenvalues))


def one_mode(problem: rfm.Problem, k: int) -> rfm.Problem:
    """Return the same spectrum with a target on mode k alone (k = 1, 2, ... within the head), of risk one at the start.

    On fresh data Delta(t) = exp(-F^T F Lambda t) w, so that with S = Lambda^1/2 F^T F Lambda^1/2 the risk of this
    target is [exp(-2 S t)]_kk: the error Delta_k/w_k of mode k itself at time 2t, in every draw.
    """
    target = np.zeros_like(problem.target)
    target[k - 1] = problem.eigenvalues[k - 1] ** -0.5
    tail = None if problem.tail is None else replace(problem.tail, power_scale=0.0)
    return replace(problem, target=target, tail=tail)


def response(eigenvalues: np.ndarray, num_features: float) -> float:
    """Return r = lim R3(s)/s, s -> 0: mode k ends at 1/(1 + lambda_k r).

    It is 1/kappa where sum lambda/(lambda + kappa) = N, by bisection on the modes themselves.
    """
    low, high = np.log(eigenvalues[-1] * 1e-3), np.log(eigenvalues.sum())
    for _ in range(80):
        middle = 0.5 * (low + high)
        enough = np.sum(eigenvalues / (eigenvalues + np.exp(middle))) < num_features
        low, high = (low, middle) if enough else (middle, high)
    return float(np.exp(-0.5 * (low + high)))


def end_of_training(nu: float, alpha: np.ndarray) -> np.ndarray:
    """Return the risk over |w|^2 of one model and of infinitely many on the same data, (2, alpha).

    One: (1 - nu)/(1 - nu/alpha) for nu < alpha, (1 - alpha)/(1 - alpha/nu) for alpha < nu; infinitely many:
    (1 - nu)^2/(1 - nu^2/alpha) and 1 - alpha. For nu <= 1 without noise, at alpha != nu.
    """
    few, many = np.minimum(nu, alpha), np.maximum(nu, alpha)
    infinitely_many = np.where(nu < alpha, (1 - nu) ** 2 / (1 - nu**2 / alpha), 1 - few)
    return np.stack([(1 - few) / (1 - few / many), infinitely_many])
