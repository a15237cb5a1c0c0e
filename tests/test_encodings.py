"""Text is UTF-8 wherever it is read or written, whatever the system's own encoding is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "fallline"
READERS = ("open", "fdopen", "read_text", "write_text", "TemporaryFile", "NamedTemporaryFile")
STARTERS = ("run", "Popen", "check_output")


def without_encoding(source: str) -> list[int]:
    """Lines that read, write or exchange text without saying in which encoding."""
    tree = ast.parse(source)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("read_text", "write_text") and id(node) not in called:
            found.append(node.lineno)  # handed over as a function
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        of = (
            node.func.value.id if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) else ""
        )
        words = {word.arg for word in node.keywords}
        given = [arg.value for arg in [*node.args, *(word.value for word in node.keywords)]
                 if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]  # fmt: skip
        is_bytes = any(set(text) <= set("rwxab+") and "b" in text for text in given)
        by_default_bytes = name.endswith("TemporaryFile") and not given
        reads = name in READERS and (name != "open" or of not in ("os", "webbrowser")) and not is_bytes
        starts = of == "subprocess" and name in STARTERS and words & {"text", "universal_newlines"}
        if ((reads and not by_default_bytes) or starts) and "encoding" not in words:
            found.append(node.lineno)
    return found


def test_every_file_of_the_package_names_the_encoding_of_its_text() -> None:
    wrong = [f"{path.relative_to(PACKAGE)}:{line}" for path in sorted(PACKAGE.rglob("*.py"))
             for line in without_encoding(path.read_text(encoding="utf-8"))]  # fmt: skip
    assert wrong == []


@pytest.mark.parametrize("line", [
    "open(path)", "open(path, 'w')", "path.open()", "path.read_text()", "path.write_text(text)", "os.fdopen(1, 'w')",
    "map(Path.read_text, sources)", "tempfile.TemporaryFile('w+')", "subprocess.run(line, text=True)",
])  # fmt: skip
def test_the_check_finds_what_it_is_for(line: str) -> None:
    assert without_encoding(line) == [1]


@pytest.mark.parametrize("line", [
    "open(path, 'rb')", "path.open(mode='rb+')", "os.open(path, 0)", "path.read_text(encoding='utf-8')",
    "open(path, 'w', encoding='utf-8')", "os.fdopen(1, 'wb')", "tempfile.TemporaryFile()", "subprocess.run(line)",
])  # fmt: skip
def test_the_check_finds_nothing_else(line: str) -> None:
    assert without_encoding(line) == []
