"""Division with a rest, and powers of whole numbers: exact in integers, with NumPy's rules at zero and at the edges.

Cases that a processor does not define are decided beforehand: a division by 0, and the smallest integer by -1, whose
quotient is no integer of that width. Both end a process.
"""

import math

import numpy as np

from fallline.graph.declare import Domain, cast_to, composite, elementwise
from fallline.graph.node import as_node
from fallline.ops.arithmetic import absolute, numbers, where

# Within one period of the rest, away from where it jumps.
APERIODIC = (Domain(0.1, 0.9), Domain(1.0, 2.0))


def floor_quotient(f):
    """a // b: exact in integers, where n // 0 is 0 and the smallest // -1 is itself; in floats as NumPy rounds it."""
    kind = np.dtype(f).kind
    if kind == "u":
        return lambda a, b: f(0) if b == f(0) else f(a // (f(1) if b == f(0) else b))
    if kind == "i":

        def whole(a, b):
            q = f(a // (f(1) if b == f(0) or b == f(-1) else b))
            return f(0) if b == f(0) else (f(-a) if b == f(-1) else q)

        return whole

    def nearest(a, b):
        # The quotient a / b may round up to a whole number that b does not go into a so often; the rest is exact.
        rest = np.fmod(a, b)
        q = (a - rest) / b
        q = q - f(1) if rest != f(0) and (b < f(0)) != (rest < f(0)) else q
        below = np.floor(q)
        below = below + f(1) if q - below > f(0.5) else below
        plain = a / b
        below = math.copysign(f(0), plain) if q == f(0) else below
        return plain if b == f(0) else below

    return nearest


def floor_rest(f):
    """a % b, with the sign of b: exact; n % 0 is 0 in integers and NaN in floats."""
    kind = np.dtype(f).kind
    if kind == "u":
        return lambda a, b: f(0) if b == f(0) else f(a % (f(1) if b == f(0) else b))
    if kind == "i":

        def whole(a, b):
            r = f(a % (f(1) if b == f(0) or b == f(-1) else b))
            return f(0) if b == f(0) or b == f(-1) else r

        return whole

    def real(a, b):
        rest = np.fmod(a, b)
        far = rest + b if (b < f(0)) != (rest < f(0)) else rest
        return (math.copysign(f(0), b) if b != f(0) else rest) if rest == f(0) else far

    return real


@elementwise(grad=lambda g, y, a, b: (None, None), domain=APERIODIC, numpy=(np.floor_divide,), lift=numbers,
             scalar=floor_quotient)  # fmt: skip
def floor_divide(a, b):
    """The whole number of times b goes into a; its derivative is 0 everywhere."""
    return np.floor_divide(a, b)


def _remainder_rule(g, y, a, b):
    return (g, -g * floor_divide(a, b)) if g.dtype.kind == "f" else (None, None)


@elementwise(grad=_remainder_rule, domain=APERIODIC, numpy=(np.remainder,), lift=numbers, scalar=floor_rest)
def remainder(a, b):
    """The remainder of a after whole multiples of b, with the sign of b."""
    return np.remainder(a, b)


@composite(numpy=(np.divmod,))
def divmod_(a, b):
    """The whole number of times b goes into a, and the remainder."""
    return floor_divide(a, b), remainder(a, b)


@composite(numpy=(np.reciprocal,))
def reciprocal(x):
    """1 / x; of an integer without its fraction, and of an integer 0 NumPy's integer for the infinity."""
    x = as_node(x)
    if x.dtype.kind == "f":
        return 1 / x
    (x,) = numbers(x)
    of_zero = np.iinfo(x.dtype).min if x.dtype.kind == "i" and x.dtype.itemsize >= 4 else 0
    zero = cast_to(0, x.dtype)
    return where(absolute(x) == 1, x, where(x == 0, cast_to(of_zero, x.dtype), zero))


def integer_power(f):
    """a ** b of integers by squaring, on overflow the lowest bits; with b < 0 the quotient 1 // a ** -b towards 0."""

    def power(a, b):
        result, base, rest = f(1), a, b if b >= f(0) else f(0)
        while rest > f(0):
            if rest & f(1):
                result = f(result * base)
            rest = f(rest >> f(1))
            base = f(base * base)
        return result

    if np.dtype(f).kind == "u":
        return power

    def signed(a, b):
        below = (a if b & f(1) else f(1)) if a == f(1) or a == f(-1) else f(0)
        return below if b < f(0) else power(a, b)

    return signed


def power_of_integers(a, b):
    """The same on arrays: NumPy's, which raises where an exponent is negative."""
    safe = np.power(a, np.where(b < 0, b.dtype.type(0), b))
    odd = np.where(b % 2 != 0, a, a.dtype.type(1))
    return np.where(b < 0, np.where(np.abs(a) == 1, odd, a.dtype.type(0)), safe)
