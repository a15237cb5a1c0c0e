"""The table of layers: each enters with examples, for which the tests generate its laws. Knows no single layer."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from fallline.config import enter, saved
from fallline.graph.op import Shape

LAYERS: dict[str, type] = {}
Examples = Sequence[tuple[Any, Shape]]
_EXAMPLES: dict[str, Callable[[], Examples]] = {}
C = TypeVar("C", bound=type)


def layer(examples: Callable[[], Examples], *, in_files: bool = True) -> Callable[[C], C]:
    """Enter a class of layers under its name.

    examples: pairs of such a layer and the shape of a row that it takes; () -> [(Dense(3), (4,)), ...]. in_files:
        whether files can hold it.
    """

    def entered(cls: C) -> C:
        enter(LAYERS, cls.__name__, cls, "layers")
        _EXAMPLES[cls.__name__] = examples
        return saved(cls) if in_files else cls

    return entered


def examples(name: str) -> Examples:
    """The examples of a layer of the table: pairs of a layer and the shape of a row that it takes."""
    return _EXAMPLES[name]()
