"""Encoders and decoders: exact in float64, the same for any block of rows, back from JSON to the last bit, checked."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fallline as fl
from fallline.config import from_config, to_config
from fallline.errors import DataError, FalllineError, ShapeError
from fallline.nn import Columns, Labels, Model, Quantity, Standardised, column, encoder, mlp, standardise
from fallline.nn.intake import Problems

MATRICES = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.floats(-1e300, 1e300)
)


@given(MATRICES)
def test_any_finite_table_stays_finite(x: np.ndarray) -> None:
    out = standardise(x).encode(x)
    assert np.isfinite(out).all()
    assert np.abs(out).max() <= np.sqrt(len(x)) * 1.001


@given(st.floats(-1e300, 1e300), st.integers(1, 9))
def test_a_constant_column_becomes_zero(value: float, n: int) -> None:
    x = np.full((n, 1), value)
    assert np.allclose(standardise(x).encode(x), 0, atol=abs(value) * 1e-14)


@given(MATRICES)
def test_an_encoder_survives_json_and_copies_to_the_last_bit(x: np.ndarray) -> None:
    made = standardise(x)
    assert from_config(json.loads(json.dumps(to_config(made), allow_nan=False)), Columns) == made
    assert copy.deepcopy(made) == pickle.loads(pickle.dumps(made)) == made


@given(hnp.arrays(np.float64, st.integers(2, 9), elements=st.floats(-1e6, 1e6)), st.floats(-9, 9), st.floats(1e-3, 1e3))
def test_quantities_come_back_from_their_standardised_form(y: np.ndarray, mean: float, scale: float) -> None:
    made = Quantity("y", mean, scale)
    assert np.allclose(made.decode(made.encode(y)), y, atol=1e-9 * (1 + np.abs(y).max()))


def test_rows_are_encoded_the_same_in_blocks_and_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(5, 3, (50, 3))
    made = standardise(x)
    plain = (x - [one.mean for one in made.columns]) / [one.scale for one in made.columns]
    assert np.array_equal(made.encode(x), plain)
    monkeypatch.setattr(encoder, "_BLOCK", 6)
    assert np.array_equal(made.encode(x), plain)
    assert np.array_equal(made.encode(x, np.float32), plain.astype(np.float32))


def test_kinds_of_columns_stand_side_by_side_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import dataclass

    monkeypatch.setattr(column, "KINDS", dict(column.KINDS))
    monkeypatch.setattr(encoder, "KINDS", column.KINDS)

    @column.column
    @dataclass(frozen=True)
    class PairOf:
        name: str
        width = 2
        takes_missing = False

        @staticmethod
        def together(columns: Any) -> Any:
            return lambda x: np.repeat(x, 2, axis=1) * [1, -1] * len(columns)

    made = Columns((Standardised("a", 1.0, 2.0), PairOf("b"), Standardised("c", 0.0, 1.0)))
    assert made.width == 4
    assert made.encode(np.array([[3.0, 5.0, 7.0]])).tolist() == [[1.0, 5.0, -5.0, 7.0]]


WRONG: list[Any] = [
    lambda: Columns(()),
    lambda: Columns(("a",)),
    lambda: Columns((Standardised("a", 0.0, 1.0),) * 2),
    lambda: Standardised("a", 0.0, 0.0),
    lambda: Standardised("a", np.nan, 1.0),
    lambda: Standardised("a", 0.0, np.inf),
    lambda: Standardised(3, 0.0, 1.0),
    lambda: Labels("y", ("a",)),
    lambda: Labels("y", ("a", "a")),
    lambda: Labels("y", ("a", 1)),
    lambda: Labels("y", (0.5, 1.5)),
    lambda: Labels("y", (True, False)),
    lambda: Labels("y", (0, 2**63)),
    lambda: Labels("y", 3),
    lambda: Quantity("y", 0.0, 0.0),
    lambda: Quantity("y", "1", 1.0),
    lambda: standardise(np.zeros((0, 2))),
    lambda: standardise([["a"]]),
    lambda: standardise(np.zeros(3)),
    lambda: standardise([[np.nan]]),
    lambda: standardise(np.zeros((2, 2)), ["a"]),
]


@pytest.mark.parametrize("make", WRONG)
def test_what_does_not_hold_together_is_refused(make: Any) -> None:
    with pytest.raises(FalllineError):
        make()


def test_a_model_takes_raw_rows_and_gives_labels_wherever_it_is_asked(tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(1000, [1.0, 50.0, 0.01], (60, 3))
    kinds = np.array(["no", "yes"])[(x[:, 0] > 1000).astype(int)]
    made = standardise(x, ("a", "b", "c"))
    settings: dict[str, Any] = {"loss": "cross_entropy", "epochs": 5, "seed": 3}
    around: dict[str, Any] = {"encoder": made, "decoder": Labels("kind", ("yes", "no"))}
    run = fl.fit(mlp((8,), 2), (x, kinds), validation=(x[:9], kinds[:9]), out=tmp_path, **settings, **around)
    by_hand = fl.fit(mlp((8,), 2), (made.encode(x), (kinds == "no").astype(int)), **settings)
    assert run.model.theta.tobytes() == by_hand.model.theta.tobytes()
    p = by_hand.model.predict_proba(made.encode(x))
    for model in (
        run.model,
        fl.load_model(tmp_path),
        fl.load_run(tmp_path).model,
        pickle.loads(pickle.dumps(run.model)),
    ):
        assert np.array_equal(model.predict_proba(x), p)
        assert model.predict(x).tolist() == np.array(["yes", "no"])[p.argmax(axis=1)].tolist()
        assert model.predict(x[:0]).shape == (0,)
    more = fl.fit(run.model, (x, kinds), epochs=5, seed=4)  # goes on with the encoder it has
    assert more.model.encoder == made and more.model.predict(x[:1])[0] in ("yes", "no")
    shown = fl.explain(run.model, x[0], kinds[0], weight="0.weight[0,0]")
    assert np.array_equal(shown.x[0], made.encode(x[:1])[0])
    assert str(fl.plan(run.model)) == str(fl.plan(by_hand.model))


def test_a_quantity_is_given_and_predicted_in_its_unit() -> None:
    x = np.linspace(0, 1, 40).reshape(-1, 1)
    y = 3e5 + 1e5 * x[:, 0]
    around: dict[str, Any] = {"encoder": standardise(x), "decoder": Quantity("price", float(y.mean()), float(y.std()))}
    run = fl.fit(mlp((), 1), (x, y), loss="squared_error", optimizer=fl.optim.Adam(0.05), epochs=100, **around)
    assert np.allclose(run.model.predict(x), y, rtol=1e-4)
    assert run.model.predict(x).dtype == np.float64
    ensemble = fl.fit(mlp((), 1), (x, y), loss="squared_error", optimizer=fl.optim.Adam(0.05), epochs=100, ensemble=2,
                      **around)  # fmt: skip
    assert np.allclose(ensemble.model.predict(x), y, rtol=1e-4)
    assert np.allclose(fl.nn.members(ensemble.model)[0].predict(x), y, rtol=1e-4)


MODEL = Model.init(mlp((4,), 3), 2, loss="cross_entropy")


@pytest.mark.parametrize(
    ("encoder_", "decoder", "told"),
    [
        (standardise(np.eye(3)), None, "gives 3 numbers"),
        (3, None, "nn.Columns"),
        (None, "labels", "nn.Labels or nn.Quantity"),
        (None, Quantity("y"), "needs nn.Labels"),
        (None, Labels("y", ("a", "b")), "tells 3 apart"),
    ],
)
def test_what_does_not_fit_the_network_is_refused(encoder_: Any, decoder: Any, told: str) -> None:
    with pytest.raises(FalllineError, match=told):
        MODEL.between(encoder_, decoder)


def test_rows_of_another_form_are_reported_as_raw_rows() -> None:
    model = MODEL.between(Columns((Standardised("a", 5e38, 1e38), Standardised("b", 0.0, 1.0))), None)
    assert model.outputs([[5e38, 1.0]]).shape == (1, 3)  # only what the network reads has to fit its precision
    with pytest.raises(ShapeError, match=r"\(N, 2\)"):
        model.predict(np.zeros((1, 3)))
    with pytest.raises(DataError, match="row 1, column 0"):
        model.predict([[0.0, 1.0], [np.nan, 1.0]])
    with pytest.raises(DataError, match="encoder takes"):
        fl.fit(model, (np.zeros((4, 3)), [0, 1, 2, 0]))


class Frame:
    """A table that names its columns, as data frames do."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self.parts = columns
        self.columns = list(columns)

    def __getitem__(self, names: list[str]) -> Frame:
        return Frame({name: self.parts[name] for name in names})

    def __len__(self) -> int:
        return len(self.parts[self.columns[0]])

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.column_stack([*self.parts.values()]).astype(np.float64)


