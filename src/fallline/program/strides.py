"""Where a value lies: a buffer, an offset, a shape and strides; and how several layouts collapse to few loops.

Offsets and strides count elements. Knows nothing of graphs or kernels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ref:
    """A strided window into a buffer."""

    buffer: int
    offset: int
    shape: Shape
    strides: Shape
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def contiguous(self) -> bool:
        return self.size <= 1 or all(
            n == 1 or s == e for n, s, e in zip(self.shape, self.strides, row_major(self.shape), strict=True)
        )

    def extent(self) -> tuple[int, int]:
        """First and one-past-last element touched, relative to the buffer; (offset, offset) when empty."""
        if self.size == 0:
            return self.offset, self.offset
        reach = [(n - 1) * s for n, s in zip(self.shape, self.strides, strict=True)]
        return self.offset + sum(min(r, 0) for r in reach), self.offset + sum(max(r, 0) for r in reach) + 1

    def viewed(self, shape: Shape, strides: Shape, offset: int = 0) -> "Ref":
        return Ref(self.buffer, self.offset + offset, shape, strides, self.dtype)

    def broadcast(self, shape: Shape) -> "Ref":
        """The same elements repeated to a shape: repeated axes get stride 0."""
        extra = len(shape) - len(self.shape)
        strides = tuple(
            0 if i < extra or (self.shape[i - extra] == 1 and n != 1) else self.strides[i - extra]
            for i, n in enumerate(shape)
        )
        return self.viewed(shape, strides)

    def turned(self) -> "Ref":
        """The same with its last two axes exchanged."""
        return self.permuted([*range(len(self.shape) - 2), len(self.shape) - 1, len(self.shape) - 2])

    def window(self, slices: Sequence[slice]) -> "Ref":
        """The part that slices cut out, one for each axis from the first on."""
        cut = [*map(slice.indices, slices, self.shape)]
        sizes, rest = [len(range(*one)) for one in cut], len(cut)
        start = sum(one[0] * s for one, s in zip(cut, self.strides)) if all(sizes) else 0
        strides = (one[2] * s for one, s in zip(cut, self.strides))
        return self.viewed((*sizes, *self.shape[rest:]), (*strides, *self.strides[rest:]), start)

    def permuted(self, axes: Sequence[int]) -> "Ref":
        return self.viewed(tuple(self.shape[a] for a in axes), tuple(self.strides[a] for a in axes))


def row_major(shape: Shape) -> Shape:
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


def collapse(shape: Shape, strides: Sequence[Shape]) -> tuple[Shape, list[Shape]]:
    """The fewest loops that visit several layouts of one shape in step: unit axes go, axes that follow on merge.

    A shape without elements is one loop of no turns, whatever its strides.
    """
    if 0 in shape:
        return (0,), [(1,) for _ in strides]
    sizes: list[int] = []
    steps: list[list[int]] = [[] for _ in strides]
    for axis, n in enumerate(shape):
        if n == 1:
            continue
        if sizes and all(step[-1] == s[axis] * n for step, s in zip(steps, strides, strict=True)):
            sizes[-1] *= n
            for step, s in zip(steps, strides, strict=True):
                step[-1] = s[axis]
            continue
        sizes.append(n)
        for step, s in zip(steps, strides, strict=True):
            step.append(s[axis])
    return tuple(sizes), [tuple(step) for step in steps]


def as_strided_view(ref: Ref, view: Any) -> Ref | None:
    """The layout that a NumPy view function gives, found by applying it to an array that is never read.

    None where the view would have to copy.
    """
    base = np.lib.stride_tricks.as_strided(
        np.empty(1, ref.dtype), ref.shape, tuple(s * ref.dtype.itemsize for s in ref.strides), writeable=False
    )
    try:
        shown = view(base)
    except ValueError:
        return None
    item = ref.dtype.itemsize
    start = base.__array_interface__["data"][0]
    offset = (shown.__array_interface__["data"][0] - start) // item if shown.size else 0
    return ref.viewed(shown.shape, tuple(s // item for s in shown.strides), offset)
