"""The command: wrong arguments are reported before anything is measured; races are shown with their floors."""

from __future__ import annotations

import pytest

from fallline.bench import command
from fallline.bench.cases import CASES
from fallline.bench.results import Outcome, Timing


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--rounds", "0"], "--rounds has to be from 1 to 1000"),
        (["--threads", "0"], "--threads has to be from 1 to"),
        (["--threads", "100000"], "--threads has to be from 1 to"),
        (["--case", "no such"], "no network's name has no such in it; there are: 2-8-8-2"),
        (["--write", "page.md"], "unrecognized arguments"),
    ],
)
def test_wrong_arguments_are_reported_before_anything_is_measured(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "race", lambda *_, **__: pytest.fail("raced"))
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2 and told in capsys.readouterr().err


def test_races_are_shown_and_what_falls_short_at_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    timings = {"Fallline": Timing(10, [1.0], [1.0]), "PyTorch": Timing(10, [2.0], [2.0])}
    monkeypatch.setattr(command, "race", lambda case, *_, **__: Outcome(case, 1, timings))
    assert command.main(["--threads", "1", "--case", CASES[1].name]) == 0
    said = capsys.readouterr().out
    assert f"{CASES[1].name}, on one thread" in said and "2.00" in said
    assert f"Short of the floors:\n{CASES[1].name}, one thread: 2.00 times PyTorch" in said
