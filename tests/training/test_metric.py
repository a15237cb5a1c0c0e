"""Metrics of validation rows against scikit-learn's scores, for every kind of targets, through training itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.errors import CodeError, FalllineError

RNG = np.random.default_rng(0)
N, HELD = 60, 25
X = RNG.normal(size=(N, 3))
CODES = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)
ONE_HOT = np.eye(3)[CODES]
LABELS = (X + RNG.normal(size=X.shape) > 0.3).astype(float)
SHARES = RNG.uniform(size=(N, 3))


def scores(loss: Any, y: Any, outputs: int) -> tuple[dict[str, float], Any, Any]:
    """The last epoch's metrics, and truth and prediction of the validation rows."""
    held = np.arange(N - HELD, N)
    run = fl.fit(nn.mlp((8,), outputs), (X, y), loss=loss, epochs=3, batch_size=10, validation=held)
    return dict(run.epochs[-1].metrics), np.asarray(y)[held], run.model.predict(X[held])


def test_one_hot_targets_are_right_where_the_largest_output_is() -> None:
    from sklearn.metrics import accuracy_score

    for loss in ("binary_cross_entropy", "cross_entropy"):
        found, y, y_hat = scores(loss, ONE_HOT, 3)
        codes = y_hat if y_hat.ndim == 1 else y_hat.argmax(axis=1)
        assert found == {"validation_accuracy": pytest.approx(accuracy_score(y.argmax(axis=1), codes))}


def test_several_labels_are_right_where_all_of_them_are_and_entries_by_themselves() -> None:
    from sklearn.metrics import accuracy_score, hamming_loss

    found, y, y_hat = scores("binary_cross_entropy", LABELS, 3)
    assert found == {
        "validation_exact_match": pytest.approx(accuracy_score(y, y_hat > 0.5)),
        "validation_entry_accuracy": pytest.approx(1 - hamming_loss(y, y_hat > 0.5)),
    }


@pytest.mark.parametrize(("loss", "y", "outputs"), [
    ("binary_cross_entropy", SHARES, 3), ("binary_cross_entropy", SHARES[:, 0], 1), ("squared_error", SHARES, 3),
    ("squared_error", ONE_HOT, 3), ("huber", X[:, 0], 1), ("absolute_error", LABELS, 3), ("poisson", CODES, 1),
], ids=str)  # fmt: skip
def test_numbers_to_come_near_to_have_the_errors_of_a_regression(loss: str, y: Any, outputs: int) -> None:
    from sklearn.metrics import r2_score, root_mean_squared_error

    found, truth, y_hat = scores(loss, y, outputs)
    rmse = np.sqrt(np.mean((truth - y_hat) ** 2))
    assert root_mean_squared_error(truth.ravel(), y_hat.ravel()) == pytest.approx(rmse)
    wanted = {"validation_r2": r2_score(truth, y_hat), "validation_rmse": rmse}
    assert found == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "hinge"])
def test_two_classes_are_right_on_their_side(loss: str) -> None:
    for labels in ((0, 1), (-1, 1), ("no", "yes")):
        found, y, y_hat = scores(loss, np.array(labels)[(X[:, 0] > 0).astype(int)], 1)
        assert found == {"validation_accuracy": pytest.approx(np.mean(y == y_hat))}


def test_that_one_row_has_no_r2_is_said() -> None:
    run = fl.fit(nn.mlp((), 1), (X, X[:, 0]), loss="squared_error", epochs=1, validation=(X[:1], X[:1, 0]))
    assert np.isnan(run.history["validation_r2"][0]) and "R^2 of one validation row is not defined" in run.summary()


def test_metrics_of_ones_own_see_all_validation_rows_as_predict_and_the_targets_name_them() -> None:
    from sklearn.metrics import f1_score, matthews_corrcoef

    held = np.arange(N - HELD, N)
    names = np.array(["low", "mid", "top"])[CODES]
    seen = []

    def share_of_top(y_true: Any, y_pred: Any) -> float:
        seen.append((y_true, y_pred))
        return float(np.mean(y_pred == "top"))

    run = fl.fit(
        nn.mlp((8,), 3), (X, names), loss="cross_entropy", epochs=4, batch_size=10, validation=held,
        metrics={"mcc": matthews_corrcoef, "f1": "f1", "top": share_of_top, "accuracy": "accuracy"},
    )  # fmt: skip
    y, y_hat = names[held], run.model.predict(X[held])
    wanted = {"accuracy": np.mean(y == y_hat), "mcc": matthews_corrcoef(y, y_hat), "top": np.mean(y_hat == "top"),
              "f1": f1_score(y, y_hat, average="macro")}  # fmt: skip
    found = run.epochs[-1].metrics
    assert found == {f"validation_{name}": pytest.approx(value) for name, value in wanted.items()}
    assert list(found) == ["validation_accuracy", "validation_mcc", "validation_f1", "validation_top"]
    assert run.started is not None and run.started.metrics == tuple(found)
    assert len(seen) == 4 and all(np.array_equal(y_true, y) for y_true, _ in seen)
    assert run.config["metrics"] == ["mcc", "f1", "top", "accuracy"]


