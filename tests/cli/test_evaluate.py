"""`fallline evaluate`, and the simpler models beside a training."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fallline as fl
from fallline.assessment import baselines

Shell = Callable[..., Any]  # see conftest
COMPARE = "(compare)"  # conftest's word for a training that stands beside simpler models


@pytest.fixture
def trained(shell: Shell, flowers: Path) -> Path:
    """A run on the flowers, and its folder."""
    assert shell(f"train {flowers} --target kind --epochs 30 --out run").code == 0
    return flowers


def narrow(text: str) -> bool:
    return all(len(line) <= 80 for line in text.splitlines())


def test_classes_have_metrics_with_errors_and_a_table_of_mistakes(
    shell: Shell, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    rows = trained.read_text().splitlines()
    new = trained.parent / "new.csv"
    new.write_text("\n".join([rows[0], *rows[1:8], rows[9].replace("iris", "rose")]) + "\n")
    done = shell(f"evaluate run {new} --metrics f1,top_2")
    assert done.code == 0 and done.err == "" and narrow(done.out)
    assert re.search(r"^rows +8 of new.csv, target 'kind'$", done.out, re.MULTILINE)
    assert re.search(r"^accuracy +87\.5 % ± 12\.5$", done.out, re.MULTILINE)
    for name in ("loss", "log_loss", "f1", "top_2"):
        assert re.search(rf"^{name} +\d\.?\d*", done.out, re.MULTILINE), name
    assert re.search(r"^rose +1 +0 +3$", done.out, re.MULTILINE)
    assert "trained on" not in done.out
    model = fl.load_model("run")
    assert f"{100 * 7 / 8:.1f} %" in done.out and model.classes is not None


def test_the_rows_of_the_training_are_told(shell: Shell, trained: Path) -> None:
    done = shell(f"evaluate run {trained}")
    assert done.code == 0 and "the run was trained on most of these rows" in done.out
    assert re.search(r"^accuracy +100\.0 %$", done.out, re.MULTILINE)  # that no row is wrong says little of how rare


def test_quantities_have_errors_and_the_target_may_have_another_name(shell: Shell, line: Path) -> None:
    assert shell(f"train {line} --target price --epochs 30 --out run").code == 0
    other = line.parent / "other.csv"
    other.write_text(line.read_text().replace("price", "cost"))
    done = shell(f"evaluate run {other} --target cost")
    assert done.code == 0 and re.search(r"^rmse +[\d.]+ ± [\d.]+$", done.out, re.MULTILINE)
    assert "half of the rows are off by at most" in done.out and "target 'cost'" in done.out
    missing = shell(f"evaluate run {other}")
    assert missing.code == 1 and "price" in missing.err


def test_many_classes_have_their_commonest_mistakes(shell: Shell) -> None:
    assert shell("train digits --epochs 1 --hidden none --out run").code == 0
    done = shell("evaluate run digits")
    assert done.code == 0 and re.search(r"^rows +true +said$", done.out, re.MULTILINE)
    assert re.search(r"^and \d+ other mistakes of \d+ kinds$", done.out, re.MULTILINE)


@pytest.mark.parametrize(("command", "code", "told"), [
    ("evaluate", 2, "RUN"),
    ("evaluate run", 2, "FILE"),
    ("evaluate nowhere new.csv", 1, "there is no run 'nowhere'"),
    ("evaluate run nowhere.csv", 1, "nowhere.csv"),
    ("evaluate run flowers.csv --metrics f2", 2, "unknown metric 'f2'"),
    ("evaluate run flowers.csv --metrics rmse", 2, "the metric 'rmse' measures numbers"),
    ("evaluate run flowers.csv --target no", 1, "no"),
])  # fmt: skip
def test_slips_are_told_in_a_line(shell: Shell, trained: Path, command: str, code: int, told: str) -> None:
    done = shell(command)
    assert done.code == code and told in done.err and "Traceback" not in done.err


def test_rows_without_a_target_are_left_out_and_told(shell: Shell, trained: Path) -> None:
    rows, new = trained.read_text().splitlines(), trained.parent / "new.csv"
    new.write_text("\n".join([*rows[:9], "1,2,", "3,4,"]) + "\n")
    done = shell(f"evaluate run {new}")
    assert done.code == 0 and re.search(r"^rows +8 of new.csv", done.out, re.MULTILINE)
    assert re.search(r"^left out +2 rows without a target$", done.out, re.MULTILINE)
    new.write_text("\n".join([rows[0], "1,2,", "3,4,"]) + "\n")
    done = shell(f"evaluate run {new}")
    assert done.code == 1 and "missing in every row" in done.err


def test_a_class_that_the_network_does_not_know_is_told_with_its_line(shell: Shell, trained: Path) -> None:
    new = trained.parent / "new.csv"
    new.write_text(trained.read_text() + "1,2,tulip\n")
    done = shell(f"evaluate run {new}")
    assert done.code == 1 and "tulip" in done.err and "62" in done.err


def test_a_training_stands_beside_simpler_models(shell: Shell, flowers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = shell(f"train {flowers} --target kind --epochs 30 --validation 0.2 --metrics f1", COMPARE)
    assert done.code == 0 and narrow(done.out.partition("saved")[2])
    assert "on the same 48 training and 12 test rows" in done.out
    for name in ("the network", "commonest class", "linear model", "boosted trees"):
        assert re.search(rf"^{name} +\d+\.\d %", done.out, re.MULTILINE), name
    assert re.search(r"^verdict +\w", done.out, re.MULTILINE)
    # Saved first: whoever has seen enough may stop the rest.
    assert done.out.index("saved") < done.out.index("compared")


def test_the_watched_metric_decides(shell: Shell, line: Path) -> None:
    done = shell(f"train {line} --target price --epochs 5 --validation 0.2 --watch mae", COMPARE)
    assert done.code == 0 and re.search(r"^ +mae +rmse", done.out, re.MULTILINE) and "the mean" in done.out


def test_it_is_left_out_on_request_and_where_there_is_nothing_to_compare(shell: Shell, flowers: Path) -> None:
    for more in ("--no-compare", "--test 0"):
        done = shell(f"train {flowers} --target kind --epochs 2 {more}", *([COMPARE] if "test" in more else []))
        assert done.code == 0 and "compared" not in done.out


def test_ctrl_c_leaves_it_out_and_loses_nothing(shell: Shell, flowers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(baselines.Baseline, "called", interrupted)
    done = shell(f"train {flowers} --target kind --epochs 2 --out run", COMPARE)
    assert done.code == 0 and "left out: interrupted" in done.out and fl.load_model("run") is not None


def test_the_winner_of_a_race_stands_beside_simpler_models(shell: Shell, flowers: Path) -> None:
    done = shell(f"race {flowers} --target kind --epochs 5 --learning-rate 0.01,0.001", COMPARE)
    assert done.code == 0 and "on the same 48 training and 12 test rows" in done.out
    assert done.out.index("alone") < done.out.index("compared") < done.out.index("verdict")
