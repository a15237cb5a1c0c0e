"""From what a caller gave to a job that can be run: everything looked up, checked and converted, or one error that
tells all that is wrong. Starts nothing and writes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from fallline.errors import DataError, FalllineError
from fallline.graph.op import Array, Shape
from fallline.nn import loss as losses
from fallline.nn.encoder import Columns
from fallline.nn.intake import Problems, as_numbers, check_finite, to_dtype
from fallline.nn.layer import Layer, with_batch
from fallline.nn.loss import Loss
from fallline.nn.model import Model
from fallline.nn.target import Targets
from fallline.optim import Optimizer
from fallline.training.common import ALONE, Common, Same
from fallline.training.length import by_default
from fallline.training.order import stream
from fallline.training.pair import pair
from fallline.training.settings import Settings, Understood, understood
from fallline.training.split import all_but, chosen_rows, held_out

# Data of another float precision are converted once if they are smaller than this, else batch by batch.
_CONVERT_BYTES = 1 << 28

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows to learn or to measure on: all of x and y, and which of them are meant."""

    x: Array
    y: Array
    index: Array  # int64

    @property
    def data(self) -> dict[str, Array]:
        return {"x": self.x, "y": self.y}


@dataclass(frozen=True, slots=True)
class Job:
    """A training that can begin. optimizer: its schedule knows how many steps there will be.

    common: what it shares with trainings beside it.
    """

    model: Model
    optimizer: Optimizer
    train: Rows
    validation: Rows | None
    batch_size: int
    shuffle: bool
    epochs: int
    seed: int
    understood: Understood
    notes: tuple[str, ...]
    common: Common = ALONE

    @property
    def recompute(self) -> bool:
        """Whether to take less memory and more time."""
        return bool(self.understood.given.recompute)

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.train.index) // self.batch_size)


def prepare(given: Any, data: Any, settings: Settings, common: Common = ALONE) -> Job:
    """The job, or one ArgumentError or DataError with every problem found.

    common: what trainings beside this one have made of the same data already.
    """
    problems = Problems()
    told = understood(settings, problems.arguments)
    dtype = _dtype(given, told)
    x, y = pair(data, "data", problems)
    encoder = _encoder(given, settings, problems)
    x = _rows(x, "x", given, encoder, dtype, problems, common)
    model = _model(given, x, told, dtype, problems, common)
    targets = _targets(y, x, "y", model, told.loss, dtype, problems, common)
    validation = settings.validation
    checked: Any = chosen_rows(validation, problems.data, None if x is None else len(x))
    if _share_is_given_rows(validation):
        xv, yv = pair(validation, "validation", problems)
        xv = _rows(xv, "validation x", model or given, encoder, dtype, problems, common)
        if x is not None and xv is not None and x.shape[1:] != xv.shape[1:]:
            problems.data.append(f"x has rows of shape {x.shape[1:]} and validation x of shape {xv.shape[1:]}")
        classes = model.for_targets(targets) if model is not None and targets is not None else None
        if classes is not None:
            checked = xv, _targets(yv, xv, "validation y", classes, told.loss, dtype, problems, common)
    if told.share and x is not None and len(x) < 2:
        problems.data.append(f"a share of {len(x)} row cannot be held out for validation\n  try: validation=None")
    problems.raise_if_any()
    assert model is not None and x is not None and targets is not None
    assert told.optimizer is not None
    return _job(model, x, targets, checked, told, common)


def from_shape(given: Any, shape: Any, settings: Settings) -> Job:
    """The job for data of this shape, (N, ...), without the data: x and y have forms and no memory."""
    problems = Problems()
    told = understood(settings, problems.arguments)
    dtype = _dtype(given, told)
    sizes = tuple(int(n) for n in shape) if isinstance(shape, tuple | list) else (int(shape),)
    if len(sizes) < 2 or min(sizes) < 1:
        problems.arguments.append(f"the shape of data is that of x, (N, D) for N rows of D features, got {shape!r}")
        problems.raise_if_any()
    if _share_is_given_rows(settings.validation):
        problems.arguments.append("validation is a share of the rows where data are a shape\n  try: validation=0.2")
    x = _formal(sizes, dtype)
    if isinstance(given, Model) and sizes[1:] != given.row_shape:
        problems.arguments.append(f"x has shape {sizes}, and the model was made for {with_batch(given.row_shape)}")
    elif isinstance(given, Model):
        x = _formal((sizes[0], *given.input_shape), dtype)
    model = None if problems.arguments else _model(given, x, told, dtype, problems)
    if model is not None and model.task == "custom":
        problems.arguments.append(f"what targets {model.loss!r} takes cannot be told\n  try: data=(x, y)")
    problems.raise_if_any()
    assert model is not None and told.optimizer is not None
    codes = model.task == "classification"
    y = _formal(sizes[:1] if codes else (sizes[0], *model.output_shape), np.int64 if codes else dtype)
    return _job(model, x, Targets(y), None, told)


