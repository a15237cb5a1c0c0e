"""From a caller's arguments to a job that can be run: everything looked up, checked and converted, or one error that
tells all that is wrong. Starts nothing and writes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fallline import tree
from fallline.errors import DataError, FalllineError
from fallline.feeds.order import stream
from fallline.feeds.stream import Batches
from fallline.graph.op import Array
from fallline.jobs.extent import extent_of
from fallline.jobs.named import (
    Rows,
    count,
    given_parts,
    inputs_of,
    named_arrays,
    read_whole,
    targets_of,
    targets_of_rows,
    weights_of,
)
from fallline.jobs.settings import ResolvedSettings, Settings, are_rows, resolve
from fallline.jobs.shared_cache import NOT_SHARED, ByIdentity, SharedCache
from fallline.jobs.streamed import Streamed, collected, first_batch, of_batches, streamed
from fallline.jobs.validation import NOTHING, Measures, measures
from fallline.nn import loss as losses
from fallline.nn.data_parts import parts_of
from fallline.nn.encoder import Columns
from fallline.nn.forms import dtypes_of, forms_of, shapes_in, shapes_of
from fallline.nn.inputs import dtypes_to_tree
from fallline.nn.intake import Problems
from fallline.nn.layer import is_layer, with_batch
from fallline.nn.loss import Loss
from fallline.nn.model import Model
from fallline.nn.settling import ROWS as SETTLING_ROWS
from fallline.nn.settling import settled, settles
from fallline.nn.target import Targets
from fallline.optim import Optimizer
from fallline.ranges import short
from fallline.source import as_tree, named
from fallline.split import all_but, chosen_rows, split_off
from fallline.stored import Stored
from fallline.tree import Tree


@dataclass(frozen=True, slots=True)
class Job:
    """A training that can begin. optimizer: its schedule knows how many steps there will be.

    cache: shared with the trainings that run at the same time. steps: of the whole training, None where they are not
        known.
    """

    model: Model
    optimizer: Optimizer
    train: Rows | Streamed
    validation: Rows | None
    batch_size: int
    shuffle: bool
    epochs: int
    seed: int
    settings: ResolvedSettings
    notes: tuple[str, ...]
    cache: SharedCache = NOT_SHARED
    measures: Measures = NOTHING
    steps: int | None = None

    @property
    def gradient_checkpointing(self) -> bool:
        """Whether to take less memory and more time."""
        return bool(self.settings.given.gradient_checkpointing)

    @property
    def steps_per_epoch(self) -> int | None:
        return None if self.train.meant is None else -(-self.train.meant // self.batch_size)


def prepare(given: Any, data: Any, settings: Settings, cache: SharedCache = NOT_SHARED) -> Job:
    """The job, or one ArgumentError or DataError with every problem found.

    cache: results that trainings at the same time have computed from the same data.
    """
    problems = Problems()
    resolved = resolve(settings, problems.arguments)
    given = _going_on(given, resolved, problems)
    dtype = _dtype(given, resolved)
    batches, data = first_batch(data)
    x, y, weight = parts_of(given_parts(data), "data" if batches is None else "a batch of data", problems)
    encoder = _encoder(given, settings, problems)
    x = inputs_of(x, "x", given, encoder, dtype, problems, cache)
    model = _model(given, x, resolved, dtype, problems, cache)
    if batches is not None:
        model = of_batches(batches, y, model, resolved, problems)
    targets = targets_of(y, x, "y", model, resolved.loss, dtype, problems, cache)
    arrays = named_arrays(x, targets, weights_of(weight, x, "weight", model, dtype, problems, cache))
    validation = settings.validation
    checked: Any = chosen_rows(validation, problems.data, count(x))
    if are_rows(validation):
        xv, yv, weight = parts_of(given_parts(collected(validation)), "validation", problems)
        xv = inputs_of(xv, "validation x", model or given, encoder, dtype, problems, cache)
        classes = model.for_targets(targets) if model is not None and targets is not None else None
        if classes is not None:
            held = targets_of(yv, xv, "validation y", classes, resolved.loss, dtype, problems, cache)
            weight = weights_of(weight, xv, "validation weight", classes, dtype, problems, cache)
            checked = named_arrays(xv, held, weight)
    if resolved.share and count(x) == 1:
        problems.data.append("a share of 1 row cannot be split off for validation\n  try: validation=None")
    problems.raise_if_any()
    assert model is not None and targets is not None
    assert resolved.optimizer is not None
    job = _job(model, targets, arrays, checked, resolved, cache, batches)
    is_drawn = resolved.start is None and not isinstance(given, Model)
    return replace(job, model=_settled(job, arrays)) if is_drawn and settles(job.model.network) else job


def _settled(job: Job, arrays: Mapping[str, Array]) -> Model:
    """The model with first parameters that have seen some training rows.

    arrays: all rows, or those of a first batch.
    """
    rng, rows = stream(job.seed, "rows to settle on"), np.arange(len(arrays["y"]))
    rows = job.train.index if isinstance(job.train, Rows) else rows
    some = np.sort(rng.choice(rows, min(len(rows), SETTLING_ROWS), replace=False))
    return settled(job.model, as_tree({name: array[some] for name, array in arrays.items()}, job.model.inputs), rng)


def redrawn(job: Job) -> Model:
    """The model of a job with the first parameters that its seed draws for its network and rows.

    Those that the training began with, unless it was given a Model or went on from a run.
    """
    assert isinstance(job.train, Rows)
    model, arrays = job.model, job.train.data
    x = as_tree({name: array for name, array in arrays.items() if name not in ("y", "weight")}, job.model.inputs)
    fresh = _drawn(model.network, x, model.loss, stream(job.seed, "initial parameters"), model.dtype, NOT_SHARED)
    begun = replace(job, model=model.with_theta(fresh.theta))
    return _settled(begun, arrays) if settles(model.network) else begun.model


def _going_on(given: Any, resolved: ResolvedSettings, problems: Problems) -> Any:
    """The network or model to train: the given one, or the model of the run to go on from, with its last parameters."""
    start = resolved.start
    if start is None:
        return given
    if given is None:
        return start.model
    network = given.network if isinstance(given, Model) else given
    if network != start.model.network:
        problems.arguments.append(
            f"init has the network {short(start.model.network):.80}, and the model is {short(network):.80}\n"
            "  try: None in its place, for the model of the run"
        )
        return given
    fits = isinstance(given, Model) and given.layout.size == start.model.layout.size
    return given.with_theta(start.model.theta.astype(given.dtype)) if fits else start.model


def from_shape(given: Any, shape: Any, settings: Settings) -> Job:
    """The job for data of this shape, (N, ...), or a dict of shapes, without the data: x and y have no memory."""
    problems = Problems()
    resolved = resolve(settings, problems.arguments)
    dtype = _dtype(given, resolved)
    sizes = [tuple(one) if isinstance(one, tuple | list) else (one,) for one in shapes_in(shape)]
    if any(len(one) < 2 or min(one) < 1 or one[0] != sizes[0][0] for one in sizes):
        problems.arguments.append(f"the shape of data is that of x, (N, D) for N rows of D features, got {shape!r}")
        problems.raise_if_any()
    if are_rows(settings.validation):
        problems.arguments.append("validation is a share of the rows where data are a shape\n  try: validation=0.2")
    n, rows = int(sizes[0][0]), [tuple(map(int, one[1:])) for one in sizes]
    if isinstance(given, Model):
        if rows != shapes_in(given.row_shape):
            problems.arguments.append(f"x has shape {shape}, and the model was made for {with_batch(given.row_shape)}")
        x = tree.map(lambda form: _formal((n, *form.shape), form.dtype), given.inputs)
    else:
        places = forms_of(shape if isinstance(shape, tuple | list | dict) else (shape,), {}, dtype)
        x = tree.unflatten(places, [_formal((n, *row), dtype) for row in rows])
    model = None if problems.arguments else _model(given, x, resolved, dtype, problems)
    if model is not None and model.task == "custom":
        problems.arguments.append(f"the targets of {model.loss!r} are not known without data\n  try: data=(x, y)")
    problems.raise_if_any()
    assert model is not None and resolved.optimizer is not None
    codes = model.task == "classification"
    y = _formal((n,) if codes else (n, *model.output_shape), np.int64 if codes else dtype)
    return _job(model, Targets(y), {**named(x), "y": y}, None, resolved)


def _formal(shape: tuple[int, ...], dtype: Any) -> Array:
    """An array of one element that looks like one of this shape."""
    return np.broadcast_to(np.zeros((), dtype), shape)


def _job(
    model: Model,
    targets: Targets,
    arrays: Mapping[str, Array],
    validation: Any,
    resolved: ResolvedSettings,
    cache: SharedCache = NOT_SHARED,
    batches: Batches | None = None,
) -> Job:
    """validation: rows of their own, as named arrays, or the numbers of some of these; None for a share or none.

    batches: where data come from, if arrays are only the first of them.
    """
    settings, y = resolved.given, targets.y
    n = len(y)
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

    train: Rows | Streamed = Rows(arrays, every(n))
    held = None
    if batches is not None:
        train = streamed(batches, arrays, model, model.encoder)
    if resolved.share or isinstance(validation, np.ndarray):
        if resolved.share:
            _check_share(model, y)
            kept, out = cache.once(("share", ByIdentity(y), resolved.share, int(settings.seed)), by_share)
        else:
            kept, out = cache.once(("rows", n, validation.tobytes()), lambda: (all_but(validation, n), validation))
        train, held = Rows(arrays, kept), Rows(arrays, out)
    elif validation is not None:
        held = Rows(validation, every(len(validation["y"])))
    _check_weights(train, "training")
    _check_weights(held, "validation")
    ends = extent_of(resolved, model, train.meant, held is not None)
    if isinstance(train, Rows) and not train.is_resident and ends.batch_size == train.meant:
        train = read_whole(train)
    # All rows make one batch: their order would change nothing but the last bits of sums.
    shuffle = bool(settings.shuffle) and batches is None and ends.batch_size != train.meant
    held_y = None if held is None else targets_of_rows(held)
    metrics = measures(resolved.metrics, ends.settings.early_stopping, model.task, model.loss, held_y, cache)
    return Job(
        model, ends.optimizer, train, held, ends.batch_size, shuffle, ends.epochs, int(settings.seed), ends.settings,
        ends.notes, cache, metrics, ends.steps,
    )  # fmt: skip


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
    """The encoder of the rows: the requested one, or that of the model."""
    requested = settings.encoder
    if requested is None or isinstance(requested, Columns):
        return requested or (given.encoder if isinstance(given, Model) else None)
    problems.arguments.append(f"encoder has to be nn.Columns, got {requested!r:.60}\n  try: encoder=nn.standardise(x)")
    return None


def _check_share(model: Model, y: Array) -> None:
    if isinstance(y, Stored) and model.classes is not None:
        raise DataError("y is not read whole, so that its classes cannot have a share of them alike\n"
                        "  try: y[:] in memory, or validation=(x, y), or row numbers")  # fmt: skip


def _check_weights(rows: Rows | Streamed | None, what: str) -> None:
    if isinstance(rows, Rows) and "weight" in rows.data and not rows.data["weight"][rows.index].any():
        raise DataError(f"the weights of all {len(rows.index)} {what} rows are 0, so their mean loss is not defined")


def _model(
    given: Any,
    x: Tree | None,
    resolved: ResolvedSettings,
    dtype: np.dtype[Any],
    problems: Problems,
    cache: SharedCache = NOT_SHARED,
) -> Model | None:
    """The model to train: the given one in the requested precision, or a new one for this data."""
    loss = resolved.loss
    if isinstance(given, Model):
        model = given if given.dtype == dtype else replace(given, theta=given.theta.astype(dtype))
        if x is not None and model.encoder is None and dtypes_of(x) != model.input_dtypes:
            model = replace(model, input_dtypes=dtypes_of(x))
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
        model = _drawn(given, x, loss, rng, dtype, cache)
    except FalllineError as error:
        problems.add(error)
        return None
    return _between(model, resolved, problems)


def _between(model: Model, resolved: ResolvedSettings, problems: Problems) -> Model:
    """The model with the requested encoder and decoder. Errors: none of its parameters is trainable."""
    if not model.layout.count():
        none = "the network has no parameters, so there is nothing to train\n    try: nn.Dense(1) in it"
        fixed = "all parameters are frozen or kept, so there is nothing to train"
        problems.arguments.append(fixed if model.layout.size else none)
    try:
        return model.between(resolved.given.encoder, resolved.given.decoder)
    except FalllineError as error:
        problems.arguments.append(str(error))
        return model


def _drawn(
    given: Any, x: Tree, loss: Loss, rng: np.random.Generator, dtype: np.dtype[Any], cache: SharedCache
) -> Model:
    """A new model. Of a network that was met before only the parameters are drawn, as `Model.init` draws them."""
    fresh: list[Model] = []
    shape = shapes_of(x)
    dtypes = dtypes_to_tree(dtypes_of(x), shape)

    def form() -> Model:
        made = Model.init(given, shape, loss=loss, seed=rng, dtype=dtype, input_dtype=dtypes)
        fresh.append(made)
        return replace(fresh[0], theta=np.empty(0, dtype))

    forms = tuple(named(forms_of(shape, dtypes_of(x), dtype)).items())
    known = cache.once(("model", given if is_layer(given) else ByIdentity(given), forms, loss, dtype), form)
    if fresh:
        return fresh[0]
    params, _ = known.network.init(rng, shape, dtype)
    return known.with_theta(known.layout.join(params, dtype))
