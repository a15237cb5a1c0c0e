"""`fallline race`: variants of one training side by side, with results, and which of them did best.

Takes the flags of `fallline train`. --learning-rate, --optimizer, --activation, --weight-decay, --batch-size and --seed
take several values, separated by commas, --hidden several networks, separated by semicolons; every combination of them
is a variant. Each comes to the same network as `fallline train` with its flags. Variants are sorted by the lowest
validation loss, or loss where there are no validation rows; the test rows are looked at for the best one alone.
With --out, each variant is saved in a folder of its own inside that one.
"""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

from fallline.cli import training_flags
from fallline.cli.exits import UsageProblem
from fallline.cli.flags import check, flag, flag_of, switch

EXAMPLES = """\
fallline race digits --learning-rate 0.001,0.01,0.1,1
fallline race iris --optimizer adam,momentum --learning-rate 0.001,0.01 --epochs 50
fallline race data.csv --target price --hidden '64;128,64;none' --seed 0,1,2
fallline race wine --seed 0,1,2,3 --out runs/seeds       then: fallline predict runs/seeds/seed-2 new.csv"""

# Flags that take several values: their separator, and the form of one.
RACED: Mapping[str, tuple[str, type[Any]]] = {
    "hidden": (";", str),
    "activation": (",", str),
    "optimizer": (",", str),
    "learning_rate": (",", float),
    "weight_decay": (",", float),
    "batch_size": (",", str),
    "seed": (",", int),
}
MOST_VARIANTS = 1000


def _field(field: Any) -> tuple[str, Any, Any]:
    """A flag of `fallline train` as one of the race."""
    about = flag_of(field)
    if field.name == "threads":
        doc = "variants that advance at the same time; by default as many as there are cores"
        return field.name, int | None, flag(None, doc, metavar="N", at_least=1, whole=True)
    if field.name in ("out", "overwrite", "resume"):
        doc = {
            "out": "the folder for the runs; by default nothing is saved",
            "overwrite": "replace the runs in --out",
            "resume": "go on with the runs in --out, with the same flags as before",
        }[field.name]
        return field.name, field.type, flag(field.default, doc, metavar=about.metavar)
    if field.name not in RACED:
        return field.name, field.type, dataclasses.field(default=field.default, metadata=field.metadata)
    separator, _ = RACED[field.name]
    default = None if field.default is None else str(field.default)
    metavar = f"{about.metavar}{separator}.."
    # Each value is checked by the flags of the single training it is for.
    return field.name, str | None, flag(default, about.help(field.default), metavar=metavar)


FLAGS: type[Any] = dataclasses.make_dataclass(
    "FLAGS", [_field(field) for field in dataclasses.fields(training_flags.FLAGS)], frozen=True, slots=True
)


def run(flags: Any) -> None:
    from fallline.cli import race_results
    from fallline.cli.exits import DIVERGED, Exit, stopped_by

    training_flags.check_threads(flags.threads)
    singles = combinations(flags)
    race = race_results.run(flags, singles, varied(singles))
    race_results.show(race)
    if race.result.stop_reason == "interrupted":
        raise Exit(stopped_by(race.signal))
    if race.has_no_winner:
        raise Exit(DIVERGED)


def combinations(flags: Any) -> list[training_flags.FLAGS]:
    """The flags of each variant, as `fallline train` takes them.

    Errors: UsageProblem for values that are none or outside their range, each reported once; for too many variants.
    """
    for given, wrong_one in ((flags.time is not None, "--time"), (flags.preset == "best", "--preset best")):
        if given:
            raise UsageProblem(f"{wrong_one} trains several networks for one answer, and a race compares single ones\n"
                               f"  try: fallline train {flags.data} {wrong_one}")  # fmt: skip
    values = {name: parsed(name, getattr(flags, name)) for name in RACED}
    count = 1
    for several in values.values():
        count *= len(several)
    if count > MOST_VARIANTS:
        raise UsageProblem(f"that makes {count:,} variants, and {MOST_VARIANTS:,} is the most a race takes")
    rest = {f.name: getattr(flags, f.name) for f in dataclasses.fields(flags) if f.name not in RACED}
    rest["threads"] = next(f.default for f in dataclasses.fields(training_flags.FLAGS) if f.name == "threads")
    made = [training_flags.FLAGS(**rest, **dict(zip(values, one))) for one in itertools.product(*values.values())]
    wrong: dict[str, None] = {}
    for one in made:
        try:
            check(one)
        except UsageProblem as error:
            wrong |= dict.fromkeys(str(error).split("\n  and "))
    if wrong:
        raise UsageProblem("\n  and ".join(wrong))
    return made


def parsed(name: str, text: str | None) -> list[Any]:
    """`0.001,0.01` -> [0.001, 0.01]; the same value twice is one."""
    if text is None:
        return [None]
    separator, kind = RACED[name]
    parts = [part.strip() for part in text.split(separator) if part.strip()]
    try:
        found = list(dict.fromkeys(kind(part) for part in parts))
    except ValueError:
        found = []
    if not found:
        what = {float: "numbers such as 0.001,0.01", int: "whole numbers such as 0,1,2"}.get(kind, "a name or several")
        raise UsageProblem(f"{switch(name)} takes {what}, got {text!r}")
    return found


def varied(singles: list[training_flags.FLAGS]) -> list[str]:
    """The flags in which the variants differ."""
    return [name for name in RACED if len({getattr(one, name) for one in singles}) > 1]
