"""Rows that have run as one HTML page that needs nothing else: no script, no network, figures inside."""

import base64
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from experiments.compare.verdicts import CONFIRMED, CONTRADICTED, OPEN, REFINED, VERDICTS
from experiments.output import pages
from experiments.papers.row import Row

MARKS = {CONFIRMED: "✓", REFINED: "≈", CONTRADICTED: "✗", OPEN: "?"}  # read where colours are not seen


def render(rows: Sequence[Row], written: str) -> str:
    """Return the whole page: claims and verdicts, then every row with its figure, verdicts and settings.

    Args:
        rows: Their figures are read from their files.
        written: When.
    """
    counts = Counter(row.verdict for row in rows)
    return pages.render(
        "report.html",
        rows=rows,
        written=written,
        marks=MARKS,
        counts=", ".join(f"{counts[verdict]} {verdict}" for verdict in reversed(VERDICTS) if counts[verdict]),
        images={row.name: base64.b64encode(Path(row.stem + ".png").read_bytes()).decode() for row in rows},
        settings={row.name: _settings(row) for row in rows},
        versions=dict.fromkeys(", ".join(f"{k} {v}" for k, v in row.versions.items() if v) for row in rows),
    )


def _settings(row: Row) -> str:
    settings = {"size": row.size, "seed": row.seed, "parameters": row.parameters, "seconds": round(row.seconds, 1)}
    return json.dumps(settings, indent=2)
