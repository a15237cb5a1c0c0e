"""The part that MLPClassifier and MLPRegressor share: rows, one training, and the fitted attributes that it leaves.

A subclass says what its targets are. The training itself is the library's: this file makes its settings and reads its
events, and holds no loop over steps.
"""

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from fallline.arrays import Array
from fallline.errors import ArgumentError
from fallline.jobs.training_state import TrainingState
from fallline.nn import L2, Metric, Model, Objective
from fallline.nn.loss import Loss
from fallline.optim import MINIMISERS, Minimiser
from fallline.runs.events import EpochEnded
from fallline.sklearn import networks
from fallline.sklearn.curves import Curves, columns_of
from fallline.sklearn.fit_callbacks import CallbackSupport, Told
from fallline.sklearn.mlp_options import MLPOptions
from fallline.sklearn.precision import precision_of
from fallline.sklearn.programs import training_of
from fallline.sklearn.sparse_rows import data_of, to_predict
from fallline.sklearn.watching import metrics_of
from fallline.sklearn.workers import lanes_for
from fallline.training.run import Run
from fallline.training.training import Training
from fallline.transforms import grad

SPARSE, PRECISIONS = ["csr", "csc"], (np.float64, np.float32)
SEEDS = np.iinfo(np.int32).max
# The roles of targets: all there is to learn, the same once more, and some of it.
FIRST, AGAIN, SOME = "first", "again", "some"
# Rows of a step where there are as many, as in scikit-learn.
BATCH = 200
NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)


@dataclass(frozen=True)
class Truth:
    """Targets as a training takes them.

    y: codes of classes, (N,), or numbers, (N, M). outputs: of the network. loss: without the penalty. offset: what
    scikit-learn's loss has beside it, a constant of the data. labels: codes of the classes, None for numbers.
    score: what early stopping watches; None for the loss. stratify: codes of which a split keeps the shares.
    """

    y: Array
    outputs: int
    loss: Loss
    offset: float = 0.0
    labels: Array | None = None
    score: str | Metric | None = None
    stratify: Array | None = None


def can_partial_fit(estimator: Any) -> bool:
    """True, or the AttributeError of scikit-learn for a solver that needs all rows."""
    if isinstance(estimator.solver, Minimiser) or estimator.solver in MINIMISERS:
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not stochastic."
        )
    return True


