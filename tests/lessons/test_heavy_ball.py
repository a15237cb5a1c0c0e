"""The lesson `momentum`: borders and factors by the formula against descents, and against a dense oracle."""

import numpy as np
import pytest

from fallline import lessons
from fallline.lessons import heavy_ball
from fallline.lessons.walk import compiled_gradient, walk


def test_the_border_of_the_heavy_ball_is_two_times_one_plus_momentum_over_the_curvature(results) -> None:
    found = results["momentum"]
    assert sorted(found.borders) == [0.0, 0.5, 0.9, 0.99]
    for momentum, (predicted, measured) in found.borders.items():
        assert predicted == pytest.approx(2 * (1 + momentum) / found.highest)
        assert measured == pytest.approx(predicted, rel=2e-3)


def test_the_map_of_what_converges_is_that_of_the_formula(results) -> None:
    left = results["momentum"].left
    for momentum, row in zip(heavy_ball.MAP_MOMENTA, left, strict=True):
        for share, seen in zip(heavy_ball.MAP_SHARES, row, strict=True):
            if abs(share - 2 * (1 + momentum)) < 1e-9:  # on the border neither is wrong
                continue
            assert (seen < 1) == (share < 2 * (1 + momentum)), (momentum, share)
            factor = heavy_ball.factor(share, momentum)
            if factor > 0.05:
                assert seen == pytest.approx(factor, rel=0.03), (momentum, share)


def test_the_factor_is_the_largest_eigenvalue_of_the_step() -> None:
    rng = np.random.default_rng(0)
    for momentum, share in zip(rng.uniform(0, 1, 50), rng.uniform(0, 4, 50)):
        # (v, x) -> (m v - s x, x + m v - s x) is linear: its matrix, written down.
        step = np.array([[momentum, -share], [momentum, 1 - share]])
        assert heavy_ball.factor(share, momentum) == pytest.approx(np.abs(np.linalg.eigvals(step)).max())


def test_every_direction_shrinks_as_the_formula_says(results) -> None:
    found = results["momentum"]
    assert len(found.directions) == 10
    for one in found.directions:
        assert one.plain_seen == pytest.approx(one.plain, rel=1e-9)
        assert one.heavy_seen == pytest.approx(one.heavy, rel=1e-6)
    # Polyak 1964: the best pair makes all directions alike, at the square root of the momentum.
    assert {round(one.heavy, 6) for one in found.directions} == {round(np.sqrt(found.momentum), 6)}
    assert found.directions[0].plain == pytest.approx(found.directions[-1].plain)


def test_momentum_saves_about_the_square_root(results) -> None:
    found = results["momentum"]
    plain, heavy = heavy_ball.steps_to(found.plain), heavy_ball.steps_to(found.heavy)
    assert plain is not None and heavy is not None and heavy < plain / 5
    assert heavy_ball.steps_to(np.array([1.0, 0.5])) is None


def test_a_walk_with_momentum_is_the_optimizers() -> None:
    from fallline.optim import Momentum

    def bowl(x):
        return 0.5 * (x[0] ** 2 + 3 * x[1] ** 2)

    walked = walk(compiled_gradient(bowl), [1.0, -2.0], 0.1, 8, momentum=0.8)
    theta = np.array([1.0, -2.0])
    optimizer = Momentum(0.1, momentum=0.8)
    state = optimizer.start(theta)
    for step, g in enumerate(walked.gradients[:-1]):
        np.testing.assert_allclose(walked.points[step], theta, rtol=1e-12, atol=1e-14)
        theta, state = optimizer.rule(theta, g, state, step, 0.1)
    np.testing.assert_allclose(walked.points[-1], theta, rtol=1e-12, atol=1e-14)


def test_numbers_of_ones_own_change_the_descent_with_momentum() -> None:
    found = lessons.run("momentum", momentum=0.5, learning_rate=0.1, steps=60)
    assert (found.momentum, found.rate) == (0.5, 0.1)
    text = lessons.joined(lessons.LESSONS["momentum"].tell(found, width=80, ascii_only=True))
    assert "momentum 0.5" in text and "more than 60 steps" in text


@pytest.mark.parametrize(("factor", "mark"), [(1.0, " "), (0.0, "1"), (0.1, "1"), (0.5, "3"), (0.9, "+"), (0.99, ".")])
def test_marks_of_the_map_count_steps(factor, mark) -> None:
    assert heavy_ball.mark(factor) == mark
