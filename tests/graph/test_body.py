"""The body of a loop: compared by what it computes, shown, verified, and followed row by row."""

import json
from dataclasses import replace

import numpy as np
import pytest

import fallline as fl
from fallline.errors import GraphError, TraceError
from fallline.graph.body import Body
from fallline.graph.mixing import rows_of
from fallline.graph.node import Graph, new_input
from fallline.graph.show import as_json
from fallline.graph.verify import faults, verify
from fallline.transforms import derived

RNG = np.random.default_rng(0)
X, W = RNG.normal(size=(4, 6, 3)), RNG.normal(size=(3, 3))


def network(x, w):
    """A row of x is a series of its own."""
    start = np.zeros((len(x), 3))
    h, ys = fl.scan(lambda h, r: (np.tanh(h @ w + r), h * r), start, np.moveaxis(x, 1, 0), reverse=True)
    return h + ys[2]


def loop_of(graph):
    return next(node for node in graph.nodes() if node.op.name == "loop")


def test_bodies_are_equal_if_they_compute_the_same():
    one, two, other = (
        loop_of(fl.graph_of(lambda x, w, k=k: network(x, w * k)[:, 0], X, W)).attrs["body"] for k in (1, 1, 2)
    )
    assert one == two and hash(one) == hash(two) and one is not two
    assert one == other  # what is the same in every turn is computed outside
    assert one != replace(one, turns=7) and one != replace(one, reverse=False)
    three = loop_of(fl.graph_of(lambda x: fl.scan(lambda h, r: (h + 3 * r, r), x[0], x)[0], X)).attrs["body"]
    four = loop_of(fl.graph_of(lambda x: fl.scan(lambda h, r: (h + 4 * r, r), x[0], x)[0], X)).attrs["body"]
    assert three != four


def test_a_gradient_of_a_loop_is_derived_once():
    gradient = fl.grad(lambda w, x: np.sum(network(x, w)))
    gradient(W, X)
    count = len(derived._remembered)
    gradient(2 * W, X)
    assert len(derived._remembered) == count


def test_a_graph_shows_a_turn():
    text = str(fl.graph_of(network, X, W))
    assert "body=<6 turns of" in text
    head, _, turn = text.partition("a turn of ")
    assert "tanh" in turn and "tanh" not in head
    nodes = json.loads(as_json(fl.graph_of(network, X, W)))["nodes"]
    (body,) = [node["attrs"]["body"] for node in nodes if node["op"] == "loop"]
    assert body["turns"] == 6 and body["reverse"] is True
    assert "tanh" in [node["op"] for node in body["graph"]["nodes"]]


def test_a_fault_in_a_body_is_found():
    graph = fl.graph_of(network, X, W)
    assert faults(graph) == []
    loop = loop_of(graph)
    body: Body = loop.attrs["body"]
    stray = new_input((4, 3), np.float64)
    broken = replace(body, graph=Graph(body.graph.inputs, (stray, *body.graph.outputs[1:])))
    made = type(loop)(loop.op, loop.inputs, {**loop.attrs, "body": broken}, loop.shape, loop.dtype, loop.where)
    with pytest.raises(GraphError, match=r"in the body of .* is no input of the graph"):
        verify(Graph(graph.inputs, (made,)))


def test_rows_are_followed_through_the_turns():
    graph = fl.graph_of(network, X, W)
    found = rows_of(graph, graph.inputs[0], [X, W])
    assert found.mixed is None
    np.testing.assert_array_equal(found.numbers[graph.outputs[0]], np.repeat([[1], [2], [3], [4]], 3, axis=1))
    along = fl.graph_of(lambda x: fl.scan(lambda h, r: (h + r, h), np.zeros((6, 3)), x)[0], X)
    assert rows_of(along, along.inputs[0], [X]).mixed is not None  # the rows themselves are gone over


def test_rows_are_followed_where_a_turn_picks():
    def picked(x, at):
        start = np.zeros(len(x))
        return fl.scan(lambda h, i: (h + fl.ops.gather(x, i, axis=1), None), start, at)[0]

    x, at = RNG.normal(size=(4, 6)), np.array([1, 5, 0])
    graph = fl.graph_of(picked, x, at)
    found = rows_of(graph, graph.inputs[0], [x, at])
    assert found.mixed is None and found.numbers[graph.outputs[0]].tolist() == [1, 2, 3, 4]


def test_a_kept_trace_draws_nothing_in_a_turn():
    noisy = fl.compile(lambda x: fl.scan(lambda h, r: (h + r * np.random.normal(size=3), None), x[0], x)[0])
    with pytest.raises(TraceError, match="drew a number"):
        noisy(X[0])