def test_metrics_are_in_the_unit_of_the_target() -> None:
    y = 300 + 40 * X[:, 0]
    held = np.arange(HELD)
    run = fl.fit(
        nn.mlp((8,), 1), (X, y), loss="squared_error", epochs=3, validation=held, metrics="mae",
        encoder=nn.standardise(X), decoder=nn.Quantity("price", 300.0, 40.0),
    )  # fmt: skip
    off = y[held] - run.model.predict(X[held])
    found = run.epochs[-1].metrics
    assert found["validation_rmse"] == pytest.approx(np.sqrt(np.mean(off**2)), rel=1e-5)
    assert found["validation_mae"] == pytest.approx(np.mean(np.abs(off)), rel=1e-5)


class Peak:
    """A number that is highest in the third epoch, whatever the training does."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, y_true: Any, y_pred: Any) -> float:
        self.calls += 1
        return float(-abs(self.calls - 3))


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_early_stopping_watches_a_metric_in_its_direction_and_restores_its_best_epoch(better: str) -> None:
    thetas = []
    training = fl.train(
        nn.mlp((4,), 1), (X, X[:, 0]), loss="squared_error", epochs=12, validation=0.3,
        metrics={"peak": nn.Metric(Peak(), better=better)}, early_stopping=fl.EarlyStopping(patience=4, watch="peak"),
    )  # fmt: skip
    for event in training:
        if isinstance(event, fl.events.EpochEnded):
            thetas.append(training.run.model.theta)
    run = training.run
    best, epochs = (2, 7) if better == "higher" else (0, 5)
    assert run.started is not None and run.ended is not None
    assert (run.started.watches, run.started.higher_is_better) == ("validation_peak", better == "higher")
    assert [event.epoch for event in run.epochs if event.is_best][-1] == best == run.best_epoch == run.ended.best_epoch
    assert run.ended.best_value == run.epochs[best].metrics["validation_peak"]
    assert run.ended.best_loss == run.epochs[best].validation_loss
    assert np.array_equal(run.model.theta, thetas[best])
    # -2 -1 0 -1 -2 -3 -4: four epochs after the best one are none better.
    assert (run.stop_reason, len(run.epochs)) == ("early_stopping", epochs)


def test_a_race_is_ranked_by_the_metric_that_all_variants_watch() -> None:
    rule = fl.EarlyStopping(patience=10**9, watch="accuracy")
    race = fl.race(
        nn.mlp((4,), 3), (X, CODES), [{"learning_rate": rate} for rate in (1e-4, 1e-2, 3e-2)], epochs=6,
        loss="cross_entropy", validation=0.4, early_stopping=rule, metrics=["f1"],
    )  # fmt: skip
    column = race.columns["validation_accuracy"]
    assert list(column) == sorted(column, reverse=True) and race.results[0].watches == "validation_accuracy"
    for run in race.runs.values():
        assert run.ended is not None and run.ended.best_value == run.history["validation_accuracy"].max()
    assert set(race.results[0].metrics) == {"validation_accuracy", "validation_f1"}


def test_folds_and_ensembles_measure_what_was_asked_for() -> None:
    variants = [{"validation": fold} for fold in fl.folds((X, CODES), 3)]
    hits = {"hits": lambda y, y_hat: sum(y == y_hat)}
    settings: dict[str, Any] = {"loss": "cross_entropy", "epochs": 2, "metrics": hits}
    race = fl.race(nn.mlp((4,), 3), (X, CODES), variants, **settings)
    assert np.allclose(race.columns["validation_hits"], race.columns["validation_accuracy"] * N / 3)
    rule = fl.EarlyStopping(watch="accuracy")
    run = fl.fit(nn.mlp((4,), 3), (X, CODES), validation=0.5, ensemble=3, early_stopping=rule, **settings)
    accuracy = run.history["validation_accuracy"]
    assert run.best_epoch == int(np.argmax(accuracy)) and np.allclose(run.history["validation_hits"], accuracy * N / 2)
    assert run.ended is not None and run.ended.best_value == accuracy.max()


def test_a_metric_is_the_same_whatever_part_of_the_rows_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = []
    for rows in (1, 7, 1 << 16):
        monkeypatch.setattr("fallline.training.evaluation.PART_ROWS", rows)
        run = fl.fit(nn.mlp((4,), 1), (X, X[:, 0]), loss="huber", epochs=2, validation=0.4, metrics=["mae"])
        columns.append(run.history["validation_mae"])
    assert np.array_equal(columns[0], columns[1]) and np.array_equal(columns[0], columns[2])


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"metrics": "f1", "validation": None},
            "on validation rows, and there are none\n  try: validation=0.2",
        ),
        ({"metrics": ["mae"]}, "the metric 'mae' measures numbers, and y holds classes\n  try: accuracy, "),
        ({"metrics": "acuracy"}, "did you mean 'accuracy'"),
        ({"early_stopping": fl.EarlyStopping(watch="f1")}, "watches 'f1', which is not measured"),
        ({"early_stopping": fl.EarlyStopping(watch="len"), "metrics": len}, "does not say whether higher is better"),
    ],
)
def test_metrics_that_cannot_be_measured_or_watched_are_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(FalllineError) as error:
        fl.train(nn.mlp((4,), 3), (X, CODES), loss="cross_entropy", **{"validation": 0.4, **settings})
    assert told in str(error.value)


def test_a_run_that_watches_a_metric_is_resumed_to_the_same_bits(tmp_path: Any) -> None:
    def fit(out: str, epochs: int, **more: Any) -> fl.Run:
        return fl.fit(
            nn.mlp((4,), 3), (X, CODES), loss="cross_entropy", epochs=epochs, validation=0.4,
            early_stopping=fl.EarlyStopping(patience=40, watch="f1"), metrics=["f1", "log_loss"], out=tmp_path / out,
            **more,
        )  # fmt: skip

    fit("cut", 5)
    whole, cut = fit("whole", 12), fit("cut", 12, resume=True)
    assert np.array_equal(whole.model.theta, cut.model.theta) and whole.best_epoch == cut.best_epoch
    assert np.array_equal(whole.history["validation_f1"], cut.history["validation_f1"])
    assert fl.load_run(tmp_path / "cut").history.keys() == whole.history.keys()
    assert whole.ended is not None and cut.ended is not None
    assert (whole.ended.best_value, whole.ended.best_loss) == (cut.ended.best_value, cut.ended.best_loss)


def test_events_of_a_run_from_before_metrics_were_watched_are_read() -> None:
    old = {"event": "training_ended", "reason": "finished", "epochs": 1, "step": 2, "loss": 0.5, "best_epoch": 0,
           "best_loss": 0.5, "restored_best": False, "seconds": 0.1, "steps_per_second": 9.0}  # fmt: skip
    ended = fl.events.from_record(old)
    assert isinstance(ended, fl.events.TrainingEnded) and np.isnan(ended.best_value)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_metric_that_fails_loses_no_step(optimizer: str, tmp_path: Path) -> None:
    seen = []

    def picky(y_true: Any, y_pred: Any) -> float:
        seen.append(y_pred)
        if len(seen) == 3:
            raise ValueError("no")
        return 1.0

    settings: dict[str, Any] = {"loss": "cross_entropy", "optimizer": optimizer, "validation": 0.3, "seed": 3}
    settings |= {"model": nn.mlp((4,), 3), "data": (X, CODES), "metrics": picky}
    with pytest.raises(CodeError, match="no") as told:
        fl.fit(**settings, epochs=5, out=tmp_path / "run")
    seen += [None]
    whole = fl.fit(**settings, epochs=5)
    assert len(told.value.run.epochs) == 2 and told.value.run.state.epochs == 3
    for run in (
        fl.fit(**settings, epochs=5, out=tmp_path / "run", resume=True),
        fl.fit(**settings, epochs=2, init=told.value.run),
    ):
        assert np.array_equal(run.model.theta, whole.model.theta)
        np.testing.assert_array_equal(run.history["loss"], whole.history["loss"][-len(run.epochs) :])


def test_a_stop_request_is_heard_between_two_parts_of_the_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fallline.training.evaluation.PART_ROWS", 4)
    settings: dict[str, Any] = {"loss": "cross_entropy", "validation": 0.5, "metrics": {"n": lambda y, _: len(y)}}
    training = fl.train(nn.mlp((4,), 3), (X, CODES), **settings, epochs=5)
    parts, outputs = [], nn.Model.outputs

    def stopping(*args: Any, **given: Any) -> Any:
        parts.append(len(args[1]))
        training.stop()
        return outputs(*args, **given)

    monkeypatch.setattr(nn.Model, "outputs", stopping)
    assert [*training][-1].reason == "interrupted"
    assert parts == [4] and not training.run.epochs


def test_a_plan_counts_the_outputs_that_metrics_look_at() -> None:
    settings: dict[str, Any] = {"loss": "cross_entropy", "validation": 0.5}
    sums, looked = (fl.plan(nn.mlp((4,), 3), (X, CODES), **settings, metrics=m) for m in (None, "roc_auc"))
    assert looked.bytes["validation"] - sums.bytes["validation"] == N // 2 * (3 + 3) * 4
