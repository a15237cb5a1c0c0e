"""`fallline train`: its texts and files, and how a run ends, goes on and diverges."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.cli.exits import DIVERGED, FAILED, OK, USAGE
from fallline.data.sets import SETS

Shell = Callable[..., Any]  # see conftest


def fact(out: str, name: str) -> str:
    """The second column of a line."""
    return next(line for line in out.splitlines() if line.startswith(name + " ")).removeprefix(name).strip()


def accuracy(out: str) -> float:
    return float(fact(out, "test").split()[1])


def test_digits_reach_97_percent_with_the_defaults(shell: Shell) -> None:
    done = shell("train digits")
    assert done.code == OK
    assert accuracy(done.out) >= 97
    assert fact(done.out, "saved") == "runs/digits-1"


@pytest.mark.parametrize("name", SETS)
def test_every_named_set_trains_and_says_what_came_out(shell: Shell, name: str) -> None:
    done = shell(f"train {name} --epochs 2 --hidden 4")
    assert done.code == OK
    assert done.err == ""
    assert f"{name}: {len(SETS[name].load()):,}".replace(",", "") in fact(done.out, "data").replace(",", "")
    assert ("accuracy" if SETS[name].classes else "R^2") in fact(done.out, "test")
    assert "steps/s" in fact(done.out, "speed")
    assert "loss over epochs" in done.out


def test_the_accuracy_reported_is_that_of_the_saved_model_on_the_held_out_rows(shell: Shell) -> None:
    from fallline.data.dataset import split

    done = shell("train wine --epochs 3")
    run, data = fl.load_run("runs/wine-1"), SETS["wine"].load()
    train, test = split(data)
    assert run.model.encoder is not None
    assert np.allclose([one.mean for one in run.model.encoder.columns], data.x[train].mean(axis=0))
    y_hat = run.model.predict(data.x[test])
    assert f", {(y_hat == np.array(data.classes)[data.y[test]]).sum()} of {len(test)} test rows" in done.out


def test_a_quantity_is_reported_in_its_own_units(shell: Shell, line: Path) -> None:
    done = shell("train line.csv --target price --preset plain --hidden none --epochs 300 --learning-rate 0.05")
    assert done.code == OK
    words = fact(done.out, "test").split()
    assert float(words[1].rstrip(",")) > 0.999
    assert float(words[6]) < 1
    weight = fl.load_run("runs/line-1").model.params[0]["weight"]
    assert np.allclose(weight, 1, atol=0.01)  # standardised columns of a straight line: slope 1


def test_classes_of_a_file_are_trained_on(shell: Shell, flowers: Path) -> None:
    done = shell("train flowers.csv --target kind --epochs 60")
    assert accuracy(done.out) == 100
    assert "3 classes: 'iris', 'lily', 'rose'" in done.out


def test_output_that_nobody_watches_is_a_few_plain_lines(shell: Shell) -> None:
    done = shell("train iris --epochs 57")
    epochs = [line for line in done.out.splitlines() if line.startswith("epoch ")]
    assert 2 <= len(epochs) <= 10
    assert epochs[-1].startswith("epoch 57/57")
    assert "\x1b" not in done.out and "\r" not in done.out


def test_the_same_line_gives_the_same_network_and_another_seed_another(shell: Shell) -> None:
    for line in ("", "", " --seed 1"):
        assert shell("train iris --epochs 3" + line).code == OK
    thetas = [fl.load_run(f"runs/iris-{n}").model.theta for n in (1, 2, 3)]
    assert np.array_equal(thetas[0], thetas[1])
    assert not np.array_equal(thetas[0], thetas[2])


def test_a_run_that_goes_on_comes_to_what_one_without_a_break_comes_to(shell: Shell) -> None:
    shell("train iris --epochs 4 --out whole")
    shell("train iris --epochs 2 --out parts")
    done = shell("train iris --epochs 4 --out parts --resume")
    assert done.code == OK
    assert "after epoch 2" in fact(done.out, "resumed")
    assert np.array_equal(fl.load_run("whole").model.theta, fl.load_run("parts").model.theta)


def test_a_run_from_before_there_were_presets_goes_on_as_the_plain_one_that_it_is(shell: Shell, flowers: Path) -> None:
    shell("train flowers.csv --target kind --preset plain --epochs 4 --out whole")
    shell("train flowers.csv --target kind --preset plain --epochs 2 --out parts")
    config = json.loads(Path("parts/config.json").read_text())
    del config["extra"]["training"]
    Path("parts/config.json").write_text(json.dumps(config))
    done = shell("train flowers.csv --target kind --epochs 4 --out parts --resume")
    assert done.code == OK and "after epoch 2" in fact(done.out, "resumed")
    assert np.array_equal(fl.load_run("whole").model.theta, fl.load_run("parts").model.theta)


def test_a_run_is_not_written_over_unless_asked(shell: Shell) -> None:
    shell("train iris --epochs 2 --out mine")
    before = Path("mine/model.safetensors").read_bytes()
    refused = shell("train iris --epochs 3 --out mine")
    assert refused.code == 1
    assert "mine holds a run already" in refused.err
    assert "--overwrite" in refused.err and "--resume" in refused.err and "=True" not in refused.err
    assert Path("mine/model.safetensors").read_bytes() == before
    assert shell("train iris --epochs 3 --out mine --overwrite").code == OK
    assert Path("mine/model.safetensors").read_bytes() != before


def test_folders_are_counted_on_from_the_first_free_number(shell: Shell, flowers: Path) -> None:
    Path("runs/iris-1").mkdir(parents=True)
    Path("runs/iris-1/notes.txt").write_text("mine")
    assert fact(shell("train iris --epochs 1").out, "saved") == "runs/iris-2"
    odd = flowers.rename("odd name (1).csv")
    done = shell("train --target kind --epochs 1", str(odd))
    assert fact(done.out, "saved") == "runs/odd-name--1--1"


def test_a_number_that_another_run_takes_in_this_moment_is_passed_over(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fallline.cli import session

    begin, taken = session.training_of, []

    def slower_than_another(plan: Any, folder: Path) -> Any:
        training = begin(plan, folder)
        if not taken:
            folder.mkdir(parents=True)
            taken.append(folder)
        return training

    monkeypatch.setattr(session, "training_of", slower_than_another)
    assert fact(shell("train iris --epochs 1").out, "saved") == "runs/iris-2"
    assert list(taken[0].iterdir()) == []


def test_a_line_that_fails_leaves_no_folder_behind(shell: Shell) -> None:
    assert shell("train iris --hidden 99999999999").code == USAGE
    assert not Path("runs").exists()


def test_divergence_is_an_answer(shell: Shell) -> None:
    done = shell("train digits --optimizer gradient_descent --learning-rate 1e9 --epochs 3")
    assert done.code == DIVERGED
    assert done.err == ""
    assert "the last finite loss" in fact(done.out, "diverged")
    assert "try: --learning-rate" in done.out
    assert np.isfinite(fl.load_run("runs/digits-1").model.theta).all()


def test_early_stopping_stops_and_keeps_the_best(shell: Shell) -> None:
    done = shell("train diabetes --epochs 500 --early-stopping 5")
    assert fact(done.out, "ended").startswith("early")
    run = fl.load_run("runs/diabetes-1")
    losses = run.history["validation_loss"]
    assert len(losses) == losses.argmin() + 6
    assert f"after epoch {losses.argmin() + 1}," in fact(done.out, "kept")


def test_the_network_kept_is_the_best_even_without_early_stopping(shell: Shell) -> None:
    shell("train diabetes --epochs 60 --out all")
    best = int(fl.load_run("all").history["validation_loss"].argmin())
    assert best < 59
    shell(f"train diabetes --epochs {best + 1} --out first")
    assert np.array_equal(fl.load_run("all").model.theta, fl.load_run("first").model.theta)


def test_every_choice_arrives_in_the_run(shell: Shell) -> None:
    done = shell(
        "train breast-cancer --hidden 6,5 --activation tanh --loss binary_cross_entropy --optimizer adamw "
        "--learning-rate 0.02 --schedule cosine --weight-decay 0.25 --clip-norm 3 --batch-size 50 --epochs 2 "
        "--validation 0.2 --seed 7 --dtype float64"
    )
    assert done.code == OK
    config = json.loads(Path("runs/breast-cancer-1/config.json").read_text())
    run = fl.load_run("runs/breast-cancer-1")
    assert run.model.dtype == np.float64
    assert [its["weight"].shape for its in run.model.params if its] == [(30, 6), (6, 5), (5, 1)]
    assert config["seed"] == 7 and config["batch_size"] == 50 and config["epochs"] == 2
    assert config["optimizer"]["weight_decay"] == 0.25 and config["optimizer"]["clip_norm"] == 3
    assert config["optimizer"]["learning_rate"]["type"] == "Cosine"
    assert config["loss"]["type"] == "BinaryCrossEntropy"
    for name, part in [
        ("network", "30-6-5-1 tanh"), ("loss", "binary_cross_entropy"), ("network", "float64"),
        ("optimizer", "adamw, learning rate cosine from 0.02, weight decay 0.25"),
        ("steps", "2 epochs of 8, batches of 50, seed 7"), ("rows", "364 training, 91 validation, 114 test"),
    ]:  # fmt: skip
        assert part in fact(done.out, name)


def test_full_batches_no_validation_and_no_test_are_possible(shell: Shell) -> None:
    done = shell("train iris --batch-size full --validation 0 --test 0 --epochs 2")
    assert done.code == OK
    assert "150 training, 0 validation, 0 test" in fact(done.out, "rows")
    assert "2 epochs of 1, batches of 150" in fact(done.out, "steps")
    assert "there are no test rows" in fact(done.out, "test")


def test_a_share_that_leaves_no_row_is_reported_in_words_that_can_be_typed(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "two.csv").write_text("a,b\n1,2\n3,4\n")
    done = shell("train two.csv --target b --preset plain --validation 0.5")
    assert done.code == FAILED
    assert done.err == ("error: a share of 1 row cannot be split off for validation\n  try: no --validation\n")
    assert shell("train iris --epochs 1 --validation 0.999999").code == OK


def test_large_quantities_are_measured_without_overflow(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "large.csv").write_text("a,b\n" + "".join(f"{i},{i - 6}e300\n" for i in range(13)))
    done = shell("train large.csv --target b --epochs 1")
    assert done.code == OK
    assert done.err == ""
    assert "root mean squared error inf" not in done.out
    assert "e30" in fact(done.out, "test")


def test_threads_are_reported_where_a_step_uses_several(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "threads" not in shell("train iris --epochs 1 --threads 2").out  # too little work to share
    monkeypatch.setattr("fallline.program.lanes.SHORT", 0.0)
    monkeypatch.setattr("fallline.program.lanes.GAIN", float("inf"))
    assert fact(shell("train iris --epochs 1 --threads 2").out, "threads") == "2"


def test_a_profile_is_shown_when_asked_for(shell: Shell) -> None:
    done = shell("train iris --epochs 2 --profile")
    assert done.code == 0
    assert "product" in done.out.split("saved")[1]


def test_without_epochs_training_ends_where_the_loss_has_stopped_falling(shell: Shell, monkeypatch: Any) -> None:
    from fallline.jobs import length, stopping

    monkeypatch.setattr(stopping, "WAIT_STEPS", 200)
    done = shell("train wine")
    assert fact(done.out, "steps").startswith("up to 2000 epochs of 8,")
    assert fact(done.out, "ended").startswith("early: no better loss for a while")
    assert "kept          the network after epoch" in done.out
    assert "epoch    8   loss" in done.out and "/2000" not in done.out
    monkeypatch.setattr(length, "MOST_STEPS", 160)
    falling = shell("train wine --learning-rate 0.0001").out
    assert fact(falling, "ended").startswith("all epochs done (epoch 20,")
    assert "the validation loss was still falling; try: --epochs 40" in falling


def test_a_run_with_so_many_epochs_is_resumed_without_a_number_to_the_same_network(shell: Shell) -> None:
    for line in ("train wine --out whole", "train wine --epochs 40 --out cut", "train wine --out cut --resume"):
        assert shell(line).code == OK
    whole, cut = fl.load_run("whole"), fl.load_run("cut")
    assert cut.model.theta.tobytes() == whole.model.theta.tobytes()
    assert len(cut.epochs) == len(whole.epochs)


def test_a_metric_reports_the_best_epoch_and_is_shown_in_its_own_direction(shell: Shell) -> None:
    done = shell("train wine --epochs 6 --hidden 4 --metrics f1,roc_auc --watch log_loss --out run")
    assert done.code == OK
    run = fl.load_run("run")
    assert run.ended is not None and run.started is not None
    assert run.started.metrics == tuple(f"validation_{name}" for name in ("accuracy", "f1", "roc_auc", "log_loss"))
    column = run.history["validation_log_loss"]
    assert run.ended.best_value == column.min()
    assert f"after epoch {column.argmin() + 1}, whose log loss was the lowest, " in fact(done.out, "kept")
    done = shell("train wine --epochs 6 --hidden 4 --watch accuracy")
    assert "whose accuracy was the highest, " in fact(done.out, "kept") and fact(done.out, "kept").endswith(" %")


def test_a_metric_that_does_not_exist_or_fit_is_a_slip(shell: Shell) -> None:
    for line, told in {
        "train wine --metrics acuracy": "did you mean 'accuracy'",
        "train wine --watch f2": "unknown metric 'f2'",
        "train wine --metrics mae": "the metric 'mae' measures numbers, and y holds classes",
    }.items():
        done = shell(line)
        assert done.code in (USAGE, FAILED) and told in done.err
