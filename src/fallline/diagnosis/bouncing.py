"""Stuck while the gradient is large: steps bounce across a valley, and shorter ones would go down, as a trial shows."""

import math

from fallline.diagnosis.case import Case
from fallline.diagnosis.finding import Evidence, Finding
from fallline.diagnosis.lying import scale_of
from fallline.diagnosis.settings_to_try import setting
from fallline.diagnosis.trend import Trend, trend
from fallline.errors import FalllineError
from fallline.typesetting import number

# A loss that has fallen below this share of the first one has not got stuck. With 0.1 of smoothed labels, a tenth of
# ten classes', it cannot fall below 0.22.
LEARNT = 0.25
# Shorter steps have to bring the loss down by this share of the first one, the steps in use by a quarter of that at
# most. Annealing brings healthy runs down by 0.00 to 0.05 of it.
GAIN = 0.1
SHORTER = 0.1
# Steps after which the loss is higher by this share are too long themselves.
RISES = 0.01


def stuck(case: Case) -> Finding | None:
    """The finding that a run is stuck, made once; None where it is not."""
    if "stuck" not in case.found:
        case.found["stuck"] = _stuck(case, trend([one.loss for one in case.epochs]))
    found: Finding | None = case.found["stuck"]
    return found


def _stuck(case: Case, moved: Trend | None) -> Finding | None:
    """Further steps as before lead nowhere, and the same number of steps a tenth as long leads down."""
    here = case.standpoint
    if here.is_brought_down or here.trial_steps == 0:
        return None
    scale = scale_of(case)
    if here.value < LEARNT * scale or (moved is not None and moved.whole_fall > GAIN * scale and moved.is_falling):
        return None
    shorter = here.trial(SHORTER)
    while shorter.rate > 2e-4 * here.rate and shorter.fall < -RISES * scale:
        shorter = here.trial(SHORTER * shorter.rate / here.rate)
    if shorter.fall < GAIN * scale:
        return None
    as_is = here.trial(1.0)
    if as_is.fall > 0.25 * min(shorter.fall, GAIN * scale):
        return None
    known, unseen = _border(case)
    rows = f"{here.loss.rows} of {here.training_rows} rows"
    bounces = as_is.beyond > 0.5
    says = (
        "Descent is stuck while the gradient is large: its steps are too long for the valley and bounce across it, so "
        if bounces
        else "Descent is stuck while the gradient is large: its steps are too long, so "
    )
    after = number(as_is.after) if math.isfinite(as_is.after) else "no finite number"
    return Finding(
        "stuck",
        f"{says}the loss does not fall. Shorter steps go down from here.",
        (
            Evidence("gradient norm", here.gradient_norm, threshold=rows),
            Evidence("loss now", here.value, threshold=f"{number(here.first_value)} at first"),
            *known,
            Evidence(f"{as_is.steps} steps as before", after, threshold=f"learning rate {as_is.rate:.3g}"),
            Evidence(f"{shorter.steps} shorter steps", shorter.after, threshold=f"learning rate {shorter.rate:.3g}"),
            Evidence("reach of a step", here.reach, threshold="1 at the lowest place of its line, 2 as high as before"),
            Evidence("steps beyond their line's lowest place", f"{100 * as_is.beyond:.0f} %", threshold="as before"),
        ),
        unchecked=unseen,
        tries=(setting(case, "learning_rate", shorter.rate),),
        part=case.part.name,
    )


def _border(case: Case) -> tuple[tuple[Evidence, ...], tuple[str, ...]]:
    """The largest stable learning rate as evidence where the one in use is beyond it, else as what it does not see."""
    here = case.standpoint
    if not here.bears_products:
        return (), ()
    try:
        border = here.border.border
    except FalllineError:
        return (), ()
    if border is None or not math.isfinite(border):
        return (), ()
    if here.rate > border:
        return (Evidence("largest stable learning rate", border, threshold=here.border.formula),), ()
    return (), (
        f"walls beyond the parabola that touches the loss here, which alone would bear a rate up to {number(border)}",
    )


__all__ = ["stuck"]
