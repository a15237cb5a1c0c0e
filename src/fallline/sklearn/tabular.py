"""TabularClassifier and TabularRegressor: tables as they are, in scikit-learn's form.

They turn arguments into a data set and choices, train by the recipe that these make, and hold no knowledge of their
own.
"""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted

from fallline.arrays import Array
from fallline.committee import fit
from fallline.data.dataset import Dataset, cut
from fallline.data.preprocess import targets_of
from fallline.data.target_column import Goal
from fallline.data.understand import Wishes, with_goal
from fallline.data.understood import Understood
from fallline.errors import ArgumentError, DataError
from fallline.insight.attribution import Attributions, attributions
from fallline.insight.importance import Importance, permutation_importance
from fallline.insight.intervals import USUAL, checked_levels, covering, for_quantiles
from fallline.insight.row_losses import out_of_fold, row_losses
from fallline.nn.temperature import calibrated
from fallline.recipe import Recipe, recipe_of
from fallline.sklearn import tabular_input as given_as
from fallline.sklearn.choices import choices_of, takes_choices
from fallline.sklearn.workers import lanes_for
from fallline.table import Table

# Rows that whole weights stand for, up to which columns are measured on each as often as its weight says.
MOST_REPEATED = 1 << 20
# Share of the rows held out for calibration or quantiles where a recipe has no validation rows.
HELD = 0.2


