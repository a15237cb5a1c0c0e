"""The kind of the place where a run stands, by gradient and curvature: saddle, plateau or minimum."""

import math

import numpy as np

from fallline import transforms
from fallline.diagnosis.case import Case
from fallline.diagnosis.finding import Evidence, Finding
from fallline.diagnosis.trend import Trend
from fallline.errors import FalllineError
from fallline.typesetting import number

# A fall of the loss that matters, as a share of the loss at the first parameters; and one that is as good as none.
MATTERS, NOTHING = 0.01, 1e-3
# The way down a saddle also matters where it is this share of the loss that is left, and more than nothing.
OF_WHAT_IS_LEFT = 0.1
# The way down a saddle has to be so many times the fall along the gradient: else descent goes on by itself.
STEEPER = 5.0
# Steps so many times as long as the last ones leave a place where descent is slow, and not one where it has stopped.
LONGER = 10.0
# An eigenvalue below this share of the largest is zero: of 40 Lanczos products and of theta in float32.
ZERO = 1e-3
# A network has learnt nothing where its loss is above this share of the best constant answer's.
NOTHING_LEARNT = 0.99


def scale_of(case: Case) -> float:
    """The loss that falls are held against: at the first parameters, or the one now where that is higher."""
    here = case.standpoint
    first = here.first_value
    return max(abs(first), abs(here.value)) if math.isfinite(first) else abs(here.value)


def _level(moved: Trend | None, scale: float) -> bool:
    """Whether the history says that nothing that matters has happened in the last epochs."""
    return moved is None or moved.whole_fall < MATTERS * scale


def rows_text(case: Case) -> str:
    here = case.standpoint
    return f"{here.bend.rows} of {here.training_rows} rows"


def saddle(case: Case, moved: Trend | None) -> Finding | None:
    """A strict saddle: the gradient leads nowhere, and the loss falls along a direction of negative curvature."""
    here = case.standpoint
    scale = scale_of(case)
    if not here.bears_products or not _level(moved, scale) or here.down.fall > MATTERS * scale:
        return None
    try:
        ends = here.ends
    except FalllineError:
        return None
    top = max(abs(ends.lowest), abs(ends.highest))
    if not ends.lowest < -ZERO * top:
        return None
    direction, line = here.escape
    matters = max(NOTHING * scale, min(MATTERS * scale, OF_WHAT_IS_LEFT * abs(here.value)))
    if line.fall < matters or line.fall < STEEPER * here.down.fall:
        return None
    if _goes_on(case, moved, scale):
        return None
    where = _largest_part(case, direction)
    return Finding(
        "saddle",
        "Descent stopped at a strict saddle: the gradient leads nowhere, and along a direction of negative curvature "
        f"the loss falls from {number(here.value)} to {number(here.value - line.fall)}.",
        (
            Evidence("lowest eigenvalue", ends.lowest, threshold=f"below {-ZERO * top:.2g}; error at most "
                     f"{ends.error:.2g}"),
            Evidence("highest eigenvalue", ends.highest, threshold=f"Hessian on {rows_text(case)}"),
            Evidence("gradient norm", here.gradient_norm, threshold=f"{here.loss.rows} of {here.training_rows} rows"),
            Evidence("fall along minus the gradient", here.down.fall, threshold="the lowest loss on that line"),
            Evidence("fall along the eigenvector", line.fall, threshold=f"after a move of length {line.length:.3g}"),
            Evidence("parameters that it moves most", where),
        ),
        unchecked=_kinks(case),
        tries=(f"fallline escape {case.name}", "fl.escape(run), in Python"),
        part=case.part.name,
    )  # fmt: skip


def _goes_on(case: Case, moved: Trend | None, scale: float) -> bool:
    """Whether descent leaves a place by itself, if slowly: longer steps do; where none are tried, the history tells."""
    here = case.standpoint
    if here.trial_steps:
        return here.trial(LONGER).fall > MATTERS * scale
    return moved is not None and moved.is_falling and moved.whole_fall > NOTHING * scale


def _largest_part(case: Case, direction: np.ndarray) -> str:
    """The parameter that holds most of a direction, with its share of the squared length."""
    shares = {path: float(np.sum(np.square(slot.of(direction)))) for path, slot in
              case.part.model.layout.trained.items()}  # fmt: skip
    path = max(shares, key=lambda one: shares[one])
    return f"{path}, {100 * shares[path]:.0f} % of the direction"


