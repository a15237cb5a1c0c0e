"""A model beside simple ones on the same rows: values of metrics, their standard errors, who wins and by how much."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.arguments import shown as quoted
from fallline.arguments import takes
from fallline.assessment.baselines import BASELINES, MOST_CELLS, Baseline, Table, ready, trained
from fallline.assessment.uncertainty import Estimate, difference, estimate, jackknife
from fallline.displays import Displayed
from fallline.errors import ArgumentError, ArgumentTypeError, DataError, FalllineError, ShapeError, unknown
from fallline.graph.op import Array
from fallline.nn import measured
from fallline.nn.data_parts import parts_of
from fallline.nn.intake import Problems, as_numbers
from fallline.nn.meaning import truth
from fallline.nn.measured import Answered, answered, has_probabilities, kind_of, measured_by
from fallline.nn.metric import METRICS, Metric
from fallline.nn.model import MODEL, Model
from fallline.nn.scores import answers, checked_weights
from fallline.table import Table as Rows

NETWORK = "the network"
# A difference of more standard errors than this is told as one; on equal models one in twenty is as large.
CLEAR = 2.0
# Shown without being requested, the first decides; those that a model has not are left out.
USUAL = {"classification": ("accuracy", "log_loss"), "binary": ("accuracy", "log_loss", "roc_auc"),
         "regression": ("rmse", "mae", "r2")}  # fmt: skip
# Metrics that count right answers: their differences are told in points, hundredths.
COUNTS = ("accuracy", "exact_match")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of the models that were compared.

    scores: each metric with its standard error. lead: by how much the network is better in each, negative where it is
    worse, with the standard error of that difference on the same rows. seconds: of its training; NaN where not known.
    problem: why it could not be trained; it has no scores then.
    """

    name: str
    scores: Mapping[str, Estimate]
    lead: Mapping[str, Estimate]
    seconds: float = math.nan
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison(Displayed):
    """A model beside simple ones that learnt from the same rows.

    metric: the one that decides. better: "higher" or "lower". candidates: the network first. training_rows, rows: how
    many all of them learnt from, and were tested on; weighted: by the weights of the test rows.
    """

    metric: str
    better: str
    candidates: tuple[Candidate, ...]
    training_rows: int
    rows: int
    weighted: bool = False

    @property
    def network(self) -> Candidate:
        return self.candidates[0]

    @property
    def best(self) -> Candidate | None:
        """The best of the simple models by the metric that decides; None where none could be trained."""
        sign = 1 if self.better == "higher" else -1
        known = [one for one in self.candidates[1:] if not math.isnan(_value(one, self.metric))]
        return max(known, key=lambda one: sign * _value(one, self.metric), default=None)

    @property
    def verdict(self) -> str:
        """Who wins, by how much, and whether that many rows can tell, as a sentence."""
        best = self.best
        if best is None or math.isnan(_value(self.network, self.metric)):
            return f"nothing can be told: {self.metric} is not defined on these rows"
        lead, worst = best.lead[self.metric], self.candidates[1]
        if lead.value == 0 and lead.error == 0:
            return f"{NETWORK} and the {_plain(best.name)} answer alike on all {self.rows} rows"
        if lead.value == 0:
            return f"{NETWORK} and the {_plain(best.name)} have the same {self.metric.replace('_', ' ')}, on other rows"
        amount = self._amount(lead.value)
        if math.isnan(lead.error):
            winner, other = (NETWORK, best.name) if lead.value > 0 else (best.name, NETWORK)
            return f"{winner}: {amount} {self._word} than {other}; {self.rows} rows cannot tell how sure that is"
        errors = f"{abs(lead.value) / lead.error:.1f} standard errors of the difference"
        if lead.value > CLEAR * lead.error:
            return f"{NETWORK} wins: {amount} {self._word} than the {_plain(best.name)}, {errors}"
        below = "" if self._beats(worst) or best is worst else f"; nor is it clearly above the {_plain(worst.name)}"
        if lead.value < -CLEAR * lead.error:
            verb = "win" if best.name.endswith("s") and not best.name.endswith("ss") else "wins"
            return f"the {_plain(best.name)} {verb}: {amount} {self._word} than {NETWORK}, {errors}{below}"
        return (
            f"no difference to the {_plain(best.name)} that {self.rows} rows can show: {amount} "
            f"{self._word if lead.value > 0 else self._opposite}, {errors}{below}"
        )

    @property
    def _word(self) -> str:
        name = self.metric.replace("_", " ")
        return f"{self.better} {name}"

    @property
    def _opposite(self) -> str:
        return f"{'higher' if self.better == 'lower' else 'lower'} {self.metric.replace('_', ' ')}"

    def _beats(self, other: Candidate) -> bool:
        lead = other.lead.get(self.metric)
        return lead is not None and lead.value > CLEAR * lead.error

    def _amount(self, value: float) -> str:
        if self.metric.endswith(COUNTS):
            return f"{100 * abs(value):.1f} points"
        # 10 % lower than another value is 10 % of that one.
        other = self.best if value > 0 else self.network
        base = 0.0 if other is None else abs(_value(other, self.metric))
        said = f"{abs(value):,.0f}" if abs(value) >= 1000 else f"{abs(value):.3g}"
        return said + (f" ({100 * abs(value) / base:.1f} %)" if self.better == "lower" and base > 0 else "")


