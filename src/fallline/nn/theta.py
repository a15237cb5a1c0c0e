"""Theta: how a tree of named parameters lies in one flat contiguous vector, and which kind each is. Knows no layer."""

import math
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

import numpy as np

from fallline import tree
from fallline.arguments import Form, shown
from fallline.errors import ArgumentError, ArgumentTypeError, ShapeError, nearest
from fallline.graph.op import Array, Shape
from fallline.ops import view
from fallline.tree import Tree

PATTERNS = Form(
    "a pattern of paths, or several",
    lambda given: isinstance(given, str | list | tuple) and all(isinstance(pattern, str) for pattern in given),
)
TRAINABLE, KEPT, FROZEN = KINDS = ("trainable", "kept", "frozen")


@dataclass(frozen=True, slots=True)
class Slot:
    """Where one parameter array lies in theta, and how a training step treats it.

    start: its first element in theta. shape: of the array. path: its name, such as "0.weight"; "" where the tree of
        parameters is a single array.
    kind: "trainable", moved by the optimizer; "kept", written by its layer while training (running statistics);
        "frozen", never changed.
    rate: factor of the learning rate. decay: factor of weight decay; by default 1 for arrays of two or more axes
        (weights) and 0 for others (biases). Both only count where the kind is "trainable".
    """

    start: int
    shape: Shape
    path: str = ""
    kind: str = TRAINABLE
    rate: float = 1.0
    decay: float = 1.0

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def stop(self) -> int:
        return self.start + self.size

    @property
    def treatment(self) -> tuple[str, float, float]:
        """(kind, rate, decay)."""
        return self.kind, self.rate, self.decay

    def of(self, theta: Any) -> Any:
        """This slot's array, as a view of theta; of a traced theta, as a slice."""
        piece = view.slice_(theta, starts=(self.start,), stops=(self.stop,), steps=(1,))
        return view.reshape(piece, shape=self.shape)


def usual_decay(shape: Shape) -> float:
    """The factor of weight decay where nobody says otherwise: 1 for two or more axes (weights), 0 for others."""
    return 1.0 if len(shape) > 1 else 0.0


