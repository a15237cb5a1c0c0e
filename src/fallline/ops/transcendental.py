"""Elementwise ops of analysis: powers, exponentials, logarithms, circular and hyperbolic functions, erf, sigmoid."""

import math

import numpy as np

from fallline.errors import ArgumentError
from fallline.graph.declare import POSITIVE, REAL, Domain, cast_to, common_dtype, composite, elementwise
from fallline.graph.node import CONSTANT, Node
from fallline.graph.where import here
from fallline.ops import fast
from fallline.ops.arithmetic import absolute, logical_and, logical_or, maximum, numbers, sign, sqrt, squared, where
from fallline.ops.division import integer_power, power_of_integers
from fallline.ops.view import stop_gradient


def power_rule(g, y, a, b):
    zero, one = cast_to(0, a.dtype), cast_to(1, a.dtype)
    # Where a <= 0 there is no derivative in b, so b is a constant there, in mixed derivatives too.
    b = where(a > 0, b, stop_gradient(b))
    # At b = 0 the derivative in `a` is 0, also where a ** -1 is infinite and would spoil the product.
    spoilt = logical_and(b == 0, absolute(a) < 1 / float(np.finfo(a.dtype).max))
    slope = power(a, where(spoilt, one, b - 1))
    factor = where(logical_and(absolute(b) == np.inf, slope == 0), zero, b)
    # The same for y log(a), of which y goes to 0 faster than the logarithm to infinity.
    log_a = log(where(logical_and(a > 0, y != 0), a, one))
    return g * (factor * slope), g * (y * log_a)


def _power(f):
    return (lambda a, b: np.power(a, b)) if np.dtype(f).kind == "f" else integer_power(f)


@elementwise(grad=power_rule, domain=(POSITIVE, REAL), lift=numbers, scalar=_power)
def power(a, b):
    """a to the power b. The derivative in b is 0 where a <= 0."""
    a, b = np.asarray(a), np.asarray(b)
    return np.power(a, b) if a.dtype.kind == "f" else power_of_integers(a, b)


_CHEAP = {1: lambda x: x, 2: squared, 3: lambda x: x * squared(x), 4: lambda x: squared(squared(x)),
          0.5: sqrt, -1: lambda x: 1 / x, -2: lambda x: 1 / squared(x)}  # fmt: skip


@composite(numpy=(np.power,))
def power_of(a, b):
    """a ** b, with the exponents people write most as cheaper ops of the same value."""
    if isinstance(a, Node) and a.dtype.kind == "f" and type(b) in (int, float) and b in _CHEAP:
        return _CHEAP[b](a)
    if common_dtype((a, b)).kind != "f" and not isinstance(b, Node) and np.any(np.asarray(b) < 0):
        raise ArgumentError(
            f"integers to the power {b!r}: a negative exponent makes fractions\n  at {here()}\n  try: np.float_power"
        )
    return power(a, b)


@composite(numpy=(np.float_power,))
def float_power(a, b):
    """a ** b in float64, whatever the dtypes."""
    wide = np.dtype(np.float64)
    return power_of(cast_to(a, wide), b if type(b) in (int, float) else cast_to(b, wide))


@elementwise(grad=lambda g, y, x: (g * y,), numpy=(np.exp,), result="float", scalar=fast.exp)
def exp(x):
    """e to the power x."""
    return np.exp(x)


@elementwise(grad=lambda g, y, x: (g * (y * math.log(2)),), numpy=(np.exp2,), result="float", scalar=fast.exp2)
def exp2(x):
    """2 to the power x."""
    return np.exp2(x)


@elementwise(grad=lambda g, y, x: (g / x,), domain=POSITIVE, numpy=(np.log,), result="float", scalar=fast.log)
def log(x):
    """Natural logarithm."""
    return np.log(x)


@elementwise(
    grad=lambda g, y, x: (g / (x * math.log(2)),), domain=POSITIVE, numpy=(np.log2,), result="float", scalar=fast.log2
)
def log2(x):
    """Logarithm to base 2."""
    return np.log2(x)


@elementwise(
    grad=lambda g, y, x: (g / (x * math.log(10)),), domain=POSITIVE, numpy=(np.log10,), result="float",
    scalar=fast.log10,
)  # fmt: skip
def log10(x):
    """Logarithm to base 10."""
    return np.log10(x)


@elementwise(grad=lambda g, y, x: (g * (y + 1),), numpy=(np.expm1,), result="float", scalar=fast.expm1)
def expm1(x):
    """exp(x) - 1, exact near 0."""
    return np.expm1(x)


@elementwise(grad=lambda g, y, x: (g / (1 + x),), domain=POSITIVE, numpy=(np.log1p,), result="float", scalar=fast.log1p)
def log1p(x):
    """log(1 + x), exact near 0."""
    return np.log1p(x)


@elementwise(grad=lambda g, y, x: (g * cos(x),), numpy=(np.sin,), result="float")
def sin(x):
    """Sine of an angle in radians."""
    return np.sin(x)


@elementwise(grad=lambda g, y, x: (-g * sin(x),), numpy=(np.cos,), result="float")
def cos(x):
    """Cosine of an angle in radians."""
    return np.cos(x)


@elementwise(grad=lambda g, y, x: (g * (1 + y * y),), domain=Domain(-1.2, 1.2), numpy=(np.tan,), result="float")
def tan(x):
    """Tangent of an angle in radians."""
    return np.tan(x)


