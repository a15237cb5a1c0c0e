"""Embedding: codes of categories as rows of a table that is learned."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import ranges
from fallline.errors import ArgumentError, NotCalled, ShapeError
from fallline.graph.op import Shape
from fallline.nn import layer_table as table
from fallline.nn.context import Context
from fallline.nn.layer import Generator, with_batch
from fallline.ops import gather
from fallline.ranges import COUNT, option, short
from fallline.tree import Tree


# Codes that are no whole numbers, as the laws of all layers draw them, are rounded down; the gradient to them is 0.
@table.layer(lambda: [(Embedding((4, 3), 3), (2,)), (Embedding(20, 2), (1,))])
@dataclass(frozen=True)
class Embedding(NotCalled):
    """Each code of a row as `width` numbers, the row of that number in a table of its column.

        y = [T_1[x_1], T_2[x_2], ...]        x: (N, k), T_i: (levels_i, width), N(0, 1) at first and 0 for code 0

    levels: how many codes each column has, 0..levels - 1, one number a column; a number alone stands for one column.
        Codes below 0 count as 0, those above as the last. Code 0, of values that are missing or were not met while
        training, starts at zeros, so that it adds nothing as long as nothing is known of it.
    width: numbers for each code, >= 1.
    Errors: ArgumentError outside the ranges; ShapeError for rows of another length.
    Source: Guo, Berkhahn 2016, Entity embeddings of categorical variables, arXiv:1604.06737.
    Example: Sequential(Embedding((42, 17)), Dense(64), ReLU(), Dense(10)), for rows of two codes
    """

    levels: Any  # held as a tuple
    width: int = option(8, "numbers for each code", at_least=1, at_most=10**6, whole=True)

    def __post_init__(self) -> None:
        ranges.check(self)
        given = self.levels if isinstance(self.levels, tuple | list) else (self.levels,)
        wrong = [problem for one in given if (problem := COUNT.problem(one))]
        if wrong or not given:
            raise ArgumentError(f"Embedding: the levels of a column {wrong[0] if wrong else 'are missing'}")
        object.__setattr__(self, "levels", tuple(map(int, given)))

    def init(self, rng: Generator, shape: Shape, dtype: Any) -> tuple[Tree, Shape]:
        if shape != (len(self.levels),):
            raise ShapeError(
                f"{short(self)} takes rows of {len(self.levels)} codes and meets an input of shape {with_batch(shape)}"
            )
        rows = rng.normal(size=(sum(self.levels), int(self.width))).astype(dtype)
        rows[self._starts] = 0
        return {"table": rows}, (len(self.levels) * int(self.width),)

    def apply(self, params: Tree, x: Any, context: Context | None = None) -> Any:
        last = np.array(self.levels, np.int64) - 1
        codes = np.minimum(np.maximum(x.astype(np.int64), 0), last) + self._starts
        return gather(params["table"], codes, axis=0).reshape(x.shape[0], -1)

    @property
    def _starts(self) -> Any:
        """The row of each column's code 0."""
        return np.cumsum([0, *self.levels[:-1]])