@dataclass(frozen=True)
class Layout:
    """A tree of slots that follow one another in theta, in the order of the tree's leaves."""

    slots: Tree
    size: int

    @cached_property
    def leaves(self) -> tuple[Slot, ...]:
        """The slots in the order of theta."""
        return tuple(tree.leaves(self.slots))

    @staticmethod
    def of(params: Tree) -> "Layout":
        """The layout of a tree of arrays, all trainable; or of slots, which keep their kind and their factors."""
        slots, start = [], 0
        for path, leaf in tree.items(params):
            shape = tuple(leaf.shape)
            if isinstance(leaf, Slot):
                slots.append(replace(leaf, start=start, path=path))
            else:
                slots.append(Slot(start, shape, path, decay=usual_decay(shape)))
            start = slots[-1].stop
        return Layout(tree.unflatten(params, slots), start)

    def join(self, params: Tree, dtype: Any) -> Array:
        """A new theta with these parameters."""
        theta = np.empty(self.size, dtype)
        for slot, leaf in zip(self.leaves, tree.leaves(params), strict=True):
            theta[slot.start : slot.stop] = np.ravel(leaf)
        return theta

    def split(self, theta: Any) -> Tree:
        """The parameters as views of theta; of a traced theta, as its slices.

        Errors: ArgumentTypeError for a value that is no vector; ShapeError for one of another length.
        """
        shape = getattr(theta, "shape", None)
        if shape != (self.size,):
            wants = f"theta has to be the vector of all {self.size} parameters, (K,)"
            if shape is None:
                raise ArgumentTypeError(f"{wants}, got {shown(theta)}\n  try: model.theta; params is its tree")
            raise ShapeError(f"{wants}, got one of shape {tuple(shape)}")
        return tree.unflatten(self.slots, [slot.of(theta) for slot in self.leaves])

    def items(self) -> Iterator[tuple[str, Slot]]:
        """(path, slot) pairs: ("0.weight", Slot(64, (30, 64), "0.weight"))."""
        return ((slot.path, slot) for slot in self.leaves)

    def matching(self, patterns: str | Sequence[str]) -> tuple[Slot, ...]:
        """The slots whose path fits one of these patterns, in the order of theta.

        patterns: of paths, as file names are matched: "0.weight" itself, "*.weight", "0.*", "*".
        Errors: ArgumentError for a pattern that fits no path, with the nearest one.
        """
        patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)
        slots = self.leaves
        for pattern in patterns:
            if not any(fnmatchcase(slot.path, pattern) for slot in slots):
                paths = [slot.path for slot in slots]
                raise ArgumentError(f"no parameter is called {pattern!r}{nearest(pattern, paths)}\n"
                                    f"  known: {', '.join(paths):.400}")  # fmt: skip
        return tuple(slot for slot in slots if any(fnmatchcase(slot.path, pattern) for pattern in patterns))

    def marked(
        self,
        patterns: str | Sequence[str],
        *,
        kind: str | None = None,
        rate: float | None = None,
        decay: float | None = None,
    ) -> "Layout":
        """The same layout with another kind, or other factors, for the slots that `matching` finds; None leaves them.

        Errors: ArgumentError for an unknown kind, a negative factor, or a pattern that fits nothing.
        Example: model.layout.marked("0.*", kind="frozen")
        """
        if kind is not None and kind not in KINDS:
            raise ArgumentError(f"a parameter is one of {', '.join(KINDS)}, got {kind!r}{nearest(str(kind), KINDS)}")
        factors = {name: value for name, value in (("rate", rate), ("decay", decay)) if value is not None}
        for name, value in factors.items():
            if not isinstance(value, int | float | np.integer | np.floating):
                raise ArgumentTypeError(f"the {name} of a parameter is a number, got {shown(value)}")
            if not 0 <= value < np.inf:
                raise ArgumentError(f"the {name} of a parameter is a factor >= 0 and finite, got {value!r}")
        changes: dict[str, Any] = {**factors, **({} if kind is None else {"kind": kind})}
        meant = {slot.path for slot in self.matching(patterns)}
        new = [replace(slot, **changes) if slot.path in meant else slot for slot in self.leaves]
        return replace(self, slots=tree.unflatten(self.slots, new))

    @property
    def kinds(self) -> tuple[tuple[str, float, float], ...]:
        """(kind, rate, decay) of every slot: what tells two layouts of one network apart."""
        return tuple([slot.treatment for slot in self.leaves])

    def differences(self, other: "Layout") -> dict[str, list[Any]]:
        """{path: [kind, rate, decay]} of the slots that another layout of the same arrays has otherwise."""
        pairs = zip(self.leaves, self.kinds, other.kinds, strict=True)
        return {slot.path: list(mine) for slot, mine, its in pairs if mine != its}

    @property
    def marks(self) -> dict[str, list[Any]]:
        """{path: [kind, rate, decay]} of the slots that are not trainable with the usual factors."""
        usual = [(TRAINABLE, 1.0, usual_decay(slot.shape)) for slot in self.leaves]
        return {slot.path: list(mine) for slot, mine, its in zip(self.leaves, self.kinds, usual) if mine != its}

    def with_differences(self, differences: Mapping[str, Any]) -> "Layout":
        """The layout with these kinds and factors, as `differences` gives them.

        Errors: ArgumentError for values of another form.
        """
        layout = self
        if not isinstance(differences, Mapping):
            raise ArgumentError(f"not the kinds of parameters by their paths: {differences!r:.60}")
        for path, given in differences.items():
            try:
                kind, rate, decay = given
                layout = layout.marked(exactly(path), kind=str(kind), rate=float(rate), decay=float(decay))
            except (TypeError, ValueError) as error:
                raise ArgumentError(f"not the kind and the factors of a parameter: {path!r}: {given!r:.60}") from error
        return layout

    def count(self, kind: str = TRAINABLE) -> int:
        """How many elements of theta are of a kind."""
        return sum(slot.size for slot in self.leaves if slot.kind == kind)

    @property
    def trained(self) -> "Layout":
        """The layout of the trainable slots alone, one after the other, as an optimizer sees them. Itself if all are.

        Its parameters are a tuple of arrays; its slots keep their paths.
        """
        slots = self.leaves
        if all(slot.kind == TRAINABLE for slot in slots):
            return self
        found, start = [], 0
        for slot in slots:
            if slot.kind == TRAINABLE:
                found.append(replace(slot, start=start))
                start += slot.size
        return Layout(tuple(found), start)

    def trainable(self, params: Tree) -> list[Any]:
        """The trainable arrays of a tree of parameters, in the order of theta."""
        pairs = zip(self.leaves, tree.leaves(params), strict=True)
        return [leaf for slot, leaf in pairs if slot.kind == TRAINABLE]

    def pack(self, theta: Any) -> Any:
        """The trainable elements of theta, or of anything that lies like it, as one vector for `trained`."""
        runs = self._runs()
        if runs == [(TRAINABLE, 0, self.size)]:
            return theta
        return _joined([_cut(theta, start, stop) for kind, start, stop in runs if kind == TRAINABLE], theta)

    def unpack(self, theta: Any, trained: Any, kept: Mapping[str, Any] = {}) -> Any:
        """Theta after a step: trainable elements from `trained`, all others from `theta`, bit for bit.

        kept: new values of kept slots by path, in their shape.
        """
        if self._runs() == [(TRAINABLE, 0, self.size)]:
            return trained
        parts, at = [], 0
        for slot in self.leaves:
            if slot.kind == TRAINABLE:
                parts.append(_cut(trained, at, at + slot.size))
                at += slot.size
            elif slot.kind == KEPT and slot.path in kept:
                parts.append(view.reshape(kept[slot.path], shape=(slot.size,)))
            else:
                parts.append(_cut(theta, slot.start, slot.stop))
        return _joined(parts, theta)

    def _runs(self) -> list[tuple[str, int, int]]:
        """(kind, start, stop) of the slots, neighbours of one kind as one."""
        runs: list[tuple[str, int, int]] = []
        for slot in self.leaves:
            kind, start = (slot.kind, slot.start)
            if runs and runs[-1][0] == kind:
                start = runs.pop()[1]
            runs.append((kind, start, slot.stop))
        return runs

    def decay_mask(self, dtype: Any) -> Array:
        """The factor of weight decay for each element: 1 on weights and 0 on biases, unless a slot says otherwise."""
        return self._spread("decay", dtype)

    def rates(self, dtype: Any) -> Array | None:
        """The factor of the learning rate for each element; None where all are 1."""
        if all(slot.rate == 1 for slot in self.leaves):
            return None
        return self._spread("rate", dtype)

    def _spread(self, name: str, dtype: Any) -> Array:
        factors = np.zeros(self.size, dtype)
        for _, slot in self.items():
            factors[slot.start : slot.stop] = getattr(slot, name)
        return factors


