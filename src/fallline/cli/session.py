"""A training run as the command line starts and watches it: from flags to a plan, from a plan to its outcome."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from fallline.cli import columns_shown, progress, screen
from fallline.cli.data_source import open_data
from fallline.cli.exits import UsageProblem, let_output_go
from fallline.cli.training_flags import FLAGS, choices_of, gauges_of, test_of
from fallline.committee import Panel, begin
from fallline.data.dataset import Rows, split
from fallline.data.origin import Origin
from fallline.errors import ArgumentError, FalllineError
from fallline.experiments.contest import Racing
from fallline.nn import Model
from fallline.nn.loss import in_words
from fallline.optim import Optimizer, Schedule
from fallline.recipe import PLAIN, Choices, Recipe, recipe_of, stated
from fallline.runs.events import EpochEnded, Event, TrainingEnded, TrainingStarted
from fallline.runs.folder import CONFIG, read_config
from fallline.training.training import Training
from fallline.typesetting import number

RUNS = Path("runs")


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is known before the first step. test: rows looked at once, at the end.

    origin: of the data. asked: the choices that the flags make, without what follows from them.
    """

    flags: FLAGS
    recipe: Recipe
    test: Rows
    origin: Origin
    asked: Choices

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the training: all that it takes besides the network, its rows and a folder."""
        held = test_of(self.flags.test)
        training = {"choices": stated(self.asked), "test": held if isinstance(held, float) else 0}
        extra = {"source": self.origin.to_config(), "training": training}
        watched = {} if self.flags.gauges is None else {"gauges": gauges_of(self.flags.gauges)}
        kept = {**watched, "overwrite": self.flags.overwrite, "resume": self.flags.resume, "extra": extra}
        return {**self.recipe.settings, **kept}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a run: how it ended, its model, its events."""

    reason: str
    model: Model
    events: tuple[Event, ...]
    folder: Path | None
    profile: Callable[[], Any] | None = None  # measures where the time of a step goes
    signal: int | None = None  # the signal that stopped it, if one did
    resumes: bool = True  # a search begins anew each time

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def plan(flags: FLAGS, like: Plan | None = None) -> Plan:
    """Read the data, split them, and decide how to train.

    like: a plan for the same data, which are not read again.
    Errors: UsageProblem for flags that do not fit one another or the data; those of reading.
    """
    choices = choices_of(flags)  # before anything is read
    gauges_of(flags.gauges)
    if flags.resume and flags.out is None:
        raise UsageProblem("--resume needs the folder of the run: --out FOLDER")
    if flags.resume and choices.preset is None and is_without_preset(Path(flags.out or "")):
        choices = replace(choices, preset=PLAIN)
    held = test_of(flags.test)
    if like is None:
        opened = open_data(flags, held if isinstance(held, str) else None)
        data, origin = opened.data, opened.origin
        train, test = split(data, held if isinstance(held, float) else 0)
    else:
        data, origin, train, test = like.recipe.data, like.origin, like.recipe.train, like.test
    try:
        recipe = recipe_of(data, choices, train, None if like is None else like.recipe)
    except ArgumentError as error:
        raise UsageProblem(str(error)) from None
    return Plan(flags, recipe, test, origin, choices)


def is_without_preset(folder: Path) -> bool:
    """Whether the run in a folder is from before there were presets, when all were trained as "plain" is."""
    return (folder / CONFIG).is_file() and "training" not in (read_config(folder).get("extra") or {})


def run(plan: Plan) -> Outcome:
    """Train with live progress; Ctrl-C, SIGTERM and SIGHUP end in good order, wherever they arrive."""
    with screen.told_if_slow("preparing; the first run on a machine compiles kernels, which takes some seconds"):
        training, folder = begun(plan)
    events: list[Event] = []
    try:
        # Entered around the readers too, so that Ctrl-C never breaks out of the middle of a line.
        training.interrupts.passes_on = False
        with training.interrupts:
            started = next(training)
            assert isinstance(started, TrainingStarted)  # always the first event
            events.append(started)
            header(plan, started)
            with progress.reader(started) as reader:
                for event in training:
                    events.append(event)
                    reader.show(event)
    except FalllineError:
        raise
    except OSError:  # whoever read the output went away, or it cannot be written
        finish(training)
        if training.interrupts.signal is None:
            raise
        let_output_go()  # a terminal that was closed
    except KeyboardInterrupt:  # the second one: no more waiting
        training.close()
    last = events[-1] if events else None
    reason = last.reason if isinstance(last, TrainingEnded) else "interrupted"
    done = training.run
    profile = None if done.job is None else done.profile
    resumes = isinstance(training, Training) or training.resumes
    return Outcome(reason, done.model, tuple(events), folder, profile, training.interrupts.signal, resumes)


def finish(training: Training | Panel | Racing) -> None:
    """End a run that nobody watches any more, saved."""
    training.stop()
    for _ in training:
        pass


def begun(plan: Plan) -> tuple[Training | Panel, Path]:
    """The training, not yet started, and its folder: the given one, or the first free one under runs/."""
    if plan.flags.out is not None:
        return training_of(plan, Path(plan.flags.out)), Path(plan.flags.out)
    for folder in free_folders(plan.recipe.data.name):
        with suppress(FileExistsError):  # another run took it in this moment
            training = training_of(plan, folder)
            folder.mkdir(parents=True)
            return training, folder
    raise AssertionError("there is always a next number")


def free_folders(name: str) -> Iterable[Path]:
    plain = "".join(c if c.isalnum() or c in "._-" else "-" for c in name).strip(".") or "run"
    return (folder for n in count(1) if not (folder := RUNS / f"{plain}-{n}").exists())


def training_of(plan: Plan, folder: Path) -> Training | Panel:
    return begin(plan.recipe, out=folder, threads=plan.flags.threads, **plan.settings)


def header(plan: Plan, event: TrainingStarted) -> None:
    """Show the network that is about to be trained, its data, and how."""
    recipe = plan.recipe
    columns_shown.show(recipe)
    screen.fact("rows", f"{event.rows} training, {event.validation_rows} validation, {len(plan.test)} test")
    shape = "-".join(map(str, recipe.shape))
    bend = f" {recipe.choices.activation}" if recipe.choices.hidden else ""
    screen.fact("network", f"{shape}{bend}, {number(event.parameters)} parameters, {event.dtype}")
    screen.fact("loss", in_words(recipe.loss))
    screen.fact("optimizer", optimizer_text(recipe.optimizer))
    most = "up to " if event.open_ended else ""
    screen.fact("steps", f"{most}{event.epochs} epochs of {event.steps_per_epoch}, batches of {event.batch_size}, "
                         f"seed {event.seed}")  # fmt: skip
    if event.lanes > 1:
        screen.fact("threads", number(event.lanes))
    if event.first_step:
        screen.fact("resumed", f"after epoch {event.first_epoch}, step {event.first_step}")
    for note in event.notes:
        screen.fact("note", note)
    screen.say()


def optimizer_text(optimizer: Optimizer) -> str:
    """The optimizer and its learning rate, as the flags name them."""

    def text(rate: Any) -> str:
        return f"{rate.name} from {number(rate.learning_rate)}" if isinstance(rate, Schedule) else str(rate)

    decay = f", weight decay {text(optimizer.weight_decay)}" if optimizer.weight_decay else ""
    return f"{optimizer.name}, learning rate {text(optimizer.learning_rate)}{decay}"


def epochs_of(events: Iterable[Event]) -> list[EpochEnded]:
    return [event for event in events if isinstance(event, EpochEnded)]
