"""drawing: a network as a picture of its units and weights, without any rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import tree
from fallline.arguments import takes
from fallline.errors import ArgumentTypeError
from fallline.graph.op import Array
from fallline.insight.microscope import as_double, label
from fallline.insight.pieces import Pieces, run
from fallline.insight.svg_network import svg_of
from fallline.insight.wiring import Unit, Wiring, structure
from fallline.nn.model import Model
from fallline.source import named
from fallline.tree import Tree

# Rows by which a slope that depends on the row is told from a weight.
ROWS = 8


@dataclass(frozen=True, eq=False)
class Drawing:
    """A drawn network. wiring: the units that are shown and what connects them; title: one line; notes: how it is read;
    names: of the inputs, by the array's name and the place in it."""

    wiring: Wiring
    title: str
    notes: tuple[str, ...]
    names: Mapping[tuple[str, tuple[int, ...]], str]

    def svg(self) -> str:
        """The drawing as the text of an SVG file, readable in light and in dark."""
        return svg_of(self.wiring, self.title, list(self.notes), self.name)

    def html(self) -> str:
        """The drawing for a page that has colours already, which it takes: text of that page's own."""
        return svg_of(self.wiring, self.title, list(self.notes), self.name, here=True)

    def name(self, source: str, unit: Unit) -> str:
        """A unit of an array by the name of its column, or by the array's and its place."""
        at = unit.index[1:]
        return self.names.get((source, at), f"{source}[{','.join(map(str, at))}]")

    def _repr_html_(self) -> str:
        return self.html()

    def _repr_svg_(self) -> str:
        return self.svg()

    def __repr__(self) -> str:
        columns = ", ".join(f"{stage.source} {len(stage.units)} of {stage.width}" for stage in self.wiring.stages)
        return f"Drawing({columns})"


@takes()
def drawing(model: Any) -> Drawing:
    """A network drawn: units as circles, weights as lines, thick where they are large, dashed where negative.

    model: a Model, or a Run, whose model is meant. Which unit reads which is found from the derivatives of its layers
    at a few made-up rows: a slope that is the same at all of them is a weight and drawn by its size, one that depends
    on the row is dotted. Of networks with more than 60 units the first of each layer are drawn, and that is said.
    Errors: ArgumentTypeError for anything else.
    Example: Path("network.svg").write_text(drawing(run).svg())
    """
    model = getattr(model, "model", model)
    if not isinstance(model, Model):
        raise ArgumentTypeError(
            f"drawing takes a model or a run, got {model!r:.80}\n  try: fl.drawing(fl.nn.Model.init(network, 4))"
        )
    model = as_double(model)
    x = _made_up(model)
    with np.errstate(all="ignore"):
        passes = run(model, x, lambda output: np.sum(output))
        pieces = Pieces(model, x, lambda output: np.sum(output), passes)
        labels = {**dict.fromkeys(named(x), "input"), **{tap.name: label(tap.layer) for tap in passes.taps}}
        wiring = structure(pieces, labels, ROWS)
    columns = model.encoder.names if model.encoder is not None else ()
    names: dict[tuple[str, tuple[int, ...]], str] = {}
    if columns and len(columns) == model.input_shape[0]:
        names = {("x", (i,)): str(column) for i, column in enumerate(columns)}
    notes = ["Lines: weights, thick where large, dashed where negative; dotted where the slope depends on the row."]
    if not wiring.is_whole:
        notes.append("Of large layers the first units are drawn.")
    title = f"{model.theta.size:,} parameters, {len(passes.taps)} layers"
    return Drawing(wiring, title, tuple(notes), names)


def _made_up(model: Model) -> Tree:
    """Rows of normal numbers, and of zeros where whole numbers are taken."""
    rng = np.random.default_rng(0)

    def rows(form: Any) -> Array:
        shape = (ROWS, *form.shape)
        return rng.normal(size=shape) if form.dtype.kind == "f" else np.zeros(shape, form.dtype)

    made: Tree = tree.map(rows, model.inputs)
    return made
