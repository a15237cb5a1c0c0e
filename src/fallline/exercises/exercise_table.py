"""The table of exercises: the form of one, and how it gets into the table. Knows no single exercise.

An exercise asks for one function. It says which, gives a file to begin with, and finds what is wrong with an answer.
"""

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fallline.errors import GraphError

# From a learner's function to what is wrong with it, in sentences: none where it is right.
Check = Callable[[Callable[..., Any]], list[str]]


@dataclass(frozen=True, slots=True)
class Exercise:
    """One exercise. name: typed on the command line. title, summary: one line each.

    task: the text of the exercise, with its formulas. start: the Python file to begin with, which holds the function
    `function`. check: finds what is wrong with an answer. solution: the body of a right answer, for the tests.
    """

    name: str
    title: str
    summary: str
    task: str
    function: str
    start: str
    check: Check
    solution: str


EXERCISES: dict[str, Exercise] = {}


def exercise(
    name: str, title: str, summary: str, *, task: str, start: str, solution: str
) -> Callable[[Check], Check]:  # fmt: skip
    """Enter a check into the table as an exercise.

    start: the head of the function and its docstring. solution: the lines of a right body.
    """

    def enter(check: Check) -> Check:
        if name in EXERCISES:
            raise GraphError(f"exercise {name!r} is declared twice")
        head = textwrap.dedent(start).strip()
        asked = head.partition("def ")[2].partition("(")[0]
        EXERCISES[name] = Exercise(
            name, title, summary, textwrap.dedent(task).strip(), asked, head, check, textwrap.dedent(solution).strip()
        )
        return check

    return enter


def file_of(one: Exercise, body: str = "...") -> str:
    """The file to begin with; body: of the function."""
    doc = "".join(f"    {line}".rstrip() + "\n" for line in textwrap.dedent(body).strip().split("\n"))
    head = f'"""{one.title}. Check it with: fallline exercise {one.name} FILE"""'
    return f"{head}\n\nimport numpy as np\n\n\n{one.start}\n{doc}"
