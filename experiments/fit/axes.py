"""Which of several columns is the time, and axes that follow from other columns: steps x batch, epochs x P, C/(6 N)."""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.fit.columns import EPOCHS, STEPS, TOKENS, plain

TIME_WORDS = frozenset(plain(name) for name in (*TOKENS, *STEPS, *EPOCHS))
COUNTED = frozenset(plain(name) for name in TOKENS)  # rows, not updates: of a whole training where these are few
ALIKE = 0.02  # scatter of the ratio of two times up to which these are one axis


def is_count(name: str | None) -> bool:
    """Is a column one of samples or tokens, rather than of updates or epochs?"""
    return name is not None and plain(name) in COUNTED


def choose_time(
    columns: Mapping[str, str], numbers: dict[str, np.ndarray], labels: Sequence[str] | None, notes: list[str]
) -> dict[str, str]:
    """Return the columns without the second one that could be the time, where it is proportional to the first.

    Raises:
        ValueError: The two are no one axis, so that the caller has to say which is the time, and what the other is.
    """
    chosen, second = dict(columns), columns.get("time_too")
    if second is None:
        return chosen
    del chosen["time_too"]
    first, other = numbers["times"], numbers.pop("time_too")
    groups = np.unique(labels if labels is not None else numbers.get("features", np.ones(len(first))),
                       return_inverse=True)[1].reshape(-1)  # fmt: skip
    known = np.isfinite(other) & (other > 0)
    ratio = np.log(first[known]) - np.log(other[known])
    spread = max((np.ptp(ratio[groups[known] == g]) for g in np.unique(groups[known])), default=0.0)
    if spread > ALIKE:
        raise ValueError(
            f"Columns `{columns['times']}` and `{second}` could both be the time t: name one by --times, and by "
            "--samples the one that is the size P of a data set, if there is one."
        )
    notes.append(f"`{second}` is proportional to `{columns['times']}`: one axis")
    return chosen


def derive(
    columns: Mapping[str, str], numbers: dict[str, np.ndarray], flops_per_token: float, notes: list[str]
) -> dict[str, str]:
    """Put axes that follow from others into the numbers, with a note for each; return the columns that are used.

    Epochs of P samples become samples seen; updates times a batch that changes become samples seen; compute becomes
    the missing one of N and t by C = flops_per_token N t, or t where there is neither.
    """
    used, time = dict(columns), columns.get("times")
    if "samples" in numbers and time is not None and plain(time) in map(plain, EPOCHS):
        numbers["times"] = numbers["times"] * numbers["samples"]
        notes.append(f"t = {time} x {columns['samples']}: samples seen")
    batch = numbers.get("batch")
    if batch is not None and "lr" not in numbers:
        if "times" in numbers and not is_count(time) and np.ptp(batch) > 0 and plain(time or "") not in EPOCHS:
            numbers["times"] = numbers["times"] * batch
            notes.append(f"t = {time} x {columns['batch']}: samples seen")
        else:
            del used["batch"]
    if (compute := numbers.get("flops")) is None:
        return used
    name = columns["flops"]
    if "times" not in numbers and "features" in numbers:
        numbers["times"] = compute / (flops_per_token * numbers["features"])
        notes.append(f"t = {name}/({flops_per_token:g} {columns['features']})")
    elif "features" not in numbers and is_count(time):
        numbers["features"] = compute / (flops_per_token * numbers["times"])
        notes.append(f"N = {name}/({flops_per_token:g} {time})")
    elif "times" not in numbers:
        numbers["times"] = compute
        notes.append(f"t = {name}: the law of compute alone")
    else:
        del used["flops"], numbers["flops"]
    return used
