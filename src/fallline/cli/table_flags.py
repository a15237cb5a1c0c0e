"""The flags that say which table is meant and how it is understood. Every command that trains on one reads them."""

from dataclasses import dataclass
from typing import Any

from fallline.cli.exits import UsageProblem
from fallline.cli.flags import argument, flag
from fallline.data.reading import Reading
from fallline.data.target_column import TASKS
from fallline.data.understand import Wishes
from fallline.data.understood import WISHES
from fallline.errors import FalllineError


@dataclass(frozen=True, slots=True)
class TableFlags:
    """None, or no value, leaves a choice to the rules."""

    data: str = argument("digits, iris, wine, breast-cancer, diabetes, or the path of a file", "DATA")
    target: str | None = flag(None, "the column to learn, for a file", metavar="COLUMN")
    task: str | None = flag(
        None, "the kind of target, if the rule guesses wrong", metavar="NAME", number=False, words=TASKS
    )
    kinds: tuple[str, ...] = flag(
        (), f"a column and its kind, if the rules guess wrong: {', '.join(WISHES)}", metavar="COLUMN=KIND", typed="--as"
    )
    drop: tuple[str, ...] = flag((), "columns to leave out", metavar="COLUMN,..")
    features: tuple[str, ...] = flag((), "the only columns to learn from", metavar="COLUMN,..")
    group: str | None = flag(
        None, "rows with one value of this column are tested and validated together", metavar="COLUMN"
    )
    order_by: str | None = flag(None, "test and validate on the latest rows by this column", metavar="COLUMN")
    weights: str | None = flag(None, "a column that says how much each row counts", metavar="COLUMN")
    decimal: str | None = flag(
        None, "the mark before fractions, if the rule guesses wrong", metavar="MARK", number=False, words=(".", ",")
    )
    no_header: bool = flag(False, "the first line of the file is a row")
    header: bool = flag(False, "the first line of the file names the columns")
    names: tuple[str, ...] = flag((), "names of the columns, in the place of a header's", metavar="NAME,..")
    delimiter: str | None = flag(
        None, "between fields; tab and space can be named; by default as the first lines have it", metavar="TEXT"
    )
    quote: str | None = flag(None, "around fields that hold a delimiter; none for none", metavar="CHARACTER")
    encoding: str | None = flag(
        None, "of the file, such as cp1252; by default UTF-8 or as its bytes say", metavar="NAME"
    )
    comment: str | None = flag(None, "lines that begin with it are left out", metavar="TEXT")
    skip: int = flag(0, "lines before the table", metavar="N", at_least=0, whole=True)


DELIMITERS = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";", "bar": "|", "pipe": "|"}


def reading_of(flags: Any) -> Reading:
    """How the flags say the file is to be read. Errors: UsageProblem for words that are none."""
    try:
        return Reading(
            header=False if flags.no_header else True if flags.header else None, names=parts(flags.names),
            delimiter=DELIMITERS.get(flags.delimiter, flags.delimiter), encoding=flags.encoding, comment=flags.comment,
            skip=flags.skip, quote={None: '"', "none": ""}.get(flags.quote, flags.quote),
        )  # fmt: skip
    except FalllineError as error:
        raise UsageProblem(str(error)) from None


def wishes_of(flags: Any) -> Wishes:
    """A table as the flags describe it. Errors: UsageProblem for words that are none."""
    kinds = {}
    for pair in parts(flags.kinds):
        name, is_pair, kind = pair.rpartition("=")
        if not is_pair:
            raise UsageProblem(f"--as takes COLUMN=KIND, such as zip=category, got {pair!r}")
        kinds[name.strip()] = kind.strip()
    try:
        return Wishes(
            kinds=kinds, drop=parts(flags.drop), features=parts(flags.features), group=flags.group,
            order_by=flags.order_by, weights=flags.weights, task=flags.task, decimal=flags.decimal,
        )  # fmt: skip
    except FalllineError as error:
        raise UsageProblem(str(error)) from None


def parts(given: tuple[str, ...]) -> tuple[str, ...]:
    """`--drop a,b --drop c` -> a, b, c."""
    return tuple(dict.fromkeys(part.strip() for text in given for part in text.split(",") if part.strip()))
