"""Laws of plans: a training takes the announced memory, by purpose and in all, and planning itself takes little."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.errors import ArgumentError, ShapeError
from fallline.training import planning

ROWS, FEATURES, CLASSES = 1501, 60, 10
NETWORK = fl.nn.mlp((200, 200), CLASSES)
SETTINGS: dict[str, Any] = {"loss": "cross_entropy", "batch_size": 128}
ADAMW = fl.optim.AdamW(1e-3)
KINDS: dict[str, dict[str, Any]] = {
    "adam": {},
    "all rows, plain descent": {"batch_size": "full", "optimizer": "gradient_descent"},
    "validation, decay, the best kept": {"validation": 0.2, "optimizer": ADAMW, "early_stopping": 3},
    "converted, two lanes": {"dtype": "float64", "optimizer": "momentum", "threads": 2},
    "in order": {"shuffle": False, "threads": 1, "batch_size": 100},
}


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, FEATURES)).astype(np.float32)
    return x, np.arange(ROWS) % CLASSES


def peak(call: Any) -> int:
    """The most memory that a call held at any time, without the memory of before it."""
    gc.collect()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_takes_what_its_plan_announces(data: Any, kind: str) -> None:
    settings = {**SETTINGS, **KINDS[kind]}
    fl.fit(NETWORK, data, epochs=1, **settings)  # what is loaded and compiled once is no part of a plan
    announced = fl.plan(NETWORK, data, **settings).total
    taken = peak(lambda: fl.fit(NETWORK, data, epochs=2, **settings))
    assert announced <= taken <= 1.1 * announced + 300_000  # graphs and events


@pytest.mark.parametrize("kind", KINDS)
def test_each_purpose_has_the_bytes_of_the_arrays_that_serve_it(data: Any, kind: str) -> None:
    settings = {**SETTINGS, **KINDS[kind]}
    plan = fl.plan(NETWORK, data, **settings)
    training = fl.train(NETWORK, data, epochs=1, **settings)
    started = next(training)
    stepper, evaluation = training._stepper, training._evaluation
    main, last = stepper._main, next(iter(stepper._lasts.values()), None)
    step = sum(plan.bytes[name] for name in ("gradient", "activations", "scratch", "constants"))
    assert step == main.program.nbytes  # type: ignore[attr-defined]
    assert plan.bytes["last batch"] == (0 if last is None else last.program.nbytes)  # type: ignore[attr-defined]
    assert plan.bytes["parameters"] == stepper.theta.nbytes == plan.parameters * np.dtype(plan.dtype).itemsize
    assert plan.bytes["moments"] == sum(
        array.nbytes for name, array in stepper.state.items() if name.startswith("optimizer.")
    )
    assert plan.bytes["order"] == stepper.feed.nbytes["order"]
    passes = [] if evaluation is None else [evaluation._main, evaluation._last]
    programs = sum(loop.program.nbytes for loop in passes if loop is not None)  # type: ignore[attr-defined]
    assert programs <= plan.bytes["validation"] <= 1.1 * programs
    assert plan.bytes["data"] == sum(
        array.nbytes for array, given in zip(training.job.train.data.values(), data) if array is not given
    )
    assert isinstance(started, fl.events.TrainingStarted)
    assert (plan.lanes, plan.rows, plan.batch_size) == (started.lanes, started.rows, started.batch_size)
    assert plan.instructions == len(main.program.instructions)  # type: ignore[attr-defined]
    assert plan.total == sum(plan.bytes.values())
    assert list(plan.bytes) == list(planning.PURPOSES)


def test_a_gradient_is_as_long_as_theta_and_not_stored_where_it_is_added_at_once(data: Any) -> None:
    adam = fl.plan(NETWORK, data, **SETTINGS)
    plain = fl.plan(NETWORK, data, optimizer="gradient_descent", **SETTINGS)
    assert 0 <= adam.bytes["gradient"] - adam.bytes["parameters"] < 64
    assert plain.bytes["gradient"] < 0.05 * plain.bytes["parameters"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error", "binary_cross_entropy"])
def test_a_shape_gives_the_plan_of_data_of_this_shape(data: Any, kind: str, loss: str) -> None:
    x, labels = data
    network = fl.nn.mlp((20,), CLASSES if loss == "cross_entropy" else 1)
    y = {"cross_entropy": labels, "squared_error": labels + 0.5, "binary_cross_entropy": labels % 2}[loss]
    settings = {**SETTINGS, **KINDS[kind], "loss": loss}
    by_data, by_shape = fl.plan(network, (x, y), **settings), fl.plan(network, x.shape, **settings)
    assert {**by_data.bytes, "data": 0} == by_shape.bytes
    assert (by_data.instructions, by_data.lanes) == (by_shape.instructions, by_shape.lanes)
    assert by_data.microseconds == pytest.approx(by_shape.microseconds)


def test_planning_takes_a_small_part_of_what_it_announces() -> None:
    def planned() -> fl.Plan:
        return fl.plan(fl.nn.mlp((64, 64), 1), (300_000, 40), loss="squared_error", batch_size="full")

    total = planned().total
    assert total > 200_000_000
    assert peak(planned) < 0.05 * total


def test_a_model_is_planned_as_it_is_and_stays_so(data: Any) -> None:
    model = fl.nn.Model.init(NETWORK, FEATURES, loss="cross_entropy", dtype="float64")
    theta = model.theta.copy()
    assert fl.plan(model, data, batch_size=64).dtype == "float64"
    assert fl.plan(model, data, batch_size=64, dtype="float32").bytes["parameters"] == theta.nbytes / 2
    assert model.theta.tobytes() == theta.tobytes()


@pytest.mark.parametrize(
    ("shape", "settings", "told"),
    [
        ((10,), {}, "shape of data is that of x"),
        (784, {}, "shape of data is that of x"),
        ((0, 4), {}, "shape of data is that of x"),
        ((-10, 4), {}, "shape of data is that of x"),
        ((10, 4), {"loss": lambda output, y: np.mean(output * y)}, r"try: data=\(x, y\)"),
        ((10, 4), {"validation": (np.zeros((2, 4)), np.zeros(2))}, "validation is a share"),
        ((10, 4), {"optimizer": "adma"}, "did you mean 'adam'"),
        ((10, 4), {"threads": 0}, "threads is a whole number"),
    ],
)
def test_what_cannot_be_planned_is_reported(shape: Any, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ArgumentError, match=told):
        fl.plan(fl.nn.mlp((4,), 2), shape, **{"loss": "squared_error", **settings})


def test_a_model_for_other_rows_is_reported() -> None:
    model = fl.nn.Model.init(NETWORK, FEATURES, loss="cross_entropy")
    with pytest.raises(ArgumentError, match=r"the model was made for \(N, 60\)"):
        fl.plan(model, (100, 7))
    with pytest.raises((ArgumentError, ShapeError), match=r"nn\.Flatten"):
        fl.plan(NETWORK, (100, 8, 8), loss="cross_entropy")


def test_a_plan_reads_as_a_table() -> None:
    plan = fl.Plan(
        bytes={"parameters": 4000, "gradient": 0, "activations": 3 << 20},
        parameters=1000, dtype="float32", rows=12_345, batch_size=32, instructions=30, lanes=2, microseconds=1234.0,
    )  # fmt: skip
    assert str(plan).splitlines() == [
        "1,000 parameters in float32, 12,345 rows, batch 32",
        "a step: 30 instructions on 2 lanes, about 1.23 ms",
        "  parameters       3.9 KiB  theta",
        "  activations      3.0 MiB  values of the forward and the backward pass",
        "  total            3.0 MiB",
    ]


def test_a_model_knows_the_shape_of_its_rows():
    model = fl.nn.Model.init(fl.nn.mlp((16,), 3), 5, loss="cross_entropy")
    asked = fl.plan(model, (64, 5), batch_size=64)
    assert fl.plan(model, batch_size=64) == fl.plan(model, 64) == asked


def test_a_plan_of_an_iterable_reads_as_a_table_too(data: tuple[np.ndarray, np.ndarray]) -> None:
    plan = fl.plan(NETWORK, lambda: iter([data]), loss="cross_entropy")
    assert str(plan).splitlines()[0].endswith("rows of a stream, batch 32")
