"""Lesson `regression`: linear and logistic regression are networks of one layer, trained like any other."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.data.dataset import Dataset
from fallline.data.preprocess import standardised
from fallline.data.sets import load
from fallline.graph.op import Array
from fallline.insight.picture import bars, line_chart
from fallline.lessons.lesson_table import ask, lesson
from fallline.lessons.page import formula, heading, page, title, words
from fallline.nn import Dense, Sequential
from fallline.optim import Nesterov
from fallline.ranges import Range
from fallline.start import fit
from fallline.training import Run
from fallline.typesetting import number


@dataclass(frozen=True, eq=False)
class Fitted:
    """One regression. weight, bias: of the layer, for standardised columns. losses: per epoch.

    score: R^2 for a number, the share of rows that are right for a class.
    """

    data: str
    features: tuple[str, ...]
    rows: int
    weight: Array
    bias: float
    losses: Array
    score: float


@dataclass(frozen=True, eq=False)
class Regression:
    """linear: diabetes, a number. logistic: breast-cancer, one of two classes, with weight decay 1 / (C rows)."""

    linear: Fitted
    logistic: Fitted
    penalty: float
    classes: tuple[str, ...]

    @property
    def settled(self) -> bool:
        """Whether the last tenth of both trainings changed the loss by less than 1e-9, with the usual penalty."""
        late = [one.losses[-1 - one.losses.size // 10] - one.losses[-1] for one in (self.linear, self.logistic)]
        return self.penalty == 1 / self.logistic.rows and max(late) < 1e-9


def one_layer(data: Dataset, loss: str, optimizer: Any, epochs: int, target: bool = False) -> tuple[Run, Array, Array]:
    """Train Dense(1) on a whole data set, all rows in every step."""
    x, y = standardised(data, target=target)
    run = fit(Sequential(Dense(1)), (x, y), loss=loss, optimizer=optimizer, epochs=epochs, batch_size="full",
              dtype="float64")  # fmt: skip
    return run, x, y


def fitted(data: Dataset, run: Run, score: float) -> Fitted:
    params = run.model.params[0]
    return Fitted(data.name, data.features, len(data), params["weight"][:, 0].copy(), float(params["bias"][0]),
                  run.history["loss"], score)  # fmt: skip


def strongest(of: Fitted, count: int) -> dict[str, float]:
    """The features with the largest weights."""
    order = np.argsort(-np.abs(of.weight), kind="stable")[:count]
    return {of.features[i]: float(of.weight[i]) for i in order}


def tell(result: Regression, *, width: int, ascii_only: bool) -> list[str]:
    a, b = result.linear, result.logistic
    usual = ", as much as scikit-learn's C = 1" if result.penalty == 1 / b.rows else ""
    return [
        page([
            title("Regression: a network of one layer", ascii_only=ascii_only),
            words("""The oldest models of statistics are the smallest networks. One layer, one output, no hidden
                units; only the loss says which of the two it is. Nothing else changes: the same forward pass, the
                same backpropagation, the same descent.""", width),
            formula("""
                y_hat = x W + b                               Sequential(Dense(1))
                linear:    loss = mean (y_hat - y)^2          "squared_error"
                logistic:  p = 1 / (1 + exp(-y_hat))
                           loss = mean of -log p of truth     "binary_cross_entropy" """),
        ]),
        page([
            heading("Linear: a number", ascii_only=ascii_only),
            words(f"""The course of diabetes of {a.rows} patients a year on, a number, from
                {len(a.features)} measurements (all columns with mean 0 and deviation 1). After {len(a.losses):,}
                steps over all rows the loss is {number(float(a.losses[-1]), 7)}; the model explains
                {100 * a.score:.1f} % of the variance. The largest weights:""", width),
            bars(strongest(a, 6), width=min(width, 76), ascii_only=ascii_only),
        ]),
        page([
            heading("Logistic: one of two classes", ascii_only=ascii_only),
            words(f"""{b.rows} tumours, {result.classes[0]} or {result.classes[1]}, from {len(b.features)}
                measurements of their cells, with weight decay {number(result.penalty)}{usual}. After
                {len(b.losses):,} steps the loss is {number(float(b.losses[-1]), 7)}, and
                {100 * b.score:.1f} % of the rows are on the right side. The
                largest weights; above zero speaks for {result.classes[1]}:""", width),
            bars(strongest(b, 8), width=min(width, 76), ascii_only=ascii_only),
        ]),
        page([
            line_chart({"linear, diabetes": a.losses[:200], "logistic, breast-cancer": b.losses[:200]}, log_y=True,
                       width=min(width, 76), height=10, title="Loss over the first 200 steps", x_label="step",
                       ascii_only=ascii_only),
            words(("""These coefficients are those of scikit-learn's LinearRegression and LogisticRegression on the
                same columns, to four digits and more: another path to the same minimum.""" if result.settled else "")
                + """ Put a layer with a bend before it, Dense(32) and ReLU(), and the same lines train a
                network.""", width),
        ]),
    ]  # fmt: skip


@lesson(
    "regression",
    "One layer",
    "linear and logistic regression as networks of one layer",
    tell,
    options={
        "epochs": Range("steps over all rows", at_least=10, at_most=100_000, whole=True),
        "weight_decay": Range("of the logistic one; None: 1 / rows", at_least=0, at_most=10, optional=True),
    },
    asks=(
        ask("nothing keeps the weights small: how far do they grow?", weight_decay=0.0),
        ask("much decay", weight_decay=0.1),
    ),
)
def regression(epochs: int = 3000, weight_decay: float | None = None) -> Regression:
    """Fit diabetes and breast-cancer with one Dense layer each."""
    first, second = load("diabetes"), load("breast-cancer")
    run, x, y = one_layer(first, "squared_error", Nesterov(0.05, momentum=0.95), epochs, target=True)
    residual = np.asarray(run.model.predict(x)).ravel() - y
    linear = fitted(first, run, 1 - float(np.mean(residual**2) / np.var(y)))
    # scikit-learn's C = 1 adds |w|^2 / (2 C) to the sum over rows; here the mean is minimised.
    penalty = 1 / len(second) if weight_decay is None else weight_decay
    run, x, y = one_layer(second, "binary_cross_entropy", Nesterov(0.2, momentum=0.95, weight_decay=penalty), epochs)
    logistic = fitted(second, run, float(np.mean(run.model.predict(x) == y)))
    return Regression(linear, logistic, penalty, second.classes)
