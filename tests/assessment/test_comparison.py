"""A model beside simple ones: their values are scikit-learn's own, missing values, levels and absent classes are taken,
and the verdict follows the numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score, root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import fallline as fl
from fallline import nn
from fallline.assessment import baselines, comparison
from fallline.assessment.comparison import NETWORK, Candidate, Comparison
from fallline.assessment.uncertainty import Estimate
from fallline.errors import ArgumentError, ArgumentTypeError, ShapeError
from fallline.table import as_table


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """scikit-learn's threads wait for one another by spinning: beside other tests they take a hundred times as long."""
    with threadpool_limits(limits=1):
        yield


RNG = np.random.default_rng(0)
X = RNG.normal(size=(160, 3))
NAMES = np.array(["no", "yes"])[(X[:, 0] + 0.5 * RNG.normal(size=160) > 0).astype(int)]
Y = 300 + 40 * X[:, 0] + 10 * RNG.normal(size=160)
TRAIN, TEST = slice(0, 100), slice(100, 160)
QUICK: Any = {"epochs": 3, "batch_size": 20}


def by_name(found: Comparison) -> dict[str, Candidate]:
    return {one.name: one for one in found.candidates}


def test_the_values_are_scikit_learns_for_classes() -> None:
    model = fl.fit(nn.mlp((4,), 2), (X[TRAIN], NAMES[TRAIN]), loss="cross_entropy", **QUICK).model
    found = fl.compare(model, (X[TRAIN], NAMES[TRAIN]), (X[TEST], NAMES[TEST]), metrics="f1", seconds=1.5)
    assert (found.metric, found.better, found.training_rows, found.rows) == ("accuracy", "higher", 100, 60)
    assert [one.name for one in found.candidates] == [NETWORK, "commonest class", "linear model", "boosted trees"]
    assert [*found.network.scores] == ["accuracy", "log_loss", "roc_auc", "f1"] and found.network.seconds == 1.5
    theirs = {
        "linear model": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        "boosted trees": HistGradientBoostingClassifier(random_state=0),
    }
    for name, one in theirs.items():
        one.fit(X[TRAIN], NAMES[TRAIN])
        p, its = one.predict_proba(X[TEST]), by_name(found)[name]
        assert its.scores["accuracy"].value == pytest.approx(accuracy_score(NAMES[TEST], one.predict(X[TEST])))
        assert its.scores["log_loss"].value == pytest.approx(log_loss(NAMES[TEST], p), rel=1e-3)
        assert its.scores["roc_auc"].value == pytest.approx(roc_auc_score(NAMES[TEST], p[:, 1]))
        right = NAMES[TEST] == one.predict(X[TEST])
        assert its.scores["accuracy"].error == pytest.approx(right.std(ddof=1) / math.sqrt(60))
        pairs = (model.predict(X[TEST]) == NAMES[TEST]).astype(float) - right
        assert its.lead["accuracy"].value == pytest.approx(pairs.mean())
        assert its.lead["accuracy"].error == pytest.approx(pairs.std(ddof=1) / math.sqrt(60))
    prior = by_name(found)["commonest class"].scores
    assert prior["roc_auc"].value == 0.5
    assert found.network.scores["f1"].value == model.evaluate((X[TEST], NAMES[TEST]), metrics="f1")["f1"]


def test_the_values_are_scikit_learns_for_numbers_and_by_weights() -> None:
    weight = RNG.integers(0, 3, 160).astype(float)
    model = fl.fit(nn.mlp((4,), 1), (X[TRAIN], Y[TRAIN]), loss="squared_error", encoder=nn.standardise(X[TRAIN]),
                   decoder=nn.Quantity("price", 300.0, 40.0), **QUICK).model  # fmt: skip
    train, test = ((X[part], Y[part], weight[part]) for part in (TRAIN, TEST))
    found = fl.compare(model, train, test)
    assert (found.metric, found.better, found.weighted) == ("rmse", "lower", True)
    assert found.rows == int((weight[TEST] > 0).sum())
    assert found.training_rows == int((weight[TRAIN] > 0).sum())
    some = weight[TRAIN] > 0
    scaler = StandardScaler().fit(X[TRAIN], sample_weight=weight[TRAIN])
    ridge = Ridge().fit(scaler.transform(X[TRAIN]), Y[TRAIN], sample_weight=weight[TRAIN])
    trees = HistGradientBoostingRegressor(random_state=0).fit(X[TRAIN][some], Y[TRAIN][some], weight[TRAIN][some])
    for name, y_hat in (("linear model", ridge.predict(scaler.transform(X[TEST]))),
                        ("boosted trees", trees.predict(X[TEST]))):  # fmt: skip
        wanted = root_mean_squared_error(Y[TEST], y_hat, sample_weight=weight[TEST])
        assert by_name(found)[name].scores["rmse"].value == pytest.approx(wanted, rel=1e-3)
    lead = by_name(found)["the mean"].lead["rmse"].value
    assert lead == pytest.approx(by_name(found)["the mean"].scores["rmse"].value - found.network.scores["rmse"].value)


