"""Verdict `worse_than_linear`: a linear model, fitted in closed form, does better on the same rows."""

from collections.abc import Iterator

import numpy as np

from fallline.arrays import Array
from fallline.diagnosis.case import Case
from fallline.diagnosis.finding import Evidence, Finding
from fallline.diagnosis.judge import judged
from fallline.diagnosis.judged_rows import Truth, answers_of, held_out_of, matrix
from fallline.diagnosis.verdict_table import verdict
from fallline.errors import DataError
from fallline.insight.opened import Sample

# Training rows that the linear model learns from without `thorough`.
MOST_FITTED = 8192
# Rows that two models are compared on, at least.
FEWEST = 30
# Standard errors of the difference: on equal models one in forty differs by more to one side. Of many healthy runs
# some would.
CLEAR = 3.0
# And it has to matter: a point of accuracy; of quantities a twentieth of the squared error, and two hundredths of their
# variance, as a line that is exactly right always wins.
POINT, PART, OF_VARIANCE = 0.01, 0.05, 0.02
HELD_OUT = "rows that each network was not trained on"


@verdict("worse_than_linear", "a linear model does better on the same rows", order=50, once=True)
def worse_than_linear(case: Case) -> Iterator[Finding]:
    """A network that does worse than a straight line learns too little, or learns what is not there."""
    if case.opened.run.held_out is not None and len(case.opened.parts) > 1:
        rows = case.part.every(None if case.thorough else MOST_FITTED)
        kept = None if rows is None else held_out_of(case, rows)
        if rows is not None and kept is not None:
            truth = Truth.of(case, rows)
            line = judged(matrix(rows), truth.values, 0).left_out
            yield from _told(case, truth, kept, line, HELD_OUT, False)
            return
    if len(case.opened.parts) > 1:
        raise DataError("an average without rows that its networks were not trained on")
    if (case.part.run or case.opened.run).stop_reason == "diverged":
        return  # which is told as such, and has nothing to do with what the network can learn
    rows = case.part.sample(None if case.thorough else MOST_FITTED)
    if rows is None or len(rows) < FEWEST:
        return
    truth, x = Truth.of(case, rows), matrix(rows)
    ours = answers_of(case, rows)
    if np.all(truth.values == truth.values[:1]) or truth.are_alike(ours):
        return  # which is told as such
    if truth.values.shape == x.shape and np.allclose(truth.values, x):
        return  # a network that gives back what comes in through few units: a line that copies is no rival
    fitted = judged(x, truth.values, 0)
    # On its own training rows the linear model is told as it would do without the row, which favours the network.
    learns_less = _differs(truth, ours, fitted.left_out)[2]
    if not case.has("validation"):
        yield from _told(case, truth, ours, fitted.left_out, "training rows", learns_less)
        return
    held: Sample = case.validation
    if len(held) < FEWEST:
        return
    asked = Truth.of(case, held)
    yield from _told(case, asked, answers_of(case, held), fitted.predict(matrix(held)), "validation rows", learns_less)


def _differs(truth: Truth, ours: Array, line: Array) -> tuple[float, float, bool]:
    """By how much the network errs more, the standard error of that, and whether that is clear and matters."""
    own, other = truth.losses(ours), truth.losses(line)
    gap = own - other
    error = float(gap.std(ddof=1) / np.sqrt(len(gap)))
    mean = float(gap.mean())
    border = POINT
    if truth.codes is None:
        spread = float(np.mean(truth.values.var(axis=0)))
        border = max(PART * float(other.mean()), OF_VARIANCE * (spread if truth.squared else spread**0.5))
    matters = mean > border
    return mean, error, bool(matters and mean > CLEAR * error)


def _told(case: Case, truth: Truth, ours: Array, line: Array, where: str, learns_less: bool) -> Iterator[Finding]:
    mean, error, is_clear = _differs(truth, ours, line)
    if not is_clear:
        return
    own, other = float(truth.losses(ours).mean()), float(truth.losses(line).mean())
    if truth.codes is not None:
        numbers = (
            Evidence("accuracy of the network", 100 * (1 - own), "%", f"on {len(ours):,} rows"),
            Evidence("accuracy of a linear model", 100 * (1 - other), "%", "least squares on 0 and 1, ridge"),
            Evidence("difference", f"{100 * mean:.1f} ± {100 * error:.1f}", "points", f"{CLEAR:g} standard errors"),
        )
    else:
        scale = float(getattr(case.opened.run.model.decoder, "scale", 1.0))
        name, power = ("RMSE", 0.5) if truth.squared else ("mean error", 1.0)
        numbers = (
            Evidence(f"{name} of the network", scale * own**power, "", f"on {len(ours):,} rows"),
            Evidence(f"{name} of a linear model", scale * other**power, "", "ridge regression"),
            Evidence("difference", mean / max(error, 1e-300), "standard errors", f"at most {CLEAR:g}"),
        )
    if where == HELD_OUT:
        says = (
            "A linear model does better on rows held out than each network of the ensemble alone. Their average, which "
            "is what predicts, may do better than it."
        )
        tries: tuple[str, ...] = ("fallline evaluate RUN FILE, which tells the average's error on rows of its own",)
    elif where == "training rows" or learns_less:
        also = "" if where == "training rows" else " and on the training rows"
        says = f"A linear model does better than the network on the {where}{also}: the network underfits."
        tries = (
            "more epochs, or a learning rate three times larger or smaller: fallline race",
            "fl.fit(model, (x, y), encoder=fl.nn.standardise(x)), where inputs are not scaled",
        )
    else:
        says = (
            f"A linear model does better than the network on the {where}, though not on the training rows: the network "
            "has learnt what is true of those alone."
        )
        tries = ("fl.fit(..., early_stopping=True, validation=0.2)", "--hidden none, which is the linear model")
    yield Finding("worse_than_linear", says, numbers, warns=where != HELD_OUT, tries=tries)
