"""Fixtures of the tests of pages: the tools that make them, loaded from their files."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def tool(name: str) -> ModuleType:
    found = importlib.util.spec_from_file_location(f"tools_{name}", ROOT / "tools" / f"{name}.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[module.__name__] = module  # where dataclasses look for the module of a class
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def transcripts() -> ModuleType:
    return tool("transcripts")


@pytest.fixture(scope="session")
def writer() -> ModuleType:
    return tool("docs")
