"""Subject: a run with all that its report tells about it, each computed once, when the first section asks for it."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from fallline import tree
from fallline.arrays import Array
from fallline.assessment.comparison import Comparison, compare
from fallline.assessment.kept_comparison import kept
from fallline.diagnosis.diagnosed import diagnosis_of
from fallline.diagnosis.finding import Diagnosis
from fallline.errors import ArgumentError
from fallline.experiments.contest import Race
from fallline.insight.opened import Opened
from fallline.nn.ensemble import members
from fallline.nn.model import Model
from fallline.training.run import Run

# Rows that pictures of answers look at, at most.
MOST_ROWS = 2000
# Rows times columns times classes up to which boosted trees are trained in about a second.
MOST_CELLS, TREES = 500_000, "boosted trees"


@dataclass(frozen=True, eq=False, slots=True)
class Held:
    """Rows to test answers on.

    model: takes them as they are. x, y: as it takes them. index: (n,), the place of each in the data. which: "test",
    "validation" or "training" rows; whole: whether these are all of them.
    """

    model: Model
    x: Any
    y: Any
    index: Array
    which: str
    whole: bool

    @property
    def rows(self) -> str:
        return f"{self.which} row{'s' * (len(self.index) != 1)}"

    @property
    def said(self) -> str:
        return f"{len(self.index):,} {self.rows}{'' if self.whole else ', of more'}"


class Subject:
    """A run with its rows.

    opened: as `insight.opened` found it. row: the place in the data of the row to explain. race: the one that the run
    is the best of; None for a run on its own.
    """

    def __init__(self, opened: Opened, row: int = 0, race: Race | None = None) -> None:
        self.opened, self.row, self.race = opened, row, race

    @property
    def run(self) -> Run:
        return self.opened.run

    @cached_property
    def first(self) -> Run:
        """The run of the first network, which holds its rows where they are there: nothing is read again for it."""
        part = self.opened.parts[0]
        own = part.run or replace(self.run, model=members(self.run.model)[0])
        return own if part.job is None else replace(own, job=part.job)

    @property
    def several(self) -> str:
        """A sentence on which network is looked at, where there are several."""
        count = len(self.opened.parts)
        return f"Of {count} networks that are averaged, the first is looked at." if count > 1 else ""

    @property
    def no_rows(self) -> str:
        """Why there are no rows to look at, in a sentence; "" where there are."""
        if self.opened.parts[0].sample(1) is not None:
            return ""
        return "; ".join(self.opened.missing) or "its rows came from an iterable, which gives them once"

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """All findings about the run."""
        return diagnosis_of(self.opened)

    @cached_property
    def _kept_comparison(self) -> Comparison | None:
        return None if self.run.folder is None else kept(self.run.folder)

    @cached_property
    def comparison(self) -> Comparison | None:
        """The run beside simpler models: as it was kept with it, or made on its test rows; None without test rows."""
        if self._kept_comparison is not None:
            return self._kept_comparison
        recipe, test = self.opened.recipe, self.opened.test
        if recipe is None or test is None or not len(test):
            return None
        seconds = self.run.ended.seconds if self.run.ended is not None else np.nan
        without = (TREES,) if self.slow_trees else ()
        return compare(self.run.model, recipe.some_rows, recipe.rows_at(test), without=without, seconds=seconds)

    @property
    def slow_trees(self) -> bool:
        """Whether boosted trees would take longer than all else on the page; those of `fallline train` were kept."""
        recipe = self.opened.recipe
        if recipe is None or self._kept_comparison is not None:
            return False
        return len(recipe.train) * len(recipe.data.features) * max(len(recipe.data.classes), 1) > MOST_CELLS

    @cached_property
    def held(self) -> Held | None:
        """Rows that the network was not trained on, as far as there are some: test, else validation, else training."""
        recipe, test, part = self.opened.recipe, self.opened.test, self.opened.parts[0]
        if recipe is not None and test is not None and len(test):
            index = drawn(test)
            x, y = recipe.rows_at(index)[:2]
            return Held(self.run.model, x, y, index, "test", len(index) == len(test))
        for which, found in (("validation", part.validation(MOST_ROWS)), ("training", part.sample(MOST_ROWS))):
            if found is not None and len(found):
                index = self.opened.given_rows(found.index)
                if recipe is not None:
                    x, y = recipe.rows_at(index)[:2]
                    return Held(self.run.model, x, y, index, which, found.whole)
                model = replace(part.model, decoder=self.run.model.decoder, classes=self.run.model.classes)
                return Held(model, found.x, in_words(model, found.y), index, which, found.whole)
        return None

    def place_in(self, index: int) -> str:
        """Which rows a row of the data is among: "training", "validation" or "test"; "" where that is not known."""
        test, part = self.opened.test, self.opened.parts[0]
        if test is not None and index in test:
            return "test"
        for which, found in (("validation", part.validation()), ("training", part.sample())):
            if found is not None and index in self.opened.given_rows(found.index):
                return which
        return ""

    def check(self) -> None:
        """Errors: ArgumentError for a row that is not there, as far as that can be told without reading."""
        recipe = self.opened.recipe
        if recipe is not None and self.row >= len(recipe.data):
            raise no_row(self.row, len(recipe.data))

    def one_row(self) -> tuple[Any, Any, Any]:
        """The network of the explained row, the row as it takes it, and its target.

        Errors: ArgumentError for a row that is not there.
        """
        recipe, part = self.opened.recipe, self.opened.parts[0]
        if recipe is not None:
            x, y = recipe.rows_at(np.array([self.row]))[:2]
            own = part.run or self.run
            model = replace(members(self.run.model)[0], theta=part.model.theta)
            return replace(own, model=model), recipe.encoder.table_numbers(x, "x")[0], y[0]
        every = part.every()
        assert every is not None  # else there are no rows, which the section says
        at = np.flatnonzero(every.index == self.row)
        if not len(at):
            raise no_row(self.row, int(every.index.max()) + 1)
        x = tree.map(lambda leaf: leaf[at], every.x)
        return part.model, x, in_words(part.model, every.y[at])


def in_words(model: Model, y: Array) -> Array:
    """Targets as they are given to a model, of those that its loss takes: labels of codes."""
    if model.labels is None or y.size != len(y):
        return y
    return np.array(model.labels)[y.reshape(len(y)).astype(np.int64)]


def no_row(row: int, count: int) -> ArgumentError:
    return ArgumentError(f"there is no row {row}: its rows are 0 to {count - 1:,}")


def drawn(index: Array, most: int = MOST_ROWS) -> Array:
    """At most so many, evenly spaced."""
    return index if len(index) <= most else index[np.linspace(0, len(index) - 1, most).round().astype(int)]


__all__ = ["Held", "Subject"]
