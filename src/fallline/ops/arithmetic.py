"""Elementwise ops that are arithmetic: sums, products, powers, comparisons, choices. One statement an op.

A `scalar` is a factory: given the float type it returns the op on one number, with literals of that type, so that
a float32 kernel does not compute in float64.
"""

import math

import numpy as np

from fallline.graph.declare import (
    POSITIVE,
    REAL,
    SMOOTH_OFF_ZERO,
    Domain,
    Kind,
    as_node,
    cast_to,
    common_dtype,
    composite,
    elementwise,
    keeps_floats,
)
from fallline.graph.node import Node, has
from fallline.graph.protocol import refuse

# Two arguments drawn from these never meet, so that a tie does not spoil a difference quotient.
APART = (Domain(-3.0, 0.0), Domain(0.1, 3.0))


@elementwise(grad=lambda g, y, a, b: (g, g), numpy=(np.add,), sum=True, identity=-0.0, commutes=True)
def add(a, b):
    """Sum of two."""
    return a + b


@keeps_floats
def with_differences(*args):
    """Of one dtype, which is not that of masks: NumPy subtracts no booleans."""
    dtype = common_dtype(args)
    if dtype.kind == "b":
        refuse("the - of booleans", "a ^ b or ~a of masks; a.astype(float) of numbers")
    return tuple([cast_to(arg, dtype) for arg in args])


@elementwise(grad=lambda g, y, a, b: (g, -g), numpy=(np.subtract,), lift=with_differences, difference=True,
             right_identity=0.0)  # fmt: skip
def subtract(a, b):
    """Difference of two."""
    return a - b


@elementwise(grad=lambda g, y, a, b: (g * b, g * a), product=True, identity=1, commutes=True)
def multiply(a, b):
    """Product of two."""
    return a * b


@composite(numpy=(np.multiply,))
def times(a, b):
    """Product of two; of a length with itself, or with a product it is in, the length is squared first."""
    if a is b:
        under = square_of_length(a)
        return multiply(a, b) if under is None else under
    for part, length in ((a, b), (b, a)):
        rest = cofactor(part, length) if "squared" in facts_of(length) else None
        if rest is not None:
            return multiply(rest, squared(length))
    return multiply(a, b)


# Factors of factors that are looked at; a power by repeated squaring would have too many.
_DEEP = 4


def cofactor(x, factor, depth=_DEEP):
    """The other factors of a product; None where the given one is none of them."""
    if not depth or not facts_of(x).get("product"):
        return None
    for one, other in (x.inputs, x.inputs[::-1]):
        rest = other if one is factor else cofactor(one, factor, depth - 1)
        if rest is not None:
            return rest if one is factor else multiply(rest, other)
    return None


@elementwise(
    grad=lambda g, y, a, b: (g / b, -g * y / b),
    domain=(REAL, POSITIVE), numpy=(np.divide,), result="float", right_identity=1, quotient=True,
)  # fmt: skip
def divide(a, b):
    """Quotient of two."""
    return np.divide(a, b)


@elementwise(grad=lambda g, y, x: (-g,), numpy=(np.negative,), lift=with_differences, involution=True,
             negation=True)  # fmt: skip
def negative(x):
    """The number with its sign turned."""
    return -x


@keeps_floats
def numbers(*args):
    """Of one dtype, booleans as small integers: NumPy divides no booleans, and raises none to a power."""
    dtype = common_dtype(args)
    dtype = np.dtype(np.int8) if dtype.kind == "b" else dtype
    return tuple(cast_to(arg, dtype) for arg in args)


@composite(numpy=(np.positive,))
def positive(x):
    """The number itself."""
    return x


@elementwise(grad=lambda g, y, x: (g * (2 * x),), lift=numbers, power=2)
def square(x):
    """The number times itself."""
    return x * x


def facts_of(x):
    return x.op.facts if isinstance(x, Node) else {}


@composite(numpy=(np.square,))
def squared(x):
    """The number times itself; a length's square is the sum under its root, which has derivatives at 0 too."""
    under = square_of_length(x)
    return square(x) if under is None else under


