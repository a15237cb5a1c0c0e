"""Profiles of instructions: operations and bytes by hand, times for each, and peaks to compare them with."""

import numpy as np
import pytest

from fallline.errors import ProgramError
from fallline.graph.node import new_input
from fallline.graph.trace import trace
from fallline.program import lanes, profile
from fallline.program.lower import lower
from fallline.program.step_loop import build


def instructions_of(function, *arrays):
    graph, _ = trace(function, [new_input(a.shape, a.dtype) for a in arrays])
    return lower(graph).instructions


A, B, V = np.ones((5, 3)), np.ones((3, 4)), np.ones(1000, np.float32)
ROWS = np.array([1, 0, 4, 4])


@pytest.mark.parametrize(
    ("function", "arrays", "kind", "flops", "nbytes"),
    [
        (lambda a, b: a @ b, (A, B), "product", 2 * 5 * 3 * 4, 8 * (15 + 12 + 20)),
        (lambda a, b: np.swapaxes(b, 0, 1) @ np.swapaxes(a, 0, 1), (A, B), "product", 120, 8 * 47),
        (lambda v: np.tanh(v) * v + v, (V,), "elementwise", 3 * 1000, 4 * 2000),
        (lambda a: a + a[0], (A,), "elementwise", 15, 8 * (15 + 15 + 3)),
        (lambda v: np.max(v), (V,), "fold", 1000, 4 * 1001),
        (lambda a, i: np.take(a, i, axis=0), (A, ROWS), "gather", 0, 8 * (12 + 12 + 4)),
        (lambda v: np.cumsum(v), (V,), "scan", 1000, 4 * 2000),
    ],
    ids=["product", "turned", "chain", "broadcast", "fold", "gather", "scan"],
)
def test_operations_and_bytes_of_one_instruction(function, arrays, kind, flops, nbytes):
    (one,) = instructions_of(function, *arrays)
    assert (profile.kind_of(one), profile.flops_of(one), profile.bytes_of(one)) == (kind, flops, nbytes)


def stepping(threads=1, start=1.0, rows=40):
    """A descent over rows in turn, its loop, and how often it was sent back to the first row."""
    x = np.random.default_rng(0).standard_normal((rows, 3))
    state = [np.full((3, 2), start), np.array(0)]

    def step(w, cursor, x):
        xb = np.take(x, cursor + np.arange(4), axis=0)
        y = np.tanh(xb @ w)
        return w - 0.1 * (xb.T @ y), cursor + 4, np.sum(np.log(y * y + 1))

    graph, _ = trace(step, [new_input(a.shape, a.dtype) for a in [*state, x]])
    rewound = []

    def rewind():
        rewound.append(int(state[1]))
        state[1][...] = 0

    return build(graph, state, [x], watch=2, threads=threads), rewind, rewound


def test_every_instruction_is_timed_in_running_order_and_no_step_goes_beyond_the_rows():
    loop, rewind, rewound = stepping()
    found = profile.timed(loop.program, 10, rewind, 0.05)
    assert [one.instruction for one in found] == list(loop.program.instructions)
    assert all(0 <= one.seconds < 0.05 for one in found)
    assert sum(one.seconds for one in found) > 0
    assert len(rewound) >= 2
    assert rewound == [0] + [40] * (len(rewound) - 1)


def test_a_step_that_is_not_finite_cannot_be_timed():
    loop, rewind, _ = stepping(start=np.nan)
    with pytest.raises(ProgramError, match="not finite"):
        profile.timed(loop.program, 10, rewind, 0.01)


def test_only_programs_on_one_lane_are_timed(monkeypatch):
    monkeypatch.setattr(lanes, "SMALL", 0.0)
    monkeypatch.setattr(lanes, "best", lambda ins, most, *rest: lanes.schedule(ins, most, *rest) if most > 1 else None)
    loop, rewind, rewound = stepping(threads=2)
    with pytest.raises(ProgramError, match="one lane"):
        profile.timed(loop.program, 10, rewind, 0.01)
    assert rewound == []


def test_the_typical_time_leaves_out_moments_in_which_the_core_was_away():
    times = np.array([[100, 10], [110, 20], [90, 10], [50_000, 10], [100, 2_000]])
    np.testing.assert_allclose(profile._typical(times), [100, 12.5])


def test_a_machines_peak_is_measured_in_its_precision():
    peak = profile.measure_peak(np.float64, 0.05)
    assert peak.products > 1e8
    assert [size for size, _ in peak.memory] == sorted(size for size, _ in peak.memory)
    assert all(rate > 1e7 for _, rate in peak.memory)


def test_no_work_is_faster_than_its_operations_and_its_bytes_at_their_peaks():
    peak = profile.Peak(products=1e9, memory=((1000, 4e9), (100_000, 1e9)))
    assert [peak.bandwidth(n) for n in (1, 1000, 10_000, 100_000, 10**9)] == pytest.approx(
        [4e9, 4e9, 2.5e9, 1e9, 1e9])  # fmt: skip
    assert peak.least_seconds(1000, 0) == pytest.approx(1e-6)
    assert peak.least_seconds(1000, 100_000) == pytest.approx(1e-4)
