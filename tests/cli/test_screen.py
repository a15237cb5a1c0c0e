"""Lines of the command line fit the screen, and lose nothing."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline.cli import columns_shown, screen
from fallline.cli.progress import Plain, tried
from fallline.data.understood import Understood
from fallline.runs.events import EpochEnded, Tried

WORDS = st.lists(st.text("abc,.0", min_size=1, max_size=9), min_size=1, max_size=40)


@given(WORDS, st.integers(40, 100))
def test_facts_go_on_under_themselves(words: list[str], columns: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        said: list[str] = []
        patch.setattr(screen, "say", said.append)
        patch.setenv("COLUMNS", str(columns))
        screen.fact("kept", " ".join(words))
    assert all(len(line) <= columns for line in said)
    assert [word for line in said for word in line[screen.MARGIN :].split()] == words


def test_a_path_stays_in_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    screen.fact("saved", "runs/a folder of a long name/with blanks in it", whole=True)
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize("width", [54, 60, 80])
def test_columns_fit_and_lose_no_word(width: int) -> None:
    column = Understood("passengers_last_year", "moment", 866, 9, "2024-01-01 to 2025-12-05, as in 13/11/2024",
                        marks=("'02/27/2024' and 276 more taken as missing",))  # fmt: skip
    lines = columns_shown.line(column, "", width, 20)
    assert all(len(line) <= width for line in lines)
    text = re.sub(r"\s+", " ", " ".join(lines))
    assert "2025-12-05, as in 13/11/2024, 866 missing" in text and "276 more taken as missing" in text


def test_the_speed_leaves_lines_that_are_too_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    for metrics, shown in (({}, True), ({"validation_r2": 0.9, "validation_rmse": 12.25}, False)):
        reader = Plain(10)
        for speed in (9.0, 1e6):
            reader.show(EpochEnded(0, 10, 0.5, 0.25, metrics, steps_per_second=speed))
        assert all(("steps/s" in line) == shown for line in capsys.readouterr().out.splitlines())


def test_a_candidate_of_a_search_is_told_in_lines_that_fit() -> None:
    told = "256-256-256 mish, learning rate 0.0466, weight decay 0.0, dropout 0.3, periodic 11.6, label smoothing 0.0"
    done = Tried("candidate 12, fold 3", told, "finished", 4, 4, 0.25, 1.0)
    lines = tried(done, 80).splitlines()
    assert lines[0].startswith("candidate 12, fold 3 finished 0.25: 256-256-256 mish") and max(map(len, lines)) <= 80
    assert tried(replace(done, state="interrupted", score=math.inf), 200) == f"candidate 12, fold 3 interrupted: {told}"
