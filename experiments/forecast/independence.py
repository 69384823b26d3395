"""Which rows of a source are independent: copies are counted once, groups and neighbours in time belong together."""

import dataclasses
import math

import numpy as np

from experiments.forecast.settings import Settings
from experiments.forecast.source import Source
from rfm import checks
from rfm.data import groups, oddities
from rfm.data.rows import PARTS


def with_units(source: Source, settings: Settings, names: np.ndarray | None) -> Source:
    """Return the source with its copies counted, or groups of the names (n,); ValueError where too few are left."""
    if names is not None:
        return _grouped(source, groups.numbered(names, len(source)), "groups", f"--groups {settings.groups}")
    if settings.time_series:
        blocks = groups.time_blocks(source.data, source.labels)
        length = math.ceil(len(blocks) / (int(blocks.max()) + 1))
        if length == 1:
            said = "rows in order of time do not correlate: each counts as independent"
            return dataclasses.replace(source, remarks=(*source.remarks, said))
        return _grouped(source, blocks, "time-series", f"rows in order of time correlate: blocks of {length}")
    return distinct(source)


def _grouped(source: Source, numbers: np.ndarray, option: str, name: str) -> Source:
    count = int(numbers.max()) + 1
    if count < PARTS:
        checks.fail(option, f"of at least {PARTS} groups (bands come from halves of them)", count)
    said = (
        f"{name}: {len(numbers)} rows in {count} groups; whole groups are trained on, left out and tested on, and P "
        "counts rows"
    )
    return dataclasses.replace(source, groups=numbers, remarks=(*source.remarks, said))


def distinct(source: Source) -> Source:
    """Return the source with equal rows, to rounding, once each, and how often each was there."""
    numbers = groups.copies(source.data, source.labels)
    _, first, often = np.unique(numbers, return_index=True, return_counts=True)
    count, total = len(first), len(source)
    if count < PARTS:
        checks.fail("file", f"of at least {PARTS} distinct rows", f"{total} rows, {count} of them distinct")
    if count == total:
        return dataclasses.replace(source, remarks=(*source.remarks, *oddities.of_rows(source.data)))
    order = np.argsort(first)
    said = (
        f"{total} rows, {count} of them distinct: n is {count}, and P rows of the file count as the distinct ones "
        "among them; for copies that differ, name their origin by --groups"
    )
    part = source.part(first[order])
    return dataclasses.replace(part, copies=often[order], remarks=(*source.remarks, said))
