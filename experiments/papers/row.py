"""A row: one published figure or claim as a script that runs, with its figure, table, findings and verdict."""

import dataclasses
import json
import math
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
from matplotlib.figure import Figure

from experiments.compare.verdicts import CONFIRMED, VERDICTS, Verdict, overall
from experiments.output import console, files
from rfm import checks

SCALES = ("full", "smoke")
Counts = tuple[int, ...]  # parameters of rows
Values = tuple[float, ...]
LETTERS = 14  # of a title, to an inch
DECIDING = 2  # verdicts that a line has room for


@dataclasses.dataclass(frozen=True)
class Shown:
    """Results of a row.

    Attributes:
        figure: Theory and simulation.
        table: The points of the figure, a dict a point.
        findings: A verdict a quantity.
    """

    figure: Figure
    table: Sequence[dict]
    findings: tuple[Verdict, ...]


@dataclasses.dataclass(frozen=True)
class Row:
    """A row that has run.

    Attributes:
        name, title, source, claim, limits: As in `Script`.
        findings: A verdict a quantity.
        verdict: The verdict on all.
        size, seed, parameters: What it ran with.
        seconds: Wall time.
        versions: Versions of packages, and the machine.
        stem: Path of its files without their endings.
    """

    name: str
    title: str
    source: str
    claim: str
    limits: str
    findings: tuple[Verdict, ...]
    verdict: str
    size: str
    seed: int
    parameters: dict
    seconds: float
    versions: dict
    stem: str

    @property
    def deciding(self) -> str:
        """The numbers that decide: the first findings with the verdict of the row."""
        deciding = [finding for finding in self.findings if finding.verdict == self.verdict]
        texts = [f"{finding.quantity}: {finding.measured}{_claimed(finding)}" for finding in deciding[:DECIDING]]
        more = len(deciding) - DECIDING
        return "; ".join([*texts, f"and {more} more"] if more > 0 else texts)

    @property
    def line(self) -> str:
        """Name, verdict and the numbers that decide it."""
        return f"{self.name}: {self.verdict}. {self.deciding}"


def _claimed(finding: Verdict) -> str:
    return "" if finding.verdict == CONFIRMED or finding.claimed == "-" else f", claimed {finding.claimed}"


@dataclasses.dataclass(frozen=True)
class Script:
    """The statement of a row, and the function that shows it: show(seed=..., **full) or show(seed=..., **smoke).

    Attributes:
        name: As on the command line.
        title: Of its figure.
        source: Paper, and figure or claim there.
        claim: What the paper says, as a clause.
        show: Computes it.
        full, smoke: Parameters of either size, by name.
        limits: What the paper shows and this row does not, and the command that would; empty where nothing is left out.
    """

    name: str
    title: str
    source: str
    claim: str
    show: Callable[..., Shown]
    full: dict[str, Any]
    smoke: dict[str, Any]
    limits: str = ""

    def parameters(self, size: str, data: str | None = None) -> dict[str, Any]:
        """Return the parameters of a size.

        Args:
            size: One of SCALES.
            data: FILE.npz or the name of a data set, in place of the real data of a row.

        Raises:
            ValueError: The size is unknown, or the row takes no data.
        """
        checks.one_of("size", size, SCALES)
        chosen = self.full if size == "full" else self.smoke
        if data is None:
            return chosen
        if "data" not in chosen:
            checks.fail("data", f"left out for {self.name}, which takes none", data)
        return chosen | {"data": data}

    def __call__(self, size: str = "full", out: str = "results", seed: int = 0, data: str | None = None) -> Row:
        """Run in float64; write NAME.png, .pdf, .csv and .json under `out`, NAME-quick in smoke size.

        Arguments and errors as `parameters`.
        """
        planned = self._planned(size, out, seed, data)
        folder = files.check_folder(out)
        start = time.perf_counter()
        with jax.enable_x64(True):
            shown = self.show(seed=seed, **self.parameters(size, data))
        seconds = time.perf_counter() - start
        row = dataclasses.replace(planned, findings=shown.findings, verdict=overall(shown.findings), seconds=seconds)
        settings = dataclasses.asdict(row)
        del settings["versions"], settings["stem"]  # those are in every record, and where the record is
        files.save(folder, files.Result(self.name, shown.table, settings, lambda: headed(shown.figure, row)))
        return row

    def path(self, size: str, out: str) -> Path:
        """Return the record of a row of that size."""
        return Path(out) / f"{files.marked(self.name, quick=size == 'smoke')}.json"

    def done(self, size: str, out: str, seed: int, data: str | None = None) -> Row | None:
        """Return the row as an earlier run left it, None where there is none with these parameters and versions."""
        path = self.path(size, out)
        try:
            row = read(path)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        same = dataclasses.replace(row, findings=(), verdict="", seconds=0.0) == self._planned(size, out, seed, data)
        return row if same and files.whole(path.with_suffix("")) else None

    def _planned(self, size: str, out: str, seed: int, data: str | None) -> Row:
        """Return the row before it has run, with parameters as they come back from a record."""
        return Row(
            name=self.name, title=self.title, source=self.source, claim=self.claim, limits=self.limits,
            findings=(), verdict="", size=size, seed=seed,
            parameters=json.loads(console.as_json(self.parameters(size, data))),
            seconds=0.0, versions=files.versions(), stem=str(self.path(size, out).with_suffix("")),
        )  # fmt: skip


def headed(figure: Figure, row: Row) -> Figure:
    """Return the figure of a row with its claim and verdict above what lines and points are."""
    message = textwrap.fill(f"Claim: {row.claim}. Verdict: {row.verdict}.", int(LETTERS * figure.get_figwidth()))
    figure.suptitle(f"{message}\n{figure.get_suptitle()}".strip(), fontsize=8, color="0.35")
    return figure


def read(path: Path) -> Row:
    """Return the row that NAME.json records.

    Raises:
        OSError, ValueError, KeyError, TypeError: The file is not there, or no record of a row.
    """
    record = json.loads(path.read_text())
    settings = record["settings"]
    findings = tuple(Verdict(**finding) for finding in settings["findings"])
    if not math.isfinite(settings["seconds"]):
        raise ValueError(f"{path} has no wall time.")
    texts = [text for finding in findings for text in dataclasses.astuple(finding)]
    verdicts = {settings["verdict"], *(finding.verdict for finding in findings)}
    if not all(isinstance(text, str) for text in texts) or not verdicts <= set(VERDICTS):
        raise ValueError(f"{path} has findings that no row makes.")
    return Row(**settings | {"findings": findings}, versions=record["versions"], stem=str(path.with_suffix("")))
