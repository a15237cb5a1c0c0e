"""A function that is traced once may stand for many calls: the turns of a loop, the rows of a batch.

The number of the call is a node, for values that have to differ from call to call, as random numbers do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from fallline.graph.node import Node

_open: ContextVar[tuple[Node, ...]] = ContextVar("_open", default=())


@contextmanager
def repeated(number: Node) -> Iterator[None]:
    """While a function is traced whose graph will run many times: the node that counts them."""
    token = _open.set((*_open.get(), number))
    try:
        yield
    finally:
        _open.reset(token)


def call_numbers() -> tuple[Node, ...]:
    """The numbers of all such functions that are traced now, outermost first."""
    return _open.get()


class Counter:
    """Counts calls from 0, so that each draws other numbers; a trace that is made again begins where the first did."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def next(self) -> int:
        self.count += 1
        return self.count - 1
