"""The data set that DATA on the command line names: a named data set, or a file with a target."""

from pathlib import Path

from fallline.cli.exits import UsageProblem
from fallline.data import sets
from fallline.data.dataset import Dataset, listed
from fallline.data.files import open_file
from fallline.data.target_column import read_dataset
from fallline.errors import nearest


def open_data(data: str, target: str | None, task: str | None) -> Dataset:
    """The requested data set.

    data: a name of SETS, which wins over a file of that name, or the path of a file.
    Errors: UsageProblem for a target that is missing or cannot be chosen; those of reading.
    """
    if data in sets.SETS:
        found = sets.load(data)
        if target not in (None, found.target) or task not in (None, found.task):
            raise UsageProblem(f"the data set {data!r} has its own target, {found.target!r}, a {found.task}\n"
                               "  --target and --task are for files")  # fmt: skip
        return found
    path = Path(data)
    if not path.exists() and not path.suffix:
        raise UsageProblem(f"no data set and no file {data!r}{nearest(data, sets.SETS)}\n"
                           f"  data sets: {', '.join(sets.SETS)}; or the path of a file")  # fmt: skip
    if target is None:
        names = open_file(path).names
        raise UsageProblem(f"which column of {data} is the target?\n"
                           f"  try: --target NAME, one of {listed(names, 12)}")  # fmt: skip
    return read_dataset(path, target, task)
