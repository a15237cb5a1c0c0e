"""The flags of a training, and the choices that they are. `fallline train` and `fallline race` read them."""

from dataclasses import dataclass, replace
from typing import Any

from fallline.cli.exits import UsageProblem
from fallline.cli.flags import flag
from fallline.cli.table_flags import TableFlags
from fallline.data.dataset import TEST_SHARE
from fallline.errors import ArgumentError
from fallline.nn import METRICS
from fallline.presets import PRESETS
from fallline.ranges import Range, options
from fallline.recipe import FEWEST_VALIDATION_ROWS, Choices

# None cannot be typed: it is the value of a flag that is left out.
CHOICES: dict[str, Range] = {name: replace(limits, optional=False) for name, _, limits in options(Choices)}
PRESET_DOC = "what decides all that is left open: " + ", ".join(f"{name} ({p.doc})" for name, p in PRESETS.items())
DEFAULTS: dict[str, Any] = {name: default for name, default, _ in options(Choices)}


def named(choice: str) -> Any:
    """The flag of a choice that is one of a table's names."""
    limits = CHOICES[choice]
    return flag(DEFAULTS[choice], limits.doc, metavar="NAME", number=False, words=limits.words)


@dataclass(frozen=True, slots=True)
class FLAGS(TableFlags):
    """The flags of `fallline train`; None leaves a choice to the library or to the data."""

    preset: str | None = flag(
        None,
        f"{PRESET_DOC}; by default plain for the named sets, default for files",
        metavar="NAME",
        number=False,
        words=CHOICES["preset"].words,
    )
    hidden: str | None = flag(
        None, "widths of the hidden layers, or none; by default the preset's, as all below", metavar="W,W,.."
    )
    activation: str | None = named("activation")
    loss: str | None = named("loss")
    label_smoothing: float | None = flag(
        None,
        f"{CHOICES['label_smoothing'].doc}, with cross_entropy",
        metavar="SHARE",
        limits=CHOICES["label_smoothing"],
    )
    optimizer: str | None = named("optimizer")
    learning_rate: float | None = flag(
        None,
        "size of a step; of another optimizer than the preset's its own",
        metavar="RATE",
        limits=CHOICES["learning_rate"],
    )
    schedule: str | None = named("schedule")
    weight_decay: float | None = flag(
        None, CHOICES["weight_decay"].doc, metavar="STRENGTH", limits=CHOICES["weight_decay"]
    )
    clip_norm: float | None = flag(None, CHOICES["clip_norm"].doc, metavar="NORM", limits=CHOICES["clip_norm"])
    batch_size: str = flag(
        "auto", "rows of a step, or full; auto: the preset's, and full for lbfgs, which needs all rows", metavar="ROWS"
    )
    epochs: int | None = flag(
        None,
        f"{CHOICES['epochs'].doc}; with preset plain as long as the validation loss falls",
        metavar="N",
        limits=CHOICES["epochs"],
    )
    validation: float | None = flag(
        None,
        "share of the training rows for validation; by default the preset's, but 0 if that is less than "
        f"{FEWEST_VALIDATION_ROWS} rows",
        metavar="SHARE",
        limits=Range(at_least=0, below=1),
    )
    early_stopping: int | None = flag(
        None, "stop after N epochs without a better validation loss", metavar="N", at_least=1, whole=True
    )
    metrics: str | None = flag(
        None, f"measured on the validation rows besides the usual ones: {', '.join(METRICS)}", metavar="NAME,.."
    )
    watch: str | None = flag(
        None, "one of these, by which the best epoch is chosen; by default the preset's; or loss", metavar="NAME"
    )
    gauges: str | None = flag(
        None, "watched while training: usual, all, or names (docs/gauges.md); they change no result", metavar="NAME,.."
    )
    test: str = flag(
        str(TEST_SHARE), "the rows for the test at the end: a share of them, or a file of its own", metavar="SHARE|FILE"
    )
    time: float | None = flag(None, CHOICES["time_limit"].doc, metavar="SECONDS", limits=CHOICES["time_limit"])
    seed: int = flag(0, CHOICES["seed"].doc, metavar="N", limits=CHOICES["seed"])
    dtype: str = flag("float32", CHOICES["dtype"].doc, metavar="NAME", number=False, words=CHOICES["dtype"].words)
    threads: int | None = flag(
        None, "threads at most, by default one a core; results do not depend on it", metavar="N", at_least=1, whole=True
    )
    no_compare: bool = flag(False, "leave out the simpler models that stand beside the result")
    profile: bool = flag(False, "show at the end where the time of a step goes, by layer and by kind of work")
    out: str | None = flag(None, "the run folder; by default runs/NAME-1, -2 ...", metavar="FOLDER")
    overwrite: bool = flag(False, "replace the run in --out")
    resume: bool = flag(False, "go on with the run in --out, with the same flags as before")
    debug: bool = flag(False, "show the traceback of an error")


def choices_of(flags: FLAGS) -> Choices:
    """The choices that the flags make. Errors: UsageProblem for widths, rows of a batch or names that are none."""
    same = {name: getattr(flags, name) for name in CHOICES if name not in ("batch_size", "time_limit")}
    metrics = tuple(dict.fromkeys(part.strip() for part in (flags.metrics or "").split(",") if part.strip()))
    typed = {
        "hidden": None if flags.hidden is None else widths(flags.hidden),
        "batch_size": batch(flags.batch_size),
        "metrics": metrics,
    }
    try:
        return Choices(**{**same, **typed, "watch": flags.watch, "time_limit": flags.time})
    except ArgumentError as error:
        raise UsageProblem(str(error)) from None


def gauges_of(text: str | None) -> tuple[str, ...] | None:
    """`alpha,noise_scale` -> ("alpha", "noise_scale"). Errors: UsageProblem for a name that is none."""
    if text is None:
        return None
    from fallline.gauges import Gauges

    try:
        return tuple(Gauges([part.strip() for part in text.split(",") if part.strip()]).names)
    except ArgumentError as error:
        raise UsageProblem(f"--gauges: {error}") from None


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


def test_of(text: str) -> float | str:
    """`0.2` -> 0.2, a share; anything else is a file."""
    try:
        share = float(text)
    except ValueError:
        return text
    if not 0 <= share < 1:
        raise UsageProblem(f"--test has to be a share of the rows, 0 <= share < 1, or a file, got {text!r}")
    return share


def batch(text: str) -> int | str:
    """`16` -> 16; `full` and `auto` stay."""
    if text in ("full", "auto"):
        return text
    if not text.isdecimal() or int(text) < 1:
        raise UsageProblem(f"--batch-size is a number of rows, 1 or more, auto or full, got {text!r}")
    return int(text)


def check_threads(threads: int | None) -> None:
    """Raise UsageProblem for more threads than make sense on this machine."""
    from fallline.program.lanes import checked

    try:
        checked(threads)
    except ArgumentError as error:
        raise UsageProblem(f"--{error}".replace(", or None,", ",")) from None
