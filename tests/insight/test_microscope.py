"""explain: its numbers are the library's own, and finite differences at the inner values agree with every delta."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallline import nn, transforms, tree
from fallline.errors import ArgumentError, ArgumentTypeError, DataError, ShapeError
from fallline.insight.microscope import explain
from fallline.nn.loss import in_words

SMOOTH = ["tanh", "sigmoid", "softplus", "silu", "gelu", "identity", "softsign"]

# A loss with targets for 3 rows, and the outputs it wants.
TASKS = {
    "squared_error": (2, np.array([[0.5, -1.0], [2.0, 0.1], [0.3, 0.4]])),
    "absolute_error": (1, np.array([5.0, -7.0, 9.0])),
    "huber": (1, np.array([0.5, -7.0, 0.1])),
    "cross_entropy": (4, np.array([3, 0, 1])),
    "binary_cross_entropy": (1, np.array([1, 0, 1])),
    "hinge": (1, np.array([1, 0, 1])),
    "poisson": (1, np.array([3.0, 0.0, 1.0])),
    "pinball": (1, np.array([5.0, -7.0, 9.0])),
}


def test_every_loss_is_explained_here() -> None:
    assert set(TASKS) == set(nn.LOSSES)


def network(rng, hidden, outputs, activation):
    return nn.mlp(hidden, outputs, activation), rng.standard_normal((3, 2))


def after(model, place, value, y):
    """The loss when this value stands in for what the layer at `place` returned."""
    layers, params = model.network.layers, model.params
    for layer, its in zip(layers[place + 1 :], params[place + 1 :], strict=True):
        value = layer.apply(its, value)
    return float(model.loss.function(value, y))


def numerical(function, at, step=1e-6):
    found = np.zeros_like(at)
    for i in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[i] += step
        down[i] -= step
        found[i] = (function(up) - function(down)) / (2 * step)
    return found


@given(st.integers(0, 1000), st.lists(st.integers(1, 4), max_size=2), st.sampled_from(SMOOTH),
       st.sampled_from(sorted(TASKS)))  # fmt: skip
def test_every_delta_is_what_a_small_change_of_that_value_does_to_the_loss(seed, hidden, activation, loss) -> None:
    outputs, y = TASKS[loss]
    net, x = network(np.random.default_rng(seed), hidden, outputs, activation)
    found = explain(net, x, y, loss=loss, seed=seed)
    for layer in found.layers:
        expected = numerical(lambda v, place=int(layer.path): after(found.model, place, v, found.y), layer.output)
        np.testing.assert_allclose(layer.delta, expected, rtol=1e-4, atol=1e-7)
    expected = numerical(lambda v: after(found.model, -1, v, found.y), found.x)
    np.testing.assert_allclose(found.x_delta, expected, rtol=1e-4, atol=1e-7)


@given(st.integers(0, 1000), st.lists(st.integers(1, 4), max_size=2), st.sampled_from(sorted(nn.ACTIVATIONS)),
       st.sampled_from(sorted(TASKS)))  # fmt: skip
def test_the_whole_gradient_is_the_one_training_uses(seed, hidden, activation, loss) -> None:
    if activation == "softmax":
        hidden = []
    outputs, y = TASKS[loss]
    net, x = network(np.random.default_rng(seed), hidden, outputs, activation)
    found = explain(net, x, y, loss=loss, seed=seed)
    value, gradient = transforms.value_and_grad(found.model.objective)(found.model.theta, found.x, found.y)
    assert found.loss == pytest.approx(float(value), rel=1e-12)
    parts = dict(tree.items(found.model.layout.split(gradient)))
    assert parts.keys() == found.gradient.keys()
    for path, part in parts.items():
        np.testing.assert_allclose(found.gradient[path], part, rtol=1e-12, atol=1e-15)


@settings(max_examples=50)
@given(st.integers(0, 1000), st.sampled_from(SMOOTH), st.sampled_from(sorted(TASKS)), st.integers(0, 10**6))
def test_each_link_is_the_sum_of_its_terms_and_the_chain_ends_at_the_loss(seed, activation, loss, which) -> None:
    outputs, y = TASKS[loss]
    net, x = network(np.random.default_rng(seed), (3, 4), outputs, activation)
    first = explain(net, x, y, loss=loss, seed=seed)
    places = [(path, *index) for path, g in first.gradient.items() for index in np.ndindex(g.shape)]
    weight = places[which % len(places)]
    found = explain(net, x, y, loss=loss, seed=seed, weight=weight, terms=2)
    assert (found.chosen.path, *found.chosen.index) == weight
    assert found.derivative == found.gradient[found.chosen.path][found.chosen.index]
    assert len(found.chain) == 2 + len(found.layers) - 1 - int(weight[0].split(".")[0])
    for link in found.chain:
        total = sum(term.product for term in link.terms) + link.rest
        assert total == pytest.approx(link.value, rel=1e-6, abs=1e-12)
    for link, after_it in zip(found.chain, found.chain[1:], strict=False):
        assert after_it.name in {term.delta_name for term in link.terms}
    assert found.relative_difference < 1e-4 or abs(found.derivative - found.difference) < 1e-9


def test_a_network_worked_by_hand() -> None:
    # x = 2, w = 3, v = 0.5:  out0 = 6, relu 6, out2 = 3; loss (3 - 1)^2 = 4.
    # delta2 = 2 (3 - 1) = 4, delta1 = 4 * 0.5 = 2, delta0 = 2 * 1, d loss / d w = 2 * 2 = 4.
    model = nn.Model.init(nn.Sequential(nn.Dense(1), nn.ReLU(), nn.Dense(1)), 1, loss="squared_error")
    for path, value in {"0.weight": 3.0, "0.bias": 0.0, "2.weight": 0.5, "2.bias": 0.0}.items():
        dict(tree.items(model.params))[path][...] = value
    found = explain(model, [2.0], [1.0])
    assert found.loss == 4.0
    assert [float(layer.output[0, 0]) for layer in found.layers] == [6.0, 6.0, 3.0]
    assert [float(layer.delta[0, 0]) for layer in found.layers] == [2.0, 2.0, 4.0]
    assert found.derivative == 4.0
    assert [(t.slope_name, t.slope, t.delta_name, t.delta) for link in found.chain for t in link.terms] == [
        ("x[0]", 2.0, "delta0[0]", 2.0),
        ("relu'(out0[0])", 1.0, "delta1[0]", 2.0),
        ("2.weight[0,0]", 0.5, "delta2[0]", 4.0),
        ("(prediction - truth)", 2.0, "2 / entries", 2.0),
    ]


@pytest.mark.parametrize("soft", [False, True])
def test_label_smoothing_is_named_and_its_last_step_is_shown_in_numbers(soft: bool) -> None:
    # Truth 1 of 4 classes, smoothed by 0.2: 0.8 * 1 + 0.2 / 4 = 0.85, and 0.05 for the others.
    net, x = nn.Sequential(nn.Dense(4)), [0.5, -1.0]
    y = np.eye(4)[1] if soft else 1
    found = explain(net, x, y, loss=nn.CrossEntropy(label_smoothing=0.2), weight="0.weight[0,1]")
    last, text = found.chain[-1], " ".join(str(found).split())
    (term,) = last.terms
    p = float(nn.Softmax()(found.layers[-1].output)[0, 1])
    assert term.slope == pytest.approx(p - 0.85) and term.slope * term.delta == pytest.approx(last.value)
    assert "minus truth 0.85, which is 0.8 * 1 + 0.2 / 4 (label smoothing 0.2)" in text
    assert "loss cross_entropy, label smoothing 0.2 = " in text


def test_the_weight_can_be_named_in_three_ways_and_left_out() -> None:
    net, x, y = nn.mlp((3,), 1, "tanh"), [0.5, -1.0], [2.0]
    free = explain(net, x, y)
    inside = explain(net, x, y, weight="2.weight")
    assert free.chosen.path == "0.weight" and abs(free.derivative) == np.abs(free.gradient["0.weight"]).max()
    assert inside.chosen.path == "2.weight" and abs(inside.derivative) == np.abs(inside.gradient["2.weight"]).max()
    assert explain(net, x, y, weight=" 0.weight[1, 2] ").chosen == explain(net, x, y, weight=("0.weight", 1, 2)).chosen
    assert explain(net, x, y, weight="0.bias[-1]").chosen.index == (2,)


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        ({"weight": "0.wieght[0,0]"}, ArgumentError, "did you mean '0.weight'"),
        ({"weight": "0.weight[0,7]"}, ArgumentError, r"there is no 0.weight\[0,7\]: 0.weight has shape \(2, 3\)"),
        ({"weight": "0.weight[a]"}, ArgumentError, "weight is"),
        ({"weight": 3}, ArgumentTypeError, "weight is"),
        ({"weight": ("0.weight", 0.5, 1)}, ArgumentError, "weight is"),
        ({"x": [0.5, np.nan]}, DataError, "NaN"),
        ({"x": [0.5, 1.0, 2.0]}, ShapeError, "x has shape"),
        ({"x": np.zeros((0, 2)), "y": np.zeros((0, 1))}, DataError, "empty"),
        ({"x": np.zeros((2, 2)), "y": np.zeros((3, 1))}, ShapeError, "2 rows and y has 3"),
        ({"model": 3}, ArgumentTypeError, "explain takes"),
        ({"loss": lambda output, y: output - y}, ShapeError, "one number"),
    ],
)
def test_what_cannot_be_explained_is_reported(change, error, told) -> None:
    model = nn.Model.init(nn.mlp((3,), 1, "tanh"), 2)
    arguments = {"model": model, "x": [0.5, 1.0], "y": [2.0], **change}
    with pytest.raises(error, match=told):
        explain(**arguments)


def test_a_single_row_with_its_target_is_a_batch_of_one() -> None:
    net = nn.mlp((3,), 4)
    one = explain(net, [0.5, -1.0], 2)
    batch = explain(net, [[0.5, -1.0]], [2])
    assert one.model.loss.name == "cross_entropy" and one.loss == batch.loss and one.x.shape == (1, 2)
    assert explain(net, [[0.5, -1.0]], [[1.0, 0.0, 0.0, 3.0]]).model.loss.name == "squared_error"


def test_a_run_and_a_layer_that_is_no_sequential_can_be_explained() -> None:
    class Run:
        model = nn.Model.init(nn.Dense(1), 2, loss="poisson")

    found = explain(Run(), [[0.5, 2.0]], [3])
    assert found.chosen.path == "weight" and len(found.layers) == 1
    assert found.relative_difference < 1e-8


def test_a_layer_of_ones_own_and_a_plain_function_are_followed() -> None:
    class Scale:
        def init(self, rng, shape, dtype):
            return {"by": np.full(shape, 2.0, dtype)}, shape

        def apply(self, params, x):
            return x * params["by"] + np.sum(x, axis=1, keepdims=True)

    found = explain(nn.Sequential(nn.Dense(3), Scale(), np.sin, nn.Dense(1)), np.eye(2), [0.3, 0.7], weight="1.by[1]")
    assert found.relative_difference < 1e-8
    assert found.chain[0].terms[0].slope_name.startswith("d out1[")
    across = explain(nn.Sequential(nn.Dense(3), Scale(), nn.Dense(1)), np.eye(2), [0.3, 0.7]).chain[1]
    assert across.count == 3, "every output of this layer depends on every input of its row"


def test_a_silent_unit_ends_the_chain_and_is_reported() -> None:
    model = nn.Model.init(nn.mlp((2,), 1), 1, loss="squared_error", dtype="float64")
    dict(tree.items(model.params))["0.bias"][...] = -100.0
    found = explain(model, [1.0], [1.0])
    assert found.derivative == 0.0 == found.difference and found.relative_difference == 0.0
    assert "no path from this weight" in str(found)


def test_float32_models_are_explained_in_float64_and_left_alone() -> None:
    model = nn.Model.init(nn.mlp((3,), 2), 2, loss="cross_entropy")
    before = model.theta.copy()
    found = explain(model, [0.5, -1.0], 1)
    assert found.gradient["0.weight"].dtype == np.float64 and model.dtype == np.float32
    np.testing.assert_array_equal(model.theta, before)


@pytest.mark.parametrize("width", [60, 80, 100, 140])
@pytest.mark.parametrize("loss", sorted(TASKS))
def test_the_text_keeps_to_its_width_and_holds_the_numbers(width, loss) -> None:
    outputs, y = TASKS[loss]
    x = np.random.default_rng(0).standard_normal((3, 50))
    found = explain(nn.mlp((40,), outputs, "tanh"), x, y, loss=loss, terms=2)
    text = found.text(width=width, ascii_only=True)
    assert text.isascii() and max(map(len, text.split("\n"))) <= width
    assert f"{in_words(found.model.loss)} = {found.loss:.7g}"[:18] in text
    assert "relative difference" in text
    assert width < 80 or "more, together" in text  # names are cut where the terminal is too narrow, numbers never


def test_a_loss_that_is_not_the_one_of_training_is_named() -> None:
    shared = nn.Sequential(nn.SharedDense(3, 2), nn.ReLU(), nn.Heads(2, link="softmax"))
    assert "mean of its members' losses" in str(explain(shared, [0.5, -1.0], 1))
    penalised = nn.Objective("squared_error", penalty=nn.L2(0.1))
    assert "adds a penalty" in str(explain(nn.Dense(1), [0.5, -1.0], [1.0], loss=penalised))
    assert not explain(nn.Dense(1), [0.5, -1.0], [1.0]).notes


def test_the_data_form_survives_json() -> None:
    found = explain(nn.mlp((3,), 2), np.eye(2), [0, 1])
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert data["chosen"]["path"] == "0.weight" and data["loss"] == found.loss
    assert np.array(data["layers"][1]["delta"]).shape == found.layers[1].delta.shape
    assert sum(t["product"] for t in data["chain"][0]["terms"]) + data["chain"][0]["rest"] == pytest.approx(
        data["chosen"]["derivative"]
    )
