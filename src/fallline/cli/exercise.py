"""`fallline exercise`: functions of backpropagation and descent to write oneself, checked against numbers.

Without a name, the list; with one, its task; --write FILE begins a file, and FILE alone is run and checked: an answer
that is wrong is told where, by how much, and by which slip where it is a known one.
"""

from dataclasses import dataclass
from pathlib import Path

from fallline.cli import screen
from fallline.cli.exits import FAILED, Exit, UsageProblem
from fallline.cli.flags import argument, flag

EXAMPLES = """\
fallline exercise                                    the list
fallline exercise dense-backward                     its task
fallline exercise dense-backward --write mine.py     a file to begin with
fallline exercise dense-backward mine.py             check it"""


@dataclass(frozen=True, slots=True)
class FLAGS:
    name: str | None = argument("which exercise; none lists them", "NAME", default=None)
    file: str | None = argument("a file with the answer, which is run and checked", "FILE", default=None)
    write: str | None = flag(None, "write a file to begin with; one that is there stays as it is", metavar="FILE")
    debug: bool = flag(False, "show the traceback of an error")


def run(flags: FLAGS) -> None:
    from fallline import exercises
    from fallline.errors import ArgumentError
    from fallline.typesetting import table, words

    if flags.name is None:
        rows = [(one.name, one.title) for one in exercises.EXERCISES.values()]
        screen.say(table(rows, width=screen.width()))
        screen.say("\nBegin one with: fallline exercise NAME --write FILE")
        return
    try:
        one = exercises.find(flags.name)
    except ArgumentError as error:
        raise UsageProblem(str(error)) from None
    if flags.write is not None:
        path = Path(flags.write)
        if path.exists():
            raise UsageProblem(f"{flags.write} is there already, and may hold somebody's work\n"
                               f"  try: another name, or: fallline exercise {one.name} {flags.write}")  # fmt: skip
        path.write_text(exercises.file_of(one), encoding="utf-8")
        screen.say(f"{flags.write} is begun; check it with: fallline exercise {one.name} {flags.write}")
        return
    if flags.file is None:
        paragraphs = one.task.split("\n\n")
        told = [part if part.startswith(" ") else words(part, min(screen.width(), 80)) for part in paragraphs]
        screen.say("\n\n".join([words(f"{one.title}: {one.summary}", min(screen.width(), 80)), *told, one.start]))
        screen.say(f"\nBegin with: fallline exercise {one.name} --write FILE")
        return
    found = exercises.check(one.name, flags.file)
    screen.say(found.text(width=screen.width()))
    if not found.is_right:
        raise Exit(FAILED)
