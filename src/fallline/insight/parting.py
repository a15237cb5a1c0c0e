"""Where two trainings part: both are made again side by side until a step leaves them with other parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.arrays import Array
from fallline.nn.theta import Layout
from fallline.training.replay import Kept, Replay
from fallline.typesetting import number


@dataclass(frozen=True, slots=True)
class Parting:
    """The first step after which two trainings differ, and the first thing in which they do.

    step, epoch: of the step, from 0. what: "network", "initial parameters", "batch", "data", "gradient", "update" or
    "end", where the steps of one end. path: of the tensor, or of the array of rows. element: its index in the tensor;
    of those that differ, the one that differs most. values: of both trainings. elements: how many differ, and how many
    there are. says: one sentence.
    """

    step: int
    epoch: int
    what: str
    path: str
    element: tuple[int, ...]
    values: tuple[Any, Any]
    elements: tuple[int, int]
    says: str


def parting(a: Replay, b: Replay, most: int) -> tuple[int, Parting | None]:
    """How many steps from the first on leave both with the same parameters, and what differs in the one after them.

    most: steps to look at. They are made in stretches of growing length, from a copy at whose beginning both are alike;
    the stretch in which they part is gone through once more by halves, so that the whole takes at most three times the
    steps.
    """
    found = _before(a, b)
    if found is not None:
        return 0, found
    stretch, kept = 1, (a.keep(), b.keep())
    while a.step < most:
        begun, steps = a.step, min(stretch, most - a.step)
        made = a.make(steps), b.make(steps)
        if made == (steps, steps) and not _differs(a, b):
            stretch, kept = 2 * stretch, (a.keep(), b.keep())
            continue
        if min(made) < steps and _rewound(a, b, kept, min(made)):
            if made[0] == made[1]:
                return a.step, None
            return a.step, _ended(a, made)
        _narrowed(a, b, kept, begun, min(steps, *made))
        return a.step, _told(a, b)
    return a.step, None


def _rewound(a: Replay, b: Replay, kept: tuple[Kept, Kept], steps: int) -> bool:
    """Make the steps that both could make from a copy on; whether they leave both alike."""
    a.restore(kept[0])
    b.restore(kept[1])
    a.make(steps)
    b.make(steps)
    return not _differs(a, b)


def _narrowed(a: Replay, b: Replay, kept: tuple[Kept, Kept], begun: int, steps: int) -> None:
    """Stand before the step of a stretch after which both differ for the first time."""
    while steps > 1:
        half = steps // 2
        if _rewound(a, b, kept, half):
            kept, begun, steps = (a.keep(), b.keep()), begun + half, steps - half
        else:
            steps = half
    a.restore(kept[0])
    b.restore(kept[1])


def _differs(a: Replay, b: Replay) -> bool:
    return any(not _same(x, y) for _, x, y in _arrays(a, b))


def _arrays(a: Replay, b: Replay) -> list[tuple[str, Array, Array]]:
    """Theta and the arrays that both optimizers keep."""
    ours, theirs = a.moments, b.moments
    shared = [name for name in ours if name in theirs and ours[name].shape == theirs[name].shape]
    return [("theta", a.theta, b.theta), *((name, ours[name], theirs[name]) for name in shared)]


def _same(x: Array, y: Array) -> bool:
    return bool(np.array_equal(x, y, equal_nan=x.dtype.kind == "f"))


def _before(a: Replay, b: Replay) -> Parting | None:
    """The difference before any step: the networks' parameters in number and form, or their first values."""
    ours, theirs = dict(a.job.model.layout.items()), dict(b.job.model.layout.items())
    for path in dict.fromkeys([*ours, *theirs]):
        shapes = [str(list(of[path].shape)) if path in of else "none" for of in (ours, theirs)]
        if shapes[0] != shapes[1]:
            says = f"the networks have other parameters: {path} is {shapes[0]} in one and {shapes[1]} in the other"
            return Parting(0, 0, "network", path, (), (shapes[0], shapes[1]), (1, 1), says)
    found = first_difference(a.job.model.layout, a.theta, b.theta)
    return None if found is None else _parting(a, "initial parameters", "the first parameters differ", found)


