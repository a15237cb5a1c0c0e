"""Unknown names: the error suggests the nearest one, or the counterpart of another library's name."""

import contextlib
import inspect
import re

import numpy as np
import pytest

import fallline as fl
from fallline.errors import ArgumentError, FalllineError, nearest, unknown
from fallline.names import INSTEAD, OF_ARRAYS, OURS, plain


def shifted(a, b):
    return np.sum(a) + b


def test_a_close_name_is_suggested_and_a_distant_one_is_not():
    assert nearest("rellu", ["relu", "tanh"]) == "; did you mean 'relu'?"
    assert nearest("qqq", ["relu", "tanh"]) == ""
    assert nearest("inv", ["sin", "cos"]) == ""
    assert nearest("ReLU", ["relu"]) == nearest("re_lu", ["relu"]) == "; did you mean 'relu'?"


def test_the_error_lists_all_names_and_is_two_kinds_at_once():
    error = unknown("activation", "rellu", ["tanh", "relu"])
    assert str(error).splitlines()[1] == "  known: relu, tanh"
    assert isinstance(error, ArgumentError | FalllineError)
    assert isinstance(error, ValueError)


def names_that_exist():
    """Every public name, argument, method and name in a table."""
    found = set(fl.__all__) | {"fallline"}
    tables = (fl.optim.OPTIMIZERS, fl.optim.SCHEDULES, fl.nn.LOSSES, fl.nn.ACTIVATIONS, fl.nn.INITIALIZERS)
    found |= {name for table in tables for name in table}
    objects = [getattr(fl, name) for name in fl.__all__]
    for room in (fl.nn, fl.optim, fl.ops, fl.testing):
        found |= set(room.__all__)
        objects += [getattr(room, name) for name in room.__all__]
    for one in objects:
        found |= set(dir(one)) if isinstance(one, type) else set()
        if callable(one):
            with contextlib.suppress(ValueError):
                found |= set(inspect.signature(one).parameters)
    return {plain(name) for name in found}


def test_every_name_that_the_table_leads_to_exists():
    missing = {ours for ours in OURS if plain(ours) not in names_that_exist()}
    assert missing == set()


def test_no_word_in_the_table_stands_twice_in_one_line_or_means_itself():
    for ours, words in OURS.items():
        given = [plain(word) for word in words.split()]
        assert len(set(given)) == len(given), ours
        assert plain(ours) not in given, ours
    assert all(text and text[-1] != "." for text in INSTEAD.values())


def test_what_is_advised_instead_exists():
    rooms = {"fl": fl, "nn": fl.nn, "optim": fl.optim, "np": np}
    for text in (*INSTEAD.values(), *OF_ARRAYS.values()):
        for room, path in re.findall(r"\b(fl|nn|optim|np)((?:\.[A-Za-z_]\w*)+)", text):
            one = rooms[room]
            for name in path.strip(".").split("."):
                one = getattr(one, name)


@pytest.mark.parametrize("text", [text for text in OF_ARRAYS.values() if not text.startswith("a itself")])
def test_what_is_advised_for_an_attribute_of_arrays_can_be_traced(text):
    names = {"np": np, "fl": fl, "f": np.sum, "axis": 0, "axes": (1, 0), "shape": (2, 3, 3), "dtype": np.float64,
             "low": 0, "high": 1, "value": 0.0, "mask": np.eye(3) > 0, "new": 1, "codes": [0, 1, 0],
             "K": 2}  # fmt: skip
    written = re.split(r", or |, for |: ", text)[0]
    fl.graph_of(lambda a, b: [eval(written, {**names, "a": a, "b": b}), a], np.eye(3), np.eye(3))


@pytest.mark.parametrize(("name", "ours"), [
    ("Linear", "Dense"), ("MSELoss", "SquaredError"), ("NLLLoss", "CrossEntropy"), ("BCELoss", "BinaryCross"),
    ("L1Loss", "AbsoluteError"), ("relu", "ops.relu"), ("MLPClassifier", "mlp"), ("Swish", "SiLU"),
    ("Module", "Layer"), ("gelu", "GELU"), ("HeNormal", '"he_normal"'), ("functional", "fl.ops"),
    ("Lambda", "Function"), ("HuberLoss", "Huber"), ("Sigmiod", "Sigmoid"), ("Conv2d", "there are no convolutions"),
])  # fmt: skip
def test_a_layer_or_loss_of_another_library_finds_ours(name, ours):
    with pytest.raises(AttributeError, match=ours):
        getattr(fl.nn, name)


