"""`import fallline` stays light: which third-party libraries it may load is pinned here, in a process of its own; and
what one network on a named set does without.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src"

ALLOWED = {"numpy"}

# Named one by one so that the failure says what was meant; the pin above is the stricter test.
HEAVY = {
    "jax",
    "llvmlite",
    "matplotlib",
    "mpi4py",
    "numba",
    "onnx",
    "pandas",
    "pyarrow",
    "rich",
    "safetensors",
    "scipy",
    "sklearn",
    "starlette",
    "torch",
    "typer",
}

PROBE = """
import json, sys
before = set(sys.modules)
{statement}
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def modules_of(statement: str) -> set[str]:
    """The modules that a statement loads in a fresh process."""
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    command = [sys.executable, "-c", PROBE.format(statement=statement)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def loaded_by(statement: str) -> set[str]:
    """The third-party libraries that a statement loads in a fresh process."""
    return {name.split(".")[0] for name in modules_of(statement)} - sys.stdlib_module_names - {"fallline"}


def test_import_fallline_loads_nothing_heavy() -> None:
    assert loaded_by("import fallline") & HEAVY == set()


def test_import_fallline_loads_numpy_and_no_other_library() -> None:
    assert loaded_by("import fallline") <= ALLOWED


def test_the_probe_sees_what_a_statement_loads() -> None:
    assert {"numpy", "hypothesis"} <= loaded_by("import numpy, hypothesis")


def test_the_command_line_loads_readers_of_files_and_trainings_of_several_networks_when_they_are_asked_for() -> None:
    loaded = modules_of("import fallline.cli.session, fallline.cli.run_results")
    assert not loaded & {"fallline.data.files", "fallline.data.delimited", "fallline.committee.timed", "pyarrow"}


def test_a_file_of_numbers_gaps_and_texts_is_read_without_pandas(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    path = tmp_path / "data.csv"
    path.write_text("a,b,c,d\n1,2.5,x,NA\n2,,y,3\n3,1.5,,4\n")
    statement = f"from fallline.data.files import read_table; read_table({str(path)!r})"
    assert "pyarrow" in loaded_by(statement) and "pandas" not in loaded_by(statement)
