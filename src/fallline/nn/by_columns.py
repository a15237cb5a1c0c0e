"""ByColumns: layers side by side, each for some columns of a row."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import ranges
from fallline.errors import ArgumentError, ArgumentTypeError, NotCalled, ShapeError
from fallline.graph.op import Shape
from fallline.nn import layer_table as table
from fallline.nn.activation import Identity, Tanh
from fallline.nn.context import Context, applied
from fallline.nn.layer import Dense, Generator, as_layer, check_parts, started, with_batch
from fallline.ranges import short
from fallline.tree import Tree

_PLACE = ranges.Range(at_least=0, below=2**31, whole=True)


@table.layer(
    lambda: [
        (ByColumns((((0, 2), Dense(3)), ((1,), Identity()))), (3,)),
        (ByColumns((((2, 0), Tanh()), ((0, 1), Dense(1)), ((3,), Identity()))), (4,)),
    ]
)
@dataclass(frozen=True)
class ByColumns(NotCalled):
    """Layers side by side, each for some columns of a row; their outputs are joined in the order given.

        y = [f_1(x[:, places_1]), f_2(x[:, places_2]), ...]        x: (N, D)

    parts: pairs of columns' places, from 0, and a layer that gives rows of numbers; nn.Identity() passes columns on.
        A column may be in several parts, or in none.
    Errors: ArgumentTypeError, ArgumentError for other forms; ShapeError for columns that are not there.
    Example: Sequential(ByColumns((((0, 1), Periodic()), ((2,), Embedding(12)))), Dense(64), ReLU(), Dense(10))
    """

    parts: tuple[tuple[tuple[int, ...], Any], ...]

    def __post_init__(self) -> None:
        try:
            parts = tuple((tuple(places), as_layer(layer, i)) for i, (places, layer) in enumerate(self.parts))
        except (TypeError, ValueError) as error:
            if isinstance(error, ArgumentTypeError):
                raise
            raise ArgumentTypeError(
                f"ByColumns takes pairs of columns' places and a layer, got {self.parts!r:.80}\n"
                "  try: nn.ByColumns((((0, 1), nn.Periodic()), ((2,), nn.Identity())))"
            ) from None
        wrong = [problem for places, _ in parts for one in places if (problem := _PLACE.problem(one))]
        if wrong or not parts or not all(places for places, _ in parts):
            raise ArgumentError(f"ByColumns: a column's place {wrong[0] if wrong else 'is missing'}")
        object.__setattr__(self, "parts", tuple((tuple(map(int, places)), layer) for places, layer in parts))

    def __repr__(self) -> str:
        return f"ByColumns({', '.join(f'{len(places)}: {short(layer)}' for places, layer in self.parts)})"

    def init(self, rng: Generator, shape: Shape, dtype: Any) -> tuple[Tree, Shape]:
        most = 1 + max(place for places, _ in self.parts for place in places)
        if len(shape) != 1 or shape[0] < most:
            raise ShapeError(f"{short(self)} takes rows of {most} columns or more, (N, {most}), and meets an input of "
                             f"shape {with_batch(shape)}")  # fmt: skip
        params, width = [], 0
        for places, layer in self.parts:
            drawn, out = started(layer, rng, (len(places),), dtype)
            if len(out) != 1:
                raise ShapeError(f"{short(self)}: {short(layer)} gives {with_batch(out)}, not rows of numbers, (N, K)")
            params.append(drawn)
            width += out[0]
        return tuple(params), (width,)

    def apply(self, params: Tree, x: Any, context: Context | None = None) -> Any:
        check_parts(params, len(self.parts), "ByColumns")
        made = []
        for i, ((places, layer), its) in enumerate(zip(self.parts, params, strict=True)):
            its_context = None if context is None else context.within(i)
            made.append(applied(layer, its, x[:, _as_slice(places)], its_context))
        return made[0] if len(made) == 1 else np.concatenate(made, axis=1)


def _as_slice(places: tuple[int, ...]) -> Any:
    """Places side by side as a slice, which moves nothing; others as they are."""
    if places == tuple(range(places[0], places[0] + len(places))):
        return slice(places[0], places[0] + len(places))
    return np.array(places)
