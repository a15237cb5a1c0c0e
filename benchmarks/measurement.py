"""A measurement without a case: a heading, how it is done, and a function that finds rows and missed floors.

Knows no measurement; each is a line of a table in the file that makes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.record import Finding


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of a table, a sentence for each floor missed, and a picture where there is one to draw."""

    rows: Sequence[Sequence[str]]
    short: Sequence[str] = ()
    picture: str = ""


@dataclass(frozen=True, slots=True)
class Measure:
    """about: how it is measured, for the page. run: measures, with so many threads where that matters."""

    heading: str
    about: str
    head: Sequence[str]
    run: Callable[[int], Found]

    def find(self, threads: int) -> Finding:
        found = self.run(threads)
        rows = tuple(tuple(row) for row in found.rows)
        return Finding(self.heading, self.about, tuple(self.head), rows, tuple(found.short), found.picture)


def timed(call: Callable[[], object]) -> float:
    """Seconds of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def verdict(value: float, ceiling: float) -> str:
    return "met" if value <= ceiling else "SHORT"


def missed(what: str, value: float, ceiling: float, show: Callable[[float], str] = "{:.2f}".format) -> list[str]:
    """The sentence about a ceiling that was passed; nothing if it was not."""
    return [] if value <= ceiling else [f"{what}: {show(value)}, floor {show(ceiling)}"]
