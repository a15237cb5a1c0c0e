"""docs/decisions: numbered in order, in one form, short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "decisions"
RECORDS = sorted(FOLDER.glob("[0-9]*.md"))
PARTS = ["Question", "Decision", "Evidence", "Alternatives", "When to revisit"]


def test_records_are_numbered_without_gaps() -> None:
    assert [int(record.name[:4]) for record in RECORDS] == list(range(1, len(RECORDS) + 1))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_a_record_has_the_form(record: Path) -> None:
    text = record.read_text(encoding="utf-8")
    assert re.match(
        rf"# {record.name[:4]}\. .+\n\nDate: \d{{4}}-\d\d-\d\d\.  Status: (holds|replaced by \d{{4}})", text
    )
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == PARTS
    assert len(text.splitlines()) < 80


def test_the_form_is_the_one_that_is_written_down() -> None:
    form = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", form, re.MULTILINE) == PARTS
