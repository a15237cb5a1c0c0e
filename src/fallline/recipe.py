"""How a table becomes a training: the loss, the scales of columns and target, the network, the length, the monitored
number.

Every face (the command line, an estimator, a studio) turns a person's wishes into Choices, and trains by the
Recipe that they make of a table. Knows no face and reads no file.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fallline import optim, ranges
from fallline.data.dataset import Dataset, Rows
from fallline.data.preprocess import decoder_of, encoder_of, targets_of
from fallline.errors import ArgumentError, unknown
from fallline.jobs.settings import Settings
from fallline.jobs.stopping import NEVER, EarlyStopping
from fallline.nn import ACTIVATIONS, LOSSES, Columns, CrossEntropy, Identity, Loss, Sequential, measured, mlp
from fallline.nn.encoder import Decoder
from fallline.optim import MINIMISERS, OPTIMIZERS, SCHEDULES, Minimiser, Optimizer
from fallline.ranges import option, range_of, ranged

# Chosen on other splits of digits, iris, wine and breast-cancer than the one that is shown: without the smoothing,
# the mean over ten splits of digits is 98.2 % instead of 98.9 %.
HIDDEN, BATCH_SIZE, SMOOTHING = (128,), 16, 0.1
# A share so small that the lowest loss on it is an accident is not worth watching.
VALIDATION, FEWEST_VALIDATION_ROWS = 0.1, 10


def named(table: Any) -> tuple[str, ...]:
    """The names of a table, sorted."""
    return tuple(sorted(table))


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """The choices of a person for the training on a table; None leaves a choice to the table or to the library.

    hidden: widths of the hidden layers, () for none. metrics: measured besides the usual ones, names of nn.METRICS
    or of scikit-learn's scorers. watch: the metric by which the best epoch is chosen; None for the validation loss.
    batch_size: "auto" stands for 16 rows, and for all where a minimiser such as L-BFGS needs them. The ranges are what
    flags, parameters and sliders read.
    Errors: ArgumentError with all that is outside its range.
    Example: Choices(hidden=(64, 64), activation="tanh", epochs=100)
    """

    hidden: tuple[int, ...] = HIDDEN
    activation: str = option("relu", "after each hidden layer", number=False, words=named({*ACTIVATIONS} - {"softmax"}))
    loss: str | None = option(
        None,
        "the loss to minimise; by default cross_entropy or squared_error",
        number=False,
        words=named(LOSSES),
        optional=True,
    )
    label_smoothing: float | None = ranged(None, range_of(CrossEntropy, "label_smoothing"), optional=True)
    optimizer: str = option(
        "adam", "how steps follow from gradients", number=False, words=named({*OPTIMIZERS, *MINIMISERS})
    )
    learning_rate: float | None = ranged(None, range_of(Optimizer, "learning_rate"), optional=True)
    schedule: str | None = option(
        None, "how the learning rate changes over the steps", number=False, words=named(SCHEDULES), optional=True
    )
    weight_decay: float | None = ranged(None, range_of(Optimizer, "weight_decay"), optional=True)
    clip_norm: float | None = ranged(None, range_of(Optimizer, "clip_norm"))
    batch_size: int | str = ranged("auto", range_of(Settings, "batch_size"), optional=False)
    epochs: int | None = ranged(None, range_of(Settings, "epochs"))
    validation: float | None = option(None, "share of the training rows", at_least=0, below=1, optional=True)
    early_stopping: int | None = ranged(None, range_of(EarlyStopping, "patience"))
    metrics: tuple[str, ...] = ()
    watch: str | None = None
    seed: int = ranged(0, range_of(Settings, "seed"))
    dtype: str = ranged("float32", range_of(Settings, "dtype"), optional=False)

    def __post_init__(self) -> None:
        for name, default in (("hidden", HIDDEN), ("metrics", ())):
            value: Any = getattr(self, name)
            several = tuple(value) if isinstance(value, list | tuple) else (value,)
            object.__setattr__(self, name, default if value is None else several)
        wrong = ranges.problems(self)
        wrong += [problem for name in (*self.metrics, self.watch) if (problem := _unmeasured(name))]
        wrong += [f"hidden: a width {problem}" for one in self.hidden if (problem := ranges.COUNT.problem(one))]
        if wrong:
            raise ArgumentError("\n  and ".join(wrong))


@dataclass(frozen=True, slots=True)
class Recipe:
    """A training of a table, decided in every point. train: training and validation rows, without test rows.
    validation: the share of these that are validation rows; 0 for none.
    """

    choices: Choices
    data: Dataset
    train: Rows
    encoder: Columns
    decoder: Decoder
    network: Sequential
    loss: Loss
    optimizer: Optimizer
    batch_size: int | str
    validation: float

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers in, widths of the hidden layers, numbers out."""
        return (self.encoder.width, *self.choices.hidden, outputs_for(self.loss, self.data))

    @property
    def rows(self) -> tuple[Any, Any]:
        """x and y to train on, as they are in the table: the first argument of a training after its network."""
        return self.data.take(self.train), targets_of(self.data, self.train, self.decoder)

    @property
    def early_stopping(self) -> EarlyStopping | int | None:
        """With epochs and without a patience no epoch is too many, but the best one is kept all the same."""
        patience = self.choices.early_stopping or (NEVER if self.validation and self.choices.epochs else None)
        return patience if self.choices.watch is None else EarlyStopping(patience, watch=self.choices.watch)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of `fl.train`, `fl.fit` and `fl.race`: all that they take besides the network and the rows."""
        watched = [name for name in (self.choices.watch,) if name and name not in self.choices.metrics]
        return {
            "loss": self.loss,
            "optimizer": self.optimizer,
            "epochs": self.choices.epochs,
            "batch_size": self.batch_size,
            "validation": self.validation or None,
            "early_stopping": self.early_stopping,
            "metrics": (*self.choices.metrics, *watched) or None,
            "seed": self.choices.seed,
            "dtype": self.choices.dtype,
            "encoder": self.encoder,
            "decoder": self.decoder,
        }

    @property
    def variant(self) -> dict[str, Any]:
        """The settings in which this recipe may differ from others of one race."""
        own = ("optimizer", "batch_size", "epochs", "seed")
        return {"model": self.network, **{name: self.settings[name] for name in own}}


def recipe_of(data: Dataset, choices: Choices, train: Rows | None = None, like: Recipe | None = None) -> Recipe:
    """The recipe for a table.

    data: the whole table. train: the rows to train on; None for all. like: a recipe for the same table, whose rows and
        measured columns are taken.
    Errors: ArgumentError for choices that do not fit one another or the table.
    Example:
        recipe = recipe_of(sets.load("iris"), Choices(epochs=50))
        run = fl.fit(recipe.network, recipe.rows, **recipe.settings)
    """
    optimizer = optim.get(
        choices.optimizer,
        schedule=choices.schedule,
        learning_rate=choices.learning_rate,
        weight_decay=choices.weight_decay,
        clip_norm=choices.clip_norm,
    )
    loss = loss_for(data, choices)
    if like is None:
        rows = np.arange(len(data)) if train is None else train
        encoder = encoder_of(data, rows)
    else:
        rows, encoder = like.train, like.encoder
    share = validation_for(len(rows)) if choices.validation is None else choices.validation
    left = max(1, len(rows) - (max(1, round(share * len(rows))) if share else 0))
    size = choices.batch_size
    if size == "auto":
        size = "full" if isinstance(optimizer, Minimiser) else BATCH_SIZE
    return Recipe(
        choices=choices,
        data=data,
        train=rows,
        encoder=encoder,
        # The outputs of a network with another link are not spread around zero.
        decoder=decoder_of(data, rows, standard=isinstance(loss.link, Identity)),
        network=mlp(choices.hidden, outputs_for(loss, data), choices.activation),
        loss=loss,
        optimizer=optimizer,
        batch_size="full" if not isinstance(size, str) and size >= left else size,
        validation=share,
    )


def _unmeasured(name: str | None) -> str | None:
    """The problem of the name of a metric, or None."""
    try:
        _ = None if name is None else measured.of_name(name)
    except ArgumentError as error:
        return str(error)
    return None


def validation_for(rows: int) -> float:
    """The default share of validation rows among so many training rows."""
    return VALIDATION if VALIDATION * rows >= FEWEST_VALIDATION_ROWS else 0.0


def outputs_for(loss: Loss, data: Dataset) -> int:
    """Numbers the network gives for a row: one for each class where the loss tells several apart."""
    return len(data.classes) if loss.task == "classification" else 1


def loss_for(data: Dataset, choices: Choices) -> Loss:
    """The requested loss, if it fits this target, else the target's own.

    Errors: ArgumentError for one that cannot, or for label smoothing that it does not have.
    """
    name = choices.loss or ("cross_entropy" if data.classes else "squared_error")
    if name not in LOSSES:
        raise unknown("loss", name, LOSSES)
    chosen = LOSSES[name]
    suits = [other for other, its in LOSSES.items() if _can_learn(its.task, data)]
    if name not in suits:
        what = f"{len(data.classes)} classes" if data.classes else "a quantity"
        wants = {"binary": "two classes", "classification": "classes"}.get(chosen.task, "a quantity")
        raise ArgumentError(f"loss={name!r} learns {wants}, and the target {data.target!r} is {what}\n"
                            f"  try: {', '.join(sorted(suits))}")  # fmt: skip
    smoothing = choices.label_smoothing
    if isinstance(chosen, CrossEntropy):
        return replace(chosen, label_smoothing=SMOOTHING if smoothing is None else smoothing)
    if smoothing:
        raise ArgumentError(f"label_smoothing={smoothing:g} goes with loss='cross_entropy', not with loss={name!r}")
    return chosen


def _can_learn(task: str, data: Dataset) -> bool:
    if task == "binary":
        return len(data.classes) == 2
    return (task == "classification") == bool(data.classes)
