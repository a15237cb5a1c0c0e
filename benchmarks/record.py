"""All that a run of the benchmarks finds: races, findings, rates; and the same as JSON and back.

Data only: knows neither how it came about nor how it is shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fallline.bench.cases import named
from fallline.bench.results import Outcome, Timing


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a measurement without a case, ready to show.

    about: how it was measured. picture: drawn for a terminal, or empty. short: a sentence for each floor missed.
    """

    heading: str
    about: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    short: tuple[str, ...] = ()
    picture: str = ""


@dataclass(frozen=True, slots=True)
class Rate:
    """Floating-point operations a second of one thing: the median over rounds, and the most."""

    what: str
    flops: float
    most: float


@dataclass(frozen=True, slots=True)
class Rates:
    """How fast this machine is on so many threads, measured in turn.

    step: the largest case's whole step. products: matrix products alone, by whom and how large. memory: bytes a second
    through an elementwise chain over arrays far larger than any cache, at most. cache: bytes of the last cache before
    memory, 0 where unknown.
    """

    threads: int
    step: Rate
    products: tuple[Rate, ...]
    memory: float
    cache: int

    @property
    def best(self) -> Rate:
        """The fastest product."""
        return max(self.products, key=lambda rate: rate.flops)


@dataclass(slots=True)
class Results:
    """A whole run.

    command: as it was typed. machine: when and where. libraries: the measured ones. seconds: how long it took.
    """

    command: str
    machine: str
    libraries: str = ""
    seconds: float = 0.0
    outcomes: list[Outcome] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    rates: Rates | None = None

    @property
    def threads(self) -> list[int]:
        """The numbers of threads raced with, the most first."""
        return sorted({outcome.threads for outcome in self.outcomes}, reverse=True)

    def on(self, threads: int) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.threads == threads]

    def to_json(self) -> str:
        values = asdict(self)
        for outcome, kept in zip(self.outcomes, values["outcomes"]):
            kept["case"] = outcome.case.name
        return json.dumps(values, indent=1) + "\n"

    @staticmethod
    def from_json(text: str) -> Results:
        """Results from the text that `to_json` wrote. Errors: ValueError where it is something else, or about cases
        that are no more.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            outcomes = [_outcome(kept) for kept in values.pop("outcomes")]
            findings = [_finding(kept) for kept in values.pop("findings")]
            rates = values.pop("rates")
            return Results(**values, outcomes=outcomes, findings=findings, rates=rates and _rates(rates))
        except (KeyError, TypeError, AttributeError, StopIteration) as error:
            raise ValueError(f"no results of this benchmark: {type(error).__name__}: {error}") from error


def _outcome(kept: Mapping[str, Any]) -> Outcome:
    timings = {name: Timing(**timing) for name, timing in kept["timings"].items()}
    return Outcome(**{**kept, "case": named(kept["case"]), "timings": timings})


def _finding(kept: Mapping[str, Any]) -> Finding:
    rows = tuple(tuple(row) for row in kept["rows"])
    return Finding(**{**kept, "head": tuple(kept["head"]), "rows": rows, "short": tuple(kept["short"])})


def _rates(kept: Mapping[str, Any]) -> Rates:
    return Rates(**{**kept, "step": Rate(**kept["step"]), "products": tuple(Rate(**r) for r in kept["products"])})


def read(path: Path) -> Results:
    """The results kept in a file. Errors: OSError, ValueError."""
    return Results.from_json(path.read_text(encoding="utf-8"))
