"""Elementwise ops of analysis: powers, exponentials, logarithms, circular and hyperbolic functions, erf, sigmoid."""

import numpy as np

from fallline.graph.declare import POSITIVE, REAL, Domain, cast_to, composite, elementwise
from fallline.graph.node import Node
from fallline.ops import fast
from fallline.ops.arithmetic import sqrt, square, where


def _special(name):
    """SciPy's function of this name, looked up at the first call: importing SciPy takes longer than NumPy."""

    def call(x):
        import scipy.special

        return getattr(scipy.special, name)(x)

    return call


def power_rule(g, y, a, b):
    # At b = 0 the derivative in `a` is 0, also at a = 0, where a ** -1 would spoil the product.
    safe = where(b == 0, cast_to(1, b.dtype), b - 1)
    log_a = log(where(a > 0, a, cast_to(1, a.dtype)))
    return g * b * power(a, safe), g * y * log_a


@elementwise(grad=power_rule, domain=(POSITIVE, REAL))
def power(a, b):
    """a to the power b. The derivative in b is 0 where a <= 0."""
    return np.power(a, b)


@composite(numpy=(np.power, np.float_power))
def power_of(a, b):
    """a ** b, with the exponents people write most as cheaper ops of the same value."""
    cheap = {1: lambda x: x, 2: square, 3: lambda x: x * square(x), 4: lambda x: square(square(x)),
             0.5: sqrt, -1: lambda x: 1 / x, -2: lambda x: 1 / square(x)}  # fmt: skip
    if isinstance(a, Node) and a.dtype.kind == "f" and type(b) in (int, float) and b in cheap:
        return cheap[b](a)
    return power(a, b)


@elementwise(grad=lambda g, y, x: (g * y,), numpy=(np.exp,), result="float", scalar=fast.exp)
def exp(x):
    """e to the power x."""
    return np.exp(x)


@elementwise(grad=lambda g, y, x: (g / x,), domain=POSITIVE, numpy=(np.log,), result="float", scalar=fast.log)
def log(x):
    """Natural logarithm."""
    return np.log(x)


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


@elementwise(grad=lambda g, y, x: (g / (1 + x * x),), numpy=(np.arctan,), result="float")
def arctan(x):
    """The angle in radians whose tangent is x."""
    return np.arctan(x)


@elementwise(
    grad=lambda g, y, a, b: (g * b / (a * a + b * b), -g * a / (a * a + b * b)),
    domain=(POSITIVE, POSITIVE), numpy=(np.arctan2,), result="float",
)  # fmt: skip
def arctan2(a, b):
    """The angle in radians of the point (b, a), in -pi..pi."""
    return np.arctan2(a, b)


@elementwise(
    grad=lambda g, y, a, b: (g * sigmoid(a - b), g * sigmoid(b - a)), numpy=(np.logaddexp,), result="float",
    scalar=fast.logaddexp,
)  # fmt: skip
def logaddexp(a, b):
    """log(exp(a) + exp(b)) without overflow."""
    return np.logaddexp(a, b)


@elementwise(
    grad=lambda g, y, x: (g * float(2 / np.sqrt(np.pi)) * exp(-x * x),), named=("erf",), result="float", scalar=fast.erf
)
def erf(x):
    """The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    return _special("erf")(x)


@elementwise(grad=lambda g, y, x: (g * (y * (1 - y)),), named=("expit",), result="float", scalar=fast.sigmoid)
def sigmoid(x):
    """1 / (1 + exp(-x)), the logistic function."""
    return _special("expit")(x)
