"""Features, or a kernel, and labels from files: .npz, .npy, .csv and Parquet. Files are read, never written."""

import os
import zipfile
from collections.abc import Sequence

import numpy as np

from rfm import checks
from rfm.data import tables
from rfm.data.labels import encode

ENDINGS = (".npz", ".npy", ".csv", ".parquet")


def read(
    file: str, labels: str | Sequence[str] | None = None, *, kernel: bool = False, target: str | None = None,
    flat: bool = True, left_out: Sequence[str] = (),
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Read features, or a kernel, and labels of a data set of n rows.

    - FILE.npz: arrays X (n, d) or K (n, n), and y; in small letters too.
    - FILE.npy: the features, with labels=FILE.npy. They stay on disk (`numpy.memmap`), so that they may be larger
      than memory; `rfm.from_data` reads them block by block, and that is when NaN and infinity are found.
    - FILE.csv: comma-separated, the first line names the columns; all that are not labels are features.
    - FILE.parquet: as .csv; needs pyarrow, the extra `[parquet]`.

    Args:
        file: Name of the file.
        labels: FILE.npy, in place of y in an archive too; of a table the column or columns, by default "y", or the
            last.
        kernel: Take a kernel in place of features.
        target: Labels as "real" numbers, which is the default for numbers, or as classes: "one-hot", "parity" or
            "class", see `rfm.labels.encode`; text names classes.
        flat: Flatten rows of more than one axis, images.
        left_out: Columns of a table that are not features, such as names of groups.

    Returns:
        Features (n, d), or a kernel (n, n), in their type of numbers, and labels (n,) or (n, k).

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: pyarrow is not installed.
        ValueError: Another kind of file or content: text, objects, NaN or infinity among the numbers (named by row
            and column, or line), shapes that do not fit each other, fewer than two rows, and what is larger than
            memory and cannot stay on disk.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(f"{folder}/rows.npz", X=np.ones((4, 3)), y=np.arange(4.0))
        ...     features, labels = read(f"{folder}/rows.npz")
        >>> features.shape, labels.tolist()
        ((4, 3), [0.0, 1.0, 2.0, 3.0])
    """
    file = os.fspath(file)
    ending = _ending("file", file, ENDINGS)
    if ending in (".npz", ".npy"):
        y = None if labels is None else _array("labels", labels)
        matrix, y = _read_npz(file, "K" if kernel else "X", y) if ending == ".npz" else (_array("file", file), y)
        if y is None:
            checks.fail("labels", f"a file FILE.npy of the labels of {file!r}", None)
        _check_matrix(matrix)
        if ending == ".npz":  # what stays on disk is checked by whoever reads it, rather than read twice
            check_finite(file, matrix)
    else:
        reader = tables.read_csv if ending == ".csv" else tables.read_parquet
        matrix, y = reader(file, [labels] if isinstance(labels, str) else labels, left_out)
        _check_matrix(matrix)
    n = len(matrix)
    if kernel and matrix.shape != (n, n):
        checks.fail("file", "of a square matrix, as kernels are", matrix.shape)
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.ndim not in (1, 2) or len(y) != n or not y.size:
        checks.fail("labels", f"of shape ({n},) or ({n}, k), one a row of features", y.shape)
    tables.check_finite(file, y, lambda i, *_: f"row {i} (from 0)", "labels")
    y = encode(y, target)
    return (matrix.reshape(n, -1) if flat else matrix), y


def read_groups(file: str | os.PathLike, groups: str) -> np.ndarray:
    """Read which rows of a data set belong together.

    Args:
        file: The file of the data set.
        groups: FILE.npy, a column of a table, or an array of an archive.

    Returns:
        (n,) numbers or text, equal for rows of one group.

    Raises:
        ValueError: There is no such file, column or array.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(f"{folder}/rows.npz", X=np.ones((4, 3)), y=np.arange(4.0), patient=np.array([7, 7, 8, 8]))
        ...     read_groups(f"{folder}/rows.npz", "patient").tolist()
        [7, 7, 8, 8]
    """
    file = os.fspath(file)
    if groups.lower().endswith(".npy"):
        return np.asarray(_array("groups", groups))
    ending = os.path.splitext(file)[1].lower()
    if ending in (".csv", ".parquet"):
        return tables.read_column(file, "groups", groups)
    if ending == ".npz" and os.path.isfile(file):
        with np.load(file, allow_pickle=False) as archive:
            if groups in archive.files:
                return archive[groups]
    checks.fail("groups", "FILE.npy, a column of a table or an array of an archive", groups)


def check_finite(file: str, matrix: np.ndarray) -> None:
    """Raise ValueError for NaN or infinity in a matrix (n, ...) from a file, telling the row and column."""
    tables.check_finite(file, matrix, lambda i, *j: f"row {i}, column {', '.join(map(str, j))} (from 0)")


def _ending(argument: str, file: str, allowed: Sequence[str]) -> str:
    """The ending of a file that exists, in small letters."""
    ending = os.path.splitext(file)[1].lower()
    if ending not in allowed:
        checks.fail(argument, f"a file that ends in {' or '.join(allowed)}", file)
    if not os.path.isfile(file):
        raise FileNotFoundError(f"Argument `{argument}` must be a file that exists, but is {file!r}.")
    return ending


def _array(argument: str, file: str | Sequence[str]) -> np.ndarray:
    """The array of a .npy file, left on disk."""
    file = os.fspath(file) if isinstance(file, str | os.PathLike) else checks.fail(argument, "the name of a file", file)
    _ending(argument, file, (".npy",))
    try:
        return np.lib.format.open_memmap(file, "r")
    except Exception as error:  # numpy, and the system below it, raise of several kinds
        checks.fail(argument, f"one array without objects, as numpy.save writes it ({_short(error)})", file)


def _read_npz(file: str, name: str, labels: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """The arrays `name` and y of an archive; y only where `labels` do not stand in for it."""
    try:
        with zipfile.ZipFile(file) as archive:
            sizes = {entry.filename.removesuffix(".npy"): entry.file_size for entry in archive.infolist()}
    except Exception as error:
        checks.fail("file", f"an archive of arrays, as numpy.savez writes it ({_short(error)})", file)
    matrices = [key for key in sizes if key in (name, name.lower())]
    if name == "X" and not matrices and any(key in "Kk" for key in sizes):
        checks.fail("kernel", f"True for a file of a kernel K and no features X, such as {file!r}", False)
    wanted = matrices if labels is not None else [*matrices, *(key for key in sizes if key in ("y", "Y"))]
    if len(matrices) != 1 or len(wanted) != 2 - (labels is not None):
        arrays = f"one {name} and one y" if labels is None else f"one {name}"
        checks.fail("file", f"an archive of arrays {arrays}", list(sizes))
    tables.check_fits(file, sum(sizes[key] for key in wanted))
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = [archive[key] for key in wanted]
    except Exception as error:  # of zip, pickle or numpy's own parser
        checks.fail("file", f"an archive of whole arrays without objects ({_short(error)})", file)
    return arrays[0], arrays[1] if labels is None else labels


def _check_matrix(matrix: np.ndarray) -> None:
    if matrix.dtype.kind not in "fiub":
        checks.fail("file", "of real numbers", str(matrix.dtype))
    if matrix.ndim < 2 or len(matrix) < 2 or not matrix.size:
        checks.fail("file", "one that holds a matrix of at least two rows and a column", f"of shape {matrix.shape}")
    if matrix.ndim > 2 and not matrix.flags.c_contiguous:
        checks.fail("file", "stored row by row, in C order", "Fortran order")


def _short(error: Exception) -> str:
    """Its first line."""
    return (str(error).splitlines() or [type(error).__name__])[0]
