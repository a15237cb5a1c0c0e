"""`fallline export`: a trained network as a file for other programs.

RUN is the folder of a run. The kind of FILE follows from its ending: .onnx is an ONNX graph with the preprocessing
inside, so that raw values go in, one input a column, and labels and probabilities, or quantities, come out; its
metadata name the columns, their kinds and levels, the classes and the version. .py is a Python script that trains the
same network again, from the same data.
"""

from dataclasses import dataclass
from pathlib import Path

from fallline.cli import screen
from fallline.cli.exits import UsageProblem
from fallline.cli.flags import argument, flag

EXAMPLES = """\
fallline export runs/data-1 model.onnx
fallline export runs/data-1 model.onnx --overwrite
fallline export runs/data-1 train.py                     then: python train.py"""


@dataclass(frozen=True, slots=True)
class FLAGS:
    run: str = argument("the folder of a run", "RUN")
    file: str = argument("the file to write, .onnx or .py", "FILE")
    overwrite: bool = flag(False, "replace FILE where it is there")
    debug: bool = flag(False, "show the traceback of an error")


def run(flags: FLAGS) -> None:
    import fallline as fl
    from fallline.errors import ArgumentError
    from fallline.exports.exporter import format_of

    path = Path(flags.file)
    try:
        kind = format_of(path)
    except ArgumentError as error:
        raise UsageProblem(str(error)) from None
    if not path.absolute().parent.is_dir():
        raise UsageProblem(f"{path}: there is no folder {path.parent}")
    from fallline.cli.trained import folder_of

    fl.export(folder_of(flags.run), path, overwrite=flags.overwrite)
    screen.say(f"{path}: {kind.doc}, {path.stat().st_size:,} bytes")
