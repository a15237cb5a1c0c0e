"""`fallline evaluate`: how well a trained network does on a file that has the target too.

RUN is the folder of a run. FILE has the columns the network was trained on, found by name in any order, and the target;
a named data set stands for its own rows. Shown are the loss and the metrics, each with its standard error, which says
how much it would change with other rows from the same source; of classes, how many rows of each are taken for which;
of a quantity, how large the errors are.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fallline.cli import screen
from fallline.cli.exits import UsageProblem
from fallline.cli.flags import argument, flag

EXAMPLES = """\
fallline evaluate runs/data-1 test.csv
fallline evaluate runs/data-1 test.csv --metrics f1,calibration_error
fallline evaluate runs/data-1 new.csv --target price_2024"""

# Classes of which a table of all pairs fits on a screen; of more, the commonest mistakes are told.
MOST_CLASSES, MOST_MISTAKES = 8, 8
ALSO = {"classification": ("log_loss",), "binary": ("log_loss", "roc_auc"), "regression": ("mae",)}


@dataclass(frozen=True, slots=True)
class FLAGS:
    run: str = argument("the folder of a run", "RUN")
    file: str = argument("a file with the columns of the training data and the target", "FILE")
    target: str | None = flag(None, "the target's column, if it has another name in FILE", metavar="COLUMN")
    metrics: str | None = flag(None, "measured besides the usual ones", metavar="NAME,..")
    debug: bool = flag(False, "show the traceback of an error")


def run(flags: FLAGS) -> None:
    from fallline.assessment.assessed import assess
    from fallline.cli.estimates import say_wrapped
    from fallline.cli.trained import open_run
    from fallline.errors import ArgumentError, DataError
    from fallline.nn import measured

    names = [part.strip() for part in (flags.metrics or "").split(",") if part.strip()]
    try:
        requested = measured.resolve(list(dict.fromkeys(names)))
    except ArgumentError as error:
        raise UsageProblem(str(error)) from None
    trained = open_run(flags.run)
    if flags.target is not None:
        trained = replace(trained, decoder=replace(trained.decoder, target=flags.target))
    x, y, left_out = trained.labelled_rows(flags.file)
    if not len(y):
        raise DataError(f"{flags.file}: the target {trained.decoder.target!r} is missing in every row")
    model = trained.model
    try:
        found = assess(model, (x, y), metrics=[*also(model, {one.name for one in requested}), *requested])
    except ArgumentError as error:
        raise UsageProblem(str(error)) from None
    show(found, flags.file, trained.decoder.target, str(model.loss.name))
    if left_out:
        say_wrapped("left out", f"{left_out} rows without a target")
    for text in trained.surprises(x):
        say_wrapped("unknown", text)
    if trained.origin is not None and trained.origin.is_file(flags.file):
        say_wrapped("note", "the run was trained on most of these rows, so this is better than on new ones")


def also(model: Any, requested: set[str]) -> list[str]:
    """Metrics that are shown besides the usual ones of a training."""
    from fallline.nn.measured import has_probabilities
    from fallline.nn.metric import METRICS

    labels = model.labels
    kind = "regression" if labels is None else "binary" if len(labels) == 2 else "classification"
    names = [name for name in ALSO[kind] if METRICS[name].reads != "probabilities" or has_probabilities(model.loss)]
    return [name for name in names if name not in requested]


def show(found: Any, file: str, target: str, loss: str) -> None:
    """The numbers, then where the mistakes are."""
    from fallline.cli.estimates import say_wrapped, written
    from fallline.typesetting import number

    screen.fact("rows", f"{number(found.rows)} of {Path(file).name}, target {target!r}")
    sign = "+-" if screen.ascii_only() else "±"
    for name, value in found.values.items():
        note = f"   {loss}; {sign} is the standard error" if name == "loss" else ""
        text = written(name, value)
        if len(name) > 13:
            screen.say(f"{name}  {text}{note}")
        else:
            screen.fact(name, text + note)
    if found.confusion is not None:
        screen.say()
        confused(found.confusion, [str(one) for one in found.classes])
    if found.errors is not None:
        half, most, _, worst = found.errors.values()
        say_wrapped("errors", f"half of the rows are off by at most {number(half)}, nine of ten by {number(most)}, the "
                              f"worst by {number(worst)}")  # fmt: skip


def confused(counts: Any, labels: list[str]) -> None:
    """How many rows of each class are taken for which."""
    from fallline.typesetting import table

    wide, plain = screen.width(), screen.ascii_only()
    if len(labels) <= MOST_CLASSES:
        rows = [[label, *map(int, row)] for label, row in zip(labels, counts, strict=True)]
        screen.say(table(rows, ["true \\ said", *labels], width=wide, ascii_only=plain))
        return
    mistakes = sorted(
        ((int(n), t, p) for t, row in enumerate(counts) for p, n in enumerate(row) if t != p and n),
        key=lambda one: (-one[0], one[1], one[2]),
    )
    rows = [[n, labels[t], labels[p]] for n, t, p in mistakes[:MOST_MISTAKES]]
    if not rows:
        return
    screen.say(table(rows, ["rows", "true", "said"], width=wide, ascii_only=plain))
    left = sum(n for n, _, _ in mistakes[MOST_MISTAKES:])
    if left:
        screen.say(f"and {left} other mistakes of {len(mistakes) - MOST_MISTAKES} kinds")
