"""Lesson `softmax`: why the gradient of cross-entropy after softmax is p - y, on a digit of a trained layer."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import transforms
from fallline.data.sets import load
from fallline.graph.op import Array
from fallline.insight.picture import table
from fallline.lessons.lesson_table import ask, lesson
from fallline.lessons.page import formula, heading, page, title, words
from fallline.lessons.walk import compiled_gradient, walk
from fallline.ranges import Range
from fallline.typesetting import number

CLASSES = 10
WARMTHS = (0.25, 1.0, 4.0)
GAPS = (-100.0, -20.0, -5.0, 0.0, 5.0, 20.0, 100.0)
RATE = 0.5  # of the descent of the layer


@dataclass(frozen=True, eq=False)
class Softened:
    """Temperature and smoothing at the row. p: probabilities; gradient: by the library; formula: (p - y) / T."""

    temperature: float
    smoothing: float
    p: Array
    gradient: Array
    formula: Array
    loss: float


@dataclass(frozen=True)
class Gap:
    """Two logits, the right one `gap` above the other. loss, slope: of cross-entropy, by the right logit.

    squared: the slope of (p - y)^2, both classes; naive: the loss in float32 by exp, log and a division as written.
    """

    gap: float
    loss: float
    slope: float
    squared: float
    naive: float


@dataclass(frozen=True, eq=False)
class Softmax:
    """row: of the digits, and its label. logits: of the layer after `steps` of descent. p: their softmax.

    through: d p[label] / d logits, by the formula; jacobian: all of d p / d logits, by the library.
    by_chain: -1 / p[label] times it. by_library, by_difference: d loss / d logits.
    means, shares: of each class, the mean probability over all rows, and its share of the labels.
    first_means: the same before the first step, and bias: the largest |gradient| of a bias at the end.
    """

    row: int
    label: int
    steps: int
    logits: Array
    p: Array
    through: Array
    jacobian: Array
    by_chain: Array
    by_library: Array
    by_difference: Array
    loss: float
    softened: tuple[Softened, ...]
    gaps: tuple[Gap, ...]
    means: Array
    shares: Array
    bias: Array

    @property
    def largest_difference(self) -> float:
        """Between p - y, the chain rule, and the library."""
        exact = self.p - np.eye(CLASSES)[self.label]
        return float(max(np.abs(exact - self.by_chain).max(), np.abs(exact - self.by_library).max()))


def softmax(logits: Any) -> Any:
    e = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def cross_entropy(logits: Any, y: Any, temperature: float = 1.0) -> Any:
    """-sum_k y_k log p_k for p = softmax(logits / temperature), the mean over rows."""
    z = logits / temperature
    z = z - np.max(z, axis=-1, keepdims=True)
    logs = z - np.log(np.sum(np.exp(z), axis=-1, keepdims=True))
    return -np.mean(np.sum(y * logs, axis=-1))


def smoothed(y: Array, smoothing: float) -> Array:
    """A target that leaves a share to all classes alike."""
    target: Array = (1 - smoothing) * y + smoothing / y.shape[-1]
    return target


def softened(logits: Array, y: Array, temperature: float, smoothing: float) -> Softened:
    """The row at a temperature, with a share of its target given to all classes."""
    target, p = smoothed(y, smoothing), softmax(logits / temperature)
    loss, gradient = transforms.value_and_grad(lambda z: cross_entropy(z, target, temperature))(logits)
    return Softened(temperature, smoothing, p, np.asarray(gradient), (p - target) / temperature, float(loss))


def gap_of(gap: float) -> Gap:
    """Two classes, the logits (gap, 0), the first is right."""
    z, y = np.array([gap, 0.0]), np.array([1.0, 0.0])
    loss, slope = transforms.value_and_grad(lambda z: cross_entropy(z, y))(z)
    squared = transforms.grad(lambda z: np.sum(np.square(softmax(z) - y)))(z)
    with np.errstate(all="ignore"):
        e = np.exp(np.array([gap, 0.0], np.float32))
        naive = -np.log(e[0] / e.sum())
    return Gap(gap, float(loss), float(slope[0]), float(squared[0]), float(naive))


def tell(result: Softmax, *, width: int, ascii_only: bool) -> list[str]:
    y, label = np.eye(CLASSES)[result.label], result.label
    p_true = float(result.p[label])
    rows = [
        [k, f"{result.logits[k]:+.3f}", f"{result.p[k]:.5f}", f"{y[k]:.0f}", f"{result.p[k] - y[k]:+.6f}",
         f"{result.by_library[k]:+.6f}", f"{result.by_difference[k]:+.6f}"]
        for k in range(CLASSES)
    ]  # fmt: skip
    chain = [
        [k, "p_c (1 - p_c)" if k == label else "-p_c p_k", f"{result.through[k]:+.6f}",
         f"{result.jacobian[label, k]:+.6f}", f"{result.by_chain[k]:+.6f}", f"{result.p[k] - y[k]:+.6f}"]
        for k in np.argsort(-result.p)[:6]
    ]  # fmt: skip
    kinds = [
        [number(s.temperature), number(s.smoothing), f"{s.p[label]:.5f}", f"{s.p.max():.5f}", number(s.loss),
         f"{s.gradient[label]:+.5f}", f"{s.formula[label]:+.5f}"]
        for s in result.softened
    ]  # fmt: skip
    last = result.softened[-1].smoothing
    ends = (f"""With a share of {number(last)} the loss is least at a gap of
        {number(float(np.log((1 - last + last / CLASSES) / (last / CLASSES))))} between the right logit and the
        others, and a larger one is pulled back: no answer may be too sure.""" if 0 < last < 1 else
        "With a share of 1 the target is the same for all classes, and all logits are pulled together." if last else
        "With a share of 0 no finite logit is enough: the loss keeps asking for more.")  # fmt: skip
    gaps = [
        [f"{g.gap:+g}", number(g.loss, 5), number(g.slope, 3), number(g.squared, 3), number(g.naive, 5)]
        for g in result.gaps
    ]  # fmt: skip
    means = [
        [k, f"{result.means[k]:.5f}", f"{result.shares[k]:.5f}", f"{result.means[k] - result.shares[k]:+.5f}",
         f"{result.bias[k]:+.5f}"]
        for k in range(CLASSES)
    ]  # fmt: skip
    return [
        page([
            title("Softmax: the gradient is p - y", ascii_only=ascii_only),
            words(f"""Row {result.row} of the digits, a {label}, after {result.steps} steps of descent of one layer:
                its loss is {number(result.loss)}. Class k has the logit z_k; c is the row's own class.""", width),
            formula("p_k = exp(z_k) / sum_j exp(z_j)    loss = -log p_c    slope p_k - y_k"),
            table(rows, ["class", "logit z", "p", "y", "p - y", "fallline.grad", "tried out"], width=width,
                  ascii_only=ascii_only),
            words("Each wrong class is pushed down by its p, the right one up by what it lacks.", width),
        ]),
        page([
            heading("By the chain rule, in numbers", ascii_only=ascii_only),
            words(f"""The loss sees p_c alone: its slope there is -1 / p_c = -1 / {p_true:.5f} =
                {number(-1 / p_true, 5) if p_true else "-inf"}. And p_c depends on every logit, since all of them
                stand in the sum below:""", width),
            formula("""
                d p_c / d z_c = p_c (1 - p_c)       d p_c / d z_k = -p_c p_k"""),
            table(chain, ["class", "formula", "d p_c / d z", "by jacobian", "times -1 / p_c", "p - y"], width=width,
                  ascii_only=ascii_only),
            words(f"""The p_c of softmax's slope and the 1 / p_c of the logarithm cancel. That is why losses take
                logits, and do both at once: apart, a tiny p_c would be divided by itself. The largest difference
                between these ways is {number(result.largest_difference, 2)}.""", width),
        ]),
        page([
            heading("Temperature and label smoothing", ascii_only=ascii_only),
            words("""A temperature T divides the logits before softmax; smoothing gives a share of the target to
                all classes alike. The rule stays, with what has become of p and y:""", width),
            formula("d loss / d z = (p - y) / T"),
            table(kinds, ["T", "smoothing", "p of the class", "largest p", "loss", "d loss / d z_c", "formula"],
                  width=width, ascii_only=ascii_only),
            words(f"""A low temperature makes p sharp and the gradient steep, a high one levels both. {ends}""", width),
        ]),
        page([
            heading("Wrong and sure, right and sure", ascii_only=ascii_only),
            words("""Two classes; the right logit stands above the wrong one by a gap. Beside the slope of
                cross-entropy that of squared error on p, which saturates on both sides. Naive: exp, sum, divide and
                log as written, in float32.""", width),
            table(gaps, ["gap", "loss", "slope p - y", "squared error's", "naive loss"], width=width,
                  ascii_only=ascii_only),
            words("""A wrong answer is heard however sure it is: the slope goes to -1 and stays. A right one falls
                silent. exp overflows float32 above 88.7, and is 0 below -104. Subtract the largest logit first: p
                is the same, since numerator and sum shrink alike, and no exponent is above 0.""", width),
        ]),
        page([
            heading("Over all rows: the pushes come to rest", ascii_only=ascii_only),
            words(f"""The gradient of a class's bias is the mean of p - y over all rows: the mean probability of the
                class less its share of the labels. After {result.steps} steps:""", width),
            table(means, ["class", "mean p", "share of rows", "difference", "gradient of the bias"], width=width,
                  ascii_only=ascii_only),
            words("""Both columns are the same number, and descent brings it to zero. A layer with a bias is then
                right on average: its probabilities of a class add up to as many rows as have that class.""", width),
        ]),
    ]  # fmt: skip


