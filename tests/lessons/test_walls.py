"""The lesson `stuck`: what it shows of a valley is the formula's, what it shows of a network is the Hessian's."""

import numpy as np
import pytest

from fallline import lessons, transforms
from fallline.data.sets import load
from fallline.lessons import stuck
from fallline.lessons.walk import cosine
from fallline.nn import Model, mlp


def test_each_step_in_the_valley_multiplies_by_one_minus_rate_times_curvature(results) -> None:
    walked = results["stuck"].valley
    factors = 1 - stuck.VALLEY_RATE * np.array([stuck.ALONG, stuck.ACROSS])
    np.testing.assert_allclose(walked.points[1:], walked.points[:-1] * factors, rtol=1e-12)
    np.testing.assert_allclose(walked.values, [stuck.height(p) for p in walked.points])
    # Half the rate is 0.9975: across, a step leaves 1 - 0.9975 of the distance.
    np.testing.assert_allclose(results["stuck"].freed.points[1, 1], 0.0025 * stuck.START[1], rtol=1e-9)


def test_the_network_bounces_where_its_rate_has_crossed_the_border(results) -> None:
    found = results["stuck"]
    first, last = found.checks[0], found.checks[-1]
    assert found.bounces and not found.lost
    assert found.learning_rate * first.highest < 2 < found.learning_rate * last.highest
    assert first.cosine > 0.9 and last.cosine < -0.9
    assert last.gradient > 3 * found.gradients.min(), "the gradient grew again"
    assert found.cut[-1] < found.cut[0] and found.cut[-1] < found.kept.mean()


def test_the_curvatures_are_those_of_the_dense_hessian() -> None:
    found = lessons.run("stuck", steps=16, rows=20)
    digits = load("digits")
    x, y = digits.x[:20] / 16, np.eye(10)[digits.y[:20].astype(int)]
    model = Model.init(mlp((16,), 10, "tanh"), 64, loss="squared_error", dtype="float64", seed=0)
    theta = model.theta.copy()
    for _ in range(16):
        before = transforms.grad(model.objective)(theta, x, y)
        theta = theta - before
    g = transforms.grad(model.objective)(theta, x, y)
    product = transforms.compile(transforms.hvp(model.objective))
    hessian = np.stack([product(theta, row, x, y) for row in np.eye(theta.size)])
    last = found.checks[-1]
    assert last.highest == pytest.approx(np.linalg.eigvalsh((hessian + hessian.T) / 2)[-1], rel=1e-3)
    assert last.along == pytest.approx(g @ hessian @ g / (g @ g), rel=1e-6)
    assert last.cosine == pytest.approx(cosine(g, before), rel=1e-6)
    assert last.along <= last.highest * (1 + 1e-9)


def test_a_rate_below_the_border_does_not_bounce_and_one_far_above_is_lost() -> None:
    calm = lessons.run("stuck", learning_rate=0.1, steps=40, rows=100)
    assert not calm.bounces and (np.diff(calm.losses) < 0).all()
    wild = lessons.run("stuck", learning_rate=10.0, steps=40, rows=100)
    assert wild.lost and len(wild.losses) < 40
    text = lessons.joined(lessons.LESSONS["stuck"].tell(wild, width=80, ascii_only=True))
    assert "It diverges" in text and "nan" not in text


def test_the_cosine_of_a_vector_with_itself_is_one() -> None:
    assert cosine(np.array([3.0, 4.0]), np.array([6.0, 8.0])) == pytest.approx(1)
    assert cosine(np.array([1.0, 0.0]), np.array([0.0, 2.0])) == 0
    assert cosine(np.zeros(2), np.ones(2)) == 0
