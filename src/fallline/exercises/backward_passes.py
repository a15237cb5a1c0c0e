"""Exercises on backward passes: from the gradient of a result to the gradients of what it was made of."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fallline import tree
from fallline.exercises.compared import backward_problems
from fallline.exercises.exercise_table import exercise


def _numbers(*shapes: tuple[int, ...]) -> list[Any]:
    rng = np.random.default_rng(7)
    return [rng.normal(size=shape) for shape in shapes]


@exercise(
    "sigmoid-backward",
    "The backward pass of a sigmoid",
    "one slope for each element",
    task="""
        The forward pass is y = 1 / (1 + exp(-x)), for each element. Its slope is y (1 - y). Given g, the gradient of
        the loss with respect to y, write the gradient with respect to x.
    """,
    start='''
        def backward(g, x):
            """g, x: (N, D). Returns d_x, (N, D)."""
    ''',
    solution="""
        y = 1 / (1 + np.exp(-x))
        return g * y * (1 - y)
    """,
)
def sigmoid_backward(answer: Callable[..., Any]) -> list[str]:
    """The gradient beside that of the library."""
    return backward_problems(
        lambda x: 1 / (1 + np.exp(-x)),
        answer,
        tuple(_numbers((4, 3))),
        ["d_x"],
        {
            "This is g times y: the slope of the sigmoid is y (1 - y).": lambda g, x: g / (1 + np.exp(-x)),
            "This is the slope alone: the chain rule multiplies it by g.": lambda g, x: (
                np.exp(-x) / (1 + np.exp(-x)) ** 2
            ),
        },
    )


@exercise(
    "dense-backward",
    "The backward pass of a dense layer",
    "three gradients from one",
    task="""
        The forward pass is y = x @ w + b for N rows at once. Given g, the gradient of the loss with respect to y,
        write the gradients with respect to x, w and b. Every row adds its own part to those of w and b.
    """,
    start='''
        def backward(g, x, w, b):
            """g: (N, K), x: (N, D), w: (D, K), b: (K,). Returns d_x, d_w, d_b."""
    ''',
    solution="""
        return g @ w.T, x.T @ g, g.sum(axis=0)
    """,
)
def dense_backward(answer: Callable[..., Any]) -> list[str]:
    """The gradients beside those of the library."""
    return backward_problems(
        lambda x, w, b: x @ w + b,
        answer,
        tuple(_numbers((5, 3), (3, 2), (2,))),
        ["d_x", "d_w", "d_b"],
        {
            "The rows are averaged here: y has one row for each row of x, and their parts are summed. The mean over "
            "the rows is in the loss, and so in g already.": lambda g, x, w, b: (
                g @ w.T,
                x.T @ g / len(x),
                g.mean(axis=0),
            ),
        },
    )


@exercise(
    "softmax-backward",
    "The backward pass of softmax and cross-entropy",
    "why it is probability minus truth",
    task="""
        The loss of N rows is the mean of -log p[label], where p = softmax(logits). Given g, the gradient of some final
        number with respect to this loss (g is 1 where the loss itself is the end), write the gradient with respect to
        the logits.
    """,
    start='''
        def backward(g, logits, labels):
            """g: a number, logits: (N, K), labels: (N,) codes. Returns d_logits."""
    ''',
    solution="""
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        p[np.arange(len(labels)), labels] -= 1
        return g * p / len(labels)
    """,
)
def softmax_backward(answer: Callable[..., Any]) -> list[str]:
    """The gradient beside that of the library."""
    labels = np.array([2, 0, 1, 2])

    def loss(logits: Any, labels: Any) -> Any:
        shifted = logits - np.max(logits, axis=1, keepdims=True)
        logs = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
        return -np.mean(np.sum(logs * np.eye(3)[labels], axis=1))

    return backward_problems(loss, answer, (*_numbers((4, 3)), labels), ["d_logits"])


@exercise(
    "two-layers",
    "Backpropagation through two layers",
    "why deltas are kept",
    task="""
        The network is h = tanh(x @ w1 + b1), y_hat = h @ w2 + b2, and the loss is the mean of (y_hat - y)^2 over all
        N rows and K outputs. Write its gradient with respect to every parameter: one forward pass, which keeps h, and
        one backward pass from the loss to w1. The delta of a layer is computed once and used for its weights, its
        biases, and the layer before it.
    """,
    start='''
        def gradient(params, x, y):
            """params: {"w1": (D, H), "b1": (H,), "w2": (H, K), "b2": (K,)},
            x: (N, D), y: (N, K).

            Returns the gradients as a dict of the same names and shapes.
            """
    ''',
    solution="""
        h = np.tanh(x @ params["w1"] + params["b1"])
        delta2 = 2 * (h @ params["w2"] + params["b2"] - y) / y.size
        delta1 = (delta2 @ params["w2"].T) * (1 - h * h)
        return {"w1": x.T @ delta1, "b1": delta1.sum(axis=0), "w2": h.T @ delta2, "b2": delta2.sum(axis=0)}
    """,
)
def two_layers(answer: Callable[..., Any]) -> list[str]:
    """The gradients beside those of the library, with the slips that are made most."""
    x, y, w1, b1, w2, b2 = _numbers((6, 3), (6, 2), (3, 4), (4,), (4, 2), (2,))
    params = {"w1": w1, "b1": b1, "w2": w2, "b2": b2}

    def loss(params: Any) -> Any:
        h = np.tanh(x @ params["w1"] + params["b1"])
        return np.mean((h @ params["w2"] + params["b2"] - y) ** 2)

    def without_slope(g: Any, params: Any) -> Any:
        h = np.tanh(x @ params["w1"] + params["b1"])
        delta2 = 2 * (h @ params["w2"] + params["b2"] - y) / y.size
        delta1 = delta2 @ params["w2"].T
        return {"w1": x.T @ delta1, "b1": delta1.sum(axis=0), "w2": h.T @ delta2, "b2": delta2.sum(axis=0)}

    given = answer({name: one.copy() for name, one in params.items()}, x, y)
    if not isinstance(given, dict) or {*given} != {*params}:
        has = f"the names {', '.join(map(repr, given))}" if isinstance(given, dict) else f"{type(given).__name__}"
        return [f"The gradient is a dict with the names of the parameters, {', '.join(params)}; yours has {has}."]
    return backward_problems(
        loss,
        lambda g, params: tree.map(lambda one: g * np.asarray(one), answer(params, x, y)),
        (params,),
        [f"d_{path}" for path, _ in tree.items(params)],
        {"The slope of tanh, 1 - h * h, is missing on the way to the first layer.": without_slope},
    )