@lesson(
    "softmax",
    "Probability minus truth",
    "why cross-entropy after softmax has the gradient p - y",
    tell,
    options={
        "row": Range("which digit is looked at", at_least=0, at_most=1796, whole=True),
        "steps": Range("of descent before it is", at_least=0, at_most=5000, whole=True),
        "temperature": Range("divides the logits", at_least=0.01, at_most=100),
        "smoothing": Range("share of the target given to all classes", at_least=0, at_most=1),
    },
    asks=(
        ask("before the first step: every class has p = 0.1", steps=0),
        ask("much surer answers", temperature=0.1),
        ask("all of the target smoothed away", smoothing=1.0),
    ),
)
def soft_max(
    row: int = 5, steps: int = 100, temperature: float = 2.0, smoothing: float = 0.1, rows: int = 1797
) -> Softmax:
    """Train one layer on the digits, and take the gradient of cross-entropy after softmax apart at one row."""
    digits = load("digits")
    x = np.hstack([digits.x[:rows] / 16, np.ones((min(rows, len(digits)), 1))])
    labels = digits.y[:rows].astype(np.int64)
    y, row = np.eye(CLASSES)[labels], min(row, len(x) - 1)
    shape = (x.shape[1], CLASSES)
    gradient = compiled_gradient(lambda theta, x, y: cross_entropy(x @ np.reshape(theta, shape), y))
    last = walk(gradient, np.zeros(shape[0] * shape[1]), RATE, steps, x, y)
    w = last.points[-1].reshape(shape)
    logits, truth, label = x[row] @ w, y[row], int(labels[row])
    p = softmax(logits)
    loss, by_library = transforms.value_and_grad(lambda z: cross_entropy(z, truth))(logits)
    through = np.where(np.arange(CLASSES) == label, p[label] * (1 - p[label]), -p[label] * p)
    h, eye = 1e-5, np.eye(CLASSES)
    tried = [(cross_entropy(logits + h * e, truth) - cross_entropy(logits - h * e, truth)) / (2 * h) for e in eye]
    kinds = [(t, 0.0) for t in WARMTHS] + [(temperature, 0.0), (1.0, smoothing)]
    return Softmax(
        row, label, steps, logits, p, through, np.asarray(transforms.jacobian(softmax)(logits)), -through / p[label],
        np.asarray(by_library), np.array(tried, np.float64), float(loss),
        tuple(softened(logits, truth, t, s) for t, s in dict.fromkeys(kinds)), tuple(map(gap_of, GAPS)),
        softmax(x @ w).mean(axis=0), y.mean(axis=0), last.gradients[-1].reshape(shape)[-1],
    )  # fmt: skip
