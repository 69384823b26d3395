"""What a finished command leaves behind, read back."""

import csv
import json


def outputs(folder, name):
    """Rows and record of a finished command; all four files exist and no temporary one is left."""
    assert sorted(p.name for p in folder.iterdir()) == [f"{name}.{s}" for s in ("csv", "json", "pdf", "png")]
    assert (folder / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
    assert (folder / f"{name}.pdf").read_bytes()[:4] == b"%PDF"
    with open(folder / f"{name}.csv") as file:
        return list(csv.DictReader(file)), json.loads((folder / f"{name}.json").read_text())
