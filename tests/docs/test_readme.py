"""README.md: its commands exist, and its table of benchmarks is the last one measured, or says that there is none."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import results_page
from fallline.cli.commands import COMMANDS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_make_has_the_targets_that_the_readme_names() -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = [word for line in re.findall(r"\bmake ([a-z ]+)", README) for word in line.split()]
    assert {"demo", "test", "bench"} <= set(named) <= set(targets)


def test_pip_installs_the_command_from_the_checkout() -> None:
    assert "`pip install .`" in README
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"fallline": "fallline.cli:main"}
    assert f"Python {project['requires-python'].removeprefix('>=')} or later" in README


def test_commands_in_the_text_exist() -> None:
    assert set(re.findall(r"`fallline ([a-z]+)", README)) <= set(COMMANDS)


def test_the_shell_block_holds_make_alone() -> None:
    # Whatever else is to be typed stands in a console block, whose output is compared.
    for block in re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL):
        assert all(line.startswith("make ") for line in block.splitlines())


def test_the_benchmarks_are_the_last_measured(writer: ModuleType) -> None:
    results_page.check_place(README)
    assert writer.readme(README) == README, "python tools/docs.py writes the table anew"


@pytest.mark.skipif(not (ROOT / "docs" / "benchmarks.json").exists(), reason="not measured yet")
def test_the_page_of_benchmarks_is_made_of_what_was_measured(writer: ModuleType) -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert writer.benchmarks_page() == page, "python tools/docs.py writes the page anew"
