"""The meanings of the exit codes, and the error for a command line that cannot be understood."""

import os
import sys
from contextlib import suppress

from fallline.errors import ArgumentError

OK, FAILED, USAGE, DIVERGED = 0, 1, 2, 3
# As shells have it: 128 and the number of the signal.
HUNG_UP, INTERRUPTED, READER_GONE, TERMINATED = 129, 130, 141, 143

MEANINGS = {
    OK: "done",
    FAILED: "failed: a file, its data or the disk",
    USAGE: "the command line cannot be understood, or a value is outside its range",
    DIVERGED: "training diverged; the last good parameters are saved",
    HUNG_UP: "the terminal was closed (SIGHUP); the state of the training is saved",
    INTERRUPTED: "interrupted by Ctrl-C; the state of the training is saved",
    READER_GONE: "whoever read the output went away (as in `| head`)",
    TERMINATED: "ended by SIGTERM; the state of the training is saved",
}


def stopped_by(signal: int | None) -> int:
    """The code of a training that was stopped by a signal, or by Ctrl-C twice."""
    return INTERRUPTED if signal is None else 128 + signal


def let_output_go() -> None:
    """Throw away the rest of the output's buffer: it must not be tried again, and fail again, at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class UsageProblem(ArgumentError):
    """Flags or arguments that do not fit; nothing was started."""


class Exit(Exception):
    """Ends a command with a code after everything was said."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
