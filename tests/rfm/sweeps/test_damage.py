"""Stores with one thing wrong: refused, or made again bit for bit; nothing of them is ever read as data."""

import json
import random
import shutil
import warnings

import numpy as np
import pytest
import sweeps
from sweeps import contents

import rfm

CHUNK = "c/1/0/1/0/0/0"  # of one point along lr, and all along noise_var


@pytest.fixture
def store(whole, tmp_path):
    """A copy of the store, to be damaged."""
    return shutil.copytree(whole[0], tmp_path / "sweep.zarr")


def flip(path, place):
    """Turn one bit of a file."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << place % 8
    path.write_bytes(data)


def edit(path, change):
    """Change an object in a JSON file."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def load(store, whole):
    """What `Sweep.load` refuses; "" where it reads what is true, but for what it calls missing."""
    try:
        read = rfm.Sweep.load(store)
    except ValueError as error:
        return str(error)
    for name in ("risk", "train_loss"):
        np.testing.assert_array_equal(getattr(read, name)[~read.missing], getattr(whole[1], name)[~read.missing])
    np.testing.assert_array_equal(read.times, whole[1].times)
    assert all(np.array_equal(read.axes[name], values) for name, values in whole[1].axes.items())
    return ""


def resume(store, whole):
    """What the same sweep says of a store that it mends; it is then as it was."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        swept = sweeps.run(store)
    np.testing.assert_array_equal(swept.risk, whole[1].risk)
    np.testing.assert_array_equal(swept.train_loss, whole[1].train_loss)
    assert contents(store) == contents(whole[0])
    assert load(store, whole) == ""
    assert len(said) <= 1
    return "".join(str(warning.message) for warning in said)


@pytest.mark.parametrize("field", ["risk", "train_loss"])
@pytest.mark.parametrize(
    "damage",
    [
        *[lambda path, store, at=at: flip(path, at) for at in (0, 300, 641, 650, 690, -30, -10, -1)],
        *[lambda path, store, n=n: path.write_bytes(path.read_bytes()[:n]) for n in (0, 1, 320, -1)],
        lambda path, store: path.write_bytes(path.read_bytes() + b"0"),
        lambda path, store: path.write_bytes((store / "risk" / "c/0/0/1/0/0/0").read_bytes()),
        lambda path, store: path.write_bytes((store / "train_loss" / "c/0/0/1/0/0/0").read_bytes()),
        lambda path, store: path.write_bytes(bytes(path.stat().st_size)),
    ],
)
def test_a_damaged_chunk(whole, store, field, damage):
    """Bits, lengths, the chunk of another place or field, zeros: the file is named, with the cure, and made again."""
    damage(store / field / CHUNK, store)
    if contents(store) == contents(whole[0]):
        pytest.skip("the other field")
    said = load(store, whole)
    assert f"file {field}/{CHUNK} is damaged; delete it and run the same sweep again to recompute it" in said
    assert f"{field}/{CHUNK} is damaged: it is made again" in resume(store, whole)


def test_a_chunk_that_is_gone(whole, store):
    """Of the training loss it is refused, of the risk it may just be written; either is made again, and named."""
    (store / "train_loss" / CHUNK).unlink()
    assert f"file train_loss/{CHUNK} is missing; run the same sweep again to recompute it" in load(store, whole)
    assert f"train_loss/{CHUNK} is missing: it is made again" in resume(store, whole)
    (store / "risk" / CHUNK).unlink()
    assert load(store, whole) == ""
    assert rfm.Sweep.load(store).missing.sum() == 4 * sweeps.SEEDS
    assert f"risk/{CHUNK} is not there yet: it is made again" in resume(store, whole)
    for field in ("risk", "train_loss"):
        (store / field / CHUNK).unlink()
    assert load(store, whole) == ""
    assert resume(store, whole) == ""


def test_several_files_are_one_line(whole, store):
    for place in ("c/0/0/0/0/0/0", CHUNK):
        flip(store / "risk" / place, 8)
    assert "risk/c/0/0/0/0/0/0 is damaged (and so on, 2 files): it is made again" in resume(store, whole)


def test_swapped_chunks(whole, store):
    first, second = (store / "risk" / place for place in ("c/0/0/0/0/0/0", CHUNK))
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    assert "risk/c/0/0/0/0/0/0 is damaged" in load(store, whole)
    assert "(and so on, 2 files)" in resume(store, whole)


@pytest.mark.parametrize(
    "other",
    [
        {"optimizer": rfm.GradientDescent(0.5, 0.1)},
        {"times": [1, 4, 20, 101]},
        {"grid": {**sweeps.GRID, "noise_var": [0.0, 0.02, 0.1, 0.4]}},
        {"grid": {**sweeps.GRID, "lr": [0.1, 0.4, 0.5]}},
        {"seeds": 6},
        {"key": 4},
    ],
    ids=str,
)
def test_chunks_of_another_sweep(whole, store, tmp_path, other):
    """Of other settings, times, points or seeds, whole as they are."""
    sweeps.run(tmp_path / "other.zarr", **other)
    for field in ("risk", "train_loss"):
        shutil.copy(tmp_path / "other.zarr" / field / CHUNK, store / field / CHUNK)
    assert f"train_loss/{CHUNK} is damaged" in load(store, whole)
    assert "(and so on, 2 files)" in resume(store, whole)


def test_any_bit_of_any_file(whole, store):
    """Three of each: refused with the file's name, or as it was, and the same sweep makes it as it was."""
    draw = random.Random(0)
    for name in contents(store):
        size = (store / name).stat().st_size
        for place in draw.sample(range(size), min(3, size)):
            flip(store / name, place)
            said = load(store, whole)
            if name == "zarr.json":
                assert not said or "damaged" in said
                if said:
                    with pytest.raises(ValueError, match="is not the store of a sweep, or is damaged; delete"):
                        sweeps.run(store)
                    (store / name).unlink()
            else:
                assert name in said
            assert bool(said) == (name in resume(store, whole) or name == "zarr.json")


