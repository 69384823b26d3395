"""One exponent, as it is claimed, known in closed form, measured on the theory and on trained models."""

import dataclasses

from experiments.compare.verdicts import CLOSE, Verdict, judge

Z_LIMIT = 3.0  # simulation and theory agree within this many standard errors


@dataclasses.dataclass(frozen=True)
class Exponent:
    """Minus the log-log slope of a risk, by every source that has one; None where a source has none.

    Attributes:
        quantity: What it is the exponent of, in words.
        claimed: As a paper states it, and `source`: which.
        closed: The closed form.
        theory: Measured on the theory: over `window`, or at one x, `at`.
        simulated: Measured on trained models over `window`.
        stderr: Its standard error over draws.
        interval: Its 95 % interval.
        window: First and last x, None where no window was identified.
        window_error: The most that `simulated` moves where a quarter of the window is left out at either end.
        status: "steady", or what is wrong with the window.

    Example:
        >>> Exponent("time", theory=0.5, simulated=0.53, stderr=0.01).z
        3.0000000000000027
    """

    quantity: str
    claimed: float | None = None
    closed: float | None = None
    theory: float | None = None
    simulated: float | None = None
    stderr: float = 0.0
    interval: tuple[float, float] | None = None
    window: tuple[float, float] | None = None
    window_error: float = 0.0
    status: str = "steady"
    source: str = ""
    at: float | None = None

    @property
    def z(self) -> float:
        """(simulated - theory)/stderr; NaN where one of them is missing."""
        if self.simulated is None or self.theory is None:
            return float("nan")
        return (self.simulated - self.theory) / self.stderr

    @property
    def agrees(self) -> bool:
        """Is the simulated exponent within Z_LIMIT standard errors of the theory's over the same window?"""
        return self.window is not None and abs(self.z) <= Z_LIMIT

    def verdict(self, *, close: float = CLOSE, known: str = "closed form") -> Verdict:
        """Return what is measured, on trained models where there are any, beside what is claimed and known.

        Trained models are held against theory over the same window, theory against its closed form.
        """
        trained = self.simulated is not None
        measured, closed = (self.simulated, self.theory) if trained else (self.theory, self.closed)
        if measured is None:
            raise ValueError("Argument `simulated` or `theory` must be given, but is None.")
        return judge(
            self.quantity, measured, claimed=self.claimed, closed=closed, error=self.stderr if trained else 0.0,
            close=close, known=known,
        )  # fmt: skip
