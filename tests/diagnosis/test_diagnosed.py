"""`diagnose`: what a diagnosis is made of; each verdict has its laws in a file of its own."""

import json
from dataclasses import replace

import numpy as np

import fallline as fl
from fallline.diagnosis import diagnosed
from fallline.diagnosis.diagnosed import diagnose
from fallline.diagnosis.finding import Diagnosis, Evidence, Finding
from fallline.runs.events import EpochEnded
from fallline.typesetting import cells, number


def test_a_finding_reads_in_80_columns_and_as_plain_data() -> None:
    long = Finding(
        "saddle",
        "The gradient is zero and some direction leads down, so that descent stands still on a saddle.",
        (Evidence("gradient norm", 2.5e-9, threshold="at most 1e-6"), Evidence("rows", 2048, "rows")),
        unchecked=("rows beyond 2,048",),
        tries=("fallline escape runs/mine",),
        part="member 2",
    )
    found = Diagnosis("runs/mine", (long,), ("noise: the training rows are not there",), ("saddle",))
    for ascii_only in (False, True):
        text = found.text(width=80, ascii_only=ascii_only)
        assert max(cells(one) for one in text.split("\n")) <= 80
        assert text.isascii() or not ascii_only
        for part in (
            "1 warning, after 1 checks",
            number(2.5e-9),
            "at most 1e-6",
            number(2048) + " rows",
            "try: fallline escape",
        ):
            assert part in text
    assert json.loads(json.dumps(found.to_dict()))["findings"][0]["evidence"][0]["value"] == 2.5e-9
    assert "saddle" in found and found["saddle"] is long and found.warnings == (long,)


def test_a_run_without_rows_is_told_what_was_not_checked() -> None:
    x = np.random.default_rng(0).normal(size=(40, 2))
    run = fl.fit(fl.nn.Dense(1), (x, x[:, 0]), loss="squared_error", epochs=2)
    found = diagnose(replace(run, job=None))
    assert any("data=(x, y)" in one for one in found.unchecked)
    without = next(one for one in found.unchecked if one.endswith("the training rows are not there"))
    assert "vanishing_gradient" in without and "suspicious_labels" in without
    assert any("overfitting" in one for one in found.unchecked) or "overfitting" in found.checked


def epoch(place: int, loss: float, held: float) -> EpochEnded:
    return EpochEnded(place, place + 1, loss, held, is_best=False)


def test_overfitting_is_told_from_the_epoch_with_the_lowest_validation_loss_on() -> None:
    x = np.random.default_rng(0).normal(size=(40, 2))
    run = fl.fit(fl.nn.Dense(1), (x, x[:, 0]), loss="squared_error", epochs=2, validation=0.2)
    run = replace(run, job=None)  # these events are not its own, so its rows say nothing of their noise
    rising = replace(run, events=(epoch(0, 3, 3), epoch(1, 2, 2.0), epoch(2, 1, 2.1), epoch(3, 0.5, 2.6)))
    found = diagnose(rising)["overfitting"]
    assert "From epoch 1 on" in found.says and found.evidence[0].value == 2.0
    for falls in ((3, 2.5, 2.2, 2.15), (3, 2.0, 2.0, 2.1)):
        flat = replace(run, events=tuple(epoch(i, 3 - i / 2, held) for i, held in enumerate(falls)))
        assert "overfitting" not in diagnose(flat)
    held = [3 - i / 10 for i in range(15)] + [1.6] * 14 + [2.9]
    bounced = replace(run, events=tuple(epoch(i, 3 - i / 20, one) for i, one in enumerate(held)))
    assert "overfitting" not in diagnose(bounced)  # one epoch that went astray


def test_what_several_members_have_in_common_is_told_once() -> None:
    names = [f"member {i}" for i in range(1, 6)]
    found = [(60, Finding("overfitting", f"of {name}", part=name)) for name in (names[0], names[1], names[4])]
    (order, one), *others = diagnosed._merged([*found, (10, Finding("labels", "of the rows"))], names)
    assert (order, one.part, one.says) == (60, "members 1, 2 and 5 of 5", "of member 1")
    assert [finding.part for _, finding in others] == [""]
    (_, alone), = diagnosed._merged(found[1:2], names)  # fmt: skip
    assert alone.part == "member 2 of 5"
