"""Simple models that any network has to beat: the commonest class or the mean, a linear model, boosted trees.

A baseline is one definition in one table. It learns from the same rows as the network, read by the network's own
encoder, in scikit-learn's defaults; this file alone of its room meets scikit-learn, which takes a second to import.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from fallline.errors import ArgumentError
from fallline.graph.op import Array
from fallline.nn.column import Category
from fallline.nn.encoder import Columns
from fallline.program.lanes import available

R = TypeVar("R")
# Levels of one column that a linear model gets a number for each; the rarer ones are as good as missing.
MOST_LEVELS = 100
# The largest number of levels that the trees take as a category; codes of more are numbers to them.
MOST_CATEGORIES = 255
# Numbers that are held at once: two gibibytes of float64, and a copy or two of them while a model is trained.
MOST_CELLS = 1 << 28
# Cells times classes below which one thread is quick enough: some seconds of boosted trees.
LEAST_SHARED = 3_000_000
SAMPLES = 5


@dataclass(frozen=True, slots=True)
class Table:
    """Rows to learn from or to predict, as baselines read them.

    numbers: (N, D) float64, a cell each; NaN where missing, levels as codes from 1, 0 for none. encoder: of these
    columns; None where the numbers are all there is.
    """

    numbers: Array
    encoder: Columns | None

    def take(self, rows: Any) -> "Table":
        return Table(self.numbers[rows], self.encoder)

    @property
    def categories(self) -> list[int]:
        """The places of the columns of levels."""
        columns = () if self.encoder is None else self.encoder.columns
        return [place for place, one in enumerate(columns) if isinstance(one, Category)]


# Predicts (N, K) probabilities of the classes 0..K-1, or (N,) quantities.
Predict = Callable[[Table], Array]


@dataclass(frozen=True, slots=True)
class Baseline:
    """name: on screen. doc: what it is, in a line. train: (rows, y, weights or None, classes K or 0) -> predictions.

    classifies: its name where it tells classes, if that is another.
    """

    name: str
    doc: str
    train: Callable[[Table, Array, Array | None, int], Predict]
    classifies: str = ""

    def called(self, k: int) -> str:
        """Its name for K classes, or for 0, a quantity."""
        return (self.classifies or self.name) if k else self.name


BASELINES: dict[str, Baseline] = {}


def baseline(
    name: str, doc: str, classifies: str = ""
) -> Callable[[Callable[[Table, Array, Array | None, int], Predict]], Baseline]:
    """Enter a training function as a baseline."""

    def entered(train: Callable[[Table, Array, Array | None, int], Predict]) -> Baseline:
        if name in BASELINES:
            raise ArgumentError(f"two baselines are called {name!r}")
        BASELINES[name] = Baseline(name, doc, train, classifies)
        return BASELINES[name]

    return entered


@baseline("the mean", "the mean of the training rows, or the shares of their classes", classifies="commonest class")
def constant(rows: Table, y: Array, weight: Array | None, k: int) -> Predict:
    if not k:
        mean = float(np.average(y, weights=weight))
        return lambda other: np.full(len(other.numbers), mean)
    shares = np.bincount(y, weight, k) / (len(y) if weight is None else weight.sum())
    return lambda other: np.tile(shares, (len(other.numbers), 1))


@baseline("linear model", "logistic or ridge regression on the encoded columns, each standardised")
def linear(rows: Table, y: Array, weight: Array | None, k: int) -> Predict:
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.preprocessing import StandardScaler

    columns = None if rows.encoder is None else _one_hot(rows, rows.encoder)

    def encoded(of: Table) -> Array:
        x = of.numbers if columns is None else columns(of.numbers)
        # Squares of numbers beyond this overflow.
        clipped: Array = np.clip(np.nan_to_num(x, nan=0.0, posinf=1e100, neginf=-1e100), -1e100, 1e100)
        return clipped

    x = encoded(rows)
    scaler = StandardScaler().fit(x, sample_weight=weight)
    x = scaler.transform(x)
    model = LogisticRegression(max_iter=1000) if k else Ridge()
    return _asked(model.fit(x, y, sample_weight=weight), lambda of: scaler.transform(encoded(of)), k)


def _one_hot(rows: Table, encoder: Columns) -> Callable[[Array], Array]:
    """The encoding of rows for a linear model: a number for each of the common levels, other columns as they are."""
    changed: list[Any] = list(encoder.columns)
    codes: dict[int, Array] = {}
    for place in rows.categories:
        one = encoder.columns[place]
        counts = np.bincount(_codes(rows.numbers[:, place]), minlength=len(one.levels) + 1)[1:]
        common = np.sort(np.argsort(-counts, kind="stable")[:MOST_LEVELS])
        changed[place] = replace(one, levels=tuple(one.levels[i] for i in common), embedded=False)
        codes[place] = np.zeros(len(one.levels) + 1)
        codes[place][common + 1] = np.arange(1, len(common) + 1)
    columns = Columns(tuple(changed))
    if len(rows.numbers) * columns.width > MOST_CELLS:
        raise MemoryError(f"{len(rows.numbers):,} rows of {columns.width:,} encoded columns are too many for memory")

    def encoded(numbers: Array) -> Array:
        numbers = np.array(numbers)
        for place, code in codes.items():
            numbers[:, place] = code[_codes(numbers[:, place])]
        return columns.encode(numbers)

    return encoded


def _codes(numbers: Array) -> Array:
    return np.nan_to_num(numbers, nan=0.0).astype(np.int64)


@baseline("boosted trees", "scikit-learn's HistGradientBoosting in its defaults, missing values and categories native")
def trees(rows: Table, y: Array, weight: Array | None, k: int) -> Predict:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    encoder, native = rows.encoder, []
    for place in rows.categories:
        assert encoder is not None
        if len(encoder.columns[place].levels) <= MOST_CATEGORIES:
            native.append(place)

    def codes(of: Table) -> Array:
        numbers = np.array(of.numbers)
        for place in native:
            column = numbers[:, place]
            column[column == 0] = np.nan  # missing, or a level that was not trained on
        return numbers

    # From 10,000 rows on it stops by rows of its own, of which each class needs two.
    alone = bool(k) and bool(np.bincount(y, minlength=k)[np.unique(y)].min() < 2)
    given: dict[str, Any] = {"random_state": 0, "categorical_features": native or None}
    if alone:
        given["early_stopping"] = False
    model = (HistGradientBoostingClassifier if k else HistGradientBoostingRegressor)(**given)
    return _asked(model.fit(codes(rows), y, sample_weight=weight), codes, k)


def _asked(model: Any, columns: Callable[[Table], Array], k: int) -> Predict:
    """The predictions of a fitted model of scikit-learn; a class without training rows has the probability 0."""

    def predict(of: Table) -> Array:
        x = columns(of)
        if not k:
            return np.asarray(model.predict(x), np.float64)
        p = np.zeros((len(x), k))
        p[:, model.classes_] = model.predict_proba(x)
        return p

    return predict


def trained(one: Baseline, rows: Table, y: Array, weight: Array | None, k: int, threads: int | None) -> Predict:
    """The baseline, trained and asked on at most so many threads; scikit-learn's warnings are not a user's."""
    from threadpoolctl import threadpool_limits

    most = free_cores() if rows.numbers.size * max(k, 1) > LEAST_SHARED else 1
    limit = most if threads is None else min(most, threads)

    def alone(call: Callable[[], R]) -> R:
        with warnings.catch_warnings(), threadpool_limits(limits=limit):
            warnings.simplefilter("ignore")
            return call()

    predict = alone(lambda: one.train(rows, y, weight, k))
    return lambda of: alone(lambda: predict(of))


def ready() -> None:
    """Import what training needs: a second that is no time of training."""
    import sklearn.ensemble
    import sklearn.linear_model  # noqa: F401


def free_cores() -> int:
    """Cores on which nothing else runs at the moment, one at least.

    The trees' threads wait for one another by spinning: beside two busy processes on two cores, two threads took more
    than a hundred times as long as one.
    """
    cores = available()
    try:
        running = []
        for _ in range(SAMPLES):
            running.append(int(Path("/proc/loadavg").read_text(encoding="ascii").split()[3].partition("/")[0]))
            time.sleep(0.005)
    except (OSError, ValueError, IndexError):  # not on Linux
        return cores
    return max(1, cores + 1 - sorted(running)[SAMPLES // 2])
