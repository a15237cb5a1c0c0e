"""Metrics: how good predictions are, as one number for people. Each is one definition and enters one table.

A metric is a function of true and predicted values, f(y_true, y_pred), as scikit-learn's are, over all rows at once.
One that is a sum over rows may state that sum for the outputs of a network too: it is then added up while a validation
pass runs, and no outputs are kept. The definitions stand in class_metrics.py and number_metrics.py.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from fallline.arguments import record, shown
from fallline.errors import ArgumentError, ArgumentTypeError
from fallline.graph.inside import Inside
from fallline.graph.op import Array
from fallline.nn.encoder import Decoder, Quantity
from fallline.nn.loss import Loss
from fallline.ranges import Range

Function = Callable[..., Any]
F = TypeVar("F", bound=Function)

# Kinds of targets: classes; two classes; several labels a row, each 0 or 1; numbers; a kind that its loss alone knows.
KINDS = ("classification", "binary", "labels", "regression", "custom")
BETTER, READS = ("higher", "lower"), ("predictions", "probabilities", "outputs", "estimator")
# The argument by which a function takes the weights of rows; scikit-learn's name.
WEIGHT = "sample_weight"


@dataclass(frozen=True, slots=True)
class Sum:
    """A metric as a sum over rows. add: (loss, outputs, y, weight) -> float64 sums, traced. finish: (sums, y, weight)
    -> the metric.

    y: targets as the loss takes them; in `finish` those of all rows that were summed. weight: of the rows, None where
    they have none.
    in_unit: the metric has the unit of the target, so a decoder's scale multiplies it.
    """

    add: Callable[[Loss, Any, Any, Any], Any]
    finish: Callable[[Array, Array, Array | None], float]
    in_unit: bool = False

    def of(self, sums: Array, y: Array, decoder: Decoder | None, weight: Array | None = None) -> float:
        """The metric, in the unit of the target."""
        with np.errstate(all="ignore"):
            value = self.finish(sums, y, weight)
        return value * decoder.scale if self.in_unit and isinstance(decoder, Quantity) else value


@dataclass(frozen=True, slots=True)
class Numbered:
    """The number that a metric depends on, part of its name: top_3, pinball_0.9.

    argument: of the function. form: the name, {} for the number. limits: the numbers that it may be.
    """

    argument: str
    form: str
    limits: Range

    def read(self, name: str) -> float | int | None:
        """The number in a name; None for a name of another form. Errors: ArgumentError outside the range."""
        before, _, after = self.form.partition("{}")
        text = name.removeprefix(before).removesuffix(after)
        if not name.startswith(before) or not text.replace(".", "", 1).isdecimal():
            return None
        number = int(text) if self.limits.whole and text.isdecimal() else float(text)
        problem = self.limits.problem(number)
        if problem:
            raise ArgumentError(f"the metric {name!r}: {self.argument} {problem}")
        return number


@record
@dataclass(frozen=True)
class Metric:
    """How good predictions are: function(y_true, y_pred) -> a number, over all rows at once.

    function: gets labels or numbers as `Model.predict` gives them, (N,) or (N, M), and returns one number. Where rows
        have weights, one with an argument sample_weight gets them, (N,); any other counts every row once.
    better: "higher" or "lower"; None where neither is better, and then no training can watch it.
    reads: "predictions"; "probabilities", (N, K), classes in the order in which their labels sort, and of two classes
        (N,), those of the last, as scikit-learn's roc_auc_score takes them; "outputs", the network's own; "estimator",
        an object with predict and predict_proba, as scikit-learn's scorers take it.
    name: in events and histories, after "validation_"; by default the function's.
    kinds: of targets that it can measure, among KINDS; () for all.
    usual: measured without being requested. sums: for some kinds of targets, the metric as a sum over rows.
    coded: with probabilities, labels come as places among the columns, 0..K-1, and of two classes both columns.
    numbered: the number in its name, where it depends on one.
    Errors: ArgumentTypeError for a value that is no function; ArgumentError for an unknown word.
    Example: nn.Metric(sklearn.metrics.matthews_corrcoef, better="higher")
    """

    function: Function
    better: str | None = None
    reads: str = "predictions"
    name: str = ""
    kinds: tuple[str, ...] = ()
    usual: bool = field(default=False, repr=False)
    coded: bool = field(default=False, repr=False)
    sums: Mapping[str, Sum] = field(default_factory=dict, repr=False)
    numbered: Numbered | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise ArgumentTypeError(f"a metric is a function(y_true, y_pred), got {shown(self.function)}")
        for what, value, known in (("better", self.better, (*BETTER, None)), ("reads", self.reads, READS)):
            if not isinstance(value, str | None) or value not in known:
                raise ArgumentError(f"Metric: {what} is one of {', '.join(map(repr, known))}, got {shown(value)}")
        if not isinstance(self.name, str):
            raise ArgumentTypeError(f"Metric: name is a text, got {shown(self.name)}")
        if not isinstance(self.kinds, tuple | list) or not all(isinstance(kind, str) for kind in self.kinds):
            raise ArgumentTypeError(f"Metric: kinds are texts in a tuple, got {shown(self.kinds)}")
        object.__setattr__(self, "kinds", tuple(self.kinds))
        object.__setattr__(self, "name", self.name or getattr(self.function, "__name__", "metric"))

    def measures(self, kind: str) -> bool:
        """Whether it has a value for this kind of targets."""
        return not self.kinds or kind in self.kinds

    @property
    def doc(self) -> str:
        """The first paragraph of the function's docstring, in one line."""
        return " ".join((inspect.getdoc(self._plain) or "").partition("\n\n")[0].split())

    @property
    def _plain(self) -> Function:
        """The function without the number that it was given."""
        return self.function.func if isinstance(self.function, partial) else self.function

    @property
    def weighs(self) -> bool:
        """Whether weights of rows enter it."""
        try:
            return WEIGHT in inspect.signature(self.function).parameters
        except (TypeError, ValueError):  # some functions of C tell nothing
            return False

    def at(self, number: float | int, name: str | None = None) -> "Metric":
        """The same metric for another number: METRICS["top_k"].at(3) is top_3.

        Errors: ArgumentError for a metric without one, and outside its range.
        """
        if self.numbered is None:
            raise ArgumentError(f"the metric {self.name!r} depends on no number")
        problem = self.numbered.limits.problem(number)
        if problem:
            raise ArgumentError(f"the metric {self.name!r}: {self.numbered.argument} {problem}")
        function = partial(self.function, **{self.numbered.argument: number})
        return replace(self, function=function, name=name or self.numbered.form.format(number), sums={}, usual=False)

    def of(self, y_true: Array, y_pred: Any, weight: Array | None = None) -> float:
        """The function's value, checked to be a number: it may be a user's.

        Errors: those of the function, which say that they came from this metric; ArgumentTypeError for another value.
        """
        own = str(getattr(self._plain, "__module__", "")).startswith("fallline.")
        given = {"y_true": y_true, "y_pred": y_pred}
        more = {} if weight is None or not self.weighs else {WEIGHT: weight}
        with Inside(lambda: f"the metric {self.name!r}", given, ours_pass=own, of=self.function):
            value = self.function(y_true, y_pred, **more)
            try:
                number = float(value)
            except (TypeError, ValueError):
                raise ArgumentTypeError(f"it returns {shown(value)}, not a number") from None
        return number


