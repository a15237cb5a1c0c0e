"""Runs a function of the benchmark in a fresh process, where nothing ran before.

`apart` asks; the same file run as a program answers with a line of JSON and ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from fallline.bench.field import environment

ROOT = Path(__file__).resolve().parents[1]  # the folder that this package is imported from


def apart(function: Callable[..., Any], *arguments: Any, threads: int = 1) -> tuple[Any, float]:
    """The result of a module's function, called with JSON arguments, and the seconds of its process's life.

    threads: that its libraries may use. Errors: RuntimeError with the last message of the process.
    """
    command = [function.__module__, function.__name__, json.dumps(arguments)]
    start = time.perf_counter()
    where = {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    done = subprocess.run(
        [sys.executable, "-m", __name__, *command],
        env={**environment(threads), **where},
        capture_output=True,
        encoding="utf-8",
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{function.__name__}: {done.stderr.strip().rpartition(chr(10))[2]}")
    return json.loads(done.stdout.splitlines()[-1]), seconds


def main(module: str, function: str, arguments: str) -> None:
    print(json.dumps(getattr(import_module(module), function)(*json.loads(arguments))))


if __name__ == "__main__":
    main(*sys.argv[1:])
