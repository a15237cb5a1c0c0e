"""Lessons: short explanations of gradient descent and backpropagation that compute all they show.

Every module of this folder that declares a lesson is found by itself; adding one is adding a file.
"""

import importlib
import pkgutil
from typing import Any

from fallline.errors import unknown
from fallline.lessons.lesson_table import LESSONS, Lesson
from fallline.lessons.page import joined, with_last
from fallline.typesetting import pad


def find(name: str) -> Lesson:
    """The lesson of this name. Errors: ArgumentError for another name, with the nearest one."""
    if name not in LESSONS:
        raise unknown("lesson", name, LESSONS)
    return LESSONS[name]


def run(name: str, **options: Any) -> Any:
    """Run a lesson and return its results: a frozen record of numbers and arrays.

    name: one of LESSONS. options: keyword arguments of the lesson's function, such as those of `find(name).options`;
    the defaults take a few seconds.
    Errors: ArgumentError for another name, or an option outside its range; ArgumentTypeError for an option that the
    lesson does not have.

    >>> run("step-size").arrivals
    {1.0: 10, 5.0: 2, 11.0: None}
    """
    return find(name).function(**options)


def screens(name: str, *, width: int = 100, ascii_only: bool = False, **options: Any) -> list[str]:
    """Run a lesson and return it as screens of text with pictures, each of which fits 24 lines of 80 columns.

    width: columns at most, 40 at least. options: as for `run`.
    """
    lesson, width = find(name), max(width, 40)
    told = lesson.tell(lesson.function(**options), width=width, ascii_only=ascii_only)
    return with_last(told, asked(lesson, width))


def asked(lesson: Lesson, width: int) -> str:
    """The questions of a lesson, each with what is typed for its answer; nothing where there are none."""
    typed = {command(lesson.name, **one.values): one.question for one in lesson.asks}
    longest = max(map(len, typed), default=0)
    beside = [f"  {pad(line, longest)}  {question}" for line, question in typed.items()]
    if max(map(len, beside), default=0) > width:
        beside = [f"  {question}\n    {line}" for line, question in typed.items()]
    return "\n".join(["And what if?", *beside]) if typed else ""


def tell(name: str, *, width: int = 100, ascii_only: bool = False, **options: Any) -> str:
    """The same as one text."""
    return joined(screens(name, width=width, ascii_only=ascii_only, **options))


def command(name: str, **options: Any) -> str:
    """The command line that shows a lesson with these options."""
    flags = [f"--{option.replace('_', '-')} {value:{'g' if isinstance(value, float) else ''}}"
             for option, value in options.items()]  # fmt: skip
    return " ".join(["fallline lesson", name, *flags])


for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
for _name in sorted(LESSONS):  # some files import others, which would enter theirs first
    LESSONS[_name] = LESSONS.pop(_name)

__all__ = ["LESSONS", "Lesson", "command", "find", "run", "screens", "tell"]
