"""Numbers of bytes and seconds in the units that suit them, and columns of text. Knows nothing of training."""

from collections.abc import Sequence


def in_bytes(n: float) -> str:
    """`3.9 KiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024 or unit == "GiB":
            break
        n /= 1024
    return f"{n:,.0f} {unit}" if unit == "B" else f"{n:,.1f} {unit}"


def in_seconds(seconds: float) -> str:
    """`12.3 us`."""
    for unit, size in (("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0)):
        if seconds < 999.5 * size or unit == "s":
            break
    return f"{seconds / size:,.0f} {unit}" if seconds / size >= 99.5 else f"{seconds / size:.3g} {unit}"


def columns(rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Lines of aligned cells: the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        indent + "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))).rstrip()
        for row in rows
    ]
