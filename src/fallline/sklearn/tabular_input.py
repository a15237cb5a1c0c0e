"""Rows, targets and weights as an estimator is given them, checked with the words that scikit-learn uses for the same.

Knows no training.
"""

import datetime
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_array, column_or_1d

from fallline.arguments import shown
from fallline.arrays import Array
from fallline.errors import ArgumentError, ArgumentTypeError, DataError, nearest
from fallline.nn.column import written
from fallline.table import Table, Texts, Values, as_table, is_missing, values_of

MOST_NAMES = 5
SCALARS = (bool, int, float, np.generic, datetime.date)  # labels besides texts


@dataclass(frozen=True)
class Rows:
    """A table, and whether its columns have names of their own: those of an array are counted."""

    table: Table
    named: bool

    def take(self, places: Array) -> "Rows":
        """Some of the rows."""
        return self if len(places) == self.table.rows else Rows(self.table.take(places), self.named)


def rows_of(X: Any, what: str = "X") -> Rows:
    """The table of some rows. Errors: DataError, ArgumentTypeError for values that are none."""
    if hasattr(X, "toarray"):
        raise ArgumentTypeError(f"{what} is sparse, and sparse input is not supported\n  try: X.toarray()")
    if isinstance(X, Table) or hasattr(X, "collect"):  # not even the names of a lazy frame are there yet
        return Rows(as_table(X, what), True)
    if hasattr(X, "iloc") and not hasattr(X, "columns"):  # a series
        raise _one_dimensional(what)
    named = isinstance(X, Mapping) or hasattr(X, "columns") or hasattr(X, "__arrow_c_stream__")
    named = named or (isinstance(X, list | tuple) and bool(X) and isinstance(X[0], Mapping))
    if named and not isinstance(X, np.ndarray):
        names = [*X.columns] if hasattr(X, "iloc") else []  # pandas, where a name may be anything
        texts = [name for name in names if isinstance(name, str)]
        if texts and len(texts) < len(names):
            kinds = sorted({type(name).__name__ for name in names})
            raise ArgumentTypeError(
                "Feature names are only supported if all input features have string names, "
                f"but your input has {kinds} as names of columns\n  try: X.columns = X.columns.astype(str)"
            )
        if len({*names}) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(f"{what} has two columns called {twice!r}")
        table = as_table(X, what)
        if not table.names:
            raise _no_columns((table.rows, 0), what)
        _check_rows(table.rows, what)
        return Rows(table, bool(texts) or not names)
    array = X if type(X) is np.ndarray else None
    if array is None:
        return Rows(_counted(as_array_of(X, what), what), False)
    return Rows(_counted(array, what), array.dtype.names is not None)


def as_array_of(X: Any, what: str) -> Any:
    """Nested lists and the like as they are, and arrays of other libraries as NumPy's."""
    if isinstance(X, list | tuple):
        if not len(X):
            raise DataError(f"Found array with 0 sample(s) (shape={np.shape(X)}) while a minimum of 1 is required.")
        if all(np.ndim(row) == 0 for row in X) and not any(isinstance(row, list | tuple) for row in X):
            raise _one_dimensional(what)
        return X
    if hasattr(X, "__array__"):
        return X if isinstance(X, np.ma.MaskedArray) else np.asarray(X)
    raise ArgumentTypeError(f"{what} is {shown(X)}, not a table\n  try: a data frame, a dict of columns, or an array")


def _counted(X: Any, what: str) -> Table:
    """The table of an array (N, D), its columns called "0", "1" ..."""
    if isinstance(X, np.ma.MaskedArray):
        X = np.ma.filled(X.astype(np.float64), np.nan) if X.dtype.kind in "fiub" else X
    if isinstance(X, np.ndarray):
        if X.dtype.names is not None:
            return as_table(X, what)
        if X.dtype.kind == "c":
            raise DataError(f"Complex data not supported\n{what} holds {X.dtype}")
        if X.ndim < 2:
            raise _one_dimensional(what)
        if X.ndim > 2:
            raise DataError(f"Found array with dim {X.ndim}, while dim <= 2 is required: {what} has shape {X.shape}.")
        _check_rows(X.shape[0], what, X.shape)
        if not X.shape[1]:
            raise _no_columns(X.shape, what)
    return as_table(X, what)


def _check_rows(rows: int, what: str, shape: Any = None) -> None:
    if not rows:
        seen = f" (shape={shape})" if shape is not None else ""
        raise DataError(f"Found array with 0 sample(s){seen} while a minimum of 1 is required: {what} has no row.")


def _no_columns(shape: Any, what: str) -> DataError:
    return DataError(
        f"Found array with 0 feature(s) (shape={shape}) while a minimum of 1 is required: {what} has no column."
    )