@pytest.mark.parametrize(("name", "ours"), [
    ("SGD", "'GradientDescent'"), ("StepLR", "'Step'"), ("CosineAnnealingLR", "'Cosine'"), ("adamw", "'AdamW'"),
    ("Adagrad", "optim.RMSProp"), ("L_BFGS", "'LBFGS'"), ("lr_scheduler", "a schedule as the learning rate"),
])  # fmt: skip
def test_an_optimizer_or_schedule_of_another_library_finds_ours(name, ours):
    with pytest.raises(AttributeError, match=ours):
        getattr(fl.optim, name)


@pytest.mark.parametrize(("name", "ours"), [
    ("jit", "'compile'"), ("Dense", "'nn.Dense'"), ("Adam", "'optim.Adam'"), ("relu", "'ops.relu'"),
    ("vectorize", "'vmap'"), ("jacrev", "'jacobian'"), ("make_jaxpr", "'graph_of'"),
    ("MLPClassifier", "'nn.mlp'"),
    ("Sequential", "'nn.Sequential'"), ("optimizers", "'optim'"), ("layers", "'nn'"), ("lax", "NumPy itself"),
])  # fmt: skip
def test_a_function_of_another_library_finds_ours(name, ours):
    with pytest.raises(AttributeError, match=ours):
        getattr(fl, name)


@pytest.mark.parametrize(("table", "names"), [
    (fl.nn.LOSSES, {"mse": "squared_error", "sparse_categorical_crossentropy": "cross_entropy", "nll": "cross_entropy",
                    "MSELoss": "squared_error", "mae": "absolute_error", "BCE": "binary_cross_entropy",
                    "binary_crossentropy": "binary_cross_entropy", "CrossEntropyLoss": "cross_entropy"}),
    (fl.optim.OPTIMIZERS, {"SGD": "gradient_descent", "sgd": "gradient_descent", "Adam": "adam", "adma": "adam"}),
    (fl.nn.ACTIVATIONS, {"swish": "silu", "linear": "identity", "logistic": "sigmoid", "ReLU": "relu"}),
    (fl.nn.INITIALIZERS, {"xavier_uniform": "glorot_uniform", "kaiming_normal_": "he_normal"}),
])  # fmt: skip
def test_a_name_from_another_library_finds_ours(table, names):
    for name, ours in names.items():
        assert nearest(name, table) == f"; did you mean {ours!r}?"


