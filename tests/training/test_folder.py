"""Run folders: their files, refused calls, and their state after a process dies."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.errors import ArgumentError, DataError, ExistingFileError, MissingFileError, SavingError
from fallline.runs import checkpoint

SRC = Path(__file__).parents[2] / "src"
NETWORK = fl.nn.mlp((4,), 3)
SETTINGS: dict[str, Any] = {"loss": "cross_entropy", "epochs": 4, "batch_size": 8, "validation": 0.3}


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_run_folder_holds_what_is_promised(labelled: Any, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "run"
    run = fl.fit(NETWORK, labelled, out=out, checkpoints=1, extra={"unit": "cm"}, **SETTINGS)
    steps = run.history["step"].tolist()
    assert files(out) == {
        "config.json", "events.jsonl", "model.safetensors",
        f"checkpoints/step-{steps[-1]:012d}.safetensors", f"checkpoints/step-{steps[-2]:012d}.safetensors",
    }  # fmt: skip
    records = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    kinds = [record["event"] for record in records]
    assert kinds[0] == "training_started"
    assert kinds[-1] == "training_ended"
    assert kinds.count("epoch_ended") == 4
    assert kinds.count("checkpoint_saved") == 5  # one an epoch and one at the end
    config = json.loads((out / "config.json").read_text())
    assert (config["epochs"], config["batch_size"], config["optimizer"]["type"]) == (4, 8, "Adam")
    assert run.folder == out


def test_a_loaded_run_equals_the_run(labelled: Any, tmp_path: Path) -> None:
    run = fl.fit(NETWORK, labelled, out=tmp_path, extra={"unit": "cm"}, **SETTINGS)
    back = fl.load_run(str(tmp_path))
    assert back.model.theta.tobytes() == run.model.theta.tobytes()
    assert back.events == run.events
    assert back.summary() == run.summary()
    assert back.extra == {"unit": "cm"}
    assert back.model.predict(labelled[0]).tolist() == run.model.predict(labelled[0]).tolist()
    assert fl.load_model(tmp_path).theta.tobytes() == run.model.theta.tobytes()


def test_a_run_saved_afterwards_loads_like_one_saved_from_the_start(labelled: Any, tmp_path: Path) -> None:
    run = fl.fit(NETWORK, labelled, **SETTINGS)
    assert run.save(tmp_path / "a") == tmp_path / "a"
    back = fl.load_run(tmp_path / "a")
    assert back.events == run.events
    assert back.model.theta.tobytes() == run.model.theta.tobytes()
    with pytest.raises(ExistingFileError, match="holds a run already"):
        run.save(tmp_path / "a")
    run.save(tmp_path / "a", overwrite=True)


@pytest.mark.parametrize("labels", [["a", "b", "é"], [3, 5, 9], [True, False, True]])
def test_labels_of_any_kind_come_back_from_a_model_file(labels: list[Any], tmp_path: Path) -> None:
    x = np.arange(12.0).reshape(6, 2)
    run = fl.fit(fl.nn.mlp((), len(set(labels))), (x, labels * 2), loss="cross_entropy", epochs=1)
    path = fl.save_model(run.model, tmp_path / "m.safetensors")
    assert fl.load_model(path).predict(x).tolist() == run.model.predict(x).tolist()


def test_an_existing_run_is_refused_and_left_as_it_is(labelled: Any, tmp_path: Path) -> None:
    fl.fit(NETWORK, labelled, out=tmp_path, **SETTINGS)
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    with pytest.raises(ExistingFileError, match="overwrite=True"):
        fl.fit(NETWORK, labelled, out=tmp_path, **SETTINGS)
    # A call with overwrite that has other mistakes does not get as far as overwriting.
    with pytest.raises(ArgumentError, match="epochs"):
        fl.fit(NETWORK, labelled, out=tmp_path, overwrite=True, **{**SETTINGS, "epochs": 0})
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before


def test_a_path_that_cannot_be_written_is_reported_as_it_was_given(labelled: Any, tmp_path: Path) -> None:
    run = fl.fit(fl.nn.mlp((4,), 3), labelled, loss="cross_entropy", epochs=1)
    with pytest.raises(SavingError, match=r"none/m.safetensors cannot be written: .*\n  try: os.makedirs"):
        fl.save_model(run.model, tmp_path / "none" / "m.safetensors")
    (tmp_path / "file").write_text("")
    with pytest.raises(SavingError, match=r"file/run cannot be written"):
        run.save(tmp_path / "file" / "run")


def test_overwriting_replaces_the_run_and_touches_nothing_else(labelled: Any, tmp_path: Path) -> None:
    first = fl.fit(NETWORK, labelled, out=tmp_path, checkpoints=1, **SETTINGS)
    (tmp_path / "notes.txt").write_text("mine")
    second = fl.fit(NETWORK, labelled, out=tmp_path, overwrite=True, checkpoints=None, **{**SETTINGS, "seed": 1})
    assert files(tmp_path) == {"config.json", "events.jsonl", "model.safetensors", "notes.txt"}
    back = fl.load_run(tmp_path)
    assert back.model.theta.tobytes() == second.model.theta.tobytes() != first.model.theta.tobytes()
    assert len(back.epochs) == 4


def test_a_folder_of_other_things_is_refused_even_with_overwrite(labelled: Any, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_text("of somebody else")
    for options in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(ExistingFileError, match="no run"):
            fl.fit(NETWORK, labelled, out=tmp_path, **options, **SETTINGS)
    (tmp_path / "file").write_text("")
    with pytest.raises(ExistingFileError, match="is a file"):
        fl.fit(NETWORK, labelled, out=tmp_path / "file", **SETTINGS)
    assert (tmp_path / "model.safetensors").read_text() == "of somebody else"


def test_the_folder_of_another_program_with_a_config_is_not_overwritten(labelled: Any, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    others = [tmp_path / "config.json", tmp_path / "model.safetensors", tmp_path / "checkpoints" / "best.bin"]
    for path in others:
        path.write_text('{"architecture": "of somebody else"}')
    with pytest.raises(ExistingFileError, match="not the config of a Fallline run, so nothing there is overwritten"):
        fl.fit(NETWORK, labelled, out=tmp_path, overwrite=True, **SETTINGS)
    assert {path.read_text() for path in others} == {'{"architecture": "of somebody else"}'}


class Killed(Exception):
    pass


@pytest.mark.parametrize("then", ["overwrite", "resume"])
@pytest.mark.parametrize("deleted", range(5))
def test_a_process_that_dies_while_it_clears_a_folder_leaves_a_run(
    labelled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deleted: int, then: str
) -> None:
    before = fl.fit(NETWORK, labelled, out=tmp_path, checkpoints=1, **SETTINGS)
    unlink, left = Path.unlink, deleted

    def unlink_or_die(path: Path, missing_ok: bool = False) -> None:
        nonlocal left
        if path.name != "lock" and left == 0:
            raise Killed
        left -= path.name != "lock"
        unlink(path, missing_ok)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Path, "unlink", unlink_or_die)
        fl.fit(NETWORK, labelled, out=tmp_path, overwrite=True, **{**SETTINGS, "seed": 1})
    if (tmp_path / "model.safetensors").exists():
        assert fl.load_model(tmp_path).theta.tobytes() == before.model.theta.tobytes()
    if then == "resume":
        again = fl.fit(NETWORK, labelled, out=tmp_path, checkpoints=1, resume=True, **SETTINGS)
        assert again.model.theta.tobytes() == before.model.theta.tobytes()
        assert again.history["loss"].tolist() == before.history["loss"].tolist()
    else:
        fl.fit(NETWORK, labelled, out=tmp_path, overwrite=True, **{**SETTINGS, "seed": 1})
    assert fl.load_run(tmp_path).stop_reason == "finished"


def test_overwriting_leaves_copies_of_checkpoints_alone(labelled: Any, tmp_path: Path) -> None:
    fl.fit(NETWORK, labelled, out=tmp_path, checkpoints=1, **SETTINGS)
    copy = tmp_path / "checkpoints" / "the good one.safetensors"
    copy.write_bytes(checkpoint.paths_in(tmp_path / "checkpoints")[0].read_bytes())
    fl.fit(NETWORK, labelled, out=tmp_path, overwrite=True, checkpoints=None, **SETTINGS)
    assert list((tmp_path / "checkpoints").iterdir()) == [copy]


def test_resuming_another_training_is_refused_with_what_differs(labelled: Any, tmp_path: Path) -> None:
    fl.fit(NETWORK, labelled, out=tmp_path, **SETTINGS)
    x, y = labelled
    other_x = x.copy()
    other_x[7, 1] += 1e-3
    for change, told in [
        ({"batch_size": 4}, "batch_size: 8 then, 4 now"),
        ({"optimizer": fl.optim.Adam(0.5)}, r"optimizer.learning_rate: 0.001 then, 0.5 now"),
        ({"seed": 1}, "seed: 0 then, 1 now"),
        ({"validation": 0.4}, "validation: 0.3 then, 0.4 now"),
    ]:
        with pytest.raises(ArgumentError, match=told):
            fl.fit(NETWORK, labelled, resume=tmp_path, **{**SETTINGS, **change})
    with pytest.raises(ArgumentError, match=r"data\.x"):
        fl.fit(NETWORK, (other_x, y), resume=tmp_path, **SETTINGS)
    with pytest.raises(ArgumentError, match=r"model\.network"):
        fl.fit(fl.nn.mlp((5,), 3), labelled, resume=tmp_path, **SETTINGS)


def test_resume_true_starts_where_there_is_nothing_and_a_named_folder_must_exist(labelled: Any, tmp_path: Path) -> None:
    run = fl.fit(NETWORK, labelled, out=tmp_path / "new", resume=True, **SETTINGS)
    assert run.stop_reason == "finished"
    with pytest.raises(MissingFileError, match="no run to resume"):
        fl.fit(NETWORK, labelled, resume=tmp_path / "other", **SETTINGS)


def test_a_damaged_checkpoint_is_passed_over_and_the_result_is_the_same(labelled: Any, tmp_path: Path) -> None:
    whole = fl.fit(NETWORK, labelled, **{**SETTINGS, "epochs": 8})
    fl.fit(NETWORK, labelled, out=tmp_path, checkpoints=1, **SETTINGS)
    newest = checkpoint.paths_in(tmp_path / "checkpoints")[0]
    newest.write_bytes(newest.read_bytes()[:-5])
    run = fl.fit(NETWORK, labelled, resume=tmp_path, checkpoints=1, **{**SETTINGS, "epochs": 8})
    assert run.model.theta.tobytes() == whole.model.theta.tobytes()
    assert run.started is not None
    assert run.started.first_epoch == 3
    assert "damaged" in run.started.notes[0]
    assert run.history["epoch"].tolist() == list(range(8))


def test_a_run_without_any_whole_checkpoint_starts_again(labelled: Any, tmp_path: Path) -> None:
    whole = fl.fit(NETWORK, labelled, out=tmp_path, **SETTINGS)
    shutil.rmtree(tmp_path / "checkpoints")
    run = fl.fit(NETWORK, labelled, resume=tmp_path, **SETTINGS)
    assert run.model.theta.tobytes() == whole.model.theta.tobytes()
    assert run.history["epoch"].tolist() == list(range(4))
    assert fl.load_run(tmp_path).history["epoch"].tolist() == list(range(4))


def test_a_half_written_last_line_of_events_is_left_out_and_mended(labelled: Any, tmp_path: Path) -> None:
    fl.fit(NETWORK, labelled, out=tmp_path, **SETTINGS)
    events = tmp_path / "events.jsonl"
    with open(events, "a") as file:
        file.write('{"event": "epoch_en')
    assert len(fl.load_run(tmp_path).epochs) == 4
    fl.fit(NETWORK, labelled, resume=tmp_path, **{**SETTINGS, "epochs": 5})
    for line in events.read_text().splitlines():
        json.loads(line)
    assert fl.load_run(tmp_path).history["epoch"].tolist() == list(range(5))


def test_what_a_process_killed_while_it_wrote_has_left_is_removed(labelled: Any, tmp_path: Path) -> None:
    fl.fit(NETWORK, labelled, out=tmp_path, **SETTINGS)
    left = [
        tmp_path / ".model.safetensors.0123abcd.part",
        tmp_path / "checkpoints" / ".step-1.safetensors.89ef4567.part",
        tmp_path / "checkpoints" / ".tmpJ2ZrqN",
    ]
    mine = tmp_path / ".notes.part"
    for path in (*left, mine):
        path.write_text("cut o")
    fl.fit(NETWORK, labelled, resume=tmp_path, **{**SETTINGS, "epochs": 5})
    assert not any(path.exists() for path in left)
    assert mine.exists()


KILLED = """
import os, signal, sys
import numpy as np
import fallline as fl
rng = np.random.default_rng(0)
x = rng.standard_normal((60, 3)); y = rng.integers(0, 3, 60)
settings = dict(loss="cross_entropy", epochs=12, batch_size=8, validation=0.3, early_stopping=50)
if sys.argv[2] == "whole":
    print(fl.fit(fl.nn.mlp((4,), 3), (x, y), **settings).model.theta.tobytes().hex())
