"""`rfm scale-time`: where a larger model is a faster clock, risk(N, t) = F(N t), and where that fails."""

import argparse
import dataclasses

from experiments.commands.parsing import RICHNESS
from experiments.commands.settings import Shared, check_endless, settings_of
from experiments.output import files as reports
from experiments.output import plotting, progress
from experiments.output.tables import align
from experiments.papers.boopathy2024 import algorithms, clock, collapse, floor, noise, prediction, trained
from experiments.papers.boopathy2024 import scale_time as st
from rfm import checks

PANELS = {
    "time to a risk": clock.panel, "floor": floor.panel, "one curve": collapse.panel, "prediction": prediction.panel,
    "noise": noise.panel, "algorithms, variance 1": algorithms.STANDARD, "algorithms, variance 1/N": algorithms.NTK,
    "risk over N and N t": noise.surface,
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments and defaults of this command alone."""
    parser.add_argument("--richness", **RICHNESS)
    parser.set_defaults(a=1.5, b=1.25, noise=st.Setting(0).noise)


def run(args: argparse.Namespace) -> None:
    """Print the findings, write scale-time.png, .pdf, .csv and .json."""
    folder = reports.check_folder(args.out)
    check_endless(args)
    checks.number("richness", args.richness, 0.0, "a finite number >= 0", inclusive=True)
    settings_of(Shared, args)  # refuses anything but a power law
    sizes, stepped = (few[: 3 if args.quick else None] for few in (st.RUN_SIZES, st.T6_SIZES))
    setting = settings_of(
        st.Setting, args, sizes=sizes, pair=(sizes[0], sizes[-1]) if args.quick else (st.SMALL, st.BIG),
        stepped=stepped, steps=st.T6_STEPS, samples=st.T5_SAMPLES[: 1 if args.quick else None],
        algorithms=st.T6_ALGORITHMS,
    )  # fmt: skip
    panels = PANELS | ({"trained features": trained.panel} if args.richness > 0.0 else {})
    figure, axes = plotting.new_figure(*((3, 3) if args.richness > 0.0 else (2, 4)))
    verdicts, table = [], []
    with progress.bar(len(panels), "panel") as bar:
        for ax, (name, panel) in zip(axes.flat, panels.items(), strict=True):
            bar.set_description(name)
            part = panel(ax, setting)
            verdicts += part.verdicts
            table += part.table
            bar.update()
    text = align([("quantity", "claimed in Boopathy 2024", "measured", "verdict"), *map(dataclasses.astuple, verdicts)])
    settings = {**vars(args), "findings": [dataclasses.asdict(verdict) for verdict in verdicts]}
    reports.save_and_tell(folder, reports.Result("scale-time", table, settings, lambda: figure, text))
