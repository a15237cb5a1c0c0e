"""The variants of a race: from the settings in which each differs to a job with a name, or one error with all
problems.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fallline.errors import ArgumentError, FalllineError, nearest
from fallline.jobs.job import Job, prepare
from fallline.jobs.settings import Settings, looked_up_optimizer
from fallline.jobs.shared_cache import SharedCache
from fallline.nn.data_parts import is_stream
from fallline.nn.encoder import Columns, Labels, Quantity
from fallline.nn.layer import Dense
from fallline.nn.model import Model
from fallline.nn.sequential import Sequential
from fallline.ranges import short
from fallline.split import Fold

SETTINGS = tuple(field.name for field in fields(Settings))
# Keys of a variant in addition to settings of its training.
OWN_KEYS = ("name", "model", "learning_rate")
# Differing in these alone, variants are repetitions of one training.
REPEATED = frozenset({"name", "seed", "validation"})
# Measured on the training rows of a fold, these are no difference of their own.
MEASURED = frozenset({"encoder", "decoder"})


@dataclass(frozen=True, slots=True)
class Variant:
    """given: its differences, as they were written."""

    name: str
    given: Mapping[str, Any]
    job: Job


def variants_of(model: Any, data: Any, given: Any, settings: Mapping[str, Any]) -> tuple[Variant, ...]:
    """Every variant, ready to begin. Errors: ArgumentError or DataError with all problems of all variants."""
    known = [name for name in SETTINGS if name != "threads"]
    wrong = [f"race takes no {name}={nearest(name, known)}" for name in settings if name not in known]
    if not isinstance(settings.get("resume", False), bool):
        wrong.append("resume is True or False in a race; the folder is that of out=")
    if isinstance(given, Mapping | str) or not isinstance(given, Sequence) or not len(given):
        wrong.append(f"variants is a list of dicts, one for each variant, got {given!r:.60}")
        given = []
    if is_stream(data):
        wrong.append("data are an iterable, and several trainings cannot go through it at their own pace\n"
                     "  try: arrays, or memory maps of files")  # fmt: skip
    for place, one in enumerate(given):
        wrong += _slips(place, one, [*OWN_KEYS, *known])
    if wrong:
        raise ArgumentError("\n".join(wrong))
    names = names_of(given)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ArgumentError(f"two variants are called {twice[0]!r}\n  try: other names, or none")
    if hasattr(data, "x") and hasattr(data, "y"):
        data = data.x, data.y  # looked up once, so that all variants get the same arrays
    cache = SharedCache({})
    folders = _folders(names, settings.get("out"))
    made, problems = [], Collected(len(given))
    for name, one, folder in zip(names, given, folders):
        options = {
            **settings,
            "out": folder,
            **{key: value for key, value in one.items() if key not in OWN_KEYS},
            "threads": 1,
        }
        if "learning_rate" in one:
            with problems.of(name):
                optimizer = looked_up_optimizer(options.get("optimizer", "adam"))
                options["optimizer"] = optimizer.at_rate(one["learning_rate"])
        with problems.of(name):
            made.append(Variant(name, one, prepare(one.get("model", model), data, Settings(**options), cache)))
    problems.raise_if_any()
    return tuple(made)


def _slips(place: int, one: Any, known: Sequence[str]) -> list[str]:
    """The problems of a variant as it is written."""
    if not isinstance(one, Mapping):
        return [f"variant {place} has to be a dict such as {{'learning_rate': 0.01}}, got {one!r:.60}"]
    wrong = [f"variant {place}: there is no {key!r}{nearest(str(key), known)}" for key in one if key not in known]
    name = one.get("name", "-")
    if not isinstance(name, str) or not name.strip():
        wrong.append(f"variant {place}: a name is a text, got {name!r}")
    return wrong


class Collected:
    """Errors of several variants; equal ones are reported once."""

    def __init__(self, variants: int) -> None:
        self._variants = variants
        self._names: dict[str, list[str]] = {}
        self._kinds: list[type[FalllineError]] = []
        self._name = ""

    def of(self, name: str) -> "Collected":
        self._name = name
        return self

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if not isinstance(error, FalllineError):
            return False
        self._names.setdefault(str(error), []).append(self._name)
        self._kinds.append(type(error))
        return True

    def raise_if_any(self) -> None:
        """Raise all errors as one: of their kind if they are of one, else ArgumentError."""
        if not self._names:
            return
        kinds = set(self._kinds)
        kind = kinds.pop() if len(kinds) == 1 else ArgumentError
        lines = [self._line(text, names) for text, names in self._names.items()]
        raise kind(
            lines[0] if len(lines) == 1 else f"{len(lines)} problems:\n" + "\n".join(f"- {text}" for text in lines)
        )

    def _line(self, text: str, names: list[str]) -> str:
        if len(names) == self._variants:
            return text
        shown = ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        return f"variant{'s' * (len(names) > 1)} {shown}: " + text.replace("\n", "\n  ")


def is_repeated(given: Mapping[str, Any]) -> bool:
    """Whether a variant differs only in what makes it a repetition of one training."""
    return set(given) <= (REPEATED | MEASURED if isinstance(given.get("validation"), Fold) else REPEATED)


def names_of(given: Sequence[Mapping[str, Any]]) -> list[str]:
    """A name for each variant: its own, else its differences from the others."""
    keys = [key for key in dict.fromkeys(key for one in given for key in one) if key != "name"]
    varied = [key for key in keys if len({_text(one.get(key), i) for i, one in enumerate(given)}) > 1]
    names: list[str] = []
    for place, one in enumerate(given):
        own = MEASURED if isinstance(one.get("validation"), Fold) else ()
        parts = [_part(key, one[key], place) for key in varied if key in one and key not in own]
        name = one.get("name") or ", ".join(parts) or ("as given" if varied else f"variant {place + 1}")
        same = sum(other == name or other.startswith(name + " (") for other in names)
        names.append(f"{name} ({same + 1})" if same and "name" not in one else name)
    return names


def _part(key: str, value: Any, place: int) -> str:
    text = _text(value, place)
    says_it_all = isinstance(value, Fold) or (key in ("model", "optimizer", "loss", "dtype") and not text.isdigit())
    return text if says_it_all else f"{key} {text}"


def _text(value: Any, place: int) -> str:
    """A value in a few words; the number of its variant for values that have none."""
    network = value.network if isinstance(value, Model) else value
    if isinstance(network, Sequential):
        widths = [str(layer.units) for layer in network.layers if isinstance(layer, Dense)]
        bends = [type(layer).__name__ for layer in network.layers if not isinstance(layer, Dense)]
        return f"{'-'.join(widths)} {bends[0].lower() if bends else 'linear'}" if widths else f"{place + 1}"
    if value is None or isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int | float | np.number):
        return f"{value:g}" if isinstance(value, float | np.floating) else str(value)
    if is_dataclass(value) and not isinstance(value, type | Columns | Quantity | Labels):
        return repr(value) if not type(value).__dataclass_params__.eq else short(value)  # type: ignore[attr-defined]
    name = getattr(value, "__name__", None)
    return name if isinstance(name, str) else f"{place + 1}"


def _folders(names: Sequence[str], out: Any) -> list[Path | None]:
    """A folder for each variant inside that of the race."""
    if out is None:
        return [None] * len(names)
    found: list[Path | None] = []
    for place, name in enumerate(names):
        plain = re.sub(r"[^\w.=-]+", "-", name).strip("-.")[:60] or f"variant-{place + 1}"
        folder = Path(out) / plain
        found.append(folder if folder not in found else Path(out) / f"{plain}-{place + 1}")
    return found


def comparable(variants: Sequence[Variant]) -> tuple[str, ...]:
    """Differences that make the results of these variants hard to compare."""
    notes = []
    losses = list(dict.fromkeys(short(v.job.model.loss) for v in variants))
    if len(losses) > 1:
        notes.append(f"losses of different kinds cannot be compared: {', '.join(losses)}; look at the metrics instead")
    if len({v.job.validation is None for v in variants}) > 1:
        notes.append("some variants have validation data and some have none: these are sorted by their training loss")
    return tuple(notes)