# The layouts of models by where theta lies and how long it is, with what keeps that memory; None where models with
# layouts of several kinds share it. A loop of one's own works on plain arrays, and is told where it forgets the layout.
_LAYOUTS: dict[tuple[int, int], tuple[weakref.ref[Array], Layout | None]] = {}


def remember(theta: Array, layout: Layout) -> None:
    """Let `layout_of` find this layout for views of theta, as long as theta lives."""
    key = _address(theta), layout.size
    _, seen = _LAYOUTS.get(key, (None, layout))
    if key not in _LAYOUTS:
        holder = theta
        while isinstance(holder.base, np.ndarray):
            holder = holder.base
        _LAYOUTS[key] = weakref.ref(holder, lambda _: _LAYOUTS.pop(key, None)), layout
    elif seen is not None and seen is not layout and seen.kinds != layout.kinds:
        _LAYOUTS[key] = _LAYOUTS[key][0], None


def layout_of(leaves: Sequence[Any]) -> Layout | None:
    """The layout of the model whose parameters these arrays are, in order, if it is known."""
    if not leaves or not all(isinstance(leaf, np.ndarray) for leaf in leaves):
        return None
    return _LAYOUTS.get((_address(leaves[0]), sum(leaf.size for leaf in leaves)), (None, None))[1]


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


def exactly(path: str) -> str:
    """A path as a pattern that fits it alone."""
    return path.replace("[", "[[]").replace("*", "[*]").replace("?", "[?]")


def _cut(vector: Any, start: int, stop: int) -> Any:
    return view.slice_(vector, starts=(start,), stops=(stop,), steps=(1,))


def _joined(parts: list[Any], like: Any) -> Any:
    """Vectors one after the other; no parts give a vector of no elements."""
    parts = parts or [_cut(like, 0, 0)]
    return parts[0] if len(parts) == 1 else view.join(*parts, axis=0)
