"""`python -m benchmarks`, from the folder above this one."""

import sys


def main() -> int:
    """The benchmarks; Ctrl-C ends them, also while they are imported, with a word."""
    try:
        from benchmarks.options import main as measure

        return measure()
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130


sys.exit(main())
