"""Settings to try as a person would type them: the command line that made a run with one flag changed, or an argument
in Python for a run that no command made.
"""

import shlex
from pathlib import Path
from typing import Any

from fallline.data import sets
from fallline.data.dataset import TEST_SHARE
from fallline.data.origin import Origin
from fallline.diagnosis.case import Case
from fallline.training.run import Run

Flags = dict[str, str | None]
DELIMITERS = {"\t": "tab", " ": "space"}


def as_typed(case: Case, name: str, value: float | int | str) -> str:
    """The command line that trains anew with another setting; "" for a run that was not made by one.

    All other flags are those of the run. Of runs of versions that kept no flags the one that changes is told alone.
    """
    return _command(case, {switch(name): rounded(value)})


def resumed(case: Case) -> str:
    """The command line, or the call, by which a training goes on where it was cut off."""
    folder = case.opened.run.folder
    where = "RUN" if folder is None else str(folder)
    return _command(case, {"--out": where, "--resume": ""}) or f"fl.fit(..., out={where!r}, resume=True)"


def _command(case: Case, changed: Flags) -> str:
    run = case.opened.run
    origin = Origin.from_config(run.extra.get("source"))
    if origin is None:
        return ""
    kept = run.extra.get("training")
    if not isinstance(kept, dict) or not isinstance(kept.get("choices"), dict):
        return f"the command that made this run, with {typed(changed)}"
    flags: Flags = {switch(one): shown(given) for one, given in kept["choices"].items()}
    test: Flags = {} if kept.get("test", TEST_SHARE) == TEST_SHARE else {"--test": shown(kept["test"])}
    if origin.test is not None:
        test = {"--test": near(origin.test)}
    return f"fallline train {typed({**table_flags(run, origin), **test, **flags, **changed})}"


def setting(case: Case, name: str, value: float | int | str) -> str:
    """A setting as a command line where the run came from one, and as an argument in Python elsewhere."""
    return as_typed(case, name, value) or f"{name}={repr(value) if isinstance(value, str) else rounded(value)}"


def rounded(value: float | int | str) -> str:
    """A value with as many digits as advice deserves; whole numbers keep all of theirs."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def table_flags(run: Run, origin: Origin) -> Flags:
    """The data and the person's word on it; the data stands first, without a flag."""
    if origin.data in sets.SETS:
        return {"": origin.data}
    flags: Flags = {"": near(origin.data), "--target": run.model.decoder.target if run.model.decoder else None}
    reading = origin.reading.to_config()
    if (header := reading.pop("header", None)) is not None:
        flags["--header" if header else "--no-header"] = ""
    for name, value in {**origin.wishes.to_config(), **reading}.items():
        if name == "kinds":
            flags["--as"] = ",".join(f"{column}={kind}" for column, kind in value.items())
        elif name == "delimiter":
            flags["--delimiter"] = DELIMITERS.get(value, value)
        elif value is not None and value not in ({}, []):
            flags[switch(name)] = shown(value)
    return flags


def switch(name: str) -> str:
    """`time_limit` is typed `--time`, and `learning_rate` `--learning-rate`."""
    return "--time" if name == "time_limit" else f"--{name.replace('_', '-')}"


def shown(value: Any) -> str:
    """A value as it is typed: several with commas, none of several and an empty text as `none`."""
    if isinstance(value, list | tuple):
        return ",".join(map(shown, value)) or "none"
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return str(value) or "none"


def near(path: str) -> str:
    """A path from here, where the file is below this folder."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def typed(flags: Flags) -> str:
    """Flags and their values in one line of a shell."""
    words = [f"{name} {shlex.quote(value) if value else ''}".strip() for name, value in flags.items()
             if value is not None]  # fmt: skip
    return " ".join(words)


__all__ = ["as_typed", "resumed", "setting"]
