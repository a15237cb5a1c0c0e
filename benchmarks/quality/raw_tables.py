"""Real tables as they are, with the rows that each split trains and tests on: those that ship with scikit-learn, and
those in a folder of data files where it is there.

A set is one line of ENTRIES. Knows no models.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.split import split_off

# Beside the repository; nothing here needs it.
FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data"
TEST_SHARE = VALIDATION_SHARE = 0.2

Array = NDArray[Any]
Split = tuple[Array, Array]


@dataclass(frozen=True, slots=True)
class RawTable:
    """A table before anything is done to it.

    columns: by name, each (N,): numbers with NaN where missing, or texts (objects) with None. y: (N,) labels or
    quantities. given: the splits that come with the set, (training rows, test rows) each; empty for random ones.
    """

    name: str
    columns: Mapping[str, Array]
    y: Array
    task: str
    given: tuple[Split, ...] = ()

    def take(self, rows: Array) -> Mapping[str, Array]:
        """The columns of these rows."""
        return {name: values[rows] for name, values in self.columns.items()}

    def split(self, number: int, part: str) -> Split:
        """The rows to train on and those to measure on.

        number: of the split, from 0; a set with one given split has the same rows for each. part: "test", or
        "validation": the training rows of that split cut once more, so that its test rows are not looked at.
        """
        if self.given:
            train, test = self.given[number % len(self.given)]
        else:
            train, test = self._cut(np.arange(len(self.y)), TEST_SHARE, number)
        return (train, test) if part == "test" else self._cut(train, VALIDATION_SHARE, 1000 + number)

    def _cut(self, rows: Array, share: float, seed: int) -> Split:
        codes = np.unique(self.y[rows], return_inverse=True)[1] if self.task == "classification" else None
        kept, held = split_off(len(rows), share, np.random.default_rng(seed), codes)
        return rows[kept], rows[held]


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of ENTRIES.

    file: the path, in the folder of data files, without which the set is left out; empty where it ships with
    scikit-learn. splits: how many are measured when nobody says how many.
    """

    load: Callable[[str, Path], RawTable]
    file: str = ""
    splits: int = 10


def _bundled(name: str, folder: Path) -> RawTable:
    from sklearn import datasets

    given = {"scaled": False} if name == "diabetes" else {}
    found = getattr(datasets, f"load_{name}")(**given)
    columns = dict(zip(map(str, found.feature_names), np.asarray(found.data, np.float64).T))
    if name == "diabetes":
        return RawTable(name, columns, found.target.astype(np.float64), "regression")
    return RawTable(name, columns, np.array(found.target_names).astype(str)[found.target], "classification")


def _column(texts: list[str], missing: str = "") -> Array:
    """Numbers where every text that is not missing is one, else texts."""
    try:
        return np.array([np.nan if text == missing else float(text) for text in texts])
    except ValueError:
        return np.array([None if text == missing else text for text in texts], object)


def _table_of(name: str, head: list[str], rows: list[list[str]], target: str, drop: tuple[str, ...] = ()) -> RawTable:
    columns = {key: list(values) for key, values in zip(head, zip(*rows))}
    y = np.array(columns.pop(target))
    return RawTable(name, {key: _column(v) for key, v in columns.items() if key not in drop}, y, "classification")


def _seaborn(name: str, folder: Path) -> RawTable:
    with open(folder / ENTRIES[name].file, encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    target, drop = {"titanic": ("survived", ("alive",)), "penguins": ("species", ())}[name]
    return _table_of(name, head, rows, target, drop)


ADULT = ["age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation", "relationship",
         "race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "income"]  # fmt: skip


def _adult(name: str, folder: Path) -> RawTable:
    parts = []
    for part in ("train", "test"):
        with open(folder / "tabular" / f"adult-{part}.csv", encoding="utf-8", newline="") as file:
            parts.append([[text.strip().rstrip(".") for text in row] for row in csv.reader(file) if row])
    n, m = map(len, parts)
    whole = _table_of(name, ADULT, parts[0] + parts[1], "income")
    return RawTable(name, whole.columns, whole.y, whole.task, ((np.arange(n), np.arange(n, n + m)),))


def _uci(name: str, folder: Path) -> RawTable:
    def numbers(file: str) -> Array:
        return np.loadtxt(folder / "uci_regression" / name / f"{file}.txt")

    data, features, target = numbers("data"), numbers("index_features").astype(int), int(numbers("index_target"))
    given = tuple((numbers(f"index_train_{k}").astype(int), numbers(f"index_test_{k}").astype(int)) for k in range(20))
    return RawTable(name, {f"x{i}": data[:, i] for i in features}, data[:, target], "regression", given)


def _proben(name: str, folder: Path) -> RawTable:
    """All rows of a problem of PROBEN1, its classes as labels; a random split is measured, and not the file's."""
    lines = (folder / ENTRIES[name].file).read_text(encoding="utf-8").splitlines()
    head = {key: int(value) for key, value in (line.split("=") for line in lines[:7])}
    rows = np.array([line.split() for line in lines[7:] if line.strip()], np.float64)
    d = head["bool_in"] + head["real_in"]
    labels = np.array([f"class {k}" for k in range(rows.shape[1] - d)])
    return RawTable(name, {f"x{i}": rows[:, i] for i in range(d)}, labels[rows[:, d:].argmax(axis=1)], "classification")


UCI = ("energy", "yacht", "kin8nm", "wine-quality-red", "bostonHousing")
ENTRIES: dict[str, Entry] = {
    **{name: Entry(_bundled) for name in ("diabetes", "iris", "wine", "breast_cancer", "digits")},
    "adult": Entry(_adult, "tabular/adult-train.csv", splits=5),
    **{name: Entry(_seaborn, f"tabular/{name}.csv") for name in ("titanic", "penguins")},
    **{name: Entry(_uci, f"uci_regression/{name}/data.txt", splits=20) for name in UCI},
    **{name: Entry(_proben, f"proben1/{name}1.dt", splits=5) for name in ("thyroid", "gene", "soybean", "glass")},
}


def present(folder: Path = FOLDER) -> list[str]:
    """The names of the sets whose files are there."""
    return [name for name, entry in ENTRIES.items() if not entry.file or (folder / entry.file).exists()]


def load(name: str, folder: Path = FOLDER) -> RawTable:
    """A set by its name. Errors: OSError where its file cannot be read."""
    return ENTRIES[name].load(name, folder)
