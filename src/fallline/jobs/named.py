"""x, y and weights as a caller gives them become named arrays that a step can read, or a list of all that is wrong.

Knows models and losses only by the declared form of their inputs and targets.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import numpy as np

from fallline import tree
from fallline.errors import FalllineError
from fallline.graph.op import Array
from fallline.jobs.block_targets import stored_targets
from fallline.jobs.shared_cache import ByIdentity, SharedCache
from fallline.nn.encoder import Columns
from fallline.nn.inputs import are_several, as_arrays, cast_whole
from fallline.nn.intake import Problems, as_numbers, check_finite, to_dtype
from fallline.nn.layer import with_batch
from fallline.nn.loss import Loss, check_weighs
from fallline.nn.model import Model
from fallline.nn.target import Targets
from fallline.source import Form, is_source, named
from fallline.stored import Stored, is_mapped, parts_of_source, stored
from fallline.table import is_table
from fallline.tree import Tree

# Data of another float precision are converted once if they are smaller than this, else batch by batch.
_CONVERT_BYTES = 1 << 28

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows to train or to measure on.

    data: named arrays of all rows, "x" (or "x.age", "x.image" ... of several inputs), "y", and "weight" where rows have
    weights; Stored where they are not read whole. index: which of them are meant, int64.
    """

    data: Mapping[str, Array]
    index: Array

    @property
    def meant(self) -> int | None:
        """How many are meant."""
        return len(self.index)

    @property
    def is_resident(self) -> bool:
        """Whether all arrays are in memory, or mapped there."""
        return not any(isinstance(array, Stored) for array in self.data.values())

    @property
    def count(self) -> int:
        """Rows of the arrays, the others included."""
        return len(self.data["y"])


def count(x: Tree | None) -> int | None:
    """How many rows the inputs have."""
    return None if x is None else len(tree.leaves(x)[0])


def given_parts(data: Any) -> Any:
    """Data of a caller, a Source of theirs as x, y and weight."""
    return parts_of_source(data) if is_source(data) else data


def read_whole(rows: Rows) -> Rows:
    """The rows that are meant, in memory."""
    arrays = {name: array[rows.index] for name, array in rows.data.items()}
    return Rows(arrays, np.arange(len(rows.index)))


def targets_of_rows(rows: Rows) -> Array:
    """The targets of the rows that are meant; not copied where these are all and in memory."""
    y = rows.data["y"]
    return y if len(rows.index) == len(y) and isinstance(y, np.ndarray) else y[rows.index]


def weights_of_rows(rows: Rows) -> Array | None:
    """The weights of the rows that are meant; None where rows have none."""
    return rows.data["weight"][rows.index] if "weight" in rows.data else None


def named_arrays(x: Tree | None, targets: Targets | None, weight: Array | None) -> dict[str, Array]:
    """The rows as named arrays, without those that were refused."""
    if x is None or targets is None:
        return {}
    return {**named(x), "y": targets.y, **({} if weight is None else {"weight": weight})}


def _once_with_problems(
    cache: SharedCache, key: tuple[Any, ...], problems: Problems, make: Callable[[Problems], T]
) -> T:
    """The result of `make`, cached; the problems it found are reported every time."""

    def made() -> tuple[T, Problems]:
        found = Problems()
        return make(found), found

    result, found = cache.once(key, made)
    problems.arguments += found.arguments
    problems.data += found.data
    return result


def inputs_of(
    given: Any,
    what: str,
    model: Any,
    encoder: Columns | None,
    dtype: np.dtype[Any],
    problems: Problems,
    cache: SharedCache,
) -> Tree | None:
    """x ready for the step: an array, or a tree of arrays; None after adding to `problems`."""
    wanted = model.inputs if isinstance(model, Model) and encoder is None else None
    form = None if wanted is None else tuple(named(wanted).items())
    key = "x", ByIdentity(given), what, form, dtype, ByIdentity(encoder)
    return _once_with_problems(
        cache, key, problems, lambda found: _checked_rows(given, what, wanted, dtype, encoder, found)
    )


