"""The MLP estimators against scikit-learn's, step by step; and what they have beyond those."""

from __future__ import annotations

import copy
import math
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import sklearn.neural_network as theirs
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

import fallline as fl
from fallline.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 5))
TWO = (X[:, 0] * X[:, 1] > 0).astype(int)
THREE = np.array(["low", "mid", "high"])[np.digitize(X[:, 0], [-0.5, 0.5])]
Y = X[:, 0] * X[:, 1] + X[:, 2]
SEVERAL = np.column_stack([Y, -Y + X[:, 3], X[:, 4]])
WEIGHT = RNG.uniform(0.5, 2, 120)
LABELS = (X[:, :3] > 0.3).astype(int)
SMALL: dict[str, Any] = {"hidden_layer_sizes": (8,), "max_iter": 15, "random_state": 0}


@parametrize_with_checks([MLPClassifier(max_iter=60), MLPRegressor(max_iter=60)])
def test_scikit_learn_s_checks_of_estimators_pass(estimator: Any, check: Any) -> None:
    check(estimator)


SOLVERS: list[dict[str, Any]] = [
    {"solver": "sgd"},
    {"solver": "sgd", "momentum": 0.5, "nesterovs_momentum": False, "alpha": 0.3},
    {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
    {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.2, "tol": 0.1, "n_iter_no_change": 2},
    {"solver": "adam", "activation": "tanh", "hidden_layer_sizes": (6, 4)},
    {"solver": "adam", "activation": "logistic", "epsilon": 1e-3},
]


@pytest.mark.parametrize("solver", SOLVERS, ids=range(len(SOLVERS)))
@pytest.mark.parametrize("kind", ["two", "three", "labels", "numbers", "counts"])
def test_without_shuffling_every_solver_makes_scikit_learn_s_steps(kind: str, solver: dict[str, Any]) -> None:
    target = {"two": TWO, "three": THREE, "labels": LABELS, "numbers": Y, "counts": np.round(np.exp(X[:, 0]))}[kind]
    name = "MLPRegressor" if kind in ("numbers", "counts") else "MLPClassifier"
    more = {"loss": "poisson"} if kind == "counts" else {}
    given = {**SMALL, "shuffle": False, "batch_size": 40, **more, **solver}
    ours = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}[name](**given).fit(X, target)
    peer = getattr(theirs, name)(**given).fit(X, target)
    for mine, its in zip([*ours.coefs_, *ours.intercepts_], [*peer.coefs_, *peer.intercepts_], strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours.loss_curve_, peer.loss_curve_, rtol=1e-10)
    for attribute in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "best_validation_score_"):
        assert getattr(ours, attribute) == getattr(peer, attribute), attribute
    assert ours.best_loss_ == pytest.approx(peer.best_loss_)
    np.testing.assert_allclose(ours.predict(X) if more else 0, peer.predict(X) if more else 0, rtol=1e-9)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_weighted_rows_make_scikit_learn_s_steps(solver: str) -> None:
    given = {**SMALL, "shuffle": False, "batch_size": 120, "solver": solver, "alpha": 1.0}
    for name, target in (("MLPClassifier", THREE), ("MLPRegressor", Y)):
        ours = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}[name](**given).fit(X, target, WEIGHT)
        peer = getattr(theirs, name)(**given).fit(X, target, WEIGHT)
        np.testing.assert_allclose(ours.coefs_[0], peer.coefs_[0], rtol=1e-9, atol=1e-12)
        assert ours.loss_ == pytest.approx(peer.loss_)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_several_outputs_make_scikit_learn_s_steps_and_report_the_loss_that_these_descend(solver: str) -> None:
    given = {**SMALL, "shuffle": False, "solver": solver, "tol": 0.0}
    ours, peer = (kind(**given).fit(X, SEVERAL) for kind in (MLPRegressor, theirs.MLPRegressor))
    np.testing.assert_allclose(ours.coefs_[0], peer.coefs_[0], rtol=1e-9, atol=1e-12)
    squares = sum(float(np.sum(w**2)) for w in ours.coefs_)
    clone_of = MLPRegressor(**{**given, "max_iter": 1, "warm_start": True})
    clone_of.fit(X, SEVERAL)
    for mine, its in zip([*clone_of.coefs_, *clone_of.intercepts_], [*ours.coefs_, *ours.intercepts_]):
        mine[...] = its
    value = np.mean(np.sum((ours.predict(X) - SEVERAL) ** 2, axis=1)) / 2 + 0.5 * 1e-4 * squares / 120
    clone_of.fit(X, SEVERAL)
    assert clone_of.loss_ == pytest.approx(value, rel=1e-10)


