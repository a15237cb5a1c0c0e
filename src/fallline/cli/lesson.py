"""`fallline lesson`: the list of lessons, or one of them run and shown.

A lesson computes all it shows, in a few seconds, and prints numbers and pictures. Its own numbers are flags that
`fallline lesson NAME --help` lists: what if the step were longer? At a terminal it waits for Enter after each screen.
"""

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fallline.cli import screen
from fallline.cli.commands import Form
from fallline.cli.exits import UsageProblem
from fallline.cli.flags import argument, flag

if TYPE_CHECKING:
    from fallline.lessons import Lesson
    from fallline.ranges import Range

EXAMPLES = """\
fallline lesson                                     the list
fallline lesson step-size                           run one
fallline lesson step-size --learning-rate 0.5       what if?
fallline lesson step-size --help                    its numbers"""


@dataclass(frozen=True, slots=True)
class FLAGS:
    name: str | None = argument("which lesson; none lists them", "NAME", default=None)
    all: bool = flag(False, "all screens at once, without waiting for Enter")
    debug: bool = flag(False, "show the traceback of an error")


def form(words: Sequence[str]) -> Form:
    """The flags and the help of the lesson that is named, or of the list."""
    named = [word for word in words[1:] if not word.startswith("-")]
    if not named:
        return Form(FLAGS, "", EXAMPLES, "lesson")
    from fallline import lessons

    name = next((word for word in named if word in lessons.LESSONS), words[1])
    if name.startswith("-"):  # what follows may be the value of a flag
        return Form(FLAGS, "", EXAMPLES, "lesson")
    lesson = asked_for(name)
    fields = [
        (option, kind(limits), flag(lesson.defaults[option], limits.doc, limits=limits, metavar=metavar(limits)))
        for option, limits in lesson.options.items()
    ]
    flags = dataclasses.make_dataclass("FLAGS", fields, bases=(FLAGS,), frozen=True)
    about = f"{lesson.title}: {lesson.summary}.\n\n{(lesson.function.__doc__ or '').strip()}"
    examples = [(lessons.command(lesson.name), ""), *((lessons.command(lesson.name, **ask.values), ask.question)
                                                      for ask in lesson.asks)]  # fmt: skip
    longest = max(len(typed) for typed, _ in examples)
    lines = "\n".join(f"{typed:<{longest}}   {question}".rstrip() for typed, question in examples)
    return Form(flags, about, lines, f"lesson {lesson.name}")


def asked_for(name: str) -> "Lesson":
    """The lesson of a name that was typed."""
    from fallline import lessons
    from fallline.errors import ArgumentError

    try:
        return lessons.find(name)
    except ArgumentError as error:
        raise UsageProblem(str(error)) from None


def kind(limits: "Range") -> Any:
    """The type that is typed for a range."""
    plain = bool if limits.flag else int if limits.whole else float if limits.number else str
    return plain | None if limits.optional else plain


def metavar(limits: "Range") -> str | None:
    """The placeholder of a value: the words where there are no numbers."""
    return None if limits.flag else "N" if limits.whole else "NUMBER" if limits.number else "|".join(limits.words)


def run(flags: Any) -> None:
    from fallline import lessons
    from fallline.typesetting import table

    if flags.name is None:
        rows = [(lesson.name, lesson.summary) for lesson in lessons.LESSONS.values()]
        screen.say(table(rows, width=screen.width()))
        screen.say("\nRun one with: fallline lesson NAME")
        return
    lesson = asked_for(flags.name)
    chosen = {option: getattr(flags, option) for option in lesson.options}
    shown = lessons.screens(lesson.name, width=screen.width(), ascii_only=screen.ascii_only(), **chosen)
    waits = not flags.all and screen.is_terminal() and sys.stdin is not None and sys.stdin.isatty()
    for count, text in enumerate(shown, 1):
        screen.say(text)
        if count < len(shown):
            screen.say()
            if waits and not goes_on(f"{count} of {len(shown)}; Enter goes on, q ends "):
                return


def goes_on(prompt: str) -> bool:
    """Wait for the reader, and take the prompt away again."""
    try:
        typed = input(prompt)
    except EOFError:
        return False
    print("\033[A\033[K", end="", flush=True)
    return not typed.strip().lower().startswith("q")