def table(n: int = 120) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    size = rng.normal(size=n)
    size[::7] = np.nan
    kind = np.array([f"kind {i}" for i in rng.integers(0, 300, n)], object)
    kind[::5] = None
    return {"size": size, "town": np.array(["here", "there", "far"])[rng.integers(0, 3, n)], "kind": kind}


def test_tables_with_missing_values_and_many_levels_are_read_by_the_encoder() -> None:
    columns = table()
    levels = tuple(sorted({one for one in columns["kind"][:80] if one}))
    encoder = nn.Columns((
        nn.Number("size", 0.0, 1.0, indicator=True),
        nn.Category("town", ("far", "here", "there")),
        nn.Category("kind", levels * 1, embedded=True),
    ))  # fmt: skip
    y = (columns["town"] == "here").astype(int)
    part = lambda rows: ({name: values[rows] for name, values in columns.items()}, y[rows])
    model = fl.fit(nn.mlp((4,), 2), part(slice(0, 80)), loss="cross_entropy", encoder=encoder, **QUICK).model
    found = by_name(fl.compare(model, part(slice(0, 80)), part(slice(80, 120))))
    # A town alone decides, which a level tells and its alphabetic place does not.
    assert found["linear model"].scores["accuracy"].value == found["boosted trees"].scores["accuracy"].value == 1
    assert math.isnan(found["linear model"].scores["accuracy"].error)


def test_more_levels_than_trees_take_are_numbers_to_them_and_the_commonest_are_the_linear_models() -> None:
    levels = tuple(f"{i:03}" for i in range(300))
    encoder = nn.Columns((nn.Category("kind", levels, embedded=True),))
    codes = np.repeat(np.arange(1.0, 301.0), np.where(np.arange(300) < 90, 3, 1))[:, np.newaxis]
    rows, y = baselines.Table(codes, encoder), (codes[:, 0] < 50).astype(np.int64)
    for one in (baselines.linear, baselines.trees):
        predict = baselines.trained(one, rows, y, None, 2, 1)
        p = predict(baselines.Table(np.array([[0.0], [1.0], [300.0], [np.nan]]), encoder))
        assert np.isfinite(p).all() and p[1].argmax() == 1 and p[2].argmax() == 0


def test_rows_too_many_for_memory_are_told_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = nn.Columns((nn.Category("town", ("far", "here", "there")),))
    columns = {"town": np.array(["far", "here", "there", "far"] * 10)}
    y = np.arange(40) % 2
    model = fl.fit(nn.mlp((4,), 2), (columns, y), loss="cross_entropy", encoder=encoder, epochs=1).model
    monkeypatch.setattr(baselines, "MOST_CELLS", 100)
    found = by_name(fl.compare(model, (columns, y), (columns, y)))
    assert found["linear model"].problem == "40 rows of 3 encoded columns are too many for memory"
    assert found["boosted trees"].problem is None and found["commonest class"].problem is None
    monkeypatch.setattr(comparison, "MOST_CELLS", 39)
    with pytest.raises(ArgumentError, match="test: simple models need all rows in memory; 40 of 1 columns"):
        fl.compare(model, (as_table(columns), y), (as_table(columns), y))


def test_a_class_without_training_rows_has_the_probability_nothing() -> None:
    rows = baselines.Table(X[:40], None)
    for one in baselines.BASELINES.values():
        p = baselines.trained(one, rows, np.arange(40) % 2 * 2, None, 3, 1)(rows)
        assert p.shape == (40, 3) and not p[:, 1].any() and np.allclose(p.sum(axis=1), 1)


def test_a_baseline_that_fails_is_told_and_the_others_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fl.fit(nn.mlp((4,), 2), (X[TRAIN], NAMES[TRAIN]), loss="cross_entropy", **QUICK).model
    one_class = NAMES[TRAIN] == "yes"
    found = by_name(fl.compare(model, (X[TRAIN][one_class], NAMES[TRAIN][one_class]), (X[TEST], NAMES[TEST])))
    assert "class" in str(found["linear model"].problem) and not found["linear model"].scores
    assert found["commonest class"].problem is None


