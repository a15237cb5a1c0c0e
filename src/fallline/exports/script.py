"""A run of the command line as a Python script that trains the same network again, and shows the way in Python."""

import pprint
import textwrap
from collections.abc import Mapping
from typing import Any

from fallline.config import from_config
from fallline.data.origin import Origin
from fallline.data.sets import SETS
from fallline.errors import ArgumentError
from fallline.recipe import Choices, stated
from fallline.runs.model_file import ModelFile, version

# Settings of `fl.fit` that are shown, as they were decided.
SHOWN = ("optimizer", "epochs", "batch_size", "validation", "early_stopping", "seed", "dtype")

SAME = "The same data on the same kind of processor give the same network, to the last bit."
TIMED = "The search takes as long as that of the run; what it finds in that time may be another network."
# The import, the call, and the words above the decisions: of one network, and of several that are averaged.
ONE = (
    "import fallline as fl",
    "fl.fit(recipe.network, recipe.rows, **recipe.settings)",
    "The decisions, which fl.fit takes as arguments too:",
)
SEVERAL = (
    "from fallline.committee import fit",
    "fit(recipe)",
    "The average that was found, and how its first network was trained:",
)

SCRIPT = '''\
"""{doc}

Written by Fallline {version}. {promise}
"""

{imports}

{data}

# Test rows are looked at once, at the end; they are the same whatever the seed.
train, test = split(data, {test})

# All that is left open here follows from the preset and from the table.
recipe = recipe_of(data, {choices}, train)

# {above}
{decided}
run = {fitted}

print(f"{{run.stop_reason}} after epoch {{len(run.history['loss'])}}")
if len(test):
    for name, value in run.model.evaluate(recipe.rows_at(test)).items():
        print(f"test {{name}}: {{value:.6g}}")

# run.model.predict(rows) takes a data frame, a dict of columns or a list of dicts; run.save("folder") keeps the run.
'''


def script_of(found: ModelFile, where: str) -> str:
    """The script of a run. where: the run's folder, in words.

    Errors: ArgumentError for a run that does not say what it was trained on and with which choices.
    """
    origin, asked = Origin.from_config(found.extra.get("source")), found.extra.get("training")
    if origin is None or not isinstance(asked, dict) or found.config is None:
        raise ArgumentError(
            f"{where} does not say which data and choices it was trained with, as runs of `fallline train` do\n"
            "  try: exporting the run folder of a fallline train"
        )
    try:
        data, imports = data_of(origin, found.model.decoder.target if found.model.decoder else "")
        given: dict[str, Any] = {name: _plain(value) for name, value in asked["choices"].items()}
        chosen = Choices(**given)
        test = float(asked["test"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArgumentError(f"{where} does not say its data and choices as this version writes them: {error}") from None
    own, fitted, above = SEVERAL if {"ensemble", "search"} & found.config.keys() else ONE
    imports += ["from fallline.data.dataset import split", "from fallline.recipe import Choices, recipe_of", own]
    return SCRIPT.format(
        doc=f"Trains the network of {where} again.".replace("\\", "/").replace('"""', "'''"),
        version=version(),
        promise=SAME if chosen.time_limit is None else TIMED,
        imports="\n".join(sorted(imports, key=lambda line: (not line.startswith("import"), line))),
        data=data,
        test=repr(test),
        choices=call("Choices", stated(chosen)),
        fitted=fitted,
        above=above,
        decided=decided(found),
    )


def data_of(origin: Origin, target: str) -> tuple[str, list[str]]:
    """The lines that read the data, and the imports that they need."""
    name = origin.data
    if name in SETS:
        return f"data = sets.load({name!r})", ["from fallline.data import sets"]
    imports = ["from fallline.data.dataset_file import read_dataset"]
    arguments = [repr(name), repr(target)]
    wishes, reading = origin.wishes.to_config(), origin.reading.to_config()
    if wishes:
        imports.append("from fallline.data.understand import Wishes")
        arguments.append(f"wishes={call('Wishes', wishes)}")
    if reading:
        imports.append("from fallline.data.reading import Reading")
        arguments.append(f"reading={call('Reading', reading)}")
    if origin.test is not None:
        arguments.append(f"held={origin.test!r}")
    line = f"data = read_dataset({', '.join(arguments)})"
    if len(line) > 110:
        line = "data = read_dataset(\n" + "".join(f"    {one},\n" for one in arguments) + ")"
    return f"# The table, and a person's word on it where there is one.\n{line}", imports


def call(name: str, arguments: Mapping[str, Any]) -> str:
    """A record as it is written in Python."""
    return f"{name}({', '.join(f'{one}={_plain(value)!r}' for one, value in arguments.items())})"


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def decided(found: ModelFile) -> str:
    """The network, the loss and the settings of a run, as comments."""
    assert found.config is not None
    settings = {name: found.config.get(name) for name in SHOWN}
    shown = {"network": found.model.network, "loss": found.model.loss}
    shown |= {name: _record(value) for name, value in settings.items()}
    lines = []
    for name, value in shown.items():
        text = " ".join(pprint.pformat(value, width=100).split()) if isinstance(value, dict) else repr(value)
        lines += textwrap.wrap(f"{name} = {text}", 110, initial_indent="#   ", subsequent_indent="#       ")
    return "\n".join(lines)


def _record(value: Any) -> Any:
    """A record in the place of its JSON form."""
    return from_config(value, object) if isinstance(value, dict) and "type" in value else value
