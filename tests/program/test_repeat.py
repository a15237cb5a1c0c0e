"""A loop on the machine: nothing outside its buffers in any turn, and the same result however it is placed, cut,
cloned or run again."""

from dataclasses import replace

import numpy as np
import pytest

import fallline as fl
from fallline.errors import OutOfRangeError, ProgramError
from fallline.passes.loops import fewer_loops
from fallline.program import lanes, reference
from fallline.program.lower import lower, prepared
from fallline.program.machine import Program, verify
from fallline.program.profile import flops_of
from fallline.program.step_loop import build, multiply_adds

RNG = np.random.default_rng(0)
W, XS = RNG.normal(size=(3, 3)) / 2, RNG.normal(size=(6, 2, 3))


def loss(w, xs):
    def turn(carry, x):
        h, n = carry
        h = np.tanh(h @ w + x)
        return (h, n + 1), h * n

    (h, n), ys = fl.scan(turn, (xs[0], np.array(1)), xs, reverse=True)
    return np.sum(h**2) * n + np.sum(np.sin(ys))


GRAPH = fl.graph_of(fl.value_and_grad(loss, (0, 1)), W, XS)


def program(arrays=(W, XS), **settings):
    return Program(lower(prepared(GRAPH)), [np.array(a) for a in arrays], **settings)


def results(made):
    made.run()
    return [np.array(made.value(ref)) for ref in made.outputs]


def same(got, expected):
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def loops(instructions):
    return [one for one in instructions if one.turns is not None]


def test_it_is_the_reference():
    for got, expected in zip(results(program()), reference.run(GRAPH, [W, XS]), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_it_can_run_again_and_over_other_arrays():
    made = program()
    first = results(made)
    same(results(made), first)  # every address has gone back to where it was
    made.rebind(0, 2 * W)
    same(results(made), results(program((2 * W, XS))))
    made.rebind(0, W.copy())
    same(results(made), first)


def test_a_clone_has_memory_of_its_own():
    made = program()
    other = made.clone([2 * W, -XS])
    expected = results(program((2 * W, -XS)))
    first = results(made)
    same(results(other), expected)
    same(results(made), first)
    same([np.array(other.value(ref)) for ref in other.outputs], expected)


@pytest.mark.parametrize("pieces", [2, 4, 6])
def test_turns_may_be_cut_into_several_loops(pieces, monkeypatch):
    whole = program()
    monkeypatch.setattr(lanes, "PATIENCE", max(one.work for one in loops(whole.instructions)) / (pieces - 0.5))
    cut = program()
    assert len(loops(cut.instructions)) > len(loops(whole.instructions))
    same(results(cut), results(whole))


def test_memory_that_is_never_shared_holds_the_same_values():
    same(results(program(keep=True)), results(program()))


def test_no_turn_leaves_a_buffer():
    made = program()
    refused = 0
    for loop in loops(made.instructions):
        verify([loop], made.buffers)
        wrong = [replace(loop.turns, count=loop.turns.count + 1)]
        for number, window in loop.turns.windows.items():
            used = any(ref.buffer == number for one in loop.turns.instructions for ref in one.operands)
            if used and loop.turns.buffers[number].size:
                around = made.buffers[window.buffer].size
                for moved in (replace(window, offset=-1), replace(window, offset=around), replace(window, step=around)):
                    wrong.append(replace(loop.turns, windows={**loop.turns.windows, number: moved}))
        for number in loop.turns.places:
            wrong.append(
                replace(loop.turns, places={**loop.turns.places, number: made.buffers[loop.turns.room].nbytes})
            )
        for turns in wrong:
            with pytest.raises(ProgramError):
                verify([replace(loop, turns=turns)], made.buffers)
            refused += 1
    assert refused > 20


def test_no_turn_writes_a_constant():
    made = program()
    loop = loops(made.instructions)[0]
    fixed = [replace(buffer, place=type(buffer.place).CONSTANT) for buffer in made.buffers]
    with pytest.raises(ProgramError, match="writes into a constant"):
        verify([loop], fixed)


def test_a_position_outside_its_array_is_found_in_a_loop():
    def pick(table, at):
        return fl.scan(lambda total, i: (total + fl.ops.gather(table, i, axis=0), None), 0.0, at)[0]

    run = fl.compile(pick)
    assert run(np.arange(4.0), np.array([3, 1])) == 4.0
    with pytest.raises(OutOfRangeError, match="position of 4"):
        run(np.arange(4.0), np.array([3, 4, 1]))


def test_the_work_of_a_loop_is_that_of_all_its_turns():
    graph = fl.graph_of(lambda w, xs: fl.scan(lambda h, x: (h @ w, None), xs[0], xs)[0], W, XS)
    assert multiply_adds(graph) == 6 * 2 * 3 * 3
    assert sum(map(flops_of, loops(lower(prepared(graph)).instructions))) == 6 * 2 * (2 * 3 * 3)


def test_one_loop_forwards_and_one_back():
    assert len(loops(lower(prepared(GRAPH)).instructions)) == 2
    turns = [node for node in fewer_loops(prepared(GRAPH)).nodes() if node.op.name == "loop" and node.dtype == float]
    assert len(turns) == 2


@pytest.mark.parametrize("settings", [{}, {"threads": 2}, {"gradient_checkpointing": True}], ids=str)
def test_a_training_step_with_a_loop_in_it(settings):
    def step(w, xs):
        value, (gradient, _) = fl.value_and_grad(loss, (0, 1))(w, xs)
        return w - 0.01 * gradient, value

    graph = fl.graph_of(step, W, XS)
    slow = build(graph, [W.copy()], [XS], watch=1, engine="reference")
    fast = build(graph, [W.copy()], [XS], watch=1, **settings)
    assert slow.run(5) == fast.run(5) == 5
    np.testing.assert_allclose(fast.state[0], slow.state[0], rtol=1e-10)
    np.testing.assert_allclose(fast.outputs[1], slow.outputs[1], rtol=1e-10)


def test_the_plan_does_not_grow_with_the_turns():
    def instructions(turns):
        graph = fl.graph_of(fl.grad(loss), W, np.ones((turns, 2, 3)))
        lowered = lower(prepared(graph))
        return len(lowered.instructions) + sum(len(one.turns.instructions) for one in loops(lowered.instructions))

    assert instructions(3) == instructions(300)
