"""Models as ONNX files: onnxruntime gives the answers of `predict`, for any rows, layers and columns."""

import json
import warnings
from dataclasses import dataclass, replace

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.errors import ArgumentError
from fallline.exports.onnx_columns import KIND_FORMS
from fallline.exports.onnx_file import onnx_of
from fallline.nn.column import KINDS as KINDS_OF_COLUMN
from fallline.nn.layer_table import LAYERS, examples

onnx = pytest.importorskip("onnx")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    onnxruntime = pytest.importorskip("onnxruntime")
onnxruntime.set_default_logger_severity(4)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
KINDS = np.array(["rose", "", "Ähre"])[np.arange(40) % 3]


class Answers:
    """A file in onnxruntime, asked with columns or arrays by name."""

    def __init__(self, model):
        self.proto = onnx_of(model)
        self.facts = {one.key: one.value for one in self.proto.metadata_props}
        self.session = onnxruntime.InferenceSession(self.proto.SerializeToString(), providers=["CPUExecutionProvider"])
        self.inputs = [one.name for one in self.session.get_inputs()]
        self.outputs = [one.name for one in self.session.get_outputs()]

    def __call__(self, **given):
        return dict(zip(self.outputs, self.session.run(None, given), strict=True))


def agrees(model, x, rtol=1e-5):
    """Whether the file gives what the model gives, for many rows, one and none."""
    answers = Answers(model)
    for count in (len(x), 1, 0):
        rows = x[:count]
        given = {"x": rows} if answers.inputs == ["x"] else {n: rows[:, [i]] for i, n in enumerate(answers.inputs)}
        got = answers(**given)
        for name, value in got.items():
            expected = model.predict_proba(rows) if name == "probabilities" else model.predict(rows)
            assert value.shape == expected.shape
            if expected.dtype.kind in "fiub":
                np.testing.assert_allclose(value, expected, rtol=rtol, atol=1e-6)
            else:
                assert np.array_equal(value.astype(expected.dtype), expected)
    return answers


def trained(network, y, x=X, **settings):
    settings = {"epochs": 2, "loss": "squared_error", **settings}
    return fl.fit(network, (x, y), **settings).model


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_exports_with_no_word_about_it(name):
    for layer, shape in examples(name):
        network = nn.Sequential(nn.Residual(layer) if name == "Softmax" else layer, nn.Flatten(), nn.Dense(2))
        model = nn.Model.init(network, shape, loss="squared_error", seed=3)
        agrees(model, RNG.normal(size=(5, *shape)).astype(np.float32))


def test_labels_are_as_they_were_given():
    for labels in (KINDS, np.arange(40) % 3 - 1, np.arange(40) % 2 == 0):
        model = trained(nn.mlp((4,), len(np.unique(labels))), labels, loss="cross_entropy")
        agrees(model, X.astype(np.float32))


def test_both_precisions_and_both_kinds_of_two_classes():
    for dtype in ("float32", "float64"):
        model = trained(nn.mlp((4,), 1, "gelu"), X[:, 0] > 0, loss="binary_cross_entropy", dtype=dtype)
        answers = agrees(model, X.astype(dtype))
        assert answers.outputs == ["label", "probabilities"]


def test_quantities_come_in_their_unit_and_columns_go_by_name():
    encoder = nn.standardise(1e6 + X, names=["a b", "prédiction", "prediction"])
    model = trained(
        nn.Dense(1),
        X[:, 0],
        1e6 + X,
        encoder=encoder,
        decoder=nn.Quantity("price", 1e5, 2e4, lowest=9e4, highest=1.1e5),
    )
    answers = agrees(model, 1e6 + X)
    assert answers.inputs == ["a b", "prédiction", "prediction"]
    assert answers.outputs == ["prediction.2"] and json.loads(answers.facts["outputs"]) == {
        "prediction": "prediction.2"
    }
    assert answers.facts["target"] == "price"


def test_the_parameters_keep_their_names():
    proto = onnx_of(trained(nn.mlp((4,), 1), X[:, 0]))
    assert {"0.weight", "0.bias", "2.weight", "2.bias"} <= {one.name for one in proto.graph.initializer}


def test_the_file_asks_for_no_new_runtime():
    proto = onnx_of(trained(nn.mlp((4,), 1), X[:, 0]))
    assert proto.ir_version <= 8 and {one.domain: one.version for one in proto.opset_import} == {"": 17}
    assert proto.producer_name == "fallline" and proto.producer_version == fl.__version__


def test_an_ensemble_is_averaged_inside():
    models = [trained(nn.mlp((4,), 3), KINDS, loss="cross_entropy", seed=seed) for seed in (0, 1)]
    agrees(nn.averaged(models), X.astype(np.float32))


@dataclass(frozen=True)
class Recurrent:
    """Two loops over the second axis, one in reverse."""

    units: int

    def init(self, rng, shape, dtype):
        return {"w": rng.normal(size=(shape[1] + self.units, self.units)).astype(dtype)}, (self.units,)

    def apply(self, params, x):
        def step(h, row):
            h = np.tanh(np.concatenate([row, h], axis=1) @ params["w"])
            return h, h

        start = np.zeros((len(x), self.units), x.dtype)
        rows = np.moveaxis(x, 1, 0)
        (last, every), (_, back) = fl.scan(step, start, rows), fl.scan(step, start, rows, reverse=True)
        return last + np.sum(every * back, axis=0)


def test_a_loop_exports():
    x = RNG.normal(size=(20, 6, 2)).astype(np.float32)
    agrees(trained(nn.Sequential(Recurrent(3), nn.Dense(1)), x[:, 0, 0], x), x)


