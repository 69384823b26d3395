"""Labels of a data set as a student learns them: real numbers, or classes as one-hot outputs or as signs."""

import numpy as np
from numpy.typing import ArrayLike

from rfm import checks
from rfm.devices import available_memory

MOST_CLASSES, FEWEST_MEMBERS = 100, 3  # of whole numbers that look like classes
TARGETS = ("real", "class", "one-hot", "parity")


def encode(labels: ArrayLike, target: str | None = None) -> np.ndarray:
    """Encode labels as one of TARGETS.

    Args:
        labels: (n,), or (n, k) for several real outputs.
        target: "real" leaves numbers as they are. The others take labels as names of classes, whole numbers or text, in
            sorted order: "class" is 0 .. K - 1; "one-hot" is (n, K), one where the class is; "parity" is -1 for an even
            class and 1 for an odd one, which for two classes is all there is to know. None is "real" for numbers; for
            text "parity" of two classes, "one-hot" of more.

    Returns:
        Encoded labels, float64, or whole numbers for "class".

    Raises:
        ValueError: Another target, text or NaN as numbers, or classes that are not whole, fewer than two, or so many
            that most have a single member.

    Example:
        >>> from rfm.data.labels import encode
        >>> encode(["cat", "dog", "cat", "dog"]).tolist()
        [-1.0, 1.0, -1.0, 1.0]
    """
    if target is not None:
        checks.one_of("target", target, TARGETS)
    values = np.asarray(labels)
    text = values.dtype.kind in "US"
    if not text and values.dtype.kind not in "iufb":
        checks.fail("labels", "numbers or text", f"an array of type {values.dtype}")
    if target == "real" or (target is None and not text):
        if text:
            checks.fail("target", "'class', 'one-hot' or 'parity' for labels that are text", target)
        return values.astype(float)
    return of_classes(_numbered(values, target), target)


def looks_like_classes(labels: np.ndarray) -> bool:
    """Are labels (n,) a few whole numbers, each many times?

    Two classes are not recognized: as numbers they differ from a sign only by scale.

    Example:
        >>> [looks_like_classes(np.arange(30) % count) for count in (3, 2, 30)]
        [True, False, False]
    """
    if labels.ndim != 1 or labels.dtype.kind not in "iuf" or not np.all(labels == np.round(labels)):
        return False
    count = len(np.unique(labels))
    return 2 < count <= min(MOST_CLASSES, len(labels) // FEWEST_MEMBERS)


def of_classes(classes: np.ndarray, target: str | None) -> np.ndarray:
    """Encode classes (n,) of 0 .. K - 1 as "class", "one-hot" or "parity"; None: "parity" of two, "one-hot" of more."""
    count = int(classes.max()) + 1
    target = target or ("parity" if count == 2 else "one-hot")
    if target == "class":
        return classes
    if target == "parity":
        return 2.0 * (classes % 2) - 1.0
    available = available_memory()
    if available is not None and 8 * count * len(classes) > available:
        checks.fail("target", f"'parity' or 'class', for {count} one-hot outputs do not fit into memory", target)
    return np.eye(count)[classes]


def _numbered(labels: np.ndarray, target: str | None) -> np.ndarray:
    """Number the names of classes (n,) 0 .. K - 1 in sorted order."""
    if labels.ndim != 1:
        checks.fail("target", f"'real' for labels of shape {labels.shape}: classes are one label a row", target)
    if labels.dtype.kind == "f" and not np.all(labels == np.round(labels)):  # false for NaN too
        checks.fail("labels", f"whole numbers or text for target={target!r}", labels)
    names, classes = np.unique(labels, return_inverse=True)
    if not 2 <= len(names) <= max(2, len(labels) // 2):
        cure = f"every label is {str(names[0])!r}" if len(names) == 1 else "name another column, or give numbers"
        allowed = f"at least two classes, and at most half as many as the {len(labels)} rows"
        checks.fail("labels", allowed, len(names), cure)
    return classes
