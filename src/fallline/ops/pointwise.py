"""Elementwise functions as composites: clip, rounding, hypot, xlogy, tests for NaN, bit operators on masks."""

import math

import numpy as np

from fallline.graph.declare import cast_to, common_dtype, composite
from fallline.graph.node import as_node
from fallline.graph.protocol import refuse
from fallline.ops.arithmetic import (
    absolute,
    floor,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    minimum,
    not_equal,
    rint,
    where,
)
from fallline.ops.reductions import floating
from fallline.ops.transcendental import log, log1p, logaddexp


@composite(numpy=(np.clip,))
def clip(a, a_min=None, a_max=None, *, min=None, max=None):
    """Kept between two bounds; at a bound the gradient is shared between the two."""
    low, high = a_min if min is None else min, a_max if max is None else max
    a = as_node(a)
    if a.dtype.kind in "iu":  # a bound of Python's that no number of the dtype passes is none, as in NumPy
        limits = np.iinfo(a.dtype)
        low = None if type(low) is int and low <= limits.min else low
        high = None if type(high) is int and high >= limits.max else high
    a = a if low is None else maximum(a, low)
    return a if high is None else minimum(a, high)


@composite(numpy=(np.ceil,))
def ceil(x):
    """The smallest whole number not below x."""
    return -floor(-x) if as_node(x).dtype.kind == "f" else x


@composite(numpy=(np.trunc, np.fix))
def trunc(x):
    """The whole number next to x towards 0."""
    return where(x < 0, ceil(x), floor(x)) if as_node(x).dtype.kind == "f" else x


@composite(numpy=(np.round, np.around))
def rounded(a, decimals=0):
    """The nearest number with this many decimals; its derivative is 0. Integers stay integers."""
    a = as_node(a)
    if a.dtype.kind in "iu":
        return a if decimals >= 0 else cast_to(rounded(cast_to(a, np.dtype(np.float64)), decimals), a.dtype)
    if decimals == 0:
        return rint(a)
    by = 10.0 ** abs(decimals)
    return rint(a * by) / by if decimals > 0 else rint(a / by) * by


@composite(numpy=(np.isnan,))
def isnan(x):
    """Whether it is not a number."""
    return not_equal(x, x)


@composite(numpy=(np.isfinite,))
def isfinite(x):
    """Whether it is a number and not infinite."""
    return absolute(x) < np.inf


@composite(numpy=(np.isinf,))
def isinf(x):
    """Whether it is infinite."""
    return absolute(x) == np.inf


def _on_masks(name, function):
    def bits(*args):
        if any(as_node(a).dtype != bool for a in args):
            refuse(f"np.{name} of traced numbers", f"np.{name} of comparisons, such as (a > 0) & (b > 0)")
        return function(*args)

    return bits


composite(numpy=(np.bitwise_and,))(_on_masks("bitwise_and", logical_and))
composite(numpy=(np.bitwise_or,))(_on_masks("bitwise_or", logical_or))
composite(numpy=(np.bitwise_xor,))(_on_masks("bitwise_xor", not_equal))
composite(numpy=(np.invert,))(_on_masks("invert", logical_not))


@composite(numpy=(np.logical_xor,))
def logical_xor(a, b):
    """One true, the other not."""
    return not_equal(logical_not(a), logical_not(b))


@composite(numpy=(np.deg2rad, np.radians))
def radians(x):
    """Degrees to radians."""
    return x * (math.pi / 180)


@composite(numpy=(np.rad2deg, np.degrees))
def degrees(x):
    """Radians to degrees."""
    return x * (180 / math.pi)


@composite(numpy=(np.arctanh,))
def arctanh(x):
    """The number whose hyperbolic tangent is x."""
    x = floating(x)
    return (log1p(x) - log1p(-x)) / 2


@composite(named=("logit",))
def logit(x):
    """log(x / (1 - x)), the inverse of the logistic function."""
    x = floating(x)
    return log(x) - log1p(-x)


@composite(named=("log_expit",))
def log_expit(x):
    """Logarithm of the logistic function, without overflow."""
    return -logaddexp(0.0, -floating(x))


@composite(named=("xlogy",))
def xlogy(x, y):
    """x log(y), which is 0 where x is 0; there its derivative in x is log(y) if y is positive and finite, else 0."""
    dtype = common_dtype((x, y), floating=True)
    x, y = cast_to(x, dtype), cast_to(y, dtype)
    apart = logical_and(x == 0, logical_or(y <= 0, y == np.inf))
    return x * log(where(apart, cast_to(1, dtype), y))
