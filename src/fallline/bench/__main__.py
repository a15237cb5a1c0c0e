"""`python -m fallline.bench`."""

import sys


def main() -> int:
    """The benchmark; Ctrl-C ends it, also while it is imported, with a word."""
    try:
        from fallline.bench.command import main as measure

        return measure()
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130


sys.exit(main())
