"""The parts of an explanation, and how it reads: as text for a terminal, and as plain data. Computes nothing."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import tree
from fallline.displays import Displayed
from fallline.graph.op import Array
from fallline.nn.loss import in_words
from fallline.nn.model import Model
from fallline.source import named
from fallline.tree import Tree
from fallline.typesetting import fit, number, table, words

Index = tuple[int, ...]
# Rows of a batch that are written out; the sums run over all of them.
SHOWN_ROWS = 3
# A larger relative difference than this has a reason that is worth a word: a corner, or a derivative near zero.
CLOSE = 1e-5


@dataclass(frozen=True, eq=False)
class LayerView:
    """One layer's part. name: of its output, as the chain writes it (`out0`); label: the layer in words.

    output: of the layer, (N, ...); delta: d loss / d output, of the same shape.
    """

    place: int
    name: str
    label: str
    output: Array
    delta: Array


@dataclass(frozen=True, slots=True)
class Term:
    """One product in a sum of the chain rule: a local slope times a delta further on."""

    slope_name: str
    slope: float
    delta_name: str
    delta: float

    @property
    def product(self) -> float:
        return self.slope * self.delta


@dataclass(frozen=True, slots=True)
class Link:
    """One line of the chain rule: name = sum of terms.

    rule: the same in words. value: the sum, from backpropagation. terms: the largest ones; count: how many there are.
    rest: the sum of the terms that are not listed.
    """

    name: str
    rule: str
    value: float
    terms: tuple[Term, ...]
    count: int
    rest: float


@dataclass(frozen=True, eq=False)
class Explanation(Displayed):
    """A forward and a backward pass in numbers, and the chain rule for one weight.

    x, y: the rows (a dict or tuple of several inputs), and the targets as the loss takes them. layers: from first to
    last. x_delta: d loss / d x, None for inputs that are whole numbers.
    gradient: path -> d loss / d parameter, the whole of it. weight, index: the chosen number; chain: where its
    derivative comes from, link by link up to the loss. difference: the central difference with its `step`.
    """

    model: Model
    x: Tree
    y: Array
    loss: float
    layers: tuple[LayerView, ...]
    x_delta: Tree
    gradient: dict[str, Array]
    weight: str
    index: Index
    weight_value: float
    derivative: float
    chain: tuple[Link, ...]
    difference: float
    step: float

    @property
    def relative_difference(self) -> float:
        """Between backpropagation and the central difference."""
        largest = max(abs(self.derivative), abs(self.difference))
        return abs(self.derivative - self.difference) / largest if largest else 0.0

    def __str__(self) -> str:
        return self.text()

    def text(self, *, width: int = 100, ascii_only: bool = False) -> str:
        """The explanation to read, at most `width` columns wide."""
        return tell(self, width=width, ascii_only=ascii_only)

    def to_dict(self) -> dict[str, Any]:
        """The explanation as plain numbers, lists and dicts, as JSON holds them (NaN and infinity as None)."""
        return to_dict(self)


def tell(e: Explanation, *, width: int, ascii_only: bool) -> str:
    """The whole explanation, from the input forward, back, and to the one weight."""
    n = len(e.y)
    count = "one row" if n == 1 else f"{n} rows"
    more = "" if n <= SHOWN_ROWS else f" (the first {SHOWN_ROWS} are written out)"
    layers = f"{len(e.layers)} layer{'' if len(e.layers) == 1 else 's'}"
    lines = [
        words(f"Explained: {count}{more} through a network of {layers} with {e.model.theta.size:,} parameters.", width),
        "",
        words("Forward: each layer takes the output of the one above it.", width),
        "",
        table(forward_rows(e, width), ["name", "layer", "numbers"], width=width, ascii_only=ascii_only),
        *(fit(line, width) for line in outcome(e)),
        "",
        words("Backward: delta = d loss / d (the layer's output); each comes from the one above it here.", width),
        "",
        table(backward_rows(e, width), ["name", "at", "numbers"], width=width, ascii_only=ascii_only),
        "",
        *(fit(line, width) for line in weight_story(e, width)),
    ]
    return "\n".join(lines)


def forward_rows(e: Explanation, width: int) -> list[list[str]]:
    rows = [row for name, x in named(e.x).items() for row in by_row(name, "input", x, width)]
    for layer in e.layers:
        rows += by_row(layer.name, layer.label, layer.output, width)
    return rows


def backward_rows(e: Explanation, width: int) -> list[list[str]]:
    rows = []
    for layer in reversed(e.layers):
        rows += by_row(f"delta{layer.place}", f"{layer.name}, {layer.label}", layer.delta, width)
    deltas = named(e.x_delta).items()
    return rows + [row for name, delta in deltas for row in by_row(f"delta of {name}", "input", delta, width)]


def by_row(name: str, label: str, values: Array, width: int) -> list[list[str]]:
    """A line for each row of the batch that is shown; its name stands in the first."""
    room = max(width - 34, 20)
    several = len(values) > 1
    return [
        [
            name if i == 0 else "",
            f"{label if i == 0 else ''}{f' row {i}' if several else ''}".strip(),
            vector(row, room),
        ]
        for i, row in enumerate(values[:SHOWN_ROWS])
    ]


def vector(values: Array, room: int) -> str:
    """Numbers in order where they fit into `room` columns, else the largest with their places."""
    flat = np.asarray(values).ravel()
    if flat.size <= room // 4:
        everything = "  ".join(number(float(v)) for v in flat)
        if len(everything) <= room:
            return everything
    magnitude = np.where(np.isnan(flat), np.inf, np.abs(flat))
    tail = f"  (largest of {flat.size:,})"
    text = ""
    for i in np.argsort(-magnitude, kind="stable"):
        place = ",".join(str(int(j)) for j in np.unravel_index(int(i), np.shape(values)))
        entry = f"[{place}] {number(float(flat[i]))}"
        if len(text) + len(entry) + 2 + len(tail) > room and text:
            break
        text += ("  " if text else "") + entry
    return text + tail


def outcome(e: Explanation) -> list[str]:
    """The loss, and the meaning of the outputs where the loss has a link."""
    model, last = e.model, e.layers[-1].output if e.layers else e.x
    lines = [
        f"loss  {in_words(model.loss)} = {number(e.loss, 7)}"
        + (f", the mean over {len(e.y)} rows" if len(e.y) > 1 else "")
    ]
    meaning = None if model.loss.link is None else np.asarray(model.loss.link(last))
    if last.ndim != 2 or model.task == "custom":
        return lines
    for i in range(min(len(last), SHOWN_ROWS)):
        if model.task == "regression" or (model.task == "binary" and last.shape[1] > 1):
            said = f"predicts {several(last[i] if meaning is None else meaning[i])}; truth: {several(e.y[i])}"
        else:
            said = decision(e, i, last[i], None if meaning is None else meaning[i])
        lines.append(f"      {f'row {i}: ' if len(e.y) > 1 else ''}the network {said}")
    return lines


def several(values: Array) -> str:
    return ", ".join(number(float(v)) for v in values[:4]) + (", ..." if len(values) > 4 else "")


def decision(e: Explanation, i: int, output: Array, p: Array | None) -> str:
    """The class a row is given, how sure that is, and the true one."""
    if e.model.task == "binary":
        best, truth = int(output[0] > 0), int(e.y[i, 0] > 0.5)  # 0 and 1, or -1 and 1
        share = None if p is None else float(p[0] if best else 1 - p[0])
    else:
        best, truth = int(output.argmax()), int(e.y[i] if e.y.ndim == 1 else e.y[i].argmax())
        share = None if p is None else float(p[best])
    sure = "" if share is None else f", probability {share:.4f}"
    return f"says {name_of(e.model, best)}{sure}; truth: {name_of(e.model, truth)}"


def name_of(model: Any, code: int) -> str:
    return f"class {code}" if model.classes is None else repr(np.asarray(model.classes)[code].item())


def weight_story(e: Explanation, width: int) -> list[str]:
    """The chain rule for the chosen weight, line by line, and its check."""
    place = ",".join(map(str, e.index))
    lines = [f"One weight: {e.weight}[{place}] = {number(e.weight_value, 7)}", ""]
    for link in e.chain:
        lines += link_lines(link, width)
    if e.derivative == 0:
        lines += ["", "The derivative is 0: no path from this weight to the loss is active for these rows."]
    lines += [
        "",
        *words(
            "Tried out: the weight a little up and a little down, two forward passes, no derivative rule.", width
        ).split("\n"),
        f"  (loss(w + h) - loss(w - h)) / 2h = {number(e.difference, 9)}",
        f"  backpropagation                  = {number(e.derivative, 9)}",
        f"  relative difference {number(e.relative_difference, 2)}, with h = {number(e.step)}",
    ]
    if e.relative_difference > CLOSE and e.derivative != e.difference:
        reason = "They differ: the loss has a corner this close to w, or the derivative is lost in rounding."
        lines += [f"  {line}" for line in words(reason, width - 2).split("\n")]
    return lines


def link_lines(link: Link, width: int) -> list[str]:
    """One link: its sum in names and in numbers, a line for each product."""
    lines = [
        f"  {link.name} = {number(link.value, 6)}",
        *(f"      {line}" for line in words(link.rule, width - 6).split("\n")),
    ]
    rows = [
        [
            f"{t.slope_name} * {t.delta_name}",
            f"= {number(t.slope, 5)} * {number(t.delta, 5)}",
            f"= {number(t.product, 6)}",
        ]
        for t in link.terms
    ]
    rest = link.count - len(link.terms)
    if rest > 0:
        rows.append([f"and {rest:,} more, together", "", f"= {number(link.rest, 6)}"])
    return lines + [f"      {line}" for line in table(rows, width=width - 6).split("\n") if line]


def to_dict(e: Explanation) -> dict[str, Any]:
    """Plain data, ready for JSON."""
    return {
        "loss": plain(e.loss),
        "loss_name": e.model.loss.name,
        "parameters": int(e.model.theta.size),
        "x": tree.map(plain, e.x),
        "y": plain(e.y),
        "layers": [
            {"place": layer.place, "name": layer.name, "layer": layer.label, "output": plain(layer.output),
             "delta": plain(layer.delta)}
            for layer in e.layers
        ],
        "x_delta": tree.map(plain, e.x_delta),
        "weight": {
            "path": e.weight, "index": list(e.index), "value": plain(e.weight_value),
            "derivative": plain(e.derivative), "central_difference": plain(e.difference), "step": e.step,
            "relative_difference": plain(e.relative_difference),
        },
        "chain": [
            {"name": link.name, "rule": link.rule, "value": plain(link.value), "count": link.count,
             "rest": plain(link.rest),
             "terms": [{"slope_name": t.slope_name, "slope": plain(t.slope), "delta_name": t.delta_name,
                        "delta": plain(t.delta), "product": plain(t.product)} for t in link.terms]}
            for link in e.chain
        ],
    }  # fmt: skip


def plain(value: Any) -> Any:
    """Arrays as nested lists, numbers as Python's; numbers that JSON does not have become None."""
    if isinstance(value, list):
        return [plain(part) for part in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