def _formal(shape: tuple[int, ...], dtype: Any) -> Array:
    """An array of one element that looks like one of this shape."""
    return np.broadcast_to(np.zeros((), dtype), shape)


def _share_is_given_rows(validation: Any) -> bool:
    return isinstance(validation, tuple | list) or (hasattr(validation, "x") and hasattr(validation, "y"))


def _job(model: Model, x: Array, targets: Targets, validation: Any, told: Understood, common: Common = ALONE) -> Job:
    """validation: rows of their own, (x, targets), or the numbers of some of these; None for a share or none."""
    settings, n, y = told.given, len(x), targets.y
    model = model.for_targets(targets)

    def every(n: int) -> Array:
        return common.once(("all rows", n), lambda: np.arange(n))

    def by_share() -> tuple[Array, Array]:
        rng = stream(int(settings.seed), "validation rows")
        kept, out = held_out(n, told.share, rng, _codes(model, y))
        if not len(out):
            raise DataError("no class has a second row, so none can be held out for validation\n  try: validation=None")
        return kept, out

    train, held = Rows(x, y, every(n)), None
    if told.share or isinstance(validation, np.ndarray):
        if told.share:
            kept, out = common.once(("share", Same(y), told.share, int(settings.seed)), by_share)
        else:
            kept, out = common.once(("rows", n, validation.tobytes()), lambda: (all_but(validation, n), validation))
        train, held = Rows(x, y, kept), Rows(x, y, out)
    elif validation is not None:
        xv, yv = validation
        held = Rows(xv, yv.y, every(len(xv)))
    rows, notes = len(train.index), []
    asked = settings.batch_size
    size = rows if asked is None or isinstance(asked, str) else int(asked)
    if size > rows:
        notes.append(f"batch_size {size} is more than the {rows} rows to train on: every step uses all of them")
    size = min(size, rows)
    assert told.optimizer is not None
    if settings.epochs is None:
        asked_rule = False if settings.early_stopping is False else told.early_stopping
        length = by_default(model, told.optimizer, size, -(-rows // size), validated=held is not None, rule=asked_rule)
        epochs, told = length.epochs, replace(told, early_stopping=length.rule)
    else:
        epochs = int(settings.epochs)
    assert told.optimizer is not None
    optimizer = told.optimizer.resolve(epochs * -(-rows // size))
    # All rows make one batch: their order would change nothing but the last bits of sums.
    shuffle = bool(settings.shuffle) and size < rows
    return Job(model, optimizer, train, held, size, shuffle, epochs, int(settings.seed), told, tuple(notes), common)


def _codes(model: Model, y: Array) -> Array | None:
    """The class of each row, where rows have one."""
    if model.classes is None:
        return None
    if y.ndim == 1:
        return y
    # One column tells two classes apart, as 0 and 1 or as -1 and 1.
    return (y[:, 0] > 0).astype(np.int64) if y.shape[1] == 1 else np.argmax(y, axis=1)


def _dtype(given: Any, told: Understood) -> np.dtype[Any]:
    asked = told.given.dtype
    if asked in ("float32", "float64"):
        return np.dtype(asked)
    return given.dtype if isinstance(given, Model) else np.dtype(np.float32)


def _encoder(given: Any, settings: Settings, problems: Problems) -> Columns | None:
    """The encoder of the rows: the asked one, or that of the model."""
    asked = settings.encoder
    if asked is None or isinstance(asked, Columns):
        return asked or (given.encoder if isinstance(given, Model) else None)
    problems.arguments.append(f"encoder has to be nn.Columns, got {asked!r:.60}\n  try: encoder=nn.standardise(x)")
    return None


def _told_once(common: Common, key: tuple[Any, ...], problems: Problems, make: Callable[[Problems], T]) -> T:
    """What `make` returns, made once; the problems it found are told every time."""

    def made() -> tuple[T, Problems]:
        found = Problems()
        return make(found), found

    result, found = common.once(key, made)
    problems.arguments += found.arguments
    problems.data += found.data
    return result


def _rows(
    given: Any,
    what: str,
    model: Any,
    encoder: Columns | None,
    dtype: np.dtype[Any],
    problems: Problems,
    common: Common,
) -> Array | None:
    """x ready for the step; None after telling what is wrong with it."""
    wanted = model.input_shape if isinstance(model, Model) and encoder is None else None
    key = "x", Same(given), what, wanted, dtype, Same(encoder)
    return _told_once(common, key, problems, lambda found: _checked_rows(given, what, wanted, dtype, encoder, found))


def _checked_rows(
    given: Any, what: str, wanted: Any, dtype: np.dtype[Any], encoder: Columns | None, problems: Problems
) -> Array | None:
    if given is None:
        return None
    try:
        x = as_numbers(given if encoder is None else encoder.in_order(given, what), what, problems)
    except FalllineError as error:
        problems.data.append(str(error))
        return None
    if x is None:
        return None
    if not len(x):
        problems.data.append(f"{what} is empty: its shape is {x.shape}")
        return None
    if x.size == 0:
        problems.data.append(f"{what} has no features: its shape is {x.shape}")
        return None
    if wanted is not None and x.shape[1:] != wanted:
        problems.data.append(f"{what} has shape {x.shape}, and the model was made for {with_batch(wanted)}")
        return None
    if encoder is not None:
        if x.shape[1:] != (len(encoder.columns),):
            problems.data.append(f"{what} has shape {x.shape}, and the encoder takes (N, {len(encoder.columns)})")
            return None
        if not check_finite(x, what, np.float64, problems):
            return None
        x = encoder.encode(x, dtype)
    if not check_finite(x, what, dtype, problems):
        return x  # its shape still helps to find what else is wrong
    if x.dtype in (np.float32, np.float64) and x.flags.c_contiguous and (_is_mapped(x) or x.nbytes > _CONVERT_BYTES):
        return x  # the step converts each batch
    return to_dtype(x, dtype)


def _is_mapped(array: Any) -> bool:
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return False


def _model(
    given: Any, x: Array | None, told: Understood, dtype: np.dtype[Any], problems: Problems, common: Common = ALONE
) -> Model | None:
    """The model to train: the given one in the asked precision, or a new one for this data."""
    loss = told.loss
    if isinstance(given, Model):
        model = given if given.dtype == dtype else replace(given, theta=given.theta.astype(dtype))
        return _between(model if loss is None else replace(model, loss=loss), told, problems)
    if told.given.loss is None:
        names = ", ".join(sorted(losses.LOSSES))
        problems.arguments.append(f"loss has to be given: one of {names}; or a function(output, y)")
        return None
    if x is None or loss is None:
        return None
    try:
        rng = stream(int(told.given.seed), "initial parameters")
    except (TypeError, ValueError, OverflowError):
        return None  # the seed has been told above
    try:
        model = _drawn(given, x.shape[1:], loss, rng, dtype, common)
    except FalllineError as error:
        problems.add(error)
        return None
    if not model.layout.size:
        problems.arguments.append("the network has no parameters, so there is nothing to train")
    return _between(model, told, problems)


def _between(model: Model, told: Understood, problems: Problems) -> Model:
    """The model with the encoder and the decoder that were asked for."""
    try:
        return model.between(told.given.encoder, told.given.decoder)
    except FalllineError as error:
        problems.arguments.append(str(error))
        return model


def _drawn(
    given: Any, shape: Shape, loss: Loss, rng: np.random.Generator, dtype: np.dtype[Any], common: Common
) -> Model:
    """A new model. Of a network that was met before only the parameters are drawn, as `Model.init` draws them."""
    fresh: list[Model] = []

    def form() -> Model:
        fresh.append(Model.init(given, shape, loss=loss, seed=rng, dtype=dtype))
        return replace(fresh[0], theta=np.empty(0, dtype))

    known = common.once(("model", given if isinstance(given, Layer) else Same(given), shape, loss, dtype), form)
    if fresh:
        return fresh[0]
    params, _ = known.network.init(rng, shape, dtype)
    return known.with_theta(known.layout.join(params, dtype))


def _targets(
    y: Any,
    x: Array | None,
    what: str,
    model: Model | None,
    loss: Loss | None,
    dtype: np.dtype[Any],
    problems: Problems,
    common: Common,
) -> Targets | None:
    """y as the loss takes it; None after telling what is wrong with it."""
    form: Any = None
    if model is not None:  # a decoder makes its classes anew for each model
        meant = model.decoder or Same(model.classes)
        form = model.loss, model.output_shape, model.dtype, meant
    key = "y", Same(y), None if x is None else len(x), what, form, loss, dtype
    return _told_once(common, key, problems, lambda found: _checked_targets(y, x, what, model, loss, dtype, found))


def _checked_targets(
    y: Any, x: Array | None, what: str, model: Model | None, loss: Loss | None, dtype: np.dtype[Any], problems: Problems
) -> Targets | None:
    if y is None:
        return None
    try:
        length = len(y)
        if x is not None and length != len(x):
            problems.data.append(f"{what.removesuffix('y')}x has {len(x)} rows and {what} has {length}")
            return None
        if length == 0:
            problems.data.append(f"{what} is empty")
            return None
    except TypeError:
        pass  # not an array at all: told by the loss
    try:
        if model is not None:
            return model.prepare(y)
        return loss.prepare(y, dtype) if loss is not None else None
    except FalllineError as error:
        problems.data.append(str(error) if what == "y" else f"{what}: {error}")
        return None
