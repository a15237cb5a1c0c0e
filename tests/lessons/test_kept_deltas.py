"""The lesson `two-layers`: every way to the gradient agrees, and multiplications are as many as the formulas say."""

import math

import numpy as np
import pytest

from fallline import lessons
from fallline.lessons.path_sums import WAYS, counted, deltas_of, forward, loss_of, network, paths_of

SIZES = [(2, 1, 1), (4, 3, 3), (4, 3, 3, 3), (3, 2, 4, 3, 2)]


def made(sizes):
    rng = np.random.default_rng(3)
    return network(sizes, rng.normal(size=sizes[0]), rng.normal(size=sizes[-1]), 0)


def test_a_case_worked_by_hand() -> None:
    # x = 2, weights 0.5 and 3, y = 1: z = 1, a = tanh 1 = 0.761594, y_hat = 2.284783, d_out = 2.569565.
    # delta = (1 - a^2) 3 d_out = 0.419974 * 7.708696 = 3.237454; d_w1 = 2 delta; d_w2 = a d_out.
    net = forward([[[0.5]], [[3.0]]], [2.0], [1.0])
    found, count = WAYS["one backward pass, deltas kept"](net)
    np.testing.assert_allclose([found[0][0][0], found[1][0][0]], [6.474908, 1.956966], rtol=1e-6)
    assert count == 4  # w2 d_out, times the slope; then one for each weight
    assert next(paths_of(net, 1, 0, 0))[0] == (0, 0)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("way", list(WAYS))
def test_every_way_ends_at_the_central_difference(sizes, way) -> None:
    net = made(sizes)
    x, y = np.array(net.values[0]), np.array(net.values[-1]) - np.array(net.out) / 2
    found, _ = WAYS[way](net)
    arrays = [np.array(w) for w in net.weights]
    for layer, w in enumerate(arrays):
        for place in np.ndindex(w.shape):
            ends = []
            for sign in (1, -1):
                moved = [one.copy() for one in arrays]
                moved[layer][place] += sign * 1e-5
                ends.append(loss_of(moved, x, y))
            assert found[layer][place[0]][place[1]] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("sizes", SIZES)
def test_multiplications_are_as_many_as_the_formulas_say(sizes) -> None:
    net = made(sizes)
    paths, products, kept = counted(sizes)
    assert WAYS["all paths"](net)[1] == products
    assert WAYS["one backward pass, deltas kept"](net)[1] == kept
    walked = [list(paths_of(net, layer, i, j)) for layer in range(1, len(sizes))
              for i in range(sizes[layer - 1]) for j in range(sizes[layer])]  # fmt: skip
    assert sum(map(len, walked)) == paths
    assert sum(len(factors) - 1 for one in walked for _, factors in one) == products


def test_a_further_layer_multiplies_paths_and_adds_to_the_backward_pass() -> None:
    by = [counted((4, *[6] * depth, 3)) for depth in (2, 3, 4)]
    assert 5 < by[1][0] / by[0][0] < 8 and 5 < by[2][0] / by[1][0] < 8
    assert by[2][2] - by[1][2] == by[1][2] - by[0][2] == 6 * 6 + 6 * 7


def test_paths_of_the_first_weight_add_up(results) -> None:
    found = results["two-layers"]
    assert len(found.paths) == 9 and all(w.difference < 1e-8 for w in found.ways)
    total = math.fsum(product for _, _, product in found.paths)
    assert total == pytest.approx(found.exact[0][0][0], rel=1e-12)
    assert total == pytest.approx(found.net.values[0][0] * deltas_of(found.net)[0][1][0], rel=1e-12)
    assert [abs(p) for _, _, p in found.paths] == sorted((abs(p) for _, _, p in found.paths), reverse=True)
    assert [one.paths_seconds is None for one in found.grown] == [one.by_paths > 2000 for one in found.grown]


@pytest.mark.parametrize("values", [{"units": 8, "layers": 4}, {"units": 1, "layers": 1}])
def test_ends_of_ranges_fit(values) -> None:
    for text in lessons.screens("two-layers", width=80, bearable=500, **values):
        assert len(text.split("\n")) <= 23 and max(map(len, text.split("\n"))) <= 80 and ".." not in text