def _one_dimensional(what: str) -> DataError:
    return DataError(
        f"Expected 2D array, got 1D array instead: {what} holds rows of columns, (N, D).\n"
        "  try: Reshape your data, X.reshape(-1, 1) for one column or X.reshape(1, -1) for one row"
    )


def check_columns(estimator: Any, rows: Rows) -> None:
    """Check that rows have the columns that an estimator was fitted on, in their order.

    Errors: DataError for other columns, with scikit-learn's words.
    """
    kind, names = type(estimator).__name__, getattr(estimator, "feature_names_in_", None)
    given = rows.table.names
    if names is not None and rows.named:
        if [*names] == [*given]:
            return
        missing, unseen = sorted({*names} - {*given}), sorted({*given} - {*names})
        lines = ["The feature names should match those that were passed during fit."]
        if unseen:
            lines += ["Feature names unseen at fit time:", *_listed(unseen)]
        if missing:
            lines += ["Feature names seen at fit time, yet now missing:", *_listed(missing)]
        if not missing and not unseen:
            lines.append("Feature names must be in the same order as they were in fit.")
        if not missing:
            lines.append("  try: X[list(estimator.feature_names_in_)]")
        raise DataError("\n".join([*lines, ""]))
    if len(given) != estimator.n_features_in_:
        raise DataError(
            f"X has {len(given)} features, but {kind} is expecting {estimator.n_features_in_} features as input."
        )
    if names is not None:
        warnings.warn(f"X does not have valid feature names, but {kind} was fitted with feature names", stacklevel=3)
    elif rows.named:
        warnings.warn(f"X has feature names, but {kind} was fitted without feature names", stacklevel=3)


def _listed(names: list[str]) -> list[str]:
    return [f"- {name}" for name in names[:MOST_NAMES]] + ["- ..."] * (len(names) > MOST_NAMES)


def one_column(y: Any, estimator: Any) -> Any:
    """y as (N,); a column, (N, 1), with a DataConversionWarning. Errors: ValueError for other shapes."""
    if y is None:
        raise DataError(f"This {type(estimator).__name__} estimator requires y to be passed, but the target y is None.")
    if hasattr(y, "to_pylist"):  # Arrow
        y = y.to_pylist()
    if hasattr(y, "to_numpy") and not hasattr(y, "dtypes"):  # a series, also one of pandas' or polars' own dtypes
        y = y.to_numpy()
    array = np.asarray(y) if not isinstance(y, list | tuple) else _of_list(y)
    if array.ndim == 2 and array.shape[1] == 1:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected. Please change the shape of y to "
            "(n_samples, ), for example using ravel().",
            DataConversionWarning,
            stacklevel=4,
        )
        array = array[:, 0]
    if array.dtype.kind == "c":
        raise DataError(f"Complex data not supported\ny holds {array.dtype}")
    if array.ndim != 1:
        return np.asarray(column_or_1d(array))  # scikit-learn's error
    missing: Any
    if array.dtype.kind == "O":
        missing = np.fromiter((is_missing(cell) for cell in array), bool, len(array))
    else:
        missing = np.isnan(array) if array.dtype.kind == "f" else np.isnat(array) if array.dtype.kind in "mM" else None
    if missing is not None and missing.any():
        raise DataError(
            f"Input y contains NaN: {int(missing.sum())} of {len(array)} targets are missing, the first in row "
            f"{int(np.argmax(missing))}\n  try: leave these rows out"
        )
    return array


def _of_list(y: Any) -> Array:
    """A list as an array; one of several kinds keeps its cells, which NumPy would make texts of."""
    array = np.asarray(y)
    if array.ndim == 1 and array.dtype.kind in "US" and not all(isinstance(cell, str | bytes) for cell in y):
        array = np.empty(len(y), object)
        array[:] = y
    return array


def labels_of(y: Any, estimator: Any) -> tuple[Array, Array]:
    """Classes, ascending, and the place of each row's label among them.

    Errors: DataError for missing labels, labels of several kinds, and one class; ValueError for quantities.
    """
    array = one_column(y, estimator)
    if array.dtype.kind == "O" and len(array) and not isinstance(array[0], str):
        kinds = {type(cell) for cell in array}
        if len(kinds) > 1 and not all(issubclass(kind, int | float | np.number) for kind in kinds):
            told = " and ".join(sorted(kind.__name__ for kind in kinds))
            raise DataError(f"Unknown label type: y holds labels of several kinds, {told}\n  try: y.astype(str)")
        if not isinstance(array[0], SCALARS):
            raise DataError(f"Unknown label type: y holds {shown(array[0])}\n  try: y.astype(str)")
        array = np.array([*array])
    if array.dtype.kind not in "mM":
        check_classification_targets(array)
    classes, codes = np.unique(array, return_inverse=True)
    return classes, codes.astype(np.int64)


