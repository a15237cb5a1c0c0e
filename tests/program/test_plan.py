"""Laws of the planner, of layouts, and of in-place updates."""

import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fallline.graph.node import new_input
from fallline.graph.trace import trace
from fallline.program.instructions import Buffer, Instruction, Place
from fallline.program.lower import lower, prepared
from fallline.program.machine import Program
from fallline.program.memory_plan import memory_plan
from fallline.program.plan import ALIGNMENT, plan
from fallline.program.step_loop import build
from fallline.program.strides import Ref, as_strided_view, collapse, row_major
from fallline.transforms.gradient import value_and_grad


@given(
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=12),
    uses=st.lists(st.lists(st.integers(0, 11), min_size=1, max_size=4), min_size=1, max_size=15),
    keep=st.booleans(),
)
def test_no_two_live_buffers_overlap(sizes, uses, keep):
    buffers = [Buffer(Place.TEMPORARY, n, 4) for n in sizes]
    refs = [Ref(i, 0, (n,), (1,), np.dtype(np.float32)) for i, n in enumerate(sizes)]
    instructions = [
        Instruction("use", "", tuple(refs[u % len(sizes)] for u in use), 1, ()) for use in uses
    ]  # fmt: skip
    made = plan(instructions, buffers, keep)
    spans = [(made.offsets[b], made.offsets[b] + buffers[b].nbytes, made.lifetimes[b]) for b in made.offsets]
    for i, (low, high, life) in enumerate(spans):
        assert low % ALIGNMENT == 0
        assert high <= made.size
        for other_low, other_high, other in spans[:i]:
            assert not life.meets(other) or high <= other_low or other_high <= low


def test_a_chain_of_products_needs_the_memory_of_two_values_only():
    x = new_input((64, 64), np.float64)

    def deep(x):
        for _ in range(10):
            x = np.tanh(x @ x)
        return np.sum(x)

    graph, _ = trace(deep, [x])
    program = Program(lower(graph), [np.zeros((64, 64))])
    assert program.plan.size <= 2 * 64 * 64 * 8 + 64
    assert Program(lower(graph), [np.zeros((64, 64))], keep=True).plan.size >= 20 * 64 * 64 * 8


