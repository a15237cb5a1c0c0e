"""`fallline bench`: the benchmark, which reads its own arguments."""

from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Hand the words after `bench` to the benchmark; returns its exit code."""
    from fallline.bench.command import main as measure

    return measure(arguments)
