"""`fallline report`: one HTML file with all that can be told about a run.

The data as they were understood, the curves, the results beside simpler models, every verdict with its evidence, and
one row through the network and back. The file needs nothing else: it can be sent, and opened without a network.
"""

from dataclasses import dataclass

from fallline.cli import screen
from fallline.cli.flags import argument, flag

EXAMPLES = """\
fallline report runs/iris-1
fallline report runs/iris-1 --out iris.html --row 12"""


@dataclass(frozen=True, slots=True)
class FLAGS:
    run: str = argument("the folder of a run", "RUN")
    out: str | None = flag(None, "the file; by default report.html in the run's folder", metavar="FILE")
    row: int = flag(0, "the row of the data to explain, counted from 0", metavar="N", at_least=0, whole=True)
    debug: bool = flag(False, "show the traceback of an error")


def run(flags: FLAGS) -> None:
    from fallline.cli.trained import folder_of
    from fallline.report.whole_page import write

    with screen.told_if_slow("looking at the run from all sides, which takes some seconds"):
        path = write(folder_of(flags.run), out=flags.out, row=flags.row)
    screen.fact("report", str(path), whole=True)
