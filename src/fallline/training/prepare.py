"""From what a caller gave to a job that can be run: everything looked up, checked and converted, or one error that
tells all that is wrong. Starts nothing and writes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from fallline.errors import ArgumentError, DataError, FalllineError
from fallline.graph.op import Array, Shape
from fallline.nn import loss as losses
from fallline.nn.encoder import Columns
from fallline.nn.intake import Problems, as_numbers, check_finite, to_dtype
from fallline.nn.layer import Layer, with_batch
from fallline.nn.loss import Loss
from fallline.nn.model import Model
from fallline.nn.target import Targets
from fallline.optim import Minimiser, Optimizer
from fallline.ranges import short
from fallline.split import all_but, chosen_rows, split_off
from fallline.training.length import by_default
from fallline.training.measures import NOTHING, Measures, measures
from fallline.training.order import stream
from fallline.training.pair import pair
from fallline.training.settings import ResolvedSettings, Settings, resolve
from fallline.training.shared_cache import NOT_SHARED, ByIdentity, SharedCache

# Data of another float precision are converted once if they are smaller than this, else batch by batch.
_CONVERT_BYTES = 1 << 28
# Rows of a step where nothing else was asked for.
BATCH = 32

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

    cache: what it shares with trainings beside it.
    """

    model: Model
    optimizer: Optimizer
    train: Rows
    validation: Rows | None
    batch_size: int
    shuffle: bool
    epochs: int
    seed: int
    settings: ResolvedSettings
    notes: tuple[str, ...]
    cache: SharedCache = NOT_SHARED
    measures: Measures = NOTHING

    @property
    def gradient_checkpointing(self) -> bool:
        """Whether to take less memory and more time."""
        return bool(self.settings.given.gradient_checkpointing)

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.train.index) // self.batch_size)


def prepare(given: Any, data: Any, settings: Settings, cache: SharedCache = NOT_SHARED) -> Job:
    """The job, or one ArgumentError or DataError with every problem found.

    cache: what trainings beside this one have made of the same data already.
    """
    problems = Problems()
    resolved = resolve(settings, problems.arguments)
    dtype = _dtype(given, resolved)
    x, y = pair(data, "data", problems)
    encoder = _encoder(given, settings, problems)
    x = _rows(x, "x", given, encoder, dtype, problems, cache)
    model = _model(given, x, resolved, dtype, problems, cache)
    targets = _targets(y, x, "y", model, resolved.loss, dtype, problems, cache)
    validation = settings.validation
    checked: Any = chosen_rows(validation, problems.data, None if x is None else len(x))
    if _share_is_given_rows(validation):
        xv, yv = pair(validation, "validation", problems)
        xv = _rows(xv, "validation x", model or given, encoder, dtype, problems, cache)
        if x is not None and xv is not None and x.shape[1:] != xv.shape[1:]:
            problems.data.append(f"x has rows of shape {x.shape[1:]} and validation x of shape {xv.shape[1:]}")
        classes = model.for_targets(targets) if model is not None and targets is not None else None
        if classes is not None:
            checked = xv, _targets(yv, xv, "validation y", classes, resolved.loss, dtype, problems, cache)
    if resolved.share and x is not None and len(x) < 2:
        problems.data.append(f"a share of {len(x)} row cannot be split off for validation\n  try: validation=None")
    problems.raise_if_any()
    assert model is not None and x is not None and targets is not None
    assert resolved.optimizer is not None
    return _job(model, x, targets, checked, resolved, cache)


def from_shape(given: Any, shape: Any, settings: Settings) -> Job:
    """The job for data of this shape, (N, ...), without the data: x and y have forms and no memory."""
    problems = Problems()
    resolved = resolve(settings, problems.arguments)
    dtype = _dtype(given, resolved)
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
    model = None if problems.arguments else _model(given, x, resolved, dtype, problems)
    if model is not None and model.task == "custom":
        problems.arguments.append(f"what targets {model.loss!r} takes cannot be told\n  try: data=(x, y)")
    problems.raise_if_any()
    assert model is not None and resolved.optimizer is not None
    codes = model.task == "classification"
    y = _formal(sizes[:1] if codes else (sizes[0], *model.output_shape), np.int64 if codes else dtype)
    return _job(model, x, Targets(y), None, resolved)


