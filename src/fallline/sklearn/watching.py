"""From `scoring` and `metrics` of an estimator to the metrics of a training, and the one that stops it.

Knows no estimator.
"""

from typing import Any

from fallline.nn import Metric
from fallline.nn.measured import resolve
from fallline.nn.scorer import is_scorer

# The name of a score that is a caller's function without a name of its own.
SCORE = "score"


def metrics_of(metrics: Any, scoring: Any, usual: str | Metric | None) -> tuple[tuple[Metric, ...], str]:
    """The metrics to measure on validation rows, and the name of the score among them, "loss" for the loss.

    metrics: as for `fit`. scoring: None for the usual score; "loss"; a metric's or scorer's name, a scorer, or a
        function f(y_true, y_pred), of which more is better.
    Errors: ArgumentError for unknown names.
    """
    chosen = usual if scoring is None else scoring
    others = resolve(metrics)
    if chosen is None or (isinstance(chosen, str) and chosen == "loss"):
        return others, "loss"
    if callable(chosen) and not isinstance(chosen, Metric) and not is_scorer(chosen):
        chosen = Metric(chosen, better="higher", name=getattr(chosen, "__name__", SCORE).strip("<>"))
    (score,) = resolve(chosen)
    return (*(one for one in others if one.name != score.name), score), score.name
