"""Writes what follows from sources and measurements: docs/ops.md, and the README's table of benchmarks.

Run by `make docs`, and by `make bench` after it has measured; what it writes is never edited by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
BENCHMARKS = DOCS / "benchmarks.md"
# The place of the benchmarks in the README.
BLOCK = re.compile(r"(<!-- benchmarks: [^>]* -->\n).*?(<!-- /benchmarks -->)", re.DOTALL)


# Columns of the tables that compare training steps, as fallline.bench.report writes them.
STEP, RATIO = "step (median)", "times ours"


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


def rows_of(section: str) -> list[dict[str, str]]:
    """The first table of a section, a dict a row; the column without a name is called by the empty string."""
    lines = [line.strip()[1:-1].split("|") for line in section.splitlines() if line.startswith("|")]
    table = [[cell.strip() for cell in line] for line in lines]
    return [dict(zip(table[0], row, strict=False)) for row in table[2:]] if table else []


def benchmarks_block(page: str) -> str:
    """The page of benchmarks as one table: our step, and how many of it go into each competitor's.

    Errors: ValueError for a page without a table with our step and how many go into the others'.
    """
    races, peers = [], []
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        rows = {row.get("", ""): row for row in rows_of("|" + section.partition("\n|")[2])}
        if {STEP, RATIO} <= rows.get("Fallline", {}).keys():  # other tables compare other things than a step
            races.append((section.splitlines()[0], rows))
            peers += [name for name in rows if name != "Fallline" and name not in peers]
    if not races:
        raise ValueError("docs/benchmarks.md has no table with our step and how many of it go into the others'")
    head = ["network", "our step", *peers]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for name, rows in races:
        ratios = [rows[peer][RATIO] + " x" if rows.get(peer, {}).get(RATIO) else "" for peer in peers]
        lines.append([name, rows["Fallline"][STEP], *ratios])
    made = re.search(r"^Made by .*$", page, re.MULTILINE)
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{table}\n\n{made.group() if made else ''} All of it: [docs/benchmarks.md](docs/benchmarks.md).\n"


def readme(text: str) -> str:
    """The README with the benchmarks as they were last measured."""
    unmeasured = "Not measured here yet: `make peers bench` fills this in.\n"
    block = benchmarks_block(BENCHMARKS.read_text(encoding="utf-8")) if BENCHMARKS.exists() else unmeasured
    return BLOCK.sub(lambda found: found.group(1) + block + found.group(2), text)


PAGES: dict[str, Callable[[], str]] = {"ops.md": ops_page}


def main() -> int:
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
        print(f"docs/{name}")
    (ROOT / "README.md").write_text(readme((ROOT / "README.md").read_text(encoding="utf-8")), encoding="utf-8")
    print("README.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
