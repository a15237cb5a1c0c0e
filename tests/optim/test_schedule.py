"""Schedules: worked values, shape over the whole training, and the same numbers plain, traced and for many steps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline import optim
from fallline.errors import ArgumentError, TraceError
from fallline.graph.node import new_input
from fallline.graph.trace import trace
from fallline.optim import schedule as schedules
from fallline.program import reference

every = pytest.mark.parametrize("cls", list(optim.SCHEDULES.values()), ids=list(optim.SCHEDULES))


@pytest.mark.parametrize(("schedule", "values"), [
    (optim.Constant(0.1), {0: 0.1, 99: 0.1}),
    (optim.Step(0.8, every=10, factor=0.5), {0: 0.8, 9: 0.8, 10: 0.4, 25: 0.2}),
    (optim.Exponential(0.8, steps=10, final=0.25), {0: 0.8, 5: 0.4, 10: 0.2, 99: 0.2}),
    # 1, then (1 + 8)^-1/2 = 1/3, then (1 + 16)^-1/2
    (optim.InversePower(0.9, every=4, growth=8), {0: 0.9, 3: 0.9, 4: 0.3, 7: 0.3, 8: 0.9 / 17**0.5}),
    # (1 + cos 0) / 2 = 1, (1 + cos pi/2) / 2 = 1/2, (1 + cos pi) / 2 = 0
    (optim.Cosine(0.8, steps=10), {0: 0.8, 5: 0.4, 10: 0.0, 99: 0.0}),
    (optim.Cosine(0.8, steps=10, final=0.5), {0: 0.8, 5: 0.6, 10: 0.4}),
    (optim.WarmUp(0.8, warm_steps=4), {0: 0.2, 1: 0.4, 3: 0.8, 4: 0.8, 99: 0.8}),
    (optim.WarmUp(warm_steps=4, then=optim.Cosine(0.8, steps=10)), {0: 0.2, 3: 0.8, 4: 0.8, 9: 0.4, 14: 0.0}),
    (optim.WarmUp(warm_steps=2, then=lambda step: 1 / (1 + step)), {0: 0.5, 1: 1.0, 2: 1.0, 3: 0.5}),
    (optim.FlatCosine(0.8, steps=10), {0: 0.8, 5: 0.8, 7.5: 0.4, 10: 0.0, 99: 0.0}),
    # log2(1 + 3 t) is 0, 1/2, 1, 3/2, 2 at t = 0, (sqrt 2 - 1) / 3, 1/3, (sqrt 8 - 1) / 3, 1: two waves
    (optim.CosLog(0.8, steps=3, waves=2), {0: 0.0, 2**0.5 - 1: 0.8, 1: 0.0, 8**0.5 - 1: 0.8, 3: 0.0}),
    (optim.OneCycle(1.0, steps=10, rise=0.4, start=10, end=10), {0: 0.1, 2: 0.55, 4: 1.0, 7: 0.505, 10: 0.01, 50: 0.01})
])  # fmt: skip
def test_worked_by_hand(schedule: optim.Schedule, values: dict[int, float]) -> None:
    for step, rate in values.items():
        assert schedule(np.float64(step)) == pytest.approx(rate, abs=1e-14)


@every
@given(total=st.integers(1, 5000), rate=st.floats(1e-6, 10))
def test_rates_are_positive_and_at_most_the_given_one_and_the_same_traced(
    cls: type[optim.Schedule], total: int, rate: float
) -> None:
    schedule = cls(rate).resolve(total)
    assert schedule.resolve(10 * total) == schedule  # a length that is set stays
    steps = np.unique(np.linspace(0, total - 1, 20).astype(int))
    plain = np.array([schedule(np.int64(step)) for step in steps])
    assert (plain >= 0).all() and (plain <= rate * (1 + 1e-12)).all()
    np.testing.assert_allclose(np.broadcast_to(schedule(steps), plain.shape), plain, rtol=1e-12)
    graph, _ = trace(schedule, [new_input((), np.int64)])
    assert graph.outputs[0].dtype == np.float64 and graph.outputs[0].shape == ()
    for step, value in zip(steps, plain):
        # NumPy's power of a scalar and of an array may differ in the last bit.
        assert reference.run(graph, [np.array(step)])[0] == pytest.approx(value, rel=1e-14)


@every
def test_schedules_fall_to_their_end_and_warm_ones_rise_first(cls: type[optim.Schedule]) -> None:
    rates = np.broadcast_to(cls(1.0).resolve(1000)(np.arange(1000)), 1000)
    if cls.name == "cos_log":
        rates = rates[round(7 / 15 * 1000) :]  # the last of its waves
    top = int(np.argmax(rates))
    assert rates[top] >= 1 - 1e-5
    assert top == {"warm_up": 49, "one_cycle": 300, "cos_log": 221}.get(cls.name, 0)
    assert (np.diff(rates[: top + 1]) > 0).all() and (np.diff(rates[top:]) <= 0).all()
    ends = {"constant": 1.0, "warm_up": 1.0, "exponential": 0.0101, "step": 0.0101, "inverse_power": 0.032}
    assert rates[-1] <= ends.get(cls.name, 1e-4)


def test_a_warm_up_leaves_the_rest_of_the_training_to_what_follows() -> None:
    schedule = optim.WarmUp(warm_steps=10, then=optim.Cosine(0.3)).resolve(100)
    assert schedule.then == optim.Cosine(0.3, steps=90)
    assert optim.WarmUp(then=optim.Cosine(0.3)).resolve(100) == optim.WarmUp(
        warm_steps=5, then=optim.Cosine(0.3, steps=95)
    )


@pytest.mark.parametrize(
    "cls", [optim.Cosine, optim.CosLog, optim.FlatCosine, optim.Exponential, optim.OneCycle, optim.Step, optim.WarmUp]
)
def test_a_schedule_of_unknown_length_says_so(cls: type[optim.Schedule]) -> None:
    with pytest.raises(
        ArgumentError, match=r"does not know how many steps there are\n  try: (steps|every|warm_steps)=.*resolve"
    ):
        cls(0.1)(np.int64(3))


def test_arguments_out_of_range() -> None:
    with pytest.raises(
        ArgumentError, match=r"Cosine: learning_rate has to be .*\n  and final has to be .* >= 0 and <= 1"
    ):
        optim.Cosine(0, final=2)
    with pytest.raises(ArgumentError, match="every has to be a whole number >= 1, or None, got 0"):
        optim.Step(0.1, every=0)
    with pytest.raises(ArgumentError, match="unknown schedule 'one-cycle'; did you mean 'one_cycle'"):
        schedules.get("one-cycle")
    with pytest.raises(ArgumentError, match="unknown argument of cosine 'step'; did you mean 'steps'"):
        schedules.get("cosine", step=3)
    with pytest.raises(TraceError, match=r"(?s)function of the step.*np\.where"):
        optim.WarmUp(then=lambda step: 0.1 if step > 3 else 0.2)
