"""`fallline predict`: the rows of a file through a trained network, and its answers as a file.

RUN is the folder of a run. FILE has the columns the network was trained on, found by name in any order, and is read
and understood as the run's own file was; other columns, the target among them, are not looked at. The answers come in
the order of the rows, one column called prediction; with --probabilities also one column for each class. Levels and
gaps that training has not met are told.
"""

import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from fallline.cli import screen
from fallline.cli.exits import UsageProblem
from fallline.cli.flags import argument, flag
from fallline.nn import Model

EXAMPLES = """\
fallline predict runs/data-1 new.csv                     answers on screen
fallline predict runs/data-1 new.csv --out answers.csv
fallline predict runs/iris-1 new.csv --probabilities"""


@dataclass(frozen=True, slots=True)
class FLAGS:
    run: str = argument("the folder of a run", "RUN")
    file: str = argument("a file with the columns of the training data", "FILE")
    out: str | None = flag(None, "where to write; by default to the screen", metavar="FILE")
    probabilities: bool = flag(False, "add the probability of each class")
    debug: bool = flag(False, "show the traceback of an error")


def run(flags: FLAGS) -> None:
    from fallline.cli.trained import open_run
    from fallline.runs.disk import saving_errors, write_atomically

    if flags.out is not None:
        check_out(Path(flags.out), Path(flags.file))
    trained = open_run(flags.run)
    model = trained.model
    if flags.probabilities and (not trained.labels or model.loss.link is None):
        raise UsageProblem(f"the run in {flags.run} gives no probabilities: it was trained with the loss "
                           f"{model.loss.name}")  # fmt: skip
    x = trained.rows(flags.file)
    for note in trained.surprises(x):
        screen.note(note)
    header, columns = ["prediction"], [answers(model.predict(x), model)]
    if flags.probabilities:
        header += [f"probability_{label}" for label in trained.labels]
        columns += [texts(column, column.dtype) for column in model.predict_proba(x).T]
    rows = list(zip(*columns, strict=True))
    if flags.out is None:
        write(sys.stdout, header, rows)
        return
    path = Path(flags.out)

    def put(part: Path) -> None:
        with part.open("w", encoding="utf-8", newline="") as file:
            write(file, header, rows)

    # A device or a pipe is written to as it is; a file is whole or not there.
    if path.exists() and not path.is_file():
        put(path)
    else:
        with saving_errors(path):
            write_atomically(path, put)
    screen.say(f"{len(rows)} predictions of {trained.decoder.target!r} written to {path}")


def check_out(out: Path, file: Path) -> None:
    """Raise unless the answers may be written there."""
    if out.is_dir():
        raise UsageProblem(f"--out {out} is a folder, not a file")
    if not out.absolute().parent.is_dir():
        raise UsageProblem(f"--out {out}: there is no folder {out.parent}")
    if out.exists() and file.exists() and out.samefile(file):
        raise UsageProblem(f"--out {out} is the file that is read")


def answers(y_hat: NDArray[Any], model: Model) -> Iterator[str]:
    """Predictions as a file holds them: labels, or quantities in the target's own units."""
    return texts(y_hat, model.dtype) if model.classes is None else map(str, y_hat.tolist())


def texts(values: NDArray[Any], dtype: Any) -> Iterator[str]:
    """Numbers with as many digits as those of this dtype hold: nine of float32, all of float64."""
    numbers = values.astype(np.float64).tolist()
    return (f"{value:.9g}" for value in numbers) if dtype == np.float32 else map(repr, numbers)


def write(file: TextIO, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
