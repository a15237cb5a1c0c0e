"""A graph prints readably, one line a node, with the file and line that made it; and as a drawing and as JSON."""

import json

import numpy as np

import fallline as fl
from fallline.graph import show
from fallline.graph.node import constant


def loss(params, x):
    hidden = np.tanh(x @ params["w"])  # line 13
    return np.mean(hidden**2)


def graph():
    return fl.graph_of(loss, {"w": np.ones((3, 2), np.float32)}, np.ones((5, 3), np.float32))


def test_a_line_says_what_is_computed_in_what_form_and_where_it_was_written():
    lines = str(graph()).splitlines()
    assert lines[0].split() == [
        "%0",
        "=",
        "input",
        "params.w",
        "float32[3,",
        "2]",
        "#",
        f"test_show.py:{lines_of_caller()}",
    ]
    assert lines[2].startswith("%2 = contract(%1, %0)")
    assert lines[3].split("  ")[0] == "%3 = tanh(%2)"
    assert lines[3].endswith("float32[5, 2]  # test_show.py:13")
    assert lines[-1] == "return %6"


def lines_of_caller():
    return graph.__code__.co_firstlineno + 1


def test_a_constant_number_stands_where_it_is_used():
    assert "divide(%5, 10.0)" in str(graph())
    table = constant(np.arange(3.0))
    assert "constant [0., 1., 2.]" in str(fl.graph_of(lambda x: x + table, np.ones(3)))
    assert "constant <100 numbers>" in str(fl.graph_of(lambda x: x + np.ones(100), np.float64(1)))
    assert str(fl.graph_of(lambda x: 2.0, np.float64(1))).splitlines()[-1] == "return %1"


def test_gradients_carry_the_line_of_the_forward_code():
    text = str(fl.graph_of(fl.grad(loss), {"w": np.ones((3, 2))}, np.ones((5, 3))))
    (product,) = [line for line in text.splitlines() if "contract(%" in line and "float64[3, 2]" in line]
    assert product.endswith("# test_show.py:13")


def test_attributes_are_written_as_arguments():
    text = str(fl.graph_of(lambda x: np.sum(x[1:], axis=0), np.ones((3, 2))))
    assert "slice(%0, starts=(1, 0), stops=(3, 2), steps=(1, 1))" in text
    assert "sum(%1, axes=(0,), keepdims=False)" in text


def test_the_drawing_has_a_box_for_each_node_and_an_arrow_for_each_use():
    drawing = show.dot(graph())
    nodes = graph().nodes()
    assert drawing.startswith("digraph {")
    assert drawing.endswith("}")
    assert drawing.count("[label=") == len(nodes)
    assert drawing.count(" -> ") == sum(len(node.inputs) for node in nodes)
    assert drawing.count("style=bold") == 1


def test_json_reports_the_same_graph():
    found = json.loads(show.as_json(graph()))
    assert found["inputs"] == [0, 1]
    assert [node["op"] for node in found["nodes"]][:4] == ["input", "input", "contract", "tanh"]
    assert found["nodes"][found["outputs"][0]]["op"] == "divide"
    assert found["nodes"][3] == {"op": "tanh", "inputs": [2], "attrs": {}, "dtype": "float32", "shape": [5, 2],
                                 "file": __file__, "line": 13}  # fmt: skip
    every = json.loads(
        show.as_json(fl.graph_of(lambda x: x[::2].astype(np.float32) + np.arange(20.0), np.float64([1, 2])))
    )
    attrs = [node["attrs"] for node in every["nodes"]]
    assert {"dtype": "float32"} in attrs
    assert {"value": {"dtype": "float64", "shape": [20]}} in attrs
    assert {"starts": [0], "stops": [1], "steps": [2]} in attrs