def codes_of(y: Any, classes: Array, estimator: Any) -> Array:
    """The place of each row's label among classes. Errors: DataError for labels that are none of them."""
    found, codes = labels_of(y, estimator)
    if (found.dtype.kind in "UO") != (classes.dtype.kind in "UO"):
        raise DataError(f"y holds labels such as {found[:1].tolist()[0]!r}, and the classes are {classes[:6].tolist()}")
    places = np.minimum(np.searchsorted(classes, found), len(classes) - 1)
    strange = found[classes[places] != found]
    if len(strange):
        raise DataError(f"y holds the label {strange[:1].tolist()[0]!r}, and the classes are {classes[:6].tolist()}")
    coded: Array = places[codes]
    return coded


def quantities_of(y: Any, estimator: Any) -> Array:
    """Quantities, (N,) float64. Errors: DataError for missing ones and texts; ValueError for infinite ones."""
    array = one_column(y, estimator)
    if array.dtype.kind in "USmM" or (array.dtype.kind == "O" and any(isinstance(cell, str) for cell in array)):
        raise DataError(
            f"y holds {array[:1].tolist()[0]!r:.40}, and {type(estimator).__name__} predicts numbers\n"
            "  try: y.astype(float); TabularClassifier, for labels"
        )
    checked: Array = check_array(array, ensure_2d=False, dtype=np.float64, input_name="y")
    return checked


def weights_of(sample_weight: Any, rows: int) -> Array | None:
    """Weights of rows, (N,) float64; None where there are none. Errors: ValueError in scikit-learn's words."""
    if sample_weight is None:
        return None
    if hasattr(sample_weight, "to_numpy"):
        sample_weight = sample_weight.to_numpy()
    checked: Array = _check_sample_weight(sample_weight, np.empty((rows, 1)), ensure_non_negative=True)
    return checked


def check_lengths(**given: Any) -> None:
    """Errors: DataError where these have several lengths; None counts as left out."""
    lengths = {name: len(one) for name, one in given.items() if one is not None}
    if len({*lengths.values()}) > 1:
        told = ", ".join(f"{name} has {count}" for name, count in lengths.items())
        raise DataError(f"Found input variables with inconsistent numbers of samples: {told}")


def chosen_columns(given: Any, rows: Rows, argument: str = "categorical_features") -> list[str]:
    """The names of columns that an argument picks: names, places, or one of True and False for each.

    Errors: ArgumentError for names and places that are not there.
    """
    names = rows.table.names
    # The words of HistGradientBoosting for columns whose type says it, which are understood so in any case.
    if given is None or (isinstance(given, str) and given == "from_dtype" and given not in names):
        return []
    picks = [given] if isinstance(given, str) else [*given]
    if picks and all(isinstance(one, bool | np.bool_) for one in picks):
        if len(picks) != len(names):
            raise ArgumentError(f"{argument} has {len(picks)} marks, and X has {len(names)} columns")
        return [name for name, is_picked in zip(names, picks) if is_picked]
    wrong, found = [], []
    for one in picks:
        if isinstance(one, int | np.integer) and 0 <= one < len(names):
            found.append(names[int(one)])
        elif isinstance(one, str) and one in names:
            found.append(one)
        else:
            wrong.append(f"{argument}: X has no column {one!r}{nearest(str(one), names)}")
    if wrong:
        raise ArgumentError("\n  ".join(wrong))
    return found


def kinds_of(rows: Rows, kinds: Any, categorical: Any) -> dict[str, str]:
    """The kind of each column of which the caller says it, by name; the numbers of an array are numbers.

    Errors: ArgumentError, ArgumentTypeError for other than a mapping, and for columns that are not there.
    """
    if kinds is not None and not isinstance(kinds, Mapping):
        raise ArgumentTypeError(
            f"kinds maps names of columns to kinds, got {shown(kinds)}\n  try: {{'zip': 'category'}}"
        )
    given = {} if kinds is None else dict(zip(chosen_columns([*kinds], rows, "kinds"), kinds.values()))
    picked = dict.fromkeys(chosen_columns(categorical, rows), "category")
    plain = (
        {} if rows.named else {name: "number" for name, values in rows.table.columns.items() if _are_numbers(values)}
    )
    return {**plain, **picked, **given}


def _are_numbers(values: Values) -> bool:
    return not isinstance(values, Texts) and values.dtype.kind in "fiu"


def group_codes(groups: Any) -> Array:
    """(N,) a code for each group. Errors: DataError for a row without one."""
    values = values_of(groups.to_numpy() if hasattr(groups, "to_numpy") else groups, "groups")
    codes = (values if isinstance(values, Texts) else written(values)).codes
    if len(codes) and codes.min() < 0:
        raise DataError(f"groups: row {int(np.argmin(codes))} has none\n  try: leave these rows out")
    return codes.astype(np.int64)
