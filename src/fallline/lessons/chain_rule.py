"""Lesson `chain-rule`: a 2-2-1 network, forward and backward by hand, each number next to the library's own."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fallline import transforms, tree
from fallline.insight.picture import table
from fallline.lessons.lesson_table import ask, lesson
from fallline.lessons.page import formula, heading, page, set_off, title, words
from fallline.ranges import Range
from fallline.tree import Tree
from fallline.typesetting import number

PARAMS = {
    "w1": np.array([[0.5, -0.3], [0.8, 0.2]]),
    "b1": np.array([0.1, -0.2]),
    "w2": np.array([0.7, -1.1]),
    "b2": np.array(0.1),
}


@dataclass(frozen=True, eq=False)
class ChainRule:
    """forward, backward: every intermediate number, by its name, computed by hand. loss: from the library.

    by_hand, by_library, by_difference: d loss / d parameter in the form of the parameters; the last from two more
    forward passes for every parameter.
    """

    params: Tree
    x: tuple[float, float]
    y: float
    forward: dict[str, float]
    backward: dict[str, float]
    loss: float
    by_hand: Tree
    by_library: Tree
    by_difference: Tree

    @property
    def largest_difference(self) -> float:
        """Between the gradient by hand and the library's."""
        pairs = zip(tree.leaves(self.by_hand), tree.leaves(self.by_library), strict=True)
        return max(float(np.abs(a - b).max()) for a, b in pairs)


def network_loss(params: Tree, x: Any, y: Any) -> Any:
    """The same network as a user would write it, in NumPy."""
    hidden = np.tanh(x @ params["w1"] + params["b1"])
    return (hidden @ params["w2"] + params["b2"] - y) ** 2


def forward_by_hand(p: Tree, x: tuple[float, float], y: float) -> dict[str, float]:
    """Plain arithmetic, one number at a time."""
    (w11, w12), (w21, w22) = p["w1"].tolist()
    b1, b2 = p["b1"].tolist()
    v1, v2 = p["w2"].tolist()
    z1 = x[0] * w11 + x[1] * w21 + b1
    z2 = x[0] * w12 + x[1] * w22 + b2
    a1, a2 = math.tanh(z1), math.tanh(z2)
    y_hat = a1 * v1 + a2 * v2 + float(p["b2"])
    return {"z1": z1, "z2": z2, "a1": a1, "a2": a2, "y_hat": y_hat, "loss": (y_hat - y) ** 2}


def backward_by_hand(p: Tree, y: float, f: dict[str, float]) -> dict[str, float]:
    """From the loss back to the first layer: each delta from the one after it."""
    v1, v2 = p["w2"].tolist()
    d_y_hat = 2 * (f["y_hat"] - y)
    d_a1, d_a2 = d_y_hat * v1, d_y_hat * v2
    d_z1, d_z2 = d_a1 * (1 - f["a1"] ** 2), d_a2 * (1 - f["a2"] ** 2)
    return {"d_y_hat": d_y_hat, "d_a1": d_a1, "d_a2": d_a2, "d_z1": d_z1, "d_z2": d_z2}


def gradient_by_hand(x: tuple[float, float], f: dict[str, float], d: dict[str, float]) -> Tree:
    """Every weight's derivative: its input times the delta of the sum it adds to."""
    deltas = np.array([d["d_z1"], d["d_z2"]])
    return {
        "w1": np.array([x[0] * deltas, x[1] * deltas]),
        "b1": deltas,
        "w2": np.array([f["a1"], f["a2"]]) * d["d_y_hat"],
        "b2": np.array(d["d_y_hat"]),
    }


def gradient_by_difference(params: Tree, x: Any, y: Any, step: float = 1e-5) -> Tree:
    """(loss(w + h) - loss(w - h)) / 2h for one parameter after the other."""
    found = {name: np.zeros_like(value) for name, value in params.items()}
    for name, value in params.items():
        for place in np.ndindex(value.shape):
            losses = []
            for sign in (1, -1):
                moved = {other: array.copy() for other, array in params.items()}
                moved[name][place] += sign * step
                losses.append(float(network_loss(moved, x, y)))
            found[name][place] = (losses[0] - losses[1]) / (2 * step)
    return found


NAMES = {
    "w1": ["w11", "w12", "w21", "w22"], "b1": ["b1", "b2"], "w2": ["v1", "v2"], "b2": ["c"],
}  # fmt: skip


def plus(value: float) -> str:
    """A number as it is added in a formula."""
    return f"{'-' if value < 0 else '+'} {abs(value)}"


