"""Files of features, kernels and labels: every kind read as it was written, and what is wrong told with its place."""

import sys

import numpy as np
import pytest

from rfm.data import files, tables

RNG = np.random.default_rng(4)
X = RNG.standard_normal((10, 3))
Y = RNG.standard_normal(10)
COLORS = np.array(["red", "blue", "red", "green", "red", "blue", "red", "green", "blue", "red"])
KERNEL = X @ X.T


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


class Folder:
    """Writes files, and remembers their bytes."""

    def __init__(self, path):
        self.path, self.written = path, {}

    def keep(self, name):
        path = self.path / name
        self.written[path] = path.read_bytes()
        return str(path)

    def npz(self, name="data.npz", **arrays):
        np.savez(self.path / name, **arrays)
        return self.keep(name)

    def npy(self, name, array):
        np.save(self.path / name, array)
        return self.keep(name)

    def text(self, name, text, encoding="utf-8"):
        (self.path / name).write_bytes(text.encode(encoding))
        return self.keep(name)

    def csv(self, x=X, y=Y, header="a,b,c,y", name="data.csv"):
        rows = [",".join([*map(repr, map(float, row)), str(label)]) for row, label in zip(x, y, strict=True)]
        return self.text(name, "\n".join([header, *rows]) + "\n")

    def parquet(self, name="data.parquet", **columns):
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        pq.write_table(pa.table(columns), self.path / name, row_group_size=4)
        return self.keep(name)


@pytest.fixture(autouse=True)
def nothing_is_written_over(folder):
    yield
    assert {path: path.read_bytes() for path in folder.path.iterdir()} == folder.written


def columns(x=X):
    return dict(zip("abc", x.T, strict=True))


def refused(told, *args, error=ValueError, **settings):
    with pytest.raises(error, match=r"Argument `|pip install") as caught:
        files.read(*args, **settings)
    assert "\n" not in str(caught.value)
    assert told in str(caught.value)


def test_npz(folder):
    for names in (dict(X=X, y=Y), dict(x=X, y=Y), dict(X=X, y=Y[:, None], other=np.ones(2))):
        features, labels = files.read(folder.npz(**names))
        np.testing.assert_array_equal(features, X)
        np.testing.assert_array_equal(labels, Y)
    several = RNG.standard_normal((10, 2))
    np.testing.assert_array_equal(files.read(folder.npz(X=X, y=several))[1], several)
    other = folder.npy("y.npy", 2 * Y)
    for archive in (folder.npz(X=X), folder.npz(X=X, y=Y)):
        np.testing.assert_array_equal(files.read(archive, other)[1], 2 * Y)


def test_npy_stays_on_disk(folder):
    x = X.astype(np.float32)
    features, labels = files.read(folder.npy("x.npy", x), folder.npy("y.npy", Y))
    assert isinstance(features, np.memmap)
    assert features.dtype == np.float32
    assert not features.flags.writeable
    np.testing.assert_array_equal(features[3:5], x[3:5])
    np.testing.assert_array_equal(labels, Y)


def test_npy_larger_than_memory(folder, monkeypatch):
    """What is mapped asks for no memory; an archive does, and says what to do."""
    monkeypatch.setattr(tables, "available_memory", lambda: 100)
    files.read(folder.npy("x.npy", X), folder.npy("y.npy", Y))
    refused(f"it takes {(2 * 128 + 40 * 8) / 1e9:.3g} GB", folder.npz(X=X, y=Y))
    refused(".npy file, which stay on disk", folder.npz(X=X, y=Y))
    monkeypatch.setattr(tables, "BLOCK", 16)  # four rows, or one column
    refused(".npy file, which stay on disk", folder.csv())
    refused(".npy file, which stay on disk", folder.parquet(**columns(), y=Y))


