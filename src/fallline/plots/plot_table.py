"""The table of pictures: the form of one, and how it gets into the table. Knows no single picture.

A picture is a function from an object to a `Chart`, so it is drawn, printed and tested without knowing by what.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from fallline.errors import GraphError
from fallline.plots.chart import Chart

F = TypeVar("F", bound=Callable[..., Chart])


# What a run lacks whose rows are gone; data=(x, y) makes up for it.
NO_ROWS = "it holds no rows and does not say where they came from\n  try: data=(x, y), as in the training"


@dataclass(frozen=True, slots=True)
class Plot:
    """One picture. name: as in run.plot.NAME(); of: the class that it shows; doc: one line of 62 characters at most.

    function: the object, and options by keyword, to its chart. lacks: why an object cannot be shown so, in words;
    "" where it can.
    """

    name: str
    of: type
    doc: str
    function: Callable[..., Chart]
    lacks: Callable[[Any], str]


PLOTS: dict[str, Plot] = {}


def plot(name: str, *, of: type, doc: str, lacks: Callable[[Any], str] = lambda _: "") -> Callable[[F], F]:
    """Enter a function into the table as a picture of a class; it stands under "run.loss", class and name."""

    def enter(function: F) -> F:
        key = f"{of.__name__.lower()}.{name}"
        if key in PLOTS:
            raise GraphError(f"plot {key!r} is declared twice")
        PLOTS[key] = Plot(name, of, doc, function, lacks)
        return function

    return enter


def plots_of(subject: Any) -> dict[str, Plot]:
    """The pictures of an object by name, those it lacks something for included."""
    return {one.name: one for one in PLOTS.values() if isinstance(subject, one.of)}
