"""scikit-learn's scorers as metrics: objects that make_scorer returns, and names such as "neg_log_loss".

A scorer asks an estimator for its predictions of X. Here X was predicted already, so it gets an object that holds the
answers. The one place of this room that meets scikit-learn, which is imported when a scorer is used.
"""

from typing import Any

import numpy as np

from fallline.graph.op import Array
from fallline.nn.metric import Metric


class Held:
    """An estimator, as far as a scorer asks one: the answers for rows that are known already, whatever X is.

    predictions: as `Model.predict` gives them. probabilities: (N, K), classes in sorted order; None where there are
    none. decision: the network's outputs, of two classes one a row; read where there are no probabilities.
    """

    def __init__(
        self, predictions: Array, probabilities: Array | None, decision: Array | None, classes: Array | None
    ) -> None:
        self._is_classifier = classes is not None or probabilities is not None
        self._estimator_type = "classifier" if self._is_classifier else "regressor"  # scikit-learn 1.5 reads this
        answers = {"predict": predictions, "predict_proba": probabilities}
        if probabilities is None:
            answers["decision_function"] = decision
        for name, answer in answers.items():
            if answer is not None:
                setattr(self, name, _answering(name, answer))
        if classes is not None:
            self.classes_ = classes

    def fit(self, X: Any, y: Any) -> "Held":
        """Nothing: it answers already."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, RegressorTags, Tags, TargetTags

        target = TargetTags(required=True)
        if self._is_classifier:
            return Tags("classifier", target, classifier_tags=ClassifierTags())
        return Tags("regressor", target, regressor_tags=RegressorTags())


def _answering(name: str, answer: Array) -> Any:
    """A method of this name, which scorers read, that gives this answer."""

    def method(X: Any) -> Array:
        return answer

    method.__name__ = name
    return method


def is_scorer(given: Any) -> bool:
    """Whether it is a scorer: something to call that is an object of a class of scikit-learn's, and no function."""
    return callable(given) and type(given).__module__.startswith("sklearn.metrics")


def metric_of(scorer: Any, name: str = "") -> Metric:
    """A scorer as a metric; higher is better for every scorer. Its name is its function's where none is given."""

    def function(y_true: Array, y_pred: Any, sample_weight: Array | None = None) -> float:
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return float(scorer(y_pred, np.empty((len(y_true), 0)), y_true, **weights))

    name = name or getattr(getattr(scorer, "_score_func", None), "__name__", "") or "scorer"
    return Metric(function, better="higher", reads="estimator", name=name)


def names() -> list[str]:
    """The names of scikit-learn's scorers."""
    from sklearn.metrics import get_scorer_names

    return [*get_scorer_names()]


def called(name: str) -> Metric | None:
    """The scorer of this name as a metric; None where there is none."""
    if name not in names():
        return None
    from sklearn.metrics import get_scorer

    return metric_of(get_scorer(name), name)
