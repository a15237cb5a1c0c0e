"""The named data sets: each agrees with its record and with scikit-learn's own loader."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fallline.data import sets
from fallline.data.sets import SETS, NamedSet, load
from fallline.errors import ArgumentError


@pytest.mark.parametrize("name", SETS)
def test_a_set_is_what_its_definition_says(name: str) -> None:
    one, data = SETS[name], load(name)
    assert data.name == name
    assert data.x.shape == one.shape
    assert data.x.dtype == np.float64 and data.x.flags.c_contiguous
    assert np.isfinite(data.x).all()
    assert len(data.features) == data.x.shape[1] == len(set(data.features))
    if data.task == "classification":
        assert data.y.dtype == np.int64
        assert sorted(set(data.y.tolist())) == list(range(len(data.classes)))
    else:
        assert data.classes == () and data.y.dtype == np.float64
    assert data.target not in data.features


@pytest.mark.parametrize("name", SETS)
def test_the_files_read_directly_give_what_scikit_learns_loader_gives(name: str) -> None:
    data = load(name)
    x, y = SETS[name].ask_sklearn()
    assert np.array_equal(data.x, x)
    assert np.array_equal(data.y, y)


def test_names_agree_with_scikit_learns() -> None:
    from sklearn import datasets

    for name in ("wine", "breast-cancer", "diabetes", "digits"):
        bunch = getattr(datasets, SETS[name].sklearn)()
        theirs = [str(f).replace(" ", "_") for f in bunch.feature_names]
        if name == "breast-cancer":
            # Theirs read "radius error"; ours put the kind first throughout.
            theirs = ["error_" + f.removesuffix("_error") if f.endswith("_error") else f for f in theirs]
        assert list(SETS[name].features) == theirs
    for name in ("iris", "wine", "breast-cancer", "digits"):
        bunch = getattr(datasets, SETS[name].sklearn)()
        assert [str(c) for c in bunch.target_names] == list(SETS[name].classes)


def test_a_set_whose_files_are_elsewhere_is_asked_of_scikit_learn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = load("iris")
    for folder in (None, tmp_path):
        monkeypatch.setattr(sets, "shipped_files", lambda folder=folder: folder)
        assert np.array_equal(load("iris").x, expected.x)


def test_a_file_of_another_form_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "iris.csv").write_text("header\n1,2,3,4,0\n")
    monkeypatch.setattr(sets, "shipped_files", lambda: tmp_path)
    assert load("iris").x.shape == (150, 4)


def test_reading_a_set_does_not_import_scikit_learn() -> None:
    program = "import sys; from fallline.data.sets import load; load('digits'); sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_an_unknown_set_is_reported_with_the_nearest_name() -> None:
    with pytest.raises(ArgumentError, match="did you mean 'digits'"):
        load("digit")


def test_a_definition_knows_its_task() -> None:
    assert {one.name: one.task for one in SETS.values() if isinstance(one, NamedSet)} == {
        "digits": "classification", "iris": "classification", "wine": "classification",
        "breast-cancer": "classification", "diabetes": "regression",
    }  # fmt: skip
