"""The results of a race: times, and ratios against floors. Data only: knows neither how they came about nor how they
are shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from fallline.bench.cases import BEST, OTHERS, Case

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

    foreign: the share of the processors that something else took meanwhile, 0 to 1; None where unknown.
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