def _value(one: Candidate, metric: str) -> float:
    return one.scores[metric].value if metric in one.scores else math.nan


def _plain(name: str) -> str:
    return name.removeprefix("the ")


@takes(model=MODEL)
def compare(
    model: Model,
    train: Any,
    test: Any,
    *,
    metrics: Any = None,
    by: str | None = None,
    without: Sequence[str] = (),
    seconds: float = math.nan,
    threads: int | None = None,
) -> Comparison:
    """A model beside the commonest class or the mean, a linear model, and scikit-learn's HistGradientBoosting.

    These learn from the same rows, which the model's encoder reads, and are tested on the same ones. Standard errors
    are those of the test rows: they say how much the values would change with other rows from the same source, not
    with another seed. Those of differences are of pairs, so they are smaller than those of the values.

    train, test: (x, y) or (x, y, weight), as for `fit`; train with the validation rows.
    metrics: besides accuracy, log-loss and (of two classes) roc_auc, or rmse, mae and r2; as for `fit`. by: the name of
        the one that decides; by default accuracy or rmse. without: names of simple models to leave out, "the mean",
        "linear model" or "boosted trees"; not all of them.
    seconds: of the model's training, to stand in the table. threads: at most.
    Errors: ArgumentError for a model of several numbers or labels a row; those of `Model.evaluate`.
    Example: print(fl.compare(run.model, (x, y), (x_test, y_test)).verdict)
    """
    beside = _beside(without)
    chosen, z, targets, weight = answers(model, test, threads)
    kind = kind_of(model.task, targets.y)
    order = None if chosen.labels is None else np.argsort(chosen.labels, kind="stable")
    if kind not in USUAL or z.ndim != 2 or (z.shape[1] != 1 if kind == "regression" else order is None):
        raise ArgumentError("simple models predict a label or one number a row, and the model neither")
    shown = _shown(kind, measured.resolve(metrics), chosen, by, z.shape[1])
    ours, table = answered(chosen, z, targets.y), _table(model, parts_of(test, "test", Problems())[0], "test")
    if weight is not None and not weight.all():
        some = weight > 0
        ours, table, weight = ours.take(some), table.take(some), weight[some]
    every = [*shown.values()]
    rows, y, weights = _training_rows(model, chosen, train, order)
    network = _measured(ours, every, weight)
    found = [_candidate(NETWORK, every, network, network, seconds)]
    k = 0 if order is None else len(order)
    ready()
    for one in beside:
        begun = time.perf_counter()
        try:
            predict = trained(one, rows, y, weights, k, threads)
            took = time.perf_counter() - begun
            its = _answered(predict(table), ours, z.dtype)
        except (ValueError, TypeError, MemoryError) as error:  # of scikit-learn, about rows it was not made for
            if isinstance(error, FalllineError):
                raise
            found.append(Candidate(one.called(k), {}, {}, problem=str(error).partition("\n")[0][:200]))
            continue
        found.append(_candidate(one.called(k), every, network, _measured(its, every, weight), took))
    decides = shown[by] if by else next(one for one in every if one.better)
    return Comparison(decides.name, str(decides.better), tuple(found), len(y), len(ours), weight is not None)


def _beside(without: Any) -> list[Baseline]:
    """The simple models but for those that are left out. Errors: ArgumentError for other names, and for none left."""
    if not isinstance(without, str | list | tuple):
        raise ArgumentTypeError(f"without takes names of simple models, got {quoted(without)}")
    named = [without] if isinstance(without, str) else list(without)
    for name in named:
        if name not in BASELINES:
            raise unknown("simple model", name, BASELINES)
    found = [one for name, one in BASELINES.items() if name not in named]
    if not found:
        raise ArgumentError("without leaves no simple model to compare with")
    return found


