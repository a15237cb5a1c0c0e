"""The model: theta and its views, prediction in blocks and from every form of data, its summary and its config."""

import contextlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fallline as fl
from fallline import nn, tree
from fallline.errors import ArgumentError, ArgumentTypeError, DataError, FalllineError, ShapeError
from fallline.nn.model import Model

X = np.random.default_rng(0).normal(size=(7, 3))


def small(loss: Any = "squared_error", outputs: int = 2, **rest: Any) -> Model:
    return Model.init(nn.mlp((4,), outputs, "tanh"), 3, loss=loss, **rest)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_theta_is_one_vector_and_params_are_views_of_it(dtype: type) -> None:
    model = small(dtype=dtype)
    theta = model.theta
    assert theta.dtype == dtype and theta.ndim == 1 and theta.flags.c_contiguous
    assert {path: slot.shape for path, slot in model.layout.items()} == {
        "0.bias": (4,), "0.weight": (3, 4), "2.bias": (2,), "2.weight": (4, 2)}  # fmt: skip
    assert theta.size == model.layout.size == 4 + 12 + 2 + 8
    assert all(np.shares_memory(theta, leaf) for leaf in tree.leaves(model.params))
    model.params[2]["bias"][...] = 100
    assert (model.outputs(X) > 90).all()
    np.testing.assert_array_equal(model.layout.join(model.params, dtype), theta)


def test_the_seed_decides_where_training_starts() -> None:
    np.testing.assert_array_equal(small(seed=3).theta, small(seed=3).theta)
    np.testing.assert_array_equal(small(seed=np.random.default_rng(3)).theta, small(seed=3).theta)
    assert (small(seed=3).theta != small(seed=4).theta).any()
    np.testing.assert_array_equal(small(dtype="float64").theta.astype(np.float32), small().theta)


def test_decay_pulls_on_weights_and_not_on_biases() -> None:
    model = small()
    on = model.layout.split(model.decay_mask)
    assert on[0]["weight"].all() and on[2]["weight"].all()
    assert not on[0]["bias"].any() and not on[2]["bias"].any()


def test_apply_and_objective_can_be_traced_in_theta() -> None:
    model = small(dtype="float64")
    y = X[:, :2]
    g = fl.grad(model.objective)(model.theta, X, y)
    by_name = fl.grad(lambda params: nn.SquaredError()(model.network.apply(params, X), y))(model.params)
    np.testing.assert_allclose(model.layout.join(by_name, np.float64), g, rtol=1e-14)


@pytest.mark.parametrize("form", [
    lambda x: x.tolist(), lambda x: x.astype(np.float32), lambda x: x.astype(">f8"), lambda x: x.astype(np.float16),
    lambda x: x.astype(object), lambda x: np.asfortranarray(x), lambda x: np.repeat(x, 2, axis=0)[::2],
])  # fmt: skip
def test_rows_may_come_in_any_form(form: Any) -> None:
    model, x = small(), np.round(X * 4) / 4  # exact in float16
    np.testing.assert_allclose(model.outputs(form(x)), model.outputs(x), rtol=1e-6)


def test_whole_numbers_and_booleans_are_numbers() -> None:
    model = small()
    ones = model.outputs(np.ones((1, 3)))
    np.testing.assert_array_equal(model.outputs(np.ones((1, 3), np.uint8)), ones)
    np.testing.assert_array_equal(model.outputs([[True, True, True]]), ones)


def test_read_only_and_mapped_rows_are_not_copied_and_work(tmp_path: Any) -> None:
    model, x = small(dtype="float64"), X.copy()
    np.save(tmp_path / "x.npy", x)
    x.setflags(write=False)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert np.shares_memory(model.rows(x), x) and np.shares_memory(model.rows(mapped), mapped)
    np.testing.assert_array_equal(model.predict(mapped), model.predict(x))


