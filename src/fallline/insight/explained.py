"""The parts of an explanation as plain data. Computes nothing, and knows none of the forms in which it is written."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fallline import tree
from fallline.graph.op import Array
from fallline.insight.followed import Chosen
from fallline.insight.links import Link, place
from fallline.insight.paths import Path, Paths
from fallline.insight.stepped import Stepped
from fallline.insight.wiring import Wiring
from fallline.nn.model import Model
from fallline.source import named
from fallline.tree import Tree

# Rows of a batch that are written out; the sums run over all of them.
SHOWN_ROWS = 3
# A larger relative difference than this has a reason that is worth a word: a corner, or a derivative near zero.
CLOSE = 1e-5


@dataclass(frozen=True, eq=False)
class LayerView:
    """One layer's part. path: of the layer in the network, "2" or "2.0" of one inside another. name: of its output, as
    the chain writes it (`out0`); label: the layer in words.

    output: of the layer, (N, ...); delta: d loss / d output, of the same shape.
    """

    path: str
    name: str
    label: str
    output: Array
    delta: Array


@dataclass(frozen=True, eq=False)
class Explained:
    """A forward and a backward pass in numbers, and the chain rule for one number.

    x, y: the rows (a dict or tuple of several inputs), and the targets as the loss takes them. layers: in the order in
    which they end, those inside others too. x_delta: d loss / d x, None for inputs that are whole numbers.
    gradient: path -> d loss / d parameter, the whole of it. chosen: the number that is followed; chain: where its
    derivative comes from, link by link up to the loss; paths: all its paths to the loss, counted, and the strongest
    ones, None where they were left out, for the reason in paths_left_out. difference: the central difference with its
    `step`. stepped: the update that follows. wiring: the units that a drawing shows. x_names: what the numbers of a row
    are called, () where they have no names.
    """

    model: Model
    x: Tree
    y: Array
    loss: float
    layers: tuple[LayerView, ...]
    x_delta: Tree
    gradient: dict[str, Array]
    chosen: Chosen
    chain: tuple[Link, ...]
    paths: Paths | None
    paths_left_out: str
    difference: float
    step: float
    stepped: Stepped
    wiring: Wiring
    x_names: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def derivative(self) -> float:
        """d loss / d the chosen number, by backpropagation."""
        return self.chosen.derivative

    @property
    def relative_difference(self) -> float:
        """Between backpropagation and the central difference."""
        largest = max(abs(self.derivative), abs(self.difference))
        return abs(self.derivative - self.difference) / largest if largest else 0.0

    @property
    def is_single(self) -> bool:
        return len(self.y) == 1

    def number(self, source: str, index: tuple[int, ...]) -> str:
        """A number's name: its array and its place, without that of the row where there is one row."""
        rowless = self.is_single and source not in self.gradient and index[:1] == (0,)
        return source + place(index[1:] if rowless else index)

    def column_of(self, source: str, index: tuple[int, ...]) -> str:
        """The name of the column that an input is, "" for any other number."""
        is_named = source == "x" and self.x_names and len(index) == 2
        return self.x_names[index[1]] if is_named else ""

    @property
    def chosen_name(self) -> str:
        """The chosen number as the chain writes it, with its column's name."""
        column = self.column_of(self.chosen.path, self.chosen.index)
        return self.number(self.chosen.path, self.chosen.index) + (f" ({column})" if column else "")

    def steps_of(self, path: Path) -> list[str]:
        """The names of the numbers on a path, the loss at its end."""
        return [*(self.number(step.source, step.index) for step in path.steps), "loss"]


def to_dict(e: Explained) -> dict[str, Any]:
    """Plain data, ready for JSON."""
    chosen, after = e.chosen, e.stepped
    return {
        "loss": plain(e.loss),
        "loss_name": e.model.loss.name,
        "parameters": int(e.model.theta.size),
        "x": tree.map(plain, e.x),
        "x_names": list(e.x_names),
        "y": plain(e.y),
        "layers": [
            {"path": layer.path, "name": layer.name, "layer": layer.label, "output": plain(layer.output),
             "delta": plain(layer.delta)}
            for layer in e.layers
        ],
        "x_delta": tree.map(plain, e.x_delta),
        "chosen": {
            "path": chosen.path, "index": list(chosen.index), "value": plain(chosen.value),
            "is_input": chosen.is_input, "derivative": plain(chosen.derivative),
            "central_difference": plain(e.difference), "step": e.step,
            "relative_difference": plain(e.relative_difference),
        },
        "chain": [
            {"name": link.name, "rule": link.rule, "value": plain(link.value), "count": link.count,
             "rest": plain(link.rest),
             "terms": [{"slope_name": t.slope_name, "slope": plain(t.slope), "delta_name": t.delta_name,
                        "delta": plain(t.delta), "product": plain(t.product)} for t in link.terms]}
            for link in e.chain
        ],
        "paths": None if e.paths is None else {
            "count": e.paths.count, "total": plain(e.paths.total), "magnitude": plain(e.paths.magnitude),
            "share": plain(e.paths.share),
            "listed": [
                {"product": plain(path.product),
                 "steps": [{"number": name, "value": plain(step.value), "slope": plain(step.slope)}
                           for name, step in zip(e.steps_of(path), path.steps)]}
                for path in e.paths.listed
            ],
        },
        "step": {
            "optimizer": after.optimizer, "source": after.source, "learning_rate": after.learning_rate,
            "before": plain(after.before), "after": plain(after.after), "loss_before": plain(after.loss_before),
            "loss_after": plain(after.loss_after), "expected_change": plain(after.expected),
        },
        "notes": list(e.notes),
    }  # fmt: skip


def inputs_of(e: Explained) -> dict[str, Array]:
    """The inputs by name, "x" of a single one."""
    return named(e.x)


def plain(value: Any) -> Any:
    """Arrays as nested lists, numbers as Python's; numbers that JSON does not have become None."""
    if isinstance(value, list):
        return [plain(part) for part in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
