"""Lessons: short explanations of gradient descent and backpropagation that compute all they show.

Every module of this folder that declares a lesson is found by itself; adding one is adding a file.
"""

import importlib
import pkgutil
from typing import Any

from fallline.errors import unknown
from fallline.lessons.lesson_table import LESSONS, Lesson


def find(name: str) -> Lesson:
    """The lesson of this name. Errors: ArgumentError for another name, with the nearest one."""
    if name not in LESSONS:
        raise unknown("lesson", name, LESSONS)
    return LESSONS[name]


def run(name: str, **sizes: Any) -> Any:
    """Run a lesson and return its results: a frozen record of numbers and arrays.

    name: one of LESSONS. sizes: keyword arguments of the lesson's function; the defaults take a few seconds.

    >>> run("step-size").arrivals
    {1.0: 10, 5.0: 2, 11.0: None}
    """
    return find(name).function(**sizes)


def tell(name: str, *, width: int = 100, ascii_only: bool = False) -> str:
    """Run a lesson and return it as text with pictures, at most `width` columns wide."""
    lesson = find(name)
    return lesson.tell(lesson.function(), width=max(width, 40), ascii_only=ascii_only)


for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["LESSONS", "Lesson", "find", "run", "tell"]