@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple),
    data=st.data(),
)
def test_collapsed_loops_visit_the_same_elements(shape, data):
    axes = data.draw(st.permutations(range(len(shape))))
    base = np.arange(np.prod(shape)).reshape(tuple(shape[a] for a in axes))
    turned = base.transpose(np.argsort(axes))
    assert turned.shape == shape
    strides = tuple(s // 8 for s in turned.strides)
    sizes, (a, b) = collapse(shape, [strides, row_major(shape)])
    visited = np.lib.stride_tricks.as_strided(base, sizes, tuple(8 * s for s in a)).ravel()
    places = np.lib.stride_tricks.as_strided(np.arange(turned.size), sizes, tuple(8 * s for s in b)).ravel()
    np.testing.assert_array_equal(turned.ravel()[places], visited)


def test_a_views_layout_is_found_without_touching_memory():
    ref = Ref(0, 3, (1 << 20, 1 << 20), (1 << 20, 1), np.dtype(np.float64))
    seen = as_strided_view(ref, lambda a: a[1::2, ::-1].T)
    assert seen is not None
    assert (seen.offset, seen.shape, seen.strides) == (
        3 + (1 << 20) + (1 << 20) - 1, (1 << 20, 1 << 19), (-1, 1 << 21))  # fmt: skip
    assert as_strided_view(seen, lambda a: np.reshape(a, -1, copy=False)) is None


@given(st.lists(st.tuples(st.integers(0, 4), *[st.none() | st.integers(-5, 5)] * 2, st.sampled_from([None, 1, 2, -1]))))
def test_a_window_is_what_numpy_s_slices_give(cut: list[tuple[int, int | None, int | None, int | None]]) -> None:
    cut = cut[:3]
    shape, slices = (*(n for n, *_ in cut), 2), tuple(slice(*part) for _, *part in cut)
    ref = Ref(0, 5, shape, row_major(shape), np.dtype(np.float32))
    made, seen = ref.window(slices), as_strided_view(ref, lambda a: a[slices])
    assert seen is not None and made.shape == seen.shape
    if made.size:  # a stride along one element or none is never used
        assert made.offset == seen.offset
        assert all(a == b for n, a, b in zip(made.shape, made.strides, seen.strides) if n > 1)


def loops(step, state, data, watch=None):
    """The same step on both engines, each with its own copy of the state."""
    inputs = [new_input(a.shape, a.dtype) for a in [*state, *data]]
    graph, _ = trace(step, inputs)
    return [build(graph, [a.copy() for a in state], data, watch=watch, engine=e) for e in ("machine", "reference")]


def assert_same_after(pair, steps):
    machine, slow = pair
    assert machine.run(steps) == slow.run(steps)
    for a, b in zip(machine.state, slow.state, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_state_that_is_swapped_shifted_or_read_late_is_carried_right():
    state = [np.arange(4.0), np.ones(4), np.zeros(()), np.array(0)]
    assert_same_after(loops(lambda a, b, c, n: (b, a, c + np.sum(a), n + 1), state, []), 5)
    assert_same_after(loops(lambda a, b, c, n: (a[::-1] * 0.5, a + b, np.sum(b), n + 2), state, []), 5)
    assert_same_after(loops(lambda a, b, c, n: (a, a, c, n), state, []), 3)
    assert_same_after(loops(lambda a, b, c, n: (b + 1, b + 1, np.max(a), n * 2 + 1), state, []), 3)


def test_new_state_is_written_over_old_where_it_can_be():
    theta, data = np.ones(1000), np.linspace(0, 1, 1000)
    machine, _ = loops(lambda t, x: (t - 0.1 * (t - x),), [theta], [data])
    assert len(machine.program.instructions) == 1
    assert machine.program.plan.size == 0


def test_the_loop_stops_before_the_step_whose_watched_value_is_not_finite():
    pair = loops(lambda t, n: (t * t, n + 1, np.log(t)), [np.array(1e30), np.array(0)], [], watch=2)
    for loop in pair:
        with np.errstate(all="ignore"):
            assert loop.run(10) == 4  # 1e30, 1e60, 1e120, 1e240, then infinity, whose log is not finite
            assert loop.state[1] == 4
            assert loop.run(10) == 0


def test_nothing_is_lost_when_a_run_is_cut_into_pieces():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 3)).astype(np.float32)

    def step(w, cursor, x):
        rows = np.take(x, cursor + np.arange(4), axis=0)
        return w - 0.1 * (rows.T @ np.tanh(rows @ w)), (cursor + 4) % 40

    def run(cuts):
        state = [np.ones((3, 1), np.float32), np.array(0)]
        inputs = [new_input(a.shape, a.dtype) for a in [*state, x]]
        graph, _ = trace(step, inputs)
        loop = build(graph, state, [x])
        for cut in cuts:
            loop.run(cut)
        return state[0].tobytes()

    assert run([50]) == run([1] * 50) == run([7, 30, 0, 13])


def test_a_loop_unrolled_twice_as_often_takes_twice_the_calls_to_plan():
    rng = np.random.default_rng(0)
    w = rng.normal(size=(4, 12))

    def calls(turns):
        def loss(w, x):
            h, total = np.zeros((2, 4)), 0.0
            for t in range(turns):
                z = (x[t] + h) @ w
                h = np.tanh(z[:, :4]) * np.exp(-z[:, 4:8]) + z[:, 8:]
                total = total + np.sum(h * h)
            return total

        inputs = [new_input(w.shape, w.dtype), new_input((turns, 2, 4), w.dtype)]
        count = 0

        def note(frame, event, argument):
            nonlocal count
            count += event in ("call", "c_call")

        before = sys.getprofile()
        sys.setprofile(note)
        try:
            graph, _ = trace(value_and_grad(loss), inputs)
            memory_plan(lower(prepared(graph)), threads=2)
        finally:
            sys.setprofile(before)
        return count

    calls(8)  # what is remembered is remembered
    once, twice, four_times = calls(24), calls(48), calls(96)
    assert twice < 2.1 * once
    assert four_times < 2.1 * twice
