"""`fallline plot`: a picture of a run or a race, written to a file or drawn with characters.

RUN is the folder of a run, or of a race, with a run in each of its folders. WHAT is one of its pictures; without it
they are listed, with what is missing for those that cannot be drawn. Pictures of rows read the data of the run again.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fallline.cli import screen
from fallline.cli.exits import UsageProblem
from fallline.cli.flags import argument, flag
from fallline.ranges import Range

EXAMPLES = """\
fallline plot runs/iris-1                            the list of its pictures
fallline plot runs/iris-1 loss                       writes iris-1-loss.png
fallline plot runs/iris-1 confusion --out paper.pdf
fallline plot runs/iris-1 loss --text                draws in the terminal
fallline plot runs/rates standings --style screen    of a race"""


@dataclass(frozen=True, slots=True)
class FLAGS:
    run: str = argument("the folder of a run, or of a race", "RUN")
    what: str | None = argument("which picture; none lists them", "WHAT", default=None)
    out: str | None = flag(None, "the file to write, .png, .pdf or .svg; by default RUN-WHAT.png here", metavar="FILE")
    style: str = flag("paper", "the look", metavar="NAME", limits=Range(number=False, words=("paper", "screen")))
    text: bool = flag(False, "draw it with characters, to the width of the terminal")
    debug: bool = flag(False, "show the traceback of an error")


def run(flags: FLAGS) -> None:
    from fallline.errors import ArgumentError
    from fallline.typesetting import words

    subject = shown(flags.run)
    if flags.what is None:
        listed(subject, flags.run)
        return
    if flags.text and flags.out is not None:
        raise UsageProblem("--text draws in the terminal, --out writes a file: one of the two")
    try:
        picture = subject.plot[flags.what]
        if flags.text:
            drawn = picture.text(width=screen.width(), ascii_only=screen.ascii_only())
            screen.say(drawn)
            return
        out = Path(flags.out if flags.out is not None else f"{Path(flags.run).resolve().name}-{flags.what}.png")
        picture(out=out, style=flags.style)
    except ArgumentError as error:
        raise UsageProblem(as_typed(str(error), flags.run)) from None
    screen.fact("drawn", words(picture.doc, 200))
    screen.fact("written", str(out), whole=True)


def shown(folder: str) -> Any:
    """The run in a folder, or the race whose runs stand inside it."""
    from fallline.cli.trained import folder_of
    from fallline.experiments.raced_folder import load_race
    from fallline.runs.folder import CONFIG, MODEL, run_folders
    from fallline.training.run import load_run

    path = folder_of(folder)
    is_run = (path / CONFIG).is_file() or (path / MODEL).is_file()
    return load_race(path) if not is_run and run_folders(path) else load_run(path)


def listed(subject: Any, folder: str) -> None:
    """The pictures that can be drawn, then the others with their reasons."""
    from fallline.typesetting import table

    rows = subject.plot.listed()
    drawable = [(name, doc) for name, doc, lack in rows if not lack]
    absent = [(name, f"not here: {lack.partition(chr(10))[0]}") for name, _, lack in rows if lack]
    screen.say(table([*drawable, *absent], width=screen.width(), ascii_only=screen.ascii_only()))
    screen.say(f"\nDraw one with: fallline plot {folder} NAME")


def as_typed(text: str, folder: str) -> str:
    """A message of the library in the words of the command line."""
    for name in ("predictions", "confusion"):
        text = text.replace(f"run.plot.{name}()", f"fallline plot {folder} {name}")
    text = re.sub(r'gauges=\["(\w+)"\] in fl.fit', r"fallline train ... --gauges \1", text)
    text = text.replace("gauges=True in fl.fit", "fallline train ... --gauges usual")
    return text.replace("validation=0.2 in fl.fit", "fallline train ... --validation 0.2")
