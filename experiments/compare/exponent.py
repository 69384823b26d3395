"""One exponent, as it is claimed, known in closed form, measured on the theory and on trained models."""

import dataclasses
import math

from experiments.compare.verdicts import CLOSE, Verdict, judge


@dataclasses.dataclass(frozen=True)
class Exponent:
    """Minus the log-log slope of a risk, by every source that has one; NaN where a number was not measured.

    Attributes:
        quantity: What it is the exponent of, in words.
        claimed: As a paper states it, None where none does.
        closed: The closed form, None where none is known.
        theory: Measured on the theory: over `window`, or at one x.
        simulated: Measured on trained models over `window`.
        stderr: Its standard error over draws.
        interval: Its 95 % interval.
        window: First and last x, None where no window was identified or needed.
        window_error: The most that `simulated` moves where a quarter of the window is left out at either end.
        status: "steady", or what is wrong with the window.

    Example:
        >>> Exponent("time", claimed=0.5, theory=0.6, closed=0.6).verdict().verdict
        'contradicted'
    """

    quantity: str
    claimed: float | None = None
    closed: float | None = None
    theory: float = math.nan
    simulated: float = math.nan
    stderr: float = math.nan
    interval: tuple[float, float] = (math.nan, math.nan)
    window: tuple[float, float] | None = None
    window_error: float = math.nan
    status: str = "steady"

    def verdict(self, *, close: float = CLOSE) -> Verdict:
        """Return what is measured, on trained models where there are any, beside what is claimed and known.

        Trained models are held against theory over the same window, theory against its closed form.
        """
        trained = math.isfinite(self.simulated)
        measured, closed = (self.simulated, self.theory) if trained else (self.theory, self.closed)
        error, known = (self.stderr, "theory there") if trained else (0.0, "closed form")
        return judge(
            self.quantity, measured, claimed=self.claimed, closed=closed, error=error, close=close, known=known
        )
