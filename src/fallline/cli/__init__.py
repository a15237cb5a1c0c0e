"""The command line: `fallline train`, `race`, `predict`, `explain`, `lesson`, `bench`. A face over the other rooms.

Everything is imported when its command runs, so that `fallline --help` answers at once.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line with these arguments (by default the process's own); returns the exit code."""
    try:
        from fallline.cli.shell import run

        return run(arguments)
    except KeyboardInterrupt:  # while the shell itself was imported, or as it ended
        import sys

        print("error: interrupted", file=sys.stderr)
        return 130


__all__ = ["main"]
