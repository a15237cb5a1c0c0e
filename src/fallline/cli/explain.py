"""`fallline explain`: one row through a trained network and back, every number shown.

Forward layer by layer to the loss, backward layer by layer with each delta, and for one weight the chain rule written
out with its numbers and confirmed by a central difference. Rows are counted from 0, in the order of the data set or
file the run was trained on; --data takes another file with the same columns and target.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fallline.cli import screen
from fallline.cli.exits import UsageProblem
from fallline.cli.flags import argument, flag
from fallline.cli.trained import open_run
from fallline.nn import Columns, Model
from fallline.nn.column import Standardised
from fallline.table import Table

EXAMPLES = """\
fallline explain runs/iris-1 --row 3
fallline explain runs/iris-1 --row 3 --weight '0.weight[2,5]'
fallline explain runs/data-1 --row 0 --data new.csv"""


MOST_PLACES = 40  # columns whose places among the inputs are told


@dataclass(frozen=True, slots=True)
class FLAGS:
    run: str = argument("the folder of a run", "RUN")
    row: int = flag(0, "which row, counted from 0", metavar="N", at_least=0, whole=True)
    weight: str | None = flag(
        None, "the weight to follow, as 0.weight[2,5]; by default one that matters", metavar="WEIGHT"
    )
    data: str | None = flag(None, "take the row from this file", metavar="FILE")
    debug: bool = flag(False, "show the traceback of an error")


def run(flags: FLAGS) -> None:
    import fallline as fl
    from fallline.cli.estimates import say_wrapped

    trained = open_run(flags.run)
    model = trained.model
    name = flags.data or (None if trained.origin is None else trained.origin.data)
    if name is None:
        raise UsageProblem(f"the run in {flags.run} does not name the data it was trained on\n  try: --data FILE")
    x, y, _ = trained.labelled_rows(name)
    if flags.row >= len(x):
        raise UsageProblem(f"there is no row {flags.row} in {name}: its rows are 0 to {len(x) - 1}")
    row, truth = x.take([flags.row]), y[flags.row]
    numbers = trained.encoder.table_numbers(row, name)
    found = fl.explain(model, numbers[0], truth, weight=flags.weight)
    screen.fact("row", f"{flags.row} of {Path(name).name}")
    screen.fact("target", f"{trained.decoder.target!r} is {meaning(truth)}")
    screen.fact("prediction", prediction(model, row))
    if trained.labels:
        screen.fact("classes", ", ".join(f"{code} is {str(label)!r}" for code, label in enumerate(trained.labels)))
    say_wrapped("inputs", inputs(trained.encoder))
    if getattr(trained.decoder, "scale", 1) != 1:
        screen.fact("", "the target too, so the loss is in its standard deviations")
    screen.say()
    screen.say(found.text(width=screen.width(), ascii_only=screen.ascii_only()))


def inputs(encoder: Columns) -> str:
    """The columns as the network sees them, and which of its inputs each of them is."""
    if all(isinstance(one, Standardised) for one in encoder.columns):
        return "columns standardised: (value - mean) / scale of the training rows"
    seen = [one for one in encoder.columns if one.width]
    first, told = 0, []
    for one in seen[:MOST_PLACES]:
        told.append(f"{one.name} [{first}]" + (f" to [{first + one.width - 1}]" if one.width > 1 else ""))
        first += one.width
    more = f" and {len(seen) - MOST_PLACES} more" if len(seen) > MOST_PLACES else ""
    return f"columns scaled or coded: {', '.join(told)}{more}"


def meaning(y: Any) -> str:
    """A target as its file says it."""
    return f"{float(y):g}" if isinstance(y, float | np.floating) else repr(str(y))


def prediction(model: Model, x: Table) -> str:
    """The answer of the network for one row, and how sure it is."""
    text = meaning(model.predict(x)[0])
    if model.classes is not None and model.loss.link is not None:
        text += f", with probability {float(model.predict_proba(x).max()):.4g}"
    return text
