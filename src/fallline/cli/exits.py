"""What the exit codes mean, and the error for a command line that cannot be understood."""

from fallline.errors import ArgumentError

OK, FAILED, USAGE, DIVERGED, READER_GONE, INTERRUPTED = 0, 1, 2, 3, 141, 130

MEANINGS = {
    OK: "done",
    FAILED: "failed: a file, its data or the disk",
    USAGE: "the command line cannot be understood, or a value is outside its range",
    DIVERGED: "training diverged; the last good parameters are saved",
    INTERRUPTED: "interrupted by Ctrl-C; what training had reached is saved",
    READER_GONE: "whoever read the output went away (as in `| head`)",
}


class UsageProblem(ArgumentError):
    """Flags or arguments that do not fit; nothing was started."""


class Exit(Exception):
    """Ends a command with a code after everything was said."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