def _checked_rows(
    given: Any, what: str, wanted: Tree, dtype: np.dtype[Any], encoder: Columns | None, problems: Problems
) -> Tree | None:
    if given is None:
        return None
    if encoder is not None:
        given = given if is_table(given) else in_parts(given)
        return _encoded_rows(given, what, dtype, encoder, problems)
    arrays = as_arrays(in_parts(given), what, problems, wanted)
    if arrays is None:
        return None
    forms = {} if wanted is None else named(wanted, what)
    found = [_checked(array, name, forms.get(name), dtype, problems) for name, array in named(arrays, what).items()]
    return None if any(one is None for one in found) else tree.unflatten(arrays, found)


def _has_numbers(x: Array, what: str, problems: Problems) -> bool:
    if not len(x):
        problems.data.append(f"{what} is empty: its shape is {x.shape}")
    elif x.size == 0:
        problems.data.append(f"{what} has no features: its shape is {x.shape}")
    return x.size > 0


def _checked(x: Array, what: str, form: Form | None, dtype: np.dtype[Any], problems: Problems) -> Array | None:
    """One input ready for the step: floats in the precision of training, whole numbers and bool as they are."""
    if not _has_numbers(x, what, problems):
        return None
    if isinstance(x, Stored):
        return _checked_when_read(x, what, form, dtype, problems)
    if not _has_shape(x, what, form, problems):
        return None
    if x.dtype.kind != "f" and (form is None or form.dtype.kind != "f"):
        whole = x if form is None else cast_whole(x, form.dtype, what, problems)
        return None if whole is None else np.ascontiguousarray(whole)
    if not check_finite(x, what, dtype, problems):
        return x  # its shape still helps to find other problems
    if x.dtype in (np.float32, np.float64) and x.flags.c_contiguous and (is_mapped(x) or x.nbytes > _CONVERT_BYTES):
        return x  # the step converts each batch
    return to_dtype(x, dtype)


def _has_shape(x: Array, what: str, form: Form | None, problems: Problems) -> bool:
    if form is None or x.shape[1:] == form.shape:
        return True
    problems.data.append(f"{what} has shape {x.shape}, and the model was made for {with_batch(form.shape)}")
    return False


def _checked_when_read(
    x: Stored, what: str, form: Form | None, dtype: np.dtype[Any], problems: Problems
) -> Array | None:
    """An input that stays where it is stored: `_checked` looks at its rows as they are read."""
    if not _has_shape(cast(Array, x), what, form, problems):
        return None
    if x.dtype.kind == "f":
        read_as = x.dtype  # the step converts each batch
    else:
        read_as = x.dtype if form is None else dtype if form.dtype.kind == "f" else form.dtype

    def ready(rows: Array, numbers: Array) -> Array:
        found = Problems()
        if rows.dtype.kind == "f":
            check_finite(rows, what, dtype, found, numbers)
        settled_rows = cast_whole(rows, read_as, what, found)
        found.raise_if_any()
        assert settled_rows is not None
        return settled_rows

    return cast(Array, replace(x, dtype=read_as, ready=ready))


def _encoded_when_read(x: Stored, what: str, dtype: np.dtype[Any], encoder: Columns) -> Array:
    """Rows that stay where they are stored, encoded as they are read."""

    def ready(rows: Array, numbers: Array) -> Array:
        found = Problems()
        encoded = encoder.encode(rows, dtype) if encoder.are_finite(rows, what, found, numbers) else rows
        check_finite(encoded, what, dtype, found, numbers)
        found.raise_if_any()
        return encoded

    return cast(Array, replace(x, shape=(len(x), encoder.width), dtype=dtype, ready=ready))


def in_parts(given: Any) -> Any:
    """x with each array that is not to be read whole as Stored; everything else as it is."""
    if isinstance(given, Mapping) and not hasattr(given, "dtype"):
        return {key: in_parts(part) for key, part in given.items()}
    if isinstance(given, tuple) and are_several(given):
        return tuple(in_parts(part) for part in given)
    return stored(given)


