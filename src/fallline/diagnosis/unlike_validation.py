"""Verdicts that hold validation rows against training rows: rows of another kind, and a network that is no better on
them than one answer for all.
"""

from collections.abc import Iterator

import numpy as np

from fallline.arrays import Array
from fallline.diagnosis.case import Case
from fallline.diagnosis.finding import Evidence, Finding
from fallline.diagnosis.judge import judged
from fallline.diagnosis.judged_rows import Truth, answers_of, are_constant, columns_of, label_of, matrix
from fallline.diagnosis.verdict_table import verdict
from fallline.errors import DataError

# Rows from which on two kinds of rows can be told apart, and one answer from a better one.
FEWEST = 20
# Standard errors: of many columns and runs, none differs by so much by chance.
CLEAR = 6.0
# Shares of classes that differ by so much in sum, or rows of classes that training rows do not have.
SHARES, UNSEEN = 0.25, 0.02
# The range that holds all but 2 % of the training values; and the share of validation values outside from which on a
# column is another one. A shift by one deviation puts 10 % of them there, values twice as large 25 %.
TAIL, OUTSIDE = 0.01, 0.25
# A column that varies by less than this share of what it does in the training rows came in another unit.
SHRUNK = 0.1
# And the network has to suffer: its error there is larger by this share of the error of one answer for all.
WORSE = 0.1
# A network is better than one answer for all where its squared error is lower by this share.
BETTER = 0.01
SHOWN = 3


@verdict("validation_differs", "validation rows are of another kind than training rows", needs=("rows", "validation"),
         order=40, once=True)  # fmt: skip
def validation_differs(case: Case) -> Iterator[Finding]:
    """Other classes, columns of other values, or another relation of the two: the validation loss tells of these."""
    train, held = case.rows, case.validation
    if len(held) < FEWEST or len(train) < FEWEST:
        return
    ours, theirs = Truth.of(case, train), Truth.of(case, held)
    evidence, reasons = list[Evidence](), list[str]()
    if ours.codes is not None and theirs.codes is not None:
        _of_classes(case, ours.codes, theirs.codes, ours.k, evidence, reasons)
    x, z = matrix(train), matrix(held)
    _of_columns(case, x, z, evidence, reasons)
    if not reasons:
        _of_relation(ours, theirs, x, z, evidence, reasons)
    if not reasons:
        return
    own, other = (float(truth.losses(answers_of(case, rows)).mean()) for truth, rows in ((ours, train), (theirs, held)))
    middle = np.broadcast_to(ours.values.mean(axis=0), theirs.values.shape)
    suffers = bool(other - own > WORSE * theirs.losses(middle).mean())
    evidence.append(Evidence("error of the network", f"{own:.3g} and {other:.3g}", threshold="training, validation"))
    yield Finding(
        "validation_differs",
        f"The validation rows are of another kind than the training rows: {'; '.join(reasons)}. The validation loss "
        "tells how the network does on such rows, not whether it has learnt by heart.",
        tuple(evidence),
        warns=suffers,
        tries=(
            "rows drawn at random for validation: fl.fit(..., validation=0.2)",
            "the same preparation for both halves: scales, order of columns, codes of classes",
        ),
        part=case.part.name,
        explains=("overfitting", "worse_than_linear", "learnt_nothing"),
    )


def _of_classes(case: Case, ours: Array, theirs: Array, k: int, evidence: list[Evidence], reasons: list[str]) -> None:
    p, q = (np.bincount(one, minlength=k) / len(one) for one in (ours, theirs))
    both = (p * len(ours) + q * len(theirs)) / (len(ours) + len(theirs))
    error = np.sqrt(both * (1 - both) * (1 / len(ours) + 1 / len(theirs)))
    far = np.abs(p - q) / np.maximum(error, 1e-300)
    unseen = np.flatnonzero((p == 0) & (q > 0))
    worst = int(np.argmax(np.abs(p - q)))
    if len(unseen) and q[unseen].sum() > UNSEEN and far[unseen].max() > CLEAR:
        names = ", ".join(f"“{label_of(case, int(one))}”" for one in unseen[:SHOWN])
        reasons.append(f"no training row is of class {names}")
        evidence.append(Evidence("validation rows of classes that training rows lack", 100 * q[unseen].sum(), "%",
                                 f"at most {100 * UNSEEN:g} %"))  # fmt: skip
    elif 0.5 * np.abs(p - q).sum() > SHARES and far[worst] > CLEAR:
        reasons.append(f"class “{label_of(case, worst)}” has {100 * p[worst]:.0f} % of the training rows and "
                       f"{100 * q[worst]:.0f} % of the validation rows")  # fmt: skip
        evidence.append(Evidence("classes' shares differ by", 50 * np.abs(p - q).sum(), "%", f"at most "
                                 f"{100 * SHARES:g} %, and {CLEAR:g} standard errors"))  # fmt: skip


def _of_columns(case: Case, x: Array, z: Array, evidence: list[Evidence], reasons: list[str]) -> None:
    low, high = np.quantile(x, [TAIL, 1 - TAIL], axis=0)
    outside = np.mean((z < low) | (z > high), axis=0)
    error = np.sqrt(2 * TAIL * (1 - 2 * TAIL) / len(z))
    other = outside > max(OUTSIDE, CLEAR * error)
    middle = np.quantile(x, 0.75, axis=0) - np.quantile(x, 0.25, axis=0)
    shrunk = (middle > 0) & (z.std(axis=0) < SHRUNK * x.std(axis=0)) & (z.std(axis=0) > 0)
    found = np.flatnonzero(other | shrunk)
    if not len(found):
        return
    names = columns_of(case, x.shape[1])
    worst = found[np.argsort(-outside[found])][:SHOWN]
    several = len(found) > 1
    reasons.append(f"{len(found)} of {x.shape[1]} columns {'have' if several else 'has'} other values")
    for one in worst:
        numbers = f"{x[:, one].mean():.3g} ± {x[:, one].std():.2g} and {z[:, one].mean():.3g} ± {z[:, one].std():.2g}"
        told = f"{100 * outside[one]:.0f} % beyond what the training rows hold; at most {100 * OUTSIDE:g} %"
        evidence.append(Evidence(names[one], numbers, threshold=told))


