"""`rfm scale-time`: where a larger model is a faster clock, risk(N, t) = F(N t), and where that fails."""

import argparse
import dataclasses

from tqdm import tqdm

from experiments.output import files as reports
from experiments.output import plotting
from experiments.output.tables import align
from experiments.papers.boopathy2024 import algorithms as t6
from experiments.papers.boopathy2024 import clock as t1
from experiments.papers.boopathy2024 import collapse as t3
from experiments.papers.boopathy2024 import floor as t2
from experiments.papers.boopathy2024 import noise as t5
from experiments.papers.boopathy2024 import prediction as t4
from experiments.papers.boopathy2024 import scale_time as st
from rfm import checks

PANELS = {
    "T1": t1.panel, "T2": t2.panel, "T3": t3.panel, "T4": t4.panel,
    "T5": t5.panel, "T6 standard": t6.panel_of("standard"), "T6 ntk": t6.panel_of("ntk"), "surface": t5.surface,
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Defaults of this command alone."""
    parser.set_defaults(a=1.5, b=1.25, noise=st.Setting(0).noise)


def run(args: argparse.Namespace) -> None:
    """Print the findings, write scale-time.png, .pdf, .csv and .json."""
    folder = reports.open_folder(args.out)
    checks.number("a", args.a, 1.0, "a number > 1")
    checks.number("b", args.b, 1.0, "a number > 1 (infinitely many modes, a trace that converges)")
    few = slice(3 if args.quick else None)
    setting = st.Setting(
        args.seed, args.a, args.b, args.noise, args.modes, args.seeds, st.SIZES[few], (st.SMALL, st.BIG), st.TRAINED,
        st.STEPS, st.SAMPLES[:1] if args.quick else st.SAMPLES,
    )  # fmt: skip
    figure, axes = plotting.new_figure(2, 4)
    findings, rows = [], []
    with tqdm(total=len(PANELS), unit="panel") as bar:
        for ax, (name, panel) in zip(axes.flat, PANELS.items(), strict=True):
            bar.set_description(name)
            found, points = panel(ax, setting)
            findings += found
            rows += points
            bar.update()
    print(align([("", "S2 says", "measured", "verdict"), *map(dataclasses.astuple, findings)]))
    settings = {**vars(args), "findings": [dataclasses.asdict(f) for f in findings]}
    written = reports.save(folder, "scale-time", figure, rows, settings)
    print("wrote " + ", ".join(str(path) for path in written))
