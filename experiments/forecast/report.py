"""A forecast in words and in tables, as it is printed."""

import math
from collections.abc import Sequence

from experiments.forecast.bands import Band, interval
from experiments.forecast.curves import Grid, Line, Peak
from experiments.forecast.decisions import Decision
from experiments.forecast.forecasts import Forecast
from experiments.forecast.job import Foretold
from experiments.forecast.laws import ExponentBands, Plan, has_signal
from experiments.forecast.source import Source
from experiments.output.tables import align
from rfm.data.spectra import Estimate

WIDE = 0.8  # spread of the rows beyond which they are rarely one shape at many sizes, as the theory takes them
MARK = "*"
EXTRAPOLATED = (
    f"{MARK} not supported by the sample: known rows scatter too much, or P is beyond them and theory far off"
)
UNKNOWN = "?"
NO_BAND = f"± {UNKNOWN}: no band, since the known rows scatter too much or not at all"
FAR = 0.25  # log ratio of training and theory at half of the rows that is worth a warning
SIZE_LETTERS = {"features": ("N", "P"), "samples": ("P", "N")}  # of an axis and of the other size


def lines(name: str, source: Source, foretold: Foretold) -> list[str]:
    """Return the printed report of a forecast from the rows in a file of that name."""
    plan = foretold.plan
    return [
        *decision_lines(foretold.decision),
        *_data_lines(name, source, foretold.forecast.estimate),
        *warning_lines(foretold.forecast),
        *_copies_lines(foretold),
        *accuracy_lines(foretold.forecast),
        _size_table(foretold.grid),
        *(_peak_line(*pair) for pair in zip(foretold.lines, foretold.peaks, strict=True)),
        *([_exponent_table(foretold.exponents)] if foretold.exponents else []),
        *([] if plan is None else [_plan_line(plan, i, foretold.num_samples) for i in range(len(plan.compute))]),
    ]


def decision_lines(decision: Decision) -> list[str]:
    """Say what more rows buy, and how many rows a loss takes; all features, stopped at the best time."""
    known = decision.known
    now, _ = decision.at(1.0)
    bought = []
    for multiple in (2.0, 4.0):
        loss, far = decision.at(multiple)
        change = float(loss.value / now.value) - 1.0
        bought.append(f"{multiple:.0f} x rows {_plus_minus(loss)}{MARK * far} ({change:+.1%})")
    half, _ = decision.at(0.5)
    told = []
    for rows in decision.rows:
        loss = f"{rows.loss:.6g}"
        if not rows.within:
            most, least = decision.samples[-1], decision.samples[0]
            bound = f"more than {most:.3g}" if math.isinf(rows.samples.value) else f"at most {least:.3g}"
            told.append(f"{loss}: {bound}")
        else:
            first, last = sorted((rows.samples.low, rows.samples.high))
            ends = [
                f"more than {decision.samples[-1]:.3g}" if math.isinf(x) else size(float(f"{x:.2g}"))
                for x in (first, last)
            ]
            told.append(f"{loss}: {size(float(f'{rows.samples.value:.2g}'))} rows ({' .. '.join(ends)})")
    return [
        f"What do 2 x rows buy? All {known} rows: loss {_plus_minus(now)} (half of them {float(half.value):.4g}); "
        + ", ".join(bought),
        "How many rows for loss L? " + "; ".join(told),
    ]


def warning_lines(forecast: Forecast) -> list[str]:
    """Say how far training on half of the rows is from the theory, and where a loss rests on what no row shows."""
    correction, text = forecast.correction, []
    if correction is None:
        return text
    far, at = correction.farthest()
    half = size(round(correction.rows / 2))
    if far > FAR:
        text.append(
            f"WARNING: training on {half} of the rows is up to a factor of {math.exp(far):.2f} from the theory (at t = "
            f"{at:.3g}). The forecast is corrected by it up to the known rows; beyond them expect errors of that size"
        )
    if forecast.unseen_noise > 0:
        text.append(
            f"no label noise found: at most {forecast.unseen_noise:.2g} (3/n of the label variance, 95 %), which the "
            "bands include"
        )
    return text