def _of_relation(ours: Truth, theirs: Truth, x: Array, z: Array, evidence: list[Evidence], reasons: list[str]) -> None:
    """Whether a linear model that holds for training rows left out is worse than one answer on the validation rows."""
    line = judged(x, ours.values, 0)
    middle = ours.values.mean(axis=0)
    lead = _squares(ours.values, middle) - _squares(ours.values, line.left_out)
    here = _squares(theirs.values, middle) - _squares(theirs.values, line.predict(z))
    error = float(np.sqrt(lead.var() / len(lead) + here.var() / len(here)))
    if not lead.mean() > CLEAR * lead.std() / np.sqrt(len(lead)) or not here.mean() < 0:
        return
    if lead.mean() - here.mean() <= CLEAR * error:
        return
    reasons.append("what tells the target in the training rows does not tell it in these")
    whole = [float(_squares(one.values, middle).mean()) for one in (ours, theirs)]
    evidence.append(Evidence("share of the target that a linear model tells",
                             f"{100 * lead.mean() / whole[0]:.0f} % and {100 * here.mean() / whole[1]:.0f} %",
                             threshold="training rows left out, validation rows; above 0 %"))  # fmt: skip


def _squares(values: Array, answers: Array) -> Array:
    found: Array = np.mean(np.square(values - answers), axis=1)
    return found


def probabilities(case: Case, scores: Array) -> Array | None:
    """(n, K) of scores, for losses whose scores are logarithms of these; None for others."""
    name = case.part.model.loss.name
    if name not in ("cross_entropy", "binary_cross_entropy"):
        return None
    # The two scores of a binary answer are -z and z, and its probability is the sigmoid of z alone.
    z = scores * (0.5 if name == "binary_cross_entropy" else 1.0)
    grown = np.exp(z - z.max(axis=1, keepdims=True))
    found: Array = grown / grown.sum(axis=1, keepdims=True)
    return found


@verdict("learnt_nothing", "no better on validation rows than one answer for all", needs=("rows", "validation"),
         order=47, once=True)  # fmt: skip
def learnt_nothing(case: Case) -> Iterator[Finding]:
    """A network that is no better on validation rows than the mean, or the classes' shares, of the training rows."""
    train, held = case.rows, case.validation
    if len(held) < FEWEST or len(train) < FEWEST or are_constant(case):
        return
    ours, theirs = Truth.of(case, train), Truth.of(case, held)
    scores = answers_of(case, held)
    if np.all(ours.values == ours.values[:1]) or not np.isfinite(scores).all() or theirs.are_alike(scores):
        return  # which is told as such
    answers = scores if ours.codes is None else probabilities(case, scores)
    if answers is None:
        return
    middle = ours.values.mean(axis=0)
    own, usual = (float(_squares(theirs.values, one).mean()) for one in (answers, middle))
    if own < (1 - BETTER) * usual:
        return
    judge = judged(matrix(train), ours.values)
    found = _squares(ours.values, middle) - _squares(ours.values, judge.left_out)
    its_error = float(found.std(ddof=1) / np.sqrt(len(found)))
    learnable = bool(found.mean() > CLEAR / 2 * its_error)
    if learnable and len(case.opened.parts) > 1:
        raise DataError("a network of an average may know its own rows by heart and others badly, and the average well")
    mine = answers_of(case, train)
    known = mine if ours.codes is None else probabilities(case, mine)
    assert known is not None
    if learnable and not _squares(ours.values, known).mean() < (1 - BETTER) * _squares(ours.values, middle).mean():
        return  # which has not learnt its own rows either: that is told by other verdicts
    one = "the mean of the training rows" if ours.codes is None else "the classes' shares in the training rows"
    rest = (
        "A simple model that was fitted to the same rows does better, so there is something to learn."
        if learnable
        else "Nor does a simple model find anything: as far as these rows tell, the inputs do not tell the target."
    )
    yield Finding(
        "learnt_nothing",
        f"On the validation rows the network is no better than {one}, the same for every row. {rest}",
        (
            Evidence("squared error of the network", own, threshold=f"{len(held):,} validation rows"),
            Evidence("of one answer for all", usual, threshold=f"the network's: below {100 * (1 - BETTER):g} % of it"),
            Evidence("lead of a simple model", float(found.mean()) / max(its_error, 1e-300), "standard errors",
                     f"above {CLEAR / 2:g}; training rows, each left out in turn"),
        ),
        unchecked=() if learnable else ("what neither a linear model nor waves of the columns can tell",),
        tries=(
            "fl.fit(..., early_stopping=True)", "a smaller network, or weight_decay=0.01"
        ) if learnable else (
            "look whether each row of x still stands beside its own y: one of them sorted or shuffled apart?",
            "other columns",
        ),
        part=case.part.name,
        explains=("overfitting", "descending", "worse_than_linear") if not learnable else (),
    )  # fmt: skip


__all__ = ["probabilities"]
