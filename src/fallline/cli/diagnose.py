"""`fallline diagnose`: where a run stands, and what is wrong with it, with the numbers behind each finding.

Nothing in the folder changes. The rows are those of the file or set the run was trained on.
"""

from dataclasses import dataclass

from fallline.cli import screen
from fallline.cli.flags import argument, flag

EXAMPLES = """\
fallline diagnose runs/iris-1"""


@dataclass(frozen=True, slots=True)
class FLAGS:
    run: str = argument("the folder of a run", "RUN")
    thorough: bool = flag(False, "look also at what takes long")
    json: bool = flag(False, "as JSON, for programs")
    debug: bool = flag(False, "show the traceback of an error")


def run(flags: FLAGS) -> None:
    import json

    from fallline.cli.trained import folder_of
    from fallline.diagnosis.diagnosed import diagnose

    found = diagnose(folder_of(flags.run), thorough=flags.thorough)
    if flags.json:
        screen.say(json.dumps(found.to_dict()))
    else:
        screen.say(found.text(width=screen.width(), ascii_only=screen.ascii_only()))