@elementwise(grad=lambda g, y, x: (g * (1 - y * y),), domain=REAL, numpy=(np.tanh,), result="float", scalar=fast.tanh)
def tanh(x):
    """Hyperbolic tangent."""
    return np.tanh(x)


@elementwise(grad=lambda g, y, x: (g * cosh(x),), numpy=(np.sinh,), result="float")
def sinh(x):
    """Hyperbolic sine."""
    return np.sinh(x)


@elementwise(grad=lambda g, y, x: (g * sinh(x),), numpy=(np.cosh,), result="float")
def cosh(x):
    """Hyperbolic cosine."""
    return np.cosh(x)


@elementwise(
    grad=lambda g, y, x: (g / sqrt((1 - x) * (1 + x)),), domain=Domain(-0.9, 0.9), numpy=(np.arcsin,), result="float"
)
def arcsin(x):
    """The angle in radians whose sine is x."""
    return np.arcsin(x)


@elementwise(
    grad=lambda g, y, x: (-g / sqrt((1 - x) * (1 + x)),), domain=Domain(-0.9, 0.9), numpy=(np.arccos,), result="float"
)
def arccos(x):
    """The angle in radians whose cosine is x."""
    return np.arccos(x)


@elementwise(grad=lambda g, y, x: (g / (1 + x * x),), numpy=(np.arctan,), result="float")
def arctan(x):
    """The angle in radians whose tangent is x."""
    return np.arctan(x)


def _unit(a, b):
    """a / r and b / r, r = hypot(a, b), without overflow: the direction of (a, b), and (0, 0) at the origin."""
    size_a, size_b = absolute(a), absolute(b)
    scale = maximum(size_a, size_b)
    far, flat = scale == np.inf, scale == 0
    # The scale drops out of the result, and so out of its derivative.
    by = stop_gradient(where(logical_or(far, flat), cast_to(1, a.dtype), scale))
    zero = cast_to(0, a.dtype)
    u = where(far, where(size_a == np.inf, sign(a), zero), a / by)
    v = where(far, where(size_b == np.inf, sign(b), zero), b / by)
    r = sqrt(where(flat, cast_to(1, a.dtype), u * u + v * v))
    return u / r, v / r


def _hypot_rule(g, y, a, b):
    u, v = _unit(a, b)
    return g * u, g * v


@elementwise(grad=_hypot_rule, domain=(POSITIVE, POSITIVE), numpy=(np.hypot,), result="float", scalar=fast.hypot,
             squared=lambda a, b: a * a + b * b)  # fmt: skip
def hypot(a, b):
    """Length of the hypotenuse without overflow; the derivative at (0, 0) is 0."""
    return np.hypot(a, b)


def _arctan2_rule(g, y, a, b):
    (u, v), r = _unit(a, b), hypot(a, b)
    return g * (v / r), -g * (u / r)


@elementwise(grad=_arctan2_rule, domain=(POSITIVE, POSITIVE), numpy=(np.arctan2,), result="float")
def arctan2(a, b):
    """The angle in radians of the point (b, a), in -pi..pi."""
    return np.arctan2(a, b)


def _is_finite(x):
    return x.op is CONSTANT and bool(np.isfinite(x.attrs["value"]).all())


def _logaddexp_rule(g, y, a, b):
    gap = a - b
    if not (_is_finite(a) or _is_finite(b)):
        # Two equal infinities are no distance apart.
        far = logical_and(absolute(y) == np.inf, a == b)
        zero = cast_to(0, a.dtype)
        gap = where(far, zero, a) - where(far, zero, b)
    return g * sigmoid(gap), g * sigmoid(-gap)


@elementwise(grad=_logaddexp_rule, numpy=(np.logaddexp,), result="float", scalar=fast.logaddexp)
def logaddexp(a, b):
    """log(exp(a) + exp(b)) without overflow."""
    return np.logaddexp(a, b)


@elementwise(
    grad=lambda g, y, x: (g * float(2 / np.sqrt(np.pi)) * exp(-x * x),), named=("erf",), result="float", scalar=fast.erf
)
def erf(x):
    """The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    # The function that programs of float64 call too; SciPy's takes longer to import than a network to train.
    values = np.asarray(x)
    found = np.fromiter(map(math.erf, values.ravel().tolist()), np.float64, values.size)
    return found.reshape(values.shape).astype(values.dtype)


@elementwise(grad=lambda g, y, x: (g * (y * (1 - y)),), named=("expit",), result="float", scalar=fast.sigmoid)
def sigmoid(x):
    """1 / (1 + exp(-x)), the logistic function."""
    small = np.exp(-np.abs(x))  # at most 1, so nothing overflows
    return np.where(x >= 0, np.ones_like(small), small) / (1 + small)


@elementwise(grad=lambda g, y, z, t: (g * (sigmoid(z) - t), -g * z), domain=(REAL, Domain(0.0, 1.0)), result="float",
             scalar=fast.logistic_loss)  # fmt: skip
def logistic_loss(z, t):
    """log(1 + exp(z)) - t z, which is >= 0 for t in 0..1 as computed too: minus the log probability of t."""
    return np.where(z > 0, z * (1 - t), -(z * t)) + np.log1p(np.exp(-np.abs(z)))
