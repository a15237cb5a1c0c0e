"""The command line: `fallline train`, `race`, `predict`, `explain`, `lesson`, `bench`. A face over the other rooms.

Everything is imported when its command runs, so that `fallline --help` answers at once.
"""

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line with these arguments (by default the process's own); returns the exit code."""
    from fallline.cli.shell import run

    return run(arguments)


__all__ = ["main"]
