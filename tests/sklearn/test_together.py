"""The MLP estimators inside scikit-learn's tools: searches, pipelines, ensembles, calibration, routing, callbacks."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import AdaBoostClassifier, BaggingRegressor, StackingClassifier, VotingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import SequentialFeatureSelector
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate, learning_curve
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import fallline as fl
from fallline.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4))
CLASSES = np.array(["a", "b", "c"])[np.digitize(X[:, 0] + 0.3 * X[:, 1], [-0.4, 0.4])]
Y = X[:, 0] * 2 + X[:, 1]
WEIGHT = RNG.integers(1, 3, 90).astype(float)
FAST: dict[str, Any] = {"hidden_layer_sizes": (6,), "max_iter": 40, "learning_rate_init": 0.02, "random_state": 0}


def classifier(**more: Any) -> Any:
    return MLPClassifier(**{**FAST, **more})


def regressor(**more: Any) -> Any:
    return MLPRegressor(**{**FAST, **more})


def test_a_search_finds_the_same_with_and_without_workers() -> None:
    grid = {"solver": ["adam", fl.optim.AdamW(0.02)], "activation": ["mish"]}
    alone, spread = (GridSearchCV(classifier(), grid, cv=2, n_jobs=n).fit(X, CLASSES) for n in (None, 2))
    np.testing.assert_array_equal(alone.cv_results_["mean_test_score"], spread.cv_results_["mean_test_score"])
    assert alone.best_params_ == spread.best_params_
    assert spread.best_estimator_.score(X, CLASSES) > 0.7


def test_pipelines_take_it_last_and_in_the_middle() -> None:
    last = make_pipeline(StandardScaler(), regressor())
    assert last.fit(X, Y).score(X, Y) > 0.8
    assert last.set_params(mlpregressor__alpha=1.0).fit(X, Y).named_steps["mlpregressor"].alpha == 1.0
    middle = make_pipeline(classifier(), LogisticRegression())
    assert middle.fit(X, CLASSES).score(X, CLASSES) > 0.7
    assert len(middle[:1].get_feature_names_out()) == 6


def test_frames_of_mixed_columns_go_through_a_column_transformer() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"x": X[:, 0], "kind": CLASSES, "n": np.arange(90)})
    columns = make_column_transformer((OneHotEncoder(), ["kind"]), (StandardScaler(), ["x", "n"]))
    assert make_pipeline(columns, classifier()).fit(frame, CLASSES).score(frame, CLASSES) > 0.9
    fitted = classifier().fit(frame[["x", "n"]], CLASSES)
    assert [*fitted.feature_names_in_] == ["x", "n"]
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(frame[["n", "x"]])


def test_ensembles_and_wrappers_of_scikit_learn() -> None:
    voting = VotingClassifier([("one", classifier()), ("other", LogisticRegression())], voting="soft")
    stacking = StackingClassifier([("one", classifier())], LogisticRegression(), cv=2)
    calibrated = CalibratedClassifierCV(classifier(), cv=2)
    for made in (
        voting,
        stacking,
        calibrated,
        OneVsRestClassifier(classifier()),
        AdaBoostClassifier(classifier(), n_estimators=2),
    ):
        assert made.fit(X, CLASSES).score(X, CLASSES) > 0.6
        np.testing.assert_allclose(made.predict_proba(X).sum(axis=1), 1)
    assert BaggingRegressor(regressor(), n_estimators=3).fit(X, Y).score(X, Y) > 0.6
    assert MultiOutputRegressor(regressor()).fit(X, np.column_stack([Y, -Y])).score(X, np.column_stack([Y, -Y])) > 0.8
    scaled = TransformedTargetRegressor(regressor(), transformer=StandardScaler()).fit(X, 1000 * Y)
    assert scaled.score(X, 1000 * Y) > 0.8


def test_predictions_and_scores_by_cross_validation() -> None:
    assert cross_val_predict(classifier(), X, CLASSES, cv=3, method="predict_proba").shape == (90, 3)
    scores = cross_validate(regressor(), X, Y, cv=3, scoring=["r2", "neg_mean_absolute_error"])
    assert scores["test_r2"].mean() > 0.6
    sizes, *_ = learning_curve(classifier(), X, CLASSES, cv=2, train_sizes=[0.5, 1.0])
    assert len(sizes) == 2


def test_inspection_and_selection() -> None:
    fitted = regressor().fit(X, Y)
    importance = permutation_importance(fitted, X, Y, n_repeats=3, random_state=0)
    assert np.argmax(importance.importances_mean) == 0
    assert partial_dependence(fitted, X, [0], grid_resolution=5)["average"].shape == (1, 5)
    chosen = SequentialFeatureSelector(regressor(), n_features_to_select=1, cv=2).fit(X, Y)
    assert chosen.get_support()[0]


def test_metadata_is_routed() -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        routed = classifier().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        search = GridSearchCV(routed, {"alpha": [0.1, 1.0]}, cv=2).fit(X, CLASSES, sample_weight=WEIGHT)
        assert search.best_score_ > 0.5
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, regressor().set_fit_request(sample_weight=True))
        weighted = pipeline.fit(X, Y, sample_weight=WEIGHT).named_steps["mlpregressor"]
    plain = regressor().fit(StandardScaler().fit_transform(X), Y, WEIGHT)
    np.testing.assert_allclose(weighted.coefs_[0], plain.coefs_[0])


def test_clones_are_unfitted_and_equal_in_their_arguments() -> None:
    fitted = classifier(solver=fl.optim.AdamW(0.01), activation=["mish"], class_weight="balanced").fit(X, CLASSES)
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params() and not hasattr(copy, "coefs_")
    assert repr(copy).startswith("MLPClassifier(activation=['mish']")
    assert np.array_equal(copy.fit(X, CLASSES).coefs_[0], fitted.coefs_[0])


def test_arguments_out_of_range_are_refused_in_scikit_learn_s_words() -> None:
    wrong: dict[str, Any] = {
        "alpha": -1.0, "batch_size": 0, "solver": "adm", "activation": "rellu", "momentum": 1.5, "max_iter": 0,
        "validation_fraction": 1.0, "dropout": 1.0, "n_iter_no_change": 0, "normalization": "layr", "tol": "a",
        "learning_rate": "fast", "dtype": "float16", "loss": "log", "class_weight": "equal", "n_jobs": "all",
    }  # fmt: skip
    for name, value in wrong.items():
        with pytest.raises(ValueError, match=f"The '{name}' parameter of MLPClassifier must be"):
            MLPClassifier(**{name: value}).fit(X, CLASSES)
    with pytest.raises(ValueError, match="activation has 1 values, and there are 2 hidden layers"):
        MLPClassifier((4, 4), ["relu"]).fit(X, CLASSES)
    with pytest.raises(ValueError, match=r"hidden_layer_sizes must be > 0, got \[4, 0\]"):
        MLPClassifier((4, 0)).fit(X, CLASSES)
    with pytest.raises(TypeError, match=r"hidden_layer_sizes are whole numbers > 0, got .*3\.5"):
        MLPClassifier((3.5,)).fit(X, CLASSES)
    with pytest.raises(TypeError, match="unexpected keyword argument 'droput'"):
        MLPClassifier(droput=0.1)  # type: ignore[call-arg]


def test_a_fit_needs_no_warning_about_threads_or_types() -> None:
    for data in (X.astype(np.float32), np.asfortranarray(X), X[:, ::-1], (X * 10).astype(np.int16), X.tolist(), X > 0):
        fitted = classifier().fit(data, CLASSES)
        assert fitted.predict(data).shape == (90,)
        assert pickle.loads(pickle.dumps(fitted)).predict(data[:1]).shape == (1,)


class Counting:
    """A callback of scikit-learn's protocol that counts, and stops after an epoch."""

    def __init__(self, last: int) -> None:
        self.last, self.begun, self.ended, self.torn_down, self.scores = last, 0, 0, 0, list[float]()

    def setup(self, estimator: Any, context: Any) -> None: ...

    def teardown(self, estimator: Any, context: Any) -> None:
        self.torn_down += 1

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        self.begun += 1

    def on_fit_task_end(self, estimator: Any, context: Any, *, X: Any, y: Any, fitted_estimator: Any) -> bool:
        self.ended += 1
        if context.task_name == "epoch" and fitted_estimator is not None:
            self.scores.append(fitted_estimator.score(X, y))
            return len(self.scores) == self.last
        return False


