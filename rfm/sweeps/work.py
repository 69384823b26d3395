"""Runs that a sweep still lacks: in batches that fit in memory, the next one under way while the last one is saved."""

import dataclasses
import math
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np
from jax import Array

from rfm.engine.batches import run_batch
from rfm.engine.plans import Drawing, Losses
from rfm.sweeps.groups import LEAST, Group
from rfm.sweeps.processes import Processes
from rfm.sweeps.store import Chunk, Results

# a run has diverged where its training loss is so many times that of zero weights; stable momentum may reach 1e4
GROWN = 1e6


class Missing(NamedTuple):
    """Some runs of a group: which of its points, and which of the seeds, (R,) each."""

    point: np.ndarray
    seed: np.ndarray

    def part(self, index: slice | np.ndarray) -> "Missing":
        """Return some of them."""
        return Missing(self.point[index], self.seed[index])


class Done(NamedTuple):
    """A batch that is over: its seconds of a core, roughly, and the chunks that it made whole."""

    seconds: float
    chunks: list[Chunk]


@dataclasses.dataclass(frozen=True)
class Work:
    """Runs that `results` lacks, as an iterator over batches, which fills them in.

    groups: points by shape; lengths: runs of a batch of each; times: (T,); keys: (S,). chunk: number (axes...) of the
    chunk that a point is saved in, `block` seeds at a time; team: of its processes each does every so many-th chunk.
    """

    groups: list[Group]
    lengths: list[int]
    times: np.ndarray
    keys: Array
    results: Results
    chunk: np.ndarray
    block: int
    team: Processes

    def __iter__(self) -> Iterator[Done]:
        missing = self.results.missing
        for group, length in zip(self.groups, self.lengths, strict=True):
            runs = Missing(*np.nonzero(missing[group.places] & self._mine(group)[:, None]))
            yield from self._batches(group, runs, length)

    def seconds(self, runs: np.ndarray) -> float:
        """Estimate the seconds of this process's share of `runs` (axes..., S), true where they count."""
        return sum(group.cost.seconds * runs[group.places][self._mine(group)].sum() for group in self.groups)

    def _mine(self, group: Group) -> np.ndarray:
        """Tell which points (points,) of a group are this process's."""
        return self.chunk[group.places] % self.team.count == self.team.index

    def _batches(self, group: Group, runs: Missing, length: int) -> Iterator[Done]:
        ways, cost, most = group.plan.layout.runs, group.cost.seconds, GROWN * group.label_power()
        while len(runs.point):
            length = min(length, max(LEAST, math.ceil(len(runs.point) / ways)) * ways)
            try:
                for count, solved in self._in_flight(group, runs, length):
                    done, runs = runs.part(slice(count)), runs.part(slice(count, None))
                    losses = _finite_losses(solved, count, self.times, most[done.point])
                    for whole, values in zip(self.results, losses, strict=True):
                        whole[(*(places[done.point] for places in group.places), done.seed)] = values
                    yield Done(count * cost, self._whole_chunks(group, done))
            except jax.errors.JaxRuntimeError as error:
                length = _halved(error, length, ways)

    def _in_flight(self, group: Group, runs: Missing, length: int) -> Iterator[tuple[int, Losses]]:
        """Solve `length` runs at a time: the next batch is under way while the last one is looked after."""
        words, numbers, waiting = group.words(), group.numbers(), None
        for start in range(0, len(runs.point), length):
            index = np.minimum(np.arange(start, start + length), len(runs.point) - 1)  # the last batch is padded
            point, seed = runs.part(index)
            drawn = Drawing(seed, words[point], {name: x[point] for name, x in numbers.items()})
            solved = run_batch(group.plan, group.task, self.keys, drawn)
            if waiting is not None:
                yield waiting
            waiting = min(length, len(runs.point) - start), solved
        if waiting is not None:
            yield waiting

    def _whole_chunks(self, group: Group, done: Missing) -> list[Chunk]:
        """Return the chunks that these runs were the last ones of."""
        chunk, whole = self.chunk[group.places], []
        for number, block in sorted(set(zip(chunk[done.point], done.seed // self.block, strict=True))):
            seeds = slice(block * self.block, min((block + 1) * self.block, len(self.keys)))
            points = tuple(places[chunk == number] for places in group.places)
            results = Results(*(values[points][:, seeds] for values in self.results))
            if not results.missing.any():
                whole.append(Chunk(np.stack(points, axis=1), seeds, results))
        return whole


def _finite_losses(solved: Losses, count: int, times: np.ndarray, most: np.ndarray) -> Results:
    """Return the first `count` runs of a batch, (count, T) each, inf from where a run has diverged."""
    risk, train_loss = (np.asarray(x)[:count, : len(times)] for x in (solved.risk, solved.train_loss))
    late = ~(np.isfinite(risk) & (train_loss <= most[:, None]))
    if solved.steps is not None:
        late |= times > np.asarray(solved.steps)[:count, None]
    late = np.logical_or.accumulate(late, axis=1)
    return Results(*(np.where(late, np.inf, values) for values in (risk, train_loss)))


def _halved(error: Exception, length: int, ways: int) -> int:
    if "RESOURCE_EXHAUSTED" not in str(error) and "ut of memory" not in str(error):
        raise error
    shorter = length // 2 // ways * ways
    if shorter < LEAST * ways:
        raise MemoryError(f"out of memory with a batch of {length} runs, the smallest there is: {error}") from error
    return shorter
