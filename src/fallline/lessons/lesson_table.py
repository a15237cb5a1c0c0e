"""The table of lessons: the form of a lesson, and how it gets into the table. Knows no single lesson.

A lesson is a function that computes something and returns its numbers, and a second one that writes them as text.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from fallline.errors import GraphError


class Tell(Protocol):
    """From a lesson's result to text of at most `width` columns, in ASCII alone if asked."""

    def __call__(self, result: Any, *, width: int, ascii_only: bool) -> str: ...


@dataclass(frozen=True, slots=True)
class Lesson:
    """One lesson. name: typed on the command line. title, summary: one line each.

    function: runs it and returns a frozen record of numbers and arrays; keyword arguments make it smaller or larger.
    """

    name: str
    title: str
    summary: str
    function: Callable[..., Any]
    tell: Tell


LESSONS: dict[str, Lesson] = {}


def lesson(name: str, title: str, summary: str, tell: Tell) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a function into the table as a lesson."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        if name in LESSONS:
            raise GraphError(f"lesson {name!r} is declared twice")
        LESSONS[name] = Lesson(name, title, summary, function, tell)
        return function

    return enter
