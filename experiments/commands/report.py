"""`rfm report`: published claims and their verdicts on one page that opens anywhere."""

import argparse
import dataclasses
import time

from experiments.commands.figures import Settings, add_choice, choose, run_rows, tell
from experiments.commands.settings import settings_of
from experiments.output import console, files
from experiments.papers import claims_page

ARGUMENTS = ("seed", "out")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which rows, and whether to run again what is there."""
    add_choice(parser)
    parser.add_argument("--again", action="store_true", help="run rows again that the folder has already")


def run(args: argparse.Namespace) -> None:
    """Run the rows asked for that the folder does not have, write report.html, or report-NAME.html for some of them."""
    settings = settings_of(Settings, args)
    folder, scripts = files.check_folder(settings.out), choose(settings)
    run_with = (settings.size, settings.out, settings.seed, settings.data)
    kept = [None if args.again else script.done(*run_with) for script in scripts]
    made = run_rows([script for script, row in zip(scripts, kept, strict=True) if row is None], settings)
    rows = []
    for row in kept:
        rows.append(row or next(made))
        tell(rows[-1])
    text = claims_page.render(rows, time.strftime("%Y-%m-%d %H:%M"))
    name = "report" if settings.all else files.name_of("report", *settings.names)
    page = folder / f"{files.marked(name, quick=settings.size == 'smoke')}.html"
    files.replace(page, lambda path: path.write_text(text, encoding="utf-8"))
    console.tell(f"wrote {page}", {"page": str(page), "rows": [dataclasses.asdict(row) for row in rows]})
