"""Verdicts on a law, in words: its exponent on theory and on trained models beside the claim and the closed form."""

import dataclasses

from experiments.compare.differences import Agreement
from experiments.compare.exponent import Exponent
from experiments.compare.laws import Law
from experiments.compare.scans import Scan

SAME_EXPONENT = 0.01  # exponents that differ by less are the same


@dataclasses.dataclass(frozen=True)
class Row:
    """A law, its exponent on the theory, and the scan, exponent and verdict of trained models where there are any."""

    law: Law
    theory: float
    scan: Scan | None = None
    trained: Exponent | None = None
    agreement: Agreement | None = None

    @property
    def identified(self) -> Exponent | None:
        """The exponent of trained models, None where they have none."""
        return None if self.trained is None or self.trained.window is None else self.trained


def verdict(row: Row) -> str:
    """Return what theory and training say of the claim and of the closed form."""
    return "; ".join([theory_verdict(row), *([] if row.trained is None else [f"training {trained_verdict(row)}"])])


def theory_verdict(row: Row) -> str:
    """Return whether theory has the exponents of the claim and of the closed form."""
    law, says = row.law, []
    if law.claim is not None:
        holds = abs(row.theory - law.claim) < SAME_EXPONENT
        says.append("claim holds" if holds else "claim does not hold")
    says.append("closed form holds" if abs(row.theory - law.closed) < SAME_EXPONENT else "closed form not reached yet")
    return "; ".join(says)


def trained_verdict(row: Row) -> str:
    """Return whether trained models agree with theory, and whether they exclude a claim that is not the closed form."""
    law, trained, says = row.law, row.trained, [] if row.agreement is None else [row.agreement.words]
    if trained is not None and trained.window is None:
        says.append(trained.status)
    elif trained is not None:
        low, high = trained.interval
        if law.claim is not None and abs(law.claim - law.closed) > SAME_EXPONENT and not low <= law.claim <= high:
            says.append("excludes the claim")
    return "; ".join(says)
