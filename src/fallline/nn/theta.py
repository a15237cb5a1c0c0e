"""Theta: how a tree of named parameters lies in one flat contiguous vector. Knows no layer."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import tree
from fallline.arguments import shown
from fallline.errors import ArgumentTypeError, ShapeError
from fallline.graph.op import Array, Shape
from fallline.ops import view
from fallline.tree import Tree


@dataclass(frozen=True, slots=True)
class Slot:
    """Where one parameter array lies in theta."""

    start: int
    shape: Shape

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def stop(self) -> int:
        return self.start + self.size


@dataclass(frozen=True, slots=True)
class Layout:
    """A tree of slots that follow one another in theta, in the order of the tree's leaves."""

    slots: Tree
    size: int

    @staticmethod
    def of(params: Tree) -> "Layout":
        slots, start = [], 0
        for leaf in tree.leaves(params):
            slots.append(Slot(start, tuple(leaf.shape)))
            start = slots[-1].stop
        return Layout(tree.unflatten(params, slots), start)

    def join(self, params: Tree, dtype: Any) -> Array:
        """A new theta with these parameters."""
        theta = np.empty(self.size, dtype)
        for slot, leaf in zip(tree.leaves(self.slots), tree.leaves(params), strict=True):
            theta[slot.start : slot.stop] = np.ravel(leaf)
        return theta

    def split(self, theta: Any) -> Tree:
        """The parameters as views of theta; of a traced theta, as its slices.

        Errors: ArgumentTypeError for what is no vector; ShapeError for one of another length.
        """
        shape = getattr(theta, "shape", None)
        if shape != (self.size,):
            wants = f"theta has to be the vector of all {self.size} parameters, (K,)"
            if shape is None:
                raise ArgumentTypeError(f"{wants}, got {shown(theta)}\n  try: model.theta; params is its tree")
            raise ShapeError(f"{wants}, got one of shape {tuple(shape)}")

        def part(slot: Slot) -> Any:
            piece = view.slice_(theta, starts=(slot.start,), stops=(slot.stop,), steps=(1,))
            return view.reshape(piece, shape=slot.shape)

        return tree.map(part, self.slots)

    def items(self) -> Iterator[tuple[str, Slot]]:
        """(path, slot) pairs: ("0.weight", Slot(64, (30, 64)))."""
        return tree.items(self.slots)

    def decay_mask(self, dtype: Any) -> Array:
        """1 where weight decay pulls, on arrays with two or more axes (weights); 0 elsewhere (biases)."""
        mask = np.zeros(self.size, dtype)
        for _, slot in self.items():
            if len(slot.shape) > 1:
                mask[slot.start : slot.stop] = 1
        return mask
