"""Verdicts about the rows: a target that is the same everywhere or stands in another column, rows in both halves, a
network that answers alike whatever comes in, and a loss that does not suit its targets.
"""

from collections.abc import Iterator

import numpy as np

from fallline import tree
from fallline.arrays import Array
from fallline.diagnosis.case import Case
from fallline.diagnosis.finding import Evidence, Finding
from fallline.diagnosis.idle_units import FLAT, slopes_of
from fallline.diagnosis.judge import judged
from fallline.diagnosis.judged_rows import Truth, answers_of, are_constant, columns_of, label_of, matrix
from fallline.diagnosis.verdict_table import verdict
from fallline.insight.opened import Sample

# Rows from which on a column that tells the target exactly is no chance.
FEWEST = 50
# Values of a column for each class, at most, where it is the class under another name.
FEW_VALUES = 3
# The share of the target's spread below which a column leaves it untold: rounding of float32.
EXACT = 1e-5
# The share of validation rows that are training rows too, beyond that of training rows that occur twice and its noise.
# In titanic, whose columns have few values, 20 % are, and 13 % of the training rows occur twice.
COPIES = 0.05


@verdict("constant_target", "all rows have one target", order=5, once=True)
def constant_target(case: Case) -> Iterator[Finding]:
    """A target that is the same in all rows, of which there is nothing to learn."""
    y = np.asarray(case.rows.y).reshape(len(case.rows), -1)
    if len(y) < 2 or np.any(y != y[:1]):
        return
    yield Finding(
        "constant_target",
        "All training rows have the same target, so that there is nothing to learn but that.",
        (Evidence("rows looked at", len(y), threshold="two targets at least"), Evidence("target", str(y[0].tolist()))),
        tries=("another column as --target",),
    )


@verdict("constant_inputs", "all rows are the same but for the target", order=6, once=True)
def constant_inputs(case: Case) -> Iterator[Finding]:
    """Inputs that do not vary, from which no target can be told."""
    if len(case.rows) < 2 or not are_constant(case):
        return
    yield Finding(
        "constant_inputs",
        "All training rows have the same inputs, so that no row can be told from another.",
        (Evidence("rows looked at", len(case.rows), threshold="two different ones at least"),),
        tries=("other columns: --features, or --drop for fewer that are left out",),
        explains=("plateau", "same_answer"),
    )


@verdict("leaked_target", "one column alone tells the target exactly", order=42, once=True)
def leaked_target(case: Case) -> Iterator[Finding]:
    """A column from which the target follows exactly: mostly the target itself once more, or what came of it."""
    rows = case.rows
    truth, x = Truth.of(case, rows), matrix(rows)
    varies = np.flatnonzero(np.ptp(x, axis=0) > 0)
    if len(rows) < FEWEST or len(varies) < 2 or np.all(rows.y == rows.y[:1]):
        return
    tells = _classes_told(x[:, varies], truth.codes) if truth.codes is not None else _told(x[:, varies], truth.values)
    found = varies[tells]
    if not len(found):
        return
    names = columns_of(case, x.shape[1])
    few = len(np.unique(x[:, found[0]])) <= FEW_VALUES * max(truth.k, 1)
    how = "its values lie apart for each class" if truth.codes is not None else "it is a straight line of it"
    # A border in a column of many values may be the rule itself; a column of few values is the class once more.
    warns = few or truth.codes is None
    unless = "Unless that is known when predicting, the network will be worse than it looks."
    yield Finding(
        "leaked_target",
        f"The target follows from {names[found[0]]} alone: {how}, in all rows. {unless if warns else ''}".rstrip(),
        (
            Evidence("columns that tell it", ", ".join(names[i] for i in found[:5]), threshold="none"),
            Evidence("values of the first", len(np.unique(x[:, found[0]]))),
            Evidence("rows looked at", len(rows), threshold="without an exception"),
        ),
        warns=warns,
        tries=(f"--drop {names[found[0]].removeprefix('column ')}",) if warns else (),
    )


def _classes_told(x: Array, codes: Array) -> Array:
    """Which columns (n, D) tell the class (n,): sorted by them, each class stands together."""
    order = np.argsort(x, axis=0, kind="stable")
    sorted_codes, values = codes[order], np.take_along_axis(x, order, axis=0)
    changes = sorted_codes[1:] != sorted_codes[:-1]
    ties = values[1:] == values[:-1]
    apart: Array = (changes.sum(axis=0) == len(np.unique(codes)) - 1) & ~np.any(changes & ties, axis=0)
    return apart


def _told(x: Array, values: Array) -> Array:
    """Which columns tell one quantity but for rounding."""
    if values.shape[1] != 1:
        return np.zeros(x.shape[1], bool)
    z, y = x - x.mean(axis=0), values[:, 0] - values.mean()
    slope = z.T @ y / np.maximum(np.square(z).sum(axis=0), 1e-300)
    told: Array = np.abs(y[:, None] - z * slope).max(axis=0) <= EXACT * np.abs(y).max()
    return told


