"""Nodes of floats of one dtype are made without asking an op's rules; they are those that the rules give."""

import itertools

import numpy as np
import pytest

from fallline import ops  # noqa: F401  # declares them
from fallline.graph.node import CONSTANT, Node, make, new_input, of_floats
from fallline.graph.op import TABLE

NODES = [new_input(shape, dtype) for shape in ((), (3,), (2, 3), (1, 3)) for dtype in (np.float32, np.float64)]
WHOLE = [new_input((3,), dtype) for dtype in (np.int64, np.uint8, bool)]
PLAIN = [
    2.0,
    -3,
    2**70,
    True,
    np.float64(0.5),
    np.ones(3),
    np.ones((), np.float32),
    np.ones(3, np.int32),
    np.ones(3, ">f8"),
]


def told(node):
    return node if node.op is not CONSTANT else (node.dtype, node.attrs["value"].tobytes(), node.shape)


@pytest.mark.parametrize("name", sorted(op.name for op in TABLE.values() if op.floats))
def test_floats_of_one_dtype_give_the_node_that_the_rules_give(name):
    op, count = TABLE[name], 0
    for args in itertools.product([*NODES, *WHOLE, *PLAIN], repeat=op.arrays[0]):
        node = of_floats(op, args) if any(isinstance(arg, Node) for arg in args) else None
        if node is not None:
            by_rule = make(op, op.lift(*args), {})
            assert (node.shape, node.dtype, node.attrs) == (by_rule.shape, by_rule.dtype, by_rule.attrs)
            assert list(map(told, node.inputs)) == list(map(told, by_rule.inputs))
            count += 1
    assert count >= len(NODES)


@pytest.mark.parametrize("name", sorted(op.name for op in TABLE.values() if op.floats))
def test_rules_are_asked_of_whole_numbers_and_mixed_dtypes(name):
    op = TABLE[name]
    single, double = NODES[2], NODES[3]
    others = [WHOLE[0]] * op.arrays[0], [single, double] if op.arrays[0] == 2 else [WHOLE[2]]
    assert [of_floats(op, tuple(args)) for args in others] == [None, None]