class _Tabular(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """The part that both estimators share: training, and rows on their way to the model."""

    _task: str
    categorical_features: Any
    kinds: Any
    n_jobs: int | None
    _names: tuple[str, ...]

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Any:
        """Train on a table.

        X: (N, D), a data frame of pandas, polars or Arrow, a dict of columns, a list of dicts, or an array of any
            dtype. Numbers, texts, categories, dates, booleans, and missing values.
        y: (N,) the target. sample_weight: (N,) >= 0, of the rows; a row of weight 0 counts as left out.
        groups: (N,) rows of one group are validated on together, or trained on together.
        X_val, y_val, sample_weight_val: rows to validate on, instead of a share of X.
        Errors: ValueError, TypeError, all before training starts.
        """
        given = given_as.rows_of(X)
        target = self._learnt_targets(y)
        weights = given_as.weights_of(sample_weight, given.table.rows)
        groups = None if groups is None else given_as.group_codes(groups)
        given_as.check_lengths(X=given.table, y=target, sample_weight=weights, groups=groups)
        self._names = given.table.names
        self.n_features_in_ = len(self._names)
        if given.named:
            self.feature_names_in_ = np.array(self._names, object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        keep = np.arange(len(target)) if weights is None else np.flatnonzero(weights)
        self._check_enough(target[keep])
        data = self._data(given.take(keep), target[keep], getattr(y, "name", None))
        data = replace(data, groups=None if groups is None else groups[keep])
        weights = None if weights is None else weights[keep]
        self.columns_ = data.columns
        choices = choices_of(self)
        if choices.validation in (None, 0) and (X_val is not None or self._needs_held()):
            choices = replace(choices, validation=HELD)  # so that the recipe watches these rows
        recipe = recipe_of(data, choices, measured_rows(len(data), weights))
        self._check_recipe(recipe)
        every = np.arange(len(data))
        rows: Any = (data.x, targets_of(data, every, recipe.decoder), *(() if weights is None else (weights,)))
        held: Any = self._validation(X_val, y_val, sample_weight_val, recipe.decoder)
        validation = recipe.settings["validation"] if held is None else held
        if held is None and recipe.validation and (groups is not None or self._needs_held()):
            validation = cut(data, every, recipe.validation, recipe.choices.seed)[1]
            held = tuple(one.take(validation) if isinstance(one, Table) else one[validation] for one in rows)
        settings = {"validation": validation, "threads": lanes_for(self.n_jobs)}
        self.run_ = fit(recipe, rows, **settings)
        self.model_ = self.run_.model
        self.n_iter_ = len(self.run_.epochs)
        self._after_training(recipe, rows, held, settings)
        return self

    def _needs_held(self) -> bool:
        """Whether rows have to be held out from training, for more than choosing an epoch."""
        return False

    def _check_recipe(self, recipe: Recipe) -> None:
        """Errors: ArgumentError for a recipe of which something is wanted that it cannot give."""

    def _after_training(self, recipe: Recipe, rows: Any, held: Any, settings: dict[str, Any]) -> None:
        """All that follows a training. held: the rows that were held out of it, where there had to be some."""

    def _data(self, given: given_as.Rows, target: Array, name: Any = None) -> Dataset:
        """The rows as a data set, each column understood; a warning where one that tells something is left out."""
        called = name if isinstance(name, str) and name else "y"
        every = np.arange(len(target))
        goal = Goal(self._task, every, target, self._class_names(), ())
        wishes = Wishes(kinds=given_as.kinds_of(given, self.kinds, self.categorical_features))
        data = with_goal(given.table, goal, called, wishes, "X")
        missed = [one for one in data.columns if _is_missed(one)]
        if missed:
            told = "; ".join(f"{one.name!r}: {one.left_out}" for one in missed[:5])
            keep = {one.name: one.kind for one in missed[:5]}
            warnings.warn(f"columns of X are left out ({told})\n  try: kinds={keep}, to keep them", stacklevel=3)
        return data

    def permutation_importance(self, X: Any, y: Any, *, repeats: int = 5) -> Importance:
        """The rise of the loss when one column of X is shuffled, for each column; `insight.importance` has the formula.

        X, y: rows that the model was not trained on, rather. repeats: shuffles to average over.
        Example: found = model.permutation_importance(X_test, y_test); dict(zip(found.names, found.mean))
        """
        rows = self._rows(X)
        threads = lanes_for(self.n_jobs)
        return permutation_importance(
            self.model_, rows, self._named(y, rows), repeats=repeats, seed=choices_of(self).seed, threads=threads
        )

    def row_losses(self, X: Any, y: Any, *, folds: int | None = None) -> Array:
        """(N,) the loss of each row: -log p of its label, or the squared error of its quantity.

        folds: None for the model as it is. A number, such as 5: each row by a training on the other folds, with the
            arguments of this estimator, which need not be fitted; rows with wrong labels come out on top.
        Example: suspects = np.argsort(-TabularClassifier().row_losses(X, y, folds=5))[:20]
        """
        if folds is None:
            rows = self._rows(X)
            return row_losses(self.model_, rows, self._named(y, rows), threads=lanes_for(self.n_jobs))
        fresh = clone(self)
        given, target = given_as.rows_of(X), fresh._learnt_targets(y)
        given_as.check_lengths(X=given.table, y=target)
        fresh._check_enough(target)
        data, choices = fresh._data(given, target), choices_of(self)
        return out_of_fold(
            data, lambda rows: recipe_of(data, choices, rows), folds=folds, seed=choices.seed,
            threads=lanes_for(self.n_jobs),
        )  # fmt: skip

    def _named(self, y: Any, rows: Table | None = None) -> Any:
        """Targets as the model names them, one for each of the rows."""
        target, labels = self._targets(y), self.model_.labels
        given_as.check_lengths(X=rows, y=target)
        return target if labels is None else labels[target]

    def _learnt_targets(self, y: Any) -> Array:
        """Codes or quantities of the training rows; a classifier learns its classes from them."""
        raise NotImplementedError

    def _targets(self, y: Any) -> Array:
        """Codes or quantities of other rows. Errors: DataError for labels that are none of the classes."""
        raise NotImplementedError

    def _class_names(self) -> tuple[str, ...]:
        return ()

    def _check_enough(self, target: Array) -> None:
        """Errors: DataError for one row, or targets that are all the same."""
        if len(target) < 2:
            raise DataError(f"X has one sample to train on (n_samples = {len(target)}), and training needs two or more")

    def _validation(self, X_val: Any, y_val: Any, weight: Any, decoder: Any) -> Any:
        """The rows to validate on, as training takes them; None where none are given."""
        if X_val is None and y_val is None:
            return None
        if X_val is None or y_val is None:
            there, absent = ("y_val", "X_val") if X_val is None else ("X_val", "y_val")
            raise ArgumentError(f"{there} is provided, but {absent} was not provided")
        given = given_as.rows_of(X_val, "X_val")
        table = self._same_columns(given)
        target = self._targets(y_val)
        weights = given_as.weights_of(weight, table.rows)
        given_as.check_lengths(X_val=table, y_val=target, sample_weight_val=weights)
        rows = (table, decoder.classes[target] if self._task == "classification" else target)
        return rows if weights is None else (*rows, weights)

    def _rows(self, X: Any) -> Table:
        """The table of some rows, of the columns that the model was trained on."""
        check_is_fitted(self)
        return self._same_columns(given_as.rows_of(X))

    def _same_columns(self, given: given_as.Rows) -> Table:
        """The rows with the columns of the training rows: by name, or by place where one of the two has no names."""
        given_as.check_columns(self, given)
        names = self._names
        return given.table if given.table.names == names else given.table.renamed(names)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


def _is_missed(column: Understood) -> bool:
    """Whether a column is left out from which something could have been learnt: no copy, and no text of its own in
    every row."""
    told = column.left_out
    is_number = column.kind != "category" and column.distinct > 1 and not told.startswith("the same as")
    return bool(told) and (is_number or told.startswith("says "))


def measured_rows(count: int, weights: Array | None) -> Array:
    """The rows on which columns are measured: each as often as its weight says, where weights are whole numbers."""
    every = np.arange(count)
    if weights is None or not np.array_equal(weights, np.floor(weights)) or weights.sum() > MOST_REPEATED:
        return every
    repeated: Array = np.repeat(every, weights.astype(np.int64))
    return repeated


@takes_choices(categorical_features=None, kinds=None, calibrate=False, n_jobs=None)
class TabularClassifier(ClassifierMixin, _Tabular):  # type: ignore[misc]
    """A classifier of table rows: a network with its preprocessing, by the recipe of `recipe.recipe_of`.

    Arguments are those of `recipe.Choices`, by scikit-learn's names: hidden_layer_sizes, max_iter (epochs),
    validation_fraction, n_iter_no_change (patience), random_state. categorical_features: columns whose numbers are
    codes, by name, place or mask. kinds: of columns that would be understood otherwise, such as {"zip": "category",
    "sold": "d/m/y"}, in words of `data.understand.Wishes`. calibrate: whether probabilities are calibrated by a
    temperature, found on the validation rows. n_jobs: cores; None for all, or the share of a joblib worker.
    Fitted: classes_, n_features_in_, feature_names_in_, n_iter_, columns_ (how each was understood), model_ (which
    fl.save_model writes), run_ (its history).
    Errors: ValueError, TypeError when it is fitted.
    Example: TabularClassifier(random_state=0).fit(frame.drop(columns="species"), frame["species"])
    """

    _task = "classification"
    calibrate: bool

    def _learnt_targets(self, y: Any) -> Array:
        self.classes_, codes = given_as.labels_of(y, self)
        return codes

    def _targets(self, y: Any) -> Array:
        return given_as.codes_of(y, self.classes_, self)

    def _class_names(self) -> tuple[str, ...]:
        return tuple(map(str, self.classes_.tolist()))

    def _check_enough(self, target: Array) -> None:
        left = np.unique(target)
        if len(left) < 2:
            told = "".join(f", {one!r}" for one in self.classes_[left].tolist())
            raise DataError(f"y has one class{told}, in {len(target)} sample(s): there is nothing to tell apart")
        super()._check_enough(target)

    def _needs_held(self) -> bool:
        return bool(self.calibrate)

    def _check_recipe(self, recipe: Recipe) -> None:
        if self.calibrate and recipe.loss.link is None:
            raise ArgumentError(f"calibrate=True needs probabilities, and the loss {recipe.loss.name!r} gives none\n"
                                "  try: loss='cross_entropy'")  # fmt: skip

    def _after_training(self, recipe: Recipe, rows: Any, held: Any, settings: dict[str, Any]) -> None:
        if self.calibrate:
            self.model_ = calibrated(self.model_, *held, threads=settings["threads"])

    def attributions(self, X: Any, *, label: Any = None) -> Attributions:
        """The part of each column in the log-odds of one class, row by row: integrated gradients.

        label: a class; None for the predicted one of each row. `insight.attribution` has the formula.
        Example: found = model.attributions(X_test[:5]); found.names, found.values
        """
        rows = self._rows(X)
        chosen = None if label is None else self._named([label])[0]
        return attributions(self.model_, rows, label=chosen)

    def predict_proba(self, X: Any) -> Array:
        """(N, K) the probability of each class, in the order of classes_."""
        rows = self._rows(X)
        found: Array = self.model_.predict_proba(rows, threads=lanes_for(self.n_jobs))
        return found

    def predict(self, X: Any) -> Array:
        """(N,) the most probable class of each row."""
        rows, labels = self._rows(X), np.asarray(self.model_.labels)
        named = self.model_.predict(rows, threads=lanes_for(self.n_jobs))
        order = np.argsort(labels)
        found: Array = self.classes_[order[np.searchsorted(labels, named, sorter=order)]]
        return found


@takes_choices(categorical_features=None, kinds=None, quantiles=None, n_jobs=None)
class TabularRegressor(RegressorMixin, _Tabular):  # type: ignore[misc]
    """A regression on table rows: a network with its preprocessing, by the recipe of `recipe.recipe_of`.

    Arguments and fitted attributes are those of TabularClassifier, without classes. quantiles: levels to learn besides,
    such as (0.05, 0.5, 0.95), by a second network; True for 0.05, 0.25, 0.5, 0.75 and 0.95.
    Errors: ValueError, TypeError when it is fitted.
    Example: TabularRegressor(random_state=0).fit(frame.drop(columns="price"), frame["price"])
    """

    _task = "regression"
    quantiles: Any

    def _learnt_targets(self, y: Any) -> Array:
        return given_as.quantities_of(y, self)

    def _targets(self, y: Any) -> Array:
        return given_as.quantities_of(y, self)

    def predict(self, X: Any) -> Array:
        """(N,) the predicted quantity of each row, in the unit of the target."""
        rows = self._rows(X)
        found: Array = self.model_.predict(rows, threads=lanes_for(self.n_jobs))
        return found

    def _needs_held(self) -> bool:
        return self.quantiles is not None and bool(self._levels())

    def _levels(self) -> tuple[float, ...]:
        return checked_levels(USUAL if self.quantiles is True else self.quantiles)

    def _check_recipe(self, recipe: Recipe) -> None:
        if self.quantiles is not None:
            for_quantiles(recipe, self._levels())

    def _after_training(self, recipe: Recipe, rows: Any, held: Any, settings: dict[str, Any]) -> None:
        if self.quantiles is None:
            return
        levels = self._levels()
        other = for_quantiles(recipe, levels)
        model = fit(other, rows, **settings).model
        self.quantiles_ = covering(model, levels, held[0], held[1], threads=settings["threads"])

    def predict_quantiles(self, X: Any, quantiles: Any = None) -> Array:
        """(N, q) quantiles of the target of each row, ascending; needs TabularRegressor(quantiles=...).

        quantiles: some between the outermost that were learnt; None for the learnt ones.
        `insight.intervals` has the formula, and the coverage that it promises.
        Example: TabularRegressor(quantiles=(0.1, 0.5, 0.9)).fit(X, y).predict_quantiles(X_test)
        """
        rows = self._rows(X)
        if self.quantiles is None:
            raise ArgumentError(
                "this TabularRegressor has learnt no quantiles\n  try: TabularRegressor(quantiles=(0.05, 0.5, 0.95))"
            )
        return self.quantiles_.predict(rows, quantiles, threads=lanes_for(self.n_jobs))

    def predict_interval(self, X: Any, coverage: float = 0.9) -> Array:
        """(N, 2) the lower and upper end of an interval that holds the target with this probability, 0 < p < 1."""
        if not 0 < coverage < 1:
            raise ArgumentError(f"coverage is a number > 0 and < 1, got {coverage!r:.40}")
        return self.predict_quantiles(X, [(1 - coverage) / 2, (1 + coverage) / 2])

    def attributions(self, X: Any) -> Attributions:
        """The part of each column in the predicted quantity, row by row: integrated gradients, in the unit of y.

        `insight.attribution` has the formula.
        Example: found = model.attributions(X_test[:5]); found.names, found.values
        """
        return attributions(self.model_, self._rows(X))
