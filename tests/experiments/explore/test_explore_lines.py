"""Lines of `rfm explore`: schedules, epochs, rich features, the next order and its band; programs that make them."""

import dataclasses

import nbformat
import numpy as np
import pytest

import theory
from experiments.compare.algorithms import ANEW
from experiments.explore import model
from experiments.explore.call import notebook, python_call
from experiments.explore.settings import Settings

SMALL = Settings(N=24, P=40, M=1000, stop=100.0)
SGD = Settings(algorithm="sgd", N=24, M=1000, stop=24.0, lr=0.2)


@pytest.mark.parametrize(
    "change",
    [
        dict(schedule="wsd:0.3", average="tail:0.5"), dict(schedule="cosine", average="0.9", momentum=0.5),
        dict(P=32, batch=8, order="shuffle", schedule="power"), dict(P=30, batch=8, order="fixed"),
        dict(algorithm="gd", batch=None, momentum=None, average=None, order=None, P=40, schedule="linear"),
        dict(batch=256, richness=0.5),
    ],
)  # fmt: skip
def test_the_python_call_of_schedules_epochs_and_rich_features(change):
    settings, scope = dataclasses.replace(SGD, **change), {}
    drawn = model.corrected(model.curves(settings))
    exec(python_call(settings), scope)
    assert ("average_risk" in drawn.losses) == ("average" in change and change["average"] is not None)
    assert (drawn.label == ANEW) == (settings.P == 30)  # batches of 8 do not divide 30
    for loss, curve in drawn.losses.items():
        np.testing.assert_allclose(getattr(scope["predicted"], loss), curve.mean, rtol=1e-8)
    plain = model.curves(dataclasses.replace(SGD, P=settings.P) if settings.algorithm == "sgd" else Settings(
        algorithm="gd", N=24, M=1000, stop=24.0, lr=0.2, P=40))  # fmt: skip
    if settings.P != 30:
        assert np.max(np.abs(plain.risk / drawn.risk - 1.0)) > 0.01  # negative control


def test_lines_have_their_next_order_and_a_band():
    point = model.corrected(model.curves(dataclasses.replace(SMALL, N=64, P=100)))
    risk, band = point.losses["risk"], model.scatter(point)
    call = model.call(point.settings)
    exact = theory.predict(point.settings.problem, correction=True, **call).risk
    np.testing.assert_allclose(risk.line, exact, rtol=1e-12)
    assert np.isfinite(model.dotted(risk)).all()  # the leading order is seen apart
    assert not np.isfinite(model.dotted(model.curves(point.settings).losses["risk"])).any()
    times = point.times[[0, 30, -1]]
    std = theory.scatter(point.settings.problem, **call | {"times": times}).std
    np.testing.assert_allclose(band.at(times).std, std, rtol=0.02)
    assert model.scatter(model.curves(SGD)) is None


def test_a_notebook_of_a_point_runs(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    document = nbformat.reads(notebook(SMALL), as_version=4)
    nbformat.validate(document)
    scope = {}
    for cell in document.cells:
        if cell.cell_type == "code" and "%pip" not in cell.source:
            exec(cell.source, scope)
    assert len(scope["ax"].lines) == 2