def plateau(case: Case, moved: Trend | None) -> Finding | None:
    """Flat ground where nothing was learnt: no direction that was looked along leads down, and the loss is high."""
    here = case.standpoint
    scale = scale_of(case)
    first = here.first_value
    if not _level(moved, scale) or here.value < 0.25 * scale or here.down.fall > MATTERS * scale:
        return None
    constant = constant_loss(case)
    if not here.value > NOTHING_LEARNT * constant or here.size <= 2 * len(case.rows.y.shape):
        return None
    if not here.bears_products:
        return None
    try:
        ends, newton = here.ends, here.newton_fall
    except FalllineError:
        return None
    top = max(abs(ends.lowest), abs(ends.highest))
    if newton > MATTERS * scale or ends.lowest > ZERO * top:
        return None
    return Finding(
        "plateau",
        "Descent stands on a plateau: the loss is that of a constant answer, and neither the gradient nor any other "
        "direction that was looked along leads down by as much as matters.",
        (
            Evidence("training loss", here.value, threshold=f"{number(first)} at first"),
            Evidence("loss of the best constant answer", constant),
            Evidence("gradient norm", here.gradient_norm, threshold=f"{here.loss.rows} of {here.training_rows} rows"),
            Evidence("fall along minus the gradient", here.down.fall, threshold=f"matters from {MATTERS * scale:.2g} "
                     "on"),
            Evidence("fall by a Newton step", newton, threshold="likewise"),
            Evidence("eigenvalues", f"{number(ends.lowest)} to {number(ends.highest)}", threshold=f"Hessian on "
                     f"{rows_text(case)}"),
        ),
        unchecked=(*_kinks(case), "derivatives above the second: a way down may begin flat"),
        tries=("another seed, or another initialiser", "an activation that does not die or saturate, such as gelu"),
        part=case.part.name,
    )  # fmt: skip


def constant_loss(case: Case) -> float:
    """The lowest mean loss that one answer for all rows has, found by descent; infinite where none is found."""
    rows, model = case.rows, case.part.model
    shape = (1, *model.output_shape)
    y, weight = rows.y, rows.weight

    def loss(answer: np.ndarray) -> object:
        output = np.zeros((len(y), 1)).reshape(-1, *[1] * (len(shape) - 1)) + answer
        return model.loss.function(output, y) if weight is None else model.loss.weighted(output, y, weight)

    answer, step = np.zeros(shape), 1.0
    try:
        gradient = transforms.value_and_grad(loss)
        value, g = gradient(answer)
        for _ in range(40):
            while step > 1e-9 and not (found := gradient(answer - step * g))[0] < value:
                step /= 4
            if step <= 1e-9:
                break
            answer, (value, g) = answer - step * g, found
            step *= 2
    except FalllineError:
        return math.inf
    return float(value)


def _kinks(case: Case) -> tuple[str, ...]:
    """The limits of second derivatives, where the loss has kinks."""
    found = case.standpoint.bend.kinks()
    return () if not found else (
        f"kinks ({', '.join(found)}): second derivatives see the smooth piece around this point, not its edges",
    )  # fmt: skip


def converged(case: Case, moved: Trend | None) -> Finding | None:
    """A minimum: neither the gradient, nor a Newton step, nor the direction of lowest curvature leads down."""
    here = case.standpoint
    scale = scale_of(case)
    if moved is not None and moved.is_falling and moved.whole_fall > NOTHING * scale:
        return None
    if not here.bears_products or here.down.fall > NOTHING * scale:
        return None
    try:
        newton = here.newton_fall
        if newton > NOTHING * scale:
            return None
        ends, falls = here.ends, here.escape[1].fall
    except FalllineError:
        return None
    if falls > NOTHING * scale:
        return None
    top = max(abs(ends.lowest), abs(ends.highest))
    zero = max(ZERO * top, ends.error)
    if ends.lowest > zero:
        says = "the gradient is as good as zero, and every direction bends upwards: this is a minimum."
    elif ends.lowest >= -zero:
        says = "the gradient is as good as zero, and no direction leads down, though some are flat."
    else:
        says = "the gradient is as good as zero, and along the one direction that bends down most nothing is to be had."
    says = f"Descent has converged: {says}"
    return Finding(
        "converged",
        says,
        (
            Evidence("training loss", here.value, threshold=f"{number(here.first_value)} at first"),
            Evidence("gradient norm", here.gradient_norm, threshold=f"{here.loss.rows} of {here.training_rows} rows"),
            Evidence("fall by a Newton step", newton, threshold=f"nothing up to {NOTHING * scale:.2g}"),
            Evidence("fall along the lowest eigenvector", falls, threshold="likewise"),
            Evidence(
                "lowest eigenvalue", ends.lowest, threshold=f"flat within {zero:.2g}; error at most {ends.error:.2g}"
            ),
            Evidence("highest eigenvalue", ends.highest, threshold=f"Hessian on {rows_text(case)}"),
        ),
        warns=False,
        unchecked=_kinks(case),
        part=case.part.name,
    )


__all__ = ["MATTERS", "NOTHING", "constant_loss", "converged", "plateau", "saddle", "scale_of"]
