"""Who predicts: the library by its presets, and scikit-learn's models as its users set them up.

A contender is one line of CONTENDERS: a function that trains on raw columns and returns a function that predicts.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.quality.raw_tables import Array

Columns = Mapping[str, Array]
# Predicts (N, K) probabilities of the sorted classes, or (N,) quantities.
Predict = Callable[[Columns], Array]


@dataclass(frozen=True, slots=True)
class Contender:
    """train: from columns, y, the task and a seed. ours: it is measured anew each time, others are kept."""

    train: Callable[[Columns, Array, str, int], Predict]
    ours: bool = False


def _ours(preset: str) -> Callable[[Columns, Array, str, int], Predict]:
    """The library's own training of a table, by a preset and nothing else."""

    def train(columns: Columns, y: Array, task: str, seed: int) -> Predict:
        from fallline.committee import fit
        from fallline.data.dataset import Dataset
        from fallline.recipe import Choices, recipe_of
        from fallline.table import as_table

        told = task == "classification"
        classes, codes = np.unique(y, return_inverse=True)
        labels = tuple(map(str, classes)) if told else ()
        data = Dataset("table", as_table(columns), codes if told else y, tuple(columns), "target", task, labels)
        recipe = recipe_of(data, Choices(seed=seed, preset=preset))
        model = fit(recipe).model

        def predict(columns: Columns) -> Array:
            rows = as_table(columns)
            found: Array = model.predict_proba(rows) if told else np.asarray(model.predict(rows)).reshape(-1)
            return found

        return predict

    return train


def _texts(columns: Columns) -> list[int]:
    return [place for place, values in enumerate(columns.values()) if values.dtype == object]


def _rows(columns: Columns) -> Array:
    """(N, D) objects: numbers, and texts with "missing" for None, so that encoders take it for a level."""
    blank = (np.where(v == None, "missing", v) if v.dtype == object else v for v in columns.values())  # noqa: E711
    return np.stack([values.astype(object) for values in blank], axis=1)


def _pipeline(model: Any, columns: Columns) -> Any:
    """The model behind one-hot columns for texts, and numbers whose gaps are filled and which are standardised."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    texts = _texts(columns)
    numbers = [place for place in range(len(columns)) if place not in texts]
    made = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts),
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
    )
    return make_pipeline(made, model)


def _boosted(model: Any, columns: Columns) -> Any:
    """The model behind codes for texts, told which columns these are: missing values and categories are its own."""
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    texts = _texts(columns)
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    made = make_column_transformer((codes, texts), remainder="passthrough")
    model.set_params(categorical_features=[*range(len(texts))])
    return make_pipeline(made, model)


def _theirs(make: Callable[[Columns, str, int], Any]) -> Callable[[Columns, Array, str, int], Predict]:
    """A scikit-learn model as a contender."""

    def train(columns: Columns, y: Array, task: str, seed: int) -> Predict:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = make(columns, task, seed).fit(_rows(columns), y)
        ask = model.predict_proba if task == "classification" else model.predict

        def predict(columns: Columns) -> Array:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found: Array = ask(_rows(columns))
            return found

        return predict

    return train


def _linear(columns: Columns, task: str, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge

    return _pipeline(LogisticRegression(max_iter=1000) if task == "classification" else Ridge(), columns)


def _mlp(columns: Columns, task: str, seed: int) -> Any:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.preprocessing import StandardScaler

    if task == "classification":
        return _pipeline(MLPClassifier(max_iter=1000, random_state=seed), columns)
    regressor = TransformedTargetRegressor(MLPRegressor(max_iter=1000, random_state=seed), transformer=StandardScaler())
    return _pipeline(regressor, columns)


def _trees(columns: Columns, task: str, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if task == "classification" else HistGradientBoostingRegressor
    return _boosted(kind(random_state=seed), columns)


LINEAR, MLP, TREES = "linear", "sklearn MLP", "HistGB"
PRESETS = ("plain", "fast", "default", "best")
PEERS: dict[str, Contender] = {
    LINEAR: Contender(_theirs(_linear)),
    MLP: Contender(_theirs(_mlp)),
    TREES: Contender(_theirs(_trees)),
}
CONTENDERS: dict[str, Contender] = {**{preset: Contender(_ours(preset), ours=True) for preset in PRESETS}, **PEERS}