def test_lbfgs_of_several_outputs_ends_where_its_gradient_is_zero() -> None:
    # no hidden layer: ridge regression, whose solution is known
    given: dict[str, Any] = {"hidden_layer_sizes": (), "solver": "lbfgs", "alpha": 5.0, "tol": 1e-9, "max_iter": 500}
    fitted = MLPRegressor(**given, random_state=0).fit(X, SEVERAL)
    x, y = X - X.mean(axis=0), SEVERAL - SEVERAL.mean(axis=0)
    np.testing.assert_allclose(fitted.coefs_[0], np.linalg.solve(x.T @ x + 5 * np.eye(5), x.T @ y), atol=1e-5)
    value = np.mean(np.sum((fitted.predict(X) - SEVERAL) ** 2, axis=1)) / 2
    assert fitted.loss_ == pytest.approx(value + 2.5 * np.sum(fitted.coefs_[0] ** 2) / 120)


def test_lbfgs_comes_as_far_as_scikit_learn_s() -> None:
    given = {**SMALL, "solver": "lbfgs", "max_iter": 200, "alpha": 0.1}
    for target in (TWO, THREE):
        ours, peer = (kind(**given).fit(X, target) for kind in (MLPClassifier, theirs.MLPClassifier))
        assert ours.loss_ <= peer.loss_ * 1.05


@pytest.mark.parametrize("patience", [1, 3, 10])
def test_training_stops_once_more_epochs_than_the_patience_brought_nothing(patience: int) -> None:
    given = {**SMALL, "tol": 1e9, "max_iter": 100, "n_iter_no_change": patience}
    assert MLPClassifier(**given).fit(X, TWO).n_iter_ == patience + 2  # the first epoch is an improvement
    assert theirs.MLPClassifier(**given).fit(X, TWO).n_iter_ == patience + 2


def test_the_rate_falls_as_in_scikit_learn_and_is_in_the_history() -> None:
    adaptive = {**SMALL, "solver": "sgd", "learning_rate": "adaptive", "tol": 0.5, "max_iter": 500}
    fitted = MLPClassifier(**adaptive, n_iter_no_change=2).fit(X, TWO)
    rates = np.array(fitted.history_["learning_rate"])
    np.testing.assert_allclose(np.unique(rates), 1e-3 * 0.2 ** np.arange(5, -1, -1.0))
    assert rates[-1] <= 1e-6 < 5 * rates[-1] and fitted.n_iter_ < 500
    inverse = {**SMALL, "solver": "sgd", "learning_rate": "invscaling", "power_t": 0.25, "max_iter": 3}
    rates = np.array(MLPClassifier(**inverse).fit(X, TWO).history_["learning_rate"])
    np.testing.assert_allclose(rates, 1e-3 / np.array([1, 121, 241]) ** 0.25)


def test_epochs_of_partial_fit_are_those_of_fit() -> None:
    for solver in ("sgd", "adam"):
        for kind, target in ((MLPClassifier, THREE), (MLPRegressor, Y)):
            whole = kind(**{**SMALL, "solver": solver, "tol": 0.0, "max_iter": 5}).fit(X, target)
            piecewise = kind(**{**SMALL, "solver": solver})
            for _ in range(5):
                piecewise.partial_fit(X, target, **({"classes": np.unique(target)} if kind is MLPClassifier else {}))
            np.testing.assert_array_equal(piecewise.coefs_[0], whole.coefs_[0])
            assert (piecewise.n_iter_, piecewise.t_, len(piecewise.loss_curve_)) == (1, 600, 5)


