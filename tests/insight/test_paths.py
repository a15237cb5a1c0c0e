"""Paths of the chain rule: for every kind of layer their products add up to the automatic gradient and to a central
difference, and the strongest ones are those that a search through all of them finds.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline as fl
from fallline import nn, transforms, tree
from fallline.errors import ArgumentError
from fallline.insight.explanation import Explanation
from fallline.nn import Columns, Standardised
from fallline.nn.layer_table import examples

EXAMPLES = [(name, place) for name in sorted(nn.LAYERS) for place in range(len(examples(name)))]


def around(name: str, place: int) -> tuple[nn.Model, Any, Any]:
    """An example of a layer, between others where its input is a row of numbers, with two rows for it."""
    layer, shape = examples(name)[place]
    rng = np.random.default_rng(place + 1)
    first = [nn.Dense(shape[0])] if len(shape) == 1 and name != "Embedding" else []
    network = nn.Sequential(*first, layer, nn.Flatten(), nn.Dense(2)) if name != "Softmax" else nn.Sequential(layer)
    x = rng.integers(0, 3, (2, *shape)).astype(float) if name == "Embedding" else rng.normal(size=(2, *shape))
    loss = "squared_error" if len(shape) == 1 or name != "Softmax" else lambda output, y: np.mean(output**2)
    model = nn.Model.init(network, shape, loss=loss, dtype="float64", seed=3)
    moved = model.theta + 0.1 * rng.normal(size=model.theta.shape)
    return model.with_theta(moved), x, rng.normal(size=(2, *model.output_shape))


def check(found: Explanation, x: Any) -> None:
    """The sum over paths, backpropagation of the whole and a central difference are one number."""
    assert found.paths is not None, found.paths_left_out
    size = max(abs(found.derivative), found.paths.magnitude, 1e-12)
    assert abs(found.paths.total - found.derivative) <= 1e-10 * size
    assert abs(found.difference - found.derivative) <= 1e-6 * max(1, size)
    products = [path.product for path in found.paths.listed]
    assert np.all(np.diff(np.abs(products)) <= 1e-12 * size)
    for path in found.paths.listed:
        assert path.product == pytest.approx(float(np.prod([step.slope for step in path.steps])), rel=1e-12)
        assert path.steps[0].source == found.chosen.path and path.steps[0].index == found.chosen.index
    if found.paths.are_all:
        assert sum(products) == pytest.approx(found.derivative, abs=1e-10 * size)
        assert sum(map(abs, products)) == pytest.approx(found.paths.magnitude, rel=1e-10)
        assert found.paths.share == pytest.approx(1.0)


@pytest.mark.parametrize(("name", "place"), EXAMPLES, ids=[f"{name}-{place}" for name, place in EXAMPLES])
def test_the_paths_through_every_layer_add_up_to_the_gradient(name: str, place: int) -> None:
    model, x, y = around(name, place)
    gradient = transforms.grad(model.objective)(model.theta, x, y)
    of_x = transforms.grad(lambda x: model.objective(model.theta, x, y))(x)
    parts = dict(tree.items(model.layout.split(gradient)))
    frozen = {path for path, slot in model.layout.items() if slot.kind == "frozen"}
    for path, part in parts.items():
        found = fl.explain(model, x, y, weight=path, paths="all" if part.size < 12 else 5)
        check(found, x)
        if path not in frozen:
            assert found.derivative == pytest.approx(float(part[found.chosen.index]), rel=1e-9, abs=1e-14)
    found = fl.explain(model, x, y, to="x", paths="all")
    if name == "Embedding":  # its codes are looked up
        assert found.derivative == 0 and "no path from this input" in str(found) and "looked up" in str(found)
        return
    check(found, x)
    assert found.derivative == pytest.approx(float(of_x[found.chosen.index]), rel=1e-9, abs=1e-14)


def test_a_network_worked_by_hand_has_these_paths() -> None:
    # x = 2; two hidden units of weights 3 and -1, squared; output weights 0.5 and 4, bias 0.
    # h = 36, 4; output 18 + 16 = 34; truth 33: loss 1, slope 2 (34 - 33) = 2.
    # From x the slopes are w, then 2 w x of the square: 3 * 12 * 0.5 * 2 = 36, and -1 * -4 * 4 * 2 = 32.
    model = nn.Model.init(nn.Sequential(nn.Dense(2), np.square, nn.Dense(1)), 1, loss="squared_error", dtype="float64")
    for path, value in {"0.weight": [[3.0, -1.0]], "0.bias": 0.0, "2.weight": [[0.5], [4.0]], "2.bias": 0.0}.items():
        dict(tree.items(model.params))[path][...] = value
    found = fl.explain(model, [2.0], [33.0], to="x[0]", optimizer=fl.optim.GradientDescent(0.001))
    assert found.paths is not None
    assert [found.steps_of(path) for path in found.paths.listed] == [
        ["x[0]", "out0[0]", "out1[0]", "out2[0]", "loss"],
        ["x[0]", "out0[1]", "out1[1]", "out2[0]", "loss"],
    ]
    assert [[step.slope for step in path.steps] for path in found.paths.listed] == [[3, 12, 0.5, 2], [-1, -4, 4, 2]]
    assert [path.product for path in found.paths.listed] == [36, 32]
    assert (found.paths.count, found.paths.total, found.paths.magnitude) == (2, 68, 68)
    assert "2 lead from this input to the loss" in str(found)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 4), min_size=1, max_size=3), st.sampled_from(["tanh", "relu"]),
       st.integers(1, 20))  # fmt: skip
def test_the_strongest_paths_are_those_of_a_search_through_all(seed: int, hidden: Any, bend: str, k: int) -> None:
    rng = np.random.default_rng(seed)
    model = nn.Model.init(nn.mlp(hidden, 2, bend), 2, loss="squared_error", dtype="float64", seed=seed)
    x, y = rng.normal(size=(1, 2)), rng.normal(size=(1, 2))
    found = fl.explain(model, x, y, to="x[1]", paths=k)
    # Every path as a choice of one number in every layer's output; slopes by Jacobians of the layers, one by one.
    jacobians, at = [], x[0]
    for layer, params in zip(model.network.layers, model.params, strict=True):  # type: ignore[attr-defined]
        one = lambda v, layer=layer, params=params: layer.apply(params, v[None])[0]
        jacobians.append(np.asarray(transforms.jacobian(one)(at)))
        at = np.asarray(one(at))
    last = 2 * (at - y[0]) / 2
    products = []
    for places in itertools.product(*(range(len(j)) for j in jacobians)):
        slopes = [j[end, start] for j, start, end in zip(jacobians, (1, *places), places, strict=False)]
        products.append(float(np.prod(slopes) * last[places[-1]]))
    products = sorted((p for p in products if p), key=lambda p: -abs(p))
    assert found.paths is not None and found.paths.count == len(products)
    np.testing.assert_allclose(np.abs([p.product for p in found.paths.listed]), np.abs(products[:k]), rtol=1e-9)
    assert found.paths.total == pytest.approx(sum(products), rel=1e-9, abs=1e-12)
    assert found.paths.magnitude == pytest.approx(sum(map(abs, products)), rel=1e-9, abs=1e-300)


class Loop:
    """A state that one matrix moves some times: a loop inside a layer."""

    def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
        return {"w": (0.5 * rng.standard_normal((*shape, *shape))).astype(dtype)}, shape

    def apply(self, params: Any, x: Any) -> Any:
        return fl.scan(lambda h, _: (np.tanh(h @ params["w"]), None), x, np.zeros((3, 1)))[0]


class Twice:
    """One layer used twice, so that a weight enters in two places; and a shape in which rows are no first axis."""

    inner = nn.Dense(2)

    def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
        return {"inner": self.inner.init(rng, shape, dtype)[0]}, shape

    def apply(self, params: Any, x: Any, context: Any) -> Any:
        y = context.within("inner").apply(self.inner, params["inner"], x)
        z = context.within("inner").apply(self.inner, params["inner"], np.tanh(y))
        return z + y


class Turned:
    """The layer within sees all features of all rows one after the other, and none of its axes is that of the rows."""

    inner = nn.Dense(1)

    def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
        return {"inner": self.inner.init(rng, (1,), dtype)[0]}, shape

    def apply(self, params: Any, x: Any, context: Any) -> Any:
        n, d = x.shape
        y = context.within("inner").apply(self.inner, params["inner"], np.reshape(x.T, (d * n, 1)))
        return np.reshape(np.sin(y), (d, n)).T


@pytest.mark.parametrize("layer", [Loop(), Twice(), Turned(), nn.Ensemble((nn.mlp((2,), 2), Twice()))],
                         ids=lambda one: type(one).__name__)  # fmt: skip
@pytest.mark.parametrize("rows", [1, 3])
def test_layers_of_ones_own_are_followed_inside(layer: Any, rows: int) -> None:
    rng = np.random.default_rng(0)
    model = nn.Model.init(nn.Sequential(nn.Dense(2), "tanh", layer, nn.Dense(1)), 2, dtype="float64", seed=1)
    x, y = rng.normal(size=(rows, 2)), rng.normal(size=(rows, 1))
    for to in ("x", *(path for path, _ in tree.items(model.params))):
        check(fl.explain(model, x, y, to=to, paths="all"), x)
    inside = [layer.name for layer in fl.explain(model, x, y).layers]
    if isinstance(layer, Twice):
        assert inside == ["out0", "out1", "out2.inner", "out2.inner#2", "out2", "out3"]


def test_several_inputs_are_followed_by_their_names() -> None:
    rng = np.random.default_rng(0)
    network = nn.Sequential(lambda x: np.concatenate([x["age"], np.tanh(x["rest"])], axis=1), nn.Dense(2))
    x = {"age": rng.normal(size=(3, 1)), "rest": rng.normal(size=(3, 2))}
    found = fl.explain(network, x, rng.normal(size=(3, 2)), to="x.rest[1,0]", paths="all")
    check(found, x)
    assert found.chosen.is_input and found.chosen_name == "x.rest[1,0]"


def test_a_column_is_meant_by_its_bare_name_even_where_an_array_is_called_so() -> None:
    encoder = Columns(
        (Standardised("x", 0.0, 1.0), Standardised("0.weight", 1.0, 2.0), Standardised("a[cm]", 1.0, 2.0))
    )
    model = nn.Model.init(nn.mlp((3,), 1, "tanh"), 3, loss="squared_error").between(encoder, None)
    names = {"x": "x[0] (x)", "0.weight": "x[1] (0.weight)", "a[cm]": "x[2] (a[cm])", "a[cm][0]": "x[2] (a[cm])",
             "x[1]": "x[1] (0.weight)", "0.weight[2,1]": "0.weight[2,1]"}  # fmt: skip
    for asked, name in names.items():
        assert fl.explain(model, [0.5, -1, 2.0], [2.0], to=asked).chosen_name == name
    assert fl.explain(model, [0.5, -1, 2.0], [2.0], weight="0.weight").chosen.path == "0.weight"
    with pytest.raises(ArgumentError, match=r"becomes 1 numbers, and there is no a\[cm\]\[3\]"):
        fl.explain(model, [0.5, -1, 2.0], [2.0], to="a[cm][3]")


def test_a_number_is_asked_for_once_and_paths_by_a_count() -> None:
    net, x, y = nn.mlp((3,), 1, "tanh"), [0.5, -1.0], [2.0]
    for bad, told in (
        ({"weight": "0.weight", "to": "x[0]"}, "both are given"),
        ({"paths": -1}, 'paths is "all" or a whole number'),
        ({"paths": "most"}, 'paths is "all" or a whole number'),
        ({"to": "y[0]"}, "unknown weight or input 'y'"),
        ({"to": "x[7]"}, r"there is no x\[7\]: x has shape \(2,\)"),
    ):
        with pytest.raises(ArgumentError, match=told):
            fl.explain(net, x, y, **bad)  # type: ignore[arg-type]
    none = fl.explain(net, x, y, paths=0)
    assert none.paths is not None and not none.paths.listed and none.paths.count == 1


def test_numbers_that_are_not_finite_have_no_paths_and_are_still_explained() -> None:
    found = fl.explain(nn.Sequential(nn.Dense(1), np.exp, nn.Dense(1)), [1e6], [1.0], weight="2.weight")
    assert found.paths is None and "left out" in str(found)
