"""The measures of a prediction: accuracy, AUC and log-loss of probabilities, RMSE of quantities."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmarks.quality.raw_tables import Array


def scores(y: Array, predicted: Array, classes: Array | None) -> Mapping[str, float]:
    """The measures on these rows.

    y: (N,) labels or quantities. predicted: (N, K) probabilities of the classes, sorted; or (N,) quantities, with None
    for the classes. AUC is the mean over classes, one against the rest. Rows of a class that was not trained on count
    as wrong, at the probability 2^-52, below which none is taken.
    """
    if classes is None:
        return {"rmse": float(np.sqrt(np.mean((predicted - y) ** 2)))}
    from sklearn.metrics import roc_auc_score

    p = np.clip(np.asarray(predicted, np.float64), 2.0**-52, 1)
    p /= p.sum(axis=1, keepdims=True)
    place = np.searchsorted(classes, y).clip(max=len(classes) - 1)
    known = classes[place] == y
    own = np.where(known, p[np.arange(len(y)), place], 2.0**-52)
    told = [k for k in range(len(classes)) if 0 < np.sum(y == classes[k]) < len(y)]
    auc = np.mean([roc_auc_score(y == classes[k], p[:, k]) for k in (told if len(classes) > 2 else told[:1])])
    return {
        "error": 1 - float(np.mean(known & (p.argmax(axis=1) == place))),
        "auc": float(auc),
        "log_loss": -float(np.mean(np.log(own))),
    }
