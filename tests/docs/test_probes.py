"""docs/extending.md: each example is short, complete with the first lines of the page, and uses public names alone."""

from __future__ import annotations

import ast
import builtins
import re
from pathlib import Path
from types import ModuleType

import pytest

import fallline as fl

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
HEAD, *SECTIONS = re.split(r"^## ", PAGE, flags=re.MULTILINE)
# Each use from outside the package, and the section that shows it.
PROBES = (
    "Batch normalisation",
    "Dropout in a container of one's own",
    "A frozen layer under AdamW",
    "Muon on matrices, Adam on the rest",
    "L-BFGS with events and resume",
    "Batches that do not fit in memory",
    "Gradient norms of every layer in every step",
    "Gradients of every row",
    "An LSTM over 400 steps",
)
LONGEST = 30


def programs(section: str) -> list[str]:
    """The Python of a section, block by block."""
    return re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def of_code(program: str) -> int:
    return sum(1 for line in program.splitlines() if line.strip())


def private_names(program: str) -> set[str]:
    """Names below the public rooms of Fallline that a program uses, and names that begin with an underscore."""
    found = set()
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.ImportFrom | ast.Import):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
            found |= {name for name in modules if name.startswith("fallline.")}
        elif isinstance(node, ast.Attribute):
            if node.attr.startswith("_"):
                found.add(node.attr)
            of = node.value
            if isinstance(of, ast.Name) and of.id == "fl" and node.attr not in fl.__all__:
                found.add(f"fl.{node.attr}")
            if isinstance(of, ast.Attribute) and isinstance(of.value, ast.Name) and of.value.id == "fl":
                room = getattr(fl, of.attr, None)
                if isinstance(room, ModuleType) and node.attr not in getattr(room, "__all__", dir(room)):
                    found.add(f"fl.{of.attr}.{node.attr}")
        elif isinstance(node, ast.Name) and node.id.startswith("_") and node.id != "_":
            found.add(node.id)
    return found


def test_every_probe_has_its_section() -> None:
    assert set(PROBES) <= {section.splitlines()[0] for section in SECTIONS}


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.splitlines()[0])
def test_an_example_is_short_and_uses_public_names(section: str) -> None:
    (start,), (first, *more) = programs(HEAD), programs(section)
    assert of_code(start) + of_code(first) <= LONGEST
    assert all(of_code(program) <= LONGEST for program in more)
    assert not private_names("\n".join([start, first, *more]))


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.splitlines()[0])
def test_an_example_needs_no_other_example(section: str) -> None:
    whole = ast.parse("\n".join([*programs(HEAD), *programs(section)]))
    names = [node for node in ast.walk(whole) if isinstance(node, ast.Name)]
    made = {node.id for node in names if isinstance(node.ctx, ast.Store)} | set(dir(builtins))
    for node in ast.walk(whole):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            made.add(node.name)
        elif isinstance(node, ast.arg):
            made.add(node.arg)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            made.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            made |= {(one.asname or one.name).partition(".")[0] for one in node.names}
    assert {node.id for node in names} <= made


def test_private_names_are_found() -> None:
    told = {
        "from fallline.nn.theta import Layout\n": {"fallline.nn.theta"},
        "model._theta\n": {"_theta"},
        "fl.nn.layer_table.LAYERS\n": {"fl.nn.layer_table"},
        "fl.nowhere\n": {"fl.nowhere"},
        "for _ in fl.train(fl.nn.Dense(1)): pass\n": set(),
    }
    assert {program: private_names(program) for program in told} == told


def test_the_list_of_contents_names_every_section_in_order() -> None:
    assert re.findall(r"^ *- \[(.*?)\]", HEAD, re.MULTILINE) == [section.splitlines()[0] for section in SECTIONS]
