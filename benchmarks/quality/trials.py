"""Trials: one contender on one split of one set, measured; and the file that keeps them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.quality.contenders import CONTENDERS
from benchmarks.quality.raw_tables import RawTable
from benchmarks.quality.scoring import scores


@dataclass(frozen=True, slots=True)
class Trial:
    """A contender's measures on a split.

    part: "test" or "validation", the rows measured on; `rows` of them, after training on `trained`. seconds: of the
    training, encoding included; `predicting` of the rows measured on. date: of the measurement.
    """

    table: str
    task: str
    part: str
    split: int
    contender: str
    trained: int
    rows: int
    scores: Mapping[str, float]
    seconds: float
    predicting: float
    date: str

    @property
    def key(self) -> tuple[str, str, int, str]:
        return self.table, self.part, self.split, self.contender


def trial(table: RawTable, number: int, part: str, contender: str) -> Trial:
    """Train a contender on the rows of a split and measure it; the number of the split is its seed as well."""
    train, held = table.split(number, part)
    begun = time.perf_counter()
    predict = CONTENDERS[contender].train(table.take(train), table.y[train], table.task, number)
    trained = time.perf_counter()
    predicted = predict(table.take(held))
    done = time.perf_counter()
    classes = np.unique(table.y[train]) if table.task == "classification" else None
    found = {name: round(value, 6) for name, value in scores(table.y[held], predicted, classes).items()}
    spent = round(trained - begun, 4), round(done - trained, 5)
    sizes = len(train), len(held)
    today = time.strftime("%Y-%m-%d")
    return Trial(table.name, table.task, part, number, contender, *sizes, found, *spent, today)


@dataclass(slots=True)
class Kept:
    """Trials by their keys. machine, libraries: where and with what the last were measured."""

    machine: str = ""
    libraries: str = ""
    trials: dict[tuple[str, str, int, str], Trial] = field(default_factory=dict)

    def add(self, one: Trial) -> None:
        self.trials[one.key] = one

    def of(self, part: str, table: str, contender: str) -> list[Trial]:
        """Those of a contender on a set, in the order of the splits."""
        found = [t for t in self.trials.values() if (t.part, t.table, t.contender) == (part, table, contender)]
        return sorted(found, key=lambda one: one.split)

    def tables(self, part: str) -> list[str]:
        return list(dict.fromkeys(one.table for one in self.trials.values() if one.part == part))

    def contenders(self, part: str, order: Sequence[str] = tuple(CONTENDERS)) -> list[str]:
        found = {one.contender for one in self.trials.values() if one.part == part}
        return [name for name in order if name in found]

    def write(self, path: Path) -> None:
        """One trial a line, so that a change is seen in a comparison of two versions."""
        lines = ",\n".join(json.dumps(asdict(one)) for one in sorted(self.trials.values(), key=lambda one: one.key))
        head = json.dumps({"machine": self.machine, "libraries": self.libraries})[1:-1]
        path.write_text(f'{{{head}, "trials": [\n{lines}\n]}}\n', encoding="utf-8")


def read(path: Path) -> Kept:
    """The trials in a file. Errors: OSError; ValueError where it holds something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        kept = Kept(found["machine"], found["libraries"])
        for one in found["trials"]:
            kept.add(Trial(**one))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no trials: {type(error).__name__}: {error}") from error
    return kept


def numbers(kept: Sequence[Trial], measure: str) -> Iterator[float]:
    return (one.scores[measure] for one in kept)
