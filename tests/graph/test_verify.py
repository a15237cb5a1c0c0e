"""verify raises for a graph that is not well formed: one case for each fault."""

import ast
import dataclasses
import types
from pathlib import Path

import numpy as np
import pytest

import fallline as fl
from fallline.errors import GraphError
from fallline.graph.node import Graph, Node, constant, new_input
from fallline.graph.verify import faults, is_pass, verify, verify_between_passes
from fallline.graph.where import here
from fallline.ops.transcendental import tanh


def good():
    return fl.graph_of(fl.grad(lambda w, x: np.mean(np.tanh(x @ w) ** 2)), np.ones((3, 2)), np.ones((5, 3)))


def test_a_graph_from_a_trace_is_well_formed():
    graph = good()
    assert verify(graph) is graph


def node(x, shape, dtype=np.float64, op=tanh):
    return Node(op, (x,), {}, shape, np.dtype(dtype), here())


def test_each_fault_is_reported():
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


PASSES = Path(fl.__file__).parent / "passes"


def test_what_a_pass_makes_is_verified_in_tests():
    x = new_input((3,), np.float64)
    wrong = Graph((x,), (node(x, (4,)),))

    @is_pass
    def bad(form):
        return {"graph": wrong, "tuple": (wrong, 1), "record": types.SimpleNamespace(graph=wrong), "none": None}[form]

    assert bad("none") is None
    for form in ("graph", "tuple", "record"):
        with pytest.raises(GraphError, match="not well formed"):
            bad(form)
    verify_between_passes(False)
    try:
        assert bad("graph") is wrong
    finally:
        verify_between_passes()


def test_every_pass_is_declared_as_one():
    for path in PASSES.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        public = [one for one in tree.body if isinstance(one, ast.FunctionDef) and not one.name.startswith("_")]
        makers = [one for one in public if one.returns is not None and "Graph" in ast.unparse(one.returns)]
        for one in makers:
            given = [
                arg for arg in one.args.args if arg.annotation is not None and ast.unparse(arg.annotation) == "Graph"
            ]
            declared = "is_pass" in [ast.unparse(name) for name in one.decorator_list]
            assert declared or not given or one.name == "at_once", one.name
