"""The rows that a forecast is made from, and parts of them."""

import dataclasses

import numpy as np

from rfm.data import from_data
from rfm.data.spectra import Estimate
from rfm.problem import Array, Problem


@dataclasses.dataclass(frozen=True)
class Source:
    """Features or a kernel, and labels.

    Attributes:
        data: (n, d) rows of features, which may lie on disk, or the kernel (n, n) of n rows.
        labels: (n,), or (n, K) of several outputs.
        kernel: Is it a kernel?
        num_modes: Of the kernel, None for infinitely many.
        remarks: What is odd about them, in words.
    """

    data: Array
    labels: np.ndarray
    kernel: bool = False
    num_modes: int | None = None
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def estimate(self, *, replicas: int, seed: int) -> Estimate:
        """Estimate the population, with replicas from random halves of the rows."""
        if self.kernel:
            return from_data.estimate_kernel(
                self.data, self.labels, num_modes=self.num_modes, replicas=replicas, seed=seed
            )
        return from_data.estimate_features(self.data, self.labels, replicas=replicas, seed=seed)

    def part(self, rows: np.ndarray, scale: float = 1.0) -> "Source":
        """Return some of the rows, with the covariance divided by `scale`."""
        kind = self.data.dtype if np.issubdtype(self.data.dtype, np.floating) else float  # it determines their rounding
        if self.kernel:
            data = np.asarray(self.data[np.ix_(rows, rows)], float) / scale
        else:
            data = np.asarray(self.data[rows], float) / np.sqrt(scale)
        data = data.astype(kind)
        return dataclasses.replace(self, data=data, labels=self.labels[rows])

    def problem(self) -> Problem:
        """Return the rows to train and test on; nothing is estimated."""
        if self.kernel:
            return from_data.kernel_rows_alone(self.data, self.labels, self.num_modes)
        return from_data.rows_alone(self.data, self.labels)