@pytest.mark.parametrize("empty", [[], np.zeros((0, 3)), np.zeros(0)])
def test_no_rows_give_no_predictions(empty: Any) -> None:
    assert small().predict(empty).shape == (0, 2)
    classes = small("cross_entropy").for_targets(nn.LOSSES["cross_entropy"].prepare(["a", "b"], np.float32))
    assert classes.predict(empty).shape == (0,) and classes.predict_proba(empty).shape == (0, 2)


@pytest.mark.parametrize("run", [lambda f, x: f(x), lambda f, x: fl.compile(f)(x), lambda f, x: fl.grad(f)(x)])
@pytest.mark.parametrize("more", [-1, 1])
def test_a_theta_of_another_length_is_refused(run, more) -> None:
    model = nn.Model.init(nn.Dense(2), 3)
    with pytest.raises(ShapeError, match="the vector of all 8 parameters"):
        run(lambda theta: np.sum(model.apply(theta, np.ones((4, 3)))), np.ones(8 + more))


@pytest.mark.parametrize(("x", "error", "says"), [
    (X[0], ShapeError, r"x has shape \(3,\), and this model takes \(N, 3\)\n  try: x\[None\]"),
    (X[:, :2], ShapeError, r"x has shape \(7, 2\), and this model takes \(N, 3\)"),
    (X[None], ShapeError, r"x has shape \(1, 7, 3\)"),
    (np.zeros((0, 4)).T, ShapeError, r"x has shape \(4, 0\)"),
    ([[1, 2, np.nan]], DataError, "x holds NaN or infinity: 1 of 3 numbers, the first nan in row 0, column 2"),
    ([[1, 2, 1e300]], DataError, "too large for float32"),
    ([["a", 1, 2]], DataError, "x holds 'a' .str. in column 0, row 0"),
    (5, DataError, "x is int 5, not an array of rows"),
])  # fmt: skip
def test_rows_that_cannot_be_read_are_reported(x: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        small().predict(x)


def test_a_regressor_predicts_in_the_form_of_its_targets() -> None:
    for y, shape in (([1.0, 2], (7,)), ([[1.0], [2.0]], (7, 1))):
        model = small(outputs=1)
        model = model.for_targets(model.prepare(y))
        assert model.predict(X).shape == shape
    np.testing.assert_array_equal(small().predict(X), small().outputs(X))


def test_a_classifier_predicts_labels_and_probabilities() -> None:
    model = small("cross_entropy", 3, dtype="float64")
    model = model.for_targets(model.prepare(["b", "a", "c"]))
    z, p = model.outputs(X), model.predict_proba(X)
    np.testing.assert_allclose(p, np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), rtol=1e-12)
    assert model.predict(X).tolist() == [["a", "b", "c"][k] for k in p.argmax(axis=1)]


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "hinge"])
def test_two_classes_are_told_apart_by_the_sign_of_one_output(loss: str) -> None:
    model = small(loss, 1)
    model = model.for_targets(model.prepare([10, 20, 10]))
    assert model.predict(X).tolist() == [20 if z > 0 else 10 for z in model.outputs(X)[:, 0]]
    if loss == "hinge":
        with pytest.raises(ArgumentError, match=r"Hinge.* gives distances, not probabilities"):
            model.predict_proba(X)
    else:
        p = model.predict_proba(X)
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
        assert ((p[:, 1] > 0.5) == (model.predict(X) == 20)).all()


@pytest.mark.parametrize(("loss", "outputs"), [("cross_entropy", 3), ("binary_cross_entropy", 1), ("hinge", 1)])
def test_a_classifier_that_met_no_targets_names_its_classes_by_number(loss: str, outputs: int) -> None:
    # As in a training loop of one's own, which hands targets to the objective and never to the model.
    model = small(loss, outputs)
    z = model.outputs(X)
    assert model.predict(X).tolist() == (z.argmax(axis=1) if outputs > 1 else (z[:, 0] > 0).astype(int)).tolist()
    again = Model.from_config(model.to_config(), model.theta)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    if loss != "hinge":
        np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-6)
    labelled = model.for_targets(model.prepare(["a", "b", "c"][: max(2, outputs)]))
    assert set(labelled.predict(X)) <= {"a", "b", "c"}


