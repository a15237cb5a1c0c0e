"""The whole page of a report, and `write`: into the run's folder, or where the caller says."""

import importlib
import os
import pkgutil
from pathlib import Path
from typing import Any

import numpy as np

from fallline.errors import ArgumentError, FalllineError, SavingError
from fallline.experiments.contest import Race
from fallline.experiments.raced_folder import load_race
from fallline.insight.opened import opened
from fallline.plots.page_parts import code, escaped
from fallline.report.markup import says
from fallline.report.page_style import STYLE
from fallline.report.section_table import SECTIONS, Section
from fallline.report.subject import Subject
from fallline.runs.disk import saving_errors, write_atomically
from fallline.runs.folder import CONFIG, MODEL, REPORT, run_folders
from fallline.training.run import Run, load_run


def page_of(run: Run | Race | str | os.PathLike[str], data: Any = None, *, row: int = 0) -> str:
    """The report of a run as one HTML text, which needs nothing from outside: no script, no link, no font.

    run: a Run, or the folder of one; of a Race, or the folder of one, the best is reported, below the standings. data:
    as for `fl.diagnose`. row: the place in the data of the row to explain, as `fallline explain` counts.
    Errors: those of `fl.load_run`; ArgumentError for a row that is not there.
    """
    if row < 0:
        raise ArgumentError(f"row is the place of a row in the data, counted from 0, got {row}")
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.name.startswith("about_"):
            importlib.import_module(f"{__package__}.{module.name}")
    subject = _subject(run, data, row)
    subject.check()
    shown = [(one, inside) for one in sorted(SECTIONS.values(), key=lambda one: one.order)
             if (inside := _inside(one, subject))]  # fmt: skip
    links = "".join(f'<a href="#{one.name}">{escaped(one.title)}</a>' for one, _ in shown)
    parts = "".join(
        f'<section id="{one.name}" aria-labelledby="of-{one.name}"><h2 id="of-{one.name}">{escaped(one.title)}</h2>'
        f"{inside}</section>\n"
        for one, inside in shown
    )
    name = escaped(title_of(subject))
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head>\n<body><header><h1>{name}</h1>{says(about(subject), quiet=True)}</header>"
        f'<nav aria-label="Sections">{links}</nav>\n<main>{parts}</main>{_footer(subject)}</body></html>\n'
    )


def _subject(given: Any, data: Any, row: int) -> Subject:
    """The run, or the best run of a race."""
    if isinstance(given, str | os.PathLike):
        path = Path(given)
        is_run = (path / CONFIG).is_file() or (path / MODEL).is_file()
        given = load_race(path) if not is_run and run_folders(path) else load_run(path)
    if not isinstance(given, Race):
        return Subject(opened(given, data), row)
    best = next((one for one in given.results if one.name in given.runs), None)
    if best is None:
        raise ArgumentError("no variant of this race left a run to report on")
    return Subject(opened(given.runs[best.name], data), row, given)


def _inside(one: Section, subject: Subject) -> str:
    """A section's inside; of one that cannot be told the reason, and it takes nothing from the others."""
    try:
        with np.errstate(all="ignore"):  # numbers that are not finite are told, not warned of
            return one.show(subject)
    except FalllineError as error:
        return says(f"Not shown: {error}", quiet=True)
    except (ArithmeticError, LookupError, MemoryError, OSError, TypeError, ValueError) as error:
        return says(f"Not shown, by a mistake of this program: {type(error).__name__}: {error}", quiet=True)


def title_of(subject: Subject) -> str:
    """The run by its folder, or by its data; the best of a race by the race and its own name."""
    if subject.race is not None:
        best = next(name for name, run in subject.race.runs.items() if run is subject.run)
        where = subject.run.folder
        return f"{'A race' if where is None else where.resolve().parent.name}: {best}"
    folder, recipe = subject.run.folder, subject.opened.recipe
    name = folder.resolve().name if folder is not None else ""
    return name or ("A run" if recipe is None else f"A run on {recipe.data.name}")


def about(subject: Subject) -> str:
    """The result in one line."""
    epochs = subject.run.epochs
    if not epochs:
        return "No epoch has ended."
    best = subject.run.best_epoch
    last = next((one for one in epochs if one.epoch == best), epochs[-1])
    numbers = {"loss": last.loss, "validation loss": last.validation_loss, **last.metrics}
    told = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in numbers.items() if value is not None)
    return f"{len(epochs):,} epoch{'s' * (len(epochs) != 1)}; in epoch {last.epoch}: {told}."


def _footer(subject: Subject) -> str:
    folder = subject.run.folder
    made = f" Made by {code(f'fallline report {folder}')}." if folder is not None else ""
    return f"<footer>Numbers of one run and its rows; nothing on this page is loaded from elsewhere.{made}</footer>"


def write(run: Run | Race | str | os.PathLike[str], data: Any = None, *, out: Any = None, row: int = 0) -> Path:
    """Write the report of a run, and return its path.

    run, data, row: as for `page_of`. out: the file; None is report.html in the run's folder, or the race's.
    Errors: those of `page_of`; ArgumentError for a run without a folder and no out; SavingError from the disk.
    Example: write("runs/digits")
    """
    path = _path(run, out)
    text = page_of(run, data, row=row)
    with saving_errors(path):
        write_atomically(path, lambda part: part.write_text(text, encoding="utf-8", errors="replace"))
    return path


def _path(run: Any, out: Any) -> Path:
    """The file to write, which can be written as far as that can be told before."""
    folder = run.folder if isinstance(run, Run) else None if isinstance(run, Race) else Path(run)
    if out is None and folder is None:
        raise ArgumentError("this run is in no folder, so its report needs a file\n  try: out='report.html'")
    path = Path(out) if out is not None else Path(folder or "") / REPORT
    if out is not None and not path.parent.is_dir():
        raise ArgumentError(f"out={str(path)!r}: there is no folder {str(path.parent)!r}")
    if path.parent.is_dir() and not os.access(path.parent, os.W_OK):
        raise SavingError(f"{path} cannot be written: its folder is read-only\n  try: out='report.html', in another")
    return path


__all__ = ["page_of", "write"]
