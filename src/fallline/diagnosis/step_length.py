"""Verdicts on the length of steps: far too short, so that the loss falls nearly linearly; too long, so that it rose."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from fallline.diagnosis.bouncing import stuck
from fallline.diagnosis.case import Case
from fallline.diagnosis.finding import Evidence, Finding
from fallline.diagnosis.lying import scale_of
from fallline.diagnosis.settings_to_try import setting
from fallline.diagnosis.standpoint import Trial
from fallline.diagnosis.verdict_table import verdict
from fallline.typesetting import number

# A run has learnt little while its loss is above this share of the first one.
LITTLE_LEARNT = 0.5
# Too short: some dozen steps bring the loss down by less than this share of the first one, and longer ones by so much.
SLOW, FAST = 0.04, 0.3
# A loss that falls nearly linearly does so in the last third of the epochs at half the pace of the first at least.
LINEAR = 0.5
# Factors of the learning rate that are tried, the smallest first; before them, steps are made as long as this share of
# the parameters where they are shorter by far, such as at a rate of 1e-30.
LONGER = (10.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7)
SEEN = 1e-7
# Too long: the loss of an epoch was so many times the loss at first, and is above this share of it still.
ROSE, HIGH = 2.0, 0.25


@dataclass(frozen=True, slots=True)
class Shortness:
    """as_is: further steps as before. longer: as many longer ones. reach: how far a step goes towards the lowest place
    of its own line, 1 being there."""

    as_is: Trial
    longer: Trial
    reach: float


def shortness(case: Case) -> Shortness | None:
    """The proof that steps are far too short; None where they are not."""
    if "shortness" not in case.found:
        case.found["shortness"] = _shortness(case)
    found: Shortness | None = case.found["shortness"]
    return found


def _shortness(case: Case) -> Shortness | None:
    here = case.standpoint
    if here.is_brought_down or not here.trial_steps:
        return None
    scale = scale_of(case)
    if not LITTLE_LEARNT * scale < here.value <= 1.01 * scale:
        return None
    if not _falls_linearly([one.loss for one in case.epochs], scale):
        return None
    as_is = here.trial(1.0)
    if not abs(as_is.fall) < SLOW * scale:
        return None
    best, begun = as_is, here.factor_to(SEEN)
    for factor in LONGER:
        longer = here.trial(factor * begun)
        if longer.fall < 1.5 * best.fall:
            break
        best = longer
        if best.fall > 1.5 * FAST * scale:
            break
    if best.fall < max(FAST * scale, 8 * as_is.fall) or best.rate < 9 * as_is.rate:
        return None
    return Shortness(as_is, best, here.reach)


def _falls_linearly(losses: list[float], scale: float) -> bool:
    """Whether the last third of the epochs lowered the loss about as much as the first, or nothing is to be seen."""
    third = len(losses) // 3
    if third < 1:
        return True
    first, last = losses[0] - losses[third], losses[-1 - third] - losses[-1]
    return last >= LINEAR * first or abs(losses[0] - losses[-1]) < SLOW * scale


@verdict("step_too_short", "steps are far too short, so that the loss falls nearly linearly", needs=("rows", "events"),
         order=10)  # fmt: skip
def step_too_short(case: Case) -> Iterator[Finding]:
    """Further steps of the same length hardly lower the loss, and as many longer ones do."""
    run = case.part.run or case.opened.run
    if run.stop_reason in (None, "diverged"):
        return
    found = shortness(case)
    if found is None:
        return
    here, as_is, longer = case.standpoint, found.as_is, found.longer
    factor = longer.rate / as_is.rate
    yield Finding(
        "step_too_short",
        f"The steps are far too short: {number(factor)} times as long, {longer.steps} of them lower the loss to "
        f"{number(longer.after)}; at this learning rate that takes about {number(factor * longer.steps)} steps.",
        (
            Evidence("loss now", here.value, threshold=f"{number(here.first_value)} at first"),
            Evidence(f"{as_is.steps} steps as before", as_is.after, threshold=f"learning rate {as_is.rate:.3g}"),
            Evidence(f"{longer.steps} longer steps", longer.after, threshold=f"learning rate {longer.rate:.3g}"),
            Evidence("reach of a step", found.reach, threshold="1 at the lowest place of its own line"),
        ),
        tries=(setting(case, "learning_rate", longer.rate),),
        part=case.part.name,
    )


@verdict("step_too_long", "steps were so long that the loss rose above its first value", needs=("rows", "events"),
         order=11)  # fmt: skip
def step_too_long(case: Case) -> Iterator[Finding]:
    """The loss of some epoch was far above that of the first parameters, and has not come down since."""
    run = case.part.run or case.opened.run
    epochs = [one for one in case.epochs if math.isfinite(one.loss)]
    if run.stop_reason in (None, "diverged") or not epochs:
        return
    if stuck(case) is not None:  # which says so, and more
        return
    here = case.standpoint
    first = here.first_value
    highest = max(epochs, key=lambda one: one.loss)
    if not (first > 0 and highest.loss > ROSE * first and here.value > HIGH * first):
        return
    rate = highest.learning_rate
    evidence = [
        Evidence("loss at the first parameters", first),
        Evidence("highest loss of an epoch", highest.loss, threshold=f"epoch {highest.epoch}; at most {ROSE:g} times "
                 "the first"),
        Evidence("loss now", here.value),
    ]  # fmt: skip
    if math.isfinite(rate):
        evidence.append(Evidence("learning rate of that epoch", rate))
    yield Finding(
        "step_too_long",
        "The steps were too long: they drove the loss far above that of the first parameters, and it has not come "
        "down as it should since.",
        tuple(evidence),
        tries=(setting(case, "learning_rate", rate / 10) if math.isfinite(rate) else "a learning rate a tenth as long",
               setting(case, "clip_norm", 1.0)),
        part=case.part.name,
    )  # fmt: skip


__all__ = ["SEEN", "Shortness", "shortness", "step_too_long", "step_too_short"]
