"""Lesson `overfitting`: training and validation loss part, and four ways to keep them together."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fallline.data.sets import load
from fallline.graph.op import Array
from fallline.insight.picture import line_chart, table
from fallline.lessons.lesson_table import ask, lesson
from fallline.lessons.page import heading, page, title, words
from fallline.nn import mlp
from fallline.optim import AdamW
from fallline.ranges import SEED, Range
from fallline.start import fit
from fallline.typesetting import number

VALIDATION = 800  # rows that no training sees
MORE = (1, 2, 4, 8)  # times the rows


@dataclass(frozen=True, eq=False)
class Course:
    """One training. training, validation: losses by epoch; right: the share of the validation rows at the end."""

    name: str
    training: Array
    validation: Array
    right: float

    @property
    def best(self) -> int:
        """The epoch with the lowest validation loss."""
        return int(self.validation.argmin())


@dataclass(frozen=True, eq=False)
class Overfitting:
    """plain: `rows` rows, no remedy. more: with further rows. remedies: weight decay, a small network."""

    rows: int
    hidden: int
    weight_decay: float
    parameters: int
    plain: Course
    more: tuple[Course, ...]
    remedies: tuple[Course, ...]


def train(name: str, data: Any, rows: int, hidden: int, epochs: int, decay: float, seed: int) -> tuple[Course, int]:
    """One training on the first `rows` rows, watched on rows of its own, and its number of parameters."""
    x, y = data
    run = fit(mlp((hidden,), 10), (x[VALIDATION : VALIDATION + rows], y[VALIDATION : VALIDATION + rows]),
              loss="cross_entropy", optimizer=AdamW(0.003, weight_decay=decay), epochs=epochs, batch_size=32,
              validation=(x[:VALIDATION], y[:VALIDATION]), metrics="accuracy", seed=seed, threads=1)  # fmt: skip
    history = run.history
    right = float(history["validation_accuracy"][-1])
    return Course(name, history["loss"], history["validation_loss"], right), run.model.theta.size


def tell(result: Overfitting, *, width: int, ascii_only: bool) -> list[str]:
    plain = result.plain
    least, end, epochs = float(plain.validation[plain.best]), float(plain.validation[-1]), plain.validation.size
    looks = sorted({round(i) for i in np.geomspace(1, epochs, 8)})
    rows = [[k, number(float(plain.training[k - 1])), number(float(plain.validation[k - 1]))] for k in looks]

    def figures(one: Course) -> list[str]:
        losses = (one.training[-1], one.validation[-1], one.validation[one.best])
        return [one.name, *(number(float(loss)) for loss in losses), str(one.best + 1), f"{100 * one.right:.1f} %"]

    headers = ["", "training", "validation", "lowest", "in epoch", "right"]
    parted = end > 1.02 * least
    curves = {"training": (np.arange(1, epochs + 1), plain.training),
              "validation": (np.arange(1, epochs + 1), plain.validation)}  # fmt: skip
    compared = (plain, result.more[-1], *result.remedies)
    lowest = [float(one.validation[one.best]) for one in compared]
    return [
        page([
            title("Overfitting: learning by heart", ascii_only=ascii_only),
            words(f"""A network with {result.parameters:,} parameters learns {result.rows} digits, and is
                watched on {VALIDATION} others that no step sees. Mean cross-entropy after so many epochs:""", width),
            table(rows, ["epoch", "training loss", "validation loss"], width=width, ascii_only=ascii_only),
            words(f"""The validation loss was lowest in epoch {plain.best + 1}, {number(least)}, and ended at
                {number(end)}. """ + ("""From there on the network learns what is true of its own rows alone: it grows
                surer of them, and surer where it is wrong too. Early stopping keeps the parameters of that epoch."""
                if parted else "The two have not parted yet."), width),
        ]),
        line_chart(curves, log_x=True, log_y=True, width=min(width, 76), height=14, x_label="epoch",
                   title=f"Loss on {result.rows} rows it learns from, and on {VALIDATION} others",
                   ascii_only=ascii_only),
        page([
            heading("More rows, smaller weights, fewer units", ascii_only=ascii_only),
            words(f"At the end of {epochs} epochs, and where the validation loss was lowest:", width),
            table([figures(one) for one in (plain, *result.more, *result.remedies)], headers, width=width,
                  ascii_only=ascii_only),
            words(f"""With {result.more[-1].name} the lowest validation loss is {number(lowest[1])} instead
                of {number(lowest[0])}: there is less to learn by heart for the same number of parameters.
                Weight decay and fewer units hold the training loss back, so that the two stay nearer one
                another. Whether that also predicts better is another question: here {number(lowest[2])} and
                {number(lowest[3])}.""", width),
        ]),
    ]  # fmt: skip


@lesson(
    "overfitting",
    "Learning by heart",
    "training and validation loss part; more rows, decay, stopping",
    tell,
    options={
        "rows": Range("digits to learn from", at_least=20, at_most=900, whole=True),
        "hidden": Range("hidden units", at_least=1, at_most=512, whole=True),
        "weight_decay": Range("of the training that is compared", at_least=0, at_most=10),
        "epochs": Range("of every training", at_least=8, at_most=2000, whole=True),
        "seed": replace(SEED, doc="of the first weights and of the batches"),
    },
    asks=(
        ask("fewer units: is there less to overfit with?", hidden=4),
        ask("many rows from the start", rows=800),
    ),
)
def overfitting(
    rows: int = 100, hidden: int = 64, weight_decay: float = 1.0, epochs: int = 300, seed: int = 0
) -> Overfitting:
    """Train on a few digits until the validation loss rises, then with more rows, weight decay and fewer units."""
    digits = load("digits")
    order = np.random.default_rng(0).permutation(len(digits))
    data = (digits.x[order] / 16).astype(np.float32), digits.y[order].astype(np.int64)
    most = len(digits) - VALIDATION
    plain, parameters = train(f"{rows} rows", data, rows, hidden, epochs, 0.0, seed)
    sizes = [min(rows * times, most) for times in MORE if times > 1]
    more = [train(f"{n} rows", data, n, hidden, epochs, 0.0, seed)[0] for n in dict.fromkeys(sizes)]
    small = max(hidden // 8, 1)
    remedies = [
        train(f"weight decay {weight_decay:g}", data, rows, hidden, epochs, weight_decay, seed)[0],
        train(f"{small} hidden units", data, rows, small, epochs, 0.0, seed)[0],
    ]
    return Overfitting(rows, hidden, weight_decay, parameters, plain, tuple(more), tuple(remedies))
