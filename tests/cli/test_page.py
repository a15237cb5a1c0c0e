"""docs/command-line.md: its commands run, and print the text on the page, but for the numbers."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from fallline.cli.exits import MEANINGS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "command-line.md"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    import sys

    found = importlib.util.spec_from_file_location("transcripts", ROOT / "tools" / "transcripts.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["transcripts"] = module  # where dataclasses look for the module of a class
    found.loader.exec_module(module)
    return module


def test_the_commands_of_the_page_print_what_it_shows(tool: ModuleType) -> None:
    shown = PAGE.read_text(encoding="utf-8")
    now = tool.run(shown)
    for (kind, _, before), (_, _, after) in zip(tool.blocks(shown), tool.blocks(now), strict=True):
        if kind == "console":
            for then, fresh in zip(tool.transcript(before), tool.transcript(after), strict=True):
                assert tool.masked(fresh.output) == tool.masked(then.output), then.command


def test_the_page_names_every_exit_code() -> None:
    text = PAGE.read_text(encoding="utf-8").replace("\\|", "|")
    for code, meaning in MEANINGS.items():
        assert f"| {code} | {meaning} |" in text


def test_numbers_and_pictures_are_masked_and_words_are_not(tool: ModuleType) -> None:
    assert tool.masked("loss 1.5e-3  at 12,000\n\n  │⡇\nend") == ["loss # at #", "end"]
