"""The named data sets, one definition each: `fallline train digits` and the tutorial read them from this table.

They ship with scikit-learn. Their files are read directly, since importing scikit-learn takes about a second and
reading takes milliseconds; if a file is not where it is expected, scikit-learn's own loader is asked.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from fallline.data.dataset import Dataset, Numbers, names
from fallline.errors import DataError, unknown


@dataclass(frozen=True, slots=True)
class NamedSet:
    """One set: `read` loads it, `shape` is its known (N, D), `sklearn` the loader that gives the same numbers."""

    name: str
    doc: str
    shape: tuple[int, int]
    read: Callable[[Path], tuple[Numbers, Numbers]]
    sklearn: str
    features: tuple[str, ...]
    target: str
    classes: tuple[str, ...] = ()
    same_unit: bool = False

    def load(self) -> Dataset:
        """The set as rows, targets and names."""
        x, y = self.numbers()
        if self.classes:
            y = y.astype(np.int64)
        given = self.name, x, y, self.features, self.target, self.task, self.classes, self.same_unit
        return Dataset(*given, preset="plain")  # these sets are there to look at descent

    @property
    def task(self) -> str:
        return "classification" if self.classes else "regression"

    def numbers(self) -> tuple[Numbers, Any]:
        folder = shipped_files()
        if folder is not None:
            try:
                x, y = self.read(folder)
            except (OSError, ValueError, IndexError):
                pass  # another version of scikit-learn lays its files out otherwise
            else:
                if x.shape == self.shape and y.shape == self.shape[:1]:
                    return x, y
        return self.ask_sklearn()

    def ask_sklearn(self) -> tuple[Numbers, Any]:
        try:
            from sklearn import datasets
        except ImportError as error:
            raise DataError(
                f"the data set {self.name!r} ships with scikit-learn, which cannot be loaded: {error}"
            ) from error
        # Raw columns, in units that a reader knows; preprocessing standardises them anyway.
        options = {"scaled": False} if self.sklearn == "load_diabetes" else {}
        bunch = getattr(datasets, self.sklearn)(**options)
        return np.ascontiguousarray(bunch.data, dtype=np.float64), np.asarray(bunch.target, dtype=np.float64)


def shipped_files() -> Path | None:
    """The folder of scikit-learn's data files, found without importing it."""
    found = find_spec("sklearn")
    places = found.submodule_search_locations if found else None
    return Path(next(iter(places))) / "datasets" / "data" if places else None


def last_column_is_target(file: str, skip: int = 1) -> Callable[[Path], tuple[Numbers, Numbers]]:
    def read(folder: Path) -> tuple[Numbers, Numbers]:
        table = np.loadtxt(folder / file, delimiter=",", skiprows=skip)
        return np.ascontiguousarray(table[:, :-1]), table[:, -1].copy()

    return read


def read_diabetes(folder: Path) -> tuple[Numbers, Numbers]:
    return np.loadtxt(folder / "diabetes_data_raw.csv.gz"), np.loadtxt(folder / "diabetes_target.csv.gz")


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# The ten things measured on each cell nucleus; columns are their mean, standard error and worst value.
NUCLEUS = words(
    "radius texture perimeter area smoothness compactness concavity concave_points symmetry fractal_dimension"
)

SETS: dict[str, NamedSet] = {
    one.name: one
    for one in (
        NamedSet(
            name="digits",
            doc="hand-written digits, 8 x 8 pixels, ten classes",
            shape=(1797, 64),
            read=last_column_is_target("digits.csv.gz", skip=0),
            sklearn="load_digits",
            features=names("pixel", 8, 8),
            target="digit",
            classes=words("0 1 2 3 4 5 6 7 8 9"),
            same_unit=True,
        ),
        NamedSet(
            name="iris",
            doc="four measurements of flowers, three species",
            shape=(150, 4),
            read=last_column_is_target("iris.csv"),
            sklearn="load_iris",
            features=("sepal_length", "sepal_width", "petal_length", "petal_width"),
            target="species",
            classes=("setosa", "versicolor", "virginica"),
        ),
        NamedSet(
            name="wine",
            doc="chemistry of wines, three growers",
            shape=(178, 13),
            read=last_column_is_target("wine_data.csv"),
            sklearn="load_wine",
            features=words(
                "alcohol malic_acid ash alcalinity_of_ash magnesium total_phenols flavanoids nonflavanoid_phenols "
                "proanthocyanins color_intensity hue od280/od315_of_diluted_wines proline"
            ),
            target="grower",
            classes=("class_0", "class_1", "class_2"),
        ),
        NamedSet(
            name="breast-cancer",
            doc="thirty measurements of cell nuclei, malignant or benign",
            shape=(569, 30),
            read=last_column_is_target("breast_cancer.csv"),
            sklearn="load_breast_cancer",
            features=tuple(f"{kind}_{what}" for kind, what in product(("mean", "error", "worst"), NUCLEUS)),
            target="diagnosis",
            classes=("malignant", "benign"),
        ),
        NamedSet(
            name="diabetes",
            doc="ten measurements of patients, disease progression a year later (a number)",
            shape=(442, 10),
            read=read_diabetes,
            sklearn="load_diabetes",
            features=words("age sex bmi bp s1 s2 s3 s4 s5 s6"),
            target="progression",
        ),
    )
}


def load(name: str) -> Dataset:
    """A named data set.

    name: one of `SETS`. Errors: ArgumentError for another name, with the nearest one.

        >>> load("iris").x.shape
        (150, 4)
    """
    if name not in SETS:
        raise unknown("data set", name, SETS)
    return SETS[name].load()
