"""Remarks on what is unusual about rows of features and their labels, to be read before a forecast."""

import numpy as np

from rfm.data.labels import looks_like_classes
from rfm.problem import Array

LOOKED_AT = 1_000  # rows that tell the units of columns
HIDDEN = 1e8  # variances of two columns so far apart: the smaller is near rounding of the larger one's second moment
MOST_ROWS = 20_000  # that are compared with each other
WILD, SHARE = 10.0, 0.5  # a label so many times the next, of which it holds such a part of the variance


def of_labels(labels: np.ndarray) -> list[str]:
    """Say whether labels (n,) or (n, K) look like classes, and whether one row holds most of their variance.

    Example:
        >>> of_labels(np.append(np.arange(20.0) / 7, 1e4))[0][:57]
        'row 20 (from 0) holds 100% of the variance of the labels '
    """
    said = []
    if looks_like_classes(labels):
        said.append(
            f"labels are {len(np.unique(labels))} whole numbers, taken as numbers; --target one-hot takes them for "
            "classes"
        )
    y = labels.reshape(len(labels), -1)
    size = np.sqrt(np.sum((y - np.median(y, axis=0)) ** 2, axis=1))
    *_, second, first = np.sort(size)
    share = first**2 / np.sum(size**2)
    if first > WILD * second and share > SHARE:
        row = int(size.argmax())
        value = f" ({y[row, 0]:.4g})" if y.shape[1] == 1 else ""
        said.append(
            f"row {row} (from 0) holds {share:.0%} of the variance of the labels{value}: everything below rests on it; "
            "is it a slip?"
        )
    return said


def of_columns(features: Array) -> list[str]:
    """Say whether one column of features (n, d) hides others by its unit.

    Example:
        >>> x = np.random.default_rng(0).standard_normal((50, 2))
        >>> of_columns(x), of_columns(x * [1.0, 1e6])[0][:46]
        ([], 'column 1 (from 0) has 1e+12 times the variance')
    """
    some = np.linspace(0, len(features) - 1, min(len(features), LOOKED_AT)).astype(int)
    variance = np.concatenate([np.asarray(features[i : i + 1], float).reshape(1, -1) for i in some]).var(0)
    varied = np.flatnonzero(variance > 0)
    if not len(varied):
        return []
    least, most = varied[variance[varied].argmin()], varied[variance[varied].argmax()]
    ratio = variance[most] / variance[least]
    if ratio < HIDDEN:
        return []
    return [
        f"column {most} (from 0) has {ratio:.0e} times the variance of column {least} and hides the others: give "
        "columns in like units, as each divided by its standard deviation"
    ]


def of_rows(data: Array) -> list[str]:
    """Say how many rows of features, or of a kernel, repeat others, whatever their label.

    Example:
        >>> of_rows(np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]))
        ['1 of 3 rows repeats another with another label: they count as independent without --groups']
    """
    count = min(len(data), MOST_ROWS)
    repeated = count - len({np.ascontiguousarray(data[i]).tobytes() for i in range(count)})
    if not repeated:
        return []
    first = f"the first {count}" if count < len(data) else f"{count}"
    verb = "repeats another with another label" if repeated == 1 else "repeat others with another label"
    return [f"{repeated} of {first} rows {verb}: they count as independent without --groups"]
