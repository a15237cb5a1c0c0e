"""The path of a training through parameter space: theta at the ends of epochs, recorded or by training once more."""

import os
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fallline.arguments import takes
from fallline.errors import ArgumentError, ArgumentTypeError
from fallline.graph.op import Array
from fallline.insight.opened import Opened, opened
from fallline.ranges import Range
from fallline.runs.events import EpochEnded
from fallline.training.run import Run
from fallline.training.training import Training


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Points of a training's path, from its first parameters to its last.

    thetas: (T, P), in the model's precision. steps: (T,) updates made at each; epochs: (T,) passes made. loss: (T,) of
    the epoch that ended there, NaN at the start. seconds: that the training took. exact: whether a replay ended in the
    parameters of the run to the last bit; None where it was recorded and not replayed. run: of the training that was
    followed.
    """

    thetas: Array
    steps: Array
    epochs: Array
    loss: Array
    seconds: float
    exact: bool | None
    run: Run

    def __len__(self) -> int:
        return len(self.thetas)


def followed_training(training: Training, points: int) -> Trajectory:
    """Run a training to its end, and keep theta at its start and at the ends of epochs, evenly spaced."""
    kept: list[tuple[int, int, float, Array]] = [(0, 0, float("nan"), training.run.model.theta)]
    every, begun = 1, time.perf_counter()
    for event in training:
        if not isinstance(event, EpochEnded) or (event.epoch + 1) % every:
            continue
        kept.append((event.step, event.epoch + 1, event.loss, training.run.model.theta))
        if len(kept) > 2 * points:
            every *= 2
            kept = [one for one in kept if one[1] % every == 0]
    took, run = time.perf_counter() - begun, training.run
    last = run.epochs[-1] if run.epochs else None
    if last is not None and last.epoch + 1 != kept[-1][1] and not _restored(run):
        kept.append((last.step, last.epoch + 1, last.loss, run.model.theta))
    thinned = _thinned(kept, points)
    steps, epochs, losses, thetas = zip(*thinned, strict=True)
    return Trajectory(np.stack(thetas), np.array(steps), np.array(epochs), np.array(losses), took, None, run)


def _restored(run: Run) -> bool:
    return run.ended is not None and run.ended.restored_best


def _thinned(kept: list[Any], points: int) -> list[Any]:
    places = np.unique(np.linspace(0, len(kept) - 1, min(points, len(kept))).round().astype(int))
    return [kept[place] for place in places]


@takes(points=Range(at_least=2, whole=True))
def trajectory(given: Any, data: Any = None, *, points: int = 50) -> Trajectory:
    """The path that a training took through parameter space, theta at the ends of its epochs.

    given: a training that has not begun, fl.train(...): it is run, and its path recorded. Or a run, or the folder of
        one: it is trained once more, since the same seed gives the same bits; that takes as long as it took
        (`run.ended.seconds`), writes nothing, and changes nothing in the run.
    data: of a run whose rows are not kept with it, (x, y) as for its training. points: at most so many, evenly spaced.
    Errors: ArgumentError where a run cannot be replayed, with the reason; ArgumentTypeError for anything else.
    Example: path = fl.trajectory(fl.train(model, (x, y), loss="cross_entropy", epochs=20))
    """
    if isinstance(given, Training):
        return followed_training(given, points)
    if not isinstance(given, Run | str | os.PathLike):
        raise ArgumentTypeError(f"trajectory takes a run, its folder, or a training, got {given!r:.80}")
    return replayed(opened(given, data), points)


def replayed(seen: Opened, points: int) -> Trajectory:
    """The path of an opened run, by training once more. Errors: ArgumentError where that cannot be done."""
    part = seen.parts[0]
    if len(seen.parts) > 1:
        raise ArgumentError(f"the run is the average of {len(seen.parts)} networks, which went {len(seen.parts)} ways\n"
                            "  try: the run of one of them, in its folder members")  # fmt: skip
    if part.job is None or not seen.replays:
        why = "; ".join(seen.missing) or "its first parameters are not known any more"
        raise ArgumentError(
            f"the path of this run is not known, and it cannot be trained once more: {why}\n"
            '  try: fl.trajectory(fl.train(...)), which records a training while it runs; or directions="random"'
        )
    settings = replace(part.job.settings, folder=None, resume=False, gauges=None, measures={})
    found = followed_training(Training(replace(part.job, settings=settings)), points)
    same = np.array_equal(found.run.model.theta, seen.run.model.theta)
    return replace(found, exact=same)


__all__ = ["Trajectory", "followed_training", "replayed", "trajectory"]