def test_several_inputs_and_whole_numbers_go_in_by_name():
    @dataclass(frozen=True)
    class Both:
        def init(self, rng, shape, dtype):
            return {"table": rng.normal(size=(3, 2)).astype(dtype)}, (5,)

        def apply(self, params, x):
            return np.concatenate([params["table"][x["code"]], x["numbers"]], axis=1)

    x = {"code": np.arange(40) % 3, "numbers": X.astype(np.float32)}
    model = trained(nn.Sequential(Both(), nn.Dense(1)), X[:, 0], x)
    got = Answers(model)(**{f"x.{name}": array for name, array in x.items()})
    np.testing.assert_allclose(got["prediction"], model.predict(x), rtol=1e-5, atol=1e-6)


def test_rows_that_predict_refuses_get_no_label():
    encoder = nn.standardise(X, names=["a", "b", "c"])
    model = trained(nn.mlp((4,), 3), KINDS.astype("U4"), encoder=encoder, loss="cross_entropy")
    bad = np.array([[0.0, 0.0, 0.0], [np.nan, 0, 0], [0, np.inf, 0], [0, 0, 1e300]])
    for row in bad[1:]:
        with pytest.raises(fl.errors.DataError):
            model.predict(row[np.newaxis])
    got = Answers(model)(**{n: bad[:, [i]] for i, n in enumerate("abc")})
    assert np.isnan(got["probabilities"]).all(axis=1).tolist() == [False, True, True, True]
    assert got["label"][1:].tolist() == ["", "", ""]


def test_an_op_without_a_form_is_named_with_its_layer():
    @dataclass(frozen=True)
    class Noisy:
        def init(self, rng, shape, dtype):
            return {}, shape

        def apply(self, params, x):
            return x + fl.ops.uniform((1,), x[:, :1].astype(np.int64)).astype(x.dtype)

    model = nn.Model.init([Noisy(), nn.Dense(1)], 3)
    with pytest.raises(ArgumentError, match=r"the op random_bits has no form in ONNX, in layer 0"):
        onnx_of(model)


# Of each kind, columns in every variant, and raw cells with a missing one and others that training has not seen.
COLUMNS = {
    "Standardised": ([nn.Standardised("a", 3.0, 0.5), nn.Standardised("b", 1e9, 1e-3)], [3.0, 1e9, -7.25]),
    "Number": (
        [nn.Number("a", 3.0, 0.5), nn.Number("b", 1e9, 2.0, indicator=True), nn.Number("c", -1.0, 1e-9)],
        [3.0, np.nan, -np.inf, np.inf, 1e300, 1e9 + 1, -1.0],
    ),
    "Category": (
        [
            nn.Category("sex", ("f", "m")),
            nn.Category("one", ("m",)),
            nn.Category("Größe", ("", "m", "f m", "ß")),
            nn.Category("code", ("m", "f", "x"), embedded=True),
        ],
        ["f", "m", "", "f m", "ß", "unseen", "F", " m ", "M", "X", "F M"],
    ),
    "Unused": ([nn.Unused("a")], ["what", None]),
    "Moment": (
        [nn.Moment("a", 1.4e9, 1.5e9, ("year", "week", "day")), nn.Moment("b", 1.4e9, 1.4e9, ())],
        ["2014-05-13", None, "2016-02-29T23:59:59.5", "1969-01-01", "2100-01-01"],
    ),
}


def in_onnx(cells):
    """Raw cells as the file takes them, (N, 1)."""
    if any(isinstance(cell, str) for cell in cells) and not all(cell is None or cell[:1].isdigit() for cell in cells):
        return np.array(cells, object)[:, np.newaxis]
    if isinstance(cells[0], str):
        moments = np.array(cells, "datetime64[us]")
        return np.where(np.isnat(moments), np.nan, moments.astype(np.int64) / 1e6)[:, np.newaxis]
    return np.array(cells, np.float64)[:, np.newaxis]


def test_every_kind_of_column_is_tried_here():
    assert {*COLUMNS} == {*KIND_FORMS} == {*KINDS_OF_COLUMN}


@pytest.mark.parametrize(
    "chosen", [*([name] for name in COLUMNS if name != "Unused"), [*COLUMNS], [*COLUMNS][::-1]], ids=lambda one: one[0]
)
def test_columns_of_every_kind_are_encoded_as_ours(chosen):
    columns, cells = [], {}
    for kind in chosen:
        for one in COLUMNS[kind][0]:
            one = replace(one, name=f"{kind} {one.name}")
            columns.append(one)
            cells[one.name] = COLUMNS[kind][1]
    rows = max(map(len, cells.values()))
    cells = {name: [each[i % len(each)] for i in range(rows)] for name, each in cells.items()}
    encoder = nn.Columns(tuple(columns[::2] + columns[1::2]))
    model = nn.Model.init(nn.mlp((5,), 3), encoder.width, loss="cross_entropy", dtype="float64")
    model = model.between(encoder, nn.Labels("kind", ("a", "b", "c")))
    answers = Answers(model)
    used = [one.name for one in encoder.columns if not isinstance(one, nn.Unused)]
    assert answers.inputs == used
    got = answers(**{name: in_onnx(cells[name]) for name in used})
    np.testing.assert_allclose(got["probabilities"], model.predict_proba(cells), rtol=1e-9, atol=1e-12)
    assert np.array_equal(got["label"], model.predict(cells))
    told = json.loads(answers.facts["columns"])
    assert [one["column"] for one in told] == [*encoder.names]
    assert all("levels" in one for one in told if one.get("type") == "text")
