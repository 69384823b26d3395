"""Theory of SGD that trains features: limits, flags, and real training, on fresh samples and on samples used again."""

import numpy as np
import pytest

import rfm
import theory

PROBLEM = rfm.power_law(1.5, 1.25, num_modes=60, noise_var=0.2)
ONE_PASS = dict(num_features=30, num_samples=np.inf, times=np.array([0, 1, 20, 100]))


def test_batches_between_their_limits():
    """All samples in a batch are descent; no richness is lazy SGD, whose closed form is another path."""
    descent = theory.predict(PROBLEM, **ONE_PASS, optimizer=rfm.GradientDescent(0.1), richness=2.0)
    whole = theory.predict(PROBLEM, **ONE_PASS, optimizer=rfm.SGD(0.1, 1e12), richness=2.0)
    np.testing.assert_allclose(whole.risk, descent.risk, rtol=1e-9)
    np.testing.assert_allclose(whole.kernel_growth, descent.kernel_growth, rtol=1e-9)
    lazy = theory.predict(PROBLEM, **ONE_PASS, optimizer=rfm.SGD(0.1, 4))
    small = theory.predict(PROBLEM, **ONE_PASS, optimizer=rfm.SGD(0.1, 4), richness=1e-14)
    np.testing.assert_allclose(small.risk, lazy.risk, rtol=1e-11)
    changing = rfm.SGD(lambda step: 0.1 + 0.0 * step, np.full(100, 4))
    np.testing.assert_allclose(
        theory.predict(PROBLEM, **ONE_PASS, optimizer=changing, richness=2.0).risk,
        theory.predict(PROBLEM, **ONE_PASS, optimizer=rfm.SGD(0.1, 4), richness=2.0).risk,
        rtol=1e-12,
    )


def test_batches_that_are_too_small_are_flagged():
    curve = theory.predict(PROBLEM, **ONE_PASS, optimizer=rfm.SGD(0.3, 2), richness=2.0)
    assert not curve.converged
    assert "batches too small" in curve.message


@pytest.mark.slow
@pytest.mark.parametrize("size", [32, 8])
def test_training_in_batches_agrees(size):
    problem = rfm.power_law(1.5, 1.25, num_modes=300, noise_var=0.25)
    args = dict(num_features=100, num_samples=np.inf, times=[10, 40, 150, 400], optimizer=rfm.SGD(0.05, size))
    curve, predicted = (
        rfm.simulate(problem, **args, richness=1.0, seeds=128),
        theory.predict(problem, **args, richness=1.0),
    )
    grown = curve.kernel_growth
    stderr = grown.std(0, ddof=1) / np.sqrt(128)
    assert np.all(np.abs(predicted.risk - curve.mean()) < 3.0 * curve.stderr() + 0.01 * predicted.risk)
    assert np.all(np.abs(predicted.kernel_growth - grown.mean(0)) < 3.0 * stderr + 0.01 * predicted.kernel_growth)
    descent = theory.predict(problem, **args | {"optimizer": rfm.GradientDescent(0.05)}, richness=1.0)
    refused = np.abs(descent.risk - curve.mean()) > 3.0 * curve.stderr() + 0.01 * predicted.risk
    assert size > 8 or refused.any()  # larger batches are too near to descent to be distinguished


AGAIN = dict(ONE_PASS, num_samples=20)


def test_samples_used_again_between_their_limits():
    """Batches of all samples are descent, many samples one pass, and no richness is the closed form of lazy SGD."""
    descent = theory.predict(PROBLEM, **AGAIN, optimizer=rfm.GradientDescent(0.1), richness=2.0)
    whole = theory.predict(PROBLEM, **AGAIN, optimizer=rfm.SGD(0.1, 20), richness=2.0)
    lazy = theory.predict(PROBLEM, **AGAIN, optimizer=rfm.SGD(0.1, 4))
    small = theory.predict(PROBLEM, **AGAIN, optimizer=rfm.SGD(0.1, 4), richness=1e-14)
    for name in ("risk", "train_loss"):
        np.testing.assert_allclose(getattr(whole, name), getattr(descent, name), rtol=1e-9)
        np.testing.assert_allclose(getattr(small, name), getattr(lazy, name), rtol=1e-9)
    np.testing.assert_allclose(whole.kernel_growth, descent.kernel_growth, rtol=1e-9)
    many = theory.predict(PROBLEM, **AGAIN | {"num_samples": 1e12}, optimizer=rfm.SGD(0.1, 4), richness=2.0)
    one = theory.predict(PROBLEM, **ONE_PASS, optimizer=rfm.SGD(0.1, 4), richness=2.0)
    np.testing.assert_allclose(many.risk, one.risk, rtol=1e-8)
    np.testing.assert_allclose(many.kernel_growth, one.kernel_growth, rtol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize(("richness", "lr"), [(0.3, 0.2), (1.0, 0.1)])
def test_training_on_samples_used_again_agrees(richness, lr):
    """Ten epochs: what batches add to descent on the same draws, and the growth; none and another richness are refused.

    Beside three standard errors 2 % of the loss are allowed, and 3 % of the growth, for the lazy theory at 60 features.
    """
    problem = rfm.power_law(1.5, 1.25, num_modes=150, noise_var=0.25)
    args = dict(num_features=60, num_samples=80, times=np.array([2, 6, 20]) / lr)
    batches, descent = dict(args, optimizer=rfm.SGD(lr, 8)), dict(args, optimizer=rfm.GradientDescent(lr))
    curve = rfm.simulate(problem, **batches, richness=richness, seeds=128)
    alone = rfm.exact(problem, **descent, richness=richness, seeds=128)
    theories = [theory.predict(problem, **x, richness=richness) for x in (batches, descent)]
    assert theories[0].converged
    refused = False
    for name in ("risk", "train_loss"):
        added = getattr(curve, name) - getattr(alone, name)
        error = 3.0 * added.std(0, ddof=1) / np.sqrt(128) + 0.02 * getattr(alone, name).mean(0)
        predicted = getattr(theories[0], name) - getattr(theories[1], name)
        assert np.all(np.abs(predicted - added.mean(0)) < error)
        refused |= np.any(added.mean(0) > error)
    assert refused
    rows = curve.kernel_growth
    error = 3.0 * rows.std(0, ddof=1) / np.sqrt(128) + 0.03 * rows.mean(0)
    assert np.all(np.abs(theories[0].kernel_growth - rows.mean(0)) < error)
    other = theory.predict(problem, **batches, richness=1.5 * richness).kernel_growth
    assert np.any(np.abs(other - rows.mean(0)) > error)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"optimizer": rfm.SGD(0.1, 4, order="shuffle")}, "`order` must be 'replacement' for SGD where features"),
        ({"num_samples": np.inf, "ensemble": 2}, "`richness` must be 0 for ensemble or bags of SGD"),
        ({"optimizer": rfm.SGD(0.1, 4, 0.5)}, "`momentum` must be 0 for SGD where features"),
    ],
)
def test_refusals(changed, words):
    args = AGAIN | {"optimizer": rfm.SGD(0.1, 4), "times": [3], "richness": 1.0}
    with pytest.raises(ValueError, match=words):
        theory.predict(PROBLEM, **args | changed)
