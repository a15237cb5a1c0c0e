"""scikit-learn's constraints of parameters, made from the ranges that an estimator's fields declare.

So a range is written once: the docs, the checks of `fit` and the error messages of scikit-learn read the same record.
"""

import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from sklearn.utils._param_validation import Interval, StrOptions

from fallline.ranges import Range, options


def constraints_of(cls: type, more: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """`_parameter_constraints` of a dataclass. more: forms, in scikit-learn's terms, of fields beyond their ranges."""
    found = {name: _allowed(limits) for name, _, limits in options(cls)}
    for name, forms in more.items():
        found[name] = [*found.get(name, []), *forms]
    return found


def _allowed(limits: Range) -> list[Any]:
    forms: list[Any] = []
    if limits.flag:
        forms.append("boolean")
    elif limits.number:
        forms.append(_interval(limits))
    if limits.words:
        forms.append(StrOptions({*limits.words}))
    if limits.function:
        forms.append(callable)
    if limits.optional:
        forms.append(None)
    return forms


def _interval(limits: Range) -> Any:
    low, high = max(limits.above, limits.at_least), min(limits.below, limits.at_most)
    opens = (low == limits.at_least and math.isfinite(low), high == limits.at_most and math.isfinite(high))
    closed = {(True, True): "both", (True, False): "left", (False, True): "right", (False, False): "neither"}[opens]
    kind = Integral if limits.whole else Real
    ends = [None if not math.isfinite(end) else int(end) if limits.whole else end for end in (low, high)]
    return Interval(kind, *ends, closed=closed)
