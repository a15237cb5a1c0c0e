"""A training or a race that is watched in a notebook: one picture that changes in place while events pass through."""

import math
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from fallline.arguments import takes
from fallline.errors import ArgumentTypeError
from fallline.experiments.contest import Race, Racing
from fallline.plots.chart import Axis, Chart, Line, Panel, Rule
from fallline.plots.page_parts import boxed, heading, line
from fallline.plots.run_curves import EPOCHS
from fallline.plots.vector import svg_of
from fallline.ranges import Range
from fallline.runs.events import EpochEnded, Event, Progress, RaceEnded, RaceResults, TrainingEnded, TrainingStarted
from fallline.training.run import Run
from fallline.training.training import Training

# Seconds between two pictures: often enough to look alive, seldom enough to cost nothing.
EVERY = 0.3
HEIGHT = 230


class Live:
    """A stream of events that is passed on as it is, and drawn as it passes.

    run, race: the result, after the rest of the events; training goes on to its end for it.
    """

    def __init__(self, stream: Any, every: float) -> None:
        self._stream, self._every = stream, every
        self._view: _Curves | _Standings = _Standings() if isinstance(stream, Racing) else _Curves()
        self._screen = _Screen()
        self._drawn = -math.inf

    def __iter__(self) -> Iterator[Event]:
        try:
            for event in self._stream:
                self._view.note(event)
                if self._screen.is_there and time.monotonic() - self._drawn >= self._every:
                    self._draw()
                yield event
        finally:  # an interrupted cell ends with the picture of where it was
            if self._screen.is_there:
                self._draw()

    def _draw(self) -> None:
        self._screen.show(self._view.html())
        self._drawn = time.monotonic()  # after drawing: a slow browser is not flooded

    @property
    def run(self) -> Run:
        """The run at its end. Errors: AttributeError for a race, which has `race`."""
        self._finish()
        found: Run = self._stream.run
        return found

    @property
    def race(self) -> Race:
        """The race at its end. Errors: AttributeError for a training, which has `run`."""
        self._finish()
        found: Race = self._stream.race
        return found

    def _finish(self) -> None:
        for _ in self:
            pass


@takes(every=Range(at_least=0.05, at_most=3600))
def live(stream: Any, *, every: float = EVERY) -> Live:
    """A training or a race as a picture that changes in place in a notebook; its events pass through unchanged.

    stream: of `fl.train` or `fl.racing`. every: seconds between two pictures at least. Outside notebooks nothing is
    shown, and the training is the same to the last bit in either case. The last picture stays.
    Errors: ArgumentTypeError for anything that is no training or race.
    Example: run = fl.plots.live(fl.train(model, (x, y), loss="cross_entropy")).run
    """
    if not isinstance(stream, Training | Racing):
        raise ArgumentTypeError(f"live takes a training or a race, got {stream!r:.60}\n"
                                "  try: fl.plots.live(fl.train(model, (x, y)))")  # fmt: skip
    return Live(stream, every)


class _Screen:
    """The place in a notebook's output where the picture stands; nothing outside a notebook."""

    def __init__(self) -> None:
        self._shell = _notebook()
        self._handle: Any = None

    @property
    def is_there(self) -> bool:
        return self._shell is not None

    def show(self, html: str) -> None:
        from IPython.display import HTML, display

        if self._handle is None:
            self._handle = display(HTML(html), display_id=True)
        else:
            self._handle.update(HTML(html))


def _notebook() -> Any:
    """IPython's shell, where it has a notebook in front of it; None elsewhere. Nothing is imported to find out."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell if getattr(shell, "kernel", None) is not None else None


class _Curves:
    """The losses of a training so far."""

    def __init__(self) -> None:
        self._started: TrainingStarted | None = None
        self._ended: TrainingEnded | None = None
        self._epochs: list[EpochEnded] = []
        self._within: list[tuple[float, float]] = []  # the place inside a long epoch, and the mean loss there
        self._rate = 0.0

    def note(self, event: Event) -> None:
        if isinstance(event, TrainingStarted):
            self._started = event
        elif isinstance(event, Progress):
            steps = self._started.steps_per_epoch if self._started is not None else None
            # Epoch e stands at e, when it has ended, so the way there lies before it.
            self._within.append((event.epoch - 1 + (event.epoch_step / steps if steps else 0.5), event.loss))
            self._rate = event.steps_per_second
        elif isinstance(event, EpochEnded):
            self._epochs.append(event)
            self._rate, self._within = event.steps_per_second, []
        elif isinstance(event, TrainingEnded):
            self._ended = event

    def html(self) -> str:
        start, last = self._started, self._epochs[-1] if self._epochs else None
        of = f" of {start.epochs:,}" if start is not None and not start.open_ended else ""
        done = f"{len(self._epochs):,}{of} epochs"
        how = self._ended.reason.replace("_", " ") if self._ended is not None else "running"
        text = f"{how}, {done}, {self._rate:,.0f} steps per second"
        told = {} if last is None else {"loss": last.loss, "validation loss": last.validation_loss, **last.metrics}
        texts = (f"{name.replace('_', ' ')} {value:.4g}" for name, value in told.items() if value is not None)
        numbers = ", ".join(texts)
        return boxed(heading("Training", text) + svg_of(self.chart(), height=HEIGHT) + line(numbers or "…", quiet=True))

    def chart(self) -> Chart:
        epochs, within = self._epochs, self._within
        x = np.array([one.epoch for one in epochs] + [at for at, _ in within], float)
        y = np.array([one.loss for one in epochs] + [loss for _, loss in within], float)
        marks: list[Any] = [Line(x, y, "training rows", 0)]
        held = np.array([math.nan if one.validation_loss is None else one.validation_loss for one in epochs])
        if np.isfinite(held).any():
            marks.append(Line(x[: len(epochs)], held, "validation rows", 1))
        best = [one.epoch for one in epochs if one.is_best]
        if best:
            marks.append(Rule(best[-1], "x", f"best epoch, {best[-1]}"))
        name = self._started.loss.replace("_", " ") if self._started is not None else "loss"
        return Chart("", (Panel(EPOCHS, Axis("loss", name, None), tuple(marks)),))


class _Standings:
    """The scores of the variants of a race so far."""

    def __init__(self) -> None:
        self._paths: dict[str, list[tuple[float, float]]] = {}
        self._results: tuple[Any, ...] = ()
        self._seconds, self._reason = 0.0, "running"

    def note(self, event: Event) -> None:
        if isinstance(event, RaceResults | RaceEnded):
            self._results, self._seconds = event.results, event.seconds
            for one in event.results:
                self._paths.setdefault(one.name, []).append((event.seconds, abs(one.score)))
        if isinstance(event, RaceEnded):
            self._reason = event.reason

    def html(self) -> str:
        running = sum(not one.has_ended for one in self._results)
        text = f"{self._reason}, {running} of {len(self._results)} variants still run, {self._seconds:.1f} s"
        return boxed(heading("Race", text) + svg_of(self.chart(), height=HEIGHT))

    def chart(self) -> Chart:
        lines = []
        for one in self._results[:10]:
            x, y = np.array(self._paths[one.name]).T
            lines.append(Line(x, y, f"{one.place}  {one.name}", dots=len(x) < 2))
        axes = Axis("time of the race", "s"), Axis("result so far", "as the race is sorted", None)
        return Chart("", (Panel(*axes, tuple(lines)),))


__all__ = ["Live", "live"]
