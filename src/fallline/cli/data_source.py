"""The data that DATA on the command line names: a named data set, or a file with a target."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fallline.cli.exits import UsageProblem
from fallline.cli.table_flags import reading_of, wishes_of
from fallline.data import sets
from fallline.data.dataset import Dataset, listed
from fallline.data.origin import Origin
from fallline.data.reading import Reading
from fallline.data.understand import Wishes
from fallline.errors import nearest


@dataclass(frozen=True, slots=True)
class Opened:
    """Data, and where they are from: all that is needed to open them, or others like them, again."""

    data: Dataset
    origin: Origin


def open_data(flags: Any, held: str | None = None) -> Opened:
    """The requested data set.

    flags: TableFlags; a name of SETS wins over a file of that name. held: the path of a file with the test rows.
    Errors: UsageProblem for a target that is missing or cannot be chosen; those of reading.
    """
    name, wishes, reading = flags.data, wishes_of(flags), reading_of(flags)
    if name in sets.SETS:
        found = sets.load(name)
        is_plain = wishes == Wishes(task=wishes.task) and reading == Reading() and held is None
        if flags.target not in (None, found.target) or flags.task not in (None, found.task) or not is_plain:
            raise UsageProblem(f"the data set {name!r} has its own target, {found.target!r}, a {found.task}\n"
                               "  --target, --task, and flags such as --as, --drop, --group are for files")  # fmt: skip
        return Opened(found, Origin(data=name, task=found.task))
    check_path(name)
    # The readers of files, which named sets do without.
    from fallline.data.dataset_file import read_dataset
    from fallline.data.files import open_file

    if flags.target is None:
        names = open_file(name, reading).names
        raise UsageProblem(f"which column of {name} is the target?\n"
                           f"  try: --target NAME, one of {listed(names, 12)}")  # fmt: skip
    data = read_dataset(name, flags.target, wishes, reading, held)
    path, test = str(Path(name).resolve()), None if held is None else str(Path(held).resolve())
    return Opened(data, Origin(data=path, task=data.task, wishes=wishes, reading=reading, test=test))


def check_path(name: str) -> None:
    """Errors: UsageProblem for a name that is neither a data set nor a file."""
    path = Path(name)
    if not path.exists() and not path.suffix and not {*name} & {*"*?["}:
        raise UsageProblem(f"no data set and no file {name!r}{nearest(name, sets.SETS)}\n"
                           f"  data sets: {', '.join(sets.SETS)}; or the path of a file")  # fmt: skip
