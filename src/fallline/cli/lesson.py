"""`fallline lesson`: the list of lessons, or one of them run and shown.

A lesson computes all it shows, in a few seconds, and prints numbers and pictures.
"""

from dataclasses import dataclass

from fallline.cli import screen
from fallline.cli.flags import argument, flag

EXAMPLES = """\
fallline lesson               the list
fallline lesson step-size     run one"""


@dataclass(frozen=True, slots=True)
class FLAGS:
    name: str | None = argument("which lesson; none lists them", "NAME", default=None)
    debug: bool = flag(False, "show the traceback of an error")


def run(flags: FLAGS) -> None:
    from fallline import lessons
    from fallline.cli.exits import UsageProblem
    from fallline.errors import ArgumentError
    from fallline.typesetting import table

    if flags.name is None:
        rows = [(lesson.name, lesson.summary) for lesson in lessons.LESSONS.values()]
        screen.say(table(rows, width=screen.width()))
        screen.say("\nRun one with: fallline lesson NAME")
        return
    try:
        lessons.find(flags.name)
    except ArgumentError as error:
        raise UsageProblem(str(error)) from None
    screen.say(lessons.tell(flags.name, width=screen.width(), ascii_only=screen.ascii_only()))