def square_of_length(x, depth=_DEEP):
    """The square, without a root, of a length, also one that was laid anew, turned in sign, multiplied or divided; None
    of other values."""
    facts = facts_of(x)
    if "squared" in facts:
        return facts["squared"](*x.inputs)
    if not depth or not isinstance(x, Node):
        return None
    if x.op.kind is Kind.VIEW or facts.get("negation"):
        under = square_of_length(x.inputs[0], depth - 1)
        return under if under is None or facts.get("negation") else x.op(under, **x.attrs)
    factors = x.inputs if facts.get("product") else x.inputs[:1] if facts.get("quotient") else ()
    if any(square_of_length(factor, depth - 1) is not None for factor in factors):
        return x.op(*map(squared, x.inputs))
    return None


@elementwise(grad=lambda g, y, x: (g * (0.5 / y),), domain=POSITIVE, numpy=(np.sqrt,), result="float")
def sqrt(x):
    """Square root."""
    return np.sqrt(x)


def _root_rule(g, y, x):
    flat, one = y == 0, cast_to(1, y.dtype)
    return (g * where(flat, cast_to(0, y.dtype), 0.5 / where(flat, one, y)),)


@elementwise(grad=_root_rule, domain=POSITIVE, result="float", squared=lambda x: x)
def root(x):
    """The square root with derivative 0, not infinity, at 0: there a length or a spread has its least value."""
    return np.sqrt(x)


@elementwise(grad=lambda g, y, x: (g * sign(x),), domain=SMOOTH_OFF_ZERO, numpy=(np.abs,),
             multiplicative=True)  # fmt: skip
def absolute(x):
    """Absolute value; the derivative at 0 is 0."""
    return np.abs(x)


@composite(numpy=(np.fabs,))
def fabs(x):
    """Absolute value, as a float."""
    return absolute(cast_to(x, common_dtype((x,), floating=True)))


@elementwise(
    grad=lambda g, y, x: (None,), domain=SMOOTH_OFF_ZERO, numpy=(np.sign,),
    # A NaN must stay one, and comparisons with it are all false; x + 0 is 0 for -0, as NumPy has it.
    scalar=lambda f: lambda x: f(1) if x > f(0) else (f(-1) if x < f(0) else x + f(0)),
)  # fmt: skip
def sign(x):
    """-1, 0 or 1; its derivative is 0 everywhere."""
    return np.sign(x)


@elementwise(grad=lambda g, y, x: (None,), domain=Domain(-2.9, 2.9, away_from=(-2.0, -1.0, 0.0, 1.0, 2.0)),
             numpy=(np.floor,),
             scalar=lambda f: (lambda x: np.floor(x)) if np.dtype(f).kind == "f" else lambda x: x)  # fmt: skip
def floor(x):
    """The greatest whole number not above x; its derivative is 0 everywhere."""
    return np.floor(x)


@elementwise(grad=lambda g, y, x: (None,), domain=Domain(0.6, 1.4), numpy=(np.rint,), result="float")
def rint(x):
    """The nearest whole number; of two equally near, the even one. Its derivative is 0 everywhere."""
    return np.rint(x)


@elementwise(grad=lambda g, y, x: (g * cast_to(y > 0, g.dtype),), domain=SMOOTH_OFF_ZERO,
             scalar=lambda f: lambda x: f(0) if x <= f(0) else x)  # fmt: skip
def relu(x):
    """max(x, 0); the derivative at 0 is 0. A NaN stays one."""
    return np.maximum(x, 0)


def _share(g, a, b, first):
    """The gradient where a is the chosen one, half of it at a tie, 0 elsewhere, whatever it is there."""
    return where(first(a, b), g, where(a == b, g * cast_to(0.5, g.dtype), cast_to(0, g.dtype)))


def _not_below(place, a, b):
    """Where an input of `maximum` is chosen, as a condition that holds there."""
    return (less_equal(b, a) if place == 0 else less_equal(a, b)), True


def _not_above(place, a, b):
    return _not_below(1 - place, a, b)


def maximum_rule(g, y, a, b):
    return (_share(g, a, b, greater), _share(g, b, a, greater)) if g.dtype.kind == "f" else (None, None)


def minimum_rule(g, y, a, b):
    return (_share(g, a, b, less), _share(g, b, a, less)) if g.dtype.kind == "f" else (None, None)


