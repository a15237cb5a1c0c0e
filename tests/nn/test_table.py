"""Laws of every layer in the table, generated from its examples; and for each an oracle that shares nothing with it."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn, optim, tree
from fallline.errors import GradientError, LayerError
from fallline.nn.context import Context, applied
from fallline.nn.layer import started
from fallline.nn.layer_table import examples
from fallline.nn.model import Model
from fallline.nn.rows_apart import is_known
from fallline.program import lanes
from fallline.program.step_loop import build
from fallline.ranges import short
from fallline.steps.step import training_step

NAMES = sorted(nn.LAYERS)
EXAMPLES = [(name, i) for name in NAMES for i in range(len(examples(name)))]
each = pytest.mark.parametrize(("name", "place"), EXAMPLES, ids=[f"{name}-{i}" for name, i in EXAMPLES])
RNG = np.random.default_rng(0)
ROWS = 7


def network(name: str, place: int) -> tuple[nn.Sequential, tuple[int, ...]]:
    """The layer between others: parameters before it, so that a gradient runs through it, and an output of two."""
    layer, shape = examples(name)[place]
    head = (nn.Dense(shape[0]),) if len(shape) == 1 else ()
    return nn.Sequential(
        *head, *([layer] if name != "Softmax" else [nn.Residual(layer)]), nn.Flatten(), nn.Dense(2)
    ), shape


def data(shape: tuple[int, ...], rows: int = ROWS) -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    return rng.standard_normal((rows, *shape)), rng.standard_normal((rows, 2))


def fit(net: Any, shape: tuple[int, ...], **settings: Any) -> fl.Run:
    settings = {"loss": "squared_error", "epochs": 2, "batch_size": 3, "threads": 1, "seed": 2, **settings}
    return fl.fit(net, data(shape), optimizer=optim.Momentum(0.01, weight_decay=0.01), **settings)


def test_every_public_layer_stands_in_the_table() -> None:
    public = [one for one in (getattr(nn, name) for name in nn.__all__) if isinstance(one, type)]
    classes = {one.__name__ for one in public if hasattr(one, "init") and hasattr(one, "apply")}
    assert classes - {"Activation", "Layer", "Model"} == {cls.__name__ for cls in nn.LAYERS.values()}


@each
def test_every_layer_is_checked_as_users_check_theirs(name: str, place: int) -> None:
    fl.testing.check_layer(*examples(name)[place])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@each
def test_training_steps_by_the_machine_are_those_of_the_reference(name: str, place: int, dtype: str) -> None:
    net, shape = network(name, place)
    model = Model.init(net, shape, dtype=dtype, seed=1)
    x, y = (array.astype(dtype) for array in data(shape))
    optimizer = optim.Momentum(0.05)
    moments = optimizer.started(model.layout.pack(model.theta), model.layout.trained)
    states = []
    for engine in ("machine", "reference"):
        inputs = {"x": x, "y": y, "order": np.arange(ROWS), "steps": np.array(3.0)}
        state = {"theta": model.theta.copy(), **{f"optimizer.{key}": a.copy() for key, a in moments.items()},
                 "step": np.array(0), "cursor": np.array(0), "loss_sum": np.array(0.0)}  # fmt: skip
        graph = training_step(model, optimizer, state, inputs, 3)
        assert build(graph, [*state.values()], [*inputs.values()], watch=len(state), engine=engine).run(2) == 2
        states.append(state)
    tolerance = 3e-5 if dtype == "float32" else 1e-10
    for key in states[0]:
        np.testing.assert_allclose(states[0][key], states[1][key], rtol=tolerance, atol=tolerance, err_msg=key)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_has_the_same_bits_over_lanes_and_a_resume(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, shape = network(name, 0)
    whole = fit(net, shape).model.theta.tobytes()
    fit(net, shape, epochs=1, out=tmp_path / "run")
    assert fit(net, shape, resume=tmp_path / "run").model.theta.tobytes() == whole
    # Everything that can be cut is cut, however little there is to gain.
    monkeypatch.setattr(lanes, "SMALL", 0.0)
    monkeypatch.setattr(lanes, "available", lambda: 2)
    monkeypatch.setattr(lanes, "best", lambda ins, most, *rest: lanes.schedule(ins, most, *rest) if most > 1 else None)
    run = fit(net, shape, threads=2)
    lanes.rest()
    assert run.started is not None and run.started.lanes == 2
    assert run.model.theta.tobytes() == whole


@each
def test_what_is_saved_is_read_and_rows_are_answered_alone(name: str, place: int, tmp_path: Path) -> None:
    net, shape = network(name, place)
    model = fit(net, shape).model
    x = data(shape)[0].astype(np.float32)
    y = model.outputs(x)
    for i in (0, 4):
        assert model.outputs(x[i : i + 1]).tobytes() == y[i : i + 1].tobytes()
    np.testing.assert_allclose(y, model.apply(model.theta, x), rtol=1e-5, atol=1e-6)
    if name == "Function":
        with pytest.raises(ValueError, match="a file cannot hold"):
            fl.save_model(model, tmp_path / "m")
        return
    read = fl.load_model(fl.save_model(model, tmp_path / "m.safetensors"))
    assert read.network == model.network and read.layout == model.layout
    assert read.outputs(x).tobytes() == y.tobytes()


@each
def test_every_layer_is_explained_and_stands_in_the_summary(name: str, place: int) -> None:
    net, shape = network(name, place)
    model = Model.init(net, shape, dtype="float64", seed=3)
    x, y = data(shape)
    found = fl.explain(model, x[:2], y[:2])
    assert abs(found.derivative - found.difference) <= 1e-6 * max(1, abs(found.derivative))
    lines = model.summary().splitlines()
    own = lines[2 + (len(shape) == 1)]
    layer = net.layers[len(shape) == 1]
    assert short(layer) in own
    count = sum(leaf.size for leaf in tree.leaves(model.params[len(shape) == 1]))
    assert own.endswith(f" {count:,}" if count else f"{model_output(layer, shape)})")


def model_output(layer: Any, shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, started(layer, np.random.default_rng(0), shape, np.float64)[1]))


@each
def test_every_layer_of_ours_but_functions_is_known_to_keep_rows_apart(name: str, place: int) -> None:
    layer = examples(name)[place][0]
    assert is_known(layer) == ("Function" not in repr(layer))


# Each oracle takes the layer, its parameters and rows, and gives what it predicts, one number after another, by
# formulas of its paper on plain numbers. Activations have theirs in test_activation.py.
def by_rows(function: Any) -> Any:
    return lambda layer, params, x: np.array([function(layer, params, row) for row in x])


def dense(params: Any, row: Any) -> Any:
    w, b = params["weight"], params.get("bias", np.zeros(params["weight"].shape[1]))
    return [math.fsum([*(row[i] * w[i, k] for i in range(len(row))), b[k]]) for k in range(w.shape[1])]


def normed(params: Any, row: Any, eps: float) -> Any:
    def one(at: tuple[int, ...]) -> float:
        k = at[-1]
        spread = math.sqrt(params["variance"][k] + eps)
        return float(params["gamma"][k] * (row[at] - params["mean"][k]) / spread + params["beta"][k])

    return np.array([one(at) for at in np.ndindex(row.shape)]).reshape(row.shape)


def ensemble(layer: Any, params: Any, row: Any) -> Any:
    z = [dense(params[0], row)]
    if len(params) > 1:
        z.append(dense(params[1][2], [max(h, 0.0) for h in dense(params[1][0], row)]))
        p = np.mean([[math.exp(a) / sum(map(math.exp, one)) for a in one] for one in z], axis=0)
        return [math.log(one) for one in p]
    return z[0]


def tangent(layer: Any, params: Any, row: Any) -> Any:
    if not layer.tangent:
        return dense(params, row)
    w = params["weight"]
    return [math.fsum(row[i] * w[i, k] for i in range(len(row))) / math.sqrt(len(row)) + params["bias"][k]
            for k in range(layer.units)]  # fmt: skip


def waves(layer: Any, params: Any, row: Any) -> Any:
    found: list[float] = []
    for d, value in enumerate(row):
        found.append(value)
        for k in range(layer.units - 1):
            turns = zip(params["frequency"][d], params["phase"][d], params["weight"][d, :, k])
            mixed = math.fsum(w * math.cos(2 * math.pi * f * value + p) for f, p, w in turns)
            found.append(mixed + params["bias"][d, k])
    return found


def looked_up(layer: Any, params: Any, row: Any) -> Any:
    found: list[float] = []
    for i, (code, count) in enumerate(zip(row, layer.levels)):
        own = params["table"][sum(layer.levels[:i]) :][:count]
        found += [*own[min(max(math.trunc(code), 0), count - 1)]]
    return found


def side_by_side(layer: Any, params: Any, row: Any) -> Any:
    found: list[float] = []
    for (places, inner), its in zip(layer.parts, params):
        own = [row[place] for place in places]
        found += dense(its, own) if its else [math.tanh(a) if isinstance(inner, nn.Tanh) else a for a in own]
    return found


def bent(layer: Any, params: Any, x: Any) -> Any:
    def f(a: float) -> float:
        if isinstance(layer.activation, nn.Mish):
            return a * math.tanh(math.log1p(math.exp(a)))
        return 1.0507009873554805 * (a if a > 0 else 1.6732632423543772 * math.expm1(a))

    return np.array([a + params["alpha"][i % x.shape[-1]] * (f(a) - a) for i, a in enumerate(x.flat)]).reshape(x.shape)


def shared(layer: Any, params: Any, row: Any) -> Any:
    found = []
    for i in range(layer.members):
        own = row if row.ndim == 1 else row[i]
        d, scale = len(own), math.sqrt(len(own)) if layer.tangent else 1.0
        found.append([
            math.fsum(own[j] * params["inputs"][i, j] * params["weight"][j, u] for j in range(d)) / scale
            * params["outputs"][i, u] + params["bias"][i, u]
            for u in range(layer.units)
        ])  # fmt: skip
    return found


def heads(layer: Any, params: Any, row: Any) -> Any:
    scale = math.sqrt(row.shape[1]) if layer.tangent else 1.0
    z = [dense({"weight": params["weight"][i] / scale, "bias": params["bias"][i]}, own) for i, own in enumerate(row)]
    if layer.link == "softmax":
        p = np.mean([[math.exp(a) / sum(map(math.exp, one)) for a in one] for one in z], axis=0)
        return [math.log(one) for one in p]
    return np.mean(z, axis=0)


ORACLES = {
    "SharedDense": by_rows(shared),
    "Heads": by_rows(heads),
    "Dense": by_rows(tangent),
    "Scale": lambda layer, params, x: np.array(
        [a * params["scale"][i % x.shape[-1]] for i, a in enumerate(x.flat)]
    ).reshape(x.shape),
    "Parametric": bent,
    "Periodic": by_rows(waves),
    "Embedding": by_rows(looked_up),
    "ByColumns": by_rows(side_by_side),
    "Flatten": lambda layer, params, x: np.array([[*row.flat] for row in x]),
    "Function": by_rows(lambda layer, params, row: [math.sin(a) for a in row]),
    "Sequential": by_rows(
        lambda layer, params, row: (
            dense(params[2], [math.tanh(h) for h in dense(params[0], row)])
            if len(params) == 3
            else [1 / (1 + math.exp(-h)) for h in dense(params[0], row)]
        )
    ),
    "Dropout": lambda layer, params, x: x,
    "Residual": by_rows(
        lambda layer, params, row: row + [math.tanh(h) for h in dense(params[0], row)] if params[0] else 2 * row
    ),
    "Ensemble": by_rows(ensemble),
    "Temperature": by_rows(lambda layer, params, row: [a * (1 / layer.temperature) for a in row]),
    "BatchNorm": by_rows(lambda layer, params, row: normed(params, row, layer.eps)),
    "Frozen": by_rows(
        lambda layer, params, row: dense(params, row) if "weight" in params else normed(params, row, 1e-5)
    ),
}
TEXTBOOK = {cls.__name__ for cls in nn.ACTIVATIONS.values()}


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_agrees_with_its_oracle(name: str) -> None:
    if name in TEXTBOOK:
        return  # test_activation.py has its formula, and fails for one that it lacks
    assert name in ORACLES, f"{name} has no oracle: add one that shares nothing with its apply"
    for layer, shape in examples(name):
        params, _ = started(layer, np.random.default_rng(0), shape, np.float64)
        params = tree.map(lambda leaf: leaf + RNG.uniform(0.1, 1, leaf.shape), params)
        x = RNG.standard_normal((ROWS, *shape))
        np.testing.assert_allclose(
            applied(layer, params, x, Context()), ORACLES[name](layer, params, x), rtol=1e-12, atol=1e-13
        )


def test_no_oracle_is_left_of_a_layer_that_went() -> None:
    assert set(ORACLES) | TEXTBOOK == set(NAMES)


class Wrong:
    """A layer that breaks one law."""

    def __init__(self, how: str) -> None:
        self.how = how

    def __repr__(self) -> str:
        return f"Wrong({self.how})"

    def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
        return {"gain": np.ones(shape, dtype)}, (*shape, 1) if self.how == "shape" else shape

    def apply(self, params: Any, x: Any, context: Any) -> Any:
        y = x * params["gain"]
        if self.how == "precision":
            return y + np.float64(1) * np.ones(x.shape[1:])
        if self.how == "gradient":
            return y + fl.ops.stop_gradient(y * 0.001)
        if self.how == "mode" and context.training:
            return y + fl.ops.stop_gradient(y)
        if self.how == "rows":
            return y - np.mean(y, axis=0)
        if self.how == "digits":
            return y if y.dtype == np.float64 else y * np.float32(1.001)
        return y


@pytest.mark.parametrize(("how", "error", "says"), [
    ("right", None, ""),
    ("shape", LayerError, r"Wrong\(shape\) while predicting returns the shape \(5, 3\) for 5 rows, and init announces"),
    ("precision", LayerError, "returns float64 for an input of float32"),
    ("digits", LayerError, "float32 and float64 give other numbers"),
    ("gradient", GradientError, "derivative of order 1"),
    ("mode", GradientError, "derivative of order 1"),
    ("rows", ValueError, "mixes the rows of a batch"),
])  # fmt: skip
def test_the_check_of_a_layer_sees_what_is_wrong(how: str, error: Any, says: str) -> None:
    if error is None:
        fl.testing.check_layer(Wrong(how), 3)
        return
    with pytest.raises(error, match=says):
        fl.testing.check_layer(Wrong(how), 3)


class Weighted:
    """Rows of a table, picked by a whole number and scaled by a float."""

    def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
        assert shape == {"code": (), "scale": (2,)}
        return {"rows": rng.standard_normal((4, 2)).astype(dtype)}, (2,)

    def apply(self, params: Any, x: Any) -> Any:
        return fl.ops.gather(params["rows"], x["code"], axis=0) * x["scale"]


def test_layers_of_several_inputs_and_of_whole_numbers_are_checked_with_rows() -> None:
    rows = {"code": np.array([0, 3, 1, 1]), "scale": RNG.standard_normal((4, 2))}
    fl.testing.check_layer(Weighted(), rows)
    with pytest.raises(ValueError, match="with one number of rows"):
        fl.testing.check_layer(Weighted(), {**rows, "scale": np.ones((3, 2))})
