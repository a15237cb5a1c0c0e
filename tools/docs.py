"""Writes the generated pages: docs/metrics.md, docs/ops.md, docs/benchmarks.md, the README's table of benchmarks.

Run by `make docs`; generated pages are never edited by hand. `make bench` measures, and writes the last two itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # the benchmarks are outside the package
DOCS = ROOT / "docs"
# The last measurements of `make bench`; the page of benchmarks and the README's table are made of it.
MEASURED = DOCS / "benchmarks.json"
# The trials of the benchmark of quality on real tables.
TABLES = DOCS / "tables.json"


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


def metrics_page() -> str:
    """Every metric of the table, by the kind of targets that it measures."""
    from fallline.assessment.baselines import BASELINES
    from fallline.nn import METRICS

    parts = [
        "# Metrics",
        "Every metric of the table; made by `make docs`. Each is computed over all rows at once, never as a mean of "
        "batches, and by the weights of rows where they have some. A name goes to `metrics=`, to "
        "`EarlyStopping(watch=)`, to `--metrics` and `--watch`; one with a number in it, such as `top_3`, stands for "
        "any number. Besides these, every scorer of scikit-learn is a metric, as an object or by its name "
        '(`"neg_brier_score"`); where a name is in both tables, this one is meant.',
    ]
    of = {"Classes": ("classification", "binary"), "Several labels a row": ("labels",), "Numbers": ("regression",),
          "Several quantiles of a number": ("custom",)}  # fmt: skip
    for title, kinds in of.items():
        rows = ["| metric | value | better | reads |", "| ------ | ----- | ------ | ----- |"]
        for name, one in METRICS.items():
            if set(kinds) & set(one.kinds):
                names = f"`{name}`" + (f", `{one.numbered.form.format('N')}`" if one.numbered else "")
                meaning = one.doc.replace("|", "\\|") + (" Always measured." if one.usual else "")
                rows.append(f"| {names} | {meaning} | {one.better or 'neither'} | {one.reads} |")
        parts += [f"## {title}", "\n".join(rows)]
    rows = ["| model | learns |", "| ----- | ------ |"]
    rows += [
        f"| {one.name}{f', {one.classifies}' if one.classifies else ''} | {one.doc} |" for one in BASELINES.values()
    ]
    parts += [
        "## Standard errors, and simpler models",
        "`fl.assess(model, data)` and `fallline evaluate` give every metric with its standard error: how much it would "
        "change with other rows from the same source. It is computed by leaving out one row at a time, or a hundredth "
        "of the rows, and there is none where that changes nothing: that no row was wrong says little of how rare "
        "wrong rows are. `fl.compare(model, train, test)`, and the end of `fallline train`, put the model beside "
        "simpler ones that learn from the same rows and are tested on the same ones. Differences are of pairs of "
        "answers to the same row; fewer than two standard errors are told as no difference.",
        "\n".join(rows),
    ]
    return "\n\n".join(parts) + "\n"


def gauges_page() -> str:
    """Every gauge of the table, by the inner values that it is made of."""
    from fallline.gauges import GAUGES
    from fallline.gauges.gauge_table import NEEDS, UNITS

    def cell(text: str) -> str:
        return text.replace("|", "\\|")

    parts = [(ROOT / "tools" / "gauges.md").read_text(encoding="utf-8").rstrip()]
    rows = ["| gauge | meaning | formula | unit | usually | how to read it |",
            "| ----- | ------- | ------- | ---- | ------- | -------------- |"]  # fmt: skip
    for one in GAUGES.values():
        more = "".join(f" `{path}`: {text}." if path else f" {text}." for path, text in one.parts.items())
        low_high = "" if one.healthy is None else f"{one.healthy[0]:g} to {one.healthy[1]:g}"
        name = f"`{one.name}`{' *' if one.usual else ''}"
        rows.append(f"| {name} | {cell(one.doc + more)} | `{cell(one.formula)}` | {one.unit} | {low_high} | "
                    f"{cell(one.reads[:1].upper() + one.reads[1:])}. |")  # fmt: skip
    parts += ["## The table", "An asterisk marks the usual ones. Units: "
              + ", ".join(f"`{name}` {text}" for name, text in UNITS.items()) + ".", "\n".join(rows)]  # fmt: skip
    rows = ["| gauge | needs | source |", "| ----- | ----- | ------ |"]
    rows += [f"| `{one.name}` | {', '.join(one.needs)} | {cell(one.source)} |" for one in GAUGES.values()]
    parts += ["## Sources", "; ".join(f"`{name}`: {text}" for name, text in NEEDS.items()) + ".", "\n".join(rows)]
    return "\n\n".join(parts) + "\n"


def benchmarks_page() -> str:
    """The page of benchmarks as they were last measured."""
    from benchmarks import record as results
    from benchmarks import results_page

    return results_page.page(results.read(MEASURED))


def readme(text: str) -> str:
    """The README with the benchmarks as they were last measured, or as it is where none were."""
    from benchmarks import record as results
    from benchmarks import results_page

    return results_page.filled(text, results.read(MEASURED)) if MEASURED.exists() else text


def tables_page() -> str:
    """The page of quality on tables as it was last measured."""
    from benchmarks.quality import tables_page, trials

    return tables_page.page(trials.read(TABLES))


PAGES: dict[str, Callable[[], str]] = {"gauges.md": gauges_page, "metrics.md": metrics_page, "ops.md": ops_page}
if MEASURED.exists():
    PAGES["benchmarks.md"] = benchmarks_page
if TABLES.exists():
    PAGES["tables.md"] = tables_page


def main() -> int:
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
        print(f"docs/{name}")
    (ROOT / "README.md").write_text(readme((ROOT / "README.md").read_text(encoding="utf-8")), encoding="utf-8")
    print("README.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
