"""A model as an ONNX file with its preprocessing inside: raw columns go in, labels and probabilities or quantities out.

Numbers go in as float64, as tables hold them, and are encoded in float64, as ours are. Rows that `predict` refuses,
as a number is NaN or infinite where it has to be finite, get NaN and no label: a graph cannot raise an error.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fallline import tree
from fallline.errors import ArgumentError
from fallline.exports.onnx_columns import KIND_FORMS, are_joined, encoded, input_names, seen
from fallline.exports.onnx_graph import Translation, dims, layers
from fallline.exports.onnx_ops import cast, code_of
from fallline.exports.onnx_writer import IR_VERSION, ML, ML_OPSET, OPSET, ROWS, Writer
from fallline.graph.node import Graph, Node, new_input
from fallline.graph.op import Array
from fallline.graph.trace import trace
from fallline.nn.context import Context, applied
from fallline.nn.encoder import Quantity
from fallline.nn.forms import traced
from fallline.nn.meaning import decided, probabilities
from fallline.nn.model import Model
from fallline.runs.model_file import version
from fallline.source import named

# The label of a row that gets none.
NO_TEXT, NO_NUMBER = "", int(np.iinfo(np.int64).min)


@dataclass(frozen=True, slots=True)
class Pass:
    """A traced pass for some number of rows: parameters and inputs, and what comes out by name."""

    graph: Graph
    params: list[Node]
    inputs: list[Node]
    names: list[str]
    layers: Mapping[str, Any]


def onnx_of(model: Model) -> Any:
    """The model as `onnx.ModelProto`, checked.

    Errors: ArgumentError for a network with an op that ONNX does not have, naming its layer, and for one that computes
    other things for another number of rows.
    """
    from onnx import checker, helper

    one, other = (passed(model, rows) for rows in ROWS)
    columns = () if model.encoder is None else model.encoder.columns
    inputs = inputs_of(model)
    w = Writer([*inputs])
    outputs = [w.name(name) for name in one.names]
    w.counted = next(iter(inputs))
    work = Translation(w, layers(one.layers))
    for slot, node in zip(model.layout.leaves, one.params, strict=True):
        work.known[node], work.called[node] = slot.of(model.theta), slot.path or "theta"
    if columns:
        w.layer = "encoder"
        work.names[one.inputs[0]] = cast(w, encoded(w, seen(columns), [*inputs]), model.dtype)
    else:
        work.names.update(zip(one.inputs, inputs, strict=True))
    work.all_of(one.graph, other.graph)
    w.layer = "decoder"
    infos = []
    for name, wish, node, twin in zip(outputs, one.names, one.graph.outputs, other.graph.outputs, strict=True):
        value, dtype = answered(w, model, wish, work.name(node), node.dtype)
        w.nodes.append(helper.make_node("Identity", [value], [name], name=name))
        infos.append(helper.make_tensor_value_info(name, code_of(dtype), dims(node.shape, twin.shape)))
    given = [helper.make_tensor_value_info(name, code_of(dtype), shape) for name, (dtype, shape) in inputs.items()]
    graph = helper.make_graph(w.nodes, "fallline", given, infos, w.tensors)
    domains = {node.domain for node in w.nodes}
    opsets = [helper.make_opsetid("", OPSET)] + [helper.make_opsetid(ML, ML_OPSET)] * (ML in domains)
    made = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="fallline",
                             producer_version=version())  # fmt: skip
    told = facts(model, [*inputs], dict(zip(one.names, outputs)))
    written = {
        key: fact if isinstance(fact, str) else json.dumps(fact, ensure_ascii=False) for key, fact in told.items()
    }
    helper.set_model_props(made, written)
    checker.check_model(made, full_check=True)
    return made


def passed(model: Model, rows: int) -> Pass:
    """The network, and the meaning of its outputs, traced for so many rows."""
    dtype = model.dtype
    params = [new_input(slot.shape, dtype, slot.path) for slot in model.layout.leaves]
    x, inputs = traced(model.inputs, rows)
    context, form = Context(dtype=dtype), replace(model, theta=np.empty(0, dtype))
    answers = answers_of(model)

    def function(*values: Any) -> Any:
        leaves = [*values[: len(params)]]
        z = applied(model.network, tree.unflatten(model.layout.slots, leaves), x, context)
        z = z if z.dtype == dtype else z.astype(dtype)
        for each in inputs:
            if each.dtype.kind == "f":  # NaN for a row with a number that is not finite, else 0
                spoilt = np.sum(each - each, axis=tuple(range(1, len(each.shape))))
                z = z + np.reshape(spoilt, (rows, *(1 for _ in z.shape[1:])))
        return [meaning(form, z) for meaning in answers.values()]

    graph, _ = trace(function, [*params, *inputs])
    return Pass(graph, params, inputs, [*answers], context.outputs)


def answers_of(model: Model) -> dict[str, Any]:
    """The meanings of outputs that the file gives, by name."""
    if model.labels is None:
        return {"prediction": decided}
    return {"label": decided, **({} if model.loss.link is None else {"probabilities": probabilities})}


def answered(w: Writer, model: Model, wish: str, value: str, dtype: Any) -> tuple[str, Any]:
    """An output in the form of `predict`, and its dtype: labels by name, quantities in their unit."""
    labels = model.labels
    if wish == "label" and labels is not None:
        named_labels = with_none(labels)
        return w.Gather(named_labels, value), named_labels.dtype
    if wish == "prediction" and isinstance(model.decoder, Quantity):
        return quantity(w, value, model.decoder), np.dtype(np.float64)
    return value, dtype


def quantity(w: Writer, value: str, decoder: Quantity) -> str:
    """An output in the unit of the target, cut to the range of predictions, in float64."""
    w.dtype = np.dtype(np.float64)
    y = w.Add(w.Mul(cast(w, value, w.dtype), float(decoder.scale)), float(decoder.mean))
    # Not by Clip, in which runtimes turn NaN into a bound.
    for bound, below in ((decoder.lowest, True), (decoder.highest, False)):
        if bound is not None:
            outside = w.Less(y, float(bound)) if below else w.Greater(y, float(bound))
            y = w.Where(outside, float(bound), y)
    return y


def with_none(labels: Array) -> Array:
    """The labels, and after them the one of rows without a label, where the place -1 finds it."""
    kind = labels.dtype.kind
    if kind == "f":
        return np.append(labels.astype(np.float64), np.nan)
    if kind in "iub":
        return np.append(labels.astype(np.int64), NO_NUMBER)
    if kind in "OU" and all(isinstance(label, str) for label in labels.tolist()):
        return np.append(labels.astype(object), NO_TEXT)
    raise ArgumentError(f"labels of {labels.dtype} have no form in ONNX\n  try: texts or whole numbers")


def inputs_of(model: Model) -> dict[str, tuple[Any, list[Any]]]:
    """The inputs of the file: name -> dtype and shape, in which "N" stands for the rows."""
    if model.encoder is None:
        return {name: (form.dtype, ["N", *form.shape]) for name, form in named(model.inputs).items()}
    columns = model.encoder.columns
    strange = [one for one in columns if type(one).__name__ not in KIND_FORMS]
    if strange:
        raise ArgumentError(f"column {strange[0].name!r}: a {type(strange[0]).__name__} has no form in ONNX")
    number = np.dtype(np.float64)
    if are_joined(columns):
        return {"x": (number, ["N", len(columns)])}
    columns = tuple(seen(columns))
    texts = [KIND_FORMS[type(one).__name__].texts for one in columns]
    names = input_names(columns)
    return {name: (np.dtype(object) if text else number, ["N", 1]) for name, text in zip(names, texts, strict=True)}


def facts(model: Model, inputs: list[str], outputs: Mapping[str, str]) -> dict[str, Any]:
    """The metadata of the file: texts and JSON by name."""
    found: dict[str, Any] = {"fallline_version": version(), "task": model.task, "outputs": outputs}
    labels = model.labels
    if labels is not None:
        found["classes"] = labels.tolist()
        found["label_of_refused_rows"] = with_none(labels)[-1:].tolist()[0]
        if labels.dtype.kind == "f":
            found["label_of_refused_rows"] = "NaN"
    if model.decoder is not None:
        found["target"] = model.decoder.target
    if model.encoder is not None:
        columns = model.encoder.columns
        names = dict(zip((one.name for one in seen(columns)), inputs * len(columns) if are_joined(columns) else inputs))
        found["columns"] = [described(one, names.get(one.name)) for one in columns]
    return found


def described(column: Any, name: str | None) -> dict[str, Any]:
    """A column: the input it comes in, what goes into that, and how a missing value is written."""
    form = KIND_FORMS[type(column).__name__]
    if name is None:
        return {"column": column.name, "input": None, "kind": type(column).__name__}
    told = {"column": column.name, "input": name, "kind": type(column).__name__}
    told |= {"type": "text" if form.texts else "number", "missing": form.missing or "refused"}
    return told | ({"unit": form.unit} if form.unit else {}) | dict(form.facts(column))
