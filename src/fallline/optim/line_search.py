"""A line search for the strong Wolfe conditions: how far to go along a direction in which a function falls.

    phi(a) = f(theta + a p)
    phi(a) <= phi(0) + c1 a phi'(0)        it has fallen enough
    |phi'(a)| <= c2 |phi'(0)|              and it does not fall steeply any more

Source: Nocedal & Wright 2006, Numerical Optimization, 2nd edition, algorithms 3.5 and 3.6, with the cubic of eq. 3.59.
Knows functions of one number.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import copysign, inf, isfinite, nan, sqrt
from typing import Generic, TypeVar

T = TypeVar("T")

# A trial lies at least this share of the interval from its ends, and an extrapolated one within these multiples.
_MARGIN, _LEAST_GROWTH, _MOST_GROWTH = 0.1, 2.0, 10.0


@dataclass(frozen=True, slots=True)
class Trial(Generic[T]):
    """A length that was tried: phi and phi' there, and whatever else the evaluation found."""

    length: float
    value: float
    slope: float
    found: T

    @property
    def is_finite(self) -> bool:
        return isfinite(self.value) and isfinite(self.slope)


def strong_wolfe(
    phi: Callable[[float], Trial[T]], start: Trial[T], length: float, *, c1: float, c2: float, most: int
) -> Trial[T] | None:
    """A trial that meets both conditions; after `most` evaluations the lowest that meets the first, or None.

    phi: tries a length. start: at 0, where the slope is below 0. length: to try first, > 0.
    A value that is not finite counts as too high, so lengths beyond it are not tried.
    """

    def too_high(trial: Trial[T]) -> bool:
        return not trial.is_finite or trial.value > start.value + c1 * trial.length * start.slope

    def is_flat(trial: Trial[T]) -> bool:
        return abs(trial.slope) <= -c2 * start.slope

    before = start
    for left in range(most - 1, -1, -1):
        now = phi(length)
        if too_high(now) or (before is not start and now.value >= before.value):
            return _zoom(phi, start, before, now, too_high, is_flat, left)
        if is_flat(now):
            return now
        if now.slope >= 0:
            return _zoom(phi, start, now, before, too_high, is_flat, left)
        guess, least, largest = cubic(before, now), _LEAST_GROWTH * length, _MOST_GROWTH * length
        before, length = now, min(max(guess, least), largest) if isfinite(guess) else least
    return before if before is not start else None


def _zoom(
    phi: Callable[[float], Trial[T]],
    start: Trial[T],
    low: Trial[T],
    high: Trial[T],
    too_high: Callable[[Trial[T]], bool],
    is_flat: Callable[[Trial[T]], bool],
    most: int,
) -> Trial[T] | None:
    """Algorithm 3.6. low: the lowest trial that has fallen enough; the slope there points to `high`."""
    for _ in range(most):
        width = high.length - low.length
        guess = cubic(low, high)
        margin = _MARGIN * abs(width)
        least, largest = sorted((low.length, high.length))
        length = min(max(guess, least + margin), largest - margin) if isfinite(guess) else low.length + width / 2
        if length in (low.length, high.length):
            break  # no number lies between them
        now = phi(length)
        if too_high(now) or now.value >= low.value:
            high = now
            continue
        if is_flat(now):
            return now
        if now.slope * width >= 0:
            high = low
        low = now
    return low if low is not start else None


def cubic(a: Trial[T], b: Trial[T]) -> float:
    """Where the cubic through two values and slopes has its minimum; NaN where it has none, or is not known.

    Source: Nocedal & Wright 2006, eq. 3.59.
    """
    if not (a.is_finite and b.is_finite) or a.length == b.length:
        return nan
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.length - b.length)
    square = d1 * d1 - a.slope * b.slope
    if not 0 <= square < inf:
        return nan
    d2 = copysign(sqrt(square), b.length - a.length)
    below = b.slope - a.slope + 2 * d2
    return b.length - (b.length - a.length) * (b.slope + d2 - d1) / below if below else nan
