"""Which values are taken as arrays, and which are refused since they would silently change: one rule.

An array's numbers are all that enters: a mask, a unit, another meaning of `*` or missing entries would be lost. So
subclasses of NumPy's array with an arithmetic of their own are refused, and sparse matrices, which are no arrays.
"""

from typing import Any

import numpy as np

from fallline.errors import ArgumentTypeError

Array = np.ndarray[Any, np.dtype[Any]]

# Operations a subclass inherits unless it means something else by them: memory-mapped arrays do, np.matrix does not.
_ARITHMETIC = ("__array_ufunc__", "__array_function__", "__mul__", "__matmul__", "__add__", "__pow__", "__eq__")


def refusal(value: Any) -> tuple[str, str] | None:
    """Why a value is not taken for an array, and a replacement; None where it is taken.

    Lists and tuples are looked into.
    """
    kind = type(value)
    if kind is np.ndarray or isinstance(value, np.generic | int | float):
        return None
    if isinstance(value, np.ndarray):
        return _of_subclass(kind)
    if kind is list or kind is tuple:
        found = (refusal(item) for item in value if type(item) is not float and type(item) is not int)
        return next((one for one in found if one is not None), None)
    if not hasattr(value, "__array__") and hasattr(value, "toarray"):
        return "a sparse matrix", "its .toarray()"
    return None


def _of_subclass(kind: type) -> tuple[str, str] | None:
    if all(getattr(kind, name) is getattr(np.ndarray, name) for name in _ARITHMETIC):
        return None
    names = {cls.__name__ for cls in kind.__mro__}
    if "MaskedArray" in names:
        return "a masked array, whose mask would be lost", ".filled(...), or the data and the mask as two arrays"
    if "matrix" in names:
        return "an np.matrix, whose * is not that of arrays", "np.asarray(...) of it"
    return (
        f"a {kind.__name__}, an array with an arithmetic of its own",
        "np.asarray(...) of it, for its numbers",
    )


def plain(value: Any, what: str, at: str = "") -> None:
    """Raise ArgumentTypeError for a value that is not taken as an array; `at` says where, as a line of the message."""
    if type(value) is np.ndarray:
        return
    found = refusal(value)
    if found is not None:
        raise ArgumentTypeError(f"{what} is {found[0]}{at}\n  try: {found[1]}")


def as_array(value: Any, what: str, at: str = "") -> Array:
    """The array of a value, itself where it is one.

    Errors: ArgumentTypeError for values that are refused or cannot be made an array.
    """
    if type(value) is np.ndarray:
        return value
    plain(value, what, at)
    try:
        array = np.asanyarray(value)  # keeps a mask or unit that np.asarray would drop in silence
    except Exception as error:  # another library's conversion may raise anything
        message = f"{what} cannot be made an array: {type(value).__name__}: {error}"
        raise ArgumentTypeError(f"{message}{at}\n  try: rows of equal length, or an array of the numbers") from None
    plain(array, what, at)
    return np.asarray(array)


def real(value: Any, what: str, at: str = "") -> Any:
    """A number as it is, anything else as an array of real numbers: the other operands that public ops take with traced
    values.

    Errors: ArgumentTypeError.
    """
    if isinstance(value, int | float | np.generic):
        return value
    array = as_array(value, what, at)
    if array.dtype.kind not in "fiubO":
        raise ArgumentTypeError(f"{what} holds {array.dtype}, not real numbers{at}")
    return array


def in_float64(array: Array) -> Array:
    """Floats in float64; whole numbers and truth values as they are."""
    return np.asarray(array, np.float64) if array.dtype.kind == "f" else np.asarray(array)
