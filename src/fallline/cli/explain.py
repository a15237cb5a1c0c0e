"""`fallline explain`: one row through a trained network and back, every number shown.

Forward layer by layer to the loss, backward layer by layer with each delta; for one weight or input the chain rule
written out with its numbers, along all its paths, confirmed by a central difference; and the step that follows. Rows
are counted from 0, in the order of the data set or file the run was trained on; --data takes another file with the
same columns and target. Of several networks that are averaged, one is explained.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fallline.cli import screen
from fallline.cli.exits import UsageProblem
from fallline.cli.flags import argument, flag
from fallline.cli.trained import Trained, folder_of, open_run
from fallline.nn import Columns, Model
from fallline.nn.column import Standardised
from fallline.table import Table

EXAMPLES = """\
fallline explain runs/iris-1 --row 3
fallline explain runs/iris-1 --row 3 --to 'petal length'
fallline explain runs/iris-1 --row 3 --weight '0.weight[2,5]' --paths 20
fallline explain runs/iris-1 --row 3 --html row.html --svg network.svg
fallline explain runs/data-1 --row 0 --data new.csv"""


MOST_PLACES = 40  # columns whose places among the inputs are told


@dataclass(frozen=True, slots=True)
class FLAGS:
    run: str = argument("the folder of a run", "RUN")
    row: int = flag(0, "which row, counted from 0", metavar="N", at_least=0, whole=True)
    to: str | None = flag(None, "the number to follow: a column's name, an input as x[2], or a weight", metavar="NAME")
    weight: str | None = flag(
        None, "the weight to follow, as 0.weight[2,5]; by default one that matters", metavar="WEIGHT"
    )
    paths: str | None = flag(None, "how many paths to list, or all; by default a few", metavar="N")
    member: int = flag(1, "of several networks, which one, from 1", metavar="N", at_least=1, whole=True)
    html: str | None = flag(None, "write a page", metavar="FILE")
    latex: str | None = flag(None, "write a LaTeX document", metavar="FILE")
    svg: str | None = flag(None, "write the network drawn", metavar="FILE")
    data: str | None = flag(None, "take the row from this file", metavar="FILE")
    debug: bool = flag(False, "show the traceback of an error")


def run(flags: FLAGS) -> None:
    import fallline as fl
    from fallline.cli.estimates import say_wrapped

    check_folders(flags)
    trained = open_run(flags.run)
    name = flags.data or (None if trained.origin is None else trained.origin.data)
    if name is None:
        raise UsageProblem(f"the run in {flags.run} does not name the data it was trained on\n  try: --data FILE")
    x, y, _ = trained.labelled_rows(name)
    if flags.row >= len(x):
        raise UsageProblem(f"there is no row {flags.row} in {name}: its rows are 0 to {len(x) - 1}")
    row, truth = x.take([flags.row]), y[flags.row]
    numbers = trained.encoder.table_numbers(row, name)
    subject, count = one_network(flags, trained)
    found = fl.explain(subject, numbers[0], truth, weight=flags.weight, to=flags.to, paths=paths(flags.paths))
    facts = {
        "row": f"{flags.row} of {Path(name).name}",
        "target": f"{trained.decoder.target!r} is {meaning(truth)}",
        "prediction": prediction(trained.model, row),
    }
    if count > 1:
        alone = prediction(subject.model, row)
        facts["network"] = f"{flags.member} of {count}, which are averaged; alone it says {alone}"
    if trained.labels:
        facts["classes"] = ", ".join(f"{code} is {str(label)!r}" for code, label in enumerate(trained.labels))
    for what, text in facts.items():
        screen.fact(what, text)
    say_wrapped("inputs", inputs(trained.encoder))
    if getattr(trained.decoder, "scale", 1) != 1:
        screen.fact("", "the target too, so the loss is in its standard deviations")
    screen.say()
    screen.say(found.text(width=screen.width(), ascii_only=screen.ascii_only()))
    write(flags, replace(found, notes=(*(f"{what}: {text}" for what, text in facts.items()), *found.notes)))


def check_folders(flags: FLAGS) -> None:
    """Errors: UsageProblem for a file in a folder that is not there."""
    for file in (flags.html, flags.latex, flags.svg):
        if file is not None and not Path(file).absolute().parent.is_dir():
            raise UsageProblem(f"{file}: there is no folder {Path(file).parent}")


def write(flags: FLAGS, found: Any) -> None:
    """The files that were asked for."""
    written = {
        flags.html: ("a page", found.html),
        flags.latex: ("a LaTeX document", lambda: found.latex(document=True)),
        flags.svg: ("the network drawn", found.svg),
    }
    told = [(file, what, make) for file, (what, make) in written.items() if file is not None]
    if told:
        screen.say()
    for file, what, make in told:
        Path(file).write_text(make(), encoding="utf-8")
        screen.fact("written", f"{file}: {what}", whole=True)


def paths(text: str | None) -> Any:
    """The number of paths, or "all". Errors: UsageProblem for another text."""
    if text is None or text == "all":
        return text
    if not text.isdigit():
        raise UsageProblem(f"--paths is a whole number or all, got {text!r}")
    return int(text)


def one_network(flags: FLAGS, trained: Trained) -> tuple[Any, int]:
    """The run with the one network that is to be explained, and of how many it is."""
    import fallline as fl
    from fallline.insight.opened import members_in
    from fallline.nn import members

    whole = fl.load_run(folder_of(flags.run))
    models = members(trained.model)
    if flags.member > len(models):
        several = f"the numbers are 1 to {len(models)}" if len(models) > 1 else "this run has one"
        raise UsageProblem(f"there is no network {flags.member}: {several}")
    own = members_in(whole, len(models))[flags.member - 1]
    return replace(own or whole, model=models[flags.member - 1]), len(models)


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
