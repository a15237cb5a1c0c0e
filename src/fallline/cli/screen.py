"""The abilities of standard output: how wide it is, whether someone watches it, which characters it has."""

import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

# Seconds a person waits before a silent terminal looks broken.
SILENCE = 1.0


def width(most: int = 100) -> int:
    """Columns to fill, at most `most`: the terminal's, or COLUMNS."""
    return max(20, min(most, shutil.get_terminal_size((80, 24)).columns))


def is_terminal() -> bool:
    return sys.stdout.isatty()


def ascii_only() -> bool:
    """Whether the drawing characters of pictures cannot be shown."""
    from fallline.insight.picture import needs_ascii

    return needs_ascii(getattr(sys.stdout, "encoding", None))


def say(text: str = "") -> None:
    """A line, at once: a reader at the other end of a pipe sees it when it is said."""
    print(text, flush=True)


MARGIN = 14


def fact(name: str, text: str, whole: bool = False) -> None:
    """A line of two columns, a name and a text; a text that is too long goes on under itself.

    whole: it stays in one line, as a path does that is to be copied.
    """
    long = len(text) > width() - MARGIN and "\n" not in text and not whole
    lines = textwrap.wrap(text, width() - MARGIN, break_long_words=False, break_on_hyphens=False) if long else [text]
    for head, line in zip([name, *[""] * len(lines)], lines):
        say(f"{head:<{MARGIN}}{line}".rstrip())


def note(text: str) -> None:
    """A remark beside the output, so that a file of answers stays one."""
    print(f"note: {text}", file=sys.stderr, flush=True)


@contextmanager
def told_if_slow(text: str) -> Iterator[None]:
    """Say a line to a terminal if the block takes long."""
    timer = Timer(SILENCE, say, (text,))
    timer.daemon = True
    if is_terminal():
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
