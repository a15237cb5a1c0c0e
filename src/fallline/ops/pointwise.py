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
    remainder,
    where,
)
from fallline.ops.folds import floating, root
from fallline.ops.transcendental import arctan2, exp, log, log1p, logaddexp
from fallline.ops.view import stop_gradient


@composite(numpy=(np.clip,))
def clip(a, a_min=None, a_max=None, *, min=None, max=None):
    """Kept between two bounds; at a bound the gradient is shared between the two."""
    low, high = a_min if min is None else min, a_max if max is None else max
    a = a if low is None else maximum(a, low)
    return a if high is None else minimum(a, high)


@composite(numpy=(np.ceil,))
def ceil(x):
    """The smallest whole number not below x."""
    return -floor(-x)


@composite(numpy=(np.trunc, np.fix))
def trunc(x):
    """The whole number next to x towards 0."""
    return where(x < 0, ceil(x), floor(x))


@composite(numpy=(np.rint,))
def rint(x):
    """The nearest whole number; of two equally near, the even one."""
    below = floor(x)
    rest = x - below  # exact, so a tie is seen as one
    return where(rest < 0.5, below, where(rest > 0.5, below + 1, below + remainder(below, 2)))


@composite(numpy=(np.round, np.around))
def rounded(a, decimals=0):
    """The nearest number with this many decimals; its derivative is 0."""
    return rint(a) if decimals == 0 else rint(a * 10.0**decimals) / 10.0**decimals


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


@composite(numpy=(np.hypot,))
def hypot(a, b):
    """Length of the hypotenuse without overflow; the derivative at (0, 0) is 0."""
    dtype = common_dtype((a, b), floating=True)
    a, b = cast_to(a, dtype), cast_to(b, dtype)
    # The scale drops out of the result, and so out of its derivative.
    scale = stop_gradient(maximum(absolute(a), absolute(b)))
    one = cast_to(1, dtype)
    safe = where(logical_and(scale > 0, scale < np.inf), scale, one)
    u, v = a / safe, b / safe
    return where(scale == np.inf, cast_to(np.inf, dtype), safe * root(u * u + v * v))


@composite(numpy=(np.exp2,))
def exp2(x):
    """2 to the power x."""
    return exp(x * math.log(2))


@composite(numpy=(np.log2,))
def log2(x):
    """Logarithm to base 2."""
    return log(x) / math.log(2)


@composite(numpy=(np.log10,))
def log10(x):
    """Logarithm to base 10."""
    return log(x) / math.log(10)


@composite(numpy=(np.deg2rad, np.radians))
def radians(x):
    """Degrees to radians."""
    return x * (math.pi / 180)


@composite(numpy=(np.rad2deg, np.degrees))
def degrees(x):
    """Radians to degrees."""
    return x * (180 / math.pi)


@composite(numpy=(np.arcsin,))
def arcsin(x):
    """The angle in radians whose sine is x."""
    x = floating(x)
    return arctan2(x, ((1 - x) * (1 + x)) ** 0.5)


@composite(numpy=(np.arccos,))
def arccos(x):
    """The angle in radians whose cosine is x."""
    x = floating(x)
    return arctan2(((1 - x) * (1 + x)) ** 0.5, x)


@composite(numpy=(np.arctanh,))
def arctanh(x):
    """The number whose hyperbolic tangent is x."""
    return (log1p(x) - log1p(-x)) / 2


@composite(named=("logit",))
def logit(x):
    """log(x / (1 - x)), the inverse of the logistic function."""
    return log(x) - log1p(-x)


@composite(named=("log_expit",))
def log_expit(x):
    """Logarithm of the logistic function, without overflow."""
    return -logaddexp(0.0, -x)


@composite(named=("xlogy",))
def xlogy(x, y):
    """x log(y), which is 0 where x is 0; there its derivative in x is log(y) if y is positive and finite, else 0."""
    dtype = common_dtype((x, y), floating=True)
    x, y = cast_to(x, dtype), cast_to(y, dtype)
    apart = logical_and(x == 0, logical_or(y <= 0, y == np.inf))
    return x * log(where(apart, cast_to(1, dtype), y))
