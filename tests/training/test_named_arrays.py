"""Data of several arrays: whole numbers as they are, several inputs, weights of rows, in everything that takes data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline as fl
from fallline import nn
from fallline.config import saved
from fallline.errors import FalllineError
from fallline.feeds import order

RNG = np.random.default_rng(5)
N = 60
AGE, REST = RNG.normal(size=(N, 1)), RNG.normal(size=(N, 3))
CODES = RNG.integers(0, 5, N)
Y = 2 * AGE[:, 0] + REST.sum(axis=1) + CODES
LABELS = np.array(["low", "high"])[(Y > 2).astype(int)]


@saved
@dataclass(frozen=True)
class Both:
    """One product for each of two inputs, summed: the Dense layer of the two side by side."""

    units: int

    def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
        sizes = shape["age"][0], shape["rest"][0]
        whole = nn.Dense(self.units).init(rng, (sum(sizes),), dtype)[0]
        first, second = np.split(whole["weight"], [sizes[0]])
        return {"age": first, "bias": whole["bias"], "rest": second}, (self.units,)

    def apply(self, params: Any, x: Any) -> Any:
        return (
            np.concatenate([x["age"], x["rest"]], axis=1) @ np.concatenate([params["age"], params["rest"]])
            + (params["bias"])
        )


@saved
@dataclass(frozen=True)
class CodeTable:
    """A row of a table for each code."""

    codes: int
    units: int

    def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
        return {"table": rng.normal(size=(self.codes, self.units)).astype(dtype)}, (*shape, self.units)

    def apply(self, params: Any, x: Any) -> Any:
        return params["table"][x]


BOTH = nn.Sequential(Both(6), nn.Tanh(), nn.Dense(1))
TWO = {"age": AGE, "rest": REST}
SIDE_BY_SIDE = np.concatenate([AGE, REST], axis=1)


def fit(network: Any, data: Any, **given: Any) -> fl.Run:
    return fl.fit(network, data, **{"loss": "squared_error", "epochs": 5, "batch_size": 16, **given})


# Several inputs.


def theta_of(model: nn.Model) -> np.ndarray:
    """The parameters as those of the network of one input."""
    age, bias, rest = (model.params[0][name] for name in ("age", "bias", "rest"))
    dense = model.params[2]
    return np.concatenate([bias, np.concatenate([age, rest]).ravel(), dense["bias"], dense["weight"].ravel()])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("validation", [None, 0.25, "rows"])
def test_several_inputs_are_their_columns_side_by_side(dtype: str, validation: Any) -> None:
    rows = validation == "rows"
    several = fit(BOTH, (TWO, Y), dtype=dtype, validation=(TWO, Y) if rows else validation)
    one = fit(
        nn.mlp((6,), 1, "tanh"), (SIDE_BY_SIDE, Y), dtype=dtype, validation=(SIDE_BY_SIDE, Y) if rows else validation
    )
    assert theta_of(several.model).tobytes() == one.model.theta.tobytes()
    for name in several.history.keys() - {"seconds", "steps_per_second"}:
        np.testing.assert_array_equal(several.history[name], one.history[name])
    np.testing.assert_array_equal(several.model.predict(TWO), one.model.predict(SIDE_BY_SIDE))
    assert several.model.evaluate((TWO, Y)) == pytest.approx(one.model.evaluate((SIDE_BY_SIDE, Y)), rel=1e-6)


def test_inputs_may_be_a_tuple_and_a_layer_a_function() -> None:
    network = nn.Sequential(lambda x: np.concatenate(x, axis=1), nn.Dense(6), nn.Tanh(), nn.Dense(1))
    several, one = fit(network, ((AGE, REST), Y)), fit(nn.mlp((6,), 1, "tanh"), (SIDE_BY_SIDE, Y))
    assert several.model.theta.tobytes() == one.model.theta.tobytes()
    np.testing.assert_array_equal(several.model.predict((AGE, REST)), one.model.predict(SIDE_BY_SIDE))
    assert several.model.input_shape == ((1,), (3,))


def test_one_row_of_several_inputs_and_none_and_many() -> None:
    model = fit(BOTH, (TWO, Y)).model
    whole = model.outputs(TWO)
    for n in (0, 1, 2, 59):
        part = {name: x[:n] for name, x in TWO.items()}
        np.testing.assert_array_equal(model.outputs(part), whole[:n])
        np.testing.assert_array_equal(model.outputs({name: x.tolist() for name, x in part.items()}) if n else 0,
                                      whole[:n] if n else 0)  # fmt: skip
    many = {name: np.asfortranarray(np.tile(x, (300, 1))) for name, x in TWO.items()}
    np.testing.assert_array_equal(model.outputs(many, threads=2)[-N:], whole)


def test_several_inputs_in_files_resumed_and_loaded(tmp_path: Path) -> None:
    whole = fit(BOTH, (TWO, Y), epochs=6)
    fit(BOTH, (TWO, Y), epochs=3, out=tmp_path / "run")
    resumed = fit(BOTH, (TWO, Y), epochs=6, out=tmp_path / "run", resume=True)
    assert resumed.model.theta.tobytes() == whole.model.theta.tobytes()
    loaded = fl.load_model(tmp_path / "run")
    assert loaded.input_shape == {"age": (1,), "rest": (3,)}
    np.testing.assert_array_equal(loaded.predict(TWO), whole.model.predict(TWO))
    other = {"age": AGE, "rest": REST + 1}
    with pytest.raises(FalllineError, match=r"x\.rest"):
        fit(BOTH, (other, Y), epochs=9, out=tmp_path / "run", resume=True)
    assert "input.age" in loaded.summary() and "(N, 3)" in loaded.summary()


def test_several_inputs_in_races_folds_ensembles_and_plans() -> None:
    alone = fit(BOTH, (TWO, Y), seed=1, validation=0.25)
    race = fl.race(BOTH, (TWO, Y), [{"seed": 1}, {"seed": 2}], loss="squared_error", epochs=5, batch_size=16,
                   validation=0.25)  # fmt: skip
    assert race.runs["seed 1"].model.theta.tobytes() == alone.model.theta.tobytes()
    folds = fl.race(
        BOTH,
        (TWO, Y),
        [{"validation": fold} for fold in fl.folds({"x": TWO, "y": Y}, 3)],
        loss="squared_error",
        epochs=2,
    )
    assert len(folds.runs) == 3
    ensemble = fit(BOTH, (TWO, Y), ensemble=2)
    members = nn.members(ensemble.model)
    expected = np.mean([member.predict(TWO) for member in members], axis=0)
    np.testing.assert_allclose(ensemble.model.predict(TWO), expected, rtol=1e-5)
    plan = fl.plan(BOTH, (TWO, Y), loss="squared_error", batch_size=16)
    assert plan.parameters == 37 and plan.rows == N
    assert fl.plan(ensemble.model, batch_size=16).rows == 16
    shapes = {"age": (N, 1), "rest": (N, 3)}
    assert fl.plan(BOTH, shapes, loss="squared_error", batch_size=16).total <= plan.total
    assert "step" in str(alone.profile(seconds=0.02))


@pytest.mark.parametrize(("x", "says"), [
    (SIDE_BY_SIDE, "several inputs, a dict of arrays with the names 'age', 'rest'"),
    ({"age": AGE}, "no 'rest'"), ({"age": AGE, "rest": REST[:, :2]}, r"x\.rest has shape \(60, 2\)"),
    ({"age": AGE[:5], "rest": REST}, "lengths differ"), ({"age": AGE, "rest": REST * np.nan}, r"x\.rest holds NaN"),
])  # fmt: skip
def test_inputs_that_do_not_fit_a_model_are_reported_by_name(x: Any, says: str) -> None:
    model = fit(BOTH, (TWO, Y), epochs=1).model
    with pytest.raises(FalllineError, match=says):
        model.predict(x)
    with pytest.raises(FalllineError, match=says):
        fl.fit(model, (x, Y), epochs=1)


def test_networks_in_which_rows_of_any_input_meet_are_refused() -> None:
    network = nn.Sequential(lambda x: x["age"] - np.mean(x["rest"]), nn.Dense(1))
    with pytest.raises(FalllineError, match="mixes the rows"):
        fit(network, (TWO, Y))


def test_several_inputs_are_explained() -> None:
    run = fit(BOTH, (TWO, Y))
    for x, y in ((TWO, Y), ({name: rows[3] for name, rows in TWO.items()}, Y[3])):
        told = fl.explain(run, x, y)
        assert told.relative_difference < 1e-6
        one = fl.explain(fit(nn.mlp((6,), 1, "tanh"), (SIDE_BY_SIDE, Y)), np.concatenate([*(
            np.asarray(part) for part in x.values())], axis=-1), y)  # fmt: skip
        np.testing.assert_allclose(np.concatenate([*told.x_delta.values()], axis=1), one.x_delta, rtol=1e-6)
        assert told.loss == pytest.approx(one.loss, rel=1e-9)
        text = str(told)
        assert "x.age" in text and "delta of x.rest" in text
    codes = fit(nn.Sequential(CodeTable(5, 4), nn.Dense(1)), (CODES, Y))
    told = fl.explain(codes, CODES, Y)
    assert told.x_delta is None and told.relative_difference < 1e-6 and "delta of x" not in str(told)


def test_several_inputs_with_weights_come_in_batches_and_go_on() -> None:
    weight = RNG.uniform(size=N)

    def batches() -> Any:
        for i in range(0, N, 25):
            x = {name: rows[i : i + 25] for name, rows in TWO.items()}
            yield {"x": x, "y": Y[i : i + 25], "weight": weight[i : i + 25]}

    given: Any = {"batch_size": 16, "epochs": 2, "loss": "squared_error"}
    stream, whole = fl.fit(BOTH, batches, **given), fl.fit(BOTH, (TWO, Y, weight), shuffle=False, **given)
    assert stream.model.theta.tobytes() == whole.model.theta.tobytes()
    assert "rows of a stream" in stream.summary()
    stream, whole = (fl.fit(None, data, init=run, batch_size=16, epochs=1, shuffle=False)
                     for data, run in ((batches, stream), ((TWO, Y, weight), whole)))  # fmt: skip
    assert stream.model.theta.tobytes() == whole.model.theta.tobytes()


# Whole numbers.


def test_whole_numbers_survive_to_the_layer() -> None:
    seen = []

    def looked_at(x: Any) -> Any:
        seen.append(x.dtype)
        return (x - 2**24).astype(np.float32)

    x = 2**24 + RNG.integers(0, 2, (N, 3))
    run = fit(
        nn.Sequential(looked_at, nn.Dense(1)), (x, (x % 2).sum(axis=1)), epochs=300, optimizer=fl.optim.Adam(0.05)
    )
    assert seen[-1] == np.int64 and run.history["loss"][-1] < 1e-3  # as float32, 2^24 + 1 is 2^24
    np.testing.assert_allclose(run.model.predict(x), (x % 2).sum(axis=1), atol=0.1)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "int64", "uint16", "bool"])
def test_a_dense_layer_on_whole_numbers_is_that_on_floats(dtype: str) -> None:
    x = RNG.integers(0, 2 if dtype == "bool" else 100, (N, 4)).astype(dtype)
    whole, floats = (fit(nn.mlp((5,), 1), (given, Y), validation=0.2) for given in (x, x.astype(np.float32)))
    assert whole.job is not None and whole.job.train.data["x"].dtype == dtype
    assert whole.model.theta.tobytes() == floats.model.theta.tobytes()
    assert whole.history["validation_loss"].tobytes() == floats.history["validation_loss"].tobytes()
    for rows in (x, x.astype(np.float64), x.astype(np.int64), x.tolist()):
        np.testing.assert_array_equal(whole.model.predict(rows), floats.model.predict(x.astype(np.float32)))


def test_an_embedding_with_floats_in_both_precisions(tmp_path: Path) -> None:
    def joined(x: Any) -> Any:
        return np.concatenate([fl.ops.gather(np.eye(5), x["code"], axis=0), x["rest"]], axis=1)

    rows = {"code": CODES.astype(np.uint8), "rest": REST}
    for dtype in ("float32", "float64"):
        run = fit(nn.Sequential(joined, nn.Dense(1)), (rows, Y), dtype=dtype, epochs=40, optimizer=fl.optim.Adam(0.1))
        assert run.model.outputs(rows).dtype == dtype and run.history["loss"][-1] < run.history["loss"][0] / 2
        one_hot = np.concatenate([np.eye(5)[CODES], REST], axis=1)
        plain = fit(nn.Dense(1), (one_hot, Y), dtype=dtype, epochs=40, optimizer=fl.optim.Adam(0.1))
        np.testing.assert_allclose(run.model.predict(rows), plain.model.predict(one_hot), rtol=1e-4)
    table = nn.Sequential(CodeTable(5, 4), nn.Dense(1))
    run = fit(table, (CODES, Y), out=tmp_path / "run")
    loaded = fl.load_model(tmp_path / "run")
    assert loaded.input_dtypes == {"x": "int64"}
    np.testing.assert_array_equal(loaded.predict(CODES), run.model.predict(CODES))
    np.testing.assert_array_equal(loaded.predict(CODES.tolist()), run.model.predict(CODES.astype(np.uint8)))
    with pytest.raises(FalllineError, match=r"outside|out of"):
        run.model.predict(CODES + 5)


def test_lengths_are_an_input_like_any_other() -> None:
    tokens, lengths = RNG.normal(size=(N, 7)), RNG.integers(1, 8, N)
    target = np.array([row[:n].mean() for row, n in zip(tokens, lengths)])

    def mean_of_the_first(x: Any) -> Any:
        mask = np.arange(7) < x["lengths"][:, None]
        return np.sum(x["tokens"] * mask, axis=1, keepdims=True) / x["lengths"][:, None]

    run = fit(nn.Sequential(mean_of_the_first, nn.Dense(1)), ({"tokens": tokens, "lengths": lengths}, target),
              epochs=200, optimizer=fl.optim.Adam(0.05))  # fmt: skip
    assert run.history["loss"][-1] < 1e-4
    assert run.model.dtype == run.model.outputs({"tokens": tokens, "lengths": lengths}).dtype == np.float32


def test_memory_mapped_bytes_are_read_where_they_lie(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", RNG.integers(0, 256, (N, 4)).astype(np.uint8))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    run = fit(nn.mlp((5,), 1), (x, Y))
    assert run.job is not None and np.shares_memory(run.job.train.data["x"], x)
    assert run.model.theta.tobytes() == fit(nn.mlp((5,), 1), (np.array(x, np.float32), Y)).model.theta.tobytes()


# Weights.


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(sorted(nn.LOSSES)), st.integers(0, 100), st.sampled_from(["adam", "momentum"]))
def test_whole_weights_are_repeated_rows_for_full_batches(loss: str, seed: int, optimizer: str) -> None:
    rng = np.random.default_rng(seed)
    task = nn.LOSSES[loss].task
    y = LABELS if task in ("classification", "binary") else np.abs(np.round(Y))
    times = rng.integers(0, 4, N)
    times[:2] = 1
    network = nn.mlp((4,), 2 if task == "classification" else 1, "tanh")
    given: Any = {"loss": loss, "batch_size": "full", "dtype": "float64", "optimizer": optimizer, "epochs": 4}
    validation = SIDE_BY_SIDE, y, times
    weighted = fit(network, (SIDE_BY_SIDE, y, times), validation=validation, **given)
    x2, y2 = np.repeat(SIDE_BY_SIDE, times, axis=0), np.repeat(y, times)
    repeated = fit(network, (x2, y2), validation=(x2, y2), **given)
    np.testing.assert_allclose(weighted.model.theta, repeated.model.theta, rtol=1e-6, atol=1e-9)
    for name in ("loss", "validation_loss"):
        np.testing.assert_allclose(weighted.history[name], repeated.history[name], rtol=1e-9)
    scaled = fit(network, (SIDE_BY_SIDE, y, 8.0 * times), validation=validation, **given)
    np.testing.assert_allclose(weighted.model.theta, scaled.model.theta, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_mini_batches_by_hand(dtype: str) -> None:
    """Plain descent on sum w r^2 / sum w of each batch, in NumPy."""
    weight = RNG.uniform(0.1, 2, N)
    network, rate = nn.Dense(1), 0.05
    run = fit(
        network, (REST, Y, weight), optimizer=fl.optim.GradientDescent(rate), shuffle=False, epochs=3, dtype=dtype
    )
    start = nn.Model.init(network, 3, loss="squared_error", seed=order.stream(0, "initial parameters"),
                          dtype="float64").params  # fmt: skip
    w, b, losses = start["weight"][:, 0].copy(), 0.0, []
    for _ in range(3):
        total = 0.0
        for i in range(0, N, 16):
            x, y, v = REST[i : i + 16], Y[i : i + 16], weight[i : i + 16]
            r = x @ w + b - y
            total += np.sum(v * r**2)
            w, b = w - rate * 2 * x.T @ (v * r) / v.sum(), b - rate * 2 * np.sum(v * r) / v.sum()
        losses.append(total / weight.sum())
    tolerance = 1e-4 if dtype == "float32" else 1e-10
    np.testing.assert_allclose(run.model.params["weight"][:, 0], w, rtol=tolerance)
    np.testing.assert_allclose(run.history["loss"], losses, rtol=tolerance)


def test_scikit_learn_s_network_with_weights_takes_the_same_steps() -> None:
    neural_network = pytest.importorskip("sklearn.neural_network")
    weight = RNG.uniform(0.1, 3, N)
    theirs = neural_network.MLPRegressor(
        hidden_layer_sizes=(5,),
        activation="tanh",
        solver="sgd",
        momentum=0,
        alpha=0,
        learning_rate_init=0.05,
        batch_size=15,
        shuffle=False,
        random_state=0,
    )
    theirs.partial_fit(REST[:15], Y[:15])
    (w1, w2), (b1, b2) = theirs.coefs_, theirs.intercepts_
    model = nn.Model.init(nn.mlp((5,), 1, "tanh"), 3, dtype="float64")
    start = model.with_params(({"weight": w1.copy(), "bias": b1.copy()}, {}, {"weight": w2.copy(), "bias": b2.copy()}))
    # Their loss is half the squared error.
    given: Any = {"batch_size": 15, "shuffle": False, "optimizer": fl.optim.GradientDescent(0.025)}
    run = fl.fit(start, (REST, Y, weight), epochs=1, **given)
    theirs.partial_fit(REST, Y, sample_weight=weight)
    np.testing.assert_allclose(run.model.predict(REST), theirs.predict(REST), rtol=1e-12)
    for _ in range(3):
        run = fl.fit(None, (REST, Y, weight), epochs=1, init=run, **{**given, "optimizer": None})
        theirs.partial_fit(REST, Y, sample_weight=weight)
    np.testing.assert_allclose(run.model.predict(REST), theirs.predict(REST), rtol=1e-12)


def test_weights_of_one_change_nothing_but_the_last_bits() -> None:
    plain, ones = fit(nn.Dense(1), (REST, Y)), fit(nn.Dense(1), (REST, Y, np.ones(N)))
    np.testing.assert_allclose(plain.model.theta, ones.model.theta, rtol=1e-5)
    np.testing.assert_allclose(plain.history["loss"], ones.history["loss"], rtol=1e-6)


def test_a_batch_without_weight_moves_nothing() -> None:
    weight = np.ones(N)
    weight[:32] = 0
    given: Any = {"optimizer": fl.optim.GradientDescent(0.05), "shuffle": False, "epochs": 1}
    run = fit(nn.Dense(1), (REST, Y, weight), **given)
    rest = fit(nn.Dense(1), (REST[32:], Y[32:]), **given)
    np.testing.assert_allclose(run.model.theta, rest.model.theta, rtol=1e-6)


def test_weights_in_folds_races_checkpoints_and_on_any_lanes(tmp_path: Path) -> None:
    data = {"x": TWO, "y": LABELS, "weight": np.where(LABELS == "low", 1.0, 3.0)}
    given: Any = {"loss": "cross_entropy", "epochs": 6, "batch_size": 16, "validation": 0.3}
    network = nn.Sequential(Both(6), nn.Tanh(), nn.Dense(2))
    whole = fl.fit(network, data, **given)
    fl.fit(network, data, **{**given, "epochs": 2}, out=tmp_path / "run")
    resumed = fl.fit(network, data, **given, out=tmp_path / "run", resume=True)
    race = fl.race(network, data, [{"learning_rate": 1e-3}, {"learning_rate": 1e-2}], **given)
    for run in (resumed, fl.fit(network, data, threads=2, **given), race.runs["learning_rate 0.001"]):
        assert run.model.theta.tobytes() == whole.model.theta.tobytes()
        assert run.history["validation_loss"].tobytes() == whole.history["validation_loss"].tobytes()
    with pytest.raises(FalllineError, match=r"data\.weight"):
        fl.fit(network, {**data, "weight": np.ones(N)}, **given, out=tmp_path / "run", resume=True)
    held = whole.job.validation if whole.job else None
    assert held is not None
    parts = {name: x[held.index] for name, x in TWO.items()}, LABELS[held.index], data["weight"][held.index]
    found = whole.model.evaluate(parts)["loss"]
    assert found == pytest.approx(whole.history["validation_loss"][-1], rel=1e-5)


@pytest.mark.parametrize(("weight", "says"), [
    (np.ones(N - 1), r"one number for each of 60 rows, \(N,\), got shape \(59,\)"),
    (-np.ones(N), "holds -1 in row 0; weights are >= 0"), (np.full(N, np.nan), "weight holds NaN"),
    (np.zeros(N), "the weights of all 60 training rows are 0"), (np.full(N, "a"), "weight holds 'a'"),
    (np.ones((N, 1)), r"weight.reshape\(-1\)"),
])  # fmt: skip
def test_bad_weights_are_reported(weight: Any, says: str) -> None:
    with pytest.raises(FalllineError, match=says):
        fit(nn.Dense(1), (REST, Y, weight))


def test_a_loss_of_ones_own_takes_weights_where_it_reports_the_loss_of_each_row() -> None:
    weight = RNG.uniform(size=N)
    by_row = fit(nn.Dense(1), (REST, Y, weight), loss=lambda output, y: np.mean((output - y) ** 2, axis=1))
    named = fit(nn.Dense(1), (REST, Y, weight))
    np.testing.assert_allclose(by_row.model.theta, named.model.theta, rtol=1e-6)
    with pytest.raises(FalllineError, match="weights need one for each row"):
        fit(nn.Dense(1), (REST, Y, weight), loss=lambda output, y: np.mean((output - y) ** 2))
