"""Long steps: cut so that nobody waits for their end, to the same bits, and interrupted without a trace on request."""

import numpy as np
import pytest

from fallline import nn, optim
from fallline.graph.node import new_input
from fallline.graph.trace import trace
from fallline.program import lanes
from fallline.program import step_loop as loop
from fallline.program.instructions import Instruction, Split
from fallline.program.strides import Ref, row_major
from fallline.steps.step import training_step

ROWS, WIDTHS = 23, (9, 17, 5)


def in_haste(patch, threads):
    """Let every step count as long, and use as many lanes as allowed."""
    patch.setattr(lanes, "PATIENCE", 40.0)
    patch.setattr(lanes, "SMALL", 0.0)
    patch.setattr(loop, "LONG", 0)
    patch.setattr(loop, "checked", lambda threads: threads)
    patch.setattr(lanes, "best", lambda ins, n, end, span: lanes.schedule(ins, n, end, span) if n > 1 else None)


def network_loop(optimizer, threads=1):
    """A loop that trains a small network."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, WIDTHS[0]))
    model = nn.Model.init(nn.mlp((WIDTHS[1],), WIDTHS[2], "tanh"), WIDTHS[0], loss="cross_entropy", dtype="float64")
    data = {"x": x, "y": np.arange(ROWS) % WIDTHS[2], "order": np.tile(np.arange(ROWS), 9), "seed": np.array(0),
            "learning_rate": np.array(0.1)}  # fmt: skip
    moments = optimizer.started(model.theta, model.layout)
    state = {"theta": np.array(model.theta),
             **{"optimizer." + name: np.array(a) for name, a in sorted(moments.items())},
             "step": np.array(0), "cursor": np.array(0), "loss_sum": np.array(0.0)}  # fmt: skip
    graph = training_step(model, optimizer, state, data, ROWS)
    return loop.build(graph, list(state.values()), list(data.values()), watch=len(state), threads=threads)


def bits(state):
    return b"".join(array.tobytes() for array in state)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("optimizer", [optim.Adam(0.1), optim.Momentum(0.1)], ids=["adam", "momentum"])
def test_a_step_cut_into_slices_comes_to_the_same_bits(optimizer, threads):
    whole = network_loop(optimizer)
    whole.run(5)
    with pytest.MonkeyPatch.context() as patch:
        in_haste(patch, threads)
        cut = network_loop(optimizer, threads)
    assert len(cut.program.instructions) > 1.5 * len(whole.program.instructions)
    assert cut.run(5, np.zeros(1, np.int64)) == 5
    assert not cut.was_stopped
    assert bits(cut.state) == bits(whole.state)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("name", optim.OPTIMIZERS)
def test_a_step_that_is_given_up_changes_nothing(name, threads):
    optimizer = optim.get(name, learning_rate=0.1)
    with pytest.MonkeyPatch.context() as patch:
        in_haste(patch, threads)
        one = network_loop(optimizer, threads)
    one.run(2)
    before = bits(one.state)
    stop_requested = np.ones(1, np.int64)
    assert one.run(3, stop_requested) == 0
    assert one.was_stopped
    assert bits(one.state) == before
    stop_requested[0] = 0
    assert one.run(3, stop_requested) == 3
    whole = network_loop(optimizer)
    whole.run(5)
    np.testing.assert_allclose(one.state[0], whole.state[0], rtol=1e-12)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_step_is_given_up_in_its_middle_but_never_in_the_middle_of_its_update(threads):
    def step(theta, moment, count, x):
        y = np.tanh(x @ theta)
        g = x.T @ (1 - y * y)
        moment = 0.9 * moment + g
        return theta - 0.1 * moment, moment, count + 1, np.sum((y > -2).astype(np.int64))

    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((12, 7)), np.zeros((12, 7)), np.zeros((), np.int64), rng.standard_normal((31, 12))]
    graph, _ = trace(step, [new_input(a.shape, a.dtype) for a in arrays])
    with pytest.MonkeyPatch.context() as patch:
        in_haste(patch, threads)
        one = loop.build(graph, arrays[:3], arrays[3:], threads=threads)
    before = bits(one.state)
    # A word in memory that the step itself fills in its middle: a place of the forward pass.
    stop_requested = one.program.value(one.program.outputs[3]).reshape(1)
    stop_requested[0] = 0
    assert one.run(1, stop_requested) == 0
    assert (one.was_stopped, stop_requested[0] != 0, bits(one.state) == before) == (True, True, True)
    # A word that is set when its update has begun.
    stop_requested = one.state[2].reshape(1)
    assert one.run(3, stop_requested) == 1
    assert (one.was_stopped, stop_requested[0], bits(one.state) == before) == (True, 1, False)


def test_slices_follow_one_another_through_the_whole_of_the_work():
    x, y = (Ref(i, 0, (10, 4), row_major((10, 4)), np.dtype(np.float64)) for i in (1, 2))
    whole = Instruction("f", "source", (y, x), 1, (10, 4), split=Split(0, 10, (0, 0)), work=1000.0)
    slices = whole.slices(300.0)
    assert [one.words[0] for one in slices] == [2, 3, 2, 3]
    assert [one.operands[0].offset for one in slices] == [0, 8, 20, 28]
    assert sum(one.work for one in slices) == pytest.approx(1000.0)
    assert whole.slices(1000.0) == (whole,)
    assert len(whole.slices(1.0)) == 10
