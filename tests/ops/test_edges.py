"""The law of edges: every elementwise function, at zeros, denormals, huge numbers, infinities and NaN, is NumPy's.

On the machine and in the reference, in both float precisions and in integers; first derivatives are those of difference
quotients in extended precision. Functions are found in the tables of what stands for NumPy's and SciPy's ufuncs, so a
new one falls under the law by itself. Whatever differs by choice is listed with its reason.
"""

import numpy as np
import pytest
import scipy.special

import fallline as fl
from fallline import ops
from fallline.graph.node import new_input
from fallline.graph.op import NAMED, NUMPY, TABLE, Kind
from fallline.graph.trace import trace
from fallline.program import reference
from fallline.program.lower import lower
from fallline.program.machine import Program

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

assert ops  # importing them fills the tables
UFUNCS = {f.__name__: f for f in NUMPY if isinstance(f, np.ufunc)}
UFUNCS |= {
    name: getattr(scipy.special, name) for name in NAMED if isinstance(getattr(scipy.special, name, None), np.ufunc)
}
COMPILED = (np.int64, np.int32, np.uint8)
INTEGERS = (np.int64, np.int32, np.int16, np.int8, np.uint64, np.uint32, np.uint16, np.uint8)

# Intended differences from NumPy, with reasons.
OTHER_DTYPE = "small integers give float64 where NumPy gives float16 or float32: kernels have no float16"
OTHER_VALUE = {
    ("power", "i"): "NumPy raises where an exponent is negative; a kernel cannot, and gives the quotient towards 0",
    ("invert", "i"): "bit operators are for masks only", ("bitwise_and", "i"): "the same",
    ("bitwise_or", "i"): "the same", ("bitwise_xor", "i"): "the same",
    ("invert", "f"): "NumPy has no bit operators on floats either", ("bitwise_and", "f"): "the same",
    ("bitwise_or", "f"): "the same", ("bitwise_xor", "f"): "the same",
}  # fmt: skip
OTHER_SIGN = {"xlogy": "the sign of a zero is that of the product"}
OTHER_SLOPE = {
    "power": "the derivative in the exponent is 0 where the base is not positive: test_kinks has it",
    "float_power": "the same",
    "remainder": "differences step over its jumps: test_table has its derivatives between them",
    "floor_divide": "the same",
    "floor": "the same",
    "ceil": "the same",
    "trunc": "the same",
    "rint": "the same",
    "sign": "the same",
}


