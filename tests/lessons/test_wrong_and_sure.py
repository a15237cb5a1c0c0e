"""The lesson `loss`: derivatives against formulas and the library, steps against the time they should take."""

import numpy as np
import pytest

from fallline import lessons, transforms
from fallline.lessons import wrong_and_sure
from fallline.lessons.wrong_and_sure import climb, expected_steps, sigmoid
from fallline.nn import BinaryCrossEntropy, SquaredError


def test_derivatives_are_those_of_the_formulas(results) -> None:
    found = results["loss"]
    p = sigmoid(found.sums)
    np.testing.assert_allclose(found.squared[0], (p - 1) ** 2, rtol=1e-12)
    np.testing.assert_allclose(found.squared[1], 2 * (p - 1) * p * (1 - p), rtol=1e-12)
    np.testing.assert_allclose(found.entropy[0], -np.log(p), rtol=1e-12)
    np.testing.assert_allclose(found.entropy[1], p - 1, rtol=1e-9)


@pytest.mark.parametrize("y", [0.0, 1.0])
def test_the_losses_are_the_librarys(y) -> None:
    z = np.linspace(-6, 6, 13)[:, None]
    truth = np.full_like(z, y)
    mine = [transforms.grad(loss)(z, truth) for loss in wrong_and_sure.LOSSES.values()]
    np.testing.assert_allclose(mine[1], transforms.grad(BinaryCrossEntropy().function)(z, truth), rtol=1e-9)
    squared = transforms.grad(lambda z: SquaredError().function(1 / (1 + np.exp(-z)), truth))(z)
    np.testing.assert_allclose(mine[0], squared, rtol=1e-9)


@pytest.mark.parametrize("wrong", [1.0, 4.0, 7.0])
def test_steps_are_as_many_as_the_formula_says_where_they_are_small(wrong) -> None:
    found = climb(wrong, 0.01)
    assert found.squared == pytest.approx(found.squared_expected, rel=0.01, abs=1.5)
    assert found.entropy == pytest.approx(found.entropy_expected, rel=0.01, abs=1.5)


def test_the_time_is_the_integral_of_one_over_the_slope() -> None:
    z = np.linspace(-5, 0, 200_001)
    p = sigmoid(z)
    for expected, slope in zip(expected_steps(5.0, 1.0), (2 * p * (1 - p) ** 2, 1 - p)):
        assert expected == pytest.approx(float(np.trapezoid(1 / slope, z)), rel=1e-8)


def test_on_the_tumours_cross_entropy_comes_back_first(results) -> None:
    found = results["loss"]
    squared, entropy = (found.courses[name] for name in ("squared error", "cross-entropy"))
    assert squared.right[0] < 0.1 and entropy.right[0] == squared.right[0]
    assert entropy.gradient > 20 * squared.gradient
    assert entropy.recovers is not None and squared.recovers is not None
    assert entropy.recovers < 0.2 * squared.recovers


def test_a_start_far_off_leaves_squared_error_where_it_is() -> None:
    found = lessons.run("loss", wrong=50.0, steps=40)
    assert found.courses["squared error"].recovers is None
    assert found.courses["cross-entropy"].right[-1] > 0.5
    assert "not yet" in lessons.joined(lessons.LESSONS["loss"].tell(found, width=80, ascii_only=True))
