"""The table of lessons: the form of a lesson, and how it gets into the table. Knows no single lesson.

A lesson is a function that computes something and returns its numbers, and a second one that writes them as text.
The numbers that a person may choose are declared beside the function, with their ranges; they become keywords of
`lessons.run` and flags of `fallline lesson`.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fallline.arguments import takes
from fallline.errors import GraphError
from fallline.ranges import Range


class Tell(Protocol):
    """From a lesson's result to screens of text, in ASCII alone if asked.

    Each screen is at most `width` columns wide, and at most `page.LINES` lines long where that is 80 or more.
    """

    def __call__(self, result: Any, *, width: int, ascii_only: bool) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Ask:
    """A question that a reader may put to a lesson: its words, and the options that answer it."""

    question: str
    values: Mapping[str, Any]


def ask(question: str, **values: Any) -> Ask:
    """`ask("a step past the border", learning_rate=0.3)`: shown below the lesson as a command."""
    return Ask(question, values)


@dataclass(frozen=True, slots=True)
class Lesson:
    """One lesson. name: typed on the command line. title, summary: one line each.

    function: runs it and returns a frozen record of numbers and arrays; keyword arguments make it smaller or larger.
    options: the ranges of those arguments that a person may choose. asks: questions they answer.
    """

    name: str
    title: str
    summary: str
    function: Callable[..., Any]
    tell: Tell
    options: Mapping[str, Range]
    asks: Sequence[Ask]

    @property
    def defaults(self) -> dict[str, Any]:
        """The values of the options that are not chosen."""
        parameters = inspect.signature(self.function).parameters
        return {name: parameters[name].default for name in self.options}


LESSONS: dict[str, Lesson] = {}


def lesson(
    name: str, title: str, summary: str, tell: Tell, *, options: Mapping[str, Range] | None = None,
    asks: Sequence[Ask] = (),
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # fmt: skip
    """Enter a function into the table as a lesson; a call of it checks its options against their ranges."""
    ranges = dict(options or {})

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        if name in LESSONS:
            raise GraphError(f"lesson {name!r} is declared twice")
        if taken := sorted({"name", "width", "ascii_only"} & {*ranges}):
            raise GraphError(f"lesson {name!r}: {taken[0]} is an argument of lessons.tell, and no name for an option")
        checked = takes(**ranges)(function)
        LESSONS[name] = Lesson(name, title, summary, checked, tell, ranges, tuple(asks))
        return checked

    return enter