def accuracy_lines(forecast: Forecast) -> list[str]:
    """Say the measured accuracy of classes, and what is not said."""
    if not forecast.accuracy:
        return []
    told = [f"{one.value:.1%} ± {1.96 * one.stderr:.1%} at P = {one.num_samples:.0f}" for one in forecast.accuracy]
    return [
        f"accuracy on held-out known rows, N = inf, least loss over times: {', '.join(told)}; there is no forecast of "
        "it, since squared error does not determine accuracy (Gaussian scores of the same moments are 2 to 4 points "
        "too high on digits and mnist), nor of cross-entropy: outputs trained by squared error are not probabilities"
    ]


def _copies_lines(foretold: Foretold) -> list[str]:
    """Say both losses of rows that repeat: on new rows, and where later rows repeat the known ones too."""
    if foretold.of_copies is None:
        return []
    new = foretold.grid.stopping[len(foretold.grid.features) - 1, len(foretold.grid.samples) - 1].loss
    return [
        f"two losses at P = {size(foretold.num_samples)}: {_plus_minus(new)} on rows that repeat none of those trained "
        f"on, {foretold.of_copies:.4g} on the other rows of this file, which repeat them; the data cannot tell which "
        "you need"
    ]


def _data_lines(name: str, source: Source, estimate: Estimate) -> list[str]:
    """Say what the sample determines of spectrum, target and noise."""
    outputs = 1 if source.labels.ndim == 1 else source.labels.shape[1]
    what = "kernel" if source.kernel else f"{source.data.shape[1]} features"
    text = [
        f"{name}: {len(source)} rows, {what}, {outputs} output{'s' * (outputs > 1)}. Loss: held-out squared error, "
        "summed over outputs, label noise included; band: 95 % over other samples of rows.",
        *source.remarks,
        _noise_line(estimate),
        f"spectrum: the sample determines {estimate.trusted} modes; {_tail(estimate)}",
    ]
    if not has_signal(estimate.sample):
        text.append(
            "no signal found: the features explain no more of the labels than of pure noise, so there are no exponents"
        )
    if estimate.spread > WIDE:
        text.append(
            f"WARNING: the sizes of rows vary by {estimate.spread:.0%} of their mean more than those of Gaussian rows. "
            "The theory takes sizes into account, but assumes that small and large rows are alike in all else, which "
            "is rarely true. Trust the errors that --check finds, not the band"
        )
    return text


def _noise_line(estimate: Estimate) -> str:
    noise, sample = interval(estimate, "noise_var"), estimate.sample
    said = f"labels: variance {sample.total:.4g}, of it noise {noise.value:.4g} "
    if noise.value <= 0.0 or not math.isfinite(noise.high):
        why = (
            "it cannot be separated from modes still to learn" if noise.value <= 0.0 else "too few rows for an interval"
        )
        return said + f"({why})"
    return said + f"({max(noise.low, 0.0):.3g} .. {noise.high:.3g}), which no training set goes below"


def _tail(estimate: Estimate) -> str:
    a, b = interval(estimate, "a"), interval(estimate, "b")
    if not (math.isfinite(a.value) and math.isfinite(b.value)):
        return "no power law fits"
    law = f"eigenvalues ~ {_power(b)}" + (f", target power ~ {_power(a)}" if has_signal(estimate.sample) else "")
    return law + (", continued beyond them" if estimate.problem.tail is not None else ", and there are no others")


def _power(band: Band) -> str:
    """k to the minus band."""
    falls = band.value >= 0
    return "k^-" + _interval(band) if falls else "k^" + _interval(Band(-band.value, -band.high, -band.low))


def _interval(band: Band) -> str:
    if not (math.isfinite(band.low) and math.isfinite(band.high)):
        return f"{band.value:.3f} (no interval)"
    return f"{band.value:.3f} ({band.low:.3f} .. {band.high:.3f})"


