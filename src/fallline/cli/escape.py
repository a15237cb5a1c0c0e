"""`fallline escape`: a step off the saddle at which a run stopped, and a training that goes on from there.

The step goes along the direction of negative curvature to the lowest loss on that line. The run in RUN is not changed:
the new one has a folder of its own, and is trained as the old one was. A run that stands at no saddle is refused, with
where it stands.
"""

from dataclasses import dataclass
from itertools import count
from pathlib import Path

from fallline.cli import screen
from fallline.cli.flags import argument, flag

EXAMPLES = """\
fallline escape runs/iris-1
fallline escape runs/iris-1 --out runs/escaped --epochs 200"""


@dataclass(frozen=True, slots=True)
class FLAGS:
    run: str = argument("the folder of a run", "RUN")
    out: str | None = flag(None, "folder for the new run; by default RUN-escaped-1 and so on", metavar="FOLDER")
    epochs: int | None = flag(None, "epochs to train for; by default as many as RUN was given", metavar="N",
                              at_least=1, whole=True)  # fmt: skip
    debug: bool = flag(False, "show the traceback of an error")


def run(flags: FLAGS) -> None:
    from fallline.cli.trained import folder_of
    from fallline.diagnosis.escaped import escape

    folder = folder_of(flags.run)
    out = Path(flags.out) if flags.out is not None else free_folder(folder)
    made = escape(folder, out=out, epochs=flags.epochs)
    screen.say(made.text(width=screen.width(), ascii_only=screen.ascii_only()))
    screen.say("")
    screen.say(f"saved in {out}")


def free_folder(run: Path) -> Path:
    """A folder beside that of the run that is not there yet."""
    names = (run.with_name(f"{run.resolve().name}-escaped-{n}") for n in count(1))
    return next(name for name in names if not name.exists())
