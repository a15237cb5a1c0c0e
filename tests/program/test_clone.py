"""A program's clone: the same step over other arrays, to the bits of a program of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from fallline.errors import ProgramError
from fallline.graph.node import new_input
from fallline.graph.trace import trace
from fallline.passes.simplify import simplify
from fallline.program import lanes
from fallline.program.lower import lower
from fallline.program.machine import Program
from fallline.program.step_loop import Loop, build

MASK = np.arange(6.0)[:, None] % 2


def step(theta: Any, n: Any, x: Any, order: Any) -> Any:
    """A few of everything: a constant, a product, positions, sums, counters."""
    rows = np.take(x, order, axis=0)
    error = np.tanh(rows @ theta) - 1
    return theta - 0.1 * (rows.T @ error) * MASK, n + 1, np.mean(error * error)


def arrays(seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(6, 2)), np.array(0)], [rng.normal(size=(9, 6)), rng.permutation(9)]


def loop_over(state: list[np.ndarray], data: list[np.ndarray], **options: Any) -> Loop:
    graph, _ = trace(step, [new_input(a.shape, a.dtype) for a in [*state, *data]])
    return build(graph, state, data, watch=2, **options)


@pytest.fixture(params=["machine", "reference", "lanes"])
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Loop]]:
    if request.param == "lanes":
        monkeypatch.setattr(lanes, "SHORT", 0.0)
        monkeypatch.setattr(lanes, "SMALL", 0.0)
        monkeypatch.setattr(lanes, "GAIN", float("inf"))
        yield lambda state, data: loop_over(state, data, threads=2)
        lanes.rest()
    else:
        yield lambda state, data: loop_over(state, data, engine=request.param)


def test_a_twin_does_what_a_program_of_its_own_does(make: Callable[..., Loop]) -> None:
    first, own, clones = make(*arrays(0)), make(*arrays(1)), arrays(1)
    first.run(2)  # what the first has done leaves no trace in the other
    clone = first.clone(*clones)
    assert clone.run(5) == own.run(5) == 5
    assert first.run(3) == 3
    for array, same in zip(clone.state, own.state, strict=True):
        assert array.tobytes() == same.tobytes()
    assert clones[0][1] == 5
    for out, same in zip(clone.outputs, own.outputs, strict=True):
        assert np.array_equal(out, same)
    alone = make(*arrays(0))
    alone.run(5)
    assert first.state[0].tobytes() == alone.state[0].tobytes()


def test_twins_of_twins_run_at_the_same_time(make: Callable[..., Loop]) -> None:
    first = make(*arrays(0))
    loops = [first, clone := first.clone(*arrays(0)), clone.clone(*arrays(0))]
    threads = [threading.Thread(target=loop.run, args=(200,)) for loop in loops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({loop.state[0].tobytes() for loop in loops}) == 1


def test_a_twin_outlives_the_first() -> None:
    first = loop_over(*arrays(0))
    clone, own = first.clone(*arrays(1)), loop_over(*arrays(1))
    del first
    assert clone.run(9) == own.run(9)
    assert clone.state[0].tobytes() == own.state[0].tobytes()


def test_results_that_are_given_away_are_the_twin_s_own() -> None:
    x = np.ones((3, 2))
    graph, _ = trace(lambda x: (x + 1, x * 2), [new_input(x.shape, x.dtype)])
    first = Program(lower(simplify(graph)), [x], hand_out=True)
    clone = first.clone([3 * x])
    first.run(), clone.run()
    mine, its = first.hand_out(), clone.hand_out()
    assert [a.flat[0] for a in mine] == [2, 2]
    assert [a.flat[0] for a in its] == [4, 6]
    assert not any(np.shares_memory(a, b) for a in mine for b in its)


def test_arrays_of_another_form_are_refused() -> None:
    (theta, n), data = arrays(0)
    first = loop_over([theta, n], data)
    with pytest.raises(ProgramError, match="works on 4 arrays, got 3"):
        first.clone([theta], data)
    for other in (theta[:5].copy(), theta.astype(np.float32), np.asfortranarray(theta)):
        with pytest.raises(ProgramError, match="input 0 is float64"):
            first.clone([other, n], data)
    frozen = theta.copy()
    frozen.flags.writeable = False
    with pytest.raises(ProgramError):
        first.clone([frozen, n], data)
    read_only = data[0].copy()
    read_only.flags.writeable = False
    assert first.clone([theta.copy(), n.copy()], [read_only, data[1]]).run(2) == 2
