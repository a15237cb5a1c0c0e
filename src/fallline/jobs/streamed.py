"""Data that come in batches, as a training takes them: the first batch gives their form, and each is prepared."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import tree
from fallline.arguments import shown
from fallline.arrays import as_array
from fallline.errors import DataError, FalllineError
from fallline.feeds.stream import AGAIN, Batches
from fallline.graph.op import Array
from fallline.jobs.block_targets import with_classes
from fallline.jobs.named import inputs_of, named_arrays, targets_of, weights_of
from fallline.jobs.settings import ResolvedSettings, are_rows
from fallline.jobs.shared_cache import NOT_SHARED
from fallline.nn.data_parts import is_stream, parts_of, read_once
from fallline.nn.encoder import Columns
from fallline.nn.intake import Problems
from fallline.nn.model import Model
from fallline.source import Form, is_source

# Validation batches are read once and kept, up to so many bytes.
MOST_BYTES = 1 << 30


@dataclass(frozen=True, eq=False)
class Streamed:
    """Rows to train on that come in batches.

    form: of a row, by name. ready: a batch as named arrays. meant: rows of every epoch, where the caller knows.
    """

    batches: Batches
    form: Mapping[str, Form]
    ready: Callable[[Any], Mapping[str, Array]]
    meant: int | None

    @property
    def count(self) -> int | None:
        return self.meant


def streamed(batches: Batches, first: Mapping[str, Array], model: Model, encoder: Columns | None) -> Streamed:
    """Rows in the form of the first batch, for a model that knows its classes."""
    form = {name: Form(tuple(array.shape[1:]), array.dtype) for name, array in first.items()}

    def ready(batch: Any) -> Mapping[str, Array]:
        arrays = batch_arrays(batch, "a batch", model, encoder)
        if not arrays:
            return arrays  # a batch of no rows
        for name in {**form, **arrays}:
            if name not in arrays or name not in form:
                raise DataError(f"{name!r} is in {'the first batch' if name in form else 'this batch'} alone")
            shape, dtype = arrays[name].shape[1:], arrays[name].dtype
            if shape != form[name].shape or not np.can_cast(dtype, form[name].dtype, "same_kind"):
                message = f"{name} has rows of {dtype}{list(shape)}, and the first batch has"
                raise DataError(f"{message} {form[name].dtype}{list(form[name].shape)}")
        return arrays

    rows = getattr(batches.given, "rows", None)
    return Streamed(batches, form, ready, int(rows) if isinstance(rows, int | np.integer) else None)


def batch_arrays(batch: Any, what: str, model: Model, encoder: Columns | None) -> dict[str, Array]:
    """A batch as named arrays; none where it has no rows. Errors: DataError."""
    problems = Problems()
    x, y, weight = parts_of(batch, what, problems)
    if hasattr(y, "__len__") and len(y) == 0:
        return {}
    x = inputs_of(x, "x", model, encoder, model.dtype, problems, NOT_SHARED)
    targets = targets_of(y, x, "y", model, model.loss, model.dtype, problems, NOT_SHARED)
    weight = weights_of(weight, x, "weight", model, model.dtype, problems, NOT_SHARED)
    problems.raise_if_any()
    return named_arrays(x, targets, weight)


def first_batch(data: Any) -> tuple[Batches | None, Any]:
    """Where batches come from and the first of them, for an iterable; else None, and data as they are.

    Errors: DataError where there is none, ReadingError where it cannot be read.
    """
    if is_source(data) or not is_stream(data):
        if _gives_rows(data):
            message = f"data is {shown(data)}, whose rows are asked for one by one"
            raise DataError(f"{message}\n  try: batches of them, such as torch's DataLoader(data, batch_size=256)")
        return None, data
    batches = Batches(data)
    first = batches.peek()
    if isinstance(first, Mapping) and not {"x", "y"} <= first.keys():
        names = [str(name) for name in first]
        pick = ", ".join(f"b[{name!r}]" for name in (*names, "x", "y")[:2])
        raise DataError(f"a batch of data is a dict with the names {', '.join(names)}, not a pair (x, y)\n"
                        f"  try: data=lambda: (({pick}) for b in batches)")  # fmt: skip
    if isinstance(first, tuple | list) and len(first) == 2 and np.ndim(first[1]) == 0 and first[1] is not None:
        raise DataError("data gives single rows, and batches are trained on, (x, y) with x of shape (N, ...)\n"
                        "  try: several rows at a time; batches of any sizes will do")  # fmt: skip
    return batches, first


def _gives_rows(data: Any) -> bool:
    """Whether data are a collection indexed by row, and nothing that holds arrays."""
    if isinstance(data, tuple | list | str | bytes | Mapping) or hasattr(data, "__array__") or hasattr(data, "shape"):
        return False
    is_data = is_source(data) or (hasattr(data, "x") and hasattr(data, "y"))
    return not is_data and hasattr(data, "__getitem__") and hasattr(data, "__len__")


def of_batches(
    batches: Batches, y: Any, model: Model | None, resolved: ResolvedSettings, problems: Problems
) -> Model | None:
    """The model with the classes that are known without reading all batches; errors go to `problems`."""
    validation, epochs = resolved.given.validation, resolved.given.epochs
    if resolved.share or (validation is not None and validation is not False and not are_rows(validation)):
        problems.arguments.append("validation rows cannot be split off from an iterable\n"
                                  "  try: validation=(x, y), or another iterable")  # fmt: skip
    if batches.is_iterator and epochs != 1:
        problems.arguments.append(
            f"data is {shown(batches.given)}, which can be gone through once, and epochs is {epochs}\n  {AGAIN}, "
            "or epochs=1"
        )
    try:
        return None if model is None or y is None else with_classes(model, y)
    except FalllineError as error:
        problems.data.append(str(error))
        return None


def _one_form(part: Any, before: Sequence[Any], name: str) -> Any:
    """A batch as arrays whose rows have the form of those before it. Errors: DataError."""
    try:
        part = {one: np.asarray(value) if isinstance(value, list) else value for one, value in part.items()}
        part = tree.unflatten(part, [as_array(value, f"{path} of {name}") for path, value in tree.items(part)])
    except ValueError as error:
        raise DataError(f"{name} cannot be made arrays: {error}") from None
    arrays = dict(tree.items(part))
    first = dict(tree.items(before[0])) if before else arrays
    for path in {**first, **arrays}:
        if path not in arrays or path not in first:
            raise DataError(f"{path} is in {'batch 0' if path in first else name} and not in "
                            f"{name if path in first else 'batch 0'}")  # fmt: skip
        if not arrays[path].ndim:
            raise DataError(f"{path} of {name} is {arrays[path]!r:.60}, not an array of rows")
        if arrays[path].shape[1:] != first[path].shape[1:]:
            shapes = arrays[path].shape[1:], first[path].shape[1:]
            raise DataError(f"{path} of {name} has rows of shape {shapes[0]}, and that of batch 0 {shapes[1]}")
    if len({len(array) for array in arrays.values()}) > 1:
        told = ", ".join(f"{path} has {len(array)} rows" for path, array in arrays.items())
        raise DataError(f"{name}: {told}")
    return part


def collected(given: Any) -> Any:
    """The rows of all batches, where validation is an iterable of them; else the given value.

    Errors: DataError; ReadingError for what the iterable raises.
    """
    if is_source(given) or not is_stream(given):
        return given
    what, problems, size = "validation", Problems(), 0
    parts: list[Any] = []
    for number, batch in enumerate(read_once(given, what)):
        x, y, weight = parts_of(batch, f"batch {number} of {what}", problems)
        problems.raise_if_any()
        part = {"x": x, "y": y, **({} if weight is None else {"weight": weight})}
        part = _one_form(part, parts, f"batch {number} of {what}")
        size += sum(array.nbytes for array in tree.leaves(part))
        if size > MOST_BYTES:
            raise DataError(f"{what} is kept while training, and has more than {MOST_BYTES:,} bytes\n"
                            "  try: fewer rows, or arrays in files, such as np.load(path, mmap_mode='r')")  # fmt: skip
        parts.append(part)
    if not parts:
        raise DataError(f"{what} gave no batch")
    leaves = [np.concatenate(some) for some in zip(*map(tree.leaves, parts), strict=True)]
    return tree.unflatten(parts[0], leaves)
