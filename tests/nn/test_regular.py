"""Dropout and Residual: outputs in training and prediction; random numbers follow from seed and step."""

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.errors import ArgumentError, ShapeError
from fallline.ops.random import Noise

X = np.random.default_rng(0).standard_normal((6, 4))


def test_dropout_passes_everything_on_when_predicting():
    assert nn.Dropout(0.5).apply({}, X, nn.Context()) is X


def test_dropout_sets_its_share_to_zero_and_scales_the_rest():
    y = nn.Dropout(0.25).apply({}, X, nn.Context(training=True, key=3, dtype=X.dtype))
    dropped = nn.Context(training=True, key=3, dtype=X.dtype).uniform(X.shape) < 0.25
    assert 0 < dropped.sum() < 12
    np.testing.assert_array_equal(y[dropped], 0)
    np.testing.assert_allclose(y[~dropped], X[~dropped] / 0.75)


def test_residual_adds_what_comes_in():
    layer = nn.Residual(nn.Tanh(), nn.Dense(4))
    params, shape = layer.init(np.random.default_rng(1), (4,), np.float64)
    assert shape == (4,)
    np.testing.assert_allclose(layer.apply(params, X), X + np.tanh(X) @ params[1]["weight"] + params[1]["bias"])
    fl.testing.check_grads(lambda p: np.sum(layer.apply(p, X) ** 2), (params,))


def test_residual_refuses_layers_that_change_the_shape():
    with pytest.raises(ShapeError, match="cannot be added"):
        nn.Residual(nn.Dense(3)).init(np.random.default_rng(0), (4,), np.float64)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2, "half"])
def test_senseless_rates_are_refused(rate):
    with pytest.raises((ArgumentError, TypeError)):
        nn.Dropout(rate)


def test_the_context_reaches_layers_inside_others():
    drop = nn.Dropout(0.5)
    network = nn.Sequential(drop, nn.Residual(drop), nn.Ensemble((drop, nn.Sequential(drop))))
    params, _ = network.init(np.random.default_rng(0), (4,), np.float64)
    ones = np.ones((50, 4))
    a, b, c, d = (lambda draw: [draw.uniform(ones.shape) >= 0.5 for _ in range(4)])(
        nn.Context(training=True, key=1, dtype=ones.dtype)
    )
    y = network.apply(params, ones, nn.Context(training=True, key=1, dtype=ones.dtype))
    np.testing.assert_allclose(y, 2 * a * (1 + 2 * b) * (c + d.astype(float)))


def fitted(**options):
    y = (X[:, 0] > 0).astype(int)
    network = nn.Sequential(nn.Dense(8), nn.ReLU(), nn.Dropout(0.5), nn.Residual(nn.Dense(8)), nn.Dense(2))
    return fl.fit(network, (X, y), loss="cross_entropy", epochs=5, batch_size=4, **options)


def test_training_with_dropout_follows_from_the_seed():
    assert fitted(seed=3).model.theta.tobytes() == fitted(seed=3, threads=2).model.theta.tobytes()
    assert fitted(seed=3).history["loss"][-1] != fitted(seed=4).history["loss"][-1]


def test_every_step_and_every_layer_draws_other_numbers():
    draw = [Noise(fl.ops.random_bits(step, 0)) for step in (0, 1)]
    numbers = [d((50,)) for d in draw for _ in range(2)]
    assert len({a.tobytes() for a in numbers}) == 4
    shapes = [d.normal((50,)) for d in draw for _ in range(2)], [d.integers((50,), 0, 99) for d in draw for _ in "ab"]
    assert all(len({a.tobytes() for a in drawn}) == 4 for drawn in shapes)


class Noisy:
    """Adds normal noise and sometimes changes a sign while training."""

    def init(self, rng, shape, dtype):
        return {}, shape

    def apply(self, params, x, context):
        if not context.training:
            return x
        signs = 2 * context.integers(x.shape, 0, 2).astype(x.dtype) - 1
        return x * np.where(context.uniform(x.shape) < 0.1, signs, 1) + np.float32(0.1) * context.normal(x.shape)


def test_training_with_drawn_numbers_has_the_same_bits_on_any_threads_and_after_a_resume(tmp_path):
    network = nn.Sequential(Noisy(), nn.Dense(4), nn.Tanh(), Noisy(), nn.Dense(1))
    settings = {"loss": "squared_error", "batch_size": 4, "seed": 3}
    whole = fl.fit(network, (X, X[:, 0]), epochs=4, **settings)
    fl.fit(network, (X, X[:, 0]), epochs=2, out=tmp_path / "run", **settings)
    resumed = fl.fit(network, (X, X[:, 0]), epochs=4, resume=tmp_path / "run", **settings)
    threads = fl.fit(network, (X, X[:, 0]), epochs=4, threads=2, **settings)
    assert whole.model.theta.tobytes() == resumed.model.theta.tobytes() == threads.model.theta.tobytes()
    assert (
        whole.model.theta.tobytes()
        != fl.fit(network, (X, X[:, 0]), epochs=4, **{**settings, "seed": 4}).model.theta.tobytes()
    )


def test_networks_with_them_are_saved_and_read(tmp_path):
    run = fitted(seed=0)
    fl.save_model(run.model, tmp_path / "m.safetensors")
    read = fl.load_model(tmp_path / "m.safetensors")
    read = read[0] if isinstance(read, tuple) else read
    np.testing.assert_array_equal(read.outputs(X), run.model.outputs(X))
