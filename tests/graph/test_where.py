"""Nodes remember the line that made them, the part of a computation they belong to, and its direction."""

import numpy as np

from fallline.graph.node import Graph, new_input
from fallline.graph.trace import trace
from fallline.graph.where import part
from fallline.nn import Dense, Sequential, Tanh
from fallline.ops.view import reshape
from fallline.passes.backprop import backprop
from fallline.passes.simplify import simplify


def test_parts_within_parts_are_parts_of_them_and_end_with_their_block():
    x = new_input((3,), np.float64)
    with part("outer"):
        first = np.tanh(x)
        with part("inner"):
            second = np.tanh(first)
        third = np.tanh(second)
    assert [node.where.part for node in (x, first, second, third)] == ["", "outer", "outer > inner", "outer"]


def test_every_node_of_a_network_names_its_layer_and_those_of_its_backpropagation_too():
    network = Sequential(Dense(4), Tanh(), Dense(2))
    params, _ = network.init(np.random.default_rng(0), (3,), np.float64)
    x = new_input((5, 3), np.float64)
    weights = [new_input(layer["weight"].shape, np.float64) for layer in params if layer]
    traced = tuple({**layer, "weight": weights[i // 2]} if layer else layer for i, layer in enumerate(params))

    def loss(x, *_):
        return np.sum(network.apply(traced, x) ** 2)

    graph, _ = trace(loss, [x, *weights])
    grads = backprop(graph.outputs, weights)
    names = {"0 Dense(4)", "1 Tanh()", "2 Dense(2)", ""}
    assert {node.where.part for node in graph.nodes()} == names
    assert not any(node.where.backward for node in graph.nodes())
    whole = simplify(Graph(graph.inputs, tuple(reshape(g, shape=(g.size,)) for g in grads)))
    products = [node.where for node in whole.nodes() if node.op.name == "contract"]
    assert [(where.part, where.backward) for where in products if where.backward] == [
        ("2 Dense(2)", True), ("2 Dense(2)", True), ("0 Dense(4)", True)]  # fmt: skip
    assert [where.part for where in products if not where.backward] == ["0 Dense(4)", "2 Dense(2)"]
