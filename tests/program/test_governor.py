"""Lanes that do not pay are left for one lane, and tried again; which of them runs never enters the arithmetic."""

import time

import numpy as np
import pytest

from fallline.graph.node import new_input
from fallline.graph.trace import trace
from fallline.program import governor, lanes
from fallline.program.governor import FIRST_PAUSE, LONGEST_PAUSE, WINDOW, Governor, Outlook
from fallline.program.step_loop import build


class Day:
    """A clock that tells what it was set to, and governors that look at it."""

    def __init__(self):
        self.now, self.outlook = 100.0, Outlook()

    def governor(self):
        return Governor(self.outlook, lambda: self.now)

    def run(self, one, steps, alone, shared, useful):
        """A run of so many steps, which take so long each on one lane or on all."""
        done = 0
        while done < steps:
            all_lanes, most = one.choose(steps - done)
            took = most * (shared if all_lanes else alone)
            self.now += took
            if all_lanes:
                one.shared(most, took, most * useful, False)
            else:
                one.alone(most, took)
            done += most


def test_lanes_that_pay_are_used_for_every_step():
    day = Day()
    one = day.governor()
    for _ in range(100):
        assert one.choose(50) == (True, 50)
        day.run(one, 50, 0.001, 0.0006, 0.001)


@pytest.mark.parametrize("shared", [0.0012, 0.0018, 0.01, 0.03])
def test_next_to_others_a_run_is_at_most_a_tenth_slower_than_on_one_lane(shared):
    day = Day()
    one = day.governor()
    for _ in range(40):  # the first second is a wait for evidence
        day.run(one, max(1, int(0.05 / shared)), 0.001, shared, 0.001)
    begun, steps = day.now, 0
    while day.now < begun + 20:
        day.run(one, 50, 0.001, shared, 0.001)
        steps += 50
    assert (day.now - begun) / steps < 0.0011


def test_lanes_are_used_again_soon_after_the_others_have_gone_and_at_once_by_new_programs():
    day = Day()
    one = day.governor()
    for _ in range(200):
        day.run(one, 50, 0.001, 0.02, 0.001)
    assert one.choose(50) == (False, 50)
    assert day.governor().choose(50) == (False, 50)
    begun = day.now
    while one.choose(50) != (True, 50):
        day.run(one, 50, 0.001, 0.0006, 0.001)
    assert day.now - begun < 2 * LONGEST_PAUSE + 1
    assert day.governor().choose(50) == (True, 50)


def test_pauses_grow_while_lanes_do_not_pay_and_are_short_again_after_a_calm():
    outlook = Outlook()
    pauses = []
    for _ in range(9):
        pauses.append(outlook.pause)
        outlook.put_off(0.0)
    assert pauses == sorted(pauses)
    assert (pauses[0], outlook.pause) == (FIRST_PAUSE, LONGEST_PAUSE)
    day = Day()
    day.outlook.pause = LONGEST_PAUSE
    one = day.governor()
    for _ in range(60):
        day.run(one, 50, 0.001, 0.0006, 0.001)
    assert day.outlook.pause == FIRST_PAUSE


def test_an_instant_says_nothing_but_leaving_early_does():
    day = Day()
    one = day.governor()
    one.shared(1, WINDOW / 4, 0.0, False)
    assert one.choose(5) == (True, 5)
    one.shared(1, WINDOW / 4, 0.0, True)
    assert one.choose(5) == (False, 5)


def laned(threads=2):
    state, data = [np.zeros((40, 8))], [np.linspace(-1, 1, 320).reshape(40, 8)]
    graph, _ = trace(lambda t, x: (t * 0.9 + np.tanh(x + t),), [new_input(a.shape, a.dtype) for a in [*state, *data]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lanes, "SMALL", 0.0)
        patch.setattr(lanes, "LONG", 0.0)
        patch.setattr(lanes, "best", lambda ins, n, end, span: lanes.schedule(ins, n, end, span) if n > 1 else None)
        patch.setattr("fallline.program.step_loop.checked", lambda threads: threads)
        return build(graph, state, data, threads=threads)


@pytest.mark.parametrize("threads", [2, 3])
def test_going_from_lanes_to_one_and_back_at_any_step_gives_the_same_bits(threads):
    class Moody(Governor):
        def choose(self, steps):
            return bool(rng.integers(2)), int(rng.integers(1, steps + 1))

    rng = np.random.default_rng(threads)
    alone, moody = laned(1), laned(threads)
    moody.program.governor = Moody()
    assert alone.run(60) == moody.run(60) == 60
    assert moody.state[0].tobytes() == alone.state[0].tobytes()
    other = moody.clone([np.zeros((40, 8))], moody.program.arrays[1:])
    other.program.governor = Moody()
    assert other.run(60) == 60
    assert other.state[0].tobytes() == alone.state[0].tobytes()


def test_lanes_that_wait_for_one_that_does_not_run_end_after_the_step_and_one_goes_on():
    class Late(list):
        def __getitem__(self, lane):
            if lane == 1:
                time.sleep(0.03)
            return super().__getitem__(lane)

    alone, late = laned(1), laned()
    day = Day()
    late.program.governor = day.governor()
    late.program.entries = Late(late.program.entries)
    assert late.run(50) == 50
    assert late.program.governor.choose(1) == (False, 1)
    assert alone.run(50) == 50
    assert late.state[0].tobytes() == alone.state[0].tobytes()


def test_programs_of_a_process_share_what_they_have_seen():
    assert Governor()._outlook is governor.COMMON
