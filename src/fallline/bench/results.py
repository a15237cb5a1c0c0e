"""The results of the benchmark: times, ratios against floors, findings; and the same as JSON and back.

Data only: knows neither how it came about nor how it is shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from fallline.bench.cases import BEST, OTHERS, Case, named

OURS = "Fallline"


@dataclass(slots=True)
class Timing:
    """A competitor's rounds on one case: `steps` steps each, with their seconds and processor seconds.

    threads: those it was given.
    """

    steps: int
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    threads: int = 1

    @property
    def step(self) -> float:
        """Seconds of one step: the median over rounds."""
        return median(self.seconds) / self.steps

    @property
    def busy(self) -> float:
        """Processor seconds per second: how many threads were at work, waiting in circles included."""
        return sum(self.cpu) / sum(self.seconds)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A floor and the measured value: `peer` is the quickest, where the floor is about the best of several."""

    about: str
    peer: str
    ratio: float
    floor: float

    @property
    def met(self) -> bool:
        return self.ratio >= self.floor


@dataclass(slots=True)
class Outcome:
    """A case raced on so many threads: the timings by competitor, and why the others are left out.

    foreign: the share of the processors that something else took meanwhile, 0 to 1; None where nobody can tell.
    """

    case: Case
    threads: int = 1
    timings: dict[str, Timing] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    foreign: float | None = None

    def ratio(self, name: str) -> float | None:
        """How many times our step goes into this one: the median over rounds of each round's own ratio."""
        if name == BEST:
            name = self.best_other or ""
        if name not in self.timings or OURS not in self.timings:
            return None
        one, other = self.timings[name], self.timings[OURS]
        pairs = zip(one.seconds, other.seconds)
        return median(a / one.steps / (b / other.steps) for a, b in pairs)

    @property
    def best_other(self) -> str | None:
        """Who of those that floors take together has the shortest step."""
        found = {name: self.timings[name].step for name in OTHERS if name in self.timings}
        return min(found, key=found.__getitem__, default=None)

    @property
    def verdicts(self) -> Iterator[Verdict]:
        """The floors that hold here and were measured."""
        for about, floor in (self.case.floors_at(self.threads) or {}).items():
            ratio = self.ratio(about)
            if ratio is not None:
                yield Verdict(about, (self.best_other or "") if about == BEST else about, ratio, floor)

    @property
    def shortfalls(self) -> list[str]:
        """The floors that were not reached, as sentences."""
        on = "one thread" if self.threads == 1 else f"{self.threads} threads"
        return [
            f"{self.case.name}, {on}: {v.ratio:.2f} times {v.peer}, floor {v.floor:g}"
            for v in self.verdicts
            if not v.met
        ]


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
    memory, 0 where nobody can tell.
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
