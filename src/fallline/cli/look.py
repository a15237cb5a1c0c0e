"""`fallline look`: a file as it is understood, without training on it.

Every column is shown, with its kind, its range or its commonest levels, its missing values, and what would be done
with it. The flags are those of `fallline train` that concern the file, and correct what is misunderstood. With
--target the columns are also compared with the target.
"""

from fallline.cli.table_flags import TableFlags as FLAGS
from fallline.cli.table_flags import reading_of, wishes_of

EXAMPLES = """\
fallline look data.csv
fallline look data.csv --target price
fallline look data.csv --as zip=category --as sold=d/m/y --decimal ,"""

__all__ = ["EXAMPLES", "FLAGS", "run"]


def run(flags: FLAGS) -> None:
    from fallline.cli import columns_shown, screen
    from fallline.cli.data_source import check_path, open_data
    from fallline.cli.exits import UsageProblem
    from fallline.data import sets
    from fallline.data.dataset import Dataset
    from fallline.data.dataset_file import table_for
    from fallline.data.target_column import class_list
    from fallline.data.understand import columns_of
    from fallline.typesetting import number

    data: Dataset | None = None
    if flags.target is not None or flags.data in sets.SETS:
        data = open_data(flags).data
        rows, columns, notes = len(data), data.columns, data.notes
        if not columns:
            raise UsageProblem(f"{flags.data!r} is a named data set of {len(data.features)} numbers; look is for files")
    else:
        check_path(flags.data)
        table = table_for(flags.data, None, wishes_of(flags), reading_of(flags))
        rows, columns, notes = table.rows, columns_of(table, wishes_of(flags)), table.notes
    screen.fact("rows", number(rows))
    if data is not None:
        what = class_list(data.classes) if data.classes else "a quantity"
        screen.fact("target", f"{data.target!r}: {what}")
    for note in notes:
        screen.fact("note", note)
    used = sum(not column.left_out for column in columns)
    screen.fact("columns", f"{number(used)} of {number(len(columns))} would be learnt from")
    columns_shown.say(columns, {})
