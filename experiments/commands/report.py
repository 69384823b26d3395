"""`rfm report`: published claims and their verdicts on one page that opens anywhere."""

import argparse
import time

from experiments.commands.figures import add_choice, choose, run_rows, tell
from experiments.output import files as reports
from experiments.papers import page

ARGUMENTS = ("seed", "out")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which rows, and whether to run again what is there."""
    add_choice(parser)
    parser.add_argument("--again", action="store_true", help="run rows again that the folder has with these settings")


def run(args: argparse.Namespace) -> None:
    """Run the rows asked for that the folder does not have, write report.html."""
    folder, scripts = reports.open_folder(args.out), choose(args)
    kept = {} if args.again else {s.name: s.done(args.size, args.out, args.seed, args.data) for s in scripts}
    made = run_rows([script for script in scripts if not kept.get(script.name)], args)
    rows = []
    for script in scripts:
        rows.append(kept.get(script.name) or next(made))
        tell(rows[-1])
    text = page.render(rows, time.strftime("%Y-%m-%d %H:%M"))
    reports.replace(folder / "report.html", lambda path: path.write_text(text, encoding="utf-8"))
    print(f"wrote {folder / 'report.html'}")
