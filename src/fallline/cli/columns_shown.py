"""The columns of a table as they were understood, one line each: kind, range or levels, missing values, remarks."""

from collections.abc import Sequence

from fallline.cli import screen
from fallline.cli.flags import as_typed
from fallline.cli.table_flags import TableFlags
from fallline.data.target_column import class_list
from fallline.data.understood import Understood
from fallline.recipe import Recipe
from fallline.typesetting import number, words

# Lines before a training; `fallline look` shows all.
MOST = 12
NAME, KIND, MARGIN = 18, 8, 12


def show(recipe: Recipe) -> None:
    """A training's data, and their columns, shortened where there are many."""
    data = recipe.data
    what = class_list(data.classes) if data.classes else f"the quantity {data.target!r}"
    wide = "1 column" if len(data.features) == 1 else f"{number(len(data.features))} columns"
    screen.fact("data", f"{data.name}: {number(len(data))} rows, {wide}, {what}")
    for note in data.notes:
        screen.fact("note", as_typed(note, TableFlags))
    constant = {name: "one value in all training rows" for name in data.features if name not in recipe.encoder.names}
    if data.columns:
        screen.fact("columns", f"{len(recipe.encoder.names):,} of {len(data.columns):,} are learnt from")
        say(data.columns, constant, MOST)


def say(columns: Sequence[Understood], constant: dict[str, str], most: int | None = None) -> None:
    """A line for each column; of many those with remarks come first, and the others as far as there is room."""
    chosen = list(columns)
    if most is not None and len(columns) > most:
        remarkable = [one for one in columns if one.left_out or one.marks or one.name in constant]
        plain = [one for one in columns if one not in remarkable]
        kept = {one.name for one in [*remarkable[: most - 4], *plain][: most - 1]}
        chosen = [one for one in columns if one.name in kept]
    width = screen.width()
    wide = min(max(NAME, *(len(one.name) for one in chosen)), max(NAME, width // 2 - MARGIN)) if chosen else NAME
    for column in chosen:
        for text in line(column, constant.get(column.name, ""), width, wide):
            screen.say(text)
    if len(chosen) < len(columns):
        rest = [one for one in columns if one not in chosen]
        out = sum(bool(one.left_out or one.name in constant) for one in rest)
        screen.say(f"  and {len(rest):,} more{f', {out:,} of them left out' if out else ''}: fallline look FILE")


def line(column: Understood, constant: str, width: int, wide: int = NAME) -> list[str]:
    """`  age  number  0.42 to 80, 177 missing`, and further lines where there is more to say.

    wide: columns of the screen for the name.
    """
    name = column.name if len(column.name) <= wide else column.name[: wide - 3] + "..."
    name = "".join(c if c.isprintable() else "?" for c in name)
    left_out = column.left_out or constant
    about = [column.about] if column.about else []
    if column.missing:
        about.append(f"{number(column.missing)} missing")
    if left_out:
        about = [f"left out: {left_out}"]
    head = f"{'-' if left_out else ' '} {name:<{wide}} {column.kind:<{KIND}} "
    first, *rest = words(", ".join(about), width - len(head)).split("\n")
    lines = [head + first, *(" " * len(head) + one for one in rest)]
    for mark in column.marks:
        told = words(mark, width - len(head)).split("\n")
        lines += [f"{'!' if not i else ' '}{' ' * (len(head) - 1)}{one}" for i, one in enumerate(told)]
    return [one.rstrip() for one in lines]