def test_callbacks_of_scikit_learn_see_every_epoch_and_may_stop() -> None:
    if not hasattr(MLPClassifier, "set_callbacks"):
        pytest.skip("this scikit-learn has no callbacks")
    counting = Counting(last=7)
    fitted = classifier().set_callbacks(counting).fit(X, CLASSES)
    assert fitted.n_iter_ == 7 and len(counting.scores) == 7
    assert counting.scores[-1] == fitted.score(X, CLASSES)
    assert counting.begun == counting.ended and counting.torn_down == 1
    failing = Counting(last=99)
    with pytest.raises(ValueError):
        regressor(solver="sgd", learning_rate_init=1e9, batch_size=5).set_callbacks(failing).fit(X, Y)
    assert failing.torn_down == 1


def test_imbalanced_classes_are_found_with_weights() -> None:
    x = RNG.normal(size=(600, 2))
    rare = (x[:, 0] > 1.9).astype(int)
    plain, weighted = (
        MLPClassifier((8,), max_iter=60, learning_rate_init=0.01, random_state=0, class_weight=weight).fit(x, rare)
        for weight in (None, "balanced")
    )
    found = [one.predict(x)[rare == 1].mean() for one in (plain, weighted)]
    assert found[1] >= found[0] and found[1] > 0.9


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_the_smallest_tables_train(rows: int) -> None:
    for solver in ("adam", "sgd", "lbfgs"):
        assert regressor(solver=solver).fit(X[:rows], Y[:rows]).predict(X[:rows]).shape == (rows,)
        assert classifier(solver=solver).fit(X[:rows], CLASSES[:rows]).predict(X[:rows]).shape == (rows,)


def test_convergence_warnings_are_those_that_people_filter() -> None:
    with pytest.warns(ConvergenceWarning):
        classifier(max_iter=1).fit(X, CLASSES)
