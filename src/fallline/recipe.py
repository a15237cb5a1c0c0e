"""How a table becomes a training: the loss, the scales of columns and target, the network, the length, the monitored
number.

Every face (the command line, an estimator, a studio) turns a person's wishes into Choices, and trains by the
Recipe that they make of a table. Knows no face and reads no file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from fallline import optim, ranges
from fallline.data.dataset import MOST_HELD, Dataset, Rows, cut
from fallline.data.preprocess import decoder_of, encoder_of, robust_encoder_of, targets_of
from fallline.data.table_rows import numbers_of
from fallline.errors import ArgumentError, unknown
from fallline.jobs.settings import Settings
from fallline.jobs.stopping import NEVER, EarlyStopping
from fallline.nn import ACTIVATIONS, LOSSES, Columns, CrossEntropy, Identity, Loss, Sequential, measured
from fallline.nn.encoder import Decoder
from fallline.optim import MINIMISERS, OPTIMIZERS, SCHEDULES, Minimiser, Optimizer
from fallline.presets import PRESETS, Ingredients, network_for, smoothing_for
from fallline.ranges import option, range_of, ranged

# A share so small that the lowest loss on it is an accident is not worth watching.
FEWEST_VALIDATION_ROWS = 10
PLAIN = "plain"

# The word for the validation loss, where the name of a metric may stand.
LOSS = "loss"


def named(table: Any) -> tuple[str, ...]:
    """The names of a table, sorted."""
    return tuple(sorted(table))


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """The choices of a person for the training on a table; None leaves a choice to the table or to the library.

    preset: a name of PRESETS, which decides all that is left open; None for the one that suits the data: plain for the
        named sets, which people learn with, default for all others.
    hidden: widths of the hidden layers, () for none. metrics: measured besides the usual ones, names of nn.METRICS or
        of scikit-learn's scorers. watch: the metric by which the best epoch is chosen, "loss" for the validation loss.
    batch_size: "auto" is the preset's, and all rows where a minimiser such as L-BFGS needs them.
    time_limit: search for good networks, beginning with the default preset's, and average the best; what is chosen
        here stays as it is. committee.begin trains so.
    optimizer: another one than the preset's brings its own learning rate, and no schedule and no weight decay.
    The ranges are what flags, parameters and sliders read.
    Errors: ArgumentError with all that is outside its range.
    Example: Choices(hidden=(64, 64), activation="tanh", epochs=100)
    """

    preset: str | None = option(
        None, "what decides all that is left open", number=False, words=tuple(PRESETS), optional=True
    )
    hidden: tuple[int, ...] | None = None
    activation: str | None = option(
        None, "after each hidden layer", number=False, words=named({*ACTIVATIONS} - {"softmax"}), optional=True
    )
    loss: str | None = option(
        None,
        "the loss to minimise; by default cross_entropy or squared_error",
        number=False,
        words=named(LOSSES),
        optional=True,
    )
    label_smoothing: float | None = ranged(None, range_of(CrossEntropy, "label_smoothing"), optional=True)
    optimizer: str | None = option(
        None, "how steps follow from gradients", number=False, words=named({*OPTIMIZERS, *MINIMISERS}), optional=True
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
    time_limit: float | None = option(None, "seconds to search for the best networks in", above=0, optional=True)
    seed: int = ranged(0, range_of(Settings, "seed"))
    dtype: str = ranged("float32", range_of(Settings, "dtype"), optional=False)

    def __post_init__(self) -> None:
        for name, default in (("hidden", None), ("metrics", ())):
            value: Any = getattr(self, name)
            several = tuple(value) if isinstance(value, list | tuple) else (value,)
            object.__setattr__(self, name, default if value is None else several)
        wrong = ranges.problems(self)
        wrong += [problem for name in (*self.metrics, self.watch) if (problem := _unmeasured(name))]
        wrong += [f"hidden: a width {problem}" for one in self.hidden or () if (problem := ranges.COUNT.problem(one))]
        if wrong:
            raise ArgumentError("\n  and ".join(wrong))


def stated(choices: Choices) -> dict[str, Any]:
    """The choices that differ from the defaults, by name, as JSON holds them."""
    plain = Choices()
    found = {one.name: getattr(choices, one.name) for one in fields(choices)}
    found = {name: value for name, value in found.items() if value != getattr(plain, name)}
    return {name: [*value] if isinstance(value, tuple) else value for name, value in found.items()}


@dataclass(frozen=True, slots=True)
class Recipe:
    """A training of a table, decided in every point.

    choices: with the preset's in the places that were left open. train: training and validation rows, without test
    rows. validation: the share of these that are validation rows; 0 for none. asked: the choices as they were made.
    ingredients: of the preset.
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
    asked: Choices
    ingredients: Ingredients

    def batch_of(self, rows: int) -> int | str:
        """The rows of a step where so many are trained on."""
        return batch_for(self.choices.batch_size, self.optimizer, self.ingredients, rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers in, widths of the hidden layers, numbers out."""
        return (self.encoder.width, *(self.choices.hidden or ()), outputs_for(self.loss, self.data))

    @property
    def rows(self) -> tuple[Any, ...]:
        """The rows to train on, as they are in the table: the first argument of a training after its network."""
        return self.rows_at(self.train)

    @property
    def some_rows(self) -> tuple[Any, ...]:
        """The rows to train on as other libraries can hold them: of large data MOST_HELD of them, evenly spaced."""
        step = -(-len(self.train) // MOST_HELD) if self.data.is_large else 1
        return self.rows_at(self.train[::step])

    def rows_at(self, rows: Rows) -> tuple[Any, ...]:
        """x and y of some rows, and their weights where rows have some."""
        x: Any = self.data.take(rows) if len(rows) <= MOST_HELD or not self.data.is_large else None
        x = numbers_of(self.data.table, rows, self.encoder) if x is None else x
        y, weights = targets_of(self.data, rows, self.decoder), self.data.weights
        return (x, y) if weights is None else (x, y, weights[rows])

    @property
    def validation_rows(self) -> Any:
        """The share of validation rows; or their places among the training rows, where these have groups or an
        order, whole groups then, or the latest; or where they are too many to lie in memory. None for none.
        """
        data = self.data
        if not self.validation or (data.groups is None and data.order is None and not data.is_large):
            return self.validation or None
        _, held = cut(self.data, self.train, self.validation, self.choices.seed)
        return np.searchsorted(self.train, held)

    @property
    def early_stopping(self) -> EarlyStopping | int | bool | None:
        """With epochs and without a patience no epoch is too many, but the best one is kept all the same."""
        watch, patience = self._watched, self.choices.early_stopping
        if self.choices.preset != PLAIN and (self.ingredients.last or not self.validation):
            return patience or False  # there is nothing to watch, and the schedule has an end
        patience = patience or (NEVER if self.validation and self.choices.epochs else None)
        return patience if watch is None else EarlyStopping(patience, watch=watch, latest=self.choices.preset != PLAIN)

    @property
    def _watched(self) -> str | None:
        """The metric that is watched; None for the loss, and where there are no validation rows."""
        return self.choices.watch if self.choices.watch != LOSS else None

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of `fl.train`, `fl.fit` and `fl.race`: all that they take besides the network and the rows."""
        watched = [name for name in (self._watched,) if name and name not in self.choices.metrics]
        return {
            "loss": self.loss,
            "optimizer": self.optimizer,
            "epochs": self.choices.epochs,
            "batch_size": self.batch_size,
            "validation": self.validation_rows,
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


def recipe_of(
    data: Dataset,
    choices: Choices,
    train: Rows | None = None,
    like: Recipe | None = None,
    ingredients: Mapping[str, Any] | None = None,
) -> Recipe:
    """The recipe for a table.

    data: the whole table. train: the rows to train on; None for all. like: a recipe for the same table, whose rows and
        measured columns are taken. ingredients: in the place of the preset's, by their names.
    Errors: ArgumentError for choices that do not fit one another or the table.
    Example:
        recipe = recipe_of(sets.load("iris"), Choices(epochs=50))
        run = fl.fit(recipe.network, recipe.rows, **recipe.settings)
    """
    rows = (np.arange(len(data)) if train is None else train) if like is None else like.train
    preset = choices.preset or (data.preset if choices.time_limit is None else "default")
    asked, of = choices, PRESETS[preset].of(data.task, None if _is_planned(choices) else len(rows))
    of = replace(of, **(ingredients or {}))
    loss = loss_for(data, choices, smoothing_for(of, len(rows)))
    choices = with_preset(choices, preset, of, loss, len(rows))
    optimizer = optimizer_for(choices, of)
    share = choices.validation or 0.0
    left = max(1, len(rows) - (max(1, round(share * len(rows))) if share else 0))
    size = batch_for(choices.batch_size, optimizer, of, left)
    if choices.epochs is None:
        choices = replace(choices, epochs=epochs_for(of, 1 if isinstance(size, str) else -(-left // size)))
    encoder = (robust_encoder_of if of.robust else encoder_of)(data, rows) if like is None else like.encoder
    # The outputs of a network with another link are not spread around zero.
    standard = isinstance(loss.link, Identity)
    # What grows with time leaves the range of the earlier rows.
    clamped = of.clamped and standard and data.order is None
    return Recipe(
        choices=choices,
        data=data,
        train=rows,
        encoder=encoder,
        decoder=decoder_of(data, rows, standard=standard, clamped=clamped),
        network=network_for(encoder, outputs_for(loss, data), replace(of, **_shared(choices)), left),
        loss=loss,
        optimizer=optimizer,
        batch_size=size,
        validation=share,
        asked=asked,
        ingredients=of,
    )


def _unmeasured(name: str | None) -> str | None:
    """The problem of the name of a metric, or None."""
    try:
        _ = None if name in (None, LOSS) else measured.of_name(name)
    except ArgumentError as error:
        return str(error)
    return None


def _is_planned(choices: Choices) -> bool:
    """Whether a person has chosen the course of a training: they want to look at one network, go on with it, or watch
    rows or a number of their own."""
    own = (choices.epochs, choices.validation, choices.early_stopping, choices.watch)
    return any(one is not None for one in own)


def _shared(choices: Choices) -> dict[str, Any]:
    """The choices of which a network is made."""
    return {"hidden": choices.hidden, "activation": choices.activation}


def with_preset(choices: Choices, name: str, of: Ingredients, loss: Loss, rows: int) -> Choices:
    """The choices with the preset's in the places that were left open. rows: to train and validate on."""
    same = ["hidden", "activation"]
    if choices.optimizer in (None, "adam"):
        same += ["learning_rate", "schedule", "weight_decay"]
    taken = {one: getattr(of, one) for one in same if getattr(choices, one) is None}
    # A metric of squared errors says little where another loss is minimised.
    usual = loss.name in ("cross_entropy", "squared_error")
    if choices.validation is None:
        taken["validation"] = of.validation if of.validation * rows >= FEWEST_VALIDATION_ROWS else 0.0
    validated = taken.get("validation", choices.validation)
    taken["watch"] = choices.watch or (of.watch if usual and validated else None)
    return replace(choices, preset=name, optimizer=choices.optimizer or "adam", **taken)


def optimizer_for(choices: Choices, of: Ingredients) -> Optimizer:
    """The optimizer of these choices, with the preset's finer points where it is the preset's own."""
    name = choices.optimizer or "adam"
    decay: Any = choices.weight_decay
    if name == "adam" and of.tangent and decay:
        name, decay = "adamw", optim.FlatCosine(decay)
    made = optim.get(
        name,
        schedule=choices.schedule,
        learning_rate=choices.learning_rate,
        weight_decay=decay,
        clip_norm=choices.clip_norm,
    )
    return replace(made, beta2=of.beta2) if isinstance(made, optim.Adam) and of.beta2 is not None else made


def batch_for(asked: int | str, optimizer: Optimizer, of: Ingredients, rows: int) -> int | str:
    """Rows of a step: as asked, "full" where that is all; "auto" is the preset's, or all for a minimiser."""
    size = asked
    if asked == "auto":
        batches = max(1, round(rows / of.batch_size))
        # Batches of equal size: a last one of few rows would make a step as long as the others from less.
        size = "full" if isinstance(optimizer, Minimiser) else -(-rows // batches) if of.tangent else of.batch_size
    return "full" if not isinstance(size, str) and size >= rows else size


def epochs_for(of: Ingredients, batches: int) -> int | None:
    """Epochs of so many batches: the preset's steps, within its bounds; None for as long as the loss falls."""
    if of.steps is None:
        return None
    fewest, most = of.epochs
    return max(fewest, min(most, round(of.steps / (of.folds * batches))))


def outputs_for(loss: Loss, data: Dataset) -> int:
    """Numbers the network gives for a row: one for each class where the loss tells several apart."""
    return len(data.classes) if loss.task == "classification" else 1


def loss_for(data: Dataset, choices: Choices, label_smoothing: float = 0.0) -> Loss:
    """The requested loss, if it fits this target, else the target's own. label_smoothing: where none is requested.

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
        return replace(chosen, label_smoothing=label_smoothing if smoothing is None else smoothing)
    if smoothing:
        raise ArgumentError(f"label_smoothing={smoothing:g} goes with loss='cross_entropy', not with loss={name!r}")
    return chosen


def _can_learn(task: str, data: Dataset) -> bool:
    if task == "binary":
        return len(data.classes) == 2
    return (task == "classification") == bool(data.classes)
