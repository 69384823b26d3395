"""What a finished command leaves behind, read back."""

import csv
import json

import matplotlib.image

import rfm


def outputs(folder, name):
    """Rows and record of a finished command; all four files exist and no temporary one is left."""
    assert sorted(p.name for p in folder.iterdir()) == [f"{name}.{s}" for s in ("csv", "json", "pdf", "png")]
    assert (folder / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
    assert (folder / f"{name}.pdf").read_bytes()[:4] == b"%PDF"
    with open(folder / f"{name}.csv") as file:
        return list(csv.DictReader(file)), json.loads((folder / f"{name}.json").read_text())


def check_whole(folder):
    """Every file of a folder, if there is one, can be read to its end; files of processes that run do not count."""
    for path in folder.glob("[!.]*"):
        if path.suffix == ".zarr":
            if (path / "zarr.json").exists():
                rfm.Sweep.load(path)
        elif path.suffix == ".csv":
            with open(path) as file:
                head, *rows = csv.reader(file)
            assert {len(row) for row in rows} == {len(head)}, path
            assert path.read_bytes().endswith(b"\n"), path
        elif path.suffix == ".json":
            assert json.loads(path.read_text()).keys() == {"settings", "run", "versions"}, path
        elif path.suffix == ".png":
            assert matplotlib.image.imread(path).size, path
        else:
            assert path.suffix == ".pdf", path
            assert path.read_bytes().startswith(b"%PDF"), path
            assert path.read_bytes().endswith(b"%%EOF\n"), path
