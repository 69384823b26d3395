"""The law of schedules: against sums written out, its derivatives, recovery of what made the losses, runs held out."""

import numpy as np
import pytest
from scipy.integrate import simpson

from experiments.fit import fit_losses
from experiments.fit.schedule_law import EmpiricalLaw, Schedule, ScheduleLaw
from experiments.fit.several_sizes import SeveralSizes

TRUTH = {"L0": 2.0, "A": 4.0, "C": 30.0, "u": 20.0, "a": 1.7, "b": 1.4}
THETA = np.array([*np.log([TRUTH[name] for name in ("L0", "A", "C", "u")]), 1.7, 1.4])


def schedule(kind, length, every=1):
    """Steps and rates of a run: constant, cosine to a tenth, or a drop after two thirds."""
    steps = np.arange(every, length + 1, every, float)
    rates = {
        "constant": np.full(len(steps), 0.01),
        "cosine": 0.01 * (0.55 + 0.45 * np.cos(np.pi * steps / length)),
        "drop": np.where(steps < 2 * length / 3, 0.01, 0.003),
    }[kind]
    return Schedule(steps, rates, np.ones(len(steps)))


def written_out(steps, rates, batches, wanted):
    """The law at some steps: a loop over tenths of steps, Simpson's rule over modes."""
    k = np.geomspace(1.0, 1e8, 4001)
    out = []
    for stop in wanted:
        total, noise = 0.0, 0.0
        for t in np.arange(stop, 0.0, -0.1) - 0.05:
            past = TRUTH["u"] * np.interp(t, [0.0, *steps], [0.0, *rates])
            now = np.exp(-2.0 * k**-1.4 * (total + 0.05 * past))
            noise += 0.1 * past**2 / batches[int(np.ceil(t)) - 1] * simpson(k**-1.8 * now, x=np.log(k))
            total += 0.1 * past
        signal = simpson(k**-0.7 * np.exp(-2.0 * k**-1.4 * total), x=np.log(k))
        out.append((TRUTH["L0"] + TRUTH["A"] * signal, TRUTH["C"] * noise))
    return np.array(out).T


@pytest.mark.parametrize("kind", ["constant", "cosine", "drop"])
def test_law_is_its_sums(kind):
    run, wanted = schedule(kind, 60), np.array([10, 30, 45, 60])
    batches = np.where(run.steps > 30, 2.0, 1.0)
    clean, noise = written_out(run.steps, run.rates, batches, wanted)
    law = ScheduleLaw((run._replace(batches=batches),))
    quiet = np.array([*THETA[:2], -30.0, *THETA[3:]])
    np.testing.assert_allclose(law.loss(quiet)[wanted - 1], clean, rtol=2e-3)
    fitted = (law.loss(THETA) - law.loss(quiet))[wanted - 1]
    np.testing.assert_allclose(fitted, noise, rtol=1e-2)
    plain = ScheduleLaw((run,))  # the control: the same without the batches
    assert np.abs((plain.loss(THETA) - plain.loss(quiet))[wanted - 1] / noise - 1.0).max() > 0.1


@pytest.mark.parametrize("name", ["schedule", "empirical", "sizes"])
def test_derivatives(name):
    runs = schedule("cosine", 300, 10), schedule("drop", 200, 10)
    law, theta = ScheduleLaw(runs), THETA
    if name == "empirical":
        law, theta = EmpiricalLaw(runs), np.array([0.7, 0.0, 0.5, 3.0, 0.3, 0.6, 0.6])
    if name == "sizes":
        law = SeveralSizes((ScheduleLaw(runs[:1]), ScheduleLaw(runs[1:])), (1e7, 1e8), (THETA, THETA))
        theta = np.array([0.5, -0.5, 1.2, 1.7, 1.4, 3.0, 3.1, 2.8, 2.9])
    _, slopes = law.derivatives(theta)
    for i in law.free:
        own = np.eye(len(theta))[i] * 1e-5
        numeric = (law.loss(theta + own) - law.loss(theta - own)) / 2e-5
        np.testing.assert_allclose(slopes[:, i], numeric, rtol=1e-6, atol=1e-8)


def files(folder, sizes=(np.inf,), scatter=0.0, floor=0.0):
    """Tables of runs made by the law itself: two that are fitted, two others."""
    rng, paths = np.random.default_rng(0), ([], [])
    for size in sizes:
        theta = THETA.copy()
        if np.isfinite(size):
            theta[0] = np.log(2.0 + floor * (size / 1e7) ** -0.7)
        for held, (kind, length) in enumerate([("constant", 1200), ("cosine", 1200), ("drop", 1800), ("cosine", 2400)]):
            run = schedule(kind, length, 20)
            loss = ScheduleLaw((run,)).loss(theta) * np.exp(scatter * rng.standard_normal(len(run.steps)))
            mark = "" if np.isinf(size) else f"{size / 1e6:g}M_"
            path = folder / f"{mark}{kind}_{length}.csv"
            rows = zip(run.steps, run.rates, loss, strict=True)
            path.write_text("step,lr,loss\n" + "".join(f"{s:g},{lr:.9g},{y:.9g}\n" for s, lr, y in rows))
            paths[held > 1].append(path)
    return paths


def test_runs_held_out(tmp_path):
    """Losses of the law with a scatter of 0.1 %: held out, they are forecast within it, and the slope is found."""
    fitted, held = files(tmp_path, scatter=1e-3)
    outcome = fit_losses(fitted, held_out=held)
    assert outcome.text.startswith("step → t; 120 losses against t, 2 runs")
    errors = outcome.record["errors"]["held_out"]["inf"]
    assert errors["schedule law"] < 1.2e-3
    slope, low, high = outcome.value("(a - 1)/b", "schedule law")
    assert low <= 0.5 <= high
    assert slope == pytest.approx(0.5, abs=0.1)
    held_rows = [row for row in outcome.tables["predictions"] if row["held_out"]]
    assert {row["model"] for row in held_rows} == {"schedule law", "multi-power law"}
    assert {row["run"] for row in held_rows} == {path.name for path in held}
    wrong = [abs(row["predicted"] / row["loss"] - 1) for row in held_rows if row["model"] == "schedule law"]
    assert np.mean(wrong) < 1.2e-3
    with pytest.raises(ValueError, match="law has no best size"):
        fit_losses(fitted, compute=[1e20])


@pytest.mark.slow
def test_one_law_for_all_sizes(tmp_path):
    """Sizes in the names of files; a floor with N in it is found, and a wrong exponent of it would not fit."""
    fitted, held = files(tmp_path, (1e7, 4e7, 1.6e8), 3e-4, 0.5)
    outcome = fit_losses(fitted, held_out=held)
    assert "sizes N are read off the names of runs" in outcome.text
    a, low, high = outcome.value("a", SeveralSizes.name)
    assert low <= 1.7 <= high
    assert a == pytest.approx(1.7, abs=0.15)
    for size in ("1e+07", "4e+07", "1.6e+08"):
        assert outcome.record["errors"]["held_out"][size][SeveralSizes.name] < 4e-4
