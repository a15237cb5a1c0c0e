"""An iterator read one item ahead by a thread, so that the next item is made while this one is used."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items in the same order. An error comes where the item would have come; one item starts no thread."""
    first = [*islice(items, 2)]
    yield from first
    if len(first) < 2:
        return
    end = object()
    with ThreadPoolExecutor(1, "fallline-reader") as pool:
        waiting = pool.submit(next, items, end)
        try:
            while (item := waiting.result()) is not end:
                waiting = pool.submit(next, items, end)
                yield item  # type: ignore[misc]
        finally:
            waiting.cancel()
            pool.shutdown()
            if hasattr(items, "close"):
                items.close()