def test_models_that_are_left_out_are_not_trained_and_the_others_stay_as_they_are() -> None:
    model = fl.fit(nn.mlp((4,), 2), (X[TRAIN], NAMES[TRAIN]), loss="cross_entropy", **QUICK).model
    given = model, (X[TRAIN], NAMES[TRAIN]), (X[TEST], NAMES[TEST])
    whole, some = fl.compare(*given), fl.compare(*given, without="boosted trees")
    assert [one.name for one in some.candidates] == [one.name for one in whole.candidates[:-1]]
    assert [one.scores for one in some.candidates] == [one.scores for one in whole.candidates[:-1]]
    with pytest.raises(ArgumentError, match="did you mean 'boosted trees'"):
        fl.compare(*given, without=["boosted tree"])
    with pytest.raises(ArgumentError, match="leaves no simple model"):
        fl.compare(*given, without=["the mean", "linear model", "boosted trees"])
    with pytest.raises(ArgumentTypeError, match="names of simple models"):
        fl.compare(*given, without=3)


def test_one_test_row_and_one_class_of_them_have_values_or_none() -> None:
    model = fl.fit(nn.mlp((4,), 2), (X[TRAIN], NAMES[TRAIN]), loss="cross_entropy", **QUICK).model
    found = fl.compare(model, (X[TRAIN], NAMES[TRAIN]), (X[:1], NAMES[:1]))
    assert all(math.isnan(one.scores["roc_auc"].value) for one in found.candidates)
    assert found.rows == 1 and math.isnan(found.network.scores["accuracy"].error) and found.verdict
    yes = np.flatnonzero(NAMES == "yes")[-10:]
    found = fl.compare(model, (X[TRAIN], NAMES[TRAIN]), (X[yes], NAMES[yes]), by="roc_auc")
    assert "nothing can be told: roc_auc is not defined" in found.verdict


def test_outputs_that_are_not_finite_win_nothing() -> None:
    model = fl.fit(nn.mlp((4,), 1), (X[TRAIN], Y[TRAIN]), loss="squared_error", **QUICK).model
    model = model.with_theta(np.full_like(model.theta, np.nan))
    found = fl.compare(model, (X[TRAIN], Y[TRAIN]), (X[TEST], Y[TEST]))
    assert math.isnan(found.network.scores["rmse"].value) and "nothing can be told" in found.verdict


@pytest.mark.parametrize(
    ("outputs", "loss", "y"),
    [
        (2, "squared_error", X[:, :2]),
        (3, "binary_cross_entropy", X > 0),
        (2, "binary_cross_entropy", np.eye(2)[(X[:, 0] > 0).astype(int)]),
    ],
)
def test_other_targets_are_refused(outputs: int, loss: str, y: Any) -> None:
    y = y.astype(float)
    model = fl.fit(nn.mlp((4,), outputs), (X, y), loss=loss, epochs=1).model
    with pytest.raises(ArgumentError, match="simple models"):
        fl.compare(model, (X, y), (X, y))


def test_one_hot_targets_of_classes_are_their_classes() -> None:
    codes = (X[:, 0] > 0).astype(int)
    model = fl.fit(nn.mlp((4,), 2), (X, np.eye(2)[codes]), loss="cross_entropy", epochs=1).model
    one_hot, coded = (fl.compare(model, (X, y), (X, y)) for y in (np.eye(2)[codes], codes))
    assert [str(one.scores) for one in one_hot.candidates] == [str(one.scores) for one in coded.candidates]


def test_rows_that_do_not_fit_are_told() -> None:
    model = fl.fit(nn.mlp((4,), 1), (X, Y), loss="squared_error", epochs=1).model
    with pytest.raises(ShapeError, match="train has 100 rows of x and 160 of y"):
        fl.compare(model, (X[TRAIN], Y), (X[TEST], Y[TEST]))
    with pytest.raises(ArgumentError, match="unknown metric"):
        fl.compare(model, (X, Y), (X, Y), by="rmsee")
    with pytest.raises(ArgumentError, match="does not say whether higher is better"):
        fl.compare(model, (X, Y), (X, Y), metrics={"mine": lambda y, p: 1.0}, by="mine")


def test_it_is_deterministic_and_leaves_numpys_random_numbers_alone() -> None:
    model = fl.fit(nn.mlp((4,), 1), (X[TRAIN], Y[TRAIN]), loss="squared_error", **QUICK).model
    before = np.random.get_state()[1].copy()  # type: ignore[index, union-attr]
    runs = [fl.compare(model, (X[TRAIN], Y[TRAIN]), (X[TEST], Y[TEST])) for _ in range(2)]
    a, b = ([(one.name, str(one.scores), str(one.lead)) for one in found.candidates] for found in runs)
    assert a == b and np.array_equal(before, np.random.get_state()[1])  # type: ignore[index]


