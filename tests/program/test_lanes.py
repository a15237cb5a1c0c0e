"""The law of lanes: the same bits on any number of them; and the laws of choosing, starting and stopping them."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallline import nn, optim
from fallline.errors import ArgumentError, OutOfRangeError
from fallline.graph.node import new_input
from fallline.graph.trace import trace
from fallline.program import lanes
from fallline.program.instructions import Instruction, Split
from fallline.program.step_loop import build
from fallline.program.strides import Ref
from fallline.steps.step import training_step


def always(patch):
    """Use as many lanes as allowed, cut everything that can be cut, however little there is to gain, and leave parts of
    it to whoever is free."""
    patch.setattr(lanes, "SMALL", 0.0)
    patch.setattr(lanes, "LONG", 0.0)
    patch.setattr(
        lanes, "best", lambda ins, most, end, span: lanes.schedule(ins, most, end, span) if most > 1 else None
    )
    patch.setattr("fallline.program.step_loop.checked", lambda threads: threads)


def trained(sizes, batch, threads, dtype="float32", optimizer=None, steps=6):
    rng = np.random.default_rng(0)
    rows = 3 * batch
    x = rng.standard_normal((rows, sizes[0])).astype(dtype)
    layers = [layer for n in sizes[1:-1] for layer in (nn.Dense(n), nn.Tanh())]
    model = nn.Model.init(nn.Sequential(*layers, nn.Dense(sizes[-1])), sizes[0], loss="cross_entropy", dtype=dtype)
    optimizer = optimizer or optim.Adam(0.01, clip_norm=1.0)
    data = {"x": x, "y": np.arange(rows) % sizes[-1], "order": np.tile(rng.permutation(rows), 3)}
    moments = optimizer.started(model.theta, model.layout)
    state = {"theta": np.array(model.theta),
             **{"optimizer." + name: np.array(a) for name, a in sorted(moments.items())},
             "step": np.array(0), "cursor": np.array(0), "loss_sum": np.array(0.0)}  # fmt: skip
    graph = training_step(model, optimizer, state, data, batch)
    loop = build(graph, list(state.values()), list(data.values()), watch=len(state), threads=threads)
    assert (loop.program.schedule is not None) == (threads > 1)
    assert loop.run(steps - 2) == steps - 2
    assert loop.run(2) == 2
    return b"".join(array.tobytes() for array in state.values())


@settings(max_examples=12)
@given(
    sizes=st.lists(st.integers(2, 40), min_size=2, max_size=4),
    batch=st.integers(1, 33),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_any_number_of_lanes_gives_the_same_bits(sizes, batch, dtype):
    with pytest.MonkeyPatch.context() as patch:
        always(patch)
        alone = trained(sizes, batch, 1, dtype)
        for threads in (2, 3, 5):
            assert trained(sizes, batch, threads, dtype) == alone


def laned(step, state, data, threads, watch=None):
    inputs = [new_input(a.shape, a.dtype) for a in [*state, *data]]
    graph, _ = trace(step, inputs)
    with pytest.MonkeyPatch.context() as patch:
        always(patch)
        return build(graph, state, data, watch=watch, threads=threads)


@pytest.mark.parametrize("threads", [2, 4])
def test_all_lanes_stop_before_the_step_whose_watched_value_is_not_finite(threads):
    state = [np.full(100, 1e30), np.array(0)]
    loop = laned(lambda t, n: (t * t, n + 1, np.sum(np.log(t))), state, [], threads, watch=2)
    assert loop.run(10) == 4
    assert state[1] == 4
    assert loop.run(10) == 0


def test_a_position_outside_stops_all_lanes_with_an_error():
    index = np.arange(50)
    loop = laned(lambda t, x, i: (t + np.take(x, i, axis=0),), [np.zeros(50)], [np.arange(50.0), index], 2)
    assert loop.run(3) == 3
    index[49] = 50
    with pytest.raises(OutOfRangeError, match="position of 50"):
        loop.run(3)
    index[49] = 49
    assert loop.run(3) == 3


def test_programs_with_lanes_run_at_the_same_time_in_several_threads():
    loops = [laned(lambda t, x: (t + x,), [np.zeros(64)], [np.ones(64)], 3) for _ in range(4)]
    threads = [threading.Thread(target=loop.run, args=(2000,)) for loop in loops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for loop in loops:
        np.testing.assert_array_equal(loop.state[0], 2000)


@pytest.mark.parametrize("broken", [0, 1, 2])
@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_a_lane_that_dies_ends_the_run_for_all_and_the_next_run_is_whole(broken, error):
    class Broken(list):
        def __getitem__(self, lane):
            if lane == broken:
                raise error
            return super().__getitem__(lane)

    loop = laned(lambda t, x: (t + x,), [np.zeros(64)], [np.ones(64)], 3)
    whole = loop.program.entries
    loop.program.entries = Broken(whole)
    with pytest.raises(error):
        loop.run(1000)
    loop.program.entries, loop.state[0][...] = whole, 0
    assert loop.run(1000) == 1000
    np.testing.assert_array_equal(loop.state[0], 1000)


def waiting_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("fallline-lane")]


def test_threads_are_kept_for_the_next_run_until_they_are_sent_away():
    lanes.rest()  # those that an earlier test has left
    loops = [laned(lambda t, x: (t + x,), [np.zeros(64)], [np.ones(64)], n) for n in (4, 2, 3)]
    for loop in loops:
        loop.run(3)
    assert len(waiting_threads()) == 3
    lanes.rest()
    assert waiting_threads() == []
    loops[1].run(2)
    np.testing.assert_array_equal(loops[1].state[0], 5)
    assert len(waiting_threads()) == 1


def test_small_work_stays_on_one_lane_and_large_is_shared():
    def step(t, x):
        return (t - 0.01 * (x.T @ np.tanh(x @ t)),)

    def schedule(rows, columns):
        arrays = np.ones((columns, columns), np.float32), np.ones((rows, columns), np.float32)
        inputs = [new_input(a.shape, a.dtype) for a in arrays]
        graph, _ = trace(step, inputs)
        return build(graph, [arrays[0]], [arrays[1]], threads=2).program.schedule

    assert schedule(10, 8) is None
    assert schedule(256, 512) is not None


@settings(max_examples=60)
@given(size=st.integers(1, 300), grain=st.sampled_from([1, 6, 16]), count=st.integers(2, 64), long=st.booleans())
def test_parts_cover_every_turn_once_and_none_is_larger_than_another_lane_has_done(size, grain, count, long):
    whole = Instruction("test", "", (Ref(0, 0, (size,), (1,), np.dtype(np.float32)),), 1, (size,),
                        split=Split(0, size, (0,), grain), work=2 * lanes.LONG if long else lanes.LONG / 2)  # fmt: skip
    own, left = lanes.parts(whole, count)
    spans = [(part.operands[0].offset, part.words[0]) for part in own if part is not None] + [
        (a, b - a) for a, b in left
    ]
    turns = [turn for start, n in spans for turn in range(start, start + n)]
    assert sorted(turns) == list(range(size))
    assert all(start % grain == 0 for start, _ in spans)
    if left:
        assert long
        assert max(b - a for a, b in left) <= min(part.words[0] for part in own if part is not None) + grain


def test_an_offer_is_taken_once_a_step():
    loop = laned(lambda t: (t * 2 + 1,), [np.zeros(64)], [], 2)
    program = loop.program
    assert program.schedule.offers > 0
    assert program.schedule.offers == sum(isinstance(row, lanes.Offer) for row in program.schedule.lanes[1])
    assert loop.run(40) == 40
    np.testing.assert_array_equal(loop.state[0], 2.0**40 - 1)


@pytest.mark.parametrize("threads", [0, -1, 10**6, 1.5, True, "2"])
def test_senseless_numbers_of_threads_are_refused(threads):
    with pytest.raises(ArgumentError, match="threads is a whole number from 1"):
        lanes.checked(threads)


def test_lanes_by_default_are_the_cores_this_process_may_use():
    assert 1 <= lanes.checked(None) == lanes.available()


def test_the_default_is_bounded_by_affinity_and_container_and_is_one_inside_a_pool(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(6)), raising=False)
    monkeypatch.setattr(lanes, "cores_allowed", lambda *places: [])
    assert lanes.available() == 6
    monkeypatch.setattr(lanes, "cores_allowed", lambda *places: [5, 4, 8])
    assert lanes.available() == 4
    monkeypatch.setattr("multiprocessing.parent_process", lambda: object())
    assert lanes.available() == 1


GROUPS = {
    "version 2": ("0::/", {"cpu.max": "250000 100000"}, [2]),
    "no limit": ("0::/", {"cpu.max": "max 100000"}, []),
    "less than one core": ("0::/", {"cpu.max": "50000 100000"}, [1]),
    "a group and one around it": (
        "0::/jobs/mine",
        {"jobs/cpu.max": "300000 100000", "jobs/mine/cpu.max": "max 100000", "cpu.max": "800000 100000"},
        [3, 8],
    ),
    "a path of the host, seen from a container": ("0::/host/deep", {"cpu.max": "400000 100000"}, [4]),
    "version 1": (
        "4:memory:/m\n2:cpu,cpuacct:/job",
        {"cpu,cpuacct/job/cpu.cfs_quota_us": "200000\n", "cpu,cpuacct/job/cpu.cfs_period_us": "100000\n"}, [2],
    ),
    "version 1, no limit": ("1:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, []),
    "both versions": ("1:name=systemd:/\n0::/", {"unified/cpu.max": "100000 100000"}, [1]),
    "damaged": ("nonsense\n0::/", {"cpu.max": "many few"}, []),
    "a period of nothing": ("0::/", {"cpu.max": "1 0"}, []),
}  # fmt: skip


@pytest.mark.parametrize("case", GROUPS.values(), ids=GROUPS)
def test_cores_that_control_groups_allow(case, tmp_path):
    member, files, cores = case
    (tmp_path / "member").write_text(member)
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert lanes.cores_allowed(tmp_path / "member", tmp_path / "groups") == cores
    assert lanes.cores_allowed(tmp_path / "missing", tmp_path / "groups") == []