@elementwise(grad=maximum_rule, domain=APART, numpy=(np.maximum,), commutes=True, selects=_not_below,
             scalar=lambda f: lambda a, b: a if (a > b or a != a) else b)  # fmt: skip
def maximum(a, b):
    """The greater of two; a tie shares the gradient equally. A NaN wins."""
    return np.maximum(a, b)


@elementwise(grad=minimum_rule, domain=APART, numpy=(np.minimum,), commutes=True, selects=_not_above,
             scalar=lambda f: lambda a, b: a if (a < b or a != a) else b)  # fmt: skip
def minimum(a, b):
    """The smaller of two; a tie shares the gradient equally. A NaN wins."""
    return np.minimum(a, b)


@keeps_floats
def comparable(a, b):
    """Two values of one dtype in the order of the given ones: whole numbers are compared exactly, as in NumPy."""
    a, b = _in_reach(a, b), _in_reach(b, a)
    dtype = common_dtype((a, b))
    if dtype.kind == "f" and {getattr(x, "dtype", dtype).kind for x in (a, b)} == {"i", "u"}:
        return _beside_unsigned(as_node(a), as_node(b))
    return cast_to(a, dtype), cast_to(b, dtype)


def _in_reach(x, other):
    """A Python number beyond all numbers of the other operand's dtype as an infinity."""
    dtype = getattr(other, "dtype", None)
    return math.copysign(math.inf, x) if type(x) is int and dtype is not None and not has(dtype, x) else x


def _beside_unsigned(a, b):
    """Signed and unsigned whole numbers in the dtype of the latter, with 0 and 1 where the signed one is below 0."""
    if a.dtype.kind == "u":
        return _beside_unsigned(b, a)[::-1]
    below = less(a, 0)
    zero, one = cast_to(0, b.dtype), cast_to(1, b.dtype)
    return where(below, zero, cast_to(a, b.dtype)), where(below, one, b)


@elementwise(grad=None, domain=APART, numpy=(np.less,), result="bool", lift=comparable)
def less(a, b):
    """a < b."""
    return a < b


@elementwise(grad=None, domain=APART, numpy=(np.less_equal,), result="bool", lift=comparable)
def less_equal(a, b):
    """a <= b."""
    return a <= b


@composite(numpy=(np.greater,))
def greater(a, b):
    """a > b."""
    return less(b, a)


@composite(numpy=(np.greater_equal,))
def greater_equal(a, b):
    """a >= b."""
    return less_equal(b, a)


@elementwise(grad=None, domain=APART, numpy=(np.equal,), result="bool", lift=comparable, commutes=True)
def equal(a, b):
    """a == b."""
    return a == b


@elementwise(grad=None, domain=APART, numpy=(np.not_equal,), result="bool", lift=comparable, commutes=True)
def not_equal(a, b):
    """a != b."""
    return a != b


def _as_bools(*args):
    return tuple(
        as_node(x) if getattr(x, "dtype", None) == np.bool_ else not_equal(cast_to(x, common_dtype((x,))), 0)
        for x in args
    )


@elementwise(grad=None, numpy=(np.logical_and,), result="bool", lift=_as_bools, commutes=True)
def logical_and(a, b):
    """Both true."""
    return np.logical_and(a, b)


@elementwise(grad=None, numpy=(np.logical_or,), result="bool", lift=_as_bools, commutes=True)
def logical_or(a, b):
    """At least one true."""
    return np.logical_or(a, b)


@elementwise(grad=None, numpy=(np.logical_not,), result="bool", lift=_as_bools)
def logical_not(a):
    """Not true."""
    return np.logical_not(a)


def _choice(condition, a, b):
    dtype = common_dtype((a, b))
    return (*_as_bools(condition), cast_to(a, dtype), cast_to(b, dtype))


def _where_rule(g, y, condition, a, b):
    zero = cast_to(0, g.dtype)
    return None, where(condition, g, zero), where(condition, zero, g)


def _by_condition(place, condition, a, b):
    return condition, place == 1


@elementwise(
    grad=_where_rule,
    lift=_choice,
    selects=_by_condition,
    exact=True,
    scalar=lambda f: lambda condition, a, b: a if condition else b,
)
def where(condition, a, b):
    """a where the condition holds, else b."""
    return np.where(condition, a, b)
