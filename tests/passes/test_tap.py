"""Taps: the ring takes in every step that is made, on the machine as on the reference, and the step keeps its bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fallline.graph.node import Graph
from fallline.graph.trace import input_like, trace
from fallline.passes.tap import APART, tap, tap_groups
from fallline.program import step_loop as loop

X = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
ENGINES = ["machine", "reference"]


def step(taps: bool) -> tuple[Graph, list[np.ndarray]]:
    """Descent on the mean square of tanh(x w), with the hidden values tapped."""
    state = [np.full(3, 0.5, np.float32), np.zeros((), np.int64)]

    def one(w: Any, count: Any, x: Any) -> list[Any]:
        h = np.tanh(x * w * 3 + 1)
        loss = np.mean(h * h - h)
        values = [np.sqrt(np.sum(h * h)), h[0] * 2 + w] if taps else []
        return [w - 0.1 * np.mean((1 - h * h) * (2 * h - 1), axis=0), count + 1, loss, *values]

    graph, _ = trace(one, [input_like(a) for a in (*state, X)])
    return graph, state


def run(engine: str, steps: int, rows: int, threads: int = 1) -> tuple[list[np.ndarray], np.ndarray, int]:
    graph, state = step(taps=True)
    graph = tap(graph, 2, rows)
    ring = [np.zeros(graph.inputs[2].shape, graph.inputs[2].dtype), np.zeros((), np.int64)]
    made = loop.build(graph, [*state, *ring], [X], watch=4, engine=engine, threads=threads, records=True)
    assert made.run(steps) == steps
    return state, ring[0], int(ring[1])


@pytest.mark.parametrize("engine", ENGINES)
def test_each_step_has_its_row_and_the_oldest_are_written_over(engine: str) -> None:
    state, ring, count = run(engine, 5, 8)
    _, last, _ = run(engine, 5, 2)
    assert count == 5
    assert not ring[5:].any()
    np.testing.assert_array_equal(last, [ring[4], ring[3]])
    w = np.full(3, 0.5, np.float32)
    h = np.tanh(X * w * 3 + 1)
    np.testing.assert_allclose(ring[0], [np.sqrt((h * h).sum()), *(h[0] * 2 + w)], rtol=1e-5)
    assert state[1] == 5


def test_machine_and_reference_agree_and_lanes_change_no_bit() -> None:
    (_, ours, _), (_, plain, _), (_, lanes, _) = run("machine", 6, 6), run("reference", 6, 6), run("machine", 6, 6, 2)
    np.testing.assert_allclose(ours, plain, rtol=1e-5)
    np.testing.assert_array_equal(ours, lanes)


def test_the_step_has_the_bits_that_it_has_without_taps() -> None:
    graph, state = step(taps=False)
    loop.build(graph, state, [X], watch=2).run(50)
    tapped, _, _ = run("machine", 50, 4)
    assert tapped[0].tobytes() == state[0].tobytes()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_step_whose_loss_is_not_finite_leaves_no_row(engine: str) -> None:
    def one(w: Any) -> list[Any]:
        return [w * 1e30, w * w, w]

    w = np.ones((), np.float64)
    graph, _ = trace(one, [input_like(w)])
    graph = tap(graph, 1, 9)
    ring = [np.zeros((9, 1)), np.zeros((), np.int64)]
    with np.errstate(over="ignore"):
        done = loop.build(graph, [w, *ring], [], watch=3, engine=engine, records=True).run(9)
    assert (done, int(ring[1])) == (6, 6)
    np.testing.assert_allclose(ring[0][:, 0], [1, 1e30, 1e60, 1e90, 1e120, 1e150, 0, 0, 0])


def test_only_what_the_row_alone_needs_is_apart() -> None:
    graph, _ = step(taps=True)
    graph = tap(graph, 2, 4)
    alone = tap_groups(graph)
    assert set(alone.values()) == {APART}
    assert graph.outputs[-1] in {*alone}
    assert not {*graph.outputs[:-1]} & {*alone}