def test_partial_fit_goes_on_after_a_pickle_to_the_same_bits() -> None:
    fitted = MLPRegressor(**SMALL).partial_fit(X, Y).partial_fit(X[:50], Y[:50])
    again = pickle.loads(pickle.dumps(fitted))
    for one in (fitted, again):
        one.partial_fit(X, Y).partial_fit(X, Y, WEIGHT)
    np.testing.assert_array_equal(again.coefs_[0], fitted.coefs_[0])


def test_a_pickle_is_small_and_predicts_the_same() -> None:
    fitted = MLPClassifier(**{**SMALL, "hidden_layer_sizes": (200,)}).fit(X, THREE)
    fitted.predict(X)
    data = pickle.dumps(fitted)
    # parameters, and the two moments of adam from which partial_fit goes on
    assert len(data) < 4.2 * 8 * fitted._model.theta.size + 20_000
    again = pickle.loads(data)
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(copy.deepcopy(fitted).predict(X), fitted.predict(X))
    again.coefs_[0][...] = 0
    assert np.any(fitted.coefs_[0])


def test_coefficients_that_a_caller_sets_are_those_that_predict() -> None:
    fitted = MLPRegressor(**SMALL).fit(X, Y)
    before = fitted.predict(X)
    fitted.intercepts_[-1] += 1.0  # in place
    np.testing.assert_allclose(fitted.predict(X), before + 1)
    fitted.intercepts_[-1] = fitted.intercepts_[-1] + 1.0  # another array
    np.testing.assert_allclose(fitted.predict(X), before + 2)
    fitted.coefs_ = [np.zeros_like(w) for w in fitted.coefs_]
    np.testing.assert_allclose(fitted.predict(X), fitted.intercepts_[-1][0])
    fitted.coefs_[0] = np.zeros((2, 2))
    with pytest.raises(ValueError, match=r"coefs_\[0\] has shape \(2, 2\), and the network's is \(5, 8\)"):
        fitted.predict(X)


