"""Runs a page's commands and code, and puts their output under them: `python tools/transcripts.py docs/PAGE.md`.

A ```console block holds lines `$ command`, each with its output below; a block whose first line reads ```text NAME
is a file the commands find. The ```python blocks of a page are one program; an ```output block holds the output of the
block before it prints, ```output about where numbers differ from machine to machine. Everything runs in one empty
folder, in the order of the page.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE

BLOCK = re.compile(r"^```(console|text|python|output) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*(e[-+]?\d+)?")
# Another machine needs another unit for its time.
TIME = re.compile(r"\d[\d,.]*(\^\d+)? (us|ms|s|minutes|hours|days|years|ages of the universe)\b")


@dataclass(frozen=True)
class Said:
    """A command of the page and the output under it."""

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
    with ExitStack() as open_until_then:
        folder = open_until_then.enter_context(tempfile.TemporaryDirectory())
        python = open_until_then.enter_context(Python(Path(folder)))

        def again(found: re.Match[str]) -> str:
            kind, name, text = found.groups()
            if kind == "output":
                return f"```output{name and ' ' + name}\n{python.printed}```"
            if kind == "python":
                python.run(text)
                return found.group()
            if kind == "text":
                if name:
                    Path(folder, name).write_text(text, encoding="utf-8")
                return found.group()
            parts = [f"$ {one.command}\n{said(one.command, Path(folder))}" for one in transcript(text)]
            return f"```console\n{''.join(parts)}```"

        return BLOCK.sub(again, page)


# One process a page, so that its declarations (an op, a loss) are gone with it. Reads a program a line and
# answers with its output, or with its traceback.
CHILD = """
import io, json, sys, traceback
from contextlib import redirect_stdout
names = {"__name__": "__main__"}
for line in sys.stdin:
    screen, wrong = io.StringIO(), None
    try:
        with redirect_stdout(screen):
            exec(compile(json.loads(line), "example.py", "exec"), names)
    except BaseException:
        wrong = traceback.format_exc()
    print(json.dumps([screen.getvalue(), wrong]), flush=True)
"""


class Python:
    """Runs the Python of a page block by block in a process of its own, which starts with the first block."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.printed = folder, ""
        self.child: subprocess.Popen[str] | None = None

    def run(self, text: str) -> None:
        """Run a block; its output is `printed` then. Raises RuntimeError with the block's own traceback."""
        if self.child is None:
            command = [sys.executable, "-W", "error", "-c", CHILD]
            self.child = subprocess.Popen(command, cwd=self.folder, stdin=PIPE, stdout=PIPE, encoding="utf-8")
        assert self.child.stdin is not None and self.child.stdout is not None
        print(json.dumps(text), file=self.child.stdin, flush=True)
        self.printed, wrong = json.loads(self.child.stdout.readline())
        if wrong is not None:
            raise RuntimeError(f"{text}\n{wrong}")

    def __enter__(self) -> Python:
        return self

    def __exit__(self, *error: object) -> None:
        if self.child is not None:
            self.child.communicate()  # the end of its input is its end


def said(command: str, folder: Path) -> str:
    """The output of a command in a folder. `fallline` runs in this process, which saves its start; a pipe after it and
    all else is the shell's."""
    before, bar, after = command.partition(" | ")
    words = shlex.split(before)
    if words[0] == "fallline":
        text, rest = printed(words[1:], folder), after if bar else "cat"
    else:
        text, rest = "", command
    done = subprocess.run(["bash", "-c", rest], cwd=folder, input=text, encoding="utf-8", stdout=PIPE, check=False)
    lines = [line.rstrip() for line in done.stdout.replace(str(folder) + os.sep, "").splitlines()]
    return "".join(f"{line}\n" for line in lines)


def printed(arguments: list[str], folder: Path) -> str:
    """Both outputs of the command line, in 80 columns and without a terminal, as a reader of the page has them."""
    from fallline.cli import main as fallline

    screen = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    here, columns = Path.cwd(), os.environ.get("COLUMNS")
    os.chdir(folder)
    os.environ["COLUMNS"] = "80"
    try:
        with redirect_stdout(screen), redirect_stderr(screen):
            fallline(arguments)
    finally:
        os.chdir(here)
        del os.environ["COLUMNS"]
        if columns is not None:
            os.environ["COLUMNS"] = columns
    screen.buffer.seek(0)
    return screen.buffer.read().decode("utf-8")


def masked(output: str) -> list[str]:
    """An output as two machines can be compared: numbers as #, times as # s, lines of pictures left out."""
    lines = (line for line in output.splitlines() if not any("─" <= c <= "⣿" for c in line))
    return [" ".join(NUMBER.sub("#", TIME.sub("# s", line)).split()) for line in lines if line.strip()]


def main(paths: list[str]) -> int:
    for path in map(Path, paths):
        path.write_text(run(path.read_text(encoding="utf-8")), encoding="utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
