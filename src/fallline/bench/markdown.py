"""Numbers and tables as the benchmark writes them. Knows no results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def seconds(value: float) -> str:
    """A time with three digits in the unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= size or unit == "us":
            return f"{value / size:.{max(0, 2 - len(str(int(value / size))) + 1)}f} {unit}"
    raise AssertionError("the smallest unit takes everything")


def times(value: float) -> str:
    """A ratio with three digits: 1.05x, 21.6x, 134x."""
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}x"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose columns line up, so that it reads as well in a terminal; numbers to the right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]

    def row(cells: Sequence[str]) -> str:
        first, *rest = (cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(cells, widths)))
        return "| " + " | ".join([first, *rest]) + " |"

    rule = "| " + " | ".join("-" * w if i == 0 else "-" * (w - 1) + ":" for i, w in enumerate(widths)) + " |"
    return "\n".join([row(lines[0]), rule, *map(row, lines[1:])])


def on(threads: int) -> str:
    return "one thread" if threads == 1 else f"{threads} threads"


def listed(words: Sequence[str], last: str = "and") -> str:
    """`a, b and c`."""
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
