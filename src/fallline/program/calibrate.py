"""Measures the costs of kinds of work on this machine, with the machine's own programs. costs.py keeps the result."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import fallline.ops  # noqa: F401  (the measured functions are traced into its ops)
from fallline.graph.node import Graph, new_input
from fallline.graph.op import Array
from fallline.program import lanes
from fallline.program.cost_model import Costs, usual
from fallline.program.lanes import Schedule
from fallline.program.lower import lower
from fallline.program.machine import Program


def calibrate() -> Costs:
    """Measure this machine, in about two seconds."""
    n = 1 << 14
    x = np.linspace(0.5, 1.5, n, dtype=np.float32)
    long = _nanoseconds(lambda x: ((((x * 2 + 1) * x - 1) * x + 2) * x - 3) * x + x * x, [x])
    short = _nanoseconds(lambda x: x * 2, [x])
    op = max((long - short) / (10 * x.nbytes), 1e-5)  # eleven ops against one
    square = np.ones((256, 256), np.float32)
    rows, order = np.ones((1 << 12, 64), np.float32), np.random.default_rng(0).permutation(1 << 12)
    return Costs(
        chain_byte=max(short / x.nbytes - op, 1e-5),
        chain_op=op,
        fold=_nanoseconds(lambda r: np.sum(r, axis=1), [rows]) / rows.size,
        move=_nanoseconds(lambda r, i: np.take(r, i, axis=0), [rows, order]) / rows.size,
        product=_nanoseconds(lambda a, b: a @ b, [square, square]) / (256**3 * 4),
        meeting=_meeting(),
    )


def _nanoseconds(function: Any, arrays: Sequence[Array]) -> float:
    """The least time of a run, over several."""
    inputs = tuple(new_input(a.shape, a.dtype) for a in arrays)
    return _best(Program(lower(Graph(inputs, (function(*inputs),))), arrays).run, 20)


def _best(run: Callable[[int], object], steps: int) -> float:
    best = float("inf")
    for _ in range(9):
        start = time.perf_counter_ns()
        run(steps)
        best = min(best, (time.perf_counter_ns() - start) / steps)
    return best


def _meeting() -> float:
    """The time for two lanes to meet: a step with almost no work, long enough to forget the start of the threads."""
    if not lanes.possible():
        return usual().meeting
    state = np.zeros(2)
    node = new_input(state.shape, state.dtype)
    program = Program(lower(Graph((node,), (node + 1,))), [state], threads=2)
    program.schedule = Schedule(((program.instructions[0], None), (None,)), 0.0)
    program._assemble()
    never_asked = np.zeros(1, np.int64)
    return _best(lambda steps: program.run_shared(steps, never_asked.ctypes.data), 20_000)
