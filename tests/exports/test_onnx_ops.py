"""Every op has a form in ONNX that gives the same numbers in onnxruntime, also at the edges of its domain."""

import inspect
import warnings

import numpy as np
import pytest

from fallline.exports.onnx_graph import Translation, dims
from fallline.exports.onnx_ops import FORMS, code_of
from fallline.exports.onnx_writer import IR_VERSION, OPSET, Writer
from fallline.graph.node import new_input
from fallline.graph.op import TABLE, Kind
from fallline.graph.trace import trace
from fallline.program import reference

onnx = pytest.importorskip("onnx")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    onnxruntime = pytest.importorskip("onnxruntime")
onnxruntime.set_default_logger_severity(4)

# An op of random numbers, which a network that predicts does not draw.
WITHOUT = {"random_bits"}
OPS = [op for op in TABLE.values() if op.kind is not Kind.SOURCE and op.name not in WITHOUT]
PRECISIONS = (np.float32, np.float64)
EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, 1e-6, -1e-6, 30.0, -30.0, np.inf, -np.inf, np.nan]
# Where the result is a matter of taste of the library: a sign of NaN, a power or remainder of infinities.
LOOSE = {"sign", "power", "remainder", "floor_divide", "arctan2", "tan", "sin", "cos", "sinh", "cosh", "hypot"}
LOOSE |= {"logistic_loss"}
STRICT = [op for op in OPS if op.kind is Kind.ELEMENTWISE and op.name not in LOOSE]
WHOLE = ("add", "subtract", "multiply", "maximum", "less", "equal", "floor_divide", "remainder")


def session_of(graph, twin=None):
    """A session that computes a graph; twin: the same for another number of rows."""
    twin = twin or graph
    names = [f"x{i}" for i in range(len(graph.inputs))]
    w = Writer(names)
    w.counted = names[0]
    work = Translation(w, lambda node: "")
    work.names.update(zip(graph.inputs, names, strict=True))
    work.all_of(graph, twin)
    outputs = [w.add("Identity", [work.name(node)], wish="y") for node in graph.outputs]
    info = onnx.helper.make_tensor_value_info
    inputs = [info(name, code_of(one.dtype), dims(one.shape, other.shape))
              for name, one, other in zip(names, graph.inputs, twin.inputs, strict=True)]  # fmt: skip
    results = [info(name, code_of(one.dtype), dims(one.shape, other.shape))
               for name, one, other in zip(outputs, graph.outputs, twin.outputs, strict=True)]  # fmt: skip
    made = onnx.helper.make_model(
        onnx.helper.make_graph(w.nodes, "graph", inputs, results, w.tensors),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
    )  # fmt: skip
    onnx.checker.check_model(made, full_check=True)
    return onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])


def both(function, args):
    """The results by onnxruntime and by the reference."""
    args = [np.asarray(a) for a in args]
    graph, _ = trace(function, [new_input(a.shape, a.dtype) for a in args])
    feed = {f"x{i}": a for i, a in enumerate(args)}
    return session_of(graph).run(None, feed)[0], reference.run(graph, args)[0]


def examples(op, dtype):
    """Calls of an op: lists of arrays, and the attributes."""
    rng = np.random.default_rng(0)
    if op.kind is not Kind.ELEMENTWISE:
        fixed = op.kind is Kind.LOOP
        return [([a if fixed or a.dtype.kind != "f" else a.astype(dtype) for a in map(np.asarray, args)], attrs)
                for args, attrs in op.domain(rng)]  # fmt: skip
    names = list(inspect.signature(op.meaning).parameters)
    domains = op.domain if isinstance(op.domain, tuple) else (op.domain,) * len(names)
    calls = []
    for shapes in (((2, 3),) * 3, ((2, 3), (3,), (2, 1)), ((), (2,), ()), ((0, 3), (1, 3), (3,))):
        args = [rng.uniform(one.low, one.high, shape).astype(dtype) for one, shape in zip(domains, shapes)]
        calls.append(([a > 0 if name == "condition" else a for name, a in zip(names, args)], {}))
    return calls


def test_every_op_but_random_numbers_has_a_form():
    assert {*FORMS} == {op.name for op in OPS if op.kind is not Kind.LOOP}


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_the_form_of_an_op_gives_its_numbers(op, dtype):
    for args, attrs in examples(op, dtype):
        found, expected = both(lambda *xs, op=op, attrs=attrs: op(*xs, **attrs), args)
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("op", STRICT, ids=lambda op: op.name)
def test_the_form_of_an_op_agrees_at_the_edges_too(op, dtype):
    edges = np.array(EDGES, dtype)
    least, _ = op.arrays
    args = {1: [edges], 2: [edges[:, np.newaxis], edges], 3: [edges[:, np.newaxis] > 0, edges, edges[::-1].copy()]}
    found, expected = both(op, args[least])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64"])
def test_whole_numbers_of_every_size_wrap_around_as_ours(name, dtype):
    rng = np.random.default_rng(0)
    info = np.iinfo(dtype)
    a, b = (rng.integers(info.min, info.max, 20, dtype) for _ in range(2))
    found, expected = both(TABLE[name], [a, np.where(b == 0, 1, b).astype(dtype)])
    assert found.dtype == expected.dtype and np.array_equal(found, expected)


@pytest.mark.parametrize("function", [
    lambda x: x * np.arange(len(x))[:, np.newaxis],
    lambda x: x + np.zeros((len(x), 3), np.float32),
    lambda x: np.concatenate([x, np.ones((len(x), 1), np.float32)], axis=1),
    lambda x: x[np.arange(len(x)), np.argmax(x, axis=1)],
    lambda x: np.broadcast_to(np.array([1, 2, 3], np.float32), x.shape) - x,
    lambda x: np.reshape(np.stack([x, -x], axis=1), (2 * len(x), 3)),
    lambda x: x[:, ::-1],
    lambda x: np.repeat(x[:, np.newaxis], 4, axis=1).reshape(len(x), 12),
    lambda x: np.pad(x, ((0, 0), (2, 1))),
    lambda x: np.cumprod(x, axis=1) + np.sort(x, axis=1),
])  # fmt: skip
def test_a_graph_for_two_numbers_of_rows_serves_for_any(function):
    from fallline.exports.onnx_writer import ROWS

    one, other = (trace(function, [new_input((rows, 3), np.float32)])[0] for rows in ROWS)
    session = session_of(one, other)
    for rows in (1, 2, 7, 1009):
        x = np.random.default_rng(rows).normal(size=(rows, 3)).astype(np.float32)
        np.testing.assert_allclose(session.run(None, {"x0": x})[0], function(x), rtol=1e-5, atol=1e-6)
