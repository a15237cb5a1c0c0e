"""TabularClassifier and TabularRegressor: tables as they are, in scikit-learn's form.

They turn arguments into a data set and choices, train by the recipe that these make, and hold no knowledge of their
own.
"""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from fallline.arrays import Array
from fallline.data.dataset import Dataset
from fallline.data.preprocess import targets_of
from fallline.errors import ArgumentError, DataError
from fallline.recipe import recipe_of
from fallline.sklearn import tabular_input as given_as
from fallline.sklearn.choices import choices_of, takes_choices
from fallline.sklearn.workers import lanes_for
from fallline.start import fit
from fallline.table import Table

# Rows that whole weights stand for, up to which columns are measured on each as often as its weight says.
MOST_REPEATED = 1 << 20


class _Tabular(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """The part that both estimators share: training, and rows on their way to the model."""

    _task: str
    categorical_features: Any
    n_jobs: int | None

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Any:
        """Train on a table.

        X: (N, D), a data frame of pandas, polars or Arrow, a dict of columns, a list of dicts, or an array of any
            dtype. Numbers, texts, categories, dates, booleans, and missing values.
        y: (N,) the target. sample_weight: (N,) >= 0, of the rows; a row of weight 0 counts as left out.
        X_val, y_val, sample_weight_val: rows to validate on, instead of a share of X.
        Errors: ValueError, TypeError, all before training starts.
        """
        given = given_as.rows_of(X)
        target = self._learnt_targets(y)
        weights = given_as.weights_of(sample_weight, given.table.rows)
        given_as.check_lengths(X=given.table, y=target, sample_weight=weights)
        self._keep_columns(given)
        kinds = dict.fromkeys(given_as.chosen_columns(self.categorical_features, given), "category")
        called = getattr(y, "name", None)
        data = Dataset("X", given.table, target, given.table.names, called if isinstance(called, str) else "y",
                       self._task, self._class_names(), kinds=kinds)  # fmt: skip
        keep = np.arange(len(data)) if weights is None else np.flatnonzero(weights)
        self._check_enough(data, keep)
        recipe = recipe_of(data, choices_of(self), measured_rows(keep, weights))
        settings = {**recipe.settings, "threads": lanes_for(self.n_jobs)}
        validation = self._validation(X_val, y_val, sample_weight_val, recipe.decoder)
        if validation is not None:
            settings["validation"] = validation
        rows = (data.take(keep), targets_of(data, keep, recipe.decoder))
        self.run_ = fit(recipe.network, rows if weights is None else (*rows, weights[keep]), **settings)
        self.model_ = self.run_.model
        self.n_iter_ = len(self.run_.epochs)
        return self

    def _learnt_targets(self, y: Any) -> Array:
        """Codes or quantities of the training rows; a classifier learns its classes from them."""
        raise NotImplementedError

    def _targets(self, y: Any) -> Array:
        """Codes or quantities of other rows. Errors: DataError for labels that are none of the classes."""
        raise NotImplementedError

    def _class_names(self) -> tuple[str, ...]:
        return ()

    def _keep_columns(self, given: given_as.Rows) -> None:
        self.n_features_in_ = len(given.table.names)
        if given.named:
            self.feature_names_in_ = np.array(given.table.names, object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _check_enough(self, data: Dataset, keep: Array) -> None:
        """Errors: DataError for one row."""
        if len(keep) < 2:
            raise DataError(f"X has one sample to train on (n_samples = {len(keep)}), and training needs two or more")

    def _validation(self, X_val: Any, y_val: Any, weight: Any, decoder: Any) -> Any:
        """The rows to validate on, as training takes them; None where none are given."""
        if X_val is None and y_val is None:
            return None
        if X_val is None or y_val is None:
            raise ArgumentError("X_val and y_val are given together, or neither is")
        given = given_as.rows_of(X_val, "X_val")
        given_as.check_columns(self, given)
        target = self._targets(y_val)
        weights = given_as.weights_of(weight, given.table.rows)
        given_as.check_lengths(X_val=given.table, y_val=target, sample_weight_val=weights)
        rows = (given.table, decoder.classes[target] if self._task == "classification" else target)
        return rows if weights is None else (*rows, weights)

    def _rows(self, X: Any) -> Table:
        """The table of some rows, of the columns that the model was trained on."""
        check_is_fitted(self)
        given = given_as.rows_of(X)
        given_as.check_columns(self, given)
        return given.table

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


def measured_rows(keep: Array, weights: Array | None) -> Array:
    """The rows on which columns are measured: each as often as its weight says, where weights are whole numbers."""
    if weights is None or not np.array_equal(weights, np.floor(weights)) or weights.sum() > MOST_REPEATED:
        return keep
    repeated: Array = np.repeat(keep, weights[keep].astype(np.int64))
    return repeated


@takes_choices(categorical_features=None, n_jobs=None)
class TabularClassifier(ClassifierMixin, _Tabular):  # type: ignore[misc]
    """A classifier of table rows: a network with its preprocessing, by the recipe of `recipe.recipe_of`.

    Arguments are those of `recipe.Choices`, by scikit-learn's names: hidden_layer_sizes, max_iter (epochs),
    validation_fraction, n_iter_no_change (patience), random_state. categorical_features: columns whose numbers are
    codes, by name, place or mask. n_jobs: cores; None for all, or the share of a joblib worker.
    Fitted: classes_, n_features_in_, feature_names_in_, n_iter_, model_ (fl.save_model writes it), run_ (history).
    Errors: ValueError, TypeError when it is fitted.
    Example: TabularClassifier(random_state=0).fit(frame.drop(columns="species"), frame["species"])
    """

    _task = "classification"

    def _learnt_targets(self, y: Any) -> Array:
        self.classes_, codes = given_as.labels_of(y, self)
        return codes

    def _targets(self, y: Any) -> Array:
        return given_as.codes_of(y, self.classes_, self)

    def _class_names(self) -> tuple[str, ...]:
        return tuple(map(str, self.classes_.tolist()))

    def _check_enough(self, data: Dataset, keep: Array) -> None:
        left = np.unique(data.y[keep])
        if len(left) < 2:
            told = "".join(f", {self.classes_[one].item()!r}" for one in left)
            raise DataError(f"y has one class{told}, in {len(keep)} sample(s): there is nothing to tell apart")
        super()._check_enough(data, keep)

    def predict_proba(self, X: Any) -> Array:
        """(N, K) the probability of each class, in the order of classes_."""
        rows = self._rows(X)
        found: Array = self.model_.predict_proba(rows, threads=lanes_for(self.n_jobs))
        return found

    def predict(self, X: Any) -> Array:
        """(N,) the most probable class of each row."""
        check_is_fitted(self)
        found: Array = self.classes_[np.argmax(self.predict_proba(X), axis=1)]
        return found


@takes_choices(categorical_features=None, n_jobs=None)
class TabularRegressor(RegressorMixin, _Tabular):  # type: ignore[misc]
    """A regression on table rows: a network with its preprocessing, by the recipe of `recipe.recipe_of`.

    Arguments and fitted attributes are those of TabularClassifier, without classes.
    Errors: ValueError, TypeError when it is fitted.
    Example: TabularRegressor(random_state=0).fit(frame.drop(columns="price"), frame["price"])
    """

    _task = "regression"

    def _learnt_targets(self, y: Any) -> Array:
        return given_as.quantities_of(y, self)

    def _targets(self, y: Any) -> Array:
        return given_as.quantities_of(y, self)

    def predict(self, X: Any) -> Array:
        """(N,) the predicted quantity of each row, in the unit of the target."""
        rows = self._rows(X)
        found: Array = self.model_.predict(rows, threads=lanes_for(self.n_jobs))
        return found