def _encoded_rows(given: Any, what: str, dtype: np.dtype[Any], encoder: Columns, problems: Problems) -> Array | None:
    x = encoder.numbers(given, what, problems)
    if x is None or not _has_numbers(x, what, problems):
        return None
    if x.shape[1:] != (len(encoder.columns),):
        problems.data.append(f"{what} has shape {x.shape}, and the encoder takes (N, {len(encoder.columns)})")
        return None
    if isinstance(x, Stored):
        return _encoded_when_read(x, what, dtype, encoder)
    if not encoder.are_finite(x, what, problems):
        return None
    x = encoder.encode(x, dtype)
    check_finite(x, what, dtype, problems)
    return to_dtype(x, dtype)


def weights_of(
    given: Any,
    x: Tree | None,
    what: str,
    model: Model | None,
    dtype: np.dtype[Any],
    problems: Problems,
    cache: SharedCache,
) -> Array | None:
    """The weights of rows, ready for the step; None where there are none, or after adding to `problems`."""
    if given is None or x is None or model is None:
        return None
    n = count(x)

    def make(found: Problems) -> Array | None:
        weight = as_numbers(given.whole() if isinstance(given, Stored) else given, what, found)
        if weight is None:
            return None
        if weight.shape != (n,):
            hint = f"\n  try: {what}.reshape(-1)" if weight.size == n else ""
            found.data.append(f"{what} is one number for each of {n} rows, (N,), got shape {weight.shape}{hint}")
        elif check_finite(weight, what, dtype, found):
            _check_weights(weight, what, dtype, found)
        return None if found.data else to_dtype(weight, dtype)

    try:
        check_weighs(model.loss)
    except FalllineError as error:
        problems.arguments.append(str(error))
    return _once_with_problems(cache, ("weight", ByIdentity(given), n, what, dtype), problems, make)


def _check_weights(weight: Array, what: str, dtype: np.dtype[Any], problems: Problems) -> None:
    """That weights are >= 0, and that neither their sum nor its inverse overflows."""
    if weight.min() < 0:
        problems.data.append(f"{what} holds {weight.min():g} in row {int(weight.argmin())}; weights are >= 0")
        return
    total, limits = float(np.sum(weight, dtype=np.float64)), np.finfo(dtype)
    largest = float(weight.max())
    if total > limits.max or 0 < largest < limits.tiny:
        told = f"add up to {total:g}" if total > limits.max else f"are {largest:g} at most"
        problems.data.append(f"{what}: the weights {told}, beyond the range of {dtype}\n"
                             f"  try: {what} / {what}.max()")  # fmt: skip


def targets_of(
    y: Any,
    x: Tree | None,
    what: str,
    model: Model | None,
    loss: Loss | None,
    dtype: np.dtype[Any],
    problems: Problems,
    cache: SharedCache,
) -> Targets | None:
    """y as the loss takes it; None after adding to `problems`."""
    form: Any = None
    if model is not None:  # a decoder makes its classes anew for each model
        meant = model.decoder or ByIdentity(model.classes)
        form = model.loss, model.output_shape, model.dtype, meant
    n = count(x)
    key = "y", ByIdentity(y), n, what, form, loss, dtype
    return _once_with_problems(
        cache, key, problems, lambda found: _checked_targets(y, n, what, model, loss, dtype, found)
    )


def _checked_targets(
    y: Any, n: int | None, what: str, model: Model | None, loss: Loss | None, dtype: np.dtype[Any], problems: Problems
) -> Targets | None:
    if y is None:
        return None
    y = stored(y)
    try:
        length = len(y)
        if n is not None and length != n:
            problems.data.append(f"{what.removesuffix('y')}x has {n} rows and {what} has {length}")
            return None
        if length == 0:
            problems.data.append(f"{what} is empty")
            return None
    except TypeError:
        pass  # not an array at all: reported by the loss
    try:
        if isinstance(y, Stored):
            return None if model is None else stored_targets(model, y)
        if model is not None:
            return model.prepare(y)
        return loss.prepare(y, dtype) if loss is not None else None
    except FalllineError as error:
        problems.data.append(str(error) if what == "y" else f"{what}: {error}")
        return None