@pytest.mark.parametrize("kind", [scipy.sparse.csr_matrix, scipy.sparse.csc_array])
def test_sparse_rows_train_to_the_bits_of_dense_ones(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x = X * (np.abs(X) > 0.7)
    dense = MLPClassifier(**SMALL, early_stopping=True).fit(x, THREE)
    for limit in (1 << 28, 100):  # bytes above which rows are read a window at a time
        monkeypatch.setattr("fallline.sklearn.sparse_rows.DENSE_BYTES", limit)
        sparse = MLPClassifier(**SMALL, early_stopping=True).fit(kind(x), THREE)
        np.testing.assert_array_equal(sparse.coefs_[0], dense.coefs_[0])
        np.testing.assert_array_equal(sparse.predict_proba(kind(x)), dense.predict_proba(x))
        assert sparse.validation_scores_ == dense.validation_scores_


def test_early_stopping_keeps_the_best_epoch_and_its_score() -> None:
    fitted = MLPClassifier(**{**SMALL, "max_iter": 60}, early_stopping=True, n_iter_no_change=5).fit(X, THREE)
    assert fitted.best_validation_score_ == max(fitted.validation_scores_)
    assert fitted.best_loss_ is None and len(fitted.validation_scores_) == fitted.n_iter_
    assert len(fitted.history_["validation_loss"]) == fitted.n_iter_
    assert fitted.t_ == fitted.n_iter_ * 108


def test_rows_of_one_s_own_are_validated_on() -> None:
    given = {**SMALL, "max_iter": 30}
    rows = {"X_val": X[:40], "y_val": THREE[:40], "sample_weight_val": WEIGHT[:40]}
    fitted = MLPClassifier(**given, early_stopping=True).fit(X[40:], THREE[40:], **rows)
    assert fitted.t_ == 80 * fitted.n_iter_
    score = fitted.score(X[:40], THREE[:40], WEIGHT[:40])
    assert fitted.best_validation_score_ == pytest.approx(score)
    curves = MLPRegressor(**given, metrics=["mae"]).fit(X, Y, X_val=X[:40], y_val=Y[:40])
    assert {"loss", "validation_loss", "validation_r2", "validation_mae"} <= curves.history_.keys()
    assert curves.validation_scores_ is None
    best = MLPRegressor(**given, restore_best=True, scoring="mae").fit(X, Y, X_val=X[:40], y_val=Y[:40])
    error = np.abs(best.predict(X[:40]) - Y[:40]).mean()
    assert error == pytest.approx(min(best.history_["validation_mae"]))
    with pytest.raises(ValueError, match="y_val and sample_weight_val belong to X_val"):
        MLPRegressor().fit(X, Y, y_val=Y)
    with pytest.raises(
        ValueError, match=r"metrics='mae' is measured on rows for validation(.|\n)*try: early_stopping=True"
    ):
        MLPRegressor(metrics="mae").fit(X, Y)
    MLPRegressor(**given, metrics="mae", early_stopping=True).fit(X, Y)


@pytest.mark.parametrize("scoring", ["loss", "roc_auc", "neg_log_loss", "balanced_accuracy", "callable"])
def test_any_score_stops_a_training(scoring: str) -> None:
    def errors(y_true: Any, y_pred: Any) -> float:
        return -float(np.sum(y_true != y_pred))

    given: Any = errors if scoring == "callable" else scoring
    fitted = MLPClassifier(**SMALL, early_stopping=True, scoring=given).fit(X, TWO)
    assert len(fitted.validation_scores_) == fitted.n_iter_
    assert fitted.best_validation_score_ == max(fitted.validation_scores_)
    if scoring == "loss":
        np.testing.assert_allclose(fitted.validation_scores_, -np.array(fitted.history_["validation_loss"]))


def test_class_weights_are_weights_of_rows() -> None:
    rare = np.where(np.arange(120) % 10 == 0, "rare", "usual")
    by_row = np.where(rare == "rare", 120 / (2 * 12), 120 / (2 * 108))
    weighted = MLPClassifier(**SMALL, class_weight="balanced").fit(X, rare)
    same = MLPClassifier(**SMALL).fit(X, rare, by_row)
    np.testing.assert_allclose(weighted.coefs_[0], same.coefs_[0])
    doubled = MLPClassifier(**SMALL, class_weight={"rare": 2.0, "usual": 1.0}).fit(X, rare, WEIGHT)
    same = MLPClassifier(**SMALL).fit(X, rare, WEIGHT * np.where(rare == "rare", 2, 1))
    np.testing.assert_allclose(doubled.coefs_[0], same.coefs_[0])


BEYOND: list[dict[str, Any]] = [
    {"activation": "mish"},
    {"activation": fl.nn.LeakyReLU(0.1)},
    {"activation": np.sin},
    {"activation": ["relu", "tanh"], "hidden_layer_sizes": (6, 4)},
    {"dropout": 0.2},
    {"dropout": [0.1, 0.0], "hidden_layer_sizes": (6, 4)},
    {"normalization": "batch"},
    {"solver": "adamw"},
    {"solver": fl.optim.AdamW(0.01, weight_decay=0.1)},
    {"solver": "rmsprop", "learning_rate": "cosine"},
    {"learning_rate": fl.optim.WarmUp(warm_steps=5, then=fl.optim.Cosine(0.01))},
    {"learning_rate": lambda step: 0.01 / (1 + step)},
    {"hidden_layer_sizes": ()},
    {"dtype": "float32"},
    {"n_jobs": 1},
]


@pytest.mark.parametrize("more", BEYOND, ids=range(len(BEYOND)))
def test_arguments_beyond_scikit_learn_s_train(more: dict[str, Any]) -> None:
    for kind, target in ((MLPClassifier, THREE), (MLPRegressor, Y)):
        fitted = clone(kind(**{**SMALL, "learning_rate_init": 0.01, **more})).fit(X, target)
        assert fitted.loss_curve_[-1] < fitted.loss_curve_[0]
        assert np.array_equal(fitted.predict(X), fitted.predict(X))
        assert fitted.coefs_[0].dtype == np.float64


@pytest.mark.parametrize("loss", ["hinge", "cross_entropy", fl.nn.CrossEntropy(label_smoothing=0.1)])
def test_classifiers_take_other_losses(loss: Any) -> None:
    target = TWO if loss == "hinge" else THREE
    fitted = MLPClassifier(**{**SMALL, "max_iter": 100, "learning_rate_init": 0.01}, loss=loss).fit(X, target)
    assert fitted.score(X, target) > 0.8
    assert hasattr(fitted, "predict_proba") == (loss != "hinge")


def test_regressors_take_other_losses_and_quantiles() -> None:
    def absolute(output: Any, y: Any) -> Any:
        return np.mean(np.abs(output - y))

    given = {**SMALL, "max_iter": 60, "learning_rate_init": 0.01}
    own = MLPRegressor(absolute, **given).fit(X, Y)
    known = MLPRegressor("absolute_error", **given).fit(X, Y)
    np.testing.assert_allclose(own.predict(X), known.predict(X), rtol=1e-6)
    assert MLPRegressor(fl.nn.Huber(0.5), **given).fit(X, Y).score(X, Y) > 0.4
    quantiles = MLPRegressor("pinball", quantiles=(0.9, 0.1, 0.5), early_stopping=True, **given).fit(X, Y).predict(X)
    assert quantiles.shape == (120, 3) and (np.diff(quantiles, axis=1) >= 0).all()
    with pytest.raises(ValueError, match="quantiles belong to loss='pinball' and one target"):
        MLPRegressor(quantiles=(0.1, 0.9)).fit(X, Y)


def test_transform_gives_the_last_hidden_layer_and_its_names() -> None:
    fitted = MLPClassifier(**SMALL).fit(X, THREE)
    hidden = fitted.transform(X)
    np.testing.assert_allclose(hidden, np.maximum(X @ fitted.coefs_[0] + fitted.intercepts_[0], 0), atol=1e-12)
    assert [*fitted.get_feature_names_out()] == [f"mlpclassifier{i}" for i in range(8)]
    pandas = pytest.importorskip("pandas")
    frame = fitted.set_output(transform="pandas").transform(X)
    assert isinstance(frame, pandas.DataFrame) and [*frame.columns] == [f"mlpclassifier{i}" for i in range(8)]


def test_without_hidden_layers_the_features_are_those_of_x() -> None:
    fitted = MLPClassifier((), max_iter=3).fit(X, TWO)
    np.testing.assert_array_equal(fitted.transform(X), X)
    assert len(fitted.get_feature_names_out()) == X.shape[1]


def test_a_score_that_is_never_a_number_is_told() -> None:
    one_class = {"X_val": X[:5], "y_val": np.zeros(5, int)}
    with pytest.warns(UserWarning, match="NaN in every epoch"):
        MLPClassifier(**SMALL, early_stopping=True, scoring="roc_auc").fit(X, TWO, **one_class)


def test_help_tells_every_argument() -> None:
    for kind in (MLPClassifier, MLPRegressor):
        told = f"{kind.__doc__}{MLPClassifier.__doc__}"
        assert [name for name in kind().get_params() if name not in told] == []


def test_input_gradients_are_those_of_differences() -> None:
    for fitted, count in (
        (MLPRegressor(**SMALL, activation="tanh").fit(X, Y), 1),
        (MLPRegressor(**SMALL, activation="tanh").fit(X, SEVERAL), 3),
    ):
        gradient = fitted.input_gradient(X).reshape(120, count, 5)
        for place in range(5):
            step = np.eye(5)[place] * 1e-5
            slope = (fitted.predict(X + step) - fitted.predict(X - step)).reshape(120, count) / 2e-5
            np.testing.assert_allclose(gradient[:, :, place], slope, rtol=1e-5, atol=1e-8)


def test_events_are_handed_on_and_may_stop() -> None:
    seen: list[Any] = []

    def until_the_fifth(event: Any) -> bool:
        seen.append(event)
        return isinstance(event, fl.events.EpochEnded) and event.epoch == 4

    fitted = MLPClassifier(**{**SMALL, "max_iter": 100}, events=until_the_fifth).fit(X, TWO)
    assert fitted.n_iter_ == 5
    assert isinstance(seen[0], fl.events.TrainingStarted) and isinstance(seen[-1], fl.events.TrainingEnded)


def test_verbose_prints_scikit_learn_s_lines(capsys: pytest.CaptureFixture[str]) -> None:
    for kind in (MLPClassifier, theirs.MLPClassifier):
        kind(**SMALL, verbose=True, shuffle=False, tol=10.0, n_iter_no_change=2).fit(X, TWO)
    ours, peers = capsys.readouterr().out.rsplit("Iteration 1,", 1)
    assert ours == "Iteration 1," + peers
    MLPClassifier(**SMALL, verbose=True, early_stopping=True).fit(X, TWO)
    assert "Validation score: 0." in capsys.readouterr().out


def test_a_run_that_diverges_says_so() -> None:
    given = {**SMALL, "solver": "sgd", "learning_rate_init": 1e6}
    with pytest.raises(ValueError, match=r"Solver produced non-finite parameter weights\.(.|\n)*try: .*learning_rate"):
        MLPRegressor(**given).fit(X, Y)
    with pytest.warns(ConvergenceWarning, match="The loss stopped being finite in iteration"):
        fitted = MLPRegressor(**given, early_stopping=True).fit(X, Y)
    assert np.isfinite(fitted.predict(X)).all() and math.isnan(fitted.validation_scores_[-1])


def test_whoever_reaches_the_limit_is_warned_in_scikit_learn_s_words() -> None:
    words = r"Stochastic Optimizer: Maximum iterations \(15\) reached and the optimization hasn't converged yet."
    for kind in (MLPClassifier, theirs.MLPClassifier):
        with pytest.warns(ConvergenceWarning, match=words):
            kind(**SMALL).fit(X, TWO)
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge after 15 iteration"):
        MLPClassifier(**SMALL, solver="lbfgs", tol=0.0).fit(X, TWO)


def test_float64_is_kept_where_float32_would_lose_digits() -> None:
    many = RNG.normal(size=(1500, 3))
    target = (many[:, 0] > 0).astype(int)
    assert MLPClassifier(**SMALL).fit(many, target)._precision == "float32"
    far, spiked, tailed = many + [0, 1e6, 0], many.copy(), np.exp(2 * many)
    spiked[7], spiked[:, 1] = 1e6, np.maximum(0, spiked[:, 1] - 1)
    assert MLPClassifier(**SMALL).fit(spiked, target)._precision == "float32"
    assert MLPClassifier(**SMALL).fit(tailed, target)._precision == "float32"
    assert MLPRegressor(**SMALL).fit(many, many[:, 0] * 1000)._precision == "float32"
    assert MLPClassifier(**SMALL).fit(far, target)._precision == "float64"
    far[7] = 0  # one number makes no spread
    assert MLPClassifier(**SMALL).fit(far, target)._precision == "float64"
    for column in (many[:, 0] + 1e6, many[:, 0] * 1e20):
        assert MLPRegressor(**SMALL).fit(many, column)._precision == "float64"
    for weight in (1e-30, 1e30, 1e300):
        assert MLPClassifier(**SMALL).fit(many, target, np.full(1500, weight))._precision == "float64"
    assert MLPClassifier(**{**SMALL, "learning_rate_init": 1e-6}).fit(many, target)._precision == "float64"
    assert MLPClassifier(**SMALL).fit(X, TWO)._precision == "float64"
    assert MLPClassifier(**SMALL, dtype="float64").fit(many, target)._precision == "float64"
    assert MLPClassifier(**SMALL, solver="lbfgs").fit(many, target)._precision == "float64"
    assert MLPClassifier(**SMALL).fit(X.astype(np.float32), TWO).coefs_[0].dtype == np.float32


def test_the_model_is_saved_and_predicts_the_labels(tmp_path: Any) -> None:
    fitted = MLPClassifier(**SMALL).fit(X, THREE)
    fl.save_model(fitted.model_, tmp_path / "model.safetensors")
    model = fl.load_model(tmp_path / "model.safetensors")
    assert np.array_equal(model.predict(X), fitted.predict(X))
    regressor = MLPRegressor(**SMALL).fit(X, Y)
    assert np.array_equal(regressor.model_.predict(X), regressor.predict(X))


def test_the_same_random_state_comes_to_the_same_bits_on_any_number_of_threads() -> None:
    first = MLPClassifier(**SMALL, n_jobs=1).fit(X, THREE)
    for jobs in (None, 2, -1):
        assert np.array_equal(MLPClassifier(**SMALL, n_jobs=jobs).fit(X, THREE).coefs_[0], first.coefs_[0])
    state = np.random.RandomState(0)
    own = {**SMALL, "random_state": state}
    one, other = (MLPClassifier(**own).fit(X, THREE).coefs_[0] for _ in range(2))
    assert np.array_equal(one, first.coefs_[0]) and not np.array_equal(one, other)


def test_real_data_are_learnt_as_well_as_by_scikit_learn_s() -> None:
    for load, options in ((load_digits, {"max_iter": 60}), (load_iris, {"solver": "lbfgs", "max_iter": 300})):
        x, y = load(return_X_y=True)
        x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-9)
        ours, peer = (
            kind(random_state=0, **options).fit(x[::2], y[::2]) for kind in (MLPClassifier, theirs.MLPClassifier)
        )
        assert ours.score(x[1::2], y[1::2]) >= peer.score(x[1::2], y[1::2]) - 0.02
        assert ours.loss_ <= 1.2 * peer.loss_ + 1e-3


