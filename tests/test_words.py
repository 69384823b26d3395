"""Words that a reader has to guess at are not used: in docstrings, messages, pages and notebooks.

Each pattern has a reason and a better word. A pattern may be added when a reader has stumbled; none is exempt.
"""

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = sorted(path for package in ("rfm", "theory", "experiments") for path in (ROOT / package).rglob("*.py"))
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING"))]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NEVER = {
    r"what is no\b": "anything but a",
    r"\b(ValueError|OSError) (for|where) (what|it) is none\b": "ValueError if it is not a store",
    r"\bthat there (is|are) not\b": "that does not exist",
    r"\bnobody (meets|is at|would live|else)\b": "no other process works on it; no reader sees half a file",
    r"\bforetold\b": "predicted, forecast",
    r"\bwhoever (reads?|shows|gave)\b": "its reader",
    r"\btold (apart|together|from)\b(?! 0)": "distinguished from",
    r"\b(it|sample|line|spectrum|rows) tells? (?!how|what|that|why|which|where)": "shows, determines",
    r"\bz median\b": "median of |z|, with z explained beside it",
    r"\bclaim FAILS\b": "contradicted",
    r"\bagrees?: yes\b": "agrees within 2 %",
    r"\bSay in words what\b": "Summarize",
    r"\bgoes through `?jax\b": "can be jitted, vmapped and differentiated",
    r"\breach(es)? for that\b": "use",
    r"pip install '?random-feature-theory": "the package to install; this one is not on the public index",
    r"\bShould one be lost\b": "If one process dies",
    r"\bon both sides\b(?! of)": "in simulation and theory",
    r"(?<![Tt]here )\b(is|are) no (axis|number|features|labels|algorithm|boolean|arrays?|argument|data)\b": "is not a",
    r"\bset right by\b": "corrected by",
    r"\bthe first there of\b": "the first column found of",
    r"\btold by\b": "estimated from, shown by",
    r"\bthat many a\b|\bno such has\b": "say it straight",
}  # fmt: skip


def texts():
    """Yield every text that a reader meets, with its place."""
    for path in CODE:
        place = path.relative_to(ROOT)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                yield f"{place}:{node.lineno}", node.value
    for path in PAGES:
        yield str(path.relative_to(ROOT)), path.read_text()
    for path in NOTEBOOKS:
        for cell in json.loads(path.read_text())["cells"]:
            yield str(path.relative_to(ROOT)), "".join(cell["source"])


@pytest.fixture(scope="module")
def everything():
    return [(place, " ".join(text.split())) for place, text in texts()]


@pytest.mark.parametrize("pattern", NEVER)
def test_words_that_are_never_used(pattern, everything):
    """Each use is named, with the better words."""
    uses = [(place, match.group()) for place, text in everything for match in re.finditer(pattern, text)]
    lines = "\n".join(f"{place}: {words}" for place, words in uses)
    assert not uses, f"{lines}\nbetter: {NEVER[pattern]}"


@pytest.mark.parametrize(
    "wrong",
    [
        "a name that is no axis",
        "Refuse what is no problem.",
        "an axis that there is not",
        "the sample tells 600 modes",
        "is told from noise",
    ],
)
def test_the_list_sees(wrong):
    """Negative control."""
    assert any(re.search(pattern, wrong) for pattern in NEVER)
