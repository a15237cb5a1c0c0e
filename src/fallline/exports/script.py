"""A run of the command line as a Python script that trains the same network again, and shows the way in Python."""

import pprint
import textwrap
from collections.abc import Mapping
from typing import Any

from fallline.config import from_config
from fallline.data.dataset_file import from_config as reading_of
from fallline.data.dataset_file import to_config
from fallline.data.sets import SETS
from fallline.data.understand import Wishes
from fallline.errors import ArgumentError
from fallline.recipe import Choices, stated
from fallline.runs.model_file import ModelFile, version

# Settings of `fl.fit` that are shown, as they were decided.
SHOWN = ("optimizer", "epochs", "batch_size", "validation", "early_stopping", "seed", "dtype")

SCRIPT = '''\
"""{doc}

Written by Fallline {version}. The same data on the same kind of processor give the same network, to the last bit.
"""

import fallline as fl
from fallline.data.dataset import split
{imports}
from fallline.recipe import Choices, recipe_of

{data}

# Test rows are looked at once, at the end; they are the same whatever the seed.
train, test = split(data, {test})

# All that is left open here follows from the preset and from the table.
recipe = recipe_of(data, {choices}, train)

# The decisions, which fl.fit takes as arguments too:
{decided}
run = fl.fit(recipe.network, recipe.rows, **recipe.settings)

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
    source, asked = found.extra.get("source"), found.extra.get("training")
    if not isinstance(source, dict) or not isinstance(asked, dict) or found.config is None:
        raise ArgumentError(
            f"{where} does not say which data and choices it was trained with, as runs of `fallline train` do\n"
            "  try: exporting the run folder of a fallline train"
        )
    try:
        data, imports = data_of(source, found.model.decoder.target if found.model.decoder else "")
        given: dict[str, Any] = {name: _plain(value) for name, value in asked["choices"].items()}
        choices = call("Choices", stated(Choices(**given)))
        test = float(asked["test"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArgumentError(f"{where} does not say its data and choices as this version writes them: {error}") from None
    return SCRIPT.format(
        doc=f"Trains the network of {where} again.".replace("\\", "/").replace('"""', "'''"),
        version=version(),
        imports=imports,
        data=data,
        test=repr(test),
        choices=choices,
        decided=decided(found),
    )


def data_of(source: Mapping[str, Any], target: str) -> tuple[str, str]:
    """The lines that read the data, and the imports that they need."""
    name = str(source["data"])
    if name in SETS:
        return f"data = sets.load({name!r})", "from fallline.data import sets"
    imports = ["from fallline.data.dataset_file import read_dataset"]
    arguments = [repr(name), repr(target)]
    # Through their records, so that nothing but their fields gets into the script.
    wishes = Wishes.from_config(source.get("wishes")).to_config()
    reading = to_config(reading_of(source.get("reading")))
    if wishes:
        imports.append("from fallline.data.understand import Wishes")
        arguments.append(f"wishes={call('Wishes', wishes)}")
    if reading:
        imports.append("from fallline.data.reading import Reading")
        arguments.append(f"reading={call('Reading', reading)}")
    if source.get("test"):
        arguments.append(f"held={str(source['test'])!r}")
    line = f"data = read_dataset({', '.join(arguments)})"
    if len(line) > 110:
        line = "data = read_dataset(\n" + "".join(f"    {one},\n" for one in arguments) + ")"
    return f"# The table, and a person's word on it where there is one.\n{line}", "\n".join(sorted(imports))


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
        text = pprint.pformat(value, width=100) if isinstance(value, dict) else repr(value)
        lines += textwrap.wrap(f"{name} = {text}", 110, initial_indent="#   ", subsequent_indent="#       ")
    return "\n".join(lines)


def _record(value: Any) -> Any:
    """A record in the place of its JSON form."""
    return from_config(value, object) if isinstance(value, dict) and "type" in value else value