else:
    for event in fl.train(fl.nn.mlp((4,), 3), (x, y), out=sys.argv[1], checkpoints=1, resume=True, **settings):
        if isinstance(event, fl.events.EpochEnded) and event.epoch == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
    print(fl.load_run(sys.argv[1]).model.theta.tobytes().hex())
"""


def test_a_killed_process_loses_no_more_than_since_its_last_checkpoint(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(SRC)}

    def process(argument: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", KILLED, str(tmp_path / "run"), argument]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    killed = process("7")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    cut_off = fl.load_run(tmp_path / "run")
    assert cut_off.stop_reason is None
    assert "not ended" in cut_off.summary()
    finished, whole = process("-1"), process("whole")
    assert finished.returncode == whole.returncode == 0, finished.stderr + whole.stderr
    assert finished.stdout == whole.stdout
    assert fl.load_run(tmp_path / "run").history["epoch"].tolist() == list(range(12))


def test_a_folder_in_use_is_refused(labelled: Any, tmp_path: Path) -> None:
    training = fl.train(NETWORK, labelled, out=tmp_path, **SETTINGS)
    next(training)
    with pytest.raises(ArgumentError, match=f"process {os.getpid()}"):
        fl.fit(NETWORK, labelled, resume=tmp_path, **SETTINGS)
    training.close()
    assert fl.fit(NETWORK, labelled, resume=tmp_path, **SETTINGS).stop_reason == "finished"
    assert "lock" not in files(tmp_path)


def test_a_loss_of_the_user_s_own_is_resumed_and_its_model_predicts_from_a_file(labelled: Any, tmp_path: Path) -> None:
    def loss(output: Any, y: Any) -> Any:
        return np.mean((output[:, 0] - y) ** 2)

    settings: dict[str, Any] = {"loss": loss, "epochs": 3, "batch_size": 8}
    whole = fl.fit(fl.nn.mlp((4,), 2), labelled, **{**settings, "epochs": 6})
    fl.fit(fl.nn.mlp((4,), 2), labelled, out=tmp_path, **settings)
    more = fl.fit(fl.nn.mlp((4,), 2), labelled, resume=tmp_path, **{**settings, "epochs": 6})
    assert more.model.theta.tobytes() == whole.model.theta.tobytes()
    x, _ = labelled
    assert fl.load_model(tmp_path).predict(x).tolist() == whole.model.predict(x).tolist()


def test_a_layer_of_the_user_s_own_is_checkpointed_and_the_model_left_out(labelled: Any, tmp_path: Path) -> None:
    network = fl.nn.Sequential(fl.nn.Dense(4), fl.nn.Function(np.sin), fl.nn.Dense(3))
    whole = fl.fit(network, labelled, **{**SETTINGS, "epochs": 6})
    run = fl.fit(network, labelled, out=tmp_path, **SETTINGS)
    assert run.started is not None
    assert "functions of your own" in run.started.notes[0]
    assert not (tmp_path / "model.safetensors").exists()
    assert run.summary().endswith(f"checkpoints and history in {tmp_path}; the model is not, as no file can hold it")
    with pytest.raises(ArgumentError, match="no file can hold"):
        fl.load_run(tmp_path)
    more = fl.fit(network, labelled, resume=tmp_path, **{**SETTINGS, "epochs": 6})
    assert more.model.theta.tobytes() == whole.model.theta.tobytes()


def change_config(path: Path, **changed: Any) -> None:
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | changed))


@pytest.mark.parametrize("events", [b"{}\n", b"[]\n", b"\xff\n"])
def test_damaged_events_are_reported_with_their_line(labelled: Any, tmp_path: Path, events: bytes) -> None:
    fl.fit(NETWORK, labelled, out=tmp_path, **SETTINGS)
    (tmp_path / "events.jsonl").write_bytes(events)
    with pytest.raises(DataError, match="line 1"):
        fl.load_run(tmp_path)


@pytest.mark.parametrize(
    ("damage", "kind", "told"),
    [
        (lambda path: path.unlink(), ExistingFileError, "no run"),
        (lambda path: path.write_text("{"), DataError, "damaged"),
        (lambda path: path.write_text("{}"), DataError, "not the config"),
        (lambda path: path.write_text('{"fallline": "run 1"}'), DataError, "not the config"),
        (lambda path: path.write_bytes(b"\xff"), DataError, "damaged"),
        (lambda path: change_config(path.parent, extra=[1]), DataError, "not the config"),
        (lambda path: change_config(path.parent, batch_size=9), ArgumentError, "batch_size: 9 then, 8 now"),
    ],
)
def test_a_damaged_config_changes_nothing_that_is_loaded_and_is_not_resumed(
    labelled: Any, tmp_path: Path, damage: Any, kind: type[Exception], told: str
) -> None:
    run = fl.fit(NETWORK, labelled, out=tmp_path, **SETTINGS)
    damage(tmp_path / "config.json")
    back = fl.load_run(tmp_path)
    assert back.model.theta.tobytes() == run.model.theta.tobytes()
    assert back.config == json.loads(json.dumps(run.config))
    with pytest.raises(kind, match=told):
        fl.fit(NETWORK, labelled, out=tmp_path, resume=True, **SETTINGS)


def test_settings_edited_here_and_there_alike_are_still_reported(labelled: Any, tmp_path: Path) -> None:
    fl.fit(NETWORK, labelled, out=tmp_path, **SETTINGS)
    change_config(tmp_path, batch_size=9)
    with pytest.raises(ArgumentError, match="batch_size: 8 then, 9 now"):
        fl.fit(NETWORK, labelled, out=tmp_path, resume=True, **{**SETTINGS, "batch_size": 9})


def test_a_damaged_model_file_falls_back_on_the_checkpoint_of_the_end_and_on_no_other(
    labelled: Any, tmp_path: Path
) -> None:
    run = fl.fit(NETWORK, labelled, out=tmp_path, early_stopping=9, checkpoints=1, **SETTINGS)
    path = tmp_path / "model.safetensors"
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[-6] ^= 64
    for damaged, told in ((whole[:-3], "cannot be read"), (changed, "damaged")):
        path.write_bytes(damaged)
        assert fl.load_run(tmp_path).model.theta.tobytes() == run.model.theta.tobytes()
        assert fl.load_model(tmp_path).theta.tobytes() == run.model.theta.tobytes()
        with pytest.raises(DataError, match=told):
            fl.load_model(path)
    max((tmp_path / "checkpoints").iterdir()).unlink()
    with pytest.raises(DataError, match="damaged"):
        fl.load_run(tmp_path)
    again = fl.fit(NETWORK, labelled, out=tmp_path, early_stopping=9, checkpoints=1, resume=True, **SETTINGS)
    assert again.model.theta.tobytes() == fl.load_run(tmp_path).model.theta.tobytes() == run.model.theta.tobytes()


def test_a_run_that_was_cut_off_is_not_read_past_a_damaged_checkpoint(labelled: Any, tmp_path: Path) -> None:
    fl.fit(NETWORK, labelled, out=tmp_path, checkpoints=1, **SETTINGS)
    (tmp_path / "model.safetensors").unlink()
    newest = max((tmp_path / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:-1])
    with pytest.raises(DataError, match="is damaged, so the newest model"):
        fl.load_run(tmp_path)


def test_files_that_are_no_models_are_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    with pytest.raises(MissingFileError):
        fl.load_model(tmp_path / "nothing.safetensors")
    with pytest.raises(MissingFileError, match="no run in"):
        fl.load_run(Path(__file__))
    save_file({"theta": np.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(DataError, match="without a Fallline model"):
        fl.load_model(tmp_path / "other.safetensors")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(DataError, match="cannot be read"):
        fl.load_model(tmp_path / "text")


def full_after(monkeypatch: pytest.MonkeyPatch, files: int) -> None:
    """A disk that takes so many files of ours and is full then."""
    save, left = checkpoint.save_arrays, [files]

    def until_full(path: Path, arrays: Any, metadata: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        save(path, arrays, metadata)

    monkeypatch.setattr(checkpoint, "save_arrays", until_full)


def test_a_full_disk_is_reported_and_loses_neither_the_run_nor_the_last_checkpoint(
    labelled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fl.fit(NETWORK, labelled, **SETTINGS)
    with monkeypatch.context() as patch:
        full_after(patch, 2)
        with pytest.raises(
            SavingError, match=r"No space left on device\n  training ended in epoch 3.*\n  try: resume=True"
        ) as told:
            fl.fit(NETWORK, labelled, out=tmp_path, checkpoints=1, **SETTINGS)
    assert isinstance(told.value, OSError)
    assert len(told.value.run.epochs) == 3
    assert told.value.run.history["loss"].tolist() == whole.history["loss"][:3].tolist()
    resumed = fl.fit(NETWORK, labelled, out=tmp_path, checkpoints=1, resume=True, **SETTINGS)
    assert resumed.started is not None
    assert resumed.started.first_epoch == 2
    assert resumed.model.theta.tobytes() == whole.model.theta.tobytes()


@pytest.mark.skipif(sys.platform == "win32", reason="sizes of files are limited otherwise there")
def test_what_safetensors_says_of_the_disk_is_an_error_of_the_disk(tmp_path: Path) -> None:
    program = (
        "import resource, signal, sys, numpy as np; from pathlib import Path;"
        "from fallline.runs.checkpoint import save_arrays;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000));"
        "save_arrays(Path(sys.argv[1]), {'a': np.zeros(5000)}, {})"
    )
    path = tmp_path / "a.safetensors"
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        env={**os.environ, "PYTHONPATH": str(SRC)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr.splitlines()[-1] == f"OSError: [Errno {errno.EFBIG}] {os.strerror(errno.EFBIG)}: {str(path)!r}"
    assert list(tmp_path.iterdir()) == []


def test_a_run_whose_config_has_the_names_of_an_earlier_time_is_resumed_to_the_same_bits(
    labelled: Any, tmp_path: Path
) -> None:
    whole = fl.fit(NETWORK, labelled, **SETTINGS)
    fl.fit(NETWORK, labelled, **{**SETTINGS, "epochs": 2}, out=tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    config["recompute"] = config.pop("gradient_checkpointing")
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    checkpoint.amend(tmp_path / "run" / "checkpoints", {"config": config})
    run = fl.fit(NETWORK, labelled, **SETTINGS, out=tmp_path / "run", resume=True)
    assert np.array_equal(run.model.theta, whole.model.theta)


def test_a_run_from_before_a_field_was_there_is_resumed_to_the_same_bits(labelled: Any, tmp_path: Path) -> None:
    whole = fl.fit(NETWORK, labelled, **SETTINGS)
    fl.fit(NETWORK, labelled, **{**SETTINGS, "epochs": 2}, out=tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    for record, field in ((config["model"]["network"]["layers"][0], "tangent"), (config["optimizer"], "eps_beside")):
        del record[field]
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    checkpoint.amend(tmp_path / "run" / "checkpoints", {"config": config})
    run = fl.fit(NETWORK, labelled, **SETTINGS, out=tmp_path / "run", resume=True)
    assert np.array_equal(run.model.theta, whole.model.theta)
    with pytest.raises(ArgumentError, match="eps_beside: 'corrected' then, 'raw' now"):
        optimizer = fl.optim.Adam(eps_beside="raw")
        fl.fit(NETWORK, labelled, **{**SETTINGS, "optimizer": optimizer}, out=tmp_path / "run", resume=True)
