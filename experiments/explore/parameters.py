"""Numbers and choices on the page of `rfm explore`: their names, ranges, labels, and what they mean."""

import math
from typing import NamedTuple

from experiments.compare.algorithms import FULL_BATCH
from rfm import checks
from rfm.sgd import DRAWN_ANEW, ORDERS

WITH_THEORY = (*FULL_BATCH, "sgd")  # algorithms that have a theory
ALGORITHM_LABELS = {
    "flow": "gradient flow", "gd": "gradient descent", "heavy-ball": "heavy ball", "nesterov": "Nesterov",
    "sgd": "SGD",
}  # fmt: skip
NO_AVERAGE = "none"


class Parameter(NamedTuple):
    """A number that can be set: its range, and whether its slider is logarithmic, and reaches on to 0 or infinity."""

    label: str
    help: str
    low: float
    high: float
    log: bool = False
    whole: bool = False
    zero: bool = False
    infinite: bool = False
    step: float = 0.01  # of the slider, in log10 where that is logarithmic

    @property
    def allowed(self) -> str:
        """The range in words."""
        kind = "a whole number" if self.whole else "a number"
        more = (", or 0" if self.zero else "") + (", or inf" if self.infinite else "")
        return f"{kind} from {self.low:g} to {self.high:g}{more}"

    def check(self, name: str, value: object) -> float:
        """Return the value, a number or its text, as a number.

        Raises:
            ValueError: It is outside the range; names it, and what is allowed.
        """
        try:
            x = float(value) if isinstance(value, int | float | str) else math.nan
        except ValueError:
            x = math.nan
        special = (self.zero and x == 0) or (self.infinite and x == math.inf)
        if not special and not (self.low <= x <= self.high and (not self.whole or x == round(x))):
            checks.fail(name, self.allowed, value)
        return int(x) if self.whole and math.isfinite(x) else x

    def position(self, value: float) -> float:
        """Return where the slider stands: log10 where it is logarithmic, one step past an end for 0 and infinity."""
        if not self.log:
            return value
        if value in (0.0, math.inf):
            first, last = self.ends
            return first if value == 0 else last
        return math.log10(value)

    def value(self, position: float) -> float:
        """Return the number at a position, as the slider shows it: three digits, or a whole number."""
        if self.infinite and position > math.log10(self.high) + 0.5 * self.step:
            return math.inf
        if self.zero and position < math.log10(self.low) - 0.5 * self.step:
            return 0.0
        x = min(max(10.0**position if self.log else position, self.low), self.high)
        return round(x) if self.whole else float(f"{x:.3g}")

    @property
    def middle(self) -> float:
        """The number in the middle of the slider."""
        return self.value(0.5 * sum(self.ends))

    @property
    def ends(self) -> tuple[float, float]:
        """First and last position of the slider."""
        if not self.log:
            return self.low, self.high
        low, high = math.log10(self.low), math.log10(self.high)
        return low - self.step * self.zero, high + self.step * self.infinite


class Choice(NamedTuple):
    """A text that can be chosen; others than `options` are allowed where the theory knows them."""

    label: str
    help: str
    options: tuple[str, ...]


# momentum beyond 0.9 needs contours of so many nodes that a curve takes longer than a page should;
# a power law of 512 modes or fewer is an array, whose length would compile anew
PARAMETERS = {
    "a": Parameter(
        "a, task", "How fast the power of the target falls: mode k has \u03bb\u2096w\u2096\u00b2 = k^\u2212a. "
        "Larger a: more of the target is in the first modes, and learning is faster.", 1.01, 6.0,
    ),
    "b": Parameter(
        "b, spectrum", "How fast the eigenvalues of the kernel fall: \u03bb\u2096 = k^\u2212b. Larger b: later modes "
        "are learned later. The task is hard where a \u2212 1 < b, else easy.", 0.1, 4.0,
    ),
    "N": Parameter(
        "N, model size", "The number of random features, and so of trained weights. Infinite: the kernel "
        "method.", 1, 65_536, log=True, whole=True, infinite=True,
    ),
    "P": Parameter(
        "P, data", "The number of training samples. Infinite: fresh samples at every step, so that nothing is seen "
        "twice.", 1, 65_536, log=True, whole=True, infinite=True,
    ),
    "K": Parameter(
        "K, models averaged", "An ensemble: predictions of K models with features of their own, trained on the same "
        "data, are averaged.", 1, 64, log=True, whole=True, infinite=True, step=0.05,
    ),
    "noise": Parameter(
        "\u03c3\u00b2, label noise", "The variance of the noise in the labels. The risk does not count it, the "
        "training loss and the test loss do.", 1e-6, 10.0, log=True, zero=True, step=0.05,
    ),
    "richness": Parameter(
        "\u03b3, richness", "How fast the features are trained, relative to the readout. 0: features stay as "
        "they are drawn, which is called lazy.", 1e-3, 100.0, log=True, zero=True, step=0.05,
    ),
    "M": Parameter(
        "M, modes", "The number of eigenvalues. Beyond N and P it hardly matters.",
        1000, 10**9, log=True, whole=True, step=0.1,
    ),
    "lr": Parameter(
        "learning rate", "The size of a step along the gradient; the largest one of a schedule.", 1e-4, 10.0, log=True
    ),
    "momentum": Parameter("momentum", "The fraction of the last step that is added to the next one.", 0.0, 0.9),
    "batch": Parameter(
        "B, batch size", "The number of samples whose mean gradient a step follows; at most P.",
        1, 4096, log=True, whole=True, step=0.05,
    ),
    "start": Parameter("first time", "Where the figures begin.", 1e-3, 1e7, log=True, step=0.1),
    "stop": Parameter(
        "last time", "Where training ends: time is learning rate times steps for gradient flow, else the number of "
        "steps.", 1e-2, 1e8, log=True, step=0.1,
    ),
}  # fmt: skip
CHOICES = {
    "algorithm": Choice(
        "algorithm", "What trains. Gradient flow is gradient descent with infinitely small steps; SGD follows the "
        "gradient of a batch, the others that of all samples.", WITH_THEORY,
    ),
    "schedule": Choice(
        "schedule", "How the learning rate changes: after a rise over 5 % of the steps it stays (constant: no rise), "
        "or falls to zero as a line, a half cosine, a line over the last part (wsd), or a power.",
        ("constant", "linear", "cosine", "wsd", "wsd:0.5", "power", "power:1.5"),
    ),
    "average": Choice(
        "average", "Of the weights over steps, whose risk is drawn too: exponential with a decay, of all steps "
        "(polyak), or of the last part (tail).", (NO_AVERAGE, "0.9", "0.99", "0.999", "polyak", "tail", "tail:0.2"),
    ),
    "order": Choice(
        "order", "How P samples are seen: batches drawn anew at every step, or epochs, in which each is seen once, "
        "shuffled anew or in a fixed order.", ORDERS,
    ),
}  # fmt: skip
OPTION_OF = {"lr": "lr", "momentum": "momentum", "batch": "batch_size"}  # names here and in `ALGORITHMS`
TEXTS = ("schedule", "average", "order")  # likewise, by the same name
USUAL = {"schedule": "constant", "average": NO_AVERAGE, "order": DRAWN_ANEW}
