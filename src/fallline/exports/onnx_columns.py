"""The form of each kind of column in ONNX: from raw values to the numbers of the network, in float64 as ours."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from fallline.exports.onnx_ops import cast, is_nan
from fallline.exports.onnx_writer import ML, Writer
from fallline.nn.column import CLIP, PERIODS, PLAIN
from fallline.table import Texts

DOUBLE = np.dtype(np.float64)
FAR = 1e100
CASES = (str, str.strip, str.lower, str.upper, str.title, str.capitalize)


@dataclass(frozen=True, slots=True)
class KindForm:
    """A kind of column.

    written: from the values of its columns to their numbers, (N, sum of widths) float64; the values are (N, k) float64
    for numbers, and the names of k arrays (N, 1) of texts for texts. None: the network does not see such columns, and
    they are no inputs. missing, unit: of a number, in words. facts: a reader of the file has to know these of a column.
    """

    written: Callable[[Writer, Any, Sequence[Any]], str] | None
    texts: bool = False
    missing: str = ""
    unit: str = ""
    facts: Callable[[Any], Mapping[str, Any]] = field(default=lambda one: {})


def standardised(w: Writer, x: str, columns: Sequence[Any]) -> str:
    return standard(w, x, [(one.mean, one.scale) for one in columns])


def standard(w: Writer, x: str, by: Sequence[tuple[float, float]]) -> str:
    """(x - centre) / scale, with a pair of both for each column."""
    centre, scale = np.array(by, DOUBLE).T
    return w.Div(w.Sub(x, centre), scale)


def number(w: Writer, x: str, columns: Sequence[Any]) -> str:
    missing = is_nan(w, x)
    # A number beyond FAR is as good as infinite, and its square does not overflow.
    far = w.Clip(standard(w, x, [(one.centre, one.scale) for one in columns]), -FAR, FAR)
    bend = w.Div(far, CLIP)
    z = w.Where(missing, 0.0, w.Div(far, w.Sqrt(w.Add(w.Mul(bend, bend), 1.0))))
    told = [i for i, one in enumerate(columns) if one.indicator]
    if not told:
        return z
    both = w.Concat(z, cast(w, missing, DOUBLE), axis=1)
    order = [place for i in range(len(columns)) for place in (i, *([len(columns) + i] if i in told else ()))]
    return w.Gather(both, np.array(order), axis=1)


def category(w: Writer, inputs: Sequence[str], columns: Sequence[Any]) -> str:
    parts = []
    for name, one in zip(inputs, columns, strict=True):
        keys, codes = known_texts(one)
        numbers = 2 * codes - 3 if not one.embedded and len(one.levels) == 2 else codes
        values = [int(number) for number in numbers]
        code = w.add("LabelEncoder", [name], domain=ML, keys_strings=keys, values_int64s=values, default_int64=0)
        hot = one.width > 1 or not (one.embedded or len(one.levels) == 2)
        parts.append(cast(w, w.Equal(code, np.arange(1, len(one.levels) + 1)) if hot else code, DOUBLE))
    return parts[0] if len(parts) == 1 else w.Concat(*parts, axis=1)


def known_texts(one: Any) -> tuple[list[str], Any]:
    """The texts that mean a level, and the code of each: levels, and other usual writings that are read as one."""
    forms = ("{0}", " {0}", "{0} ", " {0} ", "{0}.0")
    cased = dict.fromkeys(case(level) for case in CASES for level in one.levels)
    texts = [*dict.fromkeys(form.format(level) for form in forms for level in cased)]
    codes = one.read(Texts.of(texts))
    return [text for text, code in zip(texts, codes) if code], codes[codes > 0]


def moment(w: Writer, x: str, columns: Sequence[Any]) -> str:
    parts = []
    for i, one in enumerate(columns):
        its = x if len(columns) == 1 else w.Gather(x, np.array([i]), axis=1)
        span = max(one.stop - one.start, 1.0)
        along = w.Sub(w.Div(w.Mul(w.Sub(its, float(one.start)), 2.0), span), 1.0)
        parts.append(w.Clip(along, -CLIP, CLIP))
        for part in one.parts:
            angle = w.Mul(w.Div(its, PERIODS[part]), 2 * np.pi)
            parts += [w.Sin(angle), w.Cos(angle)]
        parts[-one.width :] = [w.Where(is_nan(w, its), 0.0, part) for part in parts[-one.width :]]
    return w.Concat(*parts, axis=1)


def text_facts(one: Any) -> Mapping[str, Any]:
    """Levels, and the text of a missing value: one that is no level."""
    missing = "" if "" not in one.levels else "a text that is no level"
    return {"levels": one.levels, "missing": missing}


def number_facts(one: Any) -> Mapping[str, Any]:
    """How numbers were written in texts: the file takes the numbers themselves."""
    return {} if one.notation == PLAIN else {"was_written": asdict(one.notation)}


def moment_facts(one: Any) -> Mapping[str, Any]:
    """How moments were written in texts: the file takes seconds."""
    return {"was_written": one.form}


KIND_FORMS: Mapping[str, KindForm] = {
    "Standardised": KindForm(standardised),
    "Number": KindForm(number, missing="NaN", facts=number_facts),
    "Category": KindForm(category, texts=True, facts=text_facts),
    "Moment": KindForm(moment, missing="NaN", unit="seconds since 1970-01-01, UTC", facts=moment_facts),
    "Unused": KindForm(None),
}


def input_names(columns: Sequence[Any]) -> list[str]:
    """The name of the input of each column: its own. One without a name has its place."""
    names: list[str] = []
    taken = {one.name for one in columns}
    for place, one in enumerate(columns):
        name = one.name or f"column {place}"
        while not one.name and name in taken:
            name += "'"
        names.append(name)
    return names


def are_joined(columns: Sequence[Any]) -> bool:
    """Whether the columns are one input, (N, D): they are numbers, and their names only count them."""
    counted = [one.name for one in columns] == [*map(str, range(len(columns)))]
    return counted and not any(KIND_FORMS[type(one).__name__].texts for one in columns)


def seen(columns: Sequence[Any]) -> list[Any]:
    """The columns that are inputs of the file."""
    return [*columns] if are_joined(columns) else [one for one in columns if KIND_FORMS[type(one).__name__].written]


def encoded(w: Writer, columns: Sequence[Any], inputs: Sequence[str]) -> str:
    """The numbers of the network, (N, sum of widths) float64.

    inputs: the names of the columns' values, (N, 1) each; a single one, (N, D), where they are joined.
    """
    w.dtype = DOUBLE
    joined = len(inputs) == 1 < len(columns)
    starts = np.cumsum([0, *(one.width for one in columns)])
    parts, order = [], []
    for kind in dict.fromkeys(type(one) for one in columns):
        form = KIND_FORMS[kind.__name__]
        if form.written is None:
            continue
        places = [i for i, one in enumerate(columns) if type(one) is kind]
        chosen = [columns[i] for i in places]
        values: Any
        if joined:
            values = inputs[0] if len(places) == len(columns) else w.Gather(inputs[0], np.array(places), axis=1)
        elif form.texts:
            values = [inputs[i] for i in places]
        else:
            values = inputs[places[0]] if len(places) == 1 else w.Concat(*(inputs[i] for i in places), axis=1)
        parts.append(form.written(w, values, chosen))
        order += [n for i in places for n in range(starts[i], starts[i + 1])]
    together = parts[0] if len(parts) == 1 else w.Concat(*parts, axis=1)
    return together if order == sorted(order) else w.Gather(together, np.argsort(order), axis=1)
