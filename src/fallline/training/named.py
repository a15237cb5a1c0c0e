"""x, y and weights as a caller gives them become named arrays that a step can read, or a list of all that is wrong.

Knows models and losses by what they say of their inputs and targets.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from fallline import tree
from fallline.errors import FalllineError
from fallline.graph.op import Array
from fallline.nn.encoder import Columns
from fallline.nn.inputs import as_arrays, settled
from fallline.nn.intake import Problems, as_numbers, check_finite, to_dtype
from fallline.nn.layer import with_batch
from fallline.nn.loss import Loss, check_weighs
from fallline.nn.model import Model
from fallline.nn.target import Targets
from fallline.source import Form, named
from fallline.training.shared_cache import ByIdentity, SharedCache
from fallline.tree import Tree

# Data of another float precision are converted once if they are smaller than this, else batch by batch.
_CONVERT_BYTES = 1 << 28

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows to train or to measure on.

    data: named arrays of all rows, "x" (or "x.age", "x.image" ... of several inputs), "y", and "weight" where rows have
    weights. index: which of them are meant, int64.
    """

    data: Mapping[str, Array]
    index: Array

    @property
    def count(self) -> int:
        """Rows of the arrays, the others included."""
        return len(self.data["y"])


def count(x: Tree | None) -> int | None:
    """How many rows the inputs have."""
    return None if x is None else len(tree.leaves(x)[0])


def named_arrays(x: Tree | None, targets: Targets | None, weight: Array | None) -> dict[str, Array]:
    """The rows as named arrays; of what was refused nothing."""
    if x is None or targets is None:
        return {}
    return {**named(x), "y": targets.y, **({} if weight is None else {"weight": weight})}


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


def inputs_of(
    given: Any,
    what: str,
    model: Any,
    encoder: Columns | None,
    dtype: np.dtype[Any],
    problems: Problems,
    cache: SharedCache,
) -> Tree | None:
    """x ready for the step: an array, or a tree of arrays; None after telling what is wrong with it."""
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
        return _encoded_rows(given, what, dtype, encoder, problems)
    arrays = as_arrays(given, what, problems, wanted)
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
    if form is not None and x.shape[1:] != form.shape:
        problems.data.append(f"{what} has shape {x.shape}, and the model was made for {with_batch(form.shape)}")
        return None
    if x.dtype.kind != "f" and (form is None or form.dtype.kind != "f"):
        whole = x if form is None else settled(x, form.dtype, what, problems)
        return None if whole is None else np.ascontiguousarray(whole)
    if not check_finite(x, what, dtype, problems):
        return x  # its shape still helps to find what else is wrong
    if x.dtype in (np.float32, np.float64) and x.flags.c_contiguous and (_is_mapped(x) or x.nbytes > _CONVERT_BYTES):
        return x  # the step converts each batch
    return to_dtype(x, dtype)


def _encoded_rows(given: Any, what: str, dtype: np.dtype[Any], encoder: Columns, problems: Problems) -> Array | None:
    try:
        x = as_numbers(encoder.in_order(given, what), what, problems)
    except FalllineError as error:
        problems.data.append(str(error))
        return None
    if x is None or not _has_numbers(x, what, problems):
        return None
    if x.shape[1:] != (len(encoder.columns),):
        problems.data.append(f"{what} has shape {x.shape}, and the encoder takes (N, {len(encoder.columns)})")
        return None
    if not check_finite(x, what, np.float64, problems):
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
    """The weights of rows, ready for the step; None where there are none, or after telling what is wrong with them."""
    if given is None or x is None or model is None:
        return None
    n = count(x)

    def make(found: Problems) -> Array | None:
        weight = as_numbers(given, what, found)
        if weight is None:
            return None
        if weight.shape != (n,):
            hint = f"\n  try: {what}.reshape(-1)" if weight.size == n else ""
            found.data.append(f"{what} is one number for each of {n} rows, (N,), got shape {weight.shape}{hint}")
        elif check_finite(weight, what, dtype, found) and weight.min() < 0:
            found.data.append(f"{what} holds {weight.min():g} in row {int(weight.argmin())}; weights are >= 0")
        return to_dtype(weight, dtype)

    try:
        check_weighs(model.loss)
    except FalllineError as error:
        problems.arguments.append(str(error))
    return _once_with_problems(cache, ("weight", ByIdentity(given), n, what, dtype), problems, make)


def _is_mapped(array: Any) -> bool:
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return False


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
    """y as the loss takes it; None after telling what is wrong with it."""
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
        if model is not None:
            return model.prepare(y)
        return loss.prepare(y, dtype) if loss is not None else None
    except FalllineError as error:
        problems.data.append(str(error) if what == "y" else f"{what}: {error}")
        return None
