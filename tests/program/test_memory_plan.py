"""Laws of memory plans: they agree with a program that has its memory."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline.graph.node import new_input
from fallline.graph.trace import trace
from fallline.program.instructions import Place
from fallline.program.lower import lower
from fallline.program.machine import Program
from fallline.program.memory_plan import memory_plan
from fallline.program.plan import ALIGNMENT, rounded


def network(rows, widths, dtype=np.float64):
    """A lowered chain of products and sums with a constant between, and arrays for its inputs."""
    x = new_input((rows, widths[0]), dtype)
    weights = [new_input((a, b), dtype) for a, b in pairwise(widths)]

    def function(x, *weights):
        for w in weights:
            x = np.tanh(x @ w) + np.arange(w.shape[1])
        return np.sum(x, axis=0), x

    graph, _ = trace(function, [x, *weights])
    return lower(graph), [np.ones(node.shape, dtype) for node in graph.inputs]


@given(
    rows=st.integers(1, 40),
    widths=st.lists(st.integers(1, 40), min_size=2, max_size=4),
    keep=st.booleans(),
    hand_out=st.booleans(),
    threads=st.integers(1, 3),
)
def test_a_program_has_the_memory_of_its_draft(rows, widths, keep, hand_out, threads):
    lowered, arrays = network(rows, widths)
    options = {"keep": keep, "hand_out": hand_out, "threads": threads}
    made, program = memory_plan(lowered, **options), Program(lowered, arrays, **options)
    assert made.size == program.nbytes
    base = program.arena.ctypes.data
    outside = {i for i, b in enumerate(made.buffers) if b.place is Place.INPUT} | made.outside
    for number, (place, address) in enumerate(zip(made.places, program.addresses, strict=True)):
        assert place % ALIGNMENT == 0
        assert (place >= made.size) == (number in outside)
        if number not in outside:
            assert address - base == place
            assert place + made.buffers[number].nbytes <= made.size


def test_a_draft_takes_no_memory_of_the_size_of_its_values():
    lowered, _ = network(2000, [500, 500, 500])
    tracemalloc.start()
    try:
        made = memory_plan(lowered, threads=2)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert made.size > 16_000_000
    assert peak < 500_000


def test_bytes_that_several_buffers_use_in_turn_are_counted_once():
    lowered, _ = network(100, [50, 50, 50, 50])
    made = memory_plan(lowered)
    everything = made.covered(made.plan.offsets)
    assert everything == made.plan.size
    apart = [made.covered([number]) for number in made.plan.offsets]
    assert apart == [rounded(made.buffers[number].nbytes) for number in made.plan.offsets]
    assert sum(apart) > everything
    assert made.covered([]) == 0


@pytest.mark.parametrize("rows", [8, 4096])
def test_the_estimate_grows_with_the_work_and_lanes_shorten_it(rows):
    alone, several = (memory_plan(network(rows, [64, 64])[0], threads=threads) for threads in (1, 4))
    assert alone.lanes == 1
    assert several.nanoseconds <= alone.nanoseconds
    assert (several.lanes > 1) == (rows == 4096)


def test_lanes_that_are_not_used_take_no_memory():
    made, _ = network(100, (30, 40, 30), np.float32)
    assert memory_plan(made, threads=64).size == memory_plan(made).size
