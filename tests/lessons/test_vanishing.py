"""The lesson `vanishing`: the pass by hand is the library's, and layers pass back what the formula says."""

import numpy as np
import pytest

from fallline import lessons, transforms, tree
from fallline.lessons import vanishing
from fallline.nn import Model


@pytest.mark.parametrize("bend", list(vanishing.BENDS))
def test_gradients_by_hand_are_the_librarys(bend) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((7, 5)), rng.integers(0, 10, 7)
    network = vanishing.network(bend, 2.0, 3, 6)
    model = Model.init(network, 5, loss="cross_entropy", dtype="float64", seed=1)
    found = vanishing.through(model.params, vanishing.BENDS[bend], 2.0, x, y)
    exact = transforms.grad(lambda params: model.loss.function(network.apply(params, x), y))(model.params)
    lengths = [np.linalg.norm(leaf) for path, leaf in tree.items(exact) if path.endswith("weight")]
    np.testing.assert_allclose(found.gradients, lengths, rtol=1e-9)


@pytest.mark.parametrize("bend", list(vanishing.BENDS))
def test_slopes_are_the_derivatives_of_the_values(bend) -> None:
    one, z = vanishing.BENDS[bend], np.linspace(-3, 3, 61) + 0.01
    np.testing.assert_allclose(one.slope(z), (one.value(z + 1e-6) - one.value(z - 1e-6)) / 2e-6, atol=1e-8)


def test_layers_pass_back_what_the_formula_says(results) -> None:
    for one in results["vanishing"].starts:
        seen, expected = (vanishing.geometric(a) for a in (one.layers.seen, one.layers.expected))
        assert seen == pytest.approx(expected, rel=0.15), (one.bend, one.gain)


def test_a_sigmoid_lets_a_quarter_through_and_relu_keeps_the_size(results) -> None:
    by = {(one.bend, one.gain): one.layers for one in results["vanishing"].starts}
    sigmoid, relu = by["sigmoid", 1.0], by["relu", 2.0]
    assert (sigmoid.expected <= 0.25).all()  # the slope is 1/4 at 0 and less elsewhere
    assert sigmoid.gradients[0] < 1e-4 * sigmoid.gradients[-1]
    assert 0.2 < relu.gradients[0] / relu.gradients[-1] < 5


def test_training_follows_the_gradient(results) -> None:
    loss = {(one.bend, one.gain): one.loss for one in results["vanishing"].starts}
    assert loss["sigmoid", 1.0] > 2.2, "it has not learnt anything: log(10) is 2.303"
    assert max(loss["relu", 2.0], loss["tanh", 1.0]) < 1.5


def test_dead_units_are_counted() -> None:
    # Biases of -100 silence every unit of the first of two layers; the second sees zeros, and its bias is 0.
    model = Model.init(vanishing.network("relu", 2.0, 2, 4), 3, loss="cross_entropy", dtype="float64", seed=0)
    model.params[0]["bias"][...] = -100.0
    model.params[2]["bias"][...] = 1.0
    found = vanishing.through(model.params, vanishing.BENDS["relu"], 2.0, np.ones((5, 3)), np.zeros(5, int))
    assert found.dead == 0.5
    assert found.gradients[0] == 0


def test_long_steps_kill_units(results) -> None:
    dying = results["vanishing"].dying
    assert [one.learning_rate for one in dying] == list(vanishing.RATES)
    assert all(0 <= one.dead <= 1 for one in dying)
    assert dying[-1].dead > dying[1].dead


def test_few_layers_do_not_make_it_vanish() -> None:
    shallow = lessons.run("vanishing", depth=2, epochs=1, rows=100)
    sigmoid = shallow.starts[0].layers
    assert sigmoid.gradients[0] > 1e-2 * sigmoid.gradients[-1]
