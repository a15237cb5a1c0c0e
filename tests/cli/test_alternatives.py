"""`fallline alternatives`: of a run, of a named set and of a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Shell = Callable[..., Any]  # see conftest


def test_of_a_run_of_a_set_and_of_a_file(shell: Shell, line: Path) -> None:
    shell("train iris --hidden 4 --epochs 2 --out a")
    done = shell("alternatives a --seconds 0.01")
    assert done.code == 0 and "this run" in done.out and "exhaustive search" in done.out
    found = json.loads(shell("alternatives diabetes --hidden none --seconds 0.05 --json").out)
    assert found["parameters"] == 11 and found["methods"][0]["method"] == "descent"
    assert "normal equations" in {one["method"] for one in found["methods"]}
    done = shell("alternatives line.csv --target price --hidden none --seconds 0.05")
    assert done.code == 0 and "normal equations" in done.out
    assert shell("alternatives nowhere").code == 2
    assert shell("alternatives a --seconds 0").code == 2