def test_probabilities_as_targets_are_predicted_as_numbers() -> None:
    model = small("binary_cross_entropy", 1)
    model = model.for_targets(model.prepare([0.2, 0.9]))
    assert model.predict(X).shape == (7,) and 0 < model.predict(X).min() < 1
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], model.predict(X), rtol=1e-6)


@pytest.mark.parametrize("wrap", [lambda m: nn.Sequential(m, nn.Softmax()), lambda m: nn.Residual(m),
                                  lambda m: nn.Ensemble((m, m)), lambda m: Model.init(m, 3)])  # fmt: skip
def test_a_model_is_no_layer_and_its_network_is(wrap: Any) -> None:
    model = small("squared_error", 3)
    with pytest.raises(ArgumentTypeError, match=r"is a Model, which holds parameters.*\n  try: .*model\.network"):
        wrap(model)
    wrap(model.network)
    with pytest.raises(ArgumentTypeError, match=r"layer 1 is the loss Huber\(\)\n  try: loss=Huber\(\)"):
        nn.Sequential(nn.Dense(3), nn.Huber())


def test_hints_about_the_shape_of_rows_are_right() -> None:
    image = Model.init(nn.Sequential(nn.Flatten(), nn.Dense(2)), (4, 3))
    x = np.arange(12.0).reshape(4, 3)
    for rows, hint in ((x, "x[None]"), (x.tolist(), "[x]"), (x.ravel(), "x.reshape(-1, 4, 3)"),
                       ([x.ravel().tolist()], "np.asarray(x).reshape(-1, 4, 3)")):  # fmt: skip
        with pytest.raises(ShapeError) as raised:
            image.predict(rows)
        assert f"try: {hint}, for" in str(raised.value)
        np.testing.assert_array_equal(image.predict(eval(hint, {"x": rows, "np": np})), image.predict(x[None]))


def test_counts_are_predicted_as_counts() -> None:
    model = small("poisson", 1)
    model = model.for_targets(model.prepare([1, 2]))
    np.testing.assert_allclose(model.predict(X), np.exp(model.outputs(X)[:, 0]), rtol=1e-6)
    with pytest.raises(ArgumentError, match="knows no classes"):
        model.predict_proba(X)


@pytest.mark.parametrize(("loss", "link", "outputs"), [
    ("cross_entropy", nn.Softmax(), 3), ("binary_cross_entropy", nn.Sigmoid(), 1)])  # fmt: skip
def test_a_last_layer_that_is_the_losss_link_is_applied_once(loss: str, link: nn.Activation, outputs: int) -> None:
    plain = nn.mlp((4,), outputs)
    ended = Model.init(nn.Sequential(plain, link), 3, loss=loss)
    assert ended.network == plain
    y = ["a", "b", "c"][: max(2, outputs)]
    model = ended.for_targets(ended.prepare(y))
    np.testing.assert_allclose(model.predict_proba(X)[:, -1], link(model.outputs(X))[:, -1], rtol=1e-6)
    kept = Model.init(nn.Sequential(plain, link), 3, loss="squared_error")
    assert kept.network.layers[-1] == link


def test_summary_lists_layers_shapes_and_parameters() -> None:
    model = Model.init(nn.Sequential(nn.Flatten(), nn.Dense(64), nn.ReLU(), nn.Dense(10)), (28, 28))
    assert model.summary() == (
        "   layer      output       parameters\n"
        "   input      (N, 28, 28)\n"
        "0  Flatten()  (N, 784)\n"
        "1  Dense(64)  (N, 64)          50,240\n"
        "2  ReLU()     (N, 64)\n"
        "3  Dense(10)  (N, 10)             650\n"
        "50,890 parameters, 204 kB as float32"
    )


