"""Model files that somebody or something has altered: one error of ours, or the same predictions; never a crash.

A file is damaged (bytes), or rewritten with a checksum that fits, as by a program that means harm.
"""

import json
import random

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save

import fallline as fl
from fallline import nn
from fallline.errors import DataError, FalllineError
from fallline.runs.checkpoint import checksum, save_arrays

ENCODER = nn.Columns(
    (
        nn.Number("n", 3.0, 2.0, indicator=True),
        nn.Category("c", ("a", "b", "x")),
        nn.Moment("m", 1.4e9, 1.5e9),
        nn.Standardised("s", 1.0, 2.0),
    )
)
ROWS = {"n": [1.0, None], "c": ["a", "q"], "m": ["2014-05-13", None], "s": [1.0, 2.0]}
# Values that a field may be altered to: of other types and sizes, and senseless ones.
VALUES = [-1, 0, 10**9, 10**30, 1e308, float("nan"), True, None, "", "Dense", [], {}, [[]], {"type": "Dense"}, [1] * 50]
# Numbers and texts of the data, which may be any that a column can have; an answer with others follows from the file.
FREE = {"centre", "mean", "scale", "start", "stop", "levels", "eps", "tangent", "embedded"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    network = nn.Sequential(nn.Dense(5), nn.BatchNorm(), nn.GELU(), nn.Dropout(0.5), nn.Dense(3))
    model = nn.Model.init(network, ENCODER.width, loss="cross_entropy")
    model = model.between(ENCODER, nn.Labels("kind", ("u", "v", "w")))
    path = fl.save_model(model, tmp_path_factory.mktemp("model") / "model.safetensors")
    with safe_open(path, "numpy") as file:
        return path, file.metadata(), np.array(file.get_tensor("theta")), model.predict_proba(ROWS)


def answer(path):
    """The probabilities that a file gives; None for an error of ours."""
    try:
        model = fl.load_model(path)
        model.predict(ROWS)
        return model.predict_proba(ROWS)
    except FalllineError:
        return None


def rewritten(path, metadata, theta, text):
    told = {**metadata, "config": text, "checksum": checksum({"theta": theta}, text)}
    path.write_bytes(save({"theta": np.ascontiguousarray(theta)}, told))
    return path


def places(value, path=()):
    """The path of every value inside a JSON value."""
    if path:
        yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield from places(part, (*path, key))


def altered(config, path, change):
    """A copy of a JSON value, with a change made to the container of a place."""
    copy = json.loads(json.dumps(config))
    node = copy["model"]
    for key in path[:-1]:
        node = node[key]
    change(node, path[-1])
    return json.dumps(copy)


def test_a_damaged_file_is_refused_or_answers_as_before(saved, tmp_path):
    path, _, _, expected = saved
    whole, draw = path.read_bytes(), random.Random(0)
    for _ in range(150):
        part, at = bytearray(whole), draw.randrange(len(whole))
        match draw.randrange(3):
            case 0:
                part[at] ^= 1 << draw.randrange(8)
            case 1:
                del part[at:]
            case 2:
                part[at : at + draw.randrange(20)] = draw.randbytes(draw.randrange(20))
        (tmp_path / "model.safetensors").write_bytes(bytes(part))
        found = answer(tmp_path / "model.safetensors")
        assert found is None or np.array_equal(found, expected)


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")  # an eps of 1e308
def test_a_file_with_another_value_is_refused_or_answers_as_it_says(saved, tmp_path):
    _, metadata, theta, expected = saved
    config = json.loads(metadata["config"])
    draw = random.Random(0)
    for place in places(config["model"]):
        for value in draw.sample(VALUES, 2):
            text = altered(config, place, lambda node, key, value=value: node.__setitem__(key, value))
            found = answer(rewritten(tmp_path / "model.safetensors", metadata, theta, text))
            assert found is None or FREE & {*place} or np.array_equal(found, expected), (place, value)


def test_a_file_without_a_value_or_with_an_unknown_one_is_refused_or_answers_as_before(saved, tmp_path):
    _, metadata, theta, expected = saved
    config = json.loads(metadata["config"])
    for place in places(config["model"]):
        for change in (lambda node, key: node.pop(key), lambda node, key: node.update(new=1)):
            if not isinstance(place[-1], str):
                continue
            text = altered(config, place, change)
            found = answer(rewritten(tmp_path / "model.safetensors", metadata, theta, text))
            assert found is None or np.array_equal(found, expected), place


@pytest.mark.parametrize("text", ["3", "[" * 10**5, '{"model": ' + "[" * 5000 + "]" * 5000 + "}", "1" * 5000, "{"])
def test_metadata_that_are_no_config_are_refused(saved, tmp_path, text):
    _, metadata, theta, _ = saved
    with pytest.raises(DataError, match="does not hold a whole model"):
        fl.load_model(rewritten(tmp_path / "model.safetensors", metadata, theta, text))


def test_parameters_of_another_form_are_refused(saved, tmp_path):
    _, metadata, theta, _ = saved
    for other in (theta[:-1], theta.astype(np.float64), theta.reshape(1, -1), theta.view(np.int32), theta[:0]):
        with pytest.raises(DataError, match="theta is float32"):
            fl.load_model(rewritten(tmp_path / "model.safetensors", metadata, other, metadata["config"]))


def test_a_network_larger_than_the_file_is_refused_before_it_is_made(saved, tmp_path):
    _, metadata, theta, _ = saved
    text = metadata["config"].replace('"units": 5', '"units": 900000000')
    with pytest.raises(DataError, match="the network has more parameters than the file holds"):
        fl.load_model(rewritten(tmp_path / "model.safetensors", metadata, theta, text))


def test_a_file_of_a_newer_version_says_so(saved, tmp_path):
    _, metadata, theta, _ = saved
    save_arrays(tmp_path / "model.safetensors", {"theta": theta}, {**metadata, "fallline": "model 9", "version": "7.1"})
    with pytest.raises(
        DataError, match=r"newer version of Fallline, 7\.1, in the form 'model 9'.*\n  try: pip install"
    ):
        fl.load_model(tmp_path / "model.safetensors")
    text = metadata["config"].replace('"GELU"', '"NewerThanThis"')
    rewritten(tmp_path / "model.safetensors", {**metadata, "version": "7.1"}, theta, text)
    with pytest.raises(DataError, match=r"unknown type 'NewerThanThis'[^\0]*written by Fallline 7\.1, read by"):
        fl.load_model(tmp_path / "model.safetensors")


def test_a_file_holds_the_parameters_and_nothing_of_the_training(saved, tmp_path):
    path, _, theta, _ = saved
    with safe_open(path, "numpy") as file:
        assert [*file.keys()] == ["theta"]
    assert path.stat().st_size < theta.nbytes + 6000
    x = np.random.default_rng(0).normal(size=(40, 3))
    settings = {"loss": "squared_error", "epochs": 3, "validation": 0.2, "early_stopping": 2, "out": tmp_path / "run"}
    model = fl.fit(nn.mlp((64, 64), 1), (x, x[:, 0]), **settings).model
    assert (tmp_path / "run" / "model.safetensors").stat().st_size < model.theta.nbytes + 6000