def made(better: str, **leads: tuple[float, float]) -> Comparison:
    """A comparison in which the network has .9 and is so far ahead of each, in order."""
    metric = "accuracy" if better == "higher" else "rmse"
    sign = 1 if better == "higher" else -1
    others = [
        Candidate(name.replace("_", " "), {metric: Estimate(0.9 - sign * lead, 0.01)}, {metric: Estimate(lead, error)})
        for name, (lead, error) in leads.items()
    ]
    return Comparison(metric, better, (Candidate(NETWORK, {metric: Estimate(0.9, 0.01)}, {}), *others), 100, 50)


@pytest.mark.parametrize(("leads", "wanted"), [
    ({"commonest_class": (0.4, 0.05), "linear_model": (0.05, 0.01), "boosted_trees": (0.1, 0.02)},
     "the network wins: 5.0 points higher accuracy than the linear model, 5.0 standard errors of the difference"),
    ({"commonest_class": (0.4, 0.05), "boosted_trees": (-0.012, 0.005)},
     "the boosted trees win: 1.2 points higher accuracy than the network, 2.4 standard errors of the difference"),
    ({"commonest_class": (0.4, 0.05), "linear_model": (-0.03, 0.01)},
     "the linear model wins: 3.0 points higher accuracy than the network, 3.0 standard errors of the difference"),
    ({"commonest_class": (0.4, 0.05), "boosted_trees": (-0.01, 0.02)},
     "no difference to the boosted trees that 50 rows can show: 1.0 points lower accuracy, 0.5 standard errors of the "
     "difference"),
    ({"commonest_class": (0.01, 0.05), "boosted_trees": (0.005, 0.02)},
     "no difference to the boosted trees that 50 rows can show: 0.5 points higher accuracy, 0.2 standard errors of the "
     "difference; nor is it clearly above the commonest class"),
    ({"commonest_class": (0.0, 0.0)}, "the network and the commonest class answer alike on all 50 rows"),
    ({"commonest_class": (0.0, 0.03)}, "the network and the commonest class have the same accuracy, on other rows"),
    ({"commonest_class": (0.1, math.nan)},
     "the network: 10.0 points higher accuracy than commonest class; 50 rows cannot tell how sure that is"),
])  # fmt: skip
def test_the_verdict_follows_the_numbers(leads: Any, wanted: str) -> None:
    assert made("higher", **leads).verdict == wanted


def test_the_verdict_of_an_error_is_lower() -> None:
    found = made("lower", the_mean=(0.5, 0.01), boosted_trees=(-0.09, 0.03))
    assert found.best is not None and found.best.name == "boosted trees"
    wanted = "the boosted trees win: 0.09 (10.0 %) lower rmse than the network, 3.0 standard errors of the difference"
    assert found.verdict == wanted


def test_a_share_is_one_of_the_model_that_is_beaten() -> None:
    """0.1 less than 1.0 is 10 % less, and 0.3 less than 0.9 is a third; the network's error is 0.9."""
    assert "0.1 (10.0 %) lower rmse than the boosted trees" in made("lower", boosted_trees=(0.1, 0.01)).verdict
    assert "0.3 (33.3 %) lower rmse than the network" in made("lower", boosted_trees=(-0.3, 0.01)).verdict


def test_baselines_are_one_table() -> None:
    assert [*baselines.BASELINES] == ["the mean", "linear model", "boosted trees"]
    with pytest.raises(ArgumentError, match="two baselines are called"):
        baselines.baseline("the mean", "again")(lambda rows, y, weight, k: lambda other: y)
    assert baselines.free_cores() >= 1


def test_a_comparison_is_kept_with_its_run_until_it_is_trained_again(tmp_path) -> None:
    from fallline.assessment.kept_comparison import keep, kept
    from fallline.errors import DataError

    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    given = {"loss": "squared_error", "epochs": 1, "out": tmp_path / "run"}
    run = fl.fit(fl.nn.Dense(1), (x, x[:, 0]), **given)
    found = fl.compare(run.model, (x, x[:, 0]), (x[:20], x[:20, 0]))
    assert kept(tmp_path / "run") is None
    keep(found, tmp_path / "run")
    again = kept(tmp_path / "run")
    assert again is not None and again.verdict == found.verdict and again.candidates[0].scores == found.network.scores
    (tmp_path / "run" / "comparison.json").write_text('{"metric": 3')
    with pytest.raises(DataError, match="damaged"):
        kept(tmp_path / "run")
    fl.fit(fl.nn.Dense(1), (x, x[:, 0]), **given, overwrite=True)
    assert kept(tmp_path / "run") is None
