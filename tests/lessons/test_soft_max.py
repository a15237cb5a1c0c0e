"""The lesson `softmax`: p - y by formula, chain rule, library and difference; with temperature and smoothing."""

import math

import numpy as np
import pytest

from fallline import lessons, transforms
from fallline.lessons import soft_max
from fallline.nn import CrossEntropy


def test_a_case_worked_by_hand() -> None:
    # Two classes with logits 1 and 0, the first right: p = e / (e + 1) = 0.7310586, p - y = -0.2689414.
    one = soft_max.gap_of(1.0)
    assert one.slope == pytest.approx(math.e / (math.e + 1) - 1)
    assert one.loss == pytest.approx(math.log(1 + 1 / math.e))
    # Squared error of both classes, 2 (1 - p)^2, has the slope -4 (1 - p) p (1 - p).
    assert one.squared == pytest.approx(-4 * 0.2689414**2 * 0.7310586, rel=1e-6)
    assert one.naive == pytest.approx(one.loss, rel=1e-6)


def test_p_minus_y_by_every_way(results) -> None:
    found = results["softmax"]
    exact = found.p - np.eye(10)[found.label]
    assert found.largest_difference < 1e-12
    np.testing.assert_allclose(found.by_difference, exact, atol=1e-9)
    np.testing.assert_allclose(found.jacobian, np.diag(found.p) - np.outer(found.p, found.p), atol=1e-14)
    np.testing.assert_allclose(found.jacobian[found.label], found.through, atol=1e-14)
    assert exact.sum() == pytest.approx(0, abs=1e-12)
    its = transforms.grad(lambda z: CrossEntropy().function(z, np.array([found.label])))(found.logits[None])
    np.testing.assert_allclose(its[0], exact, rtol=1e-9)


def test_temperature_and_smoothing_keep_the_rule(results) -> None:
    for one in results["softmax"].softened:
        np.testing.assert_allclose(one.gradient, one.formula, atol=1e-12)
    sharp, plain, level = results["softmax"].softened[:3]
    assert sharp.p.max() > plain.p.max() > level.p.max()


def test_smoothing_has_its_least_loss_at_the_gap_of_the_formula() -> None:
    target = soft_max.smoothed(np.eye(10)[3], 0.1)
    gap = math.log(0.91 / 0.01)
    z = gap * np.eye(10)[3]
    np.testing.assert_allclose(soft_max.softened(z, np.eye(10)[3], 1.0, 0.1).gradient, 0, atol=1e-12)
    np.testing.assert_allclose(soft_max.softmax(z), target, rtol=1e-12)


def test_a_wrong_answer_is_heard_and_the_naive_loss_overflows(results) -> None:
    by = {one.gap: one for one in results["softmax"].gaps}
    assert by[-100.0].slope == pytest.approx(-1) and abs(by[-100.0].squared) < 1e-40
    assert by[-100.0].loss == pytest.approx(100) and math.isnan(by[100.0].naive)
    assert by[100.0].loss >= 0


def test_the_gradient_of_a_bias_is_mean_p_less_its_share() -> None:
    found = lessons.run("softmax", rows=200, steps=7)
    np.testing.assert_allclose(found.bias, found.means - found.shares, atol=1e-12)
    before = lessons.run("softmax", rows=200, steps=0)
    np.testing.assert_allclose(before.p, 0.1)


@pytest.mark.parametrize("values", [{"temperature": 0.01}, {"smoothing": 1.0}, {"smoothing": 0.0, "temperature": 1.0}])
def test_ends_of_ranges_are_told(values) -> None:
    text = lessons.tell("softmax", rows=200, steps=300, **values)
    assert "nan" not in text.replace("       nan", "") and "inf" not in text
