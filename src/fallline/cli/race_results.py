"""A race as the command line starts and watches it: results that change in a terminal, a few plain lines elsewhere,
a table at the end.
"""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, Protocol

from fallline.cli import columns_shown, screen, session
from fallline.cli.exits import let_output_go
from fallline.cli.flags import flag_of, switch
from fallline.cli.progress import PLAIN_LINES, metric, speed
from fallline.cli.run_results import beside, tested
from fallline.cli.session import Outcome, Plan
from fallline.cli.training_flags import FLAGS
from fallline.errors import FalllineError
from fallline.experiments.contest import Race
from fallline.runs.events import Event, RaceEnded, RaceResult, RaceResults, RaceStarted, VariantEnded
from fallline.typesetting import number, table

# Rows of the table at the end; the live one has as many as the terminal has room for.
MOST_ROWS = 40
# Lines of a terminal that the live table leaves free.
AROUND = 6
STATES = {"finished": "done", "early_stopping": "stopped early"}


@dataclass(frozen=True, slots=True)
class Raced:
    """varied: the flags in which variants differ. singles, plans: by the names of the variants."""

    varied: Sequence[str]
    singles: dict[str, FLAGS]
    plans: dict[str, Plan]
    result: Race
    signal: int | None = None  # the signal that stopped it, if one did

    @property
    def best(self) -> str:
        return self.result.results[0].name

    @property
    def has_no_winner(self) -> bool:
        return self.result.results[0].state in ("diverged", "failed")


def run(flags: Any, singles: Sequence[FLAGS], varied: Sequence[str]) -> Raced:
    """Run the race with live results; Ctrl-C ends it in good order, wherever it arrives."""
    import fallline as fl

    first = session.plan(singles[0])
    plans = [first, *(session.plan(one, first) for one in singles[1:])]
    named = dict(zip((name_of(one, varied) for one in singles), singles, strict=True))
    planned = dict(zip(named, plans, strict=True))
    variants = [{"name": name, **plan.recipe.variant} for name, plan in planned.items()]
    settings = {**first.settings, "out": flags.out}
    with screen.told_if_slow("preparing; the first run on a machine compiles kernels, which takes some seconds"):
        racing = fl.racing(first.recipe.network, first.recipe.rows, variants, threads=flags.threads, **settings)
    try:
        # Entered around the readers too, so that Ctrl-C never breaks out of the middle of a line.
        racing.interrupts.passes_on = False
        with racing.interrupts:
            started = next(racing)
            assert isinstance(started, RaceStarted)
            header(first, started, named, varied)
            with reader(started, named, varied) as shown:
                for event in racing:
                    shown.show(event)
    except FalllineError:
        raise
    except OSError:  # whoever read the output went away, or it cannot be written
        session.finish(racing)
        if racing.interrupts.signal is None:
            raise
        let_output_go()  # a terminal that was closed
    except KeyboardInterrupt:  # the second one: no more waiting
        racing.close()
    return Raced(varied, named, planned, racing.race, racing.interrupts.signal)


def name_of(one: FLAGS, varied: Sequence[str]) -> str:
    """`learning rate 0.01, seed 2`."""
    return ", ".join(f"{name.replace('_', ' ')} {value_of(one, name)}" for name in varied) or one.data


def value_of(one: FLAGS, name: str) -> str:
    value = getattr(one, name)
    return "default" if value is None else written(value)


def written(value: Any) -> str:
    """A value as it can be typed, no digit lost."""
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


# Flags that change nothing about the network.
UNNAMED = ("out", "overwrite", "resume", "debug", "threads", "no_compare", "profile")


def alone(one: FLAGS) -> str:
    """The command that trains a variant by itself."""
    plain = FLAGS(one.data)
    words = ["fallline train", shlex.quote(one.data)]
    for field in fields(one):
        value = getattr(one, field.name)
        if value != getattr(plain, field.name) and field.name not in UNNAMED:
            typed = flag_of(field).typed or switch(field.name)
            several = value if isinstance(value, tuple) else (value,)
            words += [f"{typed} {shlex.quote(written(one))}" for one in several]
    return " ".join(words)


def header(plan: Plan, event: RaceStarted, named: dict[str, FLAGS], varied: Sequence[str]) -> None:
    """Show the variants that are about to be raced, and their data."""
    training_rows = event.rows - event.validation_rows
    columns_shown.show(plan.recipe)
    screen.fact("rows", f"{training_rows} training, {event.validation_rows} validation, {len(plan.test)} test")
    screen.fact("race", f"{len(event.names)} variant{'s' * (len(event.names) > 1)}, {event.lanes} at a time")
    for name in varied:
        values = dict.fromkeys(value_of(one, name) for one in named.values())
        screen.fact("", f"{name.replace('_', ' ')} {', '.join(values)}")
    for note in event.notes:
        screen.fact("note", note)
    screen.say()