def every_model() -> list[Model]:
    bends = [cls() for name, cls in nn.ACTIVATIONS.items() if name != "softmax"]
    layers = [part for bend in bends for part in (nn.Dense(3, initializer=nn.Normal(0.1)), bend)]
    models = [Model.init(nn.Sequential(nn.Flatten(), *layers, nn.Dense(1, bias=False)), (2, 2), dtype="float64")]
    for name, loss in nn.LOSSES.items():
        y = {"classification": ["x", "y"], "binary": [True, False]}.get(loss.task, [1, 2])
        model = Model.init(nn.mlp((3,), 2 if loss.task == "classification" else 1), 4, loss=name)
        models.append(model.for_targets(model.prepare(y)))
    models.append(Model.init(nn.mlp((2,), 2, nn.LeakyReLU(0.3)), 4, loss=nn.CrossEntropy(label_smoothing=0.1)))
    return models


def test_a_config_gives_the_same_model_back() -> None:
    rng = np.random.default_rng(5)
    for model in every_model():
        config = model.to_config()
        again = Model.from_config(json.loads(json.dumps(config)), model.theta)
        assert again.to_config() == config
        assert (again.network, again.loss, again.flat) == (model.network, model.loss, model.flat)
        x = rng.normal(size=(6, *model.input_shape))
        np.testing.assert_array_equal(again.predict(x), model.predict(x))
        assert again.predict(x).dtype == model.predict(x).dtype


def test_a_users_loss_keeps_its_name_in_the_config_and_predicts() -> None:
    def quartic(output: Any, y: Any) -> Any:
        return np.mean((output - y) ** 4)

    model = small(quartic)
    again = Model.from_config(json.loads(json.dumps(model.to_config())), model.theta)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    with pytest.raises(ArgumentError, match="'quartic' was a function of the program that trained this model"):
        again.objective(again.theta, X, X[:, :2])


@pytest.mark.parametrize(
    "layer", [np.sin, lambda x: x, nn.Dense(2, initializer=lambda rng, shape, a, b: np.ones(shape))]
)
def test_what_a_file_cannot_hold_is_refused_with_its_place(layer: Any) -> None:
    model = Model.init(nn.Sequential(nn.Dense(2), layer), 3)
    with pytest.raises(ArgumentError, match=r"network.layers\[1\].*which a file cannot hold"):
        model.to_config()


def test_a_layer_of_ones_own_trains_and_is_refused_in_files() -> None:
    class Scale:
        def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
            return {"scale": np.ones(shape, dtype)}, shape

        def apply(self, params: Any, x: Any) -> Any:
            return x * params["scale"]

    model = Model.init(nn.Sequential(Scale(), nn.Dense(1)), 3, dtype="float64")
    assert fl.grad(model.objective)(model.theta, X, X[:, :1]).shape == model.theta.shape
    with pytest.raises(ArgumentError, match=r"network.layers\[0\]"):
        model.to_config()


def test_a_layer_that_announces_another_shape_than_it_gives_is_reported() -> None:
    class Liar:
        def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
            return {"w": np.ones((3, 2), dtype)}, (5,)

        def apply(self, params: Any, x: Any) -> Any:
            return x @ params["w"]

    with pytest.raises(ShapeError, match=r"init announces the shape \(N, 5\), apply returns \(N, 2\)"):
        Model.init(Liar(), 3)


BASE = {
    "network": {"type": "Dense", "units": 2},
    "input_shape": [3],
    "dtype": "float32",
    "loss": {"type": "SquaredError"},
}


