"""Tables of measured losses: the runs that rows belong to, and rows that are held out."""

import numpy as np

from experiments.fit.table import DESIGN_AXES, Design, held_out, runs

grid = Design.grid


def test_runs():
    """Rows of one pair of sizes are a run, a time that comes again starts another; a label tells them apart."""
    design = Design(np.array([8.0, 8, 8, 8, 16]), np.full(5, np.inf), np.array([1.0, 2, 1, 2, 1]))
    assert runs(design).tolist() == [0, 0, 1, 1, 2]
    assert runs(design, ["x", "x", "x", "x", "x"]).tolist() == [0, 0, 0, 0, 1]
    ended = Design(np.array([8.0, 8, 16]), np.full(3, np.inf), np.full(3, np.inf))
    assert runs(ended).tolist() == [0, 1, 2]
    assert runs(ended, ["x", "x", "x"]).tolist() == [0, 0, 1]  # a label says what is one run, with times or without


def test_held_out():
    """About the part asked for, and all of it beyond what is kept along some axis; more axes where that is near."""
    small = grid([10.0, 20.0, 40.0, 80.0, 160.0], [5.0, 10.0, 20.0, 40.0, 80.0], [np.inf])
    assert held_out(small, 0.2).tolist() == (small.features == 160.0).tolist()
    assert held_out(small, 0.4).tolist() == ((small.features == 160.0) | (small.samples == 80.0)).tolist()
    assert not held_out(small, 0.0).any()
    assert not held_out(grid([1.0, 2.0], [3.0, 4.0], [np.inf]), 0.2).any()
    short = grid([64.0, 128.0, 256.0], [100.0, 200.0, 400.0], np.geomspace(1.0, 1e3, 12))
    assert held_out(short, 0.2).tolist() == (short.times > 500.0).tolist()  # one size of three would be a third
    infinite = grid([10.0, 100.0, np.inf, 1000.0], [np.inf], [np.inf])
    assert held_out(infinite, 0.2).tolist() == (infinite.features >= 1000.0).tolist()
    uneven = Design(*np.random.default_rng(0).uniform(1.0, 2.0, (3, 200)))
    held = held_out(uneven, 0.2)
    assert 0.19 < held.mean() < 0.22
    outside = [getattr(uneven, axis) > getattr(uneven, axis)[~held].max() for axis in DESIGN_AXES]
    assert all(one.any() for one in outside)
    assert np.any(outside, axis=0).tolist() == held.tolist()