def test_images(folder):
    images = RNG.integers(0, 256, (10, 2, 3), np.uint8)
    for kind in (folder.npz(X=images, y=Y), folder.npy("x.npy", images)):
        labels = None if kind.endswith("npz") else folder.npy("y.npy", Y)
        np.testing.assert_array_equal(files.read(kind, labels, flat=False)[0], images)
        flat = files.read(kind, labels)[0]
        np.testing.assert_array_equal(flat, images.reshape(10, 6))
        assert isinstance(flat, np.memmap) == kind.endswith("npy")


def test_kernel(folder):
    for source in ((folder.npz(K=KERNEL, y=Y),), (folder.npy("k.npy", KERNEL), folder.npy("y.npy", Y))):
        kernel, labels = files.read(*source, kernel=True)
        np.testing.assert_array_equal(kernel, KERNEL)
        np.testing.assert_array_equal(labels, Y)
    both = folder.npz(X=X, K=KERNEL, y=Y)
    assert files.read(both)[0].shape == (10, 3)
    assert files.read(both, kernel=True)[0].shape == (10, 10)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables(folder, kind, monkeypatch):
    """Labels named y, or last, or told; text as classes; in blocks that do not fit the number of rows."""
    monkeypatch.setattr(tables, "BLOCK", 16)  # four rows, or one column

    def write(last, y):
        if kind == "csv":
            return folder.csv(y=y, header=f"a,b,c,{last}")
        return folder.parquet(**columns(), **{last: y})

    for last in ("y", "price"):
        features, labels = files.read(write(last, Y))
        np.testing.assert_array_equal(features, X)
        np.testing.assert_array_equal(labels, Y)
    features, labels = files.read(write("y", Y), "a")
    np.testing.assert_array_equal(features, np.column_stack([X[:, 1:], Y]))
    np.testing.assert_array_equal(labels, X[:, 0])
    features, labels = files.read(write("y", Y), ["y", "b"])
    np.testing.assert_array_equal(features, X[:, [0, 2]])
    np.testing.assert_array_equal(labels, np.column_stack([Y, X[:, 1]]))
    _, labels = files.read(write("color", COLORS))
    np.testing.assert_array_equal(labels, np.eye(3)[np.unique(COLORS, return_inverse=True)[1]])


@pytest.mark.parametrize("block", [1, 2**20])
def test_names_of_which_one_begins_another(folder, block, monkeypatch):
    """As pandas names columns that come twice."""
    monkeypatch.setattr(tables, "BLOCK", block)
    features, labels = files.read(folder.parquet(**{"x.1": X[:, 0], "x": X[:, 1], "y": Y, "y.1": X[:, 2]}))
    np.testing.assert_array_equal(features, X)
    np.testing.assert_array_equal(labels, Y)


