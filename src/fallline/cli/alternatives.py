"""`fallline alternatives`: what other ways to good parameters would cost on this problem, and where they would end.

Normal equations, Newton's method, trying all values, random search and finite differences, beside descent by
backpropagation: measured where they end within --seconds each, and carried on from a measured part where they do not,
which is marked. RUN is the folder of a run; DATA is a named data set or a file, as for `fallline train`, and the
network is then the one that `fallline train --preset plain` would begin with.
"""

from dataclasses import dataclass
from typing import Any

from fallline.cli import screen
from fallline.cli.flags import argument, flag
from fallline.cli.table_flags import TableFlags

EXAMPLES = """\
fallline alternatives runs/iris-1
fallline alternatives diabetes --hidden none
fallline alternatives data.csv --target price --seconds 10"""


@dataclass(frozen=True, slots=True)
class FLAGS(TableFlags):
    data: str = argument("the folder of a run; or a named data set, or the path of a file", "RUN|DATA")
    hidden: str | None = flag(None, "widths of hidden layers, as 64,32; none for none", metavar="WIDTHS")
    seconds: float = flag(2.0, "for each method at most", metavar="S", above=0, at_most=3600)
    values: int = flag(11, "tried for each parameter", metavar="N", at_least=2, at_most=1000, whole=True)
    json: bool = flag(False, "as JSON, for programs")
    debug: bool = flag(False, "show the traceback of an error")


def run(flags: FLAGS) -> None:
    import json

    from fallline.insight.why_descent import alternatives

    options: dict[str, Any] = {"seconds": flags.seconds, "values": flags.values}
    with screen.told_if_slow("the methods are measured"):
        found = alternatives(*_given(flags), **options)
    if flags.json:
        screen.say(json.dumps(found.to_dict()))
    else:
        screen.say(found.text(width=screen.width(), ascii_only=screen.ascii_only()))


def _given(flags: FLAGS) -> tuple[Any, Any]:
    """A folder, or the recipe of the training that would begin; and no other rows."""
    from pathlib import Path

    from fallline.data import sets

    if flags.data not in sets.SETS and Path(flags.data).is_dir():
        return Path(flags.data), None
    from fallline.cli.data_source import open_data
    from fallline.cli.training_flags import widths
    from fallline.recipe import PLAIN, Choices, recipe_of

    data = open_data(flags).data
    hidden = None if flags.hidden is None else widths(flags.hidden)
    return recipe_of(data, Choices(preset=PLAIN, hidden=hidden)), None
