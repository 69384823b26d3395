"""A row: one published figure or claim as a script that runs, with its figure, table, findings and verdict."""

import dataclasses
import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import jax

from experiments.compare import verdicts as findings
from experiments.compare.verdicts import Verdict
from experiments.output import files as reports
from rfm import checks

SIZES = ("full", "smoke")
DECIDING = 2  # findings that a verdict line has room for


@dataclasses.dataclass(frozen=True)
class Shown:
    """What a row computes: the figure, its points as rows of a table, and the findings."""

    figure: object
    table: list[dict]
    findings: tuple[Verdict, ...]


@dataclasses.dataclass(frozen=True)
class Row:
    """A row that has run. stem: its files without their endings; seconds: wall time; limits: what is not run here."""

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
        """The numbers that decide: those of the first findings with the verdict of the row."""
        found = [f for f in self.findings if f.verdict == self.verdict]
        told = "; ".join(f"{f.quantity}: {f.measured}" + _claimed(f) for f in found[:DECIDING])
        more = len(found) - DECIDING
        return told + (f"; and {more} more" if more > 0 else "")

    @property
    def line(self) -> str:
        """Name, verdict and the numbers that decide it."""
        return f"{self.name}: {self.verdict}. {self.deciding}"


def _claimed(finding: Verdict) -> str:
    return "" if finding.verdict == findings.CONFIRMED or finding.claimed == "-" else f", claimed {finding.claimed}"


@dataclasses.dataclass(frozen=True)
class Script:
    """The statement of a row, and the function that shows it: show(seed=..., **full) or show(seed=..., **smoke).

    limits: what the paper shows and this row does not, and the command that would; empty where nothing is left out.
    """

    name: str
    title: str
    source: str
    claim: str
    show: Callable[..., Shown]
    full: dict
    smoke: dict
    limits: str = ""

    def parameters(self, size: str, data: str | None = None) -> dict:
        """Those of a size; data: FILE.npz or a name, in place of the real data of a row.

        Raises ValueError for an unknown size, and for data where the row takes none.
        """
        checks.one_of("size", size, SIZES)
        chosen = getattr(self, size)
        if data is None:
            return chosen
        if "data" not in chosen:
            checks.fail("data", f"left out for {self.name}, which takes none", data)
        return chosen | {"data": data}

    def __call__(self, size: str = "full", out: str = "results", seed: int = 0, data: str | None = None) -> Row:
        """Run in float64; write NAME.png, .pdf, .csv and .json under `out`. Errors as `parameters`."""
        parameters = self.parameters(size, data)
        folder = reports.open_folder(out)
        start = time.perf_counter()
        with jax.enable_x64(True):
            shown = self.show(seed=seed, **parameters)
        settings = {
            "name": self.name, "title": self.title, "source": self.source, "claim": self.claim, "limits": self.limits,
            "findings": [dataclasses.asdict(f) for f in shown.findings], "verdict": findings.overall(shown.findings),
            "size": size, "seed": seed, "parameters": parameters, "seconds": time.perf_counter() - start,
        }  # fmt: skip
        reports.save(folder, self.name, shown.figure, shown.table, settings)
        return read(folder / f"{self.name}.json")

    def done(self, size: str, out: str, seed: int, data: str | None = None) -> Row | None:
        """The row as an earlier run left it, None where there is none with these parameters and versions."""
        path = Path(out) / f"{self.name}.json"
        try:
            row = read(path)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        parameters = json.loads(json.dumps(self.parameters(size, data), default=str))
        same = dataclasses.replace(
            row, title=self.title, source=self.source, claim=self.claim, limits=self.limits, size=size, seed=seed,
            parameters=parameters, versions=reports.versions(),
        ) == row  # fmt: skip
        return row if same and all(path.with_suffix(end).exists() for end in (".png", ".pdf", ".csv")) else None


def read(path: Path) -> Row:
    """The row that NAME.json tells of. Raises ValueError or KeyError for a file that is not one."""
    record = json.loads(Path(path).read_text())
    settings = record["settings"]
    told = settings | {"findings": tuple(Verdict(**f) for f in settings["findings"])}
    if not math.isfinite(told["seconds"]):
        raise ValueError(f"{path} has no wall time.")
    return Row(**told, versions=record["versions"], stem=str(Path(path).with_suffix("")))