@verdict(
    "rows_in_both", "validation rows that are training rows too", needs=("rows", "validation"), order=41, once=True
)
def rows_in_both(case: Case) -> Iterator[Finding]:
    """Validation rows that occur among the training rows, so that the validation loss says too little."""
    train, held = case.part.sample(), case.part.validation()
    if train is None or held is None or len(held) < 20:
        return
    ours, theirs = _keys(train), _keys(held)
    _, place, count = np.unique(ours, return_inverse=True, return_counts=True)
    twice = float(np.mean(count[place] > 1))
    share = float(np.mean(np.isin(theirs, ours)))
    border = twice + COPIES + 3 * float(np.sqrt(twice * (1 - twice) / len(held)))
    if share <= border:
        return
    yield Finding(
        "rows_in_both",
        f"{100 * share:.0f} % of the validation rows are training rows too, with the same target: they do not show how "
        "the network does on new rows.",
        (
            Evidence("copied validation rows", f"{round(share * len(held))} of {len(held)}",
                     threshold=f"at most {100 * border:.0f} %, as training rows repeat"),
            Evidence("training rows that occur twice", 100 * twice, "%"),
        ),
        tries=("drop repeated rows before they are split", "--group COLUMN keeps rows that belong together apart"),
    )  # fmt: skip


def _keys(rows: Sample) -> Array:
    """One number for each row that is the same for the same values and target."""
    parts = [np.asarray(one, np.float64).reshape(len(rows), -1) for one in [*tree.leaves(rows.x), rows.y]]
    key, rng = np.zeros(len(rows)), np.random.default_rng(0)
    for one in parts:
        for column in one.T:  # row by row the same sum, wherever the row stands
            key = key * 0.7310585 + column * rng.normal()
    return key


@verdict("same_answer", "the network answers alike whatever comes in", order=25)
def same_answer(case: Case) -> Iterator[Finding]:
    """One class, or one quantity, for all rows, where a linear model shows that there is more to learn."""
    rows = case.rows
    truth = Truth.of(case, rows)
    if len(rows) < FEWEST or np.all(truth.values == truth.values[:1]):
        return
    ours = answers_of(case, rows)
    if not truth.are_alike(ours) or not np.isfinite(ours).all():
        return
    line = judged(matrix(rows), truth.values, 0).left_out
    gap = truth.losses(ours) - truth.losses(line)
    lead, error = float(gap.mean()), float(gap.std(ddof=1) / np.sqrt(len(gap)))
    learnable = lead > 3 * error > 0
    what = f"“{label_of(case, int(np.argmax(ours[0])))}”" if truth.codes is not None else "the same number"
    yield Finding(
        "same_answer",
        f"The network answers {what} for every row"
        + (", though the inputs tell more: a linear model is better." if learnable else "; a linear model finds no "
           "more in the inputs."),
        (
            Evidence("rows looked at", len(rows)),
            Evidence("lead of a linear model", lead / max(error, 1e-300), "standard errors", "above 3: more to learn"),
        ),
        warns=learnable,
        tries=("more epochs, another learning rate", "inputs with mean 0 and deviation 1") if learnable else (),
        part=case.part.name,
    )  # fmt: skip


@verdict("unsuited_loss", "squared error on classes, where a flat output hides errors", order=44)
def unsuited_loss(case: Case) -> Iterator[Finding]:
    """A network that ends in a flat function and is wrong there: squared error leaves it no gradient."""
    model, y = case.part.model, np.asarray(case.rows.y)
    if model.loss.name != "squared_error" or not np.isin(y, (0, 1)).all() or np.all(y == y[:1]):
        return
    last = case.layers[-1]
    sample = case.part.sample(len(last.output))
    assert sample is not None
    error = np.abs(last.output - np.asarray(sample.y).reshape(last.output.shape))
    # 2 (o - y) is the derivative at the output; what is left of it before the last function is its slope's share.
    slopes = slopes_of(last)
    if slopes is None:
        return
    stuck = (error > 0.5) & (np.abs(slopes) < FLAT)
    share = float(np.mean(stuck.any(axis=tuple(range(1, stuck.ndim)))))
    if share < 0.01:
        return
    yield Finding(
        "unsuited_loss",
        f"{100 * share:.0f} % of the training rows are answered wrongly where {last.name} is flat: squared error "
        "leaves them hardly any gradient, cross-entropy would.",
        (
            Evidence("rows wrong by more than a half at a slope below 0.001", 100 * share, "%", "below 1 %"),
            Evidence("targets", "0 and 1", threshold="squared error suits quantities"),
        ),
        tries=("--loss binary_cross_entropy; or cross_entropy, for several classes",),
        part=case.part.name,
    )