def test_several_labels_are_predicted_in_the_form_they_were_given() -> None:
    x, y = make_multilabel_classification(n_samples=60, random_state=0)
    dense = MLPClassifier(**SMALL).fit(x, y)
    sparse = MLPClassifier(**SMALL).fit(x, scipy.sparse.csr_matrix(y))
    assert scipy.sparse.issparse(sparse.predict(x))
    assert np.array_equal(sparse.predict(x).toarray(), dense.predict(x))
    stopped = MLPClassifier(**SMALL, early_stopping=True).fit(x, y)
    assert len(stopped.validation_scores_) == stopped.n_iter_


def test_one_class_is_predicted_always() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        fitted = MLPClassifier(**SMALL).fit(X, np.full(120, "all"))
    assert set(fitted.predict(X)) == {"all"}


def test_a_warm_start_takes_weights_over_into_a_changed_network() -> None:
    fitted = MLPRegressor(**SMALL, warm_start=True).fit(X, Y)
    before = fitted.loss_
    assert fitted.fit(X, Y).loss_curve_[15] < before
    weights = [w.copy() for w in fitted.coefs_]
    fitted.set_params(activation="tanh", dropout=0.1, max_iter=1, learning_rate_init=1e-9).fit(X, Y)
    for mine, then in zip(fitted.coefs_, weights, strict=True):
        np.testing.assert_allclose(mine, then, atol=1e-6)
    with pytest.raises(ValueError, match=r"coefs_\[0\] has shape \(5, 8\), and the network's is \(5, 9\)"):
        fitted.set_params(hidden_layer_sizes=(9,)).fit(X, Y)
    with pytest.raises(ValueError, match="coefs_ and intercepts_ hold 2 and 2 arrays, and the network has 3 layers"):
        fitted.set_params(hidden_layer_sizes=(8, 8)).partial_fit(X, Y)


def test_bad_weights_and_targets_are_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        MLPRegressor(**SMALL).fit(X, Y, np.full(120, np.nan))
    with pytest.raises(ValueError, match="weights are >= 0"):
        MLPRegressor(**SMALL).fit(X, Y, -WEIGHT)
    with pytest.raises(ValueError, match="at least one non-zero"):
        MLPRegressor(**SMALL).fit(X, Y, np.zeros(120))
    with pytest.raises(ValueError, match="Unknown label type"):
        MLPClassifier(**SMALL).fit(X, Y)
    with pytest.raises(ValueError, match="counts are >= 0"):
        MLPRegressor("poisson", **SMALL).fit(X, Y)