METRICS: dict[str, Metric] = {}


def metric(
    better: str | None = None,
    reads: str = "predictions",
    kinds: tuple[str, ...] = (),
    usual: bool = False,
    coded: bool = False,
    sums: Mapping[str, Sum] | None = None,
    numbered: Numbered | None = None,
) -> Callable[[F], F]:
    """Enter a function(y_true, y_pred) as a metric under its name; arguments as for Metric."""

    def entered(function: F) -> F:
        made = Metric(function, better, reads, function.__name__, kinds, usual, coded, dict(sums or {}), numbered)
        before = METRICS.get(made.name)
        if before is not None and (before.function.__module__, made.name) != (function.__module__, function.__name__):
            raise ArgumentError(f"two metrics are called {made.name!r}: of {before.function.__module__} and of "
                                f"{function.__module__}\n  try: another name")  # fmt: skip
        METRICS[made.name] = made
        return function

    return entered


def named(name: str) -> Metric | None:
    """The metric of the table with this name, the number in it read; None for a name that is none.

    Errors: ArgumentError for a number outside its range.
    """
    if name in METRICS:
        return METRICS[name]
    for one in METRICS.values():
        number = None if one.numbered is None else one.numbered.read(name)
        if number is not None:
            return one.at(number, name)
    return None


def mass(y: Array, weight: Array | None) -> float:
    """The sum of the weights of rows, or their number."""
    return float(len(y)) if weight is None else float(np.sum(weight, dtype=np.float64))


def mean(values: Array, weight: Array | None) -> float:
    """The mean of a number a row, by the weights where rows have some."""
    if weight is None:
        return float(np.mean(values, dtype=np.float64))
    return float(np.sum(values * np.asarray(weight, np.float64)) / mass(values, weight))