@pytest.mark.parametrize(("call", "told"), [
    (lambda: fl.optim.Adam(lr=0.1), "there is no argument 'lr'; did you mean 'learning_rate'?"),
    (lambda: fl.optim.Adam(betas=(0.9, 0.99)), "did you mean 'beta1'?"),
    (lambda: fl.optim.GradientDescent(0.1, momentum=0.9), "try: optim.Momentum"),
    (lambda: fl.nn.Dense(8, activation="relu"), "try: a layer of its own"),
    (lambda: fl.nn.Dense(out_features=8), "did you mean 'units'?"),
    (lambda: fl.nn.Dense(3, 4), "takes 1 positional argument (units), got 2"),
    (lambda: fl.nn.Dense(), "Dense: needs units"),
    (lambda: fl.nn.Dense(8, kernel_initializer="zeros"), "did you mean 'initializer'?"),
    (lambda: fl.nn.Dense(8, input_shape=(3,)), "counts its inputs"),
    (lambda: fl.nn.Dropout(p=0.1), "did you mean 'rate'?"),
    (lambda: fl.nn.LeakyReLU(alpha=0.1), "did you mean 'slope'?"),
    (lambda: fl.nn.mlp(hidden_layer_sizes=(3,), outputs=2), "did you mean 'hidden'?"),
    (lambda: fl.nn.mlp(64, 10), "hidden has to be a sequence of widths"),
    (lambda: fl.optim.Cosine(0.1, T_max=10), "did you mean 'steps'?"),
    (lambda: fl.fit(fl.nn.Dense(1), [[1.0]], [1.0]), "takes 2 positional arguments (model, data), got 3"),
    (lambda: fl.fit(fl.nn.Dense(1), [[1.0]], [1.0]), "(x, y)"),
    (lambda: fl.train(fl.nn.Dense(1), ([[1.0]], [1.0]), verbose=1), "try: fl.train"),
    (lambda: fl.fit(fl.nn.Dense(1), ([[1.0]], [1.0]), loss="huber", metrics=["mae"]), "validation=0.2"),
    (lambda: fl.fit(fl.nn.Dense(1), ([[1.0]], [1.0]), nb_epoch=3), "did you mean 'epochs'?"),
    (lambda: fl.fit(fl.nn.Dense(1), ([[1.0]], [1.0]), n_jobs=3), "did you mean 'threads'?"),
    (lambda: fl.fit(fl.nn.Dense(1), ([[1.0]], [1.0]), loss="squared_error", zzz=3), "unknown setting 'zzz'\n"),
    (lambda: fl.nn.Sequential(fl.nn.Dense(1)).fit([[1.0]], [1.0]), "try: fl.fit(model, (x, y)"),
    (lambda: fl.nn.Sequential(fl.nn.Dense(1)).compile(loss="mse"), "loss and optimizer are given there"),
    (lambda: fl.nn.Model.init(fl.nn.Dense(1), 2).evaluate([[1.0]]), "data has to be a pair (x, y)"),
    (lambda: fl.nn.Model.init(fl.nn.Dense(1), 2).parameters(), "did you mean 'params'?"),
    (lambda: fl.nn.Model.init(fl.nn.Dense(1), 2).state_dict(), "did you mean 'params'?"),
    (lambda: fl.nn.Model.init(fl.nn.Dense(1), input_size=2), "did you mean 'input_shape'?"),
    (lambda: fl.nn.Model.init(fl.nn.Dense(1), 2).predict([[1.0, 2.0]], verbose=0), "there is no argument 'verbose'"),
    (lambda: fl.nn.Model.init(fl.nn.Dense(1), 2).predict([[1.0, 2.0]], n_jobs=2), "did you mean 'threads'?"),
    (lambda: fl.fit(fl.nn.Dense(1), ([[1.0]], [1.0]), lr=3), "try: optimizer=optim.Adam(0.001)"),
    (lambda: fl.fit(fl.nn.Dense(1), ([[1.0]], [1.0]), loss="hinge", encoder=[1, 2]), "encoder has to be nn.Columns"),
    (lambda: fl.grad(shifted)([1.0]), "grad of shifted: needs b\n  it takes: a, b\n  at test_errors.py:"),
    (lambda: fl.compile(shifted)(np.ones(3), c=1.0), "there is no argument 'c'; needs b"),
    (lambda: fl.graph_of(fl.nn.ReLU()), "of ReLU: needs x"),
    (lambda: fl.nn.Dense(1).apply({}, np.ones((2, 3))), "there is no 'weight' among them"),
    (lambda: fl.nn.Dense(1)(np.ones((2, 3))), "Dense cannot be called\n  try: fl.fit("),
    (lambda: fl.folds(3), "folds are cut from a pair (x, y), got 3"),
    (lambda: fl.optim.WarmUp(then=5), "a schedule, or a function of the step, is needed, got 5"),
    (lambda: fl.optim.Cosine().resolve("a"), "total_steps has to be a whole number >= 1, got 'a'"),
    (lambda: fl.load_model(5), "path has to be a path, a str or os.PathLike, got 5"),
    (lambda: fl.load_run(None), "path has to be a path"),
    (lambda: fl.save_model(5, 6), "model has to be a model, such as `run.model`, got 5\n  and path has to be a path"),
    (lambda: fl.nn.members(3), "model has to be a model"),
    (lambda: fl.nn.averaged([3]), "models has to be a list of models"),
])  # fmt: skip
def test_a_call_that_does_not_fit_says_what_is_meant(call, told):
    with pytest.raises(FalllineError) as caught:
        call()
    assert told in str(caught.value)
