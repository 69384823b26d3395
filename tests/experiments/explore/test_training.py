"""Training runs of the explorer: limits are the memory that is free, and time."""

import pytest

from experiments.explore import training
from experiments.explore.settings import Settings
from rfm.engine import costs


def test_runs_may_take_the_memory_that_is_free(monkeypatch):
    """A run of some GB is allowed where 19 are free, and refused where one is."""
    large = Settings(N=8_000, P=8_000, M=1_000)
    monkeypatch.setattr(training, "LONGEST", 1e9)
    monkeypatch.setattr(costs, "available_memory", lambda: 19e9)
    training.check_cost(large, 4)
    monkeypatch.setattr(costs, "available_memory", lambda: 1e9)
    with pytest.raises(ValueError, match=r"^One run takes .* GB of memory, .* GB are allowed: lower N, P, K"):
        training.check_cost(large, 4)
