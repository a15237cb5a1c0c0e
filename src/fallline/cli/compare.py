"""`fallline compare`: two runs side by side, and the first step and tensor where they part.

Settings that differ, checksums of the data and versions among them; results; and then both trainings are made again,
step by step, until their parameters differ: because of the first parameters, the rows of a batch, the values of those
rows, the gradient, or the update. Nothing in the folders changes.
"""

from dataclasses import dataclass

from fallline.cli import screen
from fallline.cli.flags import argument, flag

EXAMPLES = """\
fallline compare runs/iris-1 runs/iris-2
fallline compare runs/iris-1 runs/iris-2 --steps 0"""


@dataclass(frozen=True, slots=True)
class FLAGS:
    first: str = argument("the folder of a run", "RUN")
    second: str = argument("the folder of another", "RUN")
    steps: int | None = flag(
        None, "steps to make again at most; all by default", metavar="N", at_least=0, whole=True, optional=True
    )
    json: bool = flag(False, "as JSON, for programs")
    debug: bool = flag(False, "show the traceback of an error")


def run(flags: FLAGS) -> None:
    import json

    from fallline.cli.trained import folder_of
    from fallline.insight.run_difference import difference

    folders = [folder_of(one) for one in (flags.first, flags.second)]
    with screen.told_if_slow("both trainings are made again"):
        found = difference(folders[0], folders[1], steps=flags.steps)
    if flags.json:
        screen.say(json.dumps(found.to_dict()))
    else:
        screen.say(found.text(width=screen.width(), ascii_only=screen.ascii_only()))
