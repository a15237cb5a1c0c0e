"""Plain words: docstrings and headings begin with a noun of the field or a sentence, never with "What ..."."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = [path for folder in ("src", "benchmarks", "tools", "tests") for path in sorted((ROOT / folder).rglob("*.py"))]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def docstrings(source: str) -> list[str]:
    found = (ast.get_docstring(node) for node in ast.walk(ast.parse(source)) if isinstance(node, DOCUMENTED))
    return [doc for doc in found if doc]


def test_no_docstring_begins_with_what() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {doc[:60]}"
        for path in SOURCES
        for doc in docstrings(path.read_text(encoding="utf-8"))
        if doc.startswith("What ")
    ]
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_heading_begins_with_what(page: Path) -> None:
    assert not re.search(r"^#+ (\d+\. )?What ", page.read_text(encoding="utf-8"), re.MULTILINE)


def test_a_docstring_that_begins_so_is_found() -> None:
    assert docstrings('"""A room."""\ndef f():\n    """What f gives."""\n') == ["A room.", "What f gives."]
