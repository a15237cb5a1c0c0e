"""Exercises on what stands around a backward pass: a check of it, a loss that does not overflow, a loop of batches."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fallline import tree
from fallline.arrays import Array
from fallline.exercises.compared import difference, form_problems
from fallline.exercises.exercise_table import exercise


def _compared(name: str, given: Any, right: Array, slips: dict[str, Array], rows: int | None = None) -> list[str]:
    """The differences of one array or number from the right one, and the slip that leads to just these."""
    if isinstance(given, list):  # of numbers, one for each element
        given = np.array(given)
    found = form_problems(given, [right], [name])
    if found:
        return found
    mine = np.asarray(tree.leaves(given)[0], np.float64)
    slip = [sentence for sentence, wrong in slips.items() if np.allclose(mine, wrong, rtol=1e-9, atol=1e-12)]
    return [*difference(name, mine, right, None if slip else rows, None, source="right"), *slip[:1]]


@exercise(
    "central-difference",
    "A gradient by trying",
    "the check of every backward pass",
    task="""
        A gradient can be checked without any rule: move one element of theta by step, up and down, all others staying
        where they are. Its derivative is then about

            (function(theta + step e) - function(theta - step e)) / (2 step)

        with e 1 at this element and 0 elsewhere. Write the gradient with respect to all elements, and leave theta as it
        was.
    """,
    start='''
        def gradient(function, theta, step):
            """function: of theta, to a number. theta: (P,). Returns (P,)."""
    ''',
    solution="""
        found = np.zeros(len(theta))
        for k in range(len(theta)):
            e = np.zeros(len(theta))
            e[k] = step
            found[k] = (function(theta + e) - function(theta - e)) / (2 * step)
        return found
    """,
)
def central_difference(answer: Callable[..., Any]) -> list[str]:
    """A function with a third derivative at a long step: central, one-sided and exact then differ."""
    theta, step = np.array([0.5, -1.0, 2.0, 1.5]), 0.1

    def function(theta: Any) -> float:
        return float(np.sum(theta**3) + theta[0] * theta[2] + 2 * theta[1] * theta[3])

    moves = step * np.eye(theta.size)
    up, down = (np.array([function(theta + sign * e) for e in moves]) for sign in (1, -1))
    here, all_at_once = function(theta), function(theta + step) - function(theta - step)
    kept = theta.copy()
    given = answer(function, theta, step)
    if not np.allclose(theta, kept, rtol=1e-12):  # an element moved there and back is off by rounding
        return ["theta is not what it was: move a copy, or move the element back before the next one."]
    return _compared("gradient", given, (up - down) / (2 * step), {
        "This is the difference on one side, from theta up: its error falls with step, that of the central one with "
        "the square of step.": (up - here) / step,
        "This is the difference on one side, from theta down: its error falls with step, that of the central one with "
        "the square of step.": (here - down) / step,
        "The two points are 2 step apart, and the difference is divided by step.": (up - down) / step,
        "The difference is not divided by the distance of the points yet.": up - down,
        "All elements move at once: this is the slope along (1, ..., 1), the sum of all derivatives.":
            np.full(theta.size, all_at_once / (2 * step)),
        "The points are exchanged: the higher one comes first.": (down - up) / (2 * step),
    })  # fmt: skip


@exercise(
    "stable-loss",
    "Cross-entropy that does not overflow",
    "softmax and logarithm, for any logits",
    task="""
        The loss of N rows is the mean of -log p[label], where p[k] = exp(z[k]) / sum of exp(z[j]) over the row. As
        written, exp overflows for logits above 709, and log gets a 0 where p is tiny. Write it so that it is right
        for logits of any size:

            -log p[label] = log(sum of exp(z[j] - m)) - (z[label] - m)

        with m the largest logit of the row.
    """,
    start='''
        def loss(logits, labels):
            """logits: (N, K), labels: (N,) codes. Returns the mean loss."""
    ''',
    solution="""
        z = logits - logits.max(axis=1, keepdims=True)
        return np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(labels)), labels])
    """,
)
def stable_loss(answer: Callable[..., Any]) -> list[str]:
    """Small logits first, then large ones, then rows far apart."""
    rng, labels = np.random.default_rng(3), np.array([2, 0, 1, 2])

    def each(z: Array) -> Array:
        z = z - z.max(axis=1, keepdims=True)
        found: Array = np.log(np.exp(z).sum(axis=1)) - z[np.arange(4), labels]
        return found

    small = rng.normal(size=(4, 3))
    apart = small + np.array([[0.0], [2000.0], [-2000.0], [0.0]])
    overflows = ("exp overflows: subtract the largest logit of the row first. p stays the same, since numerator and "
                 "sum shrink alike.")  # fmt: skip
    cases = (
        ("", small, "The loss is not finite even for small logits."),
        ("For logits near 1000:", small + 1000.0, overflows),
        ("For rows whose logits are near 0, 2000 and -2000:", apart,
         "Each row needs a largest logit of its own: max over axis 1, with keepdims=True."),
        ("For a label whose p is below 1e-300:", 800.0 * small,
         "This p rounds to 0, and its logarithm is not finite: take the logarithm of the sum, and z[label] - m as it "
         "is, without an exp between."),
    )  # fmt: skip
    for where, logits, sentence in cases:
        kept = logits.copy()
        with np.errstate(all="ignore"):
            given = answer(logits, labels.copy())
        if not np.array_equal(logits, kept):
            return ["The function changed the logits: subtract into a new array."]
        right = each(logits)
        found = _compared("loss", given, right.mean(), {
            "This is the sum over the rows: the loss is their mean.": right.sum(),
            "This is minus the right one: the logarithm of a probability is below 0, and the loss is minus it.":
                -right.mean(),
            "The logarithm is to the base 2: np.log is the natural one.": right.mean() / np.log(2),
        })  # fmt: skip
        if found:
            infinite = any("not finite" in one for one in found)
            mine = tree.leaves(given)
            if where and not infinite and len(mine) == 1 and np.ndim(mine[0]) == 0 and mine[0] < right.mean():
                sentence = (
                    "A small number added to p, or a floor under it, hides how large the loss is, and its gradient."
                )
            elif not infinite:
                sentence = ""
            return [*([where] if where else []), *found, *([sentence] if sentence else [])]
    return []


@exercise(
    "mini-batches",
    "One epoch in mini-batches",
    "a step for every batch, each from where the last one led",
    task="""
        Write one pass of gradient descent over the data. order says in which order the rows are taken; the first
        batch is the first size of them, and so on, and the last one may be smaller. For each batch:

            theta <- theta - learning_rate * gradient(theta, its x, its y)

        gradient gives the mean over the rows that it gets.
    """,
    start='''
        def epoch(theta, x, y, gradient, learning_rate, order, size):
            """theta: (P,), x: (N, D), y, order: (N,). Returns theta in the end."""
    ''',
    solution="""
        for begin in range(0, len(order), size):
            rows = order[begin : begin + size]
            theta = theta - learning_rate * gradient(theta, x[rows], y[rows])
        return theta
    """,
)
def mini_batches(answer: Callable[..., Any]) -> list[str]:
    """Seven rows in batches of three; the gradient keeps account of the rows that it was given."""
    rng = np.random.default_rng(4)
    x, y, theta, rate, size = rng.normal(size=(7, 2)), rng.normal(size=7), rng.normal(size=2), 0.1, 3
    order = np.array([4, 1, 6, 0, 5, 2, 3])
    asked: list[tuple[Array, Array]] = []

    def gradient(theta: Any, x: Any, y: Any) -> Array:
        asked.append((np.atleast_2d(x), np.atleast_1d(y)))
        found: Array = 2 * asked[-1][0].T @ (asked[-1][0] @ theta - asked[-1][1]) / len(asked[-1][1])
        return found

    def course(order: Array, *, sign: float = 1, stays: bool = False, targets: Array = y) -> Array:
        at = theta
        for begin in range(0, len(order), size):
            rows = order[begin : begin + size]
            at = at - sign * rate * gradient(theta if stays else at, x[rows], targets[rows])
        return at

    shuffled = y.copy()
    shuffled[order] = y  # the target that a row meets where the rows of x are put in order, and those of y are not
    right, slips = course(order), {
        "The last batch is left out: it is smaller, and counts too.": course(order[:6]),
        "The rows are taken as they stand: order says which comes first.": course(np.arange(7)),
        "The rows of y are not those of x: take both by the same indices.": course(order, targets=shuffled),
        "Every gradient is at the first theta: a batch begins where the last one led.": course(order, stays=True),
        "theta goes up the slope: the step is against the gradient.": course(order, sign=-1),
        "This is one step with all rows: there is a step for every batch.": theta - rate * gradient(theta, x, y),
        "theta is that of the beginning: no step was kept.": theta,
    }  # fmt: skip
    asked.clear()
    kept, its = theta.copy(), (x.copy(), y.copy(), order.copy())
    given = answer(theta, its[0], its[1], gradient, rate, its[2], size)
    if not np.array_equal(theta, kept):
        return ["theta was changed in place (theta -= ...): the one that came in stays as it is."]
    if not all(np.array_equal(a, b) for a, b in zip(its, (x, y, order))):
        return ["x, y or order were changed: a shuffle in place moves the rows of whoever called."]
    found = _compared("theta", given, right, slips)
    sizes = [len(part) for _, part in asked]
    if found and sizes != [3, 3, 1]:
        found.append(f"Seven rows in batches of 3 are batches of 3, 3, 1 rows; yours had {', '.join(map(str, sizes))}."
                     if sizes else "gradient was never called.")  # fmt: skip
    return found