def _formal(shape: tuple[int, ...], dtype: Any) -> Array:
    """An array of one element that looks like one of this shape."""
    return np.broadcast_to(np.zeros((), dtype), shape)


def _share_is_given_rows(validation: Any) -> bool:
    return isinstance(validation, tuple | list) or (hasattr(validation, "x") and hasattr(validation, "y"))


def _job(
    model: Model,
    x: Array,
    targets: Targets,
    validation: Any,
    resolved: ResolvedSettings,
    cache: SharedCache = NOT_SHARED,
) -> Job:
    """validation: rows of their own, (x, targets), or the numbers of some of these; None for a share or none."""
    settings, n, y = resolved.given, len(x), targets.y
    model = model.for_targets(targets)

    def every(n: int) -> Array:
        return cache.once(("all rows", n), lambda: np.arange(n))

    def by_share() -> tuple[Array, Array]:
        rng = stream(int(settings.seed), "validation rows")
        kept, out = split_off(n, resolved.share, rng, _codes(model, y))
        if not len(out):
            raise DataError(
                "no class has a second row, so none can be split off for validation\n  try: validation=None"
            )
        return kept, out

    train, held = Rows(x, y, every(n)), None
    if resolved.share or isinstance(validation, np.ndarray):
        if resolved.share:
            kept, out = cache.once(("share", ByIdentity(y), resolved.share, int(settings.seed)), by_share)
        else:
            kept, out = cache.once(("rows", n, validation.tobytes()), lambda: (all_but(validation, n), validation))
        train, held = Rows(x, y, kept), Rows(x, y, out)
    elif validation is not None:
        xv, yv = validation
        held = Rows(xv, yv.y, every(len(xv)))
    rows, notes = len(train.index), []
    requested = settings.batch_size
    assert resolved.optimizer is not None
    size = batch_of(requested, resolved.optimizer, rows)
    if size > rows:
        notes.append(f"batch_size {size} is more than the {rows} rows to train on: every step uses all of them")
    size = min(size, rows)
    if settings.epochs is None:
        requested_rule = False if settings.early_stopping is False else resolved.early_stopping
        length = by_default(
            model, resolved.optimizer, size, -(-rows // size), validated=held is not None, rule=requested_rule
        )
        epochs, resolved = length.epochs, replace(resolved, early_stopping=length.rule)
    else:
        epochs = int(settings.epochs)
    assert resolved.optimizer is not None
    optimizer = resolved.optimizer.resolve(epochs * -(-rows // size))
    # All rows make one batch: their order would change nothing but the last bits of sums.
    shuffle = bool(settings.shuffle) and size < rows
    told = measures(
        resolved.metrics, resolved.early_stopping, model.task, model.loss, None if held is None else held.y, cache
    )
    return Job(
        model, optimizer, train, held, size, shuffle, epochs, int(settings.seed), resolved, tuple(notes), cache, told
    )


def batch_of(requested: int | str | None, optimizer: Optimizer, rows: int) -> int:
    """Rows of a step: as requested; "auto" is BATCH rows, or all where the optimizer needs them.

    Errors: ArgumentError for a part of the rows where it needs all.
    """
    if requested == "auto":
        return rows if isinstance(optimizer, Minimiser) else min(BATCH, rows)
    size = rows if requested is None or isinstance(requested, str) else int(requested)
    if isinstance(optimizer, Minimiser) and size < rows:
        raise ArgumentError(
            f"batch_size is {size} of {rows} rows, and {short(optimizer)} compares losses, which need the same rows\n"
            '  try: batch_size="full"; or optimizer="adam", for steps from mini-batches'
        )
    return size


def _codes(model: Model, y: Array) -> Array | None:
    """The class of each row, where rows have one."""
    if model.classes is None:
        return None
    if y.ndim == 1:
        return y
    # One column tells two classes apart, as 0 and 1 or as -1 and 1.
    return (y[:, 0] > 0).astype(np.int64) if y.shape[1] == 1 else np.argmax(y, axis=1)


def _dtype(given: Any, resolved: ResolvedSettings) -> np.dtype[Any]:
    requested = resolved.given.dtype
    if requested in ("float32", "float64"):
        return np.dtype(requested)
    return given.dtype if isinstance(given, Model) else np.dtype(np.float32)


def _encoder(given: Any, settings: Settings, problems: Problems) -> Columns | None:
    """The encoder of the rows: the asked one, or that of the model."""
    requested = settings.encoder
    if requested is None or isinstance(requested, Columns):
        return requested or (given.encoder if isinstance(given, Model) else None)
    problems.arguments.append(f"encoder has to be nn.Columns, got {requested!r:.60}\n  try: encoder=nn.standardise(x)")
    return None


def _once_with_problems(
    cache: SharedCache, key: tuple[Any, ...], problems: Problems, make: Callable[[Problems], T]
) -> T:
    """What `make` returns, made once; the problems it found are reported every time."""

    def made() -> tuple[T, Problems]:
        found = Problems()
        return make(found), found

    result, found = cache.once(key, made)
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
    cache: SharedCache,
) -> Array | None:
    """x ready for the step; None after telling what is wrong with it."""
    wanted = model.input_shape if isinstance(model, Model) and encoder is None else None
    key = "x", ByIdentity(given), what, wanted, dtype, ByIdentity(encoder)
    return _once_with_problems(
        cache, key, problems, lambda found: _checked_rows(given, what, wanted, dtype, encoder, found)
    )


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
    given: Any,
    x: Array | None,
    resolved: ResolvedSettings,
    dtype: np.dtype[Any],
    problems: Problems,
    cache: SharedCache = NOT_SHARED,
) -> Model | None:
    """The model to train: the given one in the asked precision, or a new one for this data."""
    loss = resolved.loss
    if isinstance(given, Model):
        model = given if given.dtype == dtype else replace(given, theta=given.theta.astype(dtype))
        return _between(model if loss is None else replace(model, loss=loss), resolved, problems)
    if resolved.given.loss is None:
        names = ", ".join(sorted(losses.LOSSES))
        problems.arguments.append(f"loss has to be given: one of {names}; or a function(output, y)")
        return None
    if x is None or loss is None:
        return None
    try:
        rng = stream(int(resolved.given.seed), "initial parameters")
    except (TypeError, ValueError, OverflowError):
        return None  # the seed has been reported above
    try:
        model = _drawn(given, x.shape[1:], loss, rng, dtype, cache)
    except FalllineError as error:
        problems.add(error)
        return None
    return _between(model, resolved, problems)


def _between(model: Model, resolved: ResolvedSettings, problems: Problems) -> Model:
    """The model with the encoder and the decoder that were asked for, which has to have something to train."""
    if not model.layout.count():
        what = "the network has no parameters" if not model.layout.size else "all parameters are frozen or kept"
        problems.arguments.append(f"{what}, so there is nothing to train")
    try:
        return model.between(resolved.given.encoder, resolved.given.decoder)
    except FalllineError as error:
        problems.arguments.append(str(error))
        return model


def _drawn(
    given: Any, shape: Shape, loss: Loss, rng: np.random.Generator, dtype: np.dtype[Any], cache: SharedCache
) -> Model:
    """A new model. Of a network that was met before only the parameters are drawn, as `Model.init` draws them."""
    fresh: list[Model] = []

    def form() -> Model:
        fresh.append(Model.init(given, shape, loss=loss, seed=rng, dtype=dtype))
        return replace(fresh[0], theta=np.empty(0, dtype))

    known = cache.once(("model", given if isinstance(given, Layer) else ByIdentity(given), shape, loss, dtype), form)
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
    cache: SharedCache,
) -> Targets | None:
    """y as the loss takes it; None after telling what is wrong with it."""
    form: Any = None
    if model is not None:  # a decoder makes its classes anew for each model
        meant = model.decoder or ByIdentity(model.classes)
        form = model.loss, model.output_shape, model.dtype, meant
    key = "y", ByIdentity(y), None if x is None else len(x), what, form, loss, dtype
    return _once_with_problems(
        cache, key, problems, lambda found: _checked_targets(y, x, what, model, loss, dtype, found)
    )


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
        pass  # not an array at all: reported by the loss
    try:
        if model is not None:
            return model.prepare(y)
        return loss.prepare(y, dtype) if loss is not None else None
    except FalllineError as error:
        problems.data.append(str(error) if what == "y" else f"{what}: {error}")
        return None
