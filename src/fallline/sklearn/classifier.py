"""MLPClassifier: scikit-learn's classifier of that name, trained by `train`, with more arguments."""

from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_matrix, issparse
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data

from fallline.arrays import Array
from fallline.errors import ArgumentError
from fallline.nn import LOSSES, BinaryCrossEntropy, CrossEntropy, Metric, Model, Objective
from fallline.nn import loss as losses
from fallline.nn.loss import Loss
from fallline.ranges import option
from fallline.sklearn.fit_callbacks import managed
from fallline.sklearn.mlp_options import parameter_constraints, told
from fallline.sklearn.multilayer import AGAIN, FIRST, PRECISIONS, SPARSE, Multilayer, Truth, can_partial_fit

LOG_LOSS = "log_loss"
CROSS_ENTROPIES = (LOG_LOSS, "cross_entropy", "binary_cross_entropy")


def subset_accuracy(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
    """The share of rows all of whose labels are right."""
    right = np.all((y_pred > 0.5) == (y_true > 0.5), axis=1)
    return float(np.average(right, weights=sample_weight))


SUBSET_ACCURACY = Metric(subset_accuracy, better="higher")


def _has_probabilities(estimator: Any) -> bool:
    """True, or an AttributeError for a loss whose outputs are no probabilities."""
    given = estimator.loss
    loss = LOSSES.get(given) if isinstance(given, str) else given
    known = isinstance(loss, Loss) and loss.task in ("binary", "classification") and loss.link is not None
    if given != LOG_LOSS and not known:
        raise AttributeError(f"the loss {given!r} gives no probabilities")
    return True


@dataclass(eq=False, repr=False)
class MLPClassifier(ClassifierMixin, Multilayer):  # type: ignore[misc]  # scikit-learn has no types
    """A multi-layer perceptron that tells classes apart: scikit-learn's MLPClassifier, faster, and open.

        loss = mean over rows of -log p(class)  +  alpha / (2 n) sum w^2

    The arguments up to max_fun, the fitted attributes and the errors are those of scikit-learn 1.9; n is the number of
    rows of a batch, or the sum of their weights.
    hidden_layer_sizes: (100,) by default; () for none. activation: "relu", "tanh", "logistic", "identity", another name
        of nn.ACTIVATIONS, a record such as nn.LeakyReLU(0.1), a function of an array in NumPy, or a list with one for
        each hidden layer.
    solver: "adam", "sgd", "lbfgs", another name of optim.OPTIMIZERS, or a record such as optim.AdamW(1e-3).
    learning_rate: "constant", and for sgd "invscaling" and "adaptive"; the name of a schedule such as "cosine", a
        schedule, or a function of the step. verbose: True prints a line for each epoch.
    Beyond scikit-learn's, by name alone:
    loss: "log_loss", a name of nn.LOSSES such as "hinge", a record such as nn.CrossEntropy(label_smoothing=0.1), or a
        function(outputs, y) -> scalar in NumPy, with codes of classes in y.
    class_weight: None, "balanced", or a dict of weights by class. dropout: the share of hidden values left out while
        training, or a list with one for each hidden layer. normalization: None or "batch".
    scoring: early_stopping watches it, on the validation rows: None for the accuracy, "loss", a metric of nn.METRICS or
        a scorer of scikit-learn. metrics: more numbers for `history_`, likewise. restore_best: True ends with the
        parameters of the best epoch by that score.
    events: a function of each event of the training; True from it stops. n_jobs: cores; None for all of them, and for
        its share in a worker of joblib. dtype: of the arithmetic: "auto" is that of X, or float32 for more than 1000
        rows of float64 whose digits survive that.
    Fitted: classes_, coefs_, intercepts_ (views of one vector: what is written into them counts), n_iter_, t_, loss_,
        best_loss_, loss_curve_, validation_scores_, best_validation_score_, n_outputs_, n_layers_, out_activation_,
        n_features_in_, feature_names_in_, history_ (a list for each of loss, validation_loss, the metrics and
        learning_rate), model_ (the fallline model: fl.save_model(clf.model_, "model.safetensors")).
    Differences from scikit-learn: random_state draws the same first parameters and another order of rows.
    Errors: ValueError and TypeError as in scikit-learn.
    Example: MLPClassifier(solver=optim.AdamW(1e-3), dropout=0.2, class_weight="balanced").fit(X, y, X_val=X2, y_val=y2)
    Source: Rumelhart, Hinton, Williams 1986, Learning representations by back-propagating errors.
    """

    hidden_layer_sizes: Any = option((100,), "widths of the hidden layers", at_least=1, whole=True)
    activation: Any = "relu"
    _: KW_ONLY
    loss: Any = option(LOG_LOSS, "the loss to minimise", number=False, words=(LOG_LOSS, *LOSSES))
    class_weight: Any = option(None, "weights of classes", number=False, words=("balanced",), optional=True)

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {}

    @managed
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> "MLPClassifier":  # fmt: skip
        """Train. X: (N, D), dense or sparse. y: labels, (N,), or an indicator of several labels, (N, K).

        sample_weight: (N,). X_val, y_val, sample_weight_val: rows for validation; without them early_stopping takes a
        share of X.
        """
        return self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))  # type: ignore[no-any-return]

    @available_if(can_partial_fit)  # type: ignore[untyped-decorator]
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> "MLPClassifier":
        """One epoch over these rows, going on from the last. classes: all there will be; needed in the first call."""
        if _check_partial_fit_first_call(self, classes):
            self._learn_classes(y if type_of_target(y).startswith("multilabel") else classes)
        return self._fit(X, y, sample_weight, incremental=True)  # type: ignore[no-any-return]

    def _learn_classes(self, y: Any) -> None:
        binarizer = LabelBinarizer().fit(y)
        self.classes_, self._kind, self._is_sparse = binarizer.classes_, binarizer.y_type_, issparse(y)

    def _targets(self, X: Any, y: Any, *, reset: bool, role: str) -> tuple[Any, Array]:
        X, y = validate_data(self, X, y, accept_sparse=SPARSE, multi_output=True, dtype=PRECISIONS, reset=reset)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if role == FIRST or not hasattr(self, "classes_"):
            self._learn_classes(y)
            return X, y
        classes = unique_labels(y)
        if role == AGAIN and set(classes) != set(self.classes_):
            raise ArgumentError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                f"Previously got {self.classes_}, `y` has {classes}"
            )
        if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ArgumentError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}."
            )
        return X, y

    def _truth(self, y: Any) -> Truth:
        if self._is_multilabel:
            table = np.asarray(y.toarray() if issparse(y) else y) > 0
            count = table.shape[1]
            loss: Loss = Objective(BinaryCrossEntropy(), factor=float(count))
            return Truth(table.astype(np.float64), count, self._chosen(loss), score=SUBSET_ACCURACY)
        codes = np.searchsorted(self.classes_, y)
        if len(self.classes_) > 2:
            count = len(self.classes_)
            return Truth(codes, count, self._chosen(CrossEntropy()), labels=np.arange(count), score="accuracy")
        labels, column = np.arange(2), codes.astype(bool)[:, np.newaxis]
        return Truth(codes, 1, self._chosen(BinaryCrossEntropy()), labels=labels, score="accuracy", stratify=column)

    def _chosen(self, usual: Loss) -> Loss:
        """The loss of the arguments; a cross-entropy by name is the one that fits the classes."""
        return usual if isinstance(self.loss, str) and self.loss in CROSS_ENTROPIES else losses.get(self.loss)

    def _weights(self, y: Array, weight: Array | None) -> Array | None:
        if self.class_weight is None:
            return weight
        given: Any = y
        by_class: Array = compute_sample_weight(self.class_weight, given.toarray() if issparse(y) else y)
        return by_class if weight is None else by_class * weight

    @property
    def _is_multilabel(self) -> bool:
        return bool(self._kind == "multilabel-indicator")

    @property
    def _link(self) -> str:
        return "logistic" if self._is_multilabel or len(self.classes_) <= 2 else "softmax"

    @property
    def model_(self) -> Model:
        """The fallline model, which predicts labels as this estimator does; `fl.save_model` writes it."""
        check_is_fitted(self)
        labels = self.classes_ if self.classes_.dtype.kind in "iufbU" else self.classes_.astype(str)
        is_named = not self._is_multilabel and len(labels) > 1
        return replace(self._current(), classes=labels if is_named else None)

    def predict(self, X: Any) -> Any:
        """The classes, (N,), or an indicator of several labels, (N, K)."""
        z = self._outputs(X)
        if self._is_multilabel:
            labels = (z > 0).astype(int)
            return csr_matrix(labels) if self._is_sparse else labels
        if z.shape[1] > 1:
            return self.classes_[np.argmax(z, axis=1)]
        return self.classes_[np.minimum((z[:, 0] > 0).astype(np.intp), len(self.classes_) - 1)]

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, (N, K), in the order of classes_; of several labels, of each by itself."""
        z = self._outputs(X)
        link = self._model.loss.link
        assert link is not None
        p = np.asarray(link(z))
        return np.concatenate([1 - p, p], axis=1) if p.shape[1] == 1 else p

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: Any) -> Array:
        """The logarithms of predict_proba."""
        p: Array = self.predict_proba(X)
        logs: Array = np.log(p, out=p)
        return logs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


MLPClassifier._parameter_constraints = parameter_constraints(MLPClassifier)
MLPClassifier.__doc__ = f"{MLPClassifier.__doc__}\n{told(MLPClassifier)}"