def test_whole_numbers_are_classes_where_told(folder):
    classes = np.array([0, 2, 5, 0, 2, 5, 0, 2, 5, 5])
    for archive in (folder.npz(X=X, y=classes), folder.csv(y=classes), folder.parquet(**columns(), y=classes)):
        np.testing.assert_array_equal(files.read(archive)[1], classes)
        np.testing.assert_array_equal(files.read(archive, target="class")[1], classes // 2)
        np.testing.assert_array_equal(files.read(archive, target="one-hot")[1], np.eye(3)[classes // 2])


def test_dialects_of_csv(folder):
    """Quotes, spaces, empty lines, Windows line ends, a byte order mark, exponents."""
    text = '\ufeff"a, b", y ,c\r\n1e-3,"no",-2\r\n\r\n" 4", yes ,.5\r\n5,"no",6\r\n7,yes,8'
    features, labels = files.read(folder.text("data.csv", text))
    np.testing.assert_array_equal(features, [[1e-3, -2], [4, 0.5], [5, 6], [7, 8]])
    np.testing.assert_array_equal(labels, [-1, 1, -1, 1])


def test_no_such_file(folder):
    refused("a file that exists", str(folder.path / "none.csv"), error=FileNotFoundError)
    refused("a file that exists", folder.npy("x.npy", X), str(folder.path / "y.npy"), error=FileNotFoundError)
    refused("ends in .npz or .npy or .csv or .parquet", folder.text("data.txt", "1,2"))
    refused("ends in .npy", folder.npy("x.npy", X), folder.text("y.txt", "1"))


@pytest.mark.parametrize("name", ["data.npz", "data.npy", "data.csv", "data.parquet"])
@pytest.mark.parametrize("content", ["", "\x00\x01 no such thing\n", "PK\x03\x04"])
def test_empty_and_foreign_files(folder, name, content):
    if name == "data.parquet":
        pytest.importorskip("pyarrow")
    refused("`file` must be", folder.text(name, content), folder.npy("y.npy", Y) if name == "data.npy" else None)


def test_cut_off_files(folder):
    for path in (folder.npz(X=X, y=Y), folder.npy("x.npy", X), folder.parquet(**columns(), y=Y)):
        whole = folder.written[folder.path / path.rsplit("/", 1)[-1]]
        (folder.path / path).write_bytes(whole[: len(whole) // 2])
        folder.keep(path)
        refused("`file` must be", path, folder.npy("y.npy", Y) if path.endswith("npy") else None)


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        (dict(X=X), "one X and one y"),
        (dict(A=X, y=Y), "['A', 'y']"),
        (dict(X=X, x=X, y=Y), "one X and one y"),
        (dict(K=KERNEL, y=Y), "`kernel` must be True"),
        (dict(X=X[0], y=Y), "at least two rows"),
        (dict(X=X[:1], y=Y[:1]), "at least two rows"),
        (dict(X=X[:, :0], y=Y), "at least two rows"),
        (dict(X=X[:0], y=Y[:0]), "at least two rows"),
        (dict(X=X * 1j, y=Y), "real numbers"),
        (dict(X=X.astype(str), y=Y), "real numbers"),
        (dict(X=X.astype(object), y=Y), "without objects"),
        (dict(X=X, y=Y.astype(object)), "without objects"),
        (dict(X=X, y=Y[:-1]), "`labels` must be of shape (10,) or (10, k)"),
        (dict(X=X, y=Y[0]), "`labels` must be of shape"),
        (dict(X=X, y=Y * 1j), "`labels` must be numbers or text"),
        (dict(X=np.where(X[7, 1] == X, np.nan, X), y=Y), "finite in row 7, column 1 (from 0), but is nan"),
        (dict(X=np.where(X[7, 1] == X, np.inf, X), y=Y), "row 7, column 1"),
        (dict(X=X, y=np.where(Y[4] == Y, np.nan, Y)), "`labels` must be finite in row 4 (from 0), but is nan"),
    ],
)
def test_wrong_archive(folder, arrays, told):
    refused(told, folder.npz(**arrays))


def test_wrong_npy(folder):
    y = folder.npy("y.npy", Y)
    refused("`labels` must be a file FILE.npy", folder.npy("x.npy", X))
    refused("without objects", folder.npy("x.npy", X.astype(object)), y)
    refused("`labels` must be one array without objects", folder.npy("x.npy", X), folder.npy("o.npy", Y.astype(object)))
    refused("of shape (10,)", folder.npy("x.npy", X), folder.npy("short.npy", Y[:4]))
    refused("Fortran order", folder.npy("x.npy", np.asfortranarray(RNG.random((10, 2, 3)))), y)
    refused("`labels` must be the name of a file", folder.npy("x.npy", X), ["a", "b"])
    archive = folder.npz(X=X, y=Y)
    (folder.path / "z.npy").write_bytes(folder.written[folder.path / "data.npz"])
    refused("as numpy.save writes it", folder.keep("z.npy"), y)
    refused("of a square matrix", folder.npy("x.npy", X), y, kernel=True)
    refused("one K and one y", archive, kernel=True)


@pytest.mark.parametrize("separator", [";", "\t", "|", " "])
def test_separators(folder, separator):
    """What separates is told by the first line; where it is no comma, a comma is a decimal one."""
    lines = [separator.join(cells) for cells in (("a", "b", "y"), ("1,5", "2", "3"), ("4", "5", "6"))]
    features, labels = files.read(folder.text("data.csv", "\n".join(lines)))
    assert features.tolist() == [[1.5, 2.0], [4.0, 5.0]]
    assert labels.tolist() == [3.0, 6.0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b,y\n1,2,3\n4,red,6\n", "a number in line 3 of column 'b', but is 'red'"),
        ("a,b,y\n1,2,3\n\n4,,6\n", "a number in line 4 of column 'b', but is ''"),
        ("a,b,y\n1,nan,3\n4,5,6\n", "finite in line 2 of column 'b', but is nan"),
        ("a,b,y\n1,2,3\n4,inf,6\n", "line 3 of column 'b'"),
        ("a,b,y\n1,2,3\n4,5\n", "of 3 columns in line 3, as in its first, but is 2"),
        ("a,b,y\n1,2,3\n4,5,6,7\n", "in line 3, as in its first, but is 4"),
        ("a,b,y\n1,2,3\n4,5,\n", "a label in line 3 of column 'y', but is '': fill it in or delete the row, in"),
        ("a,b,y\n1,2,nan\n4,5,6\n", "finite in line 2 of column 'y', but is nan: fill it in"),
        ("a,b,y\n1,2,0.3\n4,5,0.4\n4,5,low\n", "a label in line 4 of column 'y', but is 'low'"),
        ("a,b,y\n1,2e99,3\n4,2e100,6\n", "less than 1e+100 in size in line 3 of column 'b', but is 2e+100: give it"),
        ("1,2,3\n4,5,6\n7,8,9\n", "first line names its columns"),
        (",b,y\n0,2,3\n1,5,6\n", "was an index saved with it?), but is ['']"),
        ("a,a,y\n1,2,3\n4,5,6\n", "different names, but is ['a', 'a']"),
        ("y\n1\n2\n", "at least two columns"),
        ("a y\n1;2;3\n4;5;6\n", "of 2 columns in line 2"),
        ("a,b,y\n", "at least two rows"),
        ("a,b,y\n1,2,3\n", "at least two rows"),
        ('a,b,y\n1,2,"3\n4,5,6\n', "comma-separated text"),
        ("a,b,y\n1,2,é\n", "comma-separated text"),
    ],
)
def test_wrong_csv(folder, text, told):
    refused(told, folder.text("data.csv", text, "latin-1"))


def test_wrong_columns_of_labels(folder):
    refused("`labels` must be columns of the table", folder.csv(), "price")
    refused("at least one of the 4 columns, and not all", folder.csv(), ["a", "b", "c", "y"])
    refused("at least one of the 4 columns", folder.csv(), [])
    refused("`target` must be 'class', 'one-hot' or 'parity'", folder.csv(y=COLORS), target="real")
    refused("whole numbers", folder.csv(), target="class")


def test_wrong_parquet(folder, monkeypatch):
    monkeypatch.setattr(tables, "BLOCK", 16)  # four rows, or one column
    hole = [*Y[:6], None, *Y[7:]]
    refused("of numbers in column 'c', but is 'string'", folder.parquet(a=X[:, 0], c=COLORS, y=Y))
    refused("a number in row 6 (from 0) of column 'b', but is None", folder.parquet(a=X[:, 0], b=hole, y=Y))
    refused("a label in row 6 (from 0) of column 'y', but is None", folder.parquet(a=X[:, 0], y=hole))
    one = columns(np.where(X[7, 1] == X, np.nan, X))
    refused("finite in row 7 (from 0) of column 'b', but is nan", folder.parquet(**one, y=Y))
    refused("was an index saved with it?", folder.parquet(a=X[:, 0], y=Y, __index_level_0__=np.arange(10)))
    refused("at least two rows", folder.parquet(a=X[:1, 0], y=Y[:1]))
    refused("at least two rows", folder.parquet(a=X[:0, 0], y=Y[:0]))


def test_parquet_without_pyarrow(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = folder.text("data.parquet", "")
    refused("pip install pyarrow", path, error=ImportError)
