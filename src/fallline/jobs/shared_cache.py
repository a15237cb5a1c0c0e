"""A cache that trainings side by side share: checked data, splits, digests and programs are made once.

Knows nothing of the values it keeps, but that loops over other arrays are clones of the first ones. A training by
itself shares nothing, and keeps nothing alive.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from fallline.graph.op import Array
from fallline.program.step_loop import Loop

T = TypeVar("T")


class ByIdentity:
    """An object as part of a key: equal to itself alone. Keeps it alive, so that no other can take its identity."""

    __slots__ = ("it",)

    def __init__(self, it: object) -> None:
        self.it = it

    def __hash__(self) -> int:
        return id(self.it)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByIdentity) and self.it is other.it


# First words of the keys under which programs are kept.
PROGRAMS = ("loops", "evaluation")


@dataclass(frozen=True, slots=True)
class SharedCache:
    """Results of earlier calls, by key. kept: None for a training that shares nothing."""

    kept: dict[Any, Any] | None

    def once(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        """The result of `make` for this key, computed once."""
        if self.kept is None or not can_be_hashed(key):
            return make()
        if key not in self.kept:
            self.kept[key] = make()
        found: T = self.kept[key]
        return found

    def loops(
        self, key: tuple[Any, ...], state: Sequence[Array], data: Sequence[Array], make: Callable[[], Iterable[Loop]]
    ) -> list[Loop]:
        """Loops over these arrays: those that `make` makes for a first one, their clones for others of the same form.

        key: all that the loops' graphs follow from, but for the forms of the arrays.
        """
        whole = ("loops", *key, *(form(array) for array in (*state, *data)))
        if self.kept is None or not can_be_hashed(whole):
            return [*make()]
        known = self.kept.get(whole)
        made = [*make()] if known is None else [loop.clone(state, data) for loop in known]
        self.kept[whole] = made  # the newest, so that nobody keeps the arrays of those before it
        return made

    def programs(self) -> "SharedCache":
        """A cache with the programs of this one alone: nothing in it knows data, but those that it met last."""
        return SharedCache({key: value for key, value in (self.kept or {}).items() if key[0] in PROGRAMS})

    def data(self) -> "SharedCache":
        """A cache with all but the programs of this one, for a network that no other training has."""
        return SharedCache({key: value for key, value in (self.kept or {}).items() if key[0] not in PROGRAMS})


NOT_SHARED = SharedCache(None)


def can_be_hashed(key: Any) -> bool:
    """Whether something can be looked up: a layer or loss of a user's own may hold arrays or lists."""
    try:
        hash(key)
    except TypeError:
        return False
    return True


def form(array: Array) -> tuple[tuple[int, ...], np.dtype[Any]]:
    return array.shape, array.dtype
