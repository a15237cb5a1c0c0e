"""How fast tables are trained and predicted by presets; and MLPClassifier beside scikit-learn's."""

from __future__ import annotations

import warnings
from statistics import median
from typing import Any

import numpy as np

from benchmarks.measurement import Found, Measure, missed, timed, verdict
from benchmarks.processes import apart
from fallline.bench.markdown import seconds, times

# Rows, columns, preset, and the seconds that a training may take on two cores.
TRAINED = ((1_200, 9, "fast", 1.0), (8_000, 9, "fast", 9.0), (8_000, 9, "default", 18.0), (16_500, 9, "fast", 20.0),
           (16_500, 9, "default", 40.0))  # fmt: skip
PREDICTED_SECONDS = 2e-3
MLP_RATIO = 4.0


def made(rows: int, columns: int) -> tuple[Any, Any]:
    """A regression of numbers with a curved answer and noise."""
    rng = np.random.default_rng(rows)
    x = rng.normal(size=(rows, columns))
    return x, np.sin(x[:, 0]) * x[:, 1] + x[:, 2] ** 2 + 0.1 * rng.normal(size=rows)


def training(rows: int, columns: int, preset: str, rounds: int = 3) -> dict[str, float]:
    """Seconds of a fit, after one of few rows that fills caches, and of a prediction of 1,000 rows; the least each."""
    from fallline.sklearn import TabularRegressor

    x, y = made(rows, columns)
    TabularRegressor(preset=preset, max_iter=1, random_state=0).fit(x[:200], y[:200])
    model = TabularRegressor(preset=preset, random_state=0)
    took = min(timed(lambda: model.fit(x, y)) for _ in range(1 if rows > 5_000 else rounds))
    model.predict(x[:1000])
    return {"fit": took, "predict": min(timed(lambda: model.predict(x[:1000])) for _ in range(50))}


def multilayer(rounds: int = 3) -> dict[str, float]:
    """Digits with the defaults of both: median seconds of a fit, and the last losses."""
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier as Theirs

    from fallline.sklearn import MLPClassifier as Ours

    x, y = load_digits(return_X_y=True)
    found: dict[str, list[float]] = {"ours": [], "theirs": []}
    losses = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for turn in range(rounds + 1):
            for name, kind in (("ours", Ours), ("theirs", Theirs)):
                model = kind(random_state=0)
                took = timed(lambda model=model: model.fit(x, y))  # type: ignore[misc]
                losses[name] = float(model.loss_)
                if turn:
                    found[name].append(took)
    return {**{name: median(values) for name, values in found.items()}, **{f"loss {k}": v for k, v in losses.items()}}


def tables(threads: int) -> Found:
    rows: list[tuple[str, ...]] = []
    short: list[str] = []
    for count, columns, preset, ceiling in TRAINED:
        found, _ = apart(training, count, columns, preset, threads=threads)
        what = f"{preset}, {count:,} rows of {columns}"
        rows.append((what, seconds(found["fit"]), seconds(ceiling), verdict(found["fit"], ceiling)))
        short += missed(what, found["fit"], ceiling, seconds)
    predicted = f"1,000 rows predicted, {what}"
    rows.append((predicted, seconds(found["predict"]), seconds(PREDICTED_SECONDS),
                 verdict(found["predict"], PREDICTED_SECONDS)))  # fmt: skip
    short += missed(predicted, found["predict"], PREDICTED_SECONDS, seconds)
    return Found(rows, short)


def multilayers(threads: int) -> Found:
    found, _ = apart(multilayer, threads=threads)
    ratio = found["theirs"] / found["ours"]
    met = ratio >= MLP_RATIO
    row = ("digits", seconds(found["ours"]), f"{found['loss ours']:.4f}", seconds(found["theirs"]),
           f"{found['loss theirs']:.4f}", times(ratio), f"{MLP_RATIO:g}", "met" if met else "SHORT")  # fmt: skip
    return Found([row], [] if met else [f"MLPClassifier on digits: {times(ratio)}, floor {MLP_RATIO:g}"])


MEASURES: tuple[Measure, ...] = (
    Measure(
        "Tables trained by presets",
        "TabularRegressor on made-up numbers, encoding included, in a process that has trained before; and 1,000 rows "
        "predicted, the least of fifty.",
        ("", "took", "ceiling", "verdict"),
        tables,
    ),
    Measure(
        "MLPClassifier beside scikit-learn's",
        "Both with scikit-learn's defaults, in turn in one process, median of three.",
        ("", "ours", "loss", "scikit-learn's", "loss", "times ours", "floor", "verdict"),
        multilayers,
    ),
)
