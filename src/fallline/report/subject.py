"""Subject: a run with all that its report tells about it, each computed once, when the first section asks for it."""

from functools import cached_property
from typing import Any

import numpy as np

from fallline.assessment.comparison import Comparison, compare
from fallline.assessment.kept_comparison import kept
from fallline.diagnosis.diagnosed import diagnose
from fallline.diagnosis.finding import Diagnosis
from fallline.insight.explanation import Explanation
from fallline.insight.microscope import explain
from fallline.insight.opened import Opened
from fallline.training.run import Run


class Subject:
    """A run with its rows.

    opened: as `insight.opened` found it. data: of the caller, None where the run names its own. row: the place of the
    row to explain among the training rows.
    """

    def __init__(self, opened: Opened, data: Any = None, row: int = 0) -> None:
        self.opened, self.data, self.row = opened, data, row

    @property
    def run(self) -> Run:
        return self.opened.run

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """All findings about the run."""
        return diagnose(self.run, self.data)

    @cached_property
    def comparison(self) -> Comparison | None:
        """The run beside simpler models: as it was kept with it, or made on its test rows; None without test rows."""
        if self.run.folder is not None and (found := kept(self.run.folder)) is not None:
            return found
        recipe, test = self.opened.recipe, self.opened.test
        if recipe is None or test is None or not len(test):
            return None
        seconds = self.run.ended.seconds if self.run.ended is not None else np.nan
        return compare(self.run.model, recipe.some_rows, recipe.rows_at(test), seconds=seconds)

    @cached_property
    def explanation(self) -> Explanation | None:
        """One training row through the first network and back; None where the rows are not there."""
        part = self.opened.parts[0]
        sample = part.sample()
        if sample is None or isinstance(sample.x, dict | tuple):
            return None
        at = min(self.row, len(sample) - 1)
        return explain(part.model, sample.x[at : at + 1], sample.y[at : at + 1])
