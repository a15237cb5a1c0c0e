"""Prediction: the machine and NumPy agree, a row's result depends on no other row, and copies start afresh."""

import copy
import pickle
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallline import compile as compiled
from fallline import nn
from fallline.errors import ArgumentError, DataError
from fallline.nn import model as model_module
from fallline.nn import prediction
from fallline.nn.model import Model
from fallline.nn.prediction import Predictor
from fallline.ops.gather_scatter import gather
from fallline.source import Form

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def machine_is_loaded() -> None:
    compiled(lambda x: x + 1)(np.ones(3))


def small(loss: Any = "cross_entropy", outputs: int = 3, bend: Any = "tanh", **rest: Any) -> Model:
    model = Model.init(nn.mlp((5,), outputs, bend), 3, loss=loss, **rest)
    labels = {"classification": list("abc")[:outputs], "binary": ["no", "yes"]}.get(model.task, [1.0, 2.0])
    return model.for_targets(model.prepare(labels))


def predictor(model: Model, name: str) -> prediction.Predictor:
    meaning = {"outputs": "as_they_are", "predict": "decided", "predict_proba": "probabilities"}[name]
    return model._predictor(getattr(model_module, meaning))


def both(model: Model, name: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The machine's answer, which it has to have, and NumPy's."""
    found = predictor(model, name)
    assert found.machine is not None
    return found.machine((x,), found.check), found.plain((x,))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bend", sorted(nn.ACTIVATIONS))
def test_the_machine_and_numpy_agree_on_every_activation(bend: str, dtype: str) -> None:
    layers = [nn.Dense(5), nn.ACTIVATIONS[bend](), *([] if bend == "softmax" else [nn.Dense(2)])]
    model = Model.init(nn.Sequential(*layers), 3, seed=1, dtype=dtype)
    fast, plain = both(model, "outputs", X[:70].astype(dtype))
    tolerance = 3e-6 if dtype == "float32" else 1e-13
    assert fast.dtype == plain.dtype == dtype
    np.testing.assert_allclose(fast, plain, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("loss", "name"), [
    (loss, name) for loss, record in sorted(nn.LOSSES.items()) for name in ("outputs", "predict", "predict_proba")
    if name != "predict_proba" or (record.task in ("binary", "classification") and record.link is not None)
])  # fmt: skip
def test_the_machine_and_numpy_agree_on_what_outputs_mean(loss: str, name: str) -> None:
    model = small(loss, 3 if nn.LOSSES[loss].task == "classification" else 1, dtype="float64")
    fast, plain = both(model, name, X.astype(float))
    np.testing.assert_allclose(fast, plain, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(getattr(model, name)(X.astype(float)), model.classes[fast] if name == "predict"
                                  and model.classes is not None else fast)  # fmt: skip


def test_layers_of_other_shapes_agree() -> None:
    network = nn.Sequential(lambda x: x[:, ::-1], nn.Flatten(), nn.Dense(4, bias=False), lambda x: x[:, 1:3] * 2)
    model = Model.init(network, (2, 3), loss=lambda output, y: np.mean((output - y) ** 2), dtype="float64")
    x = RNG.normal(size=(77, 2, 3))
    fast, plain = both(model, "outputs", x)
    assert fast.shape == (77, 2)
    np.testing.assert_allclose(fast, plain, rtol=1e-13)
    np.testing.assert_allclose(fast, model.apply(model.theta, x), rtol=1e-13)


MODELS = [small(), small("squared_error", 1, "gelu"), small("binary_cross_entropy", 1, dtype="float64"),
          Model.init(nn.Sequential(nn.Dense(70), nn.ReLU(), nn.Dense(33), nn.Softmax()), 3)]  # fmt: skip
WHOLE = [{name: predictor(model, name) for name in ("outputs", "predict")} for model in MODELS]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_row_has_the_same_bits_whatever_the_other_rows_are(data: Any) -> None:
    which = data.draw(st.integers(0, len(MODELS) - 1))
    model, x = MODELS[which], X.astype(MODELS[which].dtype)
    start = data.draw(st.integers(0, len(x) - 1))
    stop = data.draw(st.integers(start + 1, len(x)))
    given_as = data.draw(st.sampled_from([
        lambda x: x, lambda x: x.astype(np.float64), np.asfortranarray, lambda x: np.repeat(x, 2, axis=0)[::2],
        lambda x: x.tolist()]))  # fmt: skip
    for name in ("outputs", "predict"):
        part, whole = getattr(model, name)(given_as(x[start:stop])), getattr(model, name)(x)
        np.testing.assert_array_equal(part, whole[start:stop])
        assert part.dtype == whole.dtype and part.flags.owndata == whole.flags.owndata


@pytest.mark.parametrize("threads", [1, 2, 3, None])
def test_threads_do_not_change_a_bit(threads: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small()
    x = np.tile(X, (40, 1))[:11_999]
    expected = model.outputs(x, threads=1)
    monkeypatch.setattr(
        "fallline.program.row_blocks.TURN", 1.0
    )  # one block a turn, so that there is something to share
    monkeypatch.setattr(prediction, "BLOCK", 512)
    again = model.with_theta(model.theta)
    assert predictor(again, "outputs").block < 200
    for form in (x, np.asfortranarray(x)):
        np.testing.assert_array_equal(again.outputs(form, threads=threads), expected)


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, 10**6])
def test_senseless_threads_are_refused(threads: Any) -> None:
    with pytest.raises(ArgumentError, match="threads is a whole number"):
        small().predict(X[:1], threads=threads)


def test_many_threads_may_predict_with_one_model() -> None:
    model = small()
    expected = {n: model.predict_proba(X[:n]) for n in (1, 7, 64, 300)}
    with ThreadPoolExecutor(8) as pool:
        for n, found in pool.map(lambda n: (n, model.predict_proba(X[:n])), [1, 7, 64, 300] * 50):
            np.testing.assert_array_equal(found, expected[n])


def test_results_are_nobody_elses() -> None:
    model = small()
    first = model.outputs(X[:9])
    kept = first.copy()
    model.outputs(X[100:109])[...] = 7
    np.testing.assert_array_equal(first, kept)
    identity = Model.init([nn.Dense(3), "identity"], 3)
    y = identity.outputs(X)
    assert not np.shares_memory(y, X) and not np.shares_memory(y, identity.theta)


def test_what_is_written_into_theta_is_seen_and_another_theta_is_another_model() -> None:
    model = Model.init(nn.mlp((5,), 2, "tanh"), 3)
    before = model.outputs(X)
    other = model.with_theta(model.theta * 2)
    np.testing.assert_allclose(other.outputs(X), other.apply(other.theta, X), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model.outputs(X), before)
    model.params[2]["bias"][...] = [10, 20]
    np.testing.assert_allclose(model.outputs(X) - before, np.tile([10.0, 20.0], (300, 1)), atol=1e-5)
    strided = model.with_theta(np.repeat(model.theta, 2)[::2])
    np.testing.assert_allclose(strided.outputs(X), model.outputs(X), rtol=1e-5)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_takes_no_programs_along(copied: Any) -> None:
    model = small()
    fresh = len(pickle.dumps(small()))
    expected = model.predict_proba(X)
    assert len(pickle.dumps(model)) == fresh
    again = copied(model)
    assert set(vars(again)) == {field.name for field in fields(again)}
    np.testing.assert_array_equal(again.predict_proba(X), expected)
    assert again.predict(X).tolist() == model.predict(X).tolist()


def test_a_deep_copys_theta_is_its_own() -> None:
    model = small()
    before = model.outputs(X)
    again = copy.deepcopy(model)
    assert again.outputs(X).tolist() == before.tolist()
    again.theta[...] = 0
    assert not again.outputs(X).any()
    np.testing.assert_array_equal(model.outputs(X), before)


@pytest.mark.parametrize("n", [1, 2, 65, 5000])
@pytest.mark.parametrize(("bad", "says"), [
    (np.nan, "x holds NaN or infinity: 1 of {size} numbers, the first nan in row {row}, column 1"),
    (-np.inf, "x holds NaN or infinity: 1 of {size} numbers, the first -inf in row {row}, column 1"),
    (1e300, r"x holds numbers too large for float32: 1 of {size}, the first 1e\+300 in row {row}, column 1"),
])  # fmt: skip
def test_what_is_not_finite_is_reported_wherever_it_is(n: int, bad: float, says: str) -> None:
    model, row = small(), n // 2
    x = np.tile(X, (17, 1))[:n].astype(np.float64)
    x[row, 1] = bad
    for form in (x, np.asfortranarray(x), *([] if bad == 1e300 else [x.astype(np.float32)])):
        for threads in (1, 2):
            with pytest.raises(DataError, match=says.format(size=3 * n, row=row)):
                model.predict(form, threads=threads)
    x[row, 1] = 0
    assert model.predict(x).shape == (n,)


def test_infinities_that_cancel_are_found() -> None:
    with pytest.raises(DataError, match="2 of 6 numbers"):
        small().predict(np.array([[1, np.inf, 2], [3, -np.inf, 4]], np.float32))


def test_huge_numbers_whose_sum_overflows_are_numbers() -> None:
    model = small(bend="relu")
    x = np.full((200, 3), 3e36, np.float32)
    x[:100] = X[:100]
    fast = model.predict(x)
    np.testing.assert_array_equal(fast[:100], model.predict(X[:100]))
    np.testing.assert_array_equal(fast[100:], fast[100])


def test_what_the_machine_cannot_run_is_computed_in_numpy() -> None:
    class Halved:
        """Traces for few rows only."""

        def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
            return {"scale": np.full(shape, 0.5, dtype)}, shape

        def apply(self, params: Any, x: Any) -> Any:
            if x.shape[0] > 7:
                return np.array([[float(v) for v in row] for row in x], x.dtype) * params["scale"]
            return x * params["scale"]

    model = Model.init([Halved(), nn.Dense(2)], 3, dtype="float64")
    x = X.astype(float)
    np.testing.assert_allclose(model.outputs(x), model.apply(model.theta, x), rtol=1e-13)
    np.testing.assert_allclose(model.outputs(x[:2]), model.apply(model.theta, x[:2]), rtol=1e-13)
    assert predictor(model, "outputs").machine is None
    with pytest.raises(DataError, match="row 4, column 2"):
        x[4, 2] = np.nan
        model.outputs(x)


def test_a_users_own_error_is_raised_as_it_is() -> None:
    def picked(x: Any) -> Any:
        return gather(np.arange(4.0), x[:, :1].astype(np.int64), axis=0)

    model = Model.init([picked, nn.Dense(1)], 3, dtype="float64")
    np.testing.assert_allclose(model.outputs(np.ones((9, 3))), model.outputs(np.ones((1, 3)))[[0] * 9], rtol=1e-12)
    with pytest.raises(IndexError):
        model.outputs(np.full((9, 3), 50.0))


def test_mapped_rows_are_read_where_they_lie_and_memory_is_bounded(tmp_path: Path) -> None:
    model = small("squared_error", 1)
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (400_000, 3))  # 4.8 MB
    x[:] = np.tile(X, (1334, 1))[: len(x)]
    model.predict(x[:5000])  # programs, made once
    plain = predictor(model, "predict")
    for form in (x, np.load(tmp_path / "x.npy", mmap_mode="r"), x[::2], x[:, ::-1]):
        tracemalloc.start()
        y = model.predict(form)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < y.nbytes + 1.5e6
        np.testing.assert_allclose(y[-500:], plain.plain((np.asarray(form[-500:]),)), rtol=1e-5, atol=1e-6)


COLD = """
import sys
import numpy as np
from fallline import nn
from fallline.nn import prediction
prediction.LARGE = 12 << 16  # 5 + 5 + 2 numbers leave the layers for each row
model = nn.Model.init(nn.mlp((5,), 2), 3)
x = np.ones((65535, 3), np.float32)
few = model.outputs(x)
assert "llvmlite" not in sys.modules
model.outputs(np.ones((65536, 3), np.float32))
assert "llvmlite" in sys.modules
np.testing.assert_allclose(model.outputs(x), few, rtol=1e-5)
"""


def test_a_cold_process_answers_in_numpy_until_the_work_is_large() -> None:
    done = subprocess.run([sys.executable, "-c", COLD], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_one_row_alone_is_computed_from_its_graph_and_follows_theta() -> None:
    model = nn.Model.init(nn.mlp((8, 8), 3, "gelu"), 4, loss="cross_entropy")
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    alone = Predictor(lambda theta, x: model.apply(theta, x), model.theta, {"x": Form((4,), model.dtype)}, [4, 8])
    for _ in range(2):
        for row in x[:, np.newaxis]:
            np.testing.assert_allclose(alone.alone([row]), alone.plain([row]), rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(alone.alone([row.astype(np.float64)]), alone.plain([row]), rtol=1e-6, atol=1e-6)
        assert alone.one.steps is not None
        model.theta[:] *= 0.5  # the views that were kept show it


def test_one_row_of_a_function_that_cannot_be_traced_is_computed_as_it_is() -> None:
    theta = np.ones(2, np.float32)

    def function(theta: Any, x: Any) -> Any:
        return x * (2.0 if float(x[0, 0]) > 0 else 1.0)

    alone = Predictor(function, theta, {"x": Form((1,), theta.dtype)}, [1])
    assert alone.alone([np.array([[3.0]], np.float32)])[0, 0] == 6.0
    assert alone.one.steps is None
