"""README.md: its commands exist, and its table of benchmarks is the last one measured, or says that there is none."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

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
    assert len(writer.BLOCK.findall(README)) == 1
    assert writer.readme(README) == README, "python tools/docs.py writes the table anew"


MEASURED = """# Benchmarks

Made by `make bench`. 2026-11-23, a processor.

## 2-8-8-2 batch 10

|          | step (median) | times ours |
| -------- | ------------: | ---------: |
| Fallline |       1.04 us |       1.00 |
| JAX scan |       7.10 us |       6.83 |
| PyTorch  |        301 us |     289.00 |

Left out: torch.compile: not installed.

## 30-64-64-2 batch 32

|          | step (median) | times ours |
| -------- | ------------: | ---------: |
| Fallline |       13.1 us |            |
| PyTorch  |        339 us |      25.90 |

## A fresh process

|          | median | times ours |
| -------- | -----: | ---------: |
| Fallline |  1.1 s |       1.00 |
| PyTorch  |  3.3 s |       3.00 |

## Memory

| network | peak |
| ------- | ---: |
| 2-8-8-2 |  1 B |
"""


def test_the_table_is_made_of_what_was_measured(writer: ModuleType) -> None:
    assert writer.benchmarks_block(MEASURED).splitlines() == [
        "| network | our step | JAX scan | PyTorch |",
        "| --- | ---: | ---: | ---: |",
        "| 2-8-8-2 batch 10 | 1.04 us | 6.83 x | 289.00 x |",
        "| 30-64-64-2 batch 32 | 13.1 us |  | 25.90 x |",
        "",
        "Made by `make bench`. 2026-11-23, a processor. All of it: [docs/benchmarks.md](docs/benchmarks.md).",
    ]


def test_the_columns_are_those_that_the_benchmark_writes(writer: ModuleType) -> None:
    source = (ROOT / "src" / "fallline" / "bench" / "report.py").read_text(encoding="utf-8")
    assert f'"{writer.STEP}"' in source and f'"{writer.RATIO}"' in source


def test_a_page_of_another_form_is_refused(writer: ModuleType) -> None:
    with pytest.raises(ValueError, match="no table with our step"):
        writer.benchmarks_block(MEASURED.replace("times ours", "ratio"))
