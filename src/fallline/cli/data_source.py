"""The data that DATA on the command line names: a named data set, or a file with a target. And how to open it again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fallline.cli.exits import UsageProblem
from fallline.cli.table_flags import wishes_of
from fallline.data import sets
from fallline.data.dataset import Dataset, listed
from fallline.data.files import read_table
from fallline.data.reading import Reading
from fallline.data.understand import Wishes, dataset_of
from fallline.errors import nearest
from fallline.table import Table


@dataclass(frozen=True, slots=True)
class Opened:
    """Data, and all that is needed to open them, or others like them, again: kept with the run, as JSON."""

    data: Dataset
    source: dict[str, Any]


def open_data(flags: Any, held: str | None = None) -> Opened:
    """The requested data set.

    flags: TableFlags; a name of SETS wins over a file of that name. held: the path of a file with the test rows.
    Errors: UsageProblem for a target that is missing or cannot be chosen; those of reading.
    """
    name, wishes = flags.data, wishes_of(flags)
    if name in sets.SETS:
        found = sets.load(name)
        if (
            flags.target not in (None, found.target)
            or wishes != Wishes(task=wishes.task)
            or held
            or wishes.task not in (None, found.task)
        ):
            raise UsageProblem(f"the data set {name!r} has its own target, {found.target!r}, a {found.task}\n"
                               "  --target, --task, --as and the like are for files")  # fmt: skip
        return Opened(found, {"data": name, "task": found.task})
    table = table_of(name, flags.target, wishes)
    if flags.target is None:
        raise UsageProblem(f"which column of {name} is the target?\n"
                           f"  try: --target NAME, one of {listed(table.names, 12)}")  # fmt: skip
    source = {"data": str(Path(name).resolve()), "wishes": wishes.to_config()}
    test = None
    if held is not None:
        test = table_of(held, flags.target, wishes)
        source["test"] = str(Path(held).resolve())
    data = dataset_of(table, flags.target, wishes, Path(name).stem, held=test)
    return Opened(data, {**source, "task": data.task})


def table_of(name: str, target: str | None, wishes: Wishes) -> Table:
    """The rows of a file. Errors: UsageProblem for a name that is no file."""
    path = Path(name)
    if not path.exists() and not path.suffix:
        raise UsageProblem(f"no data set and no file {name!r}{nearest(name, sets.SETS)}\n"
                           f"  data sets: {', '.join(sets.SETS)}; or the path of a file")  # fmt: skip
    known = [one for one in (target, *wishes.names) if one is not None]
    return read_table(path, Reading(texts=wishes.texts | ({target} if target else set()), expects=tuple(known)))
