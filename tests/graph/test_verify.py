"""A graph that is not well formed is told so, fault by fault."""

import dataclasses

import numpy as np
import pytest

import fallline as fl
from fallline.errors import GraphError
from fallline.graph.node import Graph, Node, constant, new_input
from fallline.graph.verify import faults, verify
from fallline.graph.where import here
from fallline.ops.transcendental import tanh


def good():
    return fl.graph_of(fl.grad(lambda w, x: np.mean(np.tanh(x @ w) ** 2)), np.ones((3, 2)), np.ones((5, 3)))


def test_a_graph_from_a_trace_is_well_formed():
    graph = good()
    assert verify(graph) is graph


def node(x, shape, dtype=np.float64, op=tanh):
    return Node(op, (x,), {}, shape, np.dtype(dtype), here())


def test_each_fault_is_told():
    x = new_input((3,), np.float64)
    table = constant(np.ones(2))
    object.__setattr__(table, "shape", (5,))
    old = node(x, (3,))
    object.__setattr__(old, "serial", x.serial - 1)
    twin = node(x, (3,))
    object.__setattr__(twin, "serial", x.serial)
    for outputs, inputs, told in [
        ((node(x, (4,)),), (x,), "its op infers float64[3]"),
        ((node(x, (3,), np.float32),), (x,), "its op infers float64[3]"),
        ((np.tanh(x),), (), "is used but is no input"),
        ((np.tanh(x),), (x, x), "an input is listed twice"),
        ((x,), (x, np.tanh(x)), "listed as an input but is not one"),
        ((table,), (), "holds float64[2]"),
        ((old,), (x,), "older than its input"),
        ((twin,), (x,), "the number of another node"),
        ((node(x, (3,), op=dataclasses.replace(tanh)),), (x,), "its op is not in the table"),
        ((Node(fl.ops.view.reshape, (x,), {"shape": (7,)}, (7,), x.dtype, here()),), (x,), "refuses these inputs"),
    ]:
        found = faults(Graph(inputs, outputs))
        assert any(told in line for line in found), (told, found)
        with pytest.raises(GraphError, match="not well formed"):
            verify(Graph(inputs, outputs))
