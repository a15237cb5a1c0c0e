"""Row programs: every block lands where its rows lie, nothing outside is touched, numbers that are not finite end a
run."""

from typing import Any

import numpy as np
import pytest

from fallline.errors import OutOfRangeError, ProgramError
from fallline.graph.node import Graph, new_input
from fallline.graph.trace import trace
from fallline.program.row_blocks import RowProgram, ready

X = np.random.default_rng(0).normal(size=(24, 3))
HELD = np.array([2.0, -1.0, 0.5])


def program(function: Any, rows: int = 4) -> RowProgram:
    held, x = new_input(HELD.shape, HELD.dtype), new_input((rows, 3), np.float64)
    graph, _ = trace(lambda held, x: (function(held, x), np.sum(x)), [held, x])
    y = graph.outputs[0]
    return RowProgram(Graph((new_input(y.shape, y.dtype), held, x), graph.outputs), [HELD])


FUNCTIONS = {
    "new numbers": lambda h, x: np.tanh(x) * h,
    "a product": lambda h, x: x @ np.outer(h, h),
    "a view of new numbers": lambda h, x: (x * h)[:, ::-1],
    "one column": lambda h, x: (x * h)[:, 1],
    "the rows themselves": lambda h, x: x,
    "a view of the rows": lambda h, x: x[:, 1:],
    "what is held": lambda h, x: np.broadcast_to(h, x.shape),
    "numbers known before": lambda h, x: np.ones(x.shape),
    "the watched number": lambda h, x: np.broadcast_to(np.sum(x) * 0, x.shape[:1]),
    "whole numbers": lambda h, x: np.argmax(x * h, axis=1),
    "two axes": lambda h, x: x[:, :, None] * h,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_block_is_the_function_of_its_rows_and_nothing_else_is_written(name: str) -> None:
    function = FUNCTIONS[name]
    expected = np.asarray(function(HELD, X))
    made = program(function)
    for start, blocks in ((0, 6), (3, 2), (20, 1), (7, 0)):
        y = made.result(24)
        assert y.shape == expected.shape and y.dtype == expected.dtype
        y[...] = 77
        assert made.run(y, (X,), start, blocks)
        inside = slice(start, start + 4 * blocks)
        np.testing.assert_allclose(y[inside], expected[inside], rtol=1e-13, atol=1e-13)
        y[inside] = 77
        assert (y == 77).all()
    assert ready()


def test_a_block_that_is_not_finite_ends_the_run_unless_nobody_watches() -> None:
    made = program(lambda h, x: x + 1)
    x = X.copy()
    x[9, 1] = np.inf
    y = np.zeros_like(x)
    assert not made.run(y, (x,), 0, 6)
    np.testing.assert_array_equal(y[:8], x[:8] + 1)
    assert not y[12:].any()
    assert made.run(y, (x,), 0, 6, watch=False)
    np.testing.assert_array_equal(y, x + 1)
    assert made.run(y, (X,), 0, 6)


@pytest.mark.parametrize(("y", "x", "start", "blocks"), [
    (np.zeros((24, 3)), X, 0, 7), (np.zeros((24, 3)), X, 21, 1), (np.zeros((24, 3)), X, -4, 1),
    (np.zeros((24, 3)), X, 0, -1), (np.zeros((23, 3)), X, 0, 6), (np.zeros((24, 3), np.float32), X, 0, 1),
    (np.zeros((24, 3)), X.astype(np.float32), 0, 1), (np.zeros((24, 4)), X, 0, 1), (np.zeros((24, 3)), X[:, :2], 0, 1),
    (np.zeros((24, 3)), np.asfortranarray(X), 0, 1), (np.zeros((48, 3))[::2], X, 0, 1), (np.zeros((24, 3)), X[0], 0, 1),
    (np.zeros((24, 3)), np.frombuffer(b"x" * 577, np.uint8)[1:].view(np.float64).reshape(24, 3), 0, 1),
    (np.zeros((24, 3)), X.astype(">f8"), 0, 1),
])  # fmt: skip
def test_rows_that_do_not_lie_there_are_refused(y: np.ndarray, x: np.ndarray, start: int, blocks: int) -> None:
    with pytest.raises(ProgramError, match="do not lie in one piece"):
        program(lambda h, x: x + 1).run(y, (x,), start, blocks)


def test_results_that_cannot_be_written_are_refused() -> None:
    y = np.zeros((24, 3))
    y.setflags(write=False)
    with pytest.raises(ProgramError, match="do not lie in one piece"):
        program(lambda h, x: x + 1).run(y, (X,), 0, 1)


def test_a_position_outside_its_array_is_reported() -> None:
    from fallline.ops.gather_scatter import gather

    made = program(lambda h, x: gather(h, x[:, 0].astype(np.int64), axis=0))
    y = made.result(24)
    assert made.run(y, (np.ones((24, 3)),), 0, 6)
    with pytest.raises(OutOfRangeError, match="outside the array"):
        made.run(y, (np.full((24, 3), 3.0),), 0, 6)
    assert made.run(y, (np.ones((24, 3)),), 0, 6)


def test_rows_of_several_arrays_are_read_side_by_side_each_in_its_own_form() -> None:
    held = new_input(HELD.shape, HELD.dtype)
    codes, image = new_input((4,), np.int64), new_input((4, 3), np.uint8)
    graph, _ = trace(
        lambda held, codes, image: (image * held + np.reshape(codes, (4, 1)), np.float64(0)), [held, codes, image]
    )
    y = graph.outputs[0]
    made = RowProgram(Graph((new_input(y.shape, y.dtype), *graph.inputs), graph.outputs), [HELD])
    given = 2**53 - np.arange(24), np.arange(72, dtype=np.uint8).reshape(24, 3)
    out = made.result(24)
    for start, blocks in ((0, 6), (2, 1), (0, 1)):  # in place, and copied in and out
        assert made.run(out, given, start, blocks)
    np.testing.assert_array_equal(out, given[1] * HELD + given[0][:, None])
    few = made.result(4)
    assert made.run(few, (given[0][:4], given[1][:4]), 0, 1)
    np.testing.assert_array_equal(few, out[:4])
    with pytest.raises(ProgramError, match="uint8"):
        made.run(out, (given[0], given[1].astype(np.int8)), 0, 6)
