"""The lesson `adaptive`: what each method notices of a bowl, its stretch or its turn, and its steps by hand."""

import numpy as np
import pytest

from fallline import lessons
from fallline.lessons import adaptive_steps
from fallline.lessons.adaptive_steps import METHODS, bowl, follow, product_with

ADAPTIVE = ["Adagrad", "RMSProp", "Adam"]


def paths(name, stretch, angle, rate=0.05, steps=30):
    h, start = bowl(stretch, angle)
    return follow(METHODS[name], product_with(h), start, np.array([rate]), steps)[:, 0]


@pytest.mark.parametrize("name", ADAPTIVE)
def test_adaptive_steps_do_not_notice_a_stretch_along_an_axis(name) -> None:
    np.testing.assert_allclose(paths(name, 10.0, 0.0), paths(name, 1e4, 0.0), rtol=1e-5, atol=1e-7)
    assert np.abs(paths(name, 10.0, 30.0) - paths(name, 1e4, 30.0)).max() > 1e-3


@pytest.mark.parametrize("angle", [10.0, 45.0, 80.0])
def test_plain_descent_does_not_notice_a_turn(angle) -> None:
    straight, turned = (paths("descent", 20.0, one) for one in (0.0, angle))
    heights = [adaptive_steps.heights_of(p, bowl(20.0, one)[0]) for p, one in ((straight, 0.0), (turned, angle))]
    np.testing.assert_allclose(heights[0], heights[1], rtol=1e-9)
    for name in ADAPTIVE:
        assert not np.allclose(np.linalg.norm(paths(name, 20.0, 0.0), axis=1),
                               np.linalg.norm(paths(name, 20.0, angle), axis=1), rtol=1e-3)  # fmt: skip


def test_first_steps_are_those_of_the_formulas(results) -> None:
    # At (-3, 2) the gradient is (-3, 200). Adagrad divides it by its own size, and so does Adam, once its moments are
    # corrected; RMSProp by sqrt(0.1) of it.
    first = {one.method: one.first for one in results["adaptive"].courses}
    np.testing.assert_allclose(first["descent"], [3, -200])
    np.testing.assert_allclose(first["Adagrad"], [1, -1], rtol=1e-7)
    np.testing.assert_allclose(first["Adam"], [1, -1], rtol=1e-6)
    np.testing.assert_allclose(first["RMSProp"], [1 / np.sqrt(0.1), -1 / np.sqrt(0.1)], rtol=1e-6)


def test_adagrad_by_hand() -> None:
    # On x^2 / 2 from 2 with rate 1: g = 2, v = 4, x = 2 - 2 / 2 = 1; g = 1, v = 5, x = 1 - 1 / sqrt(5).
    seen = follow(METHODS["Adagrad"], lambda p: p, np.array([2.0]), np.array([1.0]), 2)[:, 0, 0]
    np.testing.assert_allclose(seen, [2, 1, 1 - 1 / np.sqrt(5)], rtol=1e-7)


def test_the_best_rate_of_plain_descent_is_about_two_over_the_sum_of_the_curvatures(results) -> None:
    one = results["adaptive"].courses[0]
    assert one.learning_rate == pytest.approx(2 / 101, rel=0.35)  # the rates tried are a third apart
    assert one.turned == pytest.approx(float(one.heights[-1]), rel=1e-6)
    assert one.arrives is None


def test_on_raw_columns_a_rate_for_every_parameter_is_ahead(results) -> None:
    found = results["adaptive"]
    raw = {name: losses[0] for name, losses in found.columns.items()}
    assert all(raw[name] < 0.5 * raw["descent"] for name in ADAPTIVE)
    assert found.columns["descent"][1] < 0.05 * raw["descent"]
    # The columns themselves: hue and nonflavanoid phenols are below 1, proline goes up to 1,680.
    assert found.scales[0] < 0.2 and found.scales[1] > 300


def test_a_round_bowl_needs_no_adaption() -> None:
    found = lessons.run("adaptive", stretch=1.0, steps=5)
    assert found.courses[0].heights[-1] < 1e-3


def test_a_round_bowl_is_told_without_a_warning() -> None:
    first = lessons.screens("adaptive", stretch=1.0, steps=5, width=80)[0]
    assert "nan" not in first and "descent         +3         -2            0" in first
