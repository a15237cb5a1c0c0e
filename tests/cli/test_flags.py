"""Flags as data: Typer's signature, help and checks all follow from the fields."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from fallline.cli.exits import UsageProblem
from fallline.cli.flags import argument, as_typed, check, flag, switch, typed
from fallline.ranges import Range


@dataclass(frozen=True, slots=True)
class Flags:
    data: str = argument("what to read", "DATA")
    learning_rate: float | None = flag(None, "size of a step", metavar="RATE", limits=Range(above=0, function=True))
    kind: str = flag("a", "which", number=False, words=("a", "bright"))
    overwrite: bool = flag(False, "replace")


def test_the_function_takes_the_fields_and_returns_what_is_to_be_run() -> None:
    seen: list[Flags] = []
    call = typed(Flags, seen.append)
    run = call(data="x", learning_rate=0.5, kind="bright", overwrite=True)
    assert seen == []
    run()
    assert seen == [Flags("x", 0.5, "bright", True)]


def test_all_flags_that_are_out_of_range_are_reported_at_once() -> None:
    with pytest.raises(UsageProblem) as caught:
        check(Flags("x", -1.0, "brigth"))
    first, second = str(caught.value).split("\n  and ")
    assert first == "--learning-rate has to be a number > 0, got -1.0"
    assert second == "--kind has to be 'a' | 'bright', got 'brigth'; did you mean 'bright'?"
    check(Flags("x", None))


def test_names_are_typed_with_dashes() -> None:
    assert switch("learning_rate") == "--learning-rate"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("try: learning_rate=1e+08, or other=3", "try: --learning-rate 1e+08, or other=3"),
        ("overwrite=True to replace it", "--overwrite to replace it"),
        ("kind='bc'.", "--kind bc."),
        ("try: kind=None", "try: no --kind"),
        ("nothing of it", "nothing of it"),
        ("try: kinds={'when': 'd/m/y'} (--as 'when=d/m/y'), or text", "try: --as 'when=d/m/y', or text"),
        ("overwrite=True (--overwrite) if so", "--overwrite if so"),
        ("kind='a' (--kind), or", "--kind a, or"),
    ],
)
def test_advice_of_the_library_is_reported_in_the_words_of_the_command_line(text: str, expected: str) -> None:
    assert as_typed(text, Flags) == expected
