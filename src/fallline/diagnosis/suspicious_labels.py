"""Verdict `suspicious_labels`: rows whose label a judge contradicts with confidence that has not learnt them by heart.

A network's own training rows do not tell, as it may have learnt wrong labels too. The judge is what networks said of
rows that they were not trained on, where the run has that, else ridge regression with each row left out.
"""

import math
from collections.abc import Iterator

import numpy as np

from fallline.arrays import Array
from fallline.diagnosis.case import Case
from fallline.diagnosis.finding import Evidence, Finding
from fallline.diagnosis.judge import judged
from fallline.diagnosis.judged_rows import Truth, answers_of, held_out_of, label_of, matrix
from fallline.diagnosis.settings_to_try import as_typed
from fallline.diagnosis.verdict_table import verdict
from fallline.errors import DataError
from fallline.nn import CrossEntropy
from fallline.typesetting import number

# Rows that are judged without `thorough`: 0.15 s.
MOST_JUDGED = 4096
# Among the half of all rows of whose class the judge is most sure, so many labels are contradicted in clean sets whose
# classes can be told apart: none in iris, wine, penguins and breast-cancer, 0.1 % in digits, 0.7 % in cancer1.
NATURAL = 0.005
# The chance of that many contradictions in a clean set below which they are told.
CHANCE = 0.005
# Where the judge errs on this much more of all rows than of those it is sure of, classes overlap, and a person who
# is one of the few looks like a wrong label: 8 % in card1, 10 % in titanic, 14 % in adult; at most 4 % in sets that
# do not, also with 5 % of their labels changed.
OVERLAP = 0.06
# And where it errs on more rows than this, an outcome that is partly a coin looks just like wrong labels.
SURE_BELOW = 0.15
# In sets that overlap so many of the sure half are contradicted without a label being wrong (9 % in titanic); from
# there on it is told, without a warning.
NATURAL_OF_OVERLAP = 0.06
# A judge that errs on more of the rows than this tells nothing of single ones: 40 % in wine-quality-red.
MOST_ERRORS = 0.22
# A class of which the judge finds less than this share cannot be told from the others, and its rows are contradicted
# though they are right: rare cases most of all.
RECALL = 0.7
# Suspects are the rows of which the judge is most sure, down to where fewer than this share would be mislabelled.
PRECISION = 0.8
SHOWN, NUMBERED = 5, 60
# Sure rows, at least: of 30, the judge of a curved border contradicts 3 that are labelled as they should.
FEWEST = 50
# A residual of so many robust deviations. The most in bostonHousing is 13, a price that was cut at 50; in yacht, whose
# values grow hundredfold, 22. And it has to be larger than the target's own spread: where there is no noise, the median
# residual is nearly 0.
FAR = 30.0


@verdict("suspicious_labels", "labels that are contradicted with confidence", order=40, once=True)
def suspicious_labels(case: Case) -> Iterator[Finding]:
    """Labels that are probably wrong, with their rows; of quantities, values far from what the others would say."""
    rows = case.part.every(None if case.thorough else MOST_JUDGED)
    if rows is None or len(rows) < 40:
        return
    truth = Truth.of(case, rows)
    kept = held_out_of(case, rows)
    simple = judged(matrix(rows), truth.values).left_out
    answers = simple if kept is None else kept
    source = (
        "ridge regression on the inputs and waves of them, each row left out in turn"
        if kept is None
        else "the network of the ensemble that was not trained on each"
    )
    places = case.opened.given_rows(rows.index)
    beyond = () if rows.whole else (f"more than {len(rows):,} rows; thorough=True looks at all",)
    own = np.argmax(answers_of(case, rows), axis=1) if truth.codes is not None else None
    if truth.codes is None:
        yield from _values(case, truth, answers, places, source, beyond)
    else:
        errs = float(truth.losses(answers).mean())
        if errs > MOST_ERRORS:
            raise DataError(f"the judge errs on {100 * errs:.0f} % of the rows, so that it cannot tell of single ones")
        overlaps = errs > SURE_BELOW or any(overlap(one, truth.codes) > OVERLAP for one in (simple, answers))
        yield from _labels(case, truth.codes, answers, own, overlaps, places, source, beyond)


def overlap(answers: Array, codes: Array) -> float:
    """By how much labels are contradicted more often among all rows than among those the judge is sure of, less one
    standard error."""
    _, _, half, contradicted = suspects(answers, codes, 0.0)
    every = float(np.mean(np.argmax(answers, axis=1) != codes))
    return every - contradicted / half - math.sqrt(every * (1 - every) / len(codes))