def _plus_minus(band: Band) -> str:
    """A value and half the width of its interval, if it is one."""
    if not band.known:
        return f"{band.value:.4g} ± {UNKNOWN}"
    return f"{band.value:.4g} ± {0.5 * (band.high - band.low):.2g}"


def size(value: float) -> str:
    """Return a model or data size in words."""
    return "inf" if math.isinf(value) else f"{value:.4g}" if value != round(value) else f"{value:.0f}"


def _size_table(grid: Grid) -> str:
    """One row a pair of sizes."""
    last = f"t = {grid.times[-1]:.3g}"
    cells = [("N", "P", "best stopping (at t)", "best ridge (ridge)", last, "loss above noise")]
    far = grid.extrapolated[..., -1]
    for i, n in enumerate(grid.features):
        for j, p in enumerate(grid.samples):
            stop, ridge = grid.stopping[i, j], grid.ridge[i, j]
            cells.append((
                size(n), size(p) + MARK * bool(far[i, j]), f"{_plus_minus(stop.loss)} ({stop.at:.3g})",
                f"{_plus_minus(ridge.loss)} ({f'{ridge.at:.2g}' if ridge.gains else 'none'})",
                _plus_minus(grid.end.at((i, j))),
                f"{max(0.0, float(stop.loss.value) - grid.noise):.3g}",
            ))  # fmt: skip
    wide = any(UNKNOWN in cell for row in cells for cell in row)
    return align(cells) + f"\n{EXTRAPOLATED}" * bool(far.any()) + f"\n{NO_BAND}" * wide


def _peak_line(line: Line, peak: Peak | None) -> str:
    """One sentence of a line."""
    along, other = SIZE_LETTERS[line.axis]
    if peak is None:
        late = line.end.value / line.stopped.value
        i = int(late.argmax())
        return (
            f"no interpolation peak along {along} = {line.x[0]:.0f} .. {line.x[-1]:.0f} at {other} = "
            f"{size(line.fixed)}; loss at t = {line.time:.3g} at most {late[i] - 1:.1%} "
            f"above that of the best stopping (at {along} = {line.x[i]:.0f})"
        )
    return (
        f"interpolation peak at {along} = {round(peak.at)} ({other} = {size(peak.fixed)}, t = {line.time:.3g}): "
        f"loss {peak.loss:.4g}, {peak.height:.3g} times the least before it; early stopping leaves "
        f"{peak.stopped:.2f} of it, the best ridge {peak.ridge:.2f}" + " (extrapolation)" * peak.extrapolated
    )


def _exponent_table(exponents: Sequence[ExponentBands]) -> str:
    """One row an exponent."""
    cells = [("exponent, no noise, all else infinite", "endless power law", "this spectrum", "at (95 %)")]
    for law in exponents:
        closed, measured = (
            _interval(band) if math.isfinite(band.value) else "-" for band in (law.closed, law.measured)
        )  # fmt: skip
        cells.append((law.quantity, closed, measured, f"{law.at:.3g}"))
    return align(cells)


def _plan_line(plan: Plan, i: int, num_samples: float) -> str:
    """One sentence of a budget."""
    features, times, loss = (band.at(i) for band in (plan.features, plan.times, plan.loss))
    ends = f" ({features.low:.3g} .. {features.high:.3g})" if math.isfinite(features.low) else ""
    budget = f"budget C = N t = {plan.compute[i]:.3g}, P = {size(num_samples)}: "
    if math.isfinite(plan.columns[i]):
        return (
            f"{budget}all {plan.columns[i]:.0f} columns (N = inf, which costs {plan.columns[i]:.0f}), t = "
            f"{times.value:.3g}, loss {_plus_minus(loss)}; no number of projections is better"
        )
    return (
        f"{budget}N = {features.value:.3g}{ends}, t = {times.value:.3g}, loss {_plus_minus(loss)}; here "
        f"N* ~ C^{plan.size_exponent[i]:.2f}, loss* ~ C^-{plan.loss_exponent[i]:.3f}"
        + ("" if plan.converged[i] else "; NOT CONVERGED")
    )
