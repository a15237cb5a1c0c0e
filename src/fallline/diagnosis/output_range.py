"""Verdicts on the end of a network: outputs that cannot reach the targets, scores that are squashed before the loss
squashes them once more, a forgotten bias, and a loss that depends on no parameter.
"""

from collections.abc import Iterator

import numpy as np

from fallline import tree
from fallline.arrays import Array
from fallline.diagnosis.case import Case, LayerSeen
from fallline.diagnosis.finding import Evidence, Finding
from fallline.diagnosis.gradient_flow import learning
from fallline.diagnosis.judged_rows import PLAIN
from fallline.diagnosis.verdict_table import verdict
from fallline.errors import FalllineError
from fallline.nn.context import Context, applied
from fallline.typesetting import number

# What a last layer can give is found by giving it inputs of its own, this many times as large, of both signs.
FACTORS = np.concatenate([-(10.0 ** np.arange(4, -4, -1)), [0.0], 10.0 ** np.arange(-3, 5)])
# A value as large as this is that of a function without a bound.
ENDLESS = 1e3
# The share of rows whose target cannot be reached: fewer may be outliers that a range was meant to cut off.
MANY = 0.02
# A target counts as out of reach beyond this share of the targets' deviation.
BEYOND = 0.05
# The loss of an answer that is right and as sure as it can be, from which on a bound on scores matters: 0.1 is that of
# a probability of 0.9.
BOUND = 0.1
# The share of the squared error that one number, added to all outputs, takes away: with a bias steps do that first.
OFFSET = 0.2
SYMPTOMS = ("plateau", "same_answer", "worse_than_linear", "step_too_short", "vanishing_gradient", "underfitting")


def range_of(last: LayerSeen) -> tuple[float, float] | None:
    """The lowest and highest output that a layer without parameters gives for inputs of any size; None for others."""
    x = last.inputs
    if last.learns or not isinstance(x, np.ndarray) or x.dtype.kind != "f" or x.shape != last.output.shape:
        return None
    scale = float(np.abs(x).max()) or 1.0
    few = x[: min(len(x), 64)] / scale
    low, high = float(last.output.min()), float(last.output.max())
    try:
        with np.errstate(all="ignore"):
            for factor in FACTORS:
                found = np.asarray(applied(last.layer, last.params, factor * few, Context(dtype=np.float64)))
                if not np.isfinite(found).all():
                    return None
                low, high = min(low, float(found.min())), max(high, float(found.max()))
    except FalllineError:
        return None
    return low, high


@verdict("unreachable_target", "targets outside what the last layer can give", order=7, once=True)
def unreachable_target(case: Case) -> Iterator[Finding]:
    """Quantities that a last Sigmoid, Tanh or ReLU can never give, however long training goes on."""
    model, last = case.part.model, case.layers[-1]
    if model.task != "regression" or model.loss.name not in PLAIN:
        return
    found = range_of(last)
    if found is None:
        return
    low, high = found
    y = np.asarray(case.rows.y, np.float64)
    off = BEYOND * float(y.std())
    share = float(np.mean((y < low - off) | (y > high + off)))
    if share < MANY:
        return
    # A function that goes on growing has no highest value; the largest that was tried is none.
    below, above = low <= -ENDLESS, high >= ENDLESS
    gives = f"numbers {'up to ' + number(high) if below else 'from ' + number(low) + (' up' if above else '')}"
    gives += "" if below or above else f" to {number(high)}"
    yield Finding(
        "unreachable_target",
        f"The network ends in {last.name}, which gives {gives} alone: the target of "
        f"{100 * share:.0f} % of the rows lies outside, and no training reaches it.",
        (
            Evidence("targets out of reach", 100 * share, "%", f"below {100 * MANY:g} %; {len(y):,} rows looked at"),
            Evidence("the target", f"{number(y.min())} to {number(y.max())}"),
            Evidence("the last layer gives", gives, threshold="inputs of all sizes tried"),
        ),
        tries=(f"a network that ends in nn.Dense({last.output.shape[-1]}), without {last.name.partition(', ')[2]}",),
        part=case.part.name,
        explains=SYMPTOMS,
    )


