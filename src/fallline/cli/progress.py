"""Two readers of a training run's events: a live line for a terminal, and a few plain lines for everything else.

They show the progress; the command reports the results.
"""

import math
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from fallline.cli import screen
from fallline.runs.events import EpochEnded, Event, Progress, Tried
from fallline.typesetting import number

# Lines a run prints where nobody watches it live.
PLAIN_LINES = 10
# Columns of a speed, however fast it is: whether there is room for it does not depend on the machine.
SPEED = 14
# Columns of the live line's bar, and of the time after it with the gaps between all parts.
BAR, TIME = 10, 8


class Reader(Protocol):
    """Shows one event after the other."""

    def show(self, event: Event) -> None: ...


@contextmanager
def reader(started: Any) -> Iterator[Reader]:
    """The reader that suits standard output, for a run that `started` says has begun."""
    if not screen.is_terminal():
        yield Plain(started.epochs, started.open_ended)
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = [
        TextColumn("{task.description}"),
        BarColumn(bar_width=BAR),
        TextColumn("{task.fields[facts]}"),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    ]
    wide = screen.width(most=160)
    with Bars(*columns, console=Console(width=wide), refresh_per_second=10) as bars:
        yield Live(bars, started, wide)


class Plain:
    """About ten lines over a whole run: its first epochs, its last, and some in between.

    open_ended: how many epochs there will be is not known; then each line comes after twice the epochs of the last.
    """

    def __init__(self, epochs: int, open_ended: bool = False) -> None:
        self.epochs, self.open_ended = epochs, open_ended
        self.every = -(-epochs // PLAIN_LINES)
        self.widths: list[int] = []
        self.has_speed = True

    def show(self, event: Event) -> None:
        if isinstance(event, EpochEnded):
            done = event.epoch + 1
            if self.open_ended:
                due = done & (done - 1) == 0
            else:
                due = done % self.every == 0
            if due or done == self.epochs:
                shown, begin = facts(event), place(done, self.epochs, self.open_ended)
                # Where a line is too long the speed is left out, here and below; it is told at the end.
                if self.has_speed:
                    self.has_speed = len("   ".join([begin, *shown[:-1], ""])) + SPEED <= screen.width()
                shown = shown if self.has_speed else shown[:-1]
                # A column is as wide as its widest text so far, so that numbers stand under one another.
                self.widths = [max(len(text), width) for text, width in zip(shown, self.widths or [0] * len(shown))]
                cells = (text.ljust(width) for text, width in zip(shown, self.widths))
                screen.say("   ".join([begin, *cells]).rstrip())
        elif isinstance(event, Tried):
            screen.say(tried(event, screen.width(80)))


class Live:
    """One line that changes: how far, the losses, the speed, the time that is left."""

    def __init__(self, bars: Any, started: Any, width: int) -> None:  # bars: rich's Progress, imported late
        self.bars, self.epochs, self.width = bars, started.epochs, width
        self.open_ended = started.open_ended
        total = None if started.steps_per_epoch is None else started.epochs * started.steps_per_epoch
        self.task = bars.add_task(
            place(0, self.epochs, self.open_ended), total=total, completed=started.first_step, facts=""
        )
        self.last: EpochEnded | None = None

    def show(self, event: Event) -> None:
        if isinstance(event, EpochEnded):
            self.last = event
            self.put(event.epoch + 1, event.step, facts(event))
        elif isinstance(event, Progress):
            shown = [f"loss {number(event.loss)}"]
            if self.last is not None and self.last.validation_loss is not None:
                shown.append(f"validation {number(self.last.validation_loss)}")
            self.put(event.epoch + 1, event.step, [*shown, speed(event.steps_per_second)])
        elif isinstance(event, Tried):
            self.bars.console.print(tried(event, self.width), soft_wrap=True)

    def put(self, epoch: int, step: int, shown: list[str]) -> None:
        """As much as fits: columns between the losses and the speed go first, then the speed."""
        name = place(epoch, self.epochs, self.open_ended)
        room = self.width - len(name) - BAR - TIME
        while len(shown) > 1 and len("  ".join(shown)) > room:
            shown.pop(-2 if len(shown) > 3 else -1)
        self.bars.update(self.task, description=name, completed=step, facts="  ".join(shown))


def tried(event: Tried, width: int) -> str:
    """A candidate of a search, its state and its score where it has one, in lines that fit."""
    score = f" {number(event.score)}" if math.isfinite(event.score) else ""
    return textwrap.fill(f"{event.name} {event.state}{score}: {event.what}", width, subsequent_indent="    ")


def place(epoch: int, epochs: int, open_ended: bool = False) -> str:
    """`epoch  7/60`, as wide for every epoch; `epoch    7` where 60 is only the most there may be."""
    return f"epoch {epoch:>{len(str(epochs))}}" + ("" if open_ended else f"/{epochs}")


def facts(event: EpochEnded) -> list[str]:
    """An epoch in a few words, each with its number."""
    shown = [f"loss {number(event.loss)}"]
    if event.validation_loss is not None:
        shown.append(f"validation {number(event.validation_loss)}")
    shown += [f"{name.removeprefix('validation_')} {metric(name, value)}" for name, value in event.metrics.items()]
    return [*shown, speed(event.steps_per_second)]


def metric(name: str, value: float) -> str:
    """A metric's value: a percentage where it counts right answers, else a number."""
    return share(value) if name.endswith(("accuracy", "exact_match")) else number(value)


def share(value: float) -> str:
    """0.9722 as 97.2 %."""
    return f"{100 * value:.1f} %"


def speed(steps_per_second: float) -> str:
    """Steps a second in three digits."""
    shown = float(f"{steps_per_second:.3g}") if math.isfinite(steps_per_second) else steps_per_second
    return f"{shown:,.0f} steps/s" if shown >= 100 else f"{number(shown)} steps/s"
