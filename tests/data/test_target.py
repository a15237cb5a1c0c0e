"""Targets of files: the rule for classes, their names, and targets that cannot be trained on."""

from __future__ import annotations

from pathlib import Path

import pytest

from fallline.data.dataset_file import read_dataset
from fallline.data.understand import Wishes
from fallline.errors import DataError, FalllineError


def file_of(folder: Path, labels: list[str]) -> Path:
    path = folder / "made.csv"
    path.write_text("a,y\n" + "".join(f"{i},{label}\n" for i, label in enumerate(labels)))
    return path


@pytest.mark.parametrize(
    ("labels", "task", "classes"),
    [
        (["b", "a", "b", "a"], "classification", ("a", "b")),
        (["10", "9", "10", "9"], "classification", ("9", "10")),
        (["1", "1", "01", "01", "0", "0"], "classification", ("0", "01", "1")),
        (["02134", "2134", "02134", "2134"], "classification", ("02134", "2134")),
        (
            ["12345678901234567890", "12345678901234567891"] * 2,
            "classification",
            ("12345678901234567890", "12345678901234567891"),
        ),
        (["NA", "EU", "AS", "SA", "AF"] * 2, "classification", ("AF", "AS", "EU", "NA", "SA")),
        ([" yes", "no ", "yes", "no"], "classification", ("no", "yes")),
        (["-1", "1", "-1", "1"], "classification", ("-1", "1")),
        (["1", "2", "x", "1", "2", "x"], "classification", ("1", "2", "x")),
        (["1", "2", "3", "4"], "regression", ()),
        (["1.5", "1.5", "2.5", "2.5"], "regression", ()),
        ([str(i % 21) for i in range(63)], "regression", ()),
        ([str(i % 20) for i in range(200)], "classification", tuple(map(str, range(20)))),
        ([str(i % 11) for i in range(60)], "regression", ()),
        ([str(i % 10) for i in range(20)], "classification", tuple(map(str, range(10)))),
    ],
)
def test_the_rule_for_the_task_and_the_order_of_the_classes(
    tmp_path: Path, labels: list[str], task: str, classes: tuple[str, ...]
) -> None:
    data = read_dataset(file_of(tmp_path, labels), "y")
    assert data.task == task
    assert data.classes == classes
    assert data.features == ("a",)
    if classes:
        assert [classes[code] for code in data.y] == [label.strip() for label in labels]
    else:
        assert data.y.tolist() == [float(label) for label in labels]


def test_the_task_can_be_asked_for(tmp_path: Path) -> None:
    path = file_of(tmp_path, ["1", "2", "1", "2"])
    assert read_dataset(path, "y", Wishes(task="regression")).y.tolist() == [1, 2, 1, 2]
    path = file_of(tmp_path, ["0.5", "1.5", "0.5", "1.5"])
    assert read_dataset(path, "y", Wishes(task="classification")).classes == ("0.5", "1.5")
    with pytest.raises(FalllineError, match="did you mean 'regression'"):
        read_dataset(path, "y", Wishes(task="regresion"))


BAD_TARGETS = {
    "a label seen only once": (["a", "b", "b"], None, ("1 of the 2 labels", "seen only once: 'a'", "line 2)")),
    "whole numbers seen once": (["1", "1", "7"], None, ("'7' (", "line 4)", "task='regression' (--task)")),
    "many labels seen once": (list("abcdefgh"), None, ("8 of the 8 labels", "'a' (", "and 3 more")),
    "one class": (["a", "a", "a"], None, ("the one class 'a'", "nothing to learn")),
    "one value": (["2.5", "2.5"], None, ("2.5 in every row", "nothing to learn")),
    "one whole number": (["2", "2"], None, ("the one class '2'", "nothing to learn")),
    "text among many numbers": ([*map(str, range(30)), "x", "x"], None, ("line 32", "'x' is not a number")),
    "text for a regression": (["1", "x", "2"], "regression", ("line 3", "'x' is not a number", "--task")),
}


@pytest.mark.parametrize("case", BAD_TARGETS)
def test_a_target_that_cannot_be_trained_on_says_why(tmp_path: Path, case: str) -> None:
    labels, task, parts = BAD_TARGETS[case]
    with pytest.raises(DataError) as caught:
        read_dataset(file_of(tmp_path, labels), "y", Wishes(task=task))
    assert all(part in str(caught.value) for part in parts), str(caught.value)