METADATA = {
    "lr/zarr.json": [
        lambda array: array.update(data_type="float32"),
        lambda array: array.update(data_type="int64"),
        lambda array: array.update(dimension_names=["noise_var"]),
        lambda array: array.update(shape=[2]),
        lambda array: array.update(shape="3"),
        lambda array: array.update(codecs=[]),
        lambda array: array["attributes"].update(units="steps"),
    ],
    "risk/zarr.json": [
        lambda array: array.update(data_type="float32"),
        lambda array: array.update(fill_value=0),
        lambda array: array.update(dimension_names=["num_samples", "num_features", "lr", "noise_var", "seed", "time"]),
        lambda array: array.update(shape=[2, 1, 3, 3, 5, 4]),
        lambda array: array["attributes"].update(units="2"),
        lambda array: array.pop("chunk_grid"),
    ],
    "time/zarr.json": [lambda array: array.update(node_type="group")],
}


@pytest.mark.parametrize(("name", "change"), [(name, change) for name, all_ in METADATA.items() for change in all_])
def test_changed_metadata_of_arrays(whole, store, name, change):
    edit(store / name, change)
    assert f"file {name} is damaged" in load(store, whole)
    assert f"{name} is damaged: it is made again" in resume(store, whole)


@pytest.mark.parametrize("name", ["time", "lr", "seed", "num_samples"])
@pytest.mark.parametrize("file", ["zarr.json", "c/0"])
def test_coordinates_that_are_gone(whole, store, name, file):
    (store / name / file).unlink()
    assert f"file {name}/{file} is missing" in load(store, whole)
    assert f"{name}/{file} is missing: it is made again" in resume(store, whole)


def test_coordinates_that_are_exchanged(whole, store):
    """Whole files of zarr with other values in them."""
    shutil.copy(store / "lr" / "c/0", store / "noise_var" / "c/0")
    assert "file noise_var/c/0 is damaged" in load(store, whole)
    assert "noise_var/c/0 is damaged: it is made again" in resume(store, whole)


def swapped(attributes):
    axes = attributes["axes"]
    axes["lr"], axes["noise_var"] = axes["noise_var"], axes["lr"]


@pytest.mark.parametrize(
    "change",
    [
        swapped,
        lambda attributes: attributes.update(axes=dict(reversed(attributes["axes"].items()))),
        lambda attributes: attributes["axes"].update(lr=[0.1, 0.3]),
        lambda attributes: attributes["axes"].update(lr=0.1),
        lambda attributes: attributes.update(axes=[]),
        lambda attributes: attributes.update(times=[1, 4, 20, 101]),
        lambda attributes: attributes.update(times=None),
        lambda attributes: attributes.update(keys="0"),
        lambda attributes: attributes["keys"].reverse(),
        lambda attributes: attributes["settings"].update(lr="0.7"),
        lambda attributes: attributes.update(settings=3),
        lambda attributes: attributes.update(chunk=[1, 1, 1, 2, 5]),
        lambda attributes: attributes.update(digest=3),
        lambda attributes: attributes.update(format=["x"]),
        lambda attributes: attributes.clear(),
    ],
)
def test_changed_attributes(whole, store, change):
    """Refused by both, naming the cure, which loses nothing: the same sweep computes no run again."""
    edit(store / "zarr.json", lambda group: change(group["attributes"]))
    before = contents(store)
    assert f"delete {store}/zarr.json and run the same sweep again" in load(store, whole)
    with pytest.raises(ValueError, match=r"delete .*zarr\.json and run the same sweep again"):
        sweeps.run(store)
    assert contents(store) == before
    (store / "zarr.json").unlink()
    assert resume(store, whole) == ""


def test_attributes_that_are_no_object(whole, store):
    for text in ("", "[]", "null", "[" * 100_000, '{"attributes": []}', "\xff"):
        (store / "zarr.json").write_text(text, encoding="latin-1")
        assert "or is damaged; delete" in load(store, whole)


def test_what_a_user_adds_is_no_damage(whole, store):
    edit(store / "zarr.json", lambda group: group["attributes"].update(note="mine"))
    assert load(store, whole) == ""
    assert sweeps.run(store).risk.shape == whole[1].risk.shape


def test_temporaries_of_killed_processes_go(whole, store):
    (store / "risk" / (CHUNK + ".123.partial")).write_bytes(b"half")
    assert load(store, whole) == ""
    assert resume(store, whole) == ""


def test_a_store_of_before_is_refused(tmp_path):
    """Its chunks have no digests."""
    (tmp_path / "zarr.json").write_text(json.dumps({"attributes": {"format": "random-feature sweep 1"}}))
    with pytest.raises(ValueError, match="is of an older version, whose chunks carry no digest: delete it and run"):
        sweeps.run(tmp_path)