def edges(dtype):
    """Numbers where functions go wrong."""
    if np.dtype(dtype).kind != "f":
        limits = np.iinfo(dtype)
        found = [0, 1, 2, 3, 7, 100, limits.max, limits.max - 1, limits.max // 2, limits.max // 3]
        return np.array(found + [-1, -2, -7, limits.min, limits.min + 1, limits.min // 2] * (limits.min < 0), dtype)
    limits = np.finfo(dtype)
    some = [limits.smallest_subnormal, limits.smallest_normal, limits.eps, 0.1, 0.3, 0.5, 1, 1.5, 2, 2.5, 3, 20, 88.9,
            104, 710, 746, 1e10, float(limits.max) / 2, limits.max, np.inf]  # fmt: skip
    return np.array([0.0, -0.0, *some, *(-np.array(some)), np.nan], dtype)


def calls(arity, kind):
    """name: ufunc of so many arguments that is taken at its word for this kind of numbers."""
    skipped = {name for name, k in OTHER_VALUE if k == kind}
    each = {name: f for name, f in UFUNCS.items() if f.nout == 1 and f.signature is None}
    return {name: f for name, f in each.items() if f.nin == arity and name not in skipped}


def arguments(arity, dtype):
    e = edges(dtype)
    return [e] if arity == 1 else [np.repeat(e, len(e)), np.tile(e, len(e))]


def both(function, args, machine=True):
    """A function's values on the machine and in the reference."""
    graph, _ = trace(function, [new_input(a.shape, a.dtype) for a in args])
    if not machine:
        return (reference.run(graph, args),)
    program = Program(lower(graph), args)
    program.run()
    return [program.value(ref) for ref in program.outputs], reference.run(graph, args)


def agree(got, want, units, signed=True):
    """Equal to so many units in the last place; NaN where NaN is, and zeros with their signs."""
    if want.dtype.kind != "f":
        return got == want
    limits = np.finfo(want.dtype)
    near = np.abs(got - want) <= units * limits.eps * np.abs(want) + limits.smallest_normal
    signs = (not signed) | (got != 0) | (want != 0) | (np.signbit(got) == np.signbit(want))
    return np.isnan(got) & np.isnan(want) | ((got == want) | near & np.isfinite(got) & np.isfinite(want)) & signs


def told(names, args, wrong):
    """The first disagreements in text."""
    lines = []
    for name, got, want, good in zip(names, *wrong, strict=True):
        for i in np.flatnonzero(~good)[:3]:
            lines.append(f"{name}{tuple(a[i] for a in args)} is {got[i]!r}, not {want[i]!r}")
    return "\n".join(lines)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, *INTEGERS])
@pytest.mark.parametrize("arity", [1, 2])
def test_every_function_has_numpys_values_at_the_edges(arity, dtype):
    kind = "f" if np.dtype(dtype).kind == "f" else "i"
    args = arguments(arity, dtype)
    expected = {}
    for name, f in calls(arity, kind).items():
        try:
            expected[name] = f(*args)
        except TypeError:  # SciPy's have no loops for integers of 64 bits
            continue
    for name, want in expected.items():
        # A kernel for each function is the one that other tests have compiled; integers cost new ones.
        machine = kind == "f" or (dtype is np.int64 and want.dtype.kind != "f")
        for (got,) in both(lambda *xs, f=UFUNCS[name]: [f(*xs)], args, machine):
            w = want if got.dtype == want.dtype else widened(UFUNCS[name], got, want, args)
            good = agree(got, w, 8, name not in OTHER_SIGN)
            assert good.all(), told([name], args, ([got], [w], [good]))


def widened(ufunc, got, want, args):
    """NumPy's answer in float64, where it has another for small integers (OTHER_DTYPE)."""
    assert (got.dtype, want.dtype.kind, args[0].dtype.itemsize < 4) == (np.float64, "f", True), OTHER_DTYPE
    return ufunc(*(a.astype(np.float64) for a in args))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("arity", [1, 2])
def test_every_functions_first_derivatives_are_right_at_the_edges(arity, dtype):
    args = arguments(arity, dtype)
    # Comparisons and the like have none; rounding and signs have 0, which differences confirm between the jumps.
    names = [name for name, f in calls(arity, "f").items() if f(*args).dtype.kind == "f" and name not in OTHER_SLOPE]

    def slopes(*xs):
        found = []
        for name in names:
            value, pullback = fl.vjp(UFUNCS[name], argnums=tuple(range(arity)))(*xs)
            found += pullback(np.ones_like(value))
        return found

    # Gradients are made of the same ops, so one program of them is enough.
    machine, plain = both(slopes, args) if (arity, dtype) == (1, np.float32) else (both(slopes, args, False) * 2)
    titles = [f"d {name} / d {i} " for name in names for i in range(arity)]
    good = [agree(np.abs(g), np.abs(w), 64) for g, w in zip(machine, plain, strict=True)]
    assert all(g.all() for g in good), told(titles, args, (machine, plain, good))
    want = [difference(UFUNCS[name], args, i, dtype) for name in names for i in range(arity)]
    eps = np.finfo(dtype).eps
    good = [np.isnan(w) | (g == w) | (np.abs(g - w) <= max(100 * eps, 1e-7) * np.abs(w) + 4 * eps)
            for g, w in zip(plain, want, strict=True)]  # fmt: skip
    assert all(g.all() for g in good), told(titles, args, (plain, want, good))


def difference(ufunc, args, i, dtype):
    """Difference quotients in extended precision; NaN at kinks, at ends of a domain, and where an argument is none.

    Steps are a part of the argument or, where a function of one does not answer to that, 1e-9.
    """
    wide = [a.astype(np.longdouble) for a in args]
    x = wide[i]
    result = np.full(x.shape, np.nan, np.longdouble)
    tiny = np.longdouble("1e-400")
    steps = (np.full(x.shape, np.longdouble(1e-9)), np.where(x == 0, tiny, np.abs(x) * np.longdouble(2.0**-21)))
    for step in steps[len(args) - 1 :]:
        try:
            below, here, above = (ufunc(*wide[:i], x + s * step, *wide[i + 1 :]) for s in (-1, 0, 1))
        except TypeError:  # SciPy's without loops for extended precision; test_table has their derivatives
            break
        left, right, middle = (here - below) / step, (above - here) / step, (above - below) / (2 * step)
        answers = np.abs(above - below) > 1e-8 * np.abs(here)
        smooth = np.abs(left - right) <= 1e-5 * np.abs(middle)
        known = answers & smooth & np.all([np.isfinite(w) for w in (here, *wide)], axis=0)
        known &= ~np.all([w == 0 for w in wide], axis=0) | (len(wide) == 1)  # the origin is a matter of choice
        result = np.where(known, middle, result)
    return result.astype(dtype)


INF = np.inf


@pytest.mark.parametrize(("function", "at", "expected"), [
    (np.arcsin, (1.0,), INF), (np.arcsin, (-1.0,), INF), (np.arccos, (1.0,), -INF), (np.arctanh, (1.0,), INF),
    (np.tanh, (INF,), 0.0), (np.tanh, (-INF,), 0.0), (np.arctan, (INF,), 0.0), (np.exp, (-INF,), 0.0),
    (np.exp, (INF,), INF), (np.exp2, (-INF,), 0.0), (np.expm1, (-INF,), 0.0), (np.sqrt, (0.0,), INF),
    (np.log, (0.0,), INF), (np.log, (INF,), 0.0), (np.log2, (0.0,), INF), (np.log10, (INF,), 0.0),
    (np.logaddexp, (INF, INF), 0.5), (np.logaddexp, (-INF, -INF), 0.5), (np.logaddexp, (-INF, 0.0), 0.0),
    (np.logaddexp, (INF, 0.0), 1.0), (np.hypot, (INF, 1.0), 1.0), (np.hypot, (1.0, INF), 0.0),
    (np.hypot, (0.0, 0.0), 0.0), (np.hypot, (1e300, 1e300), 0.5**0.5), (np.arctan2, (INF, 1.0), 0.0),
    (np.arctan2, (1e-200, 1e-200), 0.5e200), (scipy.special.expit, (INF,), 0.0), (scipy.special.expit, (-INF,), 0.0),
    (scipy.special.log_expit, (INF,), 0.0), (scipy.special.log_expit, (-INF,), 1.0), (scipy.special.erf, (INF,), 0.0),
    (np.power, (0.0, 0.0), 0.0), (np.power, (0.0, 1.0), 1.0), (np.power, (2.0, 0.0), 0.0),
])  # fmt: skip
def test_derivatives_where_differences_do_not_reach(function, at, expected):
    args = [np.array([a]) for a in at]
    for g in both(lambda *xs: fl.grad(lambda *ys: np.sum(function(*ys)))(*xs), args):
        assert g[0] == pytest.approx([expected], rel=1e-12)


def test_whole_powers_and_their_logarithms_are_exact():
    whole = np.arange(-126.0, 128.0)
    for dtype in (np.float32, np.float64):
        n, tens = whole.astype(dtype), np.power(10.0, np.arange(11)).astype(dtype)
        got, _ = both(lambda n, tens: [np.exp2(n), np.log2(np.exp2(n)), np.log10(tens)], [n, tens])
        np.testing.assert_array_equal(got[0], np.ldexp(dtype(1), whole.astype(int)))
        np.testing.assert_array_equal(got[1], n)
        np.testing.assert_array_equal(got[2], np.arange(11))


def test_quotients_of_decimals_are_whole_as_in_numpy():
    rng = np.random.default_rng(0)
    a, b = rng.integers(1, 1000, (2, 5000)) / 10.0
    for dtype in (np.float32, np.float64):
        pair = [a.astype(dtype), b.astype(dtype)]
        for got in both(lambda a, b: [a // b, *np.divmod(-a, b), a % -b], pair):
            for g, w in zip(got, [pair[0] // pair[1], *np.divmod(-pair[0], pair[1]), pair[0] % -pair[1]], strict=True):
                np.testing.assert_array_equal(g, w)
    assert fl.compile(lambda a: a // 0.1)(np.array(1.0)) == 9


def test_divmod_of_integers_is_numpys():
    for dtype in INTEGERS[:4]:
        args = arguments(2, dtype)
        for got in both(np.divmod, args, dtype in COMPILED):
            np.testing.assert_array_equal(got, np.divmod(*args))


def test_powers_of_integers_wrap_around_and_fractions_are_refused():
    for dtype in INTEGERS:
        a, b = arguments(2, dtype)
        b = b % dtype(41)
        for got in both(np.power, [a, b], dtype in COMPILED):
            np.testing.assert_array_equal(got[0], np.power(a, b))
    with pytest.raises(ValueError, match="a negative exponent makes fractions"):
        fl.compile(lambda a: a**-1)(np.array([2]))
    assert fl.compile(lambda a: np.float_power(a, -1))(np.array([4]))[0] == 0.25


def test_whole_numbers_of_any_two_dtypes_are_compared_exactly():
    compared = (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal)
    beyond = (-1, 128, 300, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**30, -(10**30))
    for dtype in INTEGERS:
        a = edges(dtype)
        for other in INTEGERS:
            x, y = np.repeat(a, len(edges(other))), np.tile(edges(other), len(a))
            # One kernel is enough: those of two equal dtypes are tested above.
            for got in both(lambda x, y: [f(x, y) for f in compared], [x, y], (dtype, other) == (np.int64, np.uint64)):
                for f, g in zip(compared, got, strict=True):
                    np.testing.assert_array_equal(g, f(x, y), err_msg=f"{f.__name__} of {x.dtype} and {y.dtype}")
        for n in beyond:
            (got,) = both(lambda a, n=n: [g for f in compared for g in (f(a, n), f(n, a))], [a], False)
            for g, w in zip(got, [w for f in compared for w in (f(a, n), f(n, a))], strict=True):
                np.testing.assert_array_equal(g, w, err_msg=f"{dtype} and {n}")


def test_a_whole_number_that_a_dtype_has_not_is_refused_where_numpy_refuses_it():
    functions = (np.add, np.multiply, np.floor_divide, np.maximum, lambda a, n: np.full_like(a, n))
    for dtype in INTEGERS:
        a = edges(dtype)
        for n in (-1, 127, 128, 255, 256, 2**31, 2**63, 2**64, -(2**15) - 1, -(2**63) - 1, 10**5000):
            for f in functions:
                try:
                    want = f(a, n)
                except OverflowError:
                    with pytest.raises(OverflowError, match="is no number of"):
                        both(lambda a, f=f, n=n: f(a, n), [a], False)
                else:
                    np.testing.assert_array_equal(both(lambda a, f=f, n=n: f(a, n), [a], False)[0][0], want)
        for low, high in ((0, 10**30), (-1, 100), (-(10**30), 1), (None, 2**64), (1, 7)):
            (got,) = both(lambda a, low=low, high=high: np.clip(a, low, high), [a], False)
            np.testing.assert_array_equal(got[0], np.clip(a, low, high))


def test_booleans_have_no_differences_but_changes():
    x = np.array([True, False, False, True])
    for function in (lambda x: x - x, lambda x: -x, lambda x: True - x, np.ptp):
        with pytest.raises(TypeError, match="the - of booleans"):
            fl.graph_of(function, x)
    np.testing.assert_array_equal(fl.compile(np.diff)(x), np.diff(x))
    np.testing.assert_array_equal(fl.compile(lambda x: x ^ x[::-1])(x), x ^ x[::-1])


def test_sums_and_products_are_taken_in_the_dtype_that_is_asked_for():
    for x in (np.full(5, 2**62), np.full(5, 2**63, np.uint64), np.array([1e8, 1, 1, 1], np.float32), np.ones(3, bool)):
        for dtype in (np.float64, np.float32, np.int8, np.int64, bool):
            for fold in (np.sum, np.prod, np.cumsum, np.cumprod, lambda x, dtype: np.trace(np.diag(x), dtype=dtype)):
                want = np.asarray(fold(x, dtype=dtype))
                (got,) = both(lambda x, fold=fold, dtype=dtype: fold(x, dtype=dtype), [x], False)
                if not (want.dtype == np.int8 and x.dtype.kind == "f"):  # 1e8 is no int8: anything goes
                    assert got[0].dtype == want.dtype
                    np.testing.assert_allclose(got[0], want, rtol=1e-7, err_msg=f"{fold} {x.dtype} {want.dtype}")


def test_running_products_go_from_the_first_to_the_last():
    for row in ([0, 1e30, 1e30], [1e-30, 1e-30, 1e30, 1e30], [1e30, 1e30, 0], [2, np.inf, 3, np.nan], [-0.0, 5], [3]):
        for dtype in (np.float32, np.float64):
            x = np.array([row, row], dtype)
            for got in both(lambda x: [np.cumprod(x, axis=1), np.cumprod(x.T, axis=0), np.cumprod(x)], [x]):
                for g, w in zip(got, [np.cumprod(x, axis=1), np.cumprod(x.T, axis=0), np.cumprod(x)], strict=True):
                    np.testing.assert_array_equal(g, w)
    x = np.array([0, 1e30, 1e30], np.float32)
    for got in both(lambda x: fl.grad(lambda x: np.sum(np.cumprod(x)))(x), [x]):
        np.testing.assert_array_equal(got[0], [np.inf, 0, 0])


def test_the_law_reaches_every_elementwise_op():
    """Ops that stand for no ufunc of NumPy or SciPy have laws elsewhere."""
    own = {"where", "relu", "root", "random_bits", "logistic_loss", "multiply", "square", "power", "rint"}
    reached = {f.name for f in NUMPY.values() if hasattr(f, "infer")} | {
        f.name for f in NAMED.values() if hasattr(f, "infer")
    }
    assert {op.name for op in TABLE.values() if op.kind is Kind.ELEMENTWISE} - reached <= own