def test_columns_of_a_data_frame_go_by_name() -> None:
    x = np.random.default_rng(0).normal([1000, -5], [10, 2], (40, 2))
    y = (x[:, 0] + 5 * x[:, 1] > 975).astype(int)
    frame = Frame({"height": x[:, 0], "depth": x[:, 1]})
    turned = Frame({"depth": x[:, 1], "note": np.zeros(40), "height": x[:, 0]})
    made = standardise(frame)
    assert made.names == ("height", "depth")
    run = fl.fit(mlp((8,), 2), (turned, y), loss="cross_entropy", epochs=20, encoder=made)
    assert (
        run.model.theta.tobytes()
        == fl.fit(mlp((8,), 2), (x, y), loss="cross_entropy", epochs=20, encoder=made).model.theta.tobytes()
    )
    assert np.array_equal(run.model.predict_proba(turned), run.model.predict_proba(x))
    lacking = Frame({"hight": x[:, 0], "depth": x[:, 1]})
    for ask in (run.model.predict, lambda rows: fl.fit(run.model, (rows, y), epochs=1)):
        with pytest.raises(DataError, match="x has no column 'height'; did you mean 'hight'"):
            ask(lacking)
    assert np.array_equal(standardise(x).numbers(turned, "x", Problems()), turned)  # no names to go by
