"""Independent parts of one sweep: each alone, beside each other, lost and taken over."""

import itertools

import numpy as np
import pytest
import sweeps

import rfm
from rfm.sweeps import locks, shards

OWN = ("part-", "entrance")  # files of the locks, which hold nothing


def results(folder):
    """Files of a store but those that parts lock."""
    return {name: x for name, x in sweeps.contents(folder).items() if not name.split("/")[-1].startswith(OWN)}


def run(out, monkeypatch, index, count):
    """Run one shard, as if all others were at work."""
    free_parts = shards.free_parts
    monkeypatch.setattr(shards, "free_parts", lambda *args: itertools.islice(free_parts(*args), 1))
    swept = sweeps.run(out, shard=(index, count))
    monkeypatch.setattr(shards, "free_parts", free_parts)
    return swept


def test_parts_make_the_whole_store(whole, tmp_path, monkeypatch):
    """In any order, each its own chunks, byte for byte; what is not there yet is missing."""
    missing = [run(tmp_path / "a.zarr", monkeypatch, i, 3).missing for i in (2, 0, 1)]
    assert all(np.all(later <= earlier) for earlier, later in itertools.pairwise(missing))
    assert [bool(x.any()) for x in missing] == [True, True, False]
    assert results(tmp_path / "a.zarr") == results(whole[0])


def test_a_lost_part_is_taken_over(whole, tmp_path):
    """One shard of five, with nobody at work on the others, does all; a call without shards finds nothing to do."""
    swept = sweeps.run(tmp_path / "a.zarr", shard=(3, 5))
    assert not swept.missing.any()
    np.testing.assert_array_equal(swept.risk, whole[1].risk)
    assert results(tmp_path / "a.zarr") == results(whole[0])
    np.testing.assert_array_equal(sweeps.run(tmp_path / "a.zarr").risk, swept.risk)
    assert [file.name for file in (tmp_path / "a.zarr" / "risk").glob("part-*")] == []


def test_a_part_that_another_process_is_at_is_left_to_it(tmp_path, monkeypatch):
    out = tmp_path / "a.zarr"
    run(out, monkeypatch, 2, 9)
    with locks.part(out, 1, 2, without_locks=False) as free:
        assert free
        assert sweeps.run(out, shard=(0, 2)).missing.any()
        assert sweeps.run(out, shard=(1, 2)).missing.any()  # its own, taken over by another
    assert not sweeps.run(out, shard=(0, 2)).missing.any()


def test_shards_share_a_store_that_others_wait_for(whole, tmp_path):
    """A second shard enters while a first is inside; more values wait until both are out."""
    out, made = tmp_path / "a.zarr", []
    ready = lambda: bool(made)  # noqa: E731
    with locks.shared(out, ready, lambda: made.append(1)), locks.shared(out, ready, lambda: made.append(2)):
        assert made == [1]
        with open(out / "risk" / "lock", "ab") as file:
            assert locks._lock(file, exclusive=True, wait=False) is False
            assert locks._lock(file, exclusive=False, wait=False) is True


@pytest.mark.parametrize("shard", [(0, 0), (2, 2), (-1, 2), (0.0, 2), "0/2", (0, 1, 2), (True, 2), (0, 10**5)])
def test_wrong_shards_are_refused(tmp_path, shard):
    with pytest.raises(ValueError, match="`shard` must be"):
        sweeps.run(tmp_path / "a.zarr", shard=shard)
    assert not (tmp_path / "a.zarr").exists()


def test_shards_need_a_store():
    with pytest.raises(ValueError, match="`out` must be a folder that all processes see"):
        sweeps.run(None, shard=(0, 2))


def test_a_shard_of_another_sweep_touches_nothing(whole, tmp_path):
    sweeps.run(tmp_path / "a.zarr", sweeps.LONE, seeds=2)
    before, other = results(tmp_path / "a.zarr"), rfm.GradientDescent(0.5, weight_decay=0.1)
    with pytest.raises(ValueError, match="is of another sweep, in which weight_decay"):
        sweeps.run(tmp_path / "a.zarr", sweeps.LONE, seeds=2, shard=(0, 2), optimizer=other)
    assert results(tmp_path / "a.zarr") == before
