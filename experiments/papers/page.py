"""Rows that have run as one HTML page that needs nothing else: no script, no network, figures inside."""

import base64
import json
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path

from experiments.compare.verdicts import CONFIRMED, CONTRADICTED, OPEN, REFINED, VERDICTS
from experiments.papers.row import Row

MARKS = {CONFIRMED: "✓", REFINED: "≈", CONTRADICTED: "✗", OPEN: "?"}  # told by more than colour
STYLE = """
:root { --line: #d0d4da; --soft: #f4f6f8; --text: #1b1f24; --quiet: #57606a; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1.5rem 1rem 4rem; color: var(--text); background: #fff;
       font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .5rem; line-height: 1.2; }
h2 { font-size: 1.2rem; margin: 0 0 .3rem; }
section { border-top: 1px solid var(--line); margin-top: 2.5rem; padding-top: 1.5rem; }
a { color: #0b5cad; }
p { margin: .4rem 0; }
.quiet { color: var(--quiet); font-size: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; margin: .8rem 0; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid var(--line);
         overflow-wrap: anywhere; }
th { background: var(--soft); white-space: nowrap; }
td:first-child a { white-space: nowrap; }
.figure { overflow-x: auto; margin: .8rem 0; border: 1px solid var(--line); }
.badge { white-space: nowrap; font-weight: 600; border-radius: .3rem; padding: .05rem .45rem; border: 1px solid; }
.confirmed { color: #00543c; background: #e3f4ee; } .refined { color: #003f66; background: #e2f0fa; }
.contradicted { color: #8a2f00; background: #fdebe1; } .open { color: #444; background: #eee; }
img { display: block; width: 100%; height: auto; }
pre { background: var(--soft); padding: .7rem; overflow-x: auto; font-size: .8rem; }
summary { cursor: pointer; color: var(--quiet); }
.notice { background: #fff6da; border: 1px solid #e3c96a; padding: .5rem .8rem; }
@media (max-width: 42rem) {
  body { padding: 1rem .75rem 3rem; }
  img { min-width: 44rem; } /* panels stay readable, and scroll */
  thead { display: none; }
  tr { display: block; border-bottom: 1px solid var(--line); padding: .5rem 0; }
  td { display: block; border: 0; padding: .1rem 0; }
  td[data-label]::before { content: attr(data-label) ": "; color: var(--quiet); }
}
@media print { section { break-inside: avoid; } details { display: none; } }
"""


def render(rows: Sequence[Row], written: str) -> str:
    """The whole page: claims and verdicts, then every row with its figure, findings and settings.

    written: when. Every text is escaped; figures are read from the files of the rows.
    """
    counts = Counter(row.verdict for row in rows)
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in reversed(VERDICTS) if counts[verdict])
    parts = [
        "<h1>Scaling laws of the random-feature model: claims and verdicts</h1>",
        f"<p>{len(rows)} published figures or claims, each run as theory and simulation of one problem: {told}.</p>",
        f'<p class="quiet">Written {escape(written)}; {sum(row.seconds for row in rows):.0f} s of computing. '
        "Confirmed: as claimed. Refined: as claimed, under a condition that the paper does not give. "
        "Contradicted: not as claimed, but as the corrected closed form says. Open: neither.</p>",
    ]
    if any(row.size != "full" for row in rows):
        parts.append(
            '<p class="notice">Rows of size “smoke” only show that everything runs: too small to judge by.</p>'
        )
    head = ("Row", "Claim", "Verdict", "Deciding numbers", "Source")
    parts.append(_table(head, [_summary(row) for row in rows]))
    parts += [_section(row) for row in rows]
    parts.append(_versions(rows))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Claims and verdicts</title>\n<style>{STYLE}</style>\n</head>\n<body>\n" + "\n".join(parts)
    ) + "\n</body>\n</html>\n"


def _summary(row: Row) -> tuple[str, ...]:
    link = f'<a href="#{escape(row.name)}">{escape(row.name)}</a>'
    return link, escape(row.claim), _badge(row.verdict), escape(row.deciding), escape(row.source)


def _section(row: Row) -> str:
    """Title, claim, figure, findings, what is not run here, settings."""
    findings = [(escape(f.quantity), escape(f.claimed), escape(f.measured), _badge(f.verdict)) for f in row.findings]
    limits = f"<p><strong>Not run here.</strong> {escape(row.limits)}</p>" if row.limits else ""
    settings = {"size": row.size, "seed": row.seed, "parameters": row.parameters, "seconds": round(row.seconds, 1)}
    return (
        f'<section id="{escape(row.name)}">\n<h2>{escape(row.name)} · {escape(row.title)} {_badge(row.verdict)}</h2>\n'
        f'<p class="quiet">{escape(row.source)}; {row.size} size, seed {row.seed}, {row.seconds:.0f} s</p>\n'
        f"<p>{_sentence(row.claim)}</p>\n"
        f'<div class="figure"><img src="data:image/png;base64,{_png(row)}" '
        f'alt="{escape(row.title)}: theory and simulation"></div>\n'
        f"{_table(('Quantity', 'Claimed', 'Measured', 'Verdict'), findings)}\n{limits}\n"
        f"<details><summary>Settings</summary><pre>{escape(json.dumps(settings, indent=2))}</pre></details>\n</section>"
    )


def _versions(rows: Sequence[Row]) -> str:
    """Of all rows, once each."""
    texts = dict.fromkeys(", ".join(f"{k} {v}" for k, v in row.versions.items() if v) for row in rows)
    return "<section>\n<h2>Versions</h2>\n" + "".join(f"<p>{escape(text)}</p>\n" for text in texts) + "</section>"


def _sentence(claim: str) -> str:
    return escape(claim[:1].upper() + claim[1:]) + "."


def _badge(verdict: str) -> str:
    return f'<span class="badge {escape(verdict)}">{MARKS[verdict]} {escape(verdict)}</span>'


def _table(head: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """Cells are HTML already; on a narrow screen each row is a block, every cell with the name of its column."""
    lines = "".join(
        "<tr>"
        + "".join(f'<td data-label="{name}">{cell}</td>' for name, cell in zip(head, row, strict=True))
        + "</tr>\n"
        for row in cells
    )
    titles = "".join(f"<th>{name}</th>" for name in head)
    return f'<div class="wide"><table>\n<thead><tr>{titles}</tr></thead>\n<tbody>\n{lines}</tbody>\n</table></div>'


def _png(row: Row) -> str:
    return base64.b64encode(Path(row.stem + ".png").read_bytes()).decode()