def _told(a: Replay, b: Replay) -> Parting:
    """The first difference in the step that both stand before."""
    rows = _batches(a, b)
    if rows is not None:
        return rows
    layout = a.job.model.layout
    (loss, g), (other, h) = a.gradient(), b.gradient()
    found = first_difference(layout, g, h)
    if found is not None:
        says = f"the same rows give another gradient; the loss is {number(loss, 7)} and {number(other, 7)}"
        return _parting(a, "gradient", says, found)
    step, epoch, says = a.step, a.epoch, "the same gradient is followed by another update"
    a.make(1)
    b.make(1)
    found = first_difference(layout, a.theta, b.theta)
    for name, x, y in _arrays(a, b)[1:] if found is None else ():
        if not _same(x, y):
            says = f"the same gradient leaves the optimizer with another {name}"
            found = first_difference(layout, x, y) if x.size == layout.size else _difference(name, x, y)
            break
    assert found is not None
    return _parting(a, "update", says, found, step, epoch)


def _batches(a: Replay, b: Replay) -> Parting | None:
    """The first row in which the next batches differ."""
    (ours, x), (theirs, y) = a.batch(), b.batch()
    if len(ours) != len(theirs):
        says = f"batches are of {len(ours):,} and {len(theirs):,} rows"
        return _parting(a, "batch", says, ("rows", (), (len(ours), len(theirs)), (1, 1)))
    if not np.array_equal(ours, theirs):
        at = int(np.flatnonzero(ours != theirs)[0])
        says = f"the batches hold other rows: place {at} has row {ours[at]} and row {theirs[at]}"
        return _parting(a, "batch", says, ("rows", (at,), (int(ours[at]), int(theirs[at])),
                                           (int((ours != theirs).sum()), len(ours))))  # fmt: skip
    for name in x:
        if name not in y or x[name].shape != y[name].shape:
            seen = [f"{rows[name].dtype}{list(rows[name].shape)}" if name in rows else "none" for rows in (x, y)]
            says = f"the rows have other forms: {name} is {seen[0]} and {seen[1]}"
            return _parting(a, "data", says, (name, (), (seen[0], seen[1]), (1, 1)))
        if not _same(x[name], y[name]):
            _, element, values, count = _difference(name, x[name], y[name])
            row = int(ours[element[0]])
            says = f"row {row} has other values of {name}"
            return _parting(a, "data", says, (name, (row, *element[1:]), values, count))
    return None


def _ended(a: Replay, made: tuple[int, int]) -> Parting:
    which = "first" if made[0] < made[1] else "second"
    says = f"the {which} can make no further step: its loss is not finite, or its minimiser has arrived"
    return Parting(a.step, a.epoch, "end", "loss", (), (made[0], made[1]), (1, 1), says)


# (path, element, values of both, elements that differ and all)
Found = tuple[str, tuple[int, ...], tuple[Any, Any], tuple[int, int]]


def _parting(a: Replay, what: str, says: str, found: Found, step: int | None = None, epoch: int = 0) -> Parting:
    path, element, values, elements = found
    step, epoch = (a.step, a.epoch) if step is None else (step, epoch)
    return Parting(step, epoch, what, path, element, values, elements, says)


def first_difference(layout: Layout, u: Array, v: Array) -> Found | None:
    """The first tensor in which two vectors that lie as theta does differ, and the element that differs most."""
    for path, slot in layout.items():
        x, y = slot.of(u), slot.of(v)
        if not _same(x, y):
            return _difference(path, x, y)
    return None


def _difference(path: str, x: Array, y: Array) -> Found:
    with np.errstate(all="ignore"):
        apart = np.abs(np.subtract(x, y, dtype=np.float64))
    unequal = (x != y) & ~((x != x) & (y != y))
    apart = np.where(unequal, np.nan_to_num(apart, nan=np.inf), -1)
    element: Sequence[Any] = np.unravel_index(int(apart.argmax()), apart.shape)
    at = tuple(int(i) for i in element)
    return path, at, (x[at].item(), y[at].item()), (int(unequal.sum()), x.size)
