"""Runs the commands a page shows and puts what they print under them: `python tools/transcripts.py docs/PAGE.md`.

A ```console block holds lines `$ command`, each with its output below; a block whose first line reads ```text NAME
is a file the commands find. Everything runs in one empty folder, in the order of the page.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^```(console|text) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*(e[-+]?\d+)?")


@dataclass(frozen=True)
class Said:
    """A command of the page and what is printed under it."""

    command: str
    output: str


def blocks(page: str) -> Iterator[tuple[str, str, str]]:
    """(kind, name, text) of each block."""
    for found in BLOCK.finditer(page):
        yield found.group(1), found.group(2), found.group(3)


def transcript(text: str) -> list[Said]:
    """The commands of a console block with their outputs."""
    commands = re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]
    return [Said(*part.split("\n", 1)) for part in commands]


def run(page: str) -> str:
    """The page with the outputs its commands have now."""
    # 80 columns, no terminal: what a reader of the page has beside it.
    environment = {**os.environ, "COLUMNS": "80", "PYTHONIOENCODING": "utf-8"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    with tempfile.TemporaryDirectory() as folder:

        def said(command: str) -> str:
            done = subprocess.run(
                ["bash", "-c", command], cwd=folder, env=environment, encoding="utf-8", check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            lines = [line.rstrip() for line in done.stdout.replace(folder + os.sep, "").splitlines()]
            return "".join(f"{line}\n" for line in lines)

        def again(found: re.Match[str]) -> str:
            kind, name, text = found.groups()
            if kind == "text":
                if name:
                    Path(folder, name).write_text(text, encoding="utf-8")
                return found.group()
            parts = [f"$ {one.command}\n{said(one.command)}" for one in transcript(text)]
            return f"```console\n{''.join(parts)}```"

        return BLOCK.sub(again, page)


def masked(output: str) -> list[str]:
    """The words of an output: numbers as #, lines of pictures left out, so that two machines can be compared."""
    lines = (line for line in output.splitlines() if not any("─" <= c <= "⣿" for c in line))
    return [" ".join(NUMBER.sub("#", line).split()) for line in lines if line.strip()]


def main(paths: list[str]) -> int:
    for path in map(Path, paths):
        path.write_text(run(path.read_text(encoding="utf-8")), encoding="utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
