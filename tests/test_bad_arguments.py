"""Generated bad arguments: each is refused by name, at once, and nothing is accepted, hangs or raises anything else."""

import time
import warnings

import pytest
from bad_arguments import CASES, bad_calls

EVERY = 11  # call of the quick share
SLOWEST = 2.0  # seconds


def faults(calls):
    """What is wrong with how bad calls end, one line each."""
    for name, argument, value, call in calls:
        start, text = time.perf_counter(), f"{name}({argument}={str(value)[:40]!r})"
        named = [argument, *(value if argument == "grid" and isinstance(value, dict) else ())]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                call()
            yield f"{text} is accepted"
        except ValueError as error:
            lines = str(error).splitlines()
            if len(lines) != 1 or not any(f"`{word}`" in lines[0] for word in named):
                yield f"{text}: {error}"
        except Exception as error:
            yield f"{text} raises {type(error).__name__}: {error}"
        if time.perf_counter() - start > SLOWEST:
            yield f"{text} takes {time.perf_counter() - start:.1f} s"


def test_good_arguments_are_accepted():
    """The calls that are spoiled one argument at a time are good ones."""
    for name, (function, good, _) in CASES.items():
        if name not in ("rfm.simulate", "rfm.exact", "rfm.sweep", "theory.sweep"):  # run by other tests, and compiled
            function(**good)


def test_a_share_of_bad_arguments():
    assert "\n".join(faults(list(bad_calls())[::EVERY])) == ""


@pytest.mark.slow
def test_all_bad_arguments():
    calls = list(bad_calls())
    assert len(calls) > 2000
    assert "\n".join(faults(calls)) == ""
