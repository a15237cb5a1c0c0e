"""Measures of a training step: inner values, and the numbers that are made of them.

    for event in fl.train(model, data, ..., measure={"gradient norm": fl.measure.norm("gradient", "*.weight")}):
        if isinstance(event, fl.events.Measured):
            event.values["gradient norm"]["0.weight"]      # one number for each step

A measure is traced into the step, so it sees every step and costs only its own arithmetic; a step without
measures is the same program as ever. Knows nothing of how a step is made.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from fallline.arguments import record, shown
from fallline.errors import ArgumentError, ArgumentTypeError, nearest
from fallline.graph.inside import Inside
from fallline.graph.node import Node, as_node

SOURCES: Mapping[str, str] = {
    "gradient": "of the loss with respect to a parameter, by its path; of those that are trained",
    "parameter": "before the step, by its path",
    "update": "of a parameter: its value after the step less that before it",
    "activation": "the output of a layer, (N, ...), by its place: 0, 1, 2.0",
    "note": "a value that a layer names by context.note",
}


def _value(x: Any) -> Any:
    return x


@record
@dataclass(frozen=True)
class Measure:
    """Numbers made of inner values of every step.

    of: a name of SOURCES: "gradient", "parameter", "update", "activation" or "note". at: a pattern of paths, or
        several: "0.weight", "*.weight", "*". function: from such an array to a number or an array, written in NumPy;
        it is traced once.
    Errors: ArgumentError for an unknown source; where training begins also for a pattern that fits nothing.
    Example: Measure("activation", "1", lambda h: np.mean(h > 0))
    """

    of: str
    at: str | Sequence[str] = "*"
    function: Callable[[Any], Any] = _value

    def __post_init__(self) -> None:
        if self.of not in SOURCES:
            raise ArgumentError(f"a measure is of one of {', '.join(SOURCES)}, got {shown(self.of)}"
                                f"{nearest(str(self.of), SOURCES)}")  # fmt: skip
        patterns = (self.at,) if isinstance(self.at, str) else tuple(self.at)
        if not all(isinstance(pattern, str) for pattern in patterns):
            raise ArgumentTypeError(f"at takes a pattern of paths, such as '*.weight', got {shown(self.at)}")
        if not callable(self.function):
            raise ArgumentTypeError(f"a measure's function takes an array, got {shown(self.function)}")
        object.__setattr__(self, "at", patterns)

    @property
    def name(self) -> str:
        """The default name of a measure: "gradient norm"."""
        of = getattr(self.function, "__name__", "").strip("_<>")
        return self.of if self.function is _value else f"{self.of} {of}"

    def found(self, values: Mapping[str, Any]) -> dict[str, Node]:
        """The function's results for the values whose path fits. Errors: ArgumentError where none does."""
        patterns = (self.at,) if isinstance(self.at, str) else self.at
        paths = [path for path in values if any(fnmatchcase(path, pattern) for pattern in patterns)]
        for pattern in patterns:
            if not any(fnmatchcase(path, pattern) for path in values):
                known = f"\n  known: {', '.join(map(repr, values)):.400}" if values else "; this network has none"
                known += "\n  values inside fl.vmap or fl.scan are not seen" * (self.of in ("activation", "note"))
                raise ArgumentError(f"no {self.of} is called {pattern!r}{nearest(pattern, [*values])}{known}")
        made = {}
        for path in paths:
            with Inside(lambda: f"the measure {self.name!r}", {"its array": values[path]}, "its array"):
                made[path] = as_node(self.function(values[path]))
        return made


@dataclass(frozen=True, slots=True)
class Column:
    """A measured value of a step: of which measure, of which path, and its shape."""

    name: str
    path: str
    shape: tuple[int, ...]


def norm(of: str, at: str | Sequence[str] = "*") -> Measure:
    """The Euclidean norm of each array: the root of the sum of its squares.

    of, at, and errors: as in Measure.
    Example: norm("gradient", "*.weight")
    """
    return Measure(of, at, _norm)


def mean(of: str, at: str | Sequence[str] = "*") -> Measure:
    """The mean of the elements of each array.

    of, at, and errors: as in Measure.
    Example: mean("activation", "1")
    """
    return Measure(of, at, np.mean)


def spread(of: str, at: str | Sequence[str] = "*") -> Measure:
    """The standard deviation of the elements of each array.

    of, at, and errors: as in Measure.
    Example: spread("parameter", "*.weight")
    """
    return Measure(of, at, np.std)


def largest(of: str, at: str | Sequence[str] = "*") -> Measure:
    """The largest absolute element of each array.

    of, at, and errors: as in Measure.
    Example: largest("update")
    """
    return Measure(of, at, _largest)


def zeros(of: str, at: str | Sequence[str] = "*") -> Measure:
    """The share of elements that are exactly 0, such as those of units that a ReLU has switched off.

    of, at, and errors: as in Measure.
    Example: zeros("activation", "1")
    """
    return Measure(of, at, _zeros)


def value(of: str, at: str | Sequence[str] = "*") -> Measure:
    """Each array as it is.

    of, at, and errors: as in Measure.
    Example: value("note")
    """
    return Measure(of, at)


def _norm(x: Any) -> Any:
    return np.sqrt(np.sum(np.square(x)))


def _largest(x: Any) -> Any:
    return np.max(np.abs(x))


def _zeros(x: Any) -> Any:
    return np.mean((x == 0).astype(x.dtype))


def named(given: Any) -> dict[str, Measure]:
    """Measures by name, from one, several, or a dict. Errors: ArgumentTypeError for anything else."""
    if given is None:
        return {}
    if isinstance(given, Measure):
        given = [given]
    if not isinstance(given, Mapping | list | tuple):
        given = {"": given}
    pairs = given.items() if isinstance(given, Mapping) else [(getattr(one, "name", ""), one) for one in given]
    found: dict[str, Measure] = {}
    for name, one in pairs:
        if not isinstance(one, Measure):
            raise ArgumentTypeError(
                f"measure takes measures, or a dict of them by name, got {shown(one)}\n"
                '  try: measure={"gradient norm": fl.measure.norm("gradient", "*.weight")}'
            )
        if str(name) in found:
            raise ArgumentError(f"two measures are called {name!r}\n  try: a dict, with a name for each")
        found[str(name)] = one
    return found


__all__ = ["SOURCES", "Measure", "largest", "mean", "norm", "spread", "value", "zeros"]
