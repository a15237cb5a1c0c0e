"""A training run as the command line starts and watches it: from flags to a plan, from a plan to what it became."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from fallline import optim
from fallline.cli import progress, screen
from fallline.cli.exits import UsageProblem, let_output_go
from fallline.cli.source import open_data
from fallline.data import sets
from fallline.data.dataset import Dataset, Rows, split
from fallline.data.preprocess import decoder_of, encoder_of, targets_of
from fallline.data.target import class_list
from fallline.errors import FalllineError
from fallline.insight.text import number
from fallline.nn import LOSSES, Columns, CrossEntropy, Identity, Loss, Model, Sequential, mlp
from fallline.nn.encoder import Decoder
from fallline.nn.loss import in_words
from fallline.optim import Optimizer, Schedule
from fallline.training.events import EpochEnded, Event, TrainingEnded
from fallline.training.stopping import NEVER

RUNS = Path("runs")


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is known before the first step. test: rows looked at once, at the end."""

    flags: Any  # train.FLAGS, which cannot be imported from here: it imports this file
    data: Dataset
    train: Rows
    test: Rows
    encoder: Columns
    decoder: Decoder
    network: Sequential
    loss: Loss
    optimizer: Optimizer
    batch_size: int | str
    watched: float  # share of the training rows
    source: dict[str, str]  # how to open the data again

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers in, widths of the hidden layers, numbers out."""
        return (len(self.data.features), *widths(self.flags.hidden), outputs_for(self.loss, self.data))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run: how it ended, its model, its events."""

    reason: str
    model: Model
    events: tuple[Event, ...]
    folder: Path | None
    profile: Callable[[], Any] | None = None  # measures where the time of a step goes
    signal: int | None = None  # what stopped it, if a signal did

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def plan(flags: Any, watched_of: Callable[[int], float], like: Plan | None = None) -> Plan:
    """Read the data, cut it, and make the network for it.

    watched_of: the share of so many rows that is watched, where the flags do not say. like: a plan for the same data,
        which are not read again.
    Errors: UsageProblem for flags that do not fit one another or the data; those of reading.
    """
    hidden = widths(flags.hidden)
    batch(flags.batch_size)  # before anything is read
    if flags.resume and flags.out is None:
        raise UsageProblem("--resume needs the folder of the run: --out FOLDER")
    optimizer = optim.get(
        flags.optimizer,
        schedule=flags.schedule,
        learning_rate=flags.learning_rate,
        weight_decay=flags.weight_decay,
        clip_norm=flags.clip_norm,
    )
    data = open_data(flags.data, flags.target, flags.task) if like is None else like.data
    chosen = loss_for(flags, data)
    if like is None:
        train, test = split(data, flags.test)
        encoder = encoder_of(data, train)
        decoder = decoder_of(data, train, standard=isinstance(chosen.link, Identity))
    else:
        train, test, encoder, decoder = like.train, like.test, like.encoder, like.decoder
    network = mlp(hidden, outputs_for(chosen, data), flags.activation)
    source = {"data": flags.data if flags.data in sets.SETS else str(Path(flags.data).resolve()), "task": data.task}
    watched = watched_of(len(train)) if flags.validation is None else flags.validation
    rows = max(1, len(train) - (max(1, round(watched * len(train))) if watched else 0))
    size = batch(flags.batch_size)
    if isinstance(size, int) and size >= rows:
        size = "full"
    return Plan(flags, data, train, test, encoder, decoder, network, chosen, optimizer, size, watched, source)


def outputs_for(loss: Loss, data: Dataset) -> int:
    """Numbers the network gives for a row: one for each class where the loss tells several apart."""
    return len(data.classes) if loss.task == "classification" else 1


def widths(text: str) -> tuple[int, ...]:
    """`64,64` -> (64, 64); `none` -> ()."""
    if text.strip().lower() in ("none", ""):
        return ()
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = (0,)
    if min(found) < 1:
        raise UsageProblem(f"--hidden takes widths such as 64 or 128,64, or none, got {text!r}")
    return found


def batch(text: str) -> int | str:
    if text == "full":
        return text
    if not text.isdecimal() or int(text) < 1:
        raise UsageProblem(f"--batch-size is a number of rows, 1 or more, or full, got {text!r}")
    return int(text)


