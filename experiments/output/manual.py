"""The first page of the command line: commands in groups, an example each; and what a mistyped word may have meant."""

import difflib
import textwrap
from collections.abc import Iterable, Mapping

from experiments.output.tables import WIDTH

GROUPS = {
    "Simulation beside theory": ("compare", "double-descent", "decompose", "modes", "sweep", "explore"),
    "Training as people run it": ("schedule", "epochs"),
    "Exponents and compute": ("exponents", "phases", "frontier", "scale-time"),
    "Your data": ("predict", "fit"),
    "Published claims": ("figures", "report"),
    "Results": ("rerun",),
}
EXAMPLES = {
    "compare": "rfm compare --optimizer gd --lr 0.5",
    "double-descent": "rfm double-descent --noise 0.1",
    "decompose": "rfm decompose --quick",
    "schedule": "rfm schedule --features 256 --steps 5000",
    "epochs": "rfm epochs --samples 32 128 512 --order shuffle",
    "modes": "rfm modes --features 64 --samples 128",
    "sweep": "rfm sweep settings.toml",
    "explore": "rfm explore",
    "exponents": "rfm exponents --a 3 --b 1.25",
    "phases": "rfm phases --quick",
    "frontier": "rfm frontier --compute 1e6",
    "scale-time": "rfm scale-time --quick",
    "predict": "rfm predict features.npz --check",
    "fit": "rfm fit runs.csv --compute 1e21",
    "figures": "rfm figures S1-2 --quick  (Figure 2 of Bordelon et al.; --list names all)",
    "report": "rfm report --all",
    "rerun": "rfm rerun results/compare.json",
}
HEAD = """\
usage: rfm COMMAND [options]

Random-feature models trained by gradient descent, beside their closed-form theory."""
TAIL = """
`rfm COMMAND --help` explains the options of one, `rfm --version` tells versions.
"""
INDENT, NAMES = 2, 16


def overview(summaries: Mapping[str, str]) -> str:
    """Return the page of all commands, in no more than WIDTH columns."""
    lines = [HEAD]
    for title, names in GROUPS.items():
        lines.append(f"\n{title}:")
        for name in names:
            first, rest = " " * INDENT + name.ljust(NAMES), " " * (INDENT + NAMES)
            lines += textwrap.wrap(summaries[name], WIDTH, initial_indent=first, subsequent_indent=rest)
            lines.append(f"{rest}> {EXAMPLES[name]}")
    return "\n".join([*lines, TAIL])


def guess(word: str, known: Iterable[str]) -> str:
    """Ask whether the nearest of some known words was meant; empty where none is near.

    Example:
        >>> guess("comapre", ["compare", "decompose"]), guess("x", ["compare"])
        ('; did you mean compare?', '')
    """
    near = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""
