"""The whole page of a report, and `write`: into the run's folder, or where the caller says."""

import importlib
import os
import pkgutil
from pathlib import Path
from typing import Any

from fallline import report
from fallline.errors import ArgumentError, FalllineError
from fallline.insight.opened import opened
from fallline.plots.page_parts import escaped, line
from fallline.report.section_table import SECTIONS
from fallline.report.subject import Subject
from fallline.runs.disk import saving_errors, write_atomically
from fallline.runs.folder import REPORT
from fallline.training.run import Run

STYLE = """
:root { color-scheme: light dark; --ground: #ffffff; --ink: #1c1c1c; --edge: #c8c8c8; --warn: #b35900; }
@media (prefers-color-scheme: dark) { :root { --ground: #16181c; --ink: #e4e4e4; --edge: #45484f; --warn: #f0a030; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 20px 24px 60px; max-width: 1080px; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 24px; margin: 8px 0 2px; } h2 { font-size: 18px; margin: 34px 0 8px; }
nav { margin: 10px 0 0; } nav a { margin-right: 14px; } a { color: inherit; }
section { overflow-x: auto; border-top: 1px solid var(--edge); }
.finding { border-left: 3px solid var(--edge); padding: 2px 0 2px 12px; margin: 12px 0; }
.finding.warns { border-color: var(--warn); }
.pictures { display: flex; flex-wrap: wrap; gap: 4px 24px; }
svg { max-width: 100%; height: auto; }
@media print { nav { display: none; } details { display: block; } body { max-width: none; } }
"""


def page_of(run: Run | str | os.PathLike[str], data: Any = None, *, row: int = 0) -> str:
    """The report of a run as one HTML text, which needs nothing from outside: no script, no link, no font.

    run: a Run, or the folder of one. data: as for `fl.diagnose`. row: the place of the training row to explain.
    Errors: those of `fl.load_run`; ArgumentError for a row below 0.
    """
    if row < 0:
        raise ArgumentError(f"row is the place of a training row, counted from 0, got {row}")
    for module in pkgutil.iter_modules(report.__path__):
        if module.name.startswith("about_"):
            importlib.import_module(f"{report.__name__}.{module.name}")
    subject = Subject(opened(run, data), data, row)
    shown = []
    for one in sorted(SECTIONS.values(), key=lambda one: one.order):
        try:
            inside = one.show(subject)
        except FalllineError as error:  # a part that cannot be told takes nothing from the others
            inside = line(f"not shown: {error}", quiet=True)
        if inside:
            shown.append((one, inside))
    links = "".join(f'<a href="#{one.name}">{escaped(one.title)}</a>' for one, _ in shown)
    parts = "".join(
        f'<section id="{one.name}"><h2>{escaped(one.title)}</h2>{inside}</section>' for one, inside in shown
    )
    name = escaped(title_of(subject))
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head>\n<body><h1>{name}</h1>{line(about(subject), quiet=True)}<nav>{links}</nav>"
        f"{parts}</body></html>\n"
    )


def title_of(subject: Subject) -> str:
    """The run by its folder, or by its data."""
    folder, recipe = subject.run.folder, subject.opened.recipe
    return folder.name if folder is not None else "A run" if recipe is None else f"A run on {recipe.data.name}"


def about(subject: Subject) -> str:
    """The result in one line."""
    epochs = subject.run.epochs
    if not epochs:
        return "no epoch has ended"
    best = subject.run.best_epoch
    last = next((one for one in epochs if one.epoch == best), epochs[-1])
    numbers = {"loss": last.loss, "validation loss": last.validation_loss, **last.metrics}
    told = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in numbers.items() if value is not None)
    return f"{len(epochs):,} epochs; in epoch {last.epoch}: {told}"


def write(run: Run | str | os.PathLike[str], data: Any = None, *, out: Any = None, row: int = 0) -> Path:
    """Write the report of a run, and return its path.

    run, data, row: as for `page_of`. out: the file; None is report.html in the run's folder.
    Errors: those of `page_of`; ArgumentError for a run without a folder and no out; SavingError from the disk.
    Example: write("runs/digits")
    """
    folder = run.folder if isinstance(run, Run) else Path(run)
    if out is None and folder is None:
        raise ArgumentError("this run is in no folder, so its report needs a file\n  try: out='report.html'")
    path = Path(out) if out is not None else Path(folder or "") / REPORT
    if not path.parent.is_dir():
        raise ArgumentError(f"out={str(path)!r}: there is no folder {str(path.parent)!r}")
    text = page_of(run, data, row=row)
    with saving_errors(path):
        write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))
    return path


__all__ = ["page_of", "write"]