class Multilayer(CallbackSupport, ClassNamePrefixFeaturesOutMixin, TransformerMixin, MLPOptions, BaseEstimator, ABC):  # type: ignore[misc]  # scikit-learn has no types
    """An MLP estimator without its targets."""

    hidden_layer_sizes: Any
    activation: Any
    loss: Any
    _model: Model
    _going: Training | None  # of partial_fit, whose programs the next call uses
    _state: TrainingState | None  # of the optimizer, which partial_fit goes on from
    coefs_: list[Array]
    intercepts_: list[Array]
    loss_curve_: list[float]
    best_loss_: float | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None

    @abstractmethod
    def _targets(self, X: Any, y: Any, *, reset: bool, role: str) -> tuple[Any, Array]:
        """X and y validated. role: FIRST for targets that say what there is to learn; AGAIN, SOME for more of them."""

    @abstractmethod
    def _truth(self, y: Array) -> Truth:
        """Validated targets as a training takes them."""

    @abstractmethod
    def _weights(self, y: Array, weight: Array | None) -> Array | None:
        """Weights of rows; None where all are 1."""

    @property
    @abstractmethod
    def _link(self) -> str:
        """scikit-learn's name of the output activation."""

    def _fit(self, X: Any, y: Any, sample_weight: Any, held: tuple[Any, ...] = (), incremental: bool = False) -> Any:
        """One call of fit, or of partial_fit. held: X_val, y_val, sample_weight_val."""
        sizes = networks.hidden_sizes(self.hidden_layer_sizes)
        given = X, y
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        role = AGAIN if self.warm_start else SOME if incremental else FIRST
        X, y = self._targets(X, y, reset=first, role=role)
        truth = self._truth(y)
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        weight = self._weights(y, weight)
        if incremental and self.early_stopping:
            raise ArgumentError("partial_fit does not support early_stopping=True")
        rng = check_random_state(self.random_state)
        loss = Objective(truth.loss, penalty=L2(float(self.alpha), per_row=True) if self.alpha else None)
        if first or not hasattr(self, "_model"):
            self._begin(X, truth, weight, loss, sizes, rng)
        else:
            self._go_on_with(sizes, truth, X, loss, rng)
        before = self._current()
        model = networks.in_precision(replace(before, loss=loss, classes=truth.labels), np.dtype(self._precision))
        kept, validation = self._split(X, truth, held, rng)
        seed = self._seed if incremental or first else int(rng.randint(SEEDS))
        rows = X.shape[0] if kept is None else X.shape[0] - len(validation)
        data = data_of(X, truth.y, weight, model.dtype)
        training = self._training(model, data, rows, validation, truth.score, seed, incremental)
        run, curves = self._run(training, truth, given, 1 if incremental else int(self.max_iter))
        self._take_run(run, curves, rows, incremental, before, data)
        self._going = training if incremental else None
        return self

    def _begin(self, X: Any, truth: Truth, weight: Array | None, loss: Loss, sizes: list[int], rng: Any) -> None:
        """First parameters, and attributes as before the first epoch."""
        given = (self.coefs_, self.intercepts_) if hasattr(self, "coefs_") and not hasattr(self, "_model") else None
        rate = float(self.learning_rate_init)
        self._precision = precision_of(X, truth.y, weight, self.dtype, rate, self._is_minimised)
        network = networks.network_of(sizes, truth.outputs, self.activation, self.dropout, self.normalization)
        model = networks.drawn(network, X.shape[1], loss, self.activation, rng, self._precision)
        self._take(networks.in_precision(model, X.dtype))
        if given is not None:  # by a caller who never fitted
            self.coefs_, self.intercepts_ = given
        self._seed = int(rng.randint(SEEDS))
        self._going = self._state = None
        self.n_outputs_, self.n_layers_, self.t_ = truth.outputs, len(sizes) + 2, 0
        self.out_activation_ = self._link
        self.loss_curve_ = []
        self.best_loss_ = None if self.early_stopping else np.inf
        self.validation_scores_ = [] if self.early_stopping else None
        self.best_validation_score_ = -np.inf if self.early_stopping else None

    def _go_on_with(self, sizes: list[int], truth: Truth, X: Any, loss: Loss, rng: Any) -> None:
        """Take over weights into another network where arguments have changed since they were trained.

        Errors: ArgumentError where the widths are others.
        """
        network = networks.network_of(sizes, truth.outputs, self.activation, self.dropout, self.normalization)
        if network == self._model.network:
            return
        model = networks.drawn(network, X.shape[1], loss, self.activation, rng, self._precision)
        model = networks.in_precision(model, self._model.dtype)
        self._take(networks.with_coefficients(model, self.coefs_, self.intercepts_))
        self._going = self._state = None

    def _current(self) -> Model:
        """The model, with the arrays that stand in `coefs_` and `intercepts_`: a caller may have put others there."""
        mine, given = self._views, [*self.coefs_, *self.intercepts_]
        if len(given) != len(mine) or any(a is not b for a, b in zip(given, mine)):
            self._take(networks.with_coefficients(self._model, self.coefs_, self.intercepts_))
        return self._model

    def _take(self, model: Model) -> None:
        self._model = model
        pairs = networks.dense_parameters(model)
        self.coefs_, self.intercepts_ = [w for w, _ in pairs], [b for _, b in pairs]
        self._views = (*self.coefs_, *self.intercepts_)

    def _split(self, X: Any, truth: Truth, held: tuple[Any, ...], rng: Any) -> tuple[Array | None, Any]:
        """The rows to train on, None for all, and validation: numbers of rows of X, or rows that were given."""
        X_val, y_val, weight_val = held or (None, None, None)
        if X_val is not None:
            X_val, y_val = self._targets(X_val, y_val, reset=False, role=SOME)
            weight_val = None if weight_val is None else _check_sample_weight(weight_val, X_val)
            return None, data_of(X_val, self._truth(y_val).y, weight_val, np.dtype(self._precision))
        if y_val is not None or weight_val is not None:
            raise ArgumentError(
                "y_val and sample_weight_val belong to X_val, which is None\n  try: fit(X, y, X_val=X_val)"
            )
        if not self.early_stopping or self._is_minimised:
            return None, None
        numbers, share = np.arange(X.shape[0]), self.validation_fraction
        kept, out = train_test_split(numbers, random_state=rng, test_size=share, stratify=truth.stratify)
        if len(out) < 2:
            raise ArgumentError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        return kept, np.sort(out)

    def _training(
        self, model: Model, data: Any, rows: int, validation: Any, score: Any, seed: int, incremental: bool
    ) -> Training:
        size: int | str = "full" if self._is_minimised else self._batch_rows(rows)
        steps = -(-rows // size) if isinstance(size, int) else 1
        invscaled = incremental and self.t_ and self.learning_rate == "invscaling"
        rate = self.learning_rate_init / (self.t_ + 1) ** self.power_t if invscaled else None
        settings: dict[str, Any] = {
            "optimizer": self._optimizer(rows, steps, rate), "epochs": 1 if incremental else int(self.max_iter),
            "batch_size": size, "shuffle": bool(self.shuffle), "seed": seed, "threads": lanes_for(self.n_jobs),
        }  # fmt: skip
        if incremental and self._going is not None and self._going.job.settings.given.dtype == self._precision:
            going = self._going.run
            if going.model.loss == model.loss and np.array_equal(going.model.theta, model.theta):
                return self._going.more(data, **settings)
        state = None
        if incremental and self._state is not None:
            state = replace(self._state, model=model)
        metrics, watch = None, None
        if self.metrics is not None and validation is None and not incremental:
            raise ArgumentError(f"metrics={self.metrics!r} is measured on rows for validation, and there are none\n"
                                "  try: early_stopping=True, or fit(X, y, X_val=X_val, y_val=y_val)")  # fmt: skip
        if validation is not None:
            metrics, name = metrics_of(self.metrics, self.scoring, score)
            watch = name if self.early_stopping or self.restore_best else None
        rule = None if incremental else self._rule(watch)
        # A function may read a value that has changed since the last fit, so its program is made anew.
        named = all(isinstance(one, str) for one in (self.loss, self.activation, self.solver, self.learning_rate))
        return training_of(
            model, data, reusable=named, validation=validation, metrics=metrics, early_stopping=rule or False,
            dtype=self._precision, init=state, **settings,
        )  # fmt: skip

    def _batch_rows(self, rows: int) -> int:
        if isinstance(self.batch_size, str):
            return min(BATCH, rows)
        if self.batch_size > rows:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=5
            )
        return int(np.clip(self.batch_size, 1, rows))

    def _run(self, training: Training, truth: Truth, given: tuple[Any, Any], epochs: int) -> tuple[Run, Curves]:
        """Make the training, and read its events."""
        curves, told, stopped = Curves(bool(self.verbose), self.events, truth.offset), Told(self, epochs, *given), False

        def attributes() -> dict[str, Any]:
            model = networks.in_precision(training.run.model, self._model.dtype)
            pairs = networks.dense_parameters(model)
            coefs, intercepts = [w for w, _ in pairs], [b for _, b in pairs]
            return {"_model": model, "_views": (*coefs, *intercepts), "coefs_": coefs, "intercepts_": intercepts,
                    "n_iter_": len(curves.loss), "loss_": curves.loss[-1] if curves.loss else float("nan")}  # fmt: skip

        with training.interrupts:
            for event in training:
                stop = curves.see(event)
                if told.anybody and isinstance(event, EpochEnded):
                    stop = told.epoch_ended(attributes) or stop
                if stop:
                    stopped = True
                    training.stop()
        run = training.run
        if told.anybody:
            told.ended(attributes)
        if run.stop_reason == "interrupted" and not stopped:
            warnings.warn("Training interrupted by user.", stacklevel=5)
        return run, curves

    def _take_run(self, run: Run, curves: Curves, rows: int, incremental: bool, before: Model, data: Any) -> None:
        """The fitted attributes after a training."""
        reason, best = run.stop_reason, self.best_validation_score_
        scores = curves.scores if self.early_stopping else []
        if reason == "diverged" and self.early_stopping:
            scores.append(float("nan"))
        if (reason == "diverged" and not self.early_stopping) or not np.isfinite(run.model.theta).all():
            advice = f"\n{run.diverged.advice}" if run.diverged is not None else ""
            raise ArgumentError(NOT_FINITE + advice)
        model = networks.in_precision(run.model, before.dtype)
        known = [score for score in scores if np.isfinite(score)]
        if scores and not known and reason != "diverged":
            warnings.warn("The validation score is NaN in every epoch, so it chose none of them. Are there too few "
                          "rows for validation, or rows of one class?", stacklevel=5)  # fmt: skip
        if self.early_stopping and best is not None and np.isfinite(best) and max(known, default=-np.inf) <= best:
            model = before  # of an earlier fit, which this one goes on from, and which was better
        self._take(model)
        self._state = None if run.ended_with is None else run.ended_with
        self.n_iter_, self.history_ = len(curves.loss), columns_of(run.history)
        self.t_ += rows * self.n_iter_
        self.loss_curve_.extend(curves.loss)
        self.loss_ = curves.loss[-1] if curves.loss else float("nan")
        if self._is_minimised:
            self.loss_ = curves.offset + self._value(model, data)
        if self.best_loss_ is not None:
            self.best_loss_ = min([self.best_loss_, *curves.loss, self.loss_])
        if self.validation_scores_ is not None and best is not None:
            self.validation_scores_.extend(scores)
            self.best_validation_score_ = max([best, *known])
        self._say_how_it_ended(run, curves, incremental)

    def _value(self, model: Model, data: Any) -> float:
        """The loss of all rows with its penalty, where a minimiser ended."""
        weight = data[2] if isinstance(data, tuple) and len(data) == 3 else None
        rows = len(data[0]) if isinstance(data, tuple) else data.rows
        squares = sum(float(np.sum(np.square(coef, dtype=np.float64))) for coef in self.coefs_)
        penalty = 0.5 * self.alpha * squares / (rows if weight is None else float(np.sum(weight)))
        return float(model.evaluate(data)["loss"]) + penalty

    def _say_how_it_ended(self, run: Run, curves: Curves, incremental: bool) -> None:
        """The warnings and the last line of `verbose`."""
        reason = run.stop_reason
        if reason == "early_stopping":
            curves.tell_end(self.tol, self.n_iter_no_change)
        if reason == "diverged" and run.diverged is not None:
            told = (
                f"The loss stopped being finite in iteration {self.n_iter_ + 1}; the best parameters so far are kept."
            )
            warnings.warn(f"{told}\n{run.diverged.advice}", ConvergenceWarning, stacklevel=6)
        if reason != "finished" or incremental:
            return
        if self._is_minimised:
            limit = f"max_iter={self.max_iter}" if self.n_iter_ >= self.max_iter else f"max_fun={self.max_fun}"
            text = f"lbfgs failed to converge after {self.n_iter_} iteration(s): the limit {limit} was reached.\n\n"
            text += "Increase it, or scale the data."
        else:
            text = f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization "
            text += "hasn't converged yet."
        warnings.warn(text, ConvergenceWarning, stacklevel=6)

    def _outputs(self, X: Any, part: slice | None = None) -> Array:
        """The raw outputs of the network for rows; part: of its layers, None for all."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=SPARSE, dtype=PRECISIONS, reset=False)
        model = self._current() if part is None else self._current()[part]
        outputs: Array = model.outputs(to_predict(X, model.dtype), threads=lanes_for(self.n_jobs))
        return outputs

    def transform(self, X: Any) -> Array:
        """The activations of the last hidden layer, (N, hidden_layer_sizes[-1]): features that the network learnt.

        X itself where there is no hidden layer.
        """
        check_is_fitted(self)
        if self.n_layers_ > 2:
            return self._outputs(X, slice(0, -1))
        X = validate_data(self, X, accept_sparse=SPARSE, dtype=PRECISIONS, reset=False)
        return np.asarray(X.toarray() if hasattr(X, "toarray") else X)

    @property
    def _n_features_out(self) -> int:
        return int(self.coefs_[-1].shape[0])

    def input_gradient(self, X: Any) -> Array:
        """The derivatives of the outputs with respect to the inputs, row by row.

        Of one output, (N, D); of several, (N, n_outputs, D). Of a classifier the outputs are logits, of a regressor
        the predictions, and with loss="poisson" their logarithms.
        """
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=SPARSE, dtype=PRECISIONS, reset=False)
        model = self._current()
        x = np.asarray(X.toarray() if hasattr(X, "toarray") else X, model.dtype)

        def column(place: int) -> Array:
            found: Array = grad(lambda x: np.sum(model.apply(model.theta, x)[:, place]))(x)
            return found

        columns = [column(place) for place in range(self.n_outputs_)]
        return columns[0] if len(columns) == 1 else np.stack(columns, axis=1)

    def __getstate__(self) -> dict[str, Any]:
        """The pickled state: coefficients once, and nothing compiled."""
        state: dict[str, Any] = dict(super().__getstate__())
        if "_model" in state:
            state["_model"] = self._current()
            state = {name: value for name, value in state.items() if name not in ("coefs_", "intercepts_", "_views")}
            state["_going"] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_model" in state and "coefs_" not in state:
            self._take(self._model)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
