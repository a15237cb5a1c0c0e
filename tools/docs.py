"""Writes the pages of docs/ that follow from the sources. Run by `make docs`; a page's text is never edited by hand."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"


def ops_page() -> str:
    """Every op of the table by kind, with the NumPy functions that reach it."""
    import fallline.ops  # noqa: F401 - fills the table
    from fallline.graph.op import NUMPY, TABLE, Kind

    parts = [
        "# Ops",
        "Every op of the table, by kind; made by `make docs`. A NumPy function in the last column becomes that op when "
        "one of its arguments is being traced. NumPy functions composed of several ops stand at the end.",
    ]
    for kind in Kind:
        ops = [op for op in TABLE.values() if op.kind is kind]
        if not ops:
            continue
        rows = ["| op | meaning | gradient | from NumPy |", "| -- | ------- | -------- | ---------- |"]
        for op in ops:
            reached = ", ".join(f"`{f.__name__}`" for f, target in NUMPY.items() if target is op)
            rows.append(f"| `{op.name}` | {op.doc} | {'no' if op.grad is None else 'yes'} | {reached} |")
        parts += [f"## {kind.value.capitalize()}", "\n".join(rows)]
    composed = sorted({f.__name__ for f, target in NUMPY.items() if target not in TABLE.values()})
    parts += ["## NumPy functions composed of these", ", ".join(f"`{name}`" for name in composed) + "."]
    return "\n\n".join(parts) + "\n"


PAGES: dict[str, Callable[[], str]] = {"ops.md": ops_page}


def main() -> int:
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
        print(f"docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
