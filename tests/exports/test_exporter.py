"""`fl.export`: the kind of file by its ending, the forms a model is given in, and files that are there already."""

import builtins
from pathlib import Path

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.errors import ArgumentError, ArgumentTypeError, ExistingFileError, MissingFileError, SavingError

onnx = pytest.importorskip("onnx")

X = np.random.default_rng(0).normal(size=(20, 2))


@pytest.fixture
def run(tmp_path):
    encoder = nn.standardise(X, names=["a", "b"])
    settings = {"loss": "squared_error", "epochs": 2, "encoder": encoder, "decoder": nn.Quantity("y")}
    return fl.fit(nn.Dense(1), (X, X[:, 0]), out=tmp_path / "run", **settings)


def test_a_model_a_run_a_folder_and_a_file_give_the_same_file(run, tmp_path):
    given = [run, run.model, tmp_path / "run", str(tmp_path / "run" / "model.safetensors")]
    files = [fl.export(one, tmp_path / f"{i}.onnx").read_bytes() for i, one in enumerate(given)]
    assert len({*files}) == 1
    assert [one.name for one in onnx.load_from_string(files[0]).graph.input] == ["a", "b"]


def test_a_file_that_is_there_is_replaced_on_request_only(run, tmp_path):
    path = tmp_path / "model.ONNX"
    path.write_text("mine")
    with pytest.raises(ExistingFileError, match=r"there is a file .*ONNX already\n  try: overwrite=True"):
        fl.export(run, path)
    assert path.read_text() == "mine"
    assert fl.export(run, path, overwrite=True) == path
    onnx.checker.check_model(onnx.load(path))
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(ExistingFileError, match="is a folder"):
        fl.export(run, tmp_path / "folder.onnx", overwrite=True)


def test_bad_calls_say_what_is_wrong(run, tmp_path):
    for name, told in {"model.onx": "ends in '.onx'; did you mean '.onnx'", "model": "has no ending"}.items():
        with pytest.raises(ArgumentError, match=told):
            fl.export(run, tmp_path / name)
    with pytest.raises(ArgumentTypeError, match="a model is exported, a run, or the path of one, got 3"):
        fl.export(3, tmp_path / "model.onnx")
    with pytest.raises(MissingFileError):
        fl.export(tmp_path / "nowhere", tmp_path / "model.onnx")
    with pytest.raises(SavingError, match=r"try: os\.makedirs"):
        fl.export(run, tmp_path / "nowhere" / "model.onnx")


def test_without_onnx_the_message_names_the_extra(run, tmp_path, monkeypatch):
    plain = builtins.__import__

    def without(name, *more, **kwargs):
        if name == "onnx":
            raise ImportError(name)
        return plain(name, *more, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ArgumentTypeError, match=r"takes the package onnx\n  try: pip install 'fallline\[onnx\]'"):
        fl.export(run, tmp_path / "model.onnx")
    assert not Path(tmp_path / "model.onnx").exists()