@pytest.mark.parametrize(("change", "says"), [
    ({"network": {"type": "os.system", "command": "ls"}}, "network: unknown type 'os.system'"),
    ({"network": {"type": "Dens", "units": 2}}, "did you mean 'Dense'"),
    ({"network": {"type": "Dense", "units": -2}}, "network: Dense: units has to be a whole number >= 1"),
    ({"network": {"type": "Dense", "width": 2}}, "network: unknown field of Dense 'width'"),
    ({"network": {"type": "Dense"}}, "network: Dense: needs units"),
    ({"network": {"type": "SquaredError"}}, "network is .* not a Layer"),
    ({"network": {"type": "Sequential", "layers": 3}}, "network"),
    ({"network": {"type": "Sequential", "layers": [{"type": "Dense", "units": 1}, 7]}}, "layer 1 is 7"),
    ({"network": None}, "not a Layer"),
    ({"loss": {"type": "ReLU"}}, "not a Loss"),
    ({"loss": {"type": "Huber", "delta": "wide"}}, "delta has to be a number > 0"),
    ({"dtype": "int8"}, "dtype is \"float32\" or \"float64\", got 'int8'"),
    ({"input_shape": [-3]}, "input_shape"),
    ({"input_shape": "ab"}, "input_shape"),
    ({"classes": {"kind": "O", "labels": [1]}}, "not the classes of a model"),
    ({"classes": {"kind": "U1", "labels": ["long"]}}, "not the classes of a model"),
    ({"classes": 5}, "not the classes of a model"),
])  # fmt: skip
def test_a_damaged_config_is_refused(change: dict, says: str) -> None:
    Model.from_config(BASE)
    with pytest.raises(FalllineError, match=says):
        Model.from_config({**BASE, **change})


@given(st.recursive(st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=4),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                        st.sampled_from(["type", "units", "layers", "delta", "x"]), inner, max_size=3), max_leaves=8),
       st.sampled_from(sorted(BASE)))  # fmt: skip
def test_no_config_does_anything_but_raise_our_errors(junk: Any, key: str) -> None:
    with contextlib.suppress(FalllineError):
        Model.from_config({**BASE, key: junk})


@pytest.mark.parametrize(("call", "error", "says"), [
    (lambda: fl.fit(nn.ReLU(), (X, X), loss="squared_error"), ArgumentError, "no parameters, so there is nothing"),
    (lambda: Model.init(nn.Dense, 3), ArgumentTypeError, "a network is a layer or a list of layers"),
    (lambda: Model.init(7, 3), ArgumentTypeError, "a network is a layer"),
    (lambda: Model.init([nn.Dense(2), lambda x: x[:, 0]], 3), ShapeError, r"gives \(N,\), and the loss"),
    (lambda: small(seed=-1), ArgumentError, "seed is a whole number >= 0"),
    (lambda: small(seed="x"), ArgumentError, "seed is a whole number >= 0"),
    (lambda: small(dtype="float16"), ArgumentError, 'dtype is "float32" or "float64"'),
    (lambda: small(dtype=None), ArgumentError, 'dtype is "float32" or "float64"'),
    (lambda: small(loss="nothing"), ArgumentError, "unknown loss 'nothing'"),
    (lambda: small().with_theta(np.zeros(3)), ShapeError, r"theta is float32\[26\], got float64\[3\]"),
])  # fmt: skip
def test_arguments_that_make_no_model(call: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        call()


def test_a_list_of_layers_is_a_network() -> None:
    assert Model.init([nn.Dense(2), "tanh", nn.Dense(1)], (3,)).network == nn.mlp((2,), 1, "tanh")


@pytest.mark.parametrize(("loss", "columns"), [("cross_entropy", 3), ("binary_cross_entropy", 1)])
def test_outputs_that_are_nan_name_no_class(loss: str, columns: int) -> None:
    x, y = np.zeros((6, 2)), np.arange(6) % max(2, columns)
    model = fl.fit([nn.Dense(columns)], (x, y), loss=loss, epochs=1).model
    rows = np.ones((4, 2))
    model.predict(rows)
    model.theta[...] = np.nan
    for n, first in ((4, 0), (1, 0)):
        with pytest.raises(DataError, match=f"outputs for row {first} are NaN"):
            model.predict(rows[:n])
    assert np.isnan(model.outputs(rows)).all()