def _shown(kind: str, requested: tuple[Metric, ...], model: Any, by: str | None, outputs: int) -> dict[str, Metric]:
    """The metrics to show by name, the one that decides among them."""
    usual = [METRICS[name] for name in USUAL["binary" if outputs == 2 and kind == "classification" else kind]]
    usual = [one for one in usual if one.reads != "probabilities" or has_probabilities(model.loss)]
    measured_by(requested, kind, model.loss)  # checks them
    shown = {one.name: one for one in (*usual, *requested) if one.reads != "outputs"}
    if by is not None and by not in shown:
        shown[by] = measured.of_name(by)
    if by is not None and shown[by].better is None:
        raise ArgumentError(f"the metric {by!r} does not say whether higher is better, so it cannot decide")
    return shown


def _training_rows(model: Model, chosen: Any, data: Any, order: Array | None) -> tuple[Table, Array, Array | None]:
    """The rows that a baseline learns from, their classes in sorted order or quantities, and their weights."""
    problems = Problems()
    x, y, weight = parts_of(data, "train", problems)
    problems.raise_if_any()
    table, targets = _table(model, x, "train"), chosen.prepare(y)
    if len(targets.y) != len(table.numbers):
        raise ShapeError(f"compare: train has {len(table.numbers)} rows of x and {len(targets.y)} of y")
    values = truth(chosen, targets.y, coded=True)
    weights = None if weight is None else checked_weights(weight, len(values), np.float64)
    if weights is not None and not weights.all():
        some = weights > 0
        table, values, weights = table.take(some), values[some], weights[some]
    if order is None:
        return table, np.asarray(values, np.float64).reshape(-1), weights
    return table, np.argsort(order)[values], weights


def _table(model: Model, x: Any, what: str) -> Table:
    """The cells of some rows as numbers."""
    problems = Problems()
    encoder = model.encoder
    if isinstance(x, Rows) and x.rows * len(x.columns) > MOST_CELLS:
        raise ArgumentError(f"{what}: simple models need all rows in memory; {x.rows:,} of {len(x.columns)} columns "
                            "are too many")  # fmt: skip
    numbers = as_numbers(x, what, problems) if encoder is None else encoder.numbers(x, what, problems)
    problems.raise_if_any()
    if numbers is None or not isinstance(numbers, np.ndarray):
        raise DataError(f"{what}: simple models need one array or table in memory")
    return Table(np.asarray(numbers, np.float64).reshape(len(numbers), -1), encoder)


def _answered(predicted: Array, ours: Answered, dtype: Any) -> Answered:
    """Predictions of a baseline in the forms of the network's; probabilities in its precision, whose rounding decides
    the log-loss of a class that was held impossible."""
    if ours.classes is None:
        y_hat = predicted.reshape(ours.truth.shape)
        return Answered(ours.truth, ours.codes, y_hat)
    p = predicted.astype(dtype)
    return Answered(ours.truth, ours.codes, ours.classes[np.argmax(p, axis=1)], p, None, ours.classes)


def _measured(given: Answered, metrics: list[Metric], weight: Array | None) -> tuple[Array, Array]:
    """The values of metrics on all rows, and without each group of rows."""

    def values(rows: Array) -> Array:
        some = given.take(rows)
        return np.array([some.value(one, None if weight is None else weight[rows]) for one in metrics])

    finite = given.outputs is None or bool(np.isfinite(given.outputs).all())
    return jackknife(values if finite else _undefined(len(metrics)), len(given))


def _undefined(count: int) -> Callable[[Array], Array]:
    return lambda rows: np.full(count, math.nan)


def _candidate(
    name: str, metrics: list[Metric], network: tuple[Array, Array], its: tuple[Array, Array], seconds: float
) -> Candidate:
    scores, lead = {}, {}
    for i, one in enumerate(metrics):
        (a, without_a), (b, without_b) = ((values[i], without[:, i]) for values, without in (network, its))
        scores[one.name] = estimate(float(b), without_b)
        if one.better is not None:
            gap = difference(float(a), float(b), without_a, without_b)
            lead[one.name] = gap if one.better == "higher" else Estimate(-gap.value + 0.0, gap.error)
    return Candidate(name, scores, lead, seconds)
