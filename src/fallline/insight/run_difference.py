"""The difference of two runs: settings and results side by side, and where their steps part."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from fallline.arguments import record, takes
from fallline.errors import NotCalled
from fallline.insight.opened import Opened, opened
from fallline.insight.parting import Parting, first_difference, parting
from fallline.jobs.describe import completed
from fallline.ranges import Range
from fallline.runs.events import plain
from fallline.training.replay import Replay
from fallline.training.run import Run
from fallline.typesetting import fit, number, table, words

# Keys of a run's config under the names by which a reader knows them.
NAMES = {"theta": "first parameters (checksum)", "data": "data", "kinds": "trained parameters"}
ABSENT = "-"


@dataclass(frozen=True, slots=True)
class Pair:
    """A setting or a result of both runs; `-` where one has none."""

    name: str
    first: Any
    second: Any


@record
@dataclass(frozen=True, eq=False, slots=True)
class Difference(NotCalled):
    """The difference of two runs; str() of it is text.

    names: of the runs. settings: those that differ. results: all of them. compared: steps from the first on that were
    made again by both and left the same parameters. parting: the step after these; None where none was found. kept: the
    first tensor in which the networks that were kept differ, with the element; "" where they are the same bits.
    missing: sentences on what could not be compared, and why.
    """

    names: tuple[str, str]
    settings: tuple[Pair, ...]
    results: tuple[Pair, ...]
    compared: int
    parting: Parting | None
    kept: str
    missing: tuple[str, ...]

    def __str__(self) -> str:
        return self.text()

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON holds it."""
        found: dict[str, Any] = plain(self)
        return found

    @takes(width=Range("columns", at_least=40, whole=True))
    def text(self, *, width: int = 80, ascii_only: bool = False) -> str:
        """The difference to read, in lines of at most `width` columns."""
        heads = [fit(name, max(12, (width - 26) // 2)) for name in self.names]
        lines = []
        for title, pairs in (("settings that differ", self.settings), ("results", self.results)):
            rows = [(one.name, _shown(one.first), _shown(one.second)) for one in pairs]
            if rows:
                lines += [table(rows, (title, *heads), width=width, ascii_only=ascii_only), ""]
            else:
                lines += [f"{title}: none", ""]
        lines += [words(f"{self._where()}", width)]
        if self.parting is not None:
            one = self.parting
            place = one.path + (f"[{', '.join(map(str, one.element))}]" if one.element else "")
            lines += [fit(f"  {place}: {_shown(one.values[0], 9)} and {_shown(one.values[1], 9)}", width)]
            if one.elements[1] > 1:
                lines += [f"  {one.elements[0]:,} of {one.elements[1]:,} elements differ"]
        lines += [
            words(f"the networks kept: {self.kept}" if self.kept else "the networks kept are the same bits", width)
        ]
        lines += [words(f"not compared: {sentence}", width) for sentence in self.missing]
        return "\n".join(lines)

    def _where(self) -> str:
        steps = "step is" if self.compared == 1 else f"{self.compared:,} steps are"
        same = f"the first {steps} the same bits" if self.compared else ""
        if self.parting is None:
            return f"{same}; no step was found where they part" if same else "no step was compared"
        one = self.parting
        before = one.what in ("network", "initial parameters")
        head = "they part before the first step" if before else f"they part in step {one.step} (epoch {one.epoch})"
        return "; ".join(part for part in (same, f"{head}: {one.says}") if part)


@takes(steps=Range("steps to make again at most", at_least=0, whole=True, optional=True))
def difference(
    first: Run | str | os.PathLike[str],
    second: Run | str | os.PathLike[str],
    *,
    data: Any = None,
    steps: int | None = None,
) -> Difference:
    """The difference of two runs: settings, results, and the first step and tensor where they part.

        theta_a[0 .. s] = theta_b[0 .. s],  theta_a[s + 1] != theta_b[s + 1]

    Both trainings are made again from their settings and rows, which come to the same bits, and stand side by side
    after each step. In the step where they part the first of these that differs is told: parameters, rows of the batch,
    values of the rows, gradient, update.
    first, second: runs, or their folders. data: the (x, y) of both, where they do not name theirs. steps: to make again
        at most; None is all that both have made, which takes up to three times as long as the training did.
    Errors: those of `fl.load_run`; DataError for data that are not those of a run. What cannot be compared is told in
    the answer's `missing`.

    >>> x = np.arange(8.0).reshape(8, 1)
    >>> descents = [fl.optim.GradientDescent(rate) for rate in (0.001, 0.002)]
    >>> runs = [fl.fit(fl.nn.Dense(1), (x, 2 * x), loss="squared_error", epochs=2, optimizer=one) for one in descents]
    >>> found = fl.difference(*runs)
    >>> found.settings[0].name, found.parting.step, found.parting.what
    ('optimizer.learning_rate', 0, 'update')
    """
    ours, theirs = opened(first, data), opened(second, data)
    names = tuple("first" if one.run.folder is None else one.name for one in (ours, theirs))
    names = (names[0], "second" if names[1] == "first" else names[1])
    missing = [
        f"{name}: {sentence}" for name, one in zip(names, (ours, theirs), strict=True) for sentence in one.missing
    ]
    compared, found = 0, None
    if ours.has_rows and theirs.has_rows:
        compared, found = _parted(ours, theirs, names, steps, missing)
    kept = _kept(ours, theirs)
    return Difference(
        names, tuple(_settings(ours.run, theirs.run)), tuple(_results(ours.run, theirs.run)), compared, found, kept,
        tuple(missing),
    )  # fmt: skip


def _parted(
    ours: Opened, theirs: Opened, names: tuple[str, str], steps: int | None, missing: list[str]
) -> tuple[int, Parting | None]:
    for name, one in zip(names, (ours, theirs), strict=True):
        if not one.replays:
            missing.append(f"steps: the parameters that {name} began with are not known")
    if not (ours.replays and theirs.replays):
        return 0, None
    if len(ours.parts) > 1 or len(theirs.parts) > 1:
        missing.append("steps: of several networks only the first of each run were made again")
    jobs = [one.parts[0].job for one in (ours, theirs)]
    made = [_steps(one.run, name, missing) for one, name in zip((ours, theirs), names, strict=True)]
    if made[0] != made[1]:
        missing.append(f"steps after the first {min(made):,}: only one of the runs made them")
    most = min(made)
    if steps is not None and steps < most:
        most = steps
        missing.append(f"steps after the first {most:,}, as was asked")
    a, b = [Replay(job) for job in jobs if job is not None]
    try:
        return parting(a, b, most)
    finally:
        a.close()
        b.close()


def _steps(run: Run, name: str, missing: list[str]) -> int:
    """The steps of a run that its job makes again: all, or those before the learning rate was lowered by its rule."""
    epochs = run.epochs
    rule = run.config.get("early_stopping")
    factor = rule.get("rate_factor") if isinstance(rule, Mapping) else None
    for before, after in pairwise(epochs):
        if factor is not None and after.learning_rate <= before.learning_rate * factor * (1 + 1e-9):
            missing.append(f"steps of {name} after epoch {before.epoch}, where a rule lowered the learning rate")
            return before.step
    return epochs[-1].step if epochs else 0


def _kept(ours: Opened, theirs: Opened) -> str:
    """The first tensor in which the networks that were kept differ, in words."""
    for a, b in zip(ours.parts, theirs.parts, strict=False):
        shapes: list[dict[str, Any]] = [
            {path: slot.shape for path, slot in one.model.layout.items()} for one in (a, b)
        ]  # fmt: skip
        if shapes[0] != shapes[1]:
            return "their parameters have other names or shapes"
        found = first_difference(a.model.layout, np.asarray(a.model.theta), np.asarray(b.model.theta))
        if found is not None:
            path, element, values, (count, size) = found
            place = f"{path}[{', '.join(map(str, element))}]" if element else path
            return (
                f"{place} is {_shown(values[0], 7)} and {_shown(values[1], 7)}; {count:,} of {size:,} elements differ"
            )
    return "" if len(ours.parts) == len(theirs.parts) else "other numbers of networks"


def _settings(a: Run, b: Run) -> Iterator[Pair]:
    ours, theirs = [
        dict(_flat({key: value for key, value in one.config.items() if key != "fallline"})) for one in (a, b)
    ]
    for name in dict.fromkeys([*ours, *theirs]):
        x, y = ours.get(name, ABSENT), theirs.get(name, ABSENT)
        if x != y and not (x != x and y != y):
            yield Pair(_named(name), x, y)


def _flat(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every number and text of a config, by its path."""
    if isinstance(value, Mapping) and value:
        for key, part in completed(value).items():
            yield from _flat(part, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list | tuple) and value:
        for i, part in enumerate(value):
            yield from _flat(part, f"{place}[{i}]")
    else:
        yield place, value if isinstance(value, int | float | str | None) else str(value)


def _named(path: str) -> str:
    first, dot, rest = path.partition(".")
    checksum = " (checksum)" if first in ("data", "validation") and rest not in ("", "rows", "input_shape") else ""
    return NAMES.get(first, first) + dot + rest + checksum


def _results(a: Run, b: Run) -> Iterator[Pair]:
    ours, theirs = dict(_result(a)), dict(_result(b))
    for name in dict.fromkeys([*ours, *theirs]):
        yield Pair(name, ours.get(name, ABSENT), theirs.get(name, ABSENT))


def _result(run: Run) -> Iterator[tuple[str, Any]]:
    """The numbers a run ended with, of the epoch whose parameters were kept."""
    yield "ended", run.stop_reason or "not ended"
    yield "epochs", len(run.epochs)
    end, shown = run.ended, run.kept_epoch
    if shown is None:
        return
    yield "steps", run.epochs[-1].step
    yield "parameters of epoch", shown.epoch
    yield "loss", shown.loss
    if shown.validation_loss is not None:
        yield "validation loss", shown.validation_loss
    yield from ((name.replace("_", " "), value) for name, value in shown.metrics.items())
    if end is not None:
        yield "training (s)", end.seconds


def _shown(value: Any, digits: int = 6) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return number(value, digits) if isinstance(value, int | float) else str(value)


__all__ = ["Difference", "Pair", "difference"]
