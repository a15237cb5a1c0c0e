"""Other ways to good parameters than descent by backpropagation, on a problem of one's own: their cost and results."""

import math
import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fallline.arguments import record, takes
from fallline.committee.entry import jobs_of
from fallline.curvature.on_rows import OnRows, on_rows
from fallline.errors import DataError, NotCalled
from fallline.insight import other_ways
from fallline.insight.opened import Sample, opened, sample_of
from fallline.insight.other_ways import Alternative
from fallline.insight.stopwatch import duration
from fallline.jobs.job import Job, prepare, redrawn
from fallline.jobs.settings import Settings
from fallline.nn.ensemble import members
from fallline.nn.model import Model
from fallline.ranges import SEED, Range
from fallline.recipe import Recipe
from fallline.runs.events import plain
from fallline.training.run import Run
from fallline.typesetting import number, table, words

YEAR = 365.25 * 86400  # seconds
# Rows that the methods are measured on, drawn where there are more.
ROWS = 2000


@record
@dataclass(frozen=True, eq=False, slots=True)
class Alternatives(NotCalled):
    """The methods, and what each of them takes and reaches; str() of it is text.

    methods: the cost and result of each. parameters: P, of them trained. rows, of: how many rows the loss is measured
    on, and of how many. loss: its name. begin: its value at the parameters that all methods begin with. seconds: that
    each method had at most. values: tried for each parameter by exhaustive search.
    """

    methods: tuple[Alternative, ...]
    parameters: int
    rows: int
    of: int
    loss: str
    begin: float
    seconds: float
    values: int

    def __getitem__(self, name: str) -> Alternative:
        """The method of this name."""
        return {one.method: one for one in self.methods}[name]

    def __str__(self) -> str:
        return self.text()

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON holds it."""
        found: dict[str, Any] = plain(self)
        return found

    @takes(width=Range("columns", at_least=40, whole=True))
    def text(self, *, width: int = 80, ascii_only: bool = False) -> str:
        """The table and a sentence on each method, in lines of at most `width` columns."""
        rows = [
            [one.method, f"{_count(one.log10_evaluations)} {one.of}", _time(one.log10_seconds),
             "" if one.measured else "extrapolated", ABSENT if one.loss is None else number(one.loss, 5)]
            for one in self.methods
        ]  # fmt: skip
        sample = "" if self.rows == self.of else f", drawn from {self.of:,}"
        lines = [
            words(
                f"{self.parameters:,} parameters, {self.rows:,} rows{sample}; {self.loss} begins at "
                f"{number(self.begin, 5)}; each method had {number(self.seconds, 3)} s at most.",
                width,
            ),
            "",
            table(rows, ["method", "work", "time", "", "loss"], width=width, ascii_only=ascii_only),
            "",
        ]
        return "\n".join([*lines, *(words(f"{one.method}: {one.how}.", width) for one in self.methods)])


ABSENT = "-"


def _count(log10: float) -> str:
    return f"{round(10**log10):,}" if log10 < 7 else f"10^{log10:,.0f}"


def _time(log10: float) -> str:
    return duration(10**log10) if log10 < math.log10(YEAR) + 6 else f"10^{log10 - math.log10(YEAR):,.0f} years"


@takes(
    seconds=Range("seconds for each method at most", above=0, at_most=3600),
    values=Range("values for each parameter in exhaustive search", at_least=2, at_most=1000, whole=True),
    rows=Range("rows to measure the loss on at most", at_least=1, whole=True),
    seed=SEED,
)
def alternatives(
    model: Any,
    data: Any = None,
    *,
    loss: Any = None,
    seconds: float = 2.0,
    values: int = 11,
    rows: int = ROWS,
    seed: int = 0,
) -> Alternatives:
    """Ways to good parameters other than descent by backpropagation, on this model and these rows: cost and result.

        equations       H step = -g, once where the loss is quadratic       P products with H, P^3 for solving
        Newton          the same again and again                            P products and P^3 a step
        exhaustive      v values for each parameter                         v^P losses
        random          points drawn from the same box                      as many losses as there is time for
        differences     (L(theta + h e_i) - L(theta - h e_i)) / 2 h         2 P losses for one gradient

    All begin with the same parameters and minimise the same loss, in float64 and without dropout. What takes longer
    than the time allowed is extrapolated from what was measured, and marked so.
    model: a run or its folder; a Model; a network, whose parameters are drawn from the seed; or a recipe. data: (x, y)
        or (x, y, weight), as for `fl.train`; None takes the rows of the run or the recipe. loss: as for `fl.train`, for
        a network. seconds: for each method. values: for each parameter, from -2 to 2. rows: to measure the loss on at
        most; where there are more, so many are drawn. seed: of all draws.
    Errors: those of `fl.train` for models and data that do not fit; DataError for a run whose rows are gone.

    >>> x = np.arange(6.0).reshape(6, 1)
    >>> found = fl.alternatives(fl.nn.Dense(1), (x, 3 * x + 1), loss="squared_error", seconds=0.2)
    >>> found["normal equations"].loss < 1e-12, found["exhaustive search"].log10_evaluations == 2 * np.log10(11)
    (True, True)
    """
    run, job = _job(model, data, loss, seed)
    found = _sample(job, rows, seed)
    surface = on_rows(job.model, found.x, found.y, found.weight, weight_decay=0.0, most=None)
    problem = other_ways.Problem(surface, seconds, seed)
    methods = [] if run is None else [_own(run, surface)]
    descent = other_ways.descent(problem)
    methods += [
        descent,
        other_ways.differences(problem, descent),
        other_ways.newton(problem),
        other_ways.equations(problem),
        other_ways.exhaustive(problem, values),
        other_ways.random_search(problem),
    ]
    begin = problem.value(surface.theta)
    return Alternatives(
        tuple(methods), surface.size, len(found), job.train.meant or len(found), job.model.loss.name, begin, seconds,
        values,
    )  # fmt: skip


def _job(model: Any, data: Any, loss: Any, seed: int) -> tuple[Run | None, Job]:
    """The run, where it is one, and a job with the parameters to begin with and the rows."""
    if isinstance(model, Recipe):
        return None, jobs_of(model)[0]
    if not isinstance(model, Run | str | os.PathLike):
        if data is None:
            raise DataError("alternatives: a model needs data=(x, y); only a run brings its own")
        return None, prepare(model, data, Settings(loss=loss, seed=seed, epochs=1))
    here = opened(model, data)
    job = here.parts[0].job
    if job is None:
        raise DataError(f"alternatives: the rows of this run are not there: {'; '.join(here.missing)}")
    # The parameters the training began with; those that the seed draws where they are not known any more.
    return here.run, job if here.replays else replace(job, model=redrawn(job))


def _sample(job: Job, rows: int, seed: int) -> Sample:
    found = sample_of(job.train, job.model, rows, seed)
    if found is None:
        raise DataError("alternatives: rows of an iterable are given once, and methods need them often")
    return found


def _own(run: Run, surface: OnRows) -> Alternative:
    """The training of the run itself."""
    model: Model = members(run.model)[0]
    value = float(surface.values_at(np.asarray(model.layout.pack(model.theta), np.float64)[None])[0])
    steps = run.epochs[-1].step if run.epochs else 0
    took = run.ended.seconds if run.ended is not None else sum(epoch.seconds for epoch in run.epochs)
    how = (
        f"its training as it was, by {run.started.optimizer if run.started else 'its optimizer'} in batches of "
        f"{run.config.get('batch_size')} rows"
    )
    return Alternative("this run", _log10(steps), "gradients", _log10(took), value, True, how)


def _log10(value: float) -> float:
    return math.log10(max(value, 1e-9))


__all__ = ["Alternative", "Alternatives", "alternatives"]