def tell(result: ChainRule, *, width: int, ascii_only: bool) -> list[str]:
    f, d, p = result.forward, result.backward, result.params
    (w11, w12), (w21, w22) = p["w1"].tolist()
    (b1, b2), (v1, v2), c = p["b1"].tolist(), p["w2"].tolist(), float(p["b2"])
    x1, x2 = result.x
    one, two, aim = (number(value, 3) for value in (x1, x2, result.y))
    into = {
        "w11": ("x1 d_z1", x1, d["d_z1"]), "w12": ("x1 d_z2", x1, d["d_z2"]),
        "w21": ("x2 d_z1", x2, d["d_z1"]), "w22": ("x2 d_z2", x2, d["d_z2"]),
        "b1": ("1 d_z1", 1.0, d["d_z1"]), "b2": ("1 d_z2", 1.0, d["d_z2"]),
        "v1": ("a1 d_y_hat", f["a1"], d["d_y_hat"]), "v2": ("a2 d_y_hat", f["a2"], d["d_y_hat"]),
        "c": ("1 d_y_hat", 1.0, d["d_y_hat"]),
    }  # fmt: skip
    rows = []
    for name, labels in NAMES.items():
        columns = zip(labels, *(np.ravel(t[name]) for t in (result.by_hand, result.by_library, result.by_difference)))
        for label, hand, library, difference in columns:
            rule, value, delta = into[label]
            three = (f"{found:+.6f}" for found in (hand, library, difference))
            rows.append([label, rule, f"{number(value, 3)} * {number(delta, 3)}", *three])
    return [
        page([
            title("The chain rule: a network forward and backward, by hand", ascii_only=ascii_only),
            words(f"""Two inputs, two hidden units that bend their sum with tanh, one output; nine parameters. One
                row of data: x = ({x1}, {x2}), and the output should be y = {result.y}.""", width),
            picture(ascii_only),
            words("Forward: from the input to the loss, one line after the other.", width),
            set_off(table([
                ["z1", "= x1 w11 + x2 w21 + b1", f"= {one} * {w11} + {two} * {w21} {plus(b1)}", f"= {f['z1']:+.4f}"],
                ["z2", "= x1 w12 + x2 w22 + b2", f"= {one} * {w12} + {two} * {w22} {plus(b2)}", f"= {f['z2']:+.4f}"],
                ["a1", "= tanh(z1)", f"= tanh({f['z1']:+.5f})", f"= {f['a1']:+.4f}"],
                ["a2", "= tanh(z2)", f"= tanh({f['z2']:+.5f})", f"= {f['a2']:+.4f}"],
                ["y_hat", "= a1 v1 + a2 v2 + c",
                 f"= {number(f['a1'], 2)} * {v1} + {number(f['a2'], 2)} * {v2} {plus(c)}", f"= {f['y_hat']:+.4f}"],
                ["loss", "= (y_hat - y)^2", f"= ({f['y_hat']:.5f} - {aim})^2", f"= {f['loss']:+.4f}"],
            ], width=width - 2)),
        ]),
        page([
            heading("Backward", ascii_only=ascii_only),
            words("""How much does the loss change with each of these numbers? The chain rule goes from
                the end to the front. Each line takes the number of the line before it times one local slope. d_z1
                is short for d loss / d z1.""", width),
            set_off(table([
                ["d_y_hat", "= 2 (y_hat - y)", f"= 2 * ({f['y_hat']:.5f} - {aim})", f"= {d['d_y_hat']:+.5f}"],
                ["d_a1", "= d_y_hat v1", f"= {d['d_y_hat']:+.5f} * {v1}", f"= {d['d_a1']:+.5f}"],
                ["d_a2", "= d_y_hat v2", f"= {d['d_y_hat']:+.5f} * {v2}", f"= {d['d_a2']:+.5f}"],
                ["d_z1", "= d_a1 (1 - a1^2)", f"= {d['d_a1']:+.5f} * {1 - f['a1'] ** 2:.5f}", f"= {d['d_z1']:+.5f}"],
                ["d_z2", "= d_a2 (1 - a2^2)", f"= {d['d_a2']:+.5f} * {1 - f['a2'] ** 2:.5f}", f"= {d['d_z2']:+.5f}"],
            ], width=width - 2)),
        ]),
        page([
            heading("The derivative of each weight, three times over", ascii_only=ascii_only),
            words("""A weight multiplies its input, so its derivative is that input times the delta of the sum it
                enters. Beside it: fallline.grad of the same network written in NumPy, and the loss with the weight a
                little higher minus the loss with it a little lower, over their distance.""", width),
            table(rows, ["parameter", "rule", "numbers", "by hand", "fallline.grad", "tried out"], width=width,
                  ascii_only=ascii_only),
            words(f"""The largest difference between by hand and fallline.grad is
                {number(result.largest_difference)}. Trying took two forward passes for each of nine parameters,
                going backward one pass for all: every delta is computed once and used by all before it.""", width),
        ]),
    ]  # fmt: skip


def picture(ascii_only: bool) -> str:
    """The network as a drawing."""
    text = """
        x1 ──w11──▶ z1 ─tanh─▶ a1 ──v1──┐
           ╲     ╱                      ├──▶ y_hat ──▶ loss
             ╲ ╱   w12, w21             │
             ╱ ╲                        │
           ╱     ╲                      │
        x2 ──w22──▶ z2 ─tanh─▶ a2 ──v2──┘"""
    return formula(text.translate(str.maketrans("─▶╲╱┐├┘│", "->\\/++++")) if ascii_only else text)


INPUT = Range("an input", at_least=-100, at_most=100)


@lesson(
    "chain-rule",
    "Backward by hand",
    "a 2-2-1 network, every number shown, equal to fallline.grad",
    tell,
    options={"x1": INPUT, "x2": INPUT, "y": replace(INPUT, doc="the output as it should be")},
    asks=(
        ask("an input of zero: which derivatives are zero too?", x1=0.0),
        ask("a large input: tanh is flat, and no delta comes through", x1=20.0),
    ),
)
def chain_rule(x1: float = 0.6, x2: float = -0.4, y: float = 0.9, params: Tree = PARAMS) -> ChainRule:
    """Forward and backward through a 2-2-1 tanh network: by hand, by backpropagation, and by trying out."""
    x = (x1, x2)
    forward = forward_by_hand(params, x, y)
    backward = backward_by_hand(params, y, forward)
    loss, by_library = transforms.value_and_grad(network_loss)(params, np.array(x), y)
    return ChainRule(
        params, x, y, forward, backward, float(loss), gradient_by_hand(x, forward, backward), by_library,
        gradient_by_difference(params, np.array(x), y),
    )  # fmt: skip
