"""The README and the pages of docs/: their code runs and prints their outputs; links lead to files."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "docs/how-it-works.md", "docs/numpy-gradients.md", "docs/noise.md", "docs/adding.md",
         "docs/extending.md", "docs/own-loop.md", "docs/own-loop-examples.md", "docs/serving.md", "docs/curvature.md",
         "docs/scikit-learn.md", "docs/raw-files.md", "docs/tables-in-python.md", "docs/plots.md", "docs/diagnosis.md",
         "docs/gauges.md", "docs/report.md"]  # fmt: skip
EVERY = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


def assert_same_output(transcripts: ModuleType, shown: str, now: str) -> None:
    """The same words, and numbers that differ by no more than rounding does."""
    number = transcripts.NUMBER
    assert number.sub("#", now).split() == number.sub("#", shown).split(), f"make docs writes the page anew\n{now}"
    pairs = zip(number.finditer(shown), number.finditer(now), strict=True)
    for then, fresh in ((a.group().replace(",", ""), b.group().replace(",", "")) for a, b in pairs):
        assert math.isclose(float(fresh), float(then), rel_tol=1e-5, abs_tol=1e-9), (then, fresh)


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_prints_its_outputs(transcripts: ModuleType, page: str) -> None:
    shown = (ROOT / page).read_text(encoding="utf-8")
    now = transcripts.run(shown)
    for before, after in zip(transcripts.blocks(shown), transcripts.blocks(now), strict=True):
        kind, name, text = before
        if kind == "console":
            for then, fresh in zip(transcripts.transcript(text), transcripts.transcript(after[2]), strict=True):
                assert transcripts.masked(fresh.output) == transcripts.masked(then.output), then.command
        elif kind == "output" and name == "about":
            assert transcripts.masked(after[2]) == transcripts.masked(text)
        elif kind == "output":
            assert_same_output(transcripts, text, after[2])


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_no_block_that_nothing_runs(page: str) -> None:
    # sh: read by test_readme.py. text: a picture, or a file for the commands. markdown: the form of something.
    fences = re.findall(r"^```(.*)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert {fence.split()[0] for fence in fences[::2]} <= {"python", "output", "console", "sh", "text"}
    assert not any(fences[1::2])


def test_an_output_that_differs_is_noticed(transcripts: ModuleType) -> None:
    assert_same_output(transcripts, "loss 1.0000000 at 2e-12\n", "loss 1.000001 at 0\n")
    for now in ("loss 1.0001 at 2e-12", "cost 1.0 at 2e-12", "loss 1.0"):
        with pytest.raises(AssertionError):
            assert_same_output(transcripts, "loss 1.0 at 2e-12", now)


def test_python_that_fails_has_its_own_traceback(transcripts: ModuleType) -> None:
    with pytest.raises(RuntimeError, match=r'(?s)example\.py", line 2.*ZeroDivisionError'):
        transcripts.run("```python\nx = 1\nprint(x / 0)\n```\n")
    page = "```python\nx = 2\n```\n\n```python\nprint(x)\n```\n\n```output about\n?\n```\n"
    assert transcripts.run(page).endswith("```output about\n2\n```\n")


@pytest.mark.parametrize("page", EVERY, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", EVERY, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_heading_leads_to_one(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", page.read_text(encoding="utf-8")):
        there = (page.parent / target if target else page).read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.*)$", there, re.MULTILINE)
        assert anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}, anchor


@pytest.mark.parametrize("page", EVERY, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_are_there(page: Path) -> None:
    # `tests/nn/test_loss.py` from the root, `program/plan.py` from the package.
    for name in re.findall(r"`((?:\w+/)+\w+\.(?:py|md))`", page.read_text(encoding="utf-8")):
        assert any((place / name).exists() for place in (ROOT, ROOT / "src" / "fallline")), name


def test_the_tour_lists_the_rooms_that_there_are() -> None:
    package = ROOT / "src" / "fallline"
    rooms = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    tour = (ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8").partition("\n## The rooms\n")[2]
    first_cells = re.findall(r"^\| (`.*?) \|", tour, re.MULTILINE)
    assert sorted(re.findall(r"\w+", " ".join(first_cells))) == sorted(rooms - {"__init__"})


def test_make_writes_every_page_that_the_tests_compare() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    written = makefile.partition("tools/transcripts.py ")[2].partition("\n\n")[0].replace("\\\n", " ").split()
    transcribed = {str(path.relative_to(ROOT)) for path in EVERY if "\n```output" in path.read_text(encoding="utf-8")}
    consoles = {str(path.relative_to(ROOT)) for path in EVERY if "\n```console" in path.read_text(encoding="utf-8")}
    assert set(written) == transcribed | consoles
    assert set(PAGES) <= set(written)


def test_generated_pages_are_as_their_sources_make_them_now() -> None:
    # In a process of its own: other tests may have declared ops.
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'tools')!r}); import docs\n"
        "for name, page in docs.PAGES.items():\n"
        "    same = (docs.DOCS / name).read_text(encoding='utf-8') == page()\n"
        "    assert same, f'docs/{name} is old: make docs writes it anew'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