@verdict("squashed_scores", "scores that are squashed before the loss squashes them", order=8, once=True)
def squashed_scores(case: Case) -> Iterator[Finding]:
    """Scores between bounds, of which softmax or sigmoid in the loss makes probabilities that are never sure."""
    model, last = case.part.model, case.layers[-1]
    if model.loss.name not in ("cross_entropy", "binary_cross_entropy"):
        return
    found = range_of(last)
    if found is None:
        return
    low, high = found
    k = int(last.output.shape[-1])
    if model.loss.name == "cross_entropy":
        least = float(np.log1p((k - 1) * np.exp(-min(high - low, 700.0))))
    else:
        least = float(max(np.log1p(np.exp(-high)), np.log1p(np.exp(min(low, 700.0)))))
    if least < BOUND:
        return
    own = "softmax" if model.loss.name == "cross_entropy" else "sigmoid"
    yield Finding(
        "squashed_scores",
        f"The network ends in {last.name}, whose outputs stay between {number(low)} and {number(high)}, and the loss "
        f"{model.loss.name} makes probabilities of them by a {own} of its own: no answer can be sure, and the loss of "
        f"{'a right one' if k > 1 else 'one of the classes'} never falls below {number(least)}.",
        (
            Evidence("lowest loss of an answer that is right", least, threshold=f"below {BOUND:g}"),
            Evidence("scores", f"{number(low)} to {number(high)}", threshold="inputs of all sizes tried"),
        ),
        tries=(f"a network that ends in nn.Dense({k}), without {last.name.partition(', ')[2]}",),
        part=case.part.name,
        explains=SYMPTOMS,
    )  # fmt: skip


@verdict("missing_bias", "all outputs are off by one number, and the last layer has no bias", order=12, once=True)
def missing_bias(case: Case) -> Iterator[Finding]:
    """A network without a bias at its end, whose error falls at once when one number is added to all outputs."""
    model, told = case.part.model, learning(case.layers)
    if model.task != "regression" or model.loss.name != "squared_error" or not told:
        return
    last = told[-1]
    if last is not case.layers[-1] or any(leaf.ndim == 1 for leaf in tree.leaves(last.params)):
        return
    y = np.asarray(case.rows.y, np.float64).reshape(len(case.rows), -1)
    rest = y - np.asarray(model.outputs(case.rows.x), np.float64).reshape(y.shape)
    share, off = _offset(rest)
    if share < OFFSET:
        return
    mse = float(np.mean(np.square(rest)))
    yield Finding(
        "missing_bias",
        f"{last.name} has no bias, and needs one: with {number(off)} added to its outputs the squared error would be "
        f"{100 * share:.0f} % lower at once.",
        (
            Evidence("mean squared error", mse, threshold=f"{len(y):,} rows"),
            Evidence("with one number added", (1 - share) * mse, threshold=f"at least {100 * (1 - OFFSET):g} % of it"),
            Evidence("mean of the target", float(y.mean())),
        ),
        tries=(f"nn.Dense({last.output.shape[-1]}), with its bias, at the end of the network",),
        part=case.part.name,
        explains=SYMPTOMS,
    )


def _offset(rest: Array) -> tuple[float, float]:
    """The share of the mean square that the means of columns take away, and the largest of these means."""
    mean = rest.mean(axis=0)
    whole = float(np.mean(np.square(rest)))
    return (float(np.mean(np.square(mean))) / whole if whole else 0.0), float(mean[np.argmax(np.abs(mean))])


@verdict("no_gradient", "the loss depends on no parameter", order=3, once=True)
def no_gradient(case: Case) -> Iterator[Finding]:
    """A loss that is the same whatever the parameters are, to the last bit."""
    value, gradient = case.loss_and_gradient
    if gradient.any() or not np.isfinite(value):
        return
    rng, theta = np.random.default_rng(0), case.model.theta
    size = float(np.sqrt(np.mean(np.square(theta)))) or 1.0
    tried = [0.1, 1.0, 10.0]
    for factor in tried:
        moved = rng.normal(size=theta.shape) * max(size, 0.1) * factor
        if float(np.asarray(case.model.objective(moved, case.rows.x, case.rows.y))) != value:
            return
    yield Finding(
        "no_gradient",
        "The loss depends on no parameter: it is the same to the last digit whatever they are, so that there is "
        "nothing to descend.",
        (
            Evidence("loss", value),
            Evidence("loss at other parameters", value, threshold=f"drawn at random, {len(tried)} times"),
        ),
        tries=("fl.graph_of(loss), which shows that the outputs enter it, or do not",),
        part=case.part.name,
        explains=SYMPTOMS,
    )


__all__ = ["range_of"]