def loss_for(flags: Any, data: Dataset) -> Loss:
    """The loss that was asked for, if it can learn this target, else the target's own."""
    name = flags.loss or ("cross_entropy" if data.classes else "squared_error")
    chosen = LOSSES[name]
    suits = [other for other, its in LOSSES.items() if can_learn(its.task, data)]
    if name not in suits:
        what = f"{len(data.classes)} classes" if data.classes else "a quantity"
        wants = {"binary": "two classes", "classification": "classes"}.get(chosen.task, "a quantity")
        raise UsageProblem(f"--loss {name} learns {wants}, and the target {data.target!r} is {what}\n"
                           f"  try: {', '.join(sorted(suits))}")  # fmt: skip
    if isinstance(chosen, CrossEntropy):
        return replace(chosen, label_smoothing=flags.label_smoothing)
    if flags.label_smoothing and flags.loss is not None:
        raise UsageProblem(f"--label-smoothing goes with --loss cross_entropy, not with {name}")
    return chosen


def can_learn(task: str, data: Dataset) -> bool:
    if task == "binary":
        return len(data.classes) == 2
    return (task == "classification") == bool(data.classes)


def run(plan: Plan) -> Outcome:
    """Train with live progress; Ctrl-C, SIGTERM and SIGHUP end in good order, wherever they arrive."""
    with screen.told_if_slow("preparing; the first run on a machine compiles what it needs, which takes some seconds"):
        training, folder = begun(plan)
    events: list[Event] = []
    try:
        # Entered around the readers too, so that Ctrl-C never breaks out of the middle of a line.
        training.interrupts.passes_on = False
        with training.interrupts:
            events.append(next(training))
            header(plan, events[0])
            with progress.reader(events[0]) as reader:
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
    return Outcome(reason, training.run.model, tuple(events), folder, training.run.profile, training.interrupts.signal)


def finish(training: Any) -> None:
    """End a run that nobody watches any more, saved."""
    training.stop()
    for _ in training:
        pass


def begun(plan: Plan) -> tuple[Any, Path]:
    """The training, not yet started, and its folder: the one asked for, or the first free one under runs/."""
    if plan.flags.out is not None:
        return training_of(plan, Path(plan.flags.out)), Path(plan.flags.out)
    for folder in free_folders(plan.data.name):
        with suppress(FileExistsError):  # another run took it in this moment
            training = training_of(plan, folder)
            folder.mkdir(parents=True)
            return training, folder
    raise AssertionError("there is always a next number")


def free_folders(name: str) -> Iterable[Path]:
    plain = "".join(c if c.isalnum() or c in "._-" else "-" for c in name).strip(".") or "run"
    return (folder for n in count(1) if not (folder := RUNS / f"{plain}-{n}").exists())


def training_of(plan: Plan, folder: Path) -> Any:
    import fallline as fl

    return fl.train(plan.network, rows_of(plan), out=folder, threads=plan.flags.threads, **settings_of(plan))


def rows_of(plan: Plan) -> tuple[Any, Any]:
    """x and y to train on, as they are in the table."""
    return plan.data.x[plan.train], targets_of(plan.data, plan.train, plan.decoder)


def settings_of(plan: Plan) -> dict[str, Any]:
    """What training is told besides the network, its data and a folder."""
    flags = plan.flags
    return {
        "loss": plan.loss,
        "optimizer": plan.optimizer,
        "epochs": flags.epochs,
        "batch_size": plan.batch_size,
        "validation": plan.watched or None,
        # With --epochs and without --early-stopping no epoch is too many, but the best one is kept all the same.
        "early_stopping": flags.early_stopping or (NEVER if plan.watched and flags.epochs else None),
        "seed": flags.seed,
        "dtype": flags.dtype,
        "overwrite": flags.overwrite,
        "resume": flags.resume,
        "encoder": plan.encoder,
        "decoder": plan.decoder,
        "extra": {"source": plan.source},
    }


def header(plan: Plan, event: Any) -> None:  # TrainingStarted, always the first event
    """What is about to be trained, on what, and how."""
    data, flags = plan.data, plan.flags
    what = class_list(data.classes) if data.classes else f"the quantity {data.target!r}"
    screen.fact("data", f"{data.name}: {number(len(data))} rows, {number(len(data.features))} columns, {what}")
    screen.fact("rows", f"{event.rows} training, {event.validation_rows} validation, {len(plan.test)} test")
    shape = "-".join(map(str, plan.shape))
    bend = f" {flags.activation}" if widths(flags.hidden) else ""
    screen.fact("network", f"{shape}{bend}, {number(event.parameters)} parameters, {event.dtype}")
    screen.fact("loss", in_words(plan.loss))
    screen.fact("optimizer", optimizer_text(plan.optimizer))
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
    rate = optimizer.learning_rate
    text = f"{rate.name} from {number(rate.learning_rate)}" if isinstance(rate, Schedule) else str(rate)
    decay = f", weight decay {number(optimizer.weight_decay)}" if optimizer.weight_decay else ""
    return f"{optimizer.name}, learning rate {text}{decay}"


def epochs_of(events: Iterable[Event]) -> list[EpochEnded]:
    return [event for event in events if isinstance(event, EpochEnded)]