def suspects(answers: Array, codes: Array, recall: float = RECALL) -> tuple[Array, Array, int, int]:
    """The margin of each row, (n,); the places of suspects, the surest first; how many rows are in the sure half, and
    how many of their labels are contradicted; of classes of which the judge finds that share.

    answers: (n, K). codes: (n,).
    """
    ordered = np.sort(answers, axis=1)
    margin = ordered[:, -1] - ordered[:, -2]
    against = np.argmax(answers, axis=1) != codes
    of_class = np.bincount(codes)
    known = np.bincount(codes, ~against) >= recall * of_class
    order = np.argsort(-margin, kind="stable")
    order = order[known[codes[order]]]
    half = max(len(order) // 2, 1)
    contradicted = int(against[order[:half]].sum())
    share = contradicted / half
    # Wrong labels are as frequent among sure rows as among others, contradictions by overlap are not.
    expected = share * np.arange(1, len(order) + 1)
    fits = np.flatnonzero(np.cumsum(against[order]) * PRECISION <= expected)
    reach = 0 if not len(fits) else int(fits[-1]) + 1
    found = order[:reach][against[order[:reach]]]
    return margin, found, half, contradicted


def chance_of(count: int, expected: float) -> float:
    """The chance of so many or more events where so many are expected, of a Poisson law."""
    below = sum(math.exp(i * math.log(expected) - expected - math.lgamma(i + 1)) for i in range(count))
    return max(0.0, 1 - below)


def _labels(
    case: Case,
    codes: Array,
    answers: Array,
    own: Array | None,
    overlaps: bool,
    places: Array,
    source: str,
    beyond: tuple[str, ...],
) -> Iterator[Finding]:
    _, found, half, contradicted = suspects(answers, codes)
    if half < FEWEST:
        raise DataError(f"fewer than {2 * FEWEST} rows do not tell wrong labels from rare cases")
    border = NATURAL
    if overlaps or not len(found) or chance_of(contradicted, border * half) >= CHANCE:
        overlaps, border = True, NATURAL_OF_OVERLAP
        _, found, half, contradicted = suspects(answers, codes, 0.0)
        if not len(found) or chance_of(contradicted, border * half) >= CHANCE:
            return
    share = contradicted / half
    error = math.sqrt(share * (1 - share) / half)
    evidence = [
        Evidence("contradicted, of the sure half", f"{contradicted} of {half}",
                 threshold=f"{100 * border:g} % in clean sets" + (" that overlap" if overlaps else "")),
        Evidence("in percent" if overlaps else "so of all labels are wrong, about",
                 f"{100 * share:.1f} ± {100 * error:.1f}", "%"),
        Evidence("rows contradicted with confidence", len(found), threshold=f"of {len(codes):,} judged"),
    ]  # fmt: skip
    said = np.argmax(answers, axis=1)
    if own is not None:
        heart = int(np.sum(own[found] == codes[found]))
        evidence.append(Evidence("of these, learnt by heart", heart, threshold="the network answers as labelled"))
    for one in found[:SHOWN]:
        told = f"labelled {label_of(case, codes[one])}, looks like {label_of(case, int(said[one]))}"
        evidence.append(Evidence(f"row {places[one]}", told))
    if len(found) > SHOWN:
        evidence.append(Evidence("all of them, the surest first", _listed(places[found])))
    many = f"{len(found)} labels" if len(found) > 1 else "1 label"
    says = (
        f"{many} contradict what all other rows say, with confidence: about {100 * share:.1f} % of all labels "
        "are wrong."
        if not overlaps
        else f"{many} contradict what all other rows say, with confidence. The classes overlap here, so that these are "
        "wrong labels or rare cases: looking at some tells."
    )
    yield Finding(
        "suspicious_labels",
        says,
        tuple(evidence),
        warns=not overlaps,
        unchecked=(f"the rows themselves; they are judged by {source}", *beyond),
        tries=("look at these rows, counted from 0, and correct or drop them", *_smoothed(case)),
    )


def _smoothed(case: Case) -> Iterator[str]:
    """Label smoothing, where it is not in use already."""
    loss = case.part.model.loss
    if isinstance(loss, CrossEntropy) and not loss.label_smoothing:
        command = as_typed(case, "label_smoothing", 0.1) or "loss=fl.nn.CrossEntropy(label_smoothing=0.1)"
        yield f"smoothing bears wrong labels better: {command}"


def _values(
    case: Case, truth: Truth, answers: Array, places: Array, source: str, beyond: tuple[str, ...]
) -> Iterator[Finding]:
    off = np.abs(truth.values - answers)
    spread = 1.4826 * np.median(off, axis=0)
    if not np.all(spread > 0):
        return
    far = (off / spread).max(axis=1)
    found = np.argsort(-far, kind="stable")
    size = 1.4826 * np.median(np.abs(truth.values - np.median(truth.values, axis=0)), axis=0)
    found = found[(far[found] > FAR) & np.any(off > size, axis=1)[found]]
    if not len(found):
        return
    scale = float(getattr(case.opened.run.model.decoder, "scale", 1.0))
    middle = float(getattr(case.opened.run.model.decoder, "mean", 0.0))
    evidence = [Evidence("typical distance", scale * float(spread.max()), threshold="1.48 times the median")]
    for one in found[:SHOWN]:
        column = int(np.argmax(off[one] / spread))
        told = f"given {number(middle + scale * truth.values[one, column])}, the others say "
        told += number(middle + scale * answers[one, column])
        evidence.append(Evidence(f"row {places[one]}", told, threshold=f"{far[one]:.0f} times typical"))
    if len(found) > SHOWN:
        evidence.append(Evidence("all of them, the farthest first", _listed(places[found])))
    yield Finding(
        "suspicious_labels",
        f"{len(found)} target{'s are' if len(found) > 1 else ' is'} more than {FAR:g} typical distances away from what "
        "all other rows say.",
        tuple(evidence),
        warns=len(found) <= len(truth.values) // 50,
        unchecked=(f"the rows themselves; they are judged by {source}", *beyond),
        tries=("look at these rows, counted from 0, and correct or drop them", "--loss huber, which bears far values"),
    )


def _listed(places: Array) -> str:
    more = "" if len(places) <= NUMBERED else f" and {len(places) - NUMBERED} more"
    return ", ".join(str(one) for one in places[:NUMBERED]) + more


__all__ = ["chance_of", "overlap", "suspects"]
