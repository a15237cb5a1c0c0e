"""`fallline explain`: one row through a trained network and back, every number shown.

Forward layer by layer to the loss, backward layer by layer with each delta, and for one weight the chain rule written
out with its numbers and confirmed by a central difference. Rows are counted from 0, in the order of the data set or
file the run was trained on; --data takes another file with the same columns and target.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.cli import screen
from fallline.cli.exits import UsageProblem
from fallline.cli.flags import argument, flag

EXAMPLES = """\
fallline explain runs/iris-1 --row 3
fallline explain runs/iris-1 --row 3 --weight '0.weight[2,5]'
fallline explain runs/data-1 --row 0 --data new.csv"""


@dataclass(frozen=True, slots=True)
class FLAGS:
    run: str = argument("the folder of a run", "RUN")
    row: int = flag(0, "which row, counted from 0", metavar="N", at_least=0, whole=True)
    weight: str | None = flag(
        None, "the weight to follow, as 0.weight[2,5]; by default one that matters", metavar="WEIGHT"
    )
    data: str | None = flag(None, "take the row from this CSV file", metavar="FILE")
    debug: bool = flag(False, "show the traceback of an error")


def run(flags: FLAGS) -> None:
    import fallline as fl
    from fallline.cli.trained import open_run

    trained = open_run(flags.run)
    preprocessing = trained.preprocessing
    name = flags.data or trained.source.get("data")
    if not isinstance(name, str):
        raise UsageProblem(f"the run in {flags.run} does not say what data it was trained on\n  try: --data FILE")
    x, y = rows_of(name, preprocessing)
    if flags.row >= len(x):
        raise UsageProblem(f"there is no row {flags.row} in {name}: its rows are 0 to {len(x) - 1}")
    ready, truth = preprocessing.inputs(x[flags.row]), preprocessing.targets(y[flags.row : flags.row + 1])[0]
    found = fl.explain(trained.model, ready, truth, weight=flags.weight)
    screen.fact("row", f"{flags.row} of {Path(name).name}")
    screen.fact("target", f"{preprocessing.target!r} is {meaning(truth, preprocessing)}")
    screen.fact("prediction", prediction(trained.model, ready, preprocessing))
    if preprocessing.classes:
        screen.fact("classes", ", ".join(f"{code} is {name!r}" for code, name in enumerate(preprocessing.classes)))
    screen.fact("inputs", "columns standardised: (value - mean) / scale of the training rows")
    if preprocessing.target_scale != 1:
        screen.fact("", "the target too, so the loss is in its standard deviations")
    screen.say()
    screen.say(found.text(width=screen.width(), ascii_only=screen.ascii_only()))


def rows_of(name: str, preprocessing: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """The columns and targets of a named set or a file, as the run knows them."""
    from fallline.data import sets
    from fallline.data.dataset import listed
    from fallline.data.table import read_table
    from fallline.data.target import known_codes, quantities

    if name in sets.SETS:
        data = sets.load(name)
        if (data.features, data.target) != (preprocessing.features, preprocessing.target):
            raise UsageProblem(f"the data set {name!r} has other columns than those of the run: "
                               f"{listed(preprocessing.features)} and the target {preprocessing.target!r}")  # fmt: skip
        return data.x, data.y
    table = read_table(name, target=preprocessing.target, features=preprocessing.features)
    if preprocessing.classes:
        return table.x, known_codes(table, preprocessing.target, preprocessing.classes)
    return table.x, quantities(table, preprocessing.target)


def meaning(y: Any, preprocessing: Any) -> str:
    """A target as its file says it."""
    if preprocessing.classes:
        return repr(preprocessing.classes[int(y)])
    return f"{float(preprocessing.quantities(np.asarray(y))):g}"


def prediction(model: Any, x: NDArray[Any], preprocessing: Any) -> str:
    """What the network answers, and how sure it is."""
    y_hat = model.predict(x[None])[0]
    text = meaning(y_hat, preprocessing)
    if preprocessing.classes and model.loss.link is not None:
        text += f", with probability {float(model.predict_proba(x[None]).max()):.4g}"
    return text
