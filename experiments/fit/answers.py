"""Answers to what is asked of power laws: budgets, plans, a loss to reach, and a second opinion on sizes."""

import numpy as np

from experiments.fit.decision import Choice, Parabolas, is_open
from experiments.fit.job import Fits
from experiments.fit.least_squares import Interval
from experiments.output.tables import align


def lines(fits: Fits) -> list[str]:
    """Return what is printed of the answers; nothing where nothing was asked."""
    by_kind = {
        what: [choice for choice in fits.choices if choice.what == what] for what in ("budget", "asked", "target")
    }
    text: list[str] = []
    flops = f"C = {fits.flops_per_token:g} N t"
    if by_kind["budget"]:
        head = [f"best for {flops}", "N", "t", "loss", *(["N by parabolas"] if fits.second else [])]
        rows = [
            (f"{c.compute.value:.4g}", _cell(c.features), _cell(c.times), _cell(c.loss),
             *([f"{fits.second.at(c.compute.value):.3g}"] if fits.second else []))
            for c in by_kind["budget"]
        ]  # fmt: skip
        text += ["", align([tuple(head), *rows])]
        if any(is_open(c.features) for c in by_kind["budget"]):
            text.append("the table does not determine the best size: its interval spans more than a factor of 100")
    if by_kind["asked"]:
        rows = [_plan(choice) for choice in by_kind["asked"]]
        text += ["", align([("asked for", flops, "loss"), *rows])]
    for choice in by_kind["target"]:
        text += ["", _target(choice, flops)]
    return text + ([""] if fits.second else []) + ([_second(fits.second)] if fits.second else [])


def _plan(choice: Choice) -> tuple[str, str, str]:
    sizes = {"N": choice.features.value, "P": choice.samples, "t": choice.times.value}
    named = ", ".join(f"{name} = {value:.4g}" for name, value in sizes.items() if np.isfinite(value))
    compute = choice.compute.value
    return named, f"{compute:.4g}" if np.isfinite(compute) else "-", _cell(choice.loss)


def _target(choice: Choice, flops: str) -> str:
    """Say what the cheapest way to a loss is."""
    if np.isinf(choice.compute.value):
        return f"loss {choice.loss.value:g}: below the floor of the fitted law, so no size and time reach it"
    text = (
        f"loss {choice.loss.value:g} for the least compute: N = {_cell(choice.features)}, t = {_cell(choice.times)}, "
    )
    text += f"{flops} = {_cell(choice.compute)}"
    if np.isinf(choice.compute.high):
        return f"{text}; the floor may be above this loss"
    return text


def _second(second: Parabolas) -> str:
    """Say what parabolas through losses of equal compute give, and how far off they are for the fitted law itself."""
    low, high = second.bias.min() - 1.0, second.bias.max() - 1.0
    return (
        f"second opinion, parabolas through the losses of {len(second.compute)} budgets: N* ~ C^{second.exponent:.3f}; "
        f"through the fitted law itself they are off by {low:+.0%} to {high:+.0%}"
    )


def _cell(interval: Interval) -> str:
    return f"{interval.value:.4g} ({interval.low:.3g} .. {interval.high:.3g})"


def rows(fits: Fits) -> list[dict]:
    """Return the answers as rows of the table of predictions."""
    written = []
    for choice in fits.choices:
        row: dict = {"model": "chinchilla", "run": choice.what, "step": choice.times.value}
        row |= {"N": choice.features.value, "t": choice.times.value, "C": choice.compute.value}
        row |= {"predicted": choice.loss.value, "low": choice.loss.low, "high": choice.loss.high}
        for name, interval in (("N", choice.features), ("t", choice.times), ("C", choice.compute)):
            if interval.high > interval.low:
                row |= {f"{name}_low": interval.low, f"{name}_high": interval.high}
        written.append({name: value for name, value in row.items() if not np.isscalar(value) or value != np.inf})
    return written