class Reader(Protocol):
    """Shows one event after the other."""

    def show(self, event: Event) -> None: ...


@contextmanager
def reader(started: RaceStarted, named: dict[str, FLAGS], varied: Sequence[str]) -> Iterator[Reader]:
    """The reader that suits standard output."""
    if not screen.is_terminal():
        yield Plain(len(started.names))
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(width=screen.width(most=160))
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield Changing(live, console, named, varied)


class Plain:
    """About ten lines over a whole race, as variants end."""

    def __init__(self, variants: int) -> None:
        self.variants, self.ended = variants, 0
        self.every = -(-variants // PLAIN_LINES)

    def show(self, event: Event) -> None:
        if isinstance(event, VariantEnded):
            self.ended += 1
            if self.ended % self.every == 0 or self.ended == self.variants:
                place = f"{self.ended:>{len(str(self.variants))}}/{self.variants} ended"
                screen.say(f"{place}   {event.result.name}: {facts(event.result)}")


def facts(one: RaceResult) -> str:
    """How a variant stands in a few words."""
    shown = [f"loss {number(one.loss)}"]
    if one.validation_loss is not None:
        shown.append(f"validation {number(one.validation_loss)}")
    shown += [f"{name.removeprefix('validation_')} {metric(name, value)}" for name, value in one.metrics.items()]
    return "diverged" if one.state == "diverged" else "failed" if one.state == "failed" else "   ".join(shown)


class Changing:
    """A table of results that is drawn again and again."""

    def __init__(self, live: Any, console: Any, named: dict[str, FLAGS], varied: Sequence[str]) -> None:
        self.live, self.console, self.named, self.varied = live, console, named, varied  # rich's, imported late

    def show(self, event: Event) -> None:
        from rich.text import Text

        if isinstance(event, RaceResults | RaceEnded):
            rows = max(3, self.console.height - AROUND)
            text = drawn(event.results, self.named, self.varied, rows, self.console.width)
            self.live.update(Text(text), refresh=True)


def drawn(results: Sequence[RaceResult], named: dict[str, FLAGS], varied: Sequence[str], most: int, width: int) -> str:
    """The first of the results as a table."""
    validated = any(one.validation_loss is not None for one in results)
    metrics = list(dict.fromkeys(name for one in results for name in one.metrics))
    short = [name.removeprefix("validation_") for name in metrics]
    headers = [
        "",
        *(name.replace("_", " ") for name in varied),
        "epoch",
        "loss",
        *["validation"] * validated,
        *short,
        "",
    ]
    rows = []
    for one in results[:most]:
        settings = [value_of(named[one.name], name) for name in varied]
        losses = [one.loss, *[one.validation_loss] * validated]
        numbers = ["-" if value is None or value != value else number(value) for value in losses]
        measured = [metric(name, one.metrics[name]) if name in one.metrics else "-" for name in metrics]
        rows.append([one.place, *settings, one.epoch, *numbers, *measured, STATES.get(one.state, one.state)])
    text = table(rows, headers, width=width, ascii_only=screen.ascii_only())
    return text + (f"\n... and {len(results) - most} more" if len(results) > most else "")


def show(raced: Raced) -> None:
    """The end of a race: its table, the best on the test rows, and the command that trains it alone."""
    race, first = raced.result, raced.result.results[0]
    screen.say()
    screen.say(drawn(race.results, raced.singles, raced.varied, MOST_ROWS, screen.width()))
    screen.say()
    for one in race.results:
        if one.state == "failed":
            screen.fact("failed", f"{one.name}: {one.problem}")
    if race.stop_reason == "interrupted":
        screen.fact("ended", "interrupted; the numbers are those of the epochs that were done")
    steps = sum(one.step for one in race.results)
    if steps and race.seconds:
        screen.fact("speed", f"{speed(steps / race.seconds)} together, {number(race.seconds, 3)} s in all")
    if raced.has_no_winner:
        screen.fact("best", "none: every variant diverged or failed")
        return
    screen.fact("best", first.name)
    run, plan = race.best, raced.plans[raced.best]
    outcome = Outcome(first.state, run.model, run.events, run.folder)
    for what, line in zip(("test", ""), tested(plan, outcome)):
        screen.fact(what, line)
    if run.folder is not None:
        screen.fact("saved", f"{run.folder}, and the others next to it", whole=True)
    screen.fact("alone", alone(raced.singles[raced.best]), whole=True)
    if race.stop_reason != "interrupted":
        beside(plan, outcome)
