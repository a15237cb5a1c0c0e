"""Choosing gauges: names, everything, wrong names with the nearest one, and advice that works."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.errors import ArgumentError, FalllineError, UnknownColumnError
from fallline.gauges.gauge_table import NEEDS, Gauge, usual_gauges

NETWORK = nn.Sequential(nn.Dense(4), nn.ReLU(), nn.Dense(3))


def fit(data: Any, **settings: Any) -> fl.Run:
    return fl.fit(NETWORK, data, **{"loss": "cross_entropy", "epochs": 2, "batch_size": 16, **settings})


def test_every_gauge_says_what_a_reader_has_to_know() -> None:
    for name, one in fl.gauges.GAUGES.items():
        assert one.name == name and one.doc.endswith(".") and one.unit and one.formula and one.reads and one.source
        assert one.needs and set(one.needs) <= set(NEEDS)
        assert one.healthy is None or one.healthy[0] < one.healthy[1]
        assert len(one.doc) <= 120, name


@pytest.mark.parametrize(("given", "names"), [
    (True, usual_gauges()), ("alpha", ("alpha",)), (["alpha", "distance", "alpha"], ("alpha", "distance")),
    ("usual", usual_gauges()), (["usual", "hardest_rows"], (*usual_gauges(), "hardest_rows")),
])  # fmt: skip
def test_gauges_are_named(labelled: Any, given: Any, names: tuple[str, ...]) -> None:
    run = fit(labelled, gauges=given)
    assert set(run.gauges) == set(names) - {"saturated"}  # no bounded activation is there
    assert run.gauges.steps.tolist()[-1] == 8 and len(run.gauges.epochs) == len(run.gauges.steps)


def test_all_are_all(labelled: Any) -> None:
    chosen = fl.gauges.Gauges("all").chosen
    assert tuple(one.name for one in chosen) == tuple(fl.gauges.GAUGES)
    assert fl.gauges.Gauges(["alpha", "all"]).chosen[0].name == "alpha"


@pytest.mark.parametrize("given", [None, False])
def test_without_gauges_there_are_none(labelled: Any, given: Any) -> None:
    run = fit(labelled, gauges=given)
    assert not run.gauges
    with pytest.raises(UnknownColumnError, match="none were watched\n  try: gauges=True in fl"):
        run.gauges["alpha"]
    assert fit(labelled, gauges=True).gauges["alpha"]  # the advice


@pytest.mark.parametrize(("given", "told"), [
    ("alfa", "alpha"), (["gradient_norms"], "gradient_norm"), (3, 'gauges=True, or \\["gradient_norm", "alpha"\\]'),
    ([3], "try: gauges=True"), ([], "try: gauges=True"),
])  # fmt: skip
def test_wrong_names_are_refused_with_the_nearest_one(labelled: Any, given: Any, told: str) -> None:
    with pytest.raises(FalllineError, match=told):
        fit(labelled, gauges=given)
    assert fit(labelled, gauges=["gradient_norm", "alpha"]).gauges["alpha"]


@pytest.mark.parametrize("wrong", [{"share": 0}, {"share": 1}, {"every": 0}, {"every": 1.5}, {"rows": 0}])
def test_ranges_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        fl.gauges.Gauges(**wrong)


def test_an_unknown_column_names_the_nearest(labelled: Any) -> None:
    with pytest.raises(UnknownColumnError, match="alpha"):
        fit(labelled, gauges="alpha").gauges["alfa"]


def test_a_gauge_of_ones_own_is_one_definition(labelled: Any) -> None:
    try:

        @fl.gauges.gauge("largest_gradient", unit="loss", formula="max_j |g_j|", needs=("gradient",))
        def largest(inner: Any) -> Mapping[str, Any]:
            """The largest element of the gradient, for each array of parameters."""
            return {path: np.max(np.abs(g)) for path, g in inner.gradient.items()}

        assert isinstance(largest, Gauge)
        run = fit(labelled, gauges=["largest_gradient", "gradient_norm"])
        for path, values in run.gauges["largest_gradient"].items():
            assert (values > 0).all() and (values <= run.gauges["gradient_norm"][path] + 1e-12).all()
    finally:
        fl.gauges.GAUGES.pop("largest_gradient", None)


def test_a_name_that_is_taken_and_a_need_that_is_none_are_refused() -> None:
    def other(inner: Any) -> Mapping[str, Any]:
        """Another."""
        return {}

    with pytest.raises(ArgumentError, match="two gauges are called 'alpha'\n  try: another name"):
        fl.gauges.gauge("alpha", unit="1", formula="0", needs=())(other)
    with pytest.raises(ArgumentError, match="gradient"):
        fl.gauges.gauge("mine", unit="1", formula="0", needs=("gradiant",))(other)
    assert fl.gauges.GAUGES["alpha"].traced is not other


def test_an_error_in_a_gauge_never_ends_a_training(labelled: Any) -> None:
    def broken(inner: Any) -> Mapping[str, Any]:
        raise RuntimeError("broken while traced")

    def later(values: Any, facts: Any) -> Mapping[str, Any]:
        raise ZeroDivisionError("broken later")

    common = {"doc": "Broken.", "unit": "1", "formula": "0", "needs": ()}
    first = Gauge("first", traced=broken, **common)
    second = Gauge("second", traced=lambda inner: {"": inner.at.loss}, finish=later, **common)
    plain = fit(labelled)
    for gauges in (fl.gauges.Gauges([first, "alpha"], every=2), fl.gauges.Gauges([second, "alpha"], every=2)):
        run = fit(labelled, gauges=gauges)
        assert run.model.theta.tobytes() == plain.model.theta.tobytes() and run.stop_reason == "finished"
        events = [event for event in run.events if isinstance(event, fl.events.Gauged)]
        assert [event.notes for event in events][1:] == [()] * (len(events) - 1)  # told once
        assert "broken" in events[0].notes[0] and len(run.gauges["alpha"][""]) == len(events) == 5


def test_gauges_that_cannot_be_had_are_named_once(numbers: Any) -> None:
    x, y = numbers
    run = fl.fit(nn.mlp((4,), 1), (x, y), loss="squared_error", epochs=3, batch_size=8,
                 gauges=fl.gauges.Gauges(["class_loss", "alpha"], every=6))  # fmt: skip
    events = [event for event in run.events if isinstance(event, fl.events.Gauged)]
    assert events[0].notes == ("no class_loss: targets are no classes for the loss squared_error",)
    assert "class_loss" not in run.gauges and not any(event.notes for event in events[1:])
