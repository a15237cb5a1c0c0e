"""Parts of a model are models: over the same theta, with the same outputs, from and to files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn, tree
from fallline.errors import ArgumentError, ArgumentTypeError, OutOfRangeError, ShapeError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(9, 3)).astype(np.float32)
NAMES = np.array(["a", "b", "c"])[np.arange(9) % 3]


@pytest.fixture(scope="module")
def model() -> Any:
    return fl.fit(nn.mlp((5, 4), 3, "tanh"), (X, NAMES), loss="cross_entropy", epochs=2).model


@pytest.mark.parametrize("cut", range(1, 5))
def test_two_parts_one_after_the_other_are_the_whole_to_the_last_bit(model: Any, cut: int) -> None:
    first, last = model[:cut], model[cut:]
    between = first.predict(X)
    np.testing.assert_array_equal(between, first.outputs(X))
    assert (first.output_shape, last.input_shape) == (between.shape[1:], between.shape[1:])
    np.testing.assert_array_equal(last.outputs(between), model.outputs(X))
    np.testing.assert_array_equal(last.predict(between), model.predict(X))
    assert first.theta.size + last.theta.size == model.theta.size
    assert all(np.shares_memory(leaf, model.theta) for part in (first, last) for leaf in tree.leaves(part.params))


def test_a_place_is_a_part_of_one_layer(model: Any) -> None:
    for place in (0, -1, 2):
        layer = model.network.layers[place]
        assert model[place].network == nn.Sequential(layer)
        np.testing.assert_array_equal(model[place].params[0]["weight"], model.params[place]["weight"])
    z = model[0].outputs(X)
    np.testing.assert_allclose(model[1].outputs(z), np.tanh(z), rtol=1e-6)
    assert [part.network for part in model] == [nn.Sequential(layer) for layer in model.network.layers]


def test_a_part_goes_to_a_file_and_trains_on(model: Any, tmp_path: Path) -> None:
    part = model[:-1]
    fl.save_model(part, tmp_path / "part.safetensors")
    np.testing.assert_array_equal(fl.load_model(tmp_path / "part.safetensors").predict(X), part.predict(X))
    run = fl.fit(part, (X, RNG.normal(size=(9, 4))), loss="squared_error", epochs=1)
    assert not np.array_equal(run.model.theta, part.theta)


def test_a_part_without_parameters_predicts_and_goes_to_a_file(model: Any, tmp_path: Path) -> None:
    part = model[1]
    fl.save_model(part, tmp_path / "part.safetensors")
    z = model[0].outputs(X)
    np.testing.assert_array_equal(fl.load_model(tmp_path / "part.safetensors").predict(z), part.predict(z))
    with pytest.raises(ArgumentError, match="no parameters, so there is nothing to train"):
        fl.fit(part, (z, z), epochs=1)


def test_the_encoder_goes_with_the_first_layer_and_the_decoder_with_the_last() -> None:
    raw = X * 100 + 7
    whole = fl.fit(nn.mlp((4,), 3), (raw, NAMES), loss="cross_entropy", encoder=nn.standardise(raw), epochs=1).model
    np.testing.assert_array_equal(whole[1:].predict(whole[:1].predict(raw)), whole.predict(raw))
    assert whole[1:].encoder is None and whole[1:].classes is not None and whole[:1].classes is None


def test_what_has_no_such_part_is_reported(model: Any) -> None:
    for key, kind, told in (
        ("0", ArgumentTypeError, "taken by places"),
        (slice(3, 1), ArgumentError, "one layer or more"),
        (slice(0, 4, 2), ArgumentError, "one layer or more"),
        (5, OutOfRangeError, "has 5 layers, got 5"),
    ):
        with pytest.raises(kind, match=told):
            model[key]
    with pytest.raises(ArgumentTypeError, match="only a Sequential has parts"):
        nn.Model.init(nn.Residual(nn.Dense(3)), 3)[:1]


def test_a_model_takes_a_tree_of_parameters(model: Any) -> None:
    doubled = tree.map(lambda leaf: 2 * leaf.astype(float), model.params)
    np.testing.assert_array_equal(model.with_params(doubled).theta, 2 * model.theta)
    np.testing.assert_array_equal(model.apply(model.params, X), model.apply(model.theta, X))
    y = model.prepare(NAMES).y
    assert model.objective(model.params, X, y) == model.objective(model.theta, X, y)
    for wrong in ({}, model.params[:-1], 5, [*doubled[:-1], {"weight": np.ones((4, 3)), "bias": np.ones(4)}]):
        with pytest.raises(ArgumentError, match="params has another form than the model's"):
            model.with_params(wrong)
    with pytest.raises(ShapeError):
        model.apply(np.ones(3), X)


@pytest.mark.parametrize(
    "network", [nn.Sequential(nn.Dense(4), nn.Tanh()), nn.Ensemble((nn.Dense(4), nn.Dense(4)))], ids=["one", "many"]
)
def test_a_tree_with_too_few_parts_or_too_many_is_refused(network: Any) -> None:
    """An ensemble of fewer networks would be an answer too."""
    whole = nn.Model.init(network, 3)
    for params in (whole.params[:1], whole.params + whole.params[:1], list(whole.params[:1]), {}):
        with pytest.raises(
            ArgumentError, match=r"params have . entries, and the .* has 2 layers(?s:.*)try: a tree like mod"
        ):
            whole.apply(params, X)
    np.testing.assert_array_equal(whole.apply(list(whole.params), X), whole.apply(whole.params, X))
