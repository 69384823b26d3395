"""Problems of a spectrum in any order."""

import warnings

import numpy as np
import pytest
from tolerances import FORMULA

import rfm
import theory

LAM = np.array([0.2, 1.0, 0.0, 0.5])
POWER = np.array([0.3, 0.1, 0.0, 0.4])


def test_order_and_zeros_do_not_matter():
    """Pairs stay together, zeros go and are counted, both ways to give a target are the same."""
    with pytest.warns(UserWarning, match=r"^1 of 4 eigenvalues are zero and left out.$"):
        problem = rfm.from_spectrum(LAM, POWER, noise_var=0.1)
    np.testing.assert_array_equal(problem.eigenvalues, [1.0, 0.5, 0.2])
    np.testing.assert_allclose(problem.eigenvalues * problem.target**2, [0.1, 0.4, 0.3], rtol=FORMULA)
    keep = LAM > 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same = rfm.from_spectrum(LAM[keep], target=np.sqrt(POWER[keep] / LAM[keep]), noise_var=0.1)
    np.testing.assert_allclose(same.target, problem.target, rtol=FORMULA)
    with pytest.warns(UserWarning, match="1 of 4"):
        signed = rfm.from_spectrum(LAM, target=[-1.0, 2.0, 5.0, 3.0])
    np.testing.assert_array_equal(signed.target, [2.0, 3.0, -1.0])


def test_it_is_the_power_law_where_it_is_given_one():
    known = rfm.power_law(1.8, 1.5, 300, noise_var=0.1)
    shuffled = np.random.default_rng(0).permutation(300)
    given = rfm.from_spectrum(known.eigenvalues[shuffled], target=known.target[shuffled], noise_var=0.1)
    assert given == known
    args = dict(num_features=16, num_samples=32, optimizer=rfm.GradientFlow(), times=[1.0, 100.0])
    np.testing.assert_array_equal(theory.predict(given, **args).risk, theory.predict(known, **args).risk)
    np.testing.assert_array_equal(np.stack(given.spectrum()), np.stack(known.spectrum()))


def test_eigenvalues_of_a_solver():
    """Rounding below zero counts as zero, and so does the power there."""
    rows = np.random.default_rng(0).standard_normal((5, 8))
    values, basis = np.linalg.eigh(rows.T @ rows / 5)
    assert values.min() < 1e-15
    values[0] = -1e-16
    target = basis.T @ np.ones(8)
    with pytest.warns(UserWarning, match="eigenvalues are zero"):
        problem = rfm.from_spectrum(values, values * target**2)
    assert 5 <= problem.num_modes < 8
    np.testing.assert_allclose(problem.power, target @ (values * target), rtol=1e-12)


REFUSED = [
    (dict(eigenvalues=[1.0, -0.1]), "`eigenvalues` must be >= 0 .mode 1 is negative., but is -0.1"),
    (dict(eigenvalues=[0.0, 0.0]), "`eigenvalues` must be finite numbers in one dimension, not all zero"),
    (dict(eigenvalues=[1.0, np.nan]), "`eigenvalues` must be finite"),
    (dict(eigenvalues=[[1.0, 2.0]]), "`eigenvalues` must be .*one dimension"),
    (dict(eigenvalues=[]), "`eigenvalues`"),
    (dict(eigenvalues="1"), "`eigenvalues` must be numeric"),
    (dict(target_power=None), "`target_power` must be given, or `target` is"),
    (dict(target=[1.0, 1.0]), "`target_power` must be given, but not both"),
    (dict(target_power=[1.0]), r"`target_power` must be of the shape of eigenvalues, \(2,\)"),
    (dict(target_power=[1.0, -1.0]), "`target_power` must be >= 0.*but is -1.0"),
    (dict(target_power=[1.0, np.inf]), "`target_power` must be finite"),
    (dict(eigenvalues=[1.0, 0.0]), r"`target_power` must be zero where the eigenvalue is .mode 1.: .* noise_var"),
    (dict(target_power=None, target=[1.0, np.nan]), "`target` must be finite"),
    (dict(noise_var=-1.0), "`noise_var` must be a finite variance"),
]


@pytest.mark.parametrize(("changed", "message"), REFUSED, ids=lambda x: x if isinstance(x, str) else "")
def test_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        rfm.from_spectrum(**{"eigenvalues": [1.0, 0.5], "target_power": [0.5, 0.5], **changed})
