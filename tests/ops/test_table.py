"""Laws of every op in the table, generated from its own statement; and for each an oracle that shares nothing of it."""

import inspect
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.special

import fallline as fl
from fallline.graph.node import new_input
from fallline.graph.op import TABLE, Kind
from fallline.graph.trace import trace
from fallline.ops import supported
from fallline.program import reference

OPS = [op for op in TABLE.values() if op.kind is not Kind.SOURCE]
SMOOTH = [op for op in OPS if op.grad is not None]
PRECISIONS = (np.float32, np.float64)
# Every way two or three shapes meet: equal, stretched from the left, both ways, a number, zero rows.
MEETINGS = [((2, 3),) * 3, ((2, 3), (3,), (2, 1)), ((2, 1), (1, 3), (3,)), ((), (2,), ()), ((0, 3), (1, 3), (3,))]


def ids(op):
    return op.name


def examples(op, dtype, seed=0):
    """Calls of an op: lists of arrays, and the attributes."""
    rng = np.random.default_rng(seed)
    if op.kind is not Kind.ELEMENTWISE:
        fixed = op.kind is Kind.LOOP  # its body says which dtypes it takes
        return [([a if fixed else in_precision(a, dtype) for a in args], attrs) for args, attrs in op.domain(rng)]
    names = list(inspect.signature(op.meaning).parameters)
    domains = op.domain if isinstance(op.domain, tuple) else (op.domain,) * len(names)
    calls = []
    for shapes in MEETINGS:
        args = [drawn(domain, shape, rng).astype(dtype) for domain, shape in zip(domains, shapes, strict=False)]
        calls.append(([a > 0 if name == "condition" else a for name, a in zip(names, args, strict=True)], {}))
    return calls


def in_precision(a, dtype):
    a = np.asarray(a)
    return a.astype(dtype) if a.dtype.kind == "f" else a


def drawn(domain, shape, rng):
    """Uniform in the domain, and a tenth away from its kinks."""
    x = rng.uniform(domain.low, domain.high, shape)
    for kink in domain.away_from:
        x = np.where(np.abs(x - kink) < 0.1, kink + 0.1 + np.abs(x - kink), x)
    return x


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("op", OPS, ids=ids)
def test_shape_and_dtype_rules_say_what_the_meaning_returns(op, dtype):
    for args, attrs in examples(op, dtype):
        inputs = [new_input(a.shape, a.dtype) for a in args]
        node = op(*inputs, **attrs)
        lifted = reference.run(trace(lambda *xs, node=node: list(node.inputs), inputs)[0], args)
        with np.errstate(all="ignore"):
            value = np.asarray(op.meaning(*lifted, **attrs))
        assert (value.shape, value.dtype) == (node.shape, node.dtype)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("op", SMOOTH, ids=ids)
def test_derivatives_to_second_order_are_right(op, dtype):
    for args, attrs in examples(op, dtype):
        real = [i for i, a in enumerate(args) if a.dtype.kind == "f"]

        def on_real(*given, op=op, args=args, attrs=attrs, real=real):
            every = list(args)
            for i, a in zip(real, given, strict=True):
                every[i] = a
            return op(*every, **attrs)

        fl.testing.check_grads(on_real, tuple(args[i] for i in real), order=2)


@pytest.mark.parametrize("op", SMOOTH, ids=ids)
def test_gradients_have_the_form_of_what_they_are_of(op):
    for dtype in PRECISIONS:
        for args, attrs in examples(op, dtype):
            real = tuple(i for i, a in enumerate(args) if a.dtype.kind == "f")
            value, pullback = fl.vjp(lambda *xs, op=op, attrs=attrs: op(*xs, **attrs), argnums=real)(*args)
            for i, g in zip(real, pullback(np.ones_like(value)), strict=True):
                assert (g.shape, g.dtype) == (args[i].shape, args[i].dtype)


def with_rows(op, count, seed=0):
    """Calls of an op with as many rows: per call the arrays of each row, and the attributes."""
    rng = np.random.default_rng(seed)
    for calls in zip(*(examples(op, np.float64, seed + i) for i in range(count)), strict=True):
        rows = [[rng.permutation(a.ravel()).reshape(a.shape) if a.dtype.kind == "i" else a for a in args]
                for args, _ in calls]  # fmt: skip
        yield rows, calls[0][1]


def choices(rows):
    """Every choice of arguments that have rows: which axis counts them, 0 or the last, and the arguments."""
    for number, has in enumerate(itertools.product((False, True), repeat=len(rows[0]))):
        if any(has):
            axis = -(number % 2)
            axes = tuple(axis if one else None for one in has)
            stacks = [np.stack(list(each), axis) if one else each[0] for one, each in zip(has, zip(*rows), strict=True)]
            yield axes, stacks


def on_one(op, attrs, args):
    """The op on plain arrays, its arguments promoted as a trace promotes them."""
    return reference.run(fl.graph_of(lambda *xs: op(*xs, **attrs), *args), args)[0]


@pytest.mark.parametrize("op", OPS, ids=ids)
def test_an_op_for_many_rows_at_once_is_the_op_for_each_row(op):
    """Whichever of its arguments have rows and along which axis, in the reference and on the machine."""
    cases = [(axes, stacks, rows, attrs) for rows, attrs in with_rows(op, 3) for axes, stacks in choices(rows)]
    each = lambda attrs, axes: fl.vmap(lambda *xs: op(*xs, **attrs), in_axes=axes)
    every = lambda given: [each(attrs, axes)(*xs) for (axes, _, _, attrs), xs in zip(cases, given, strict=True)]
    given = [stacks for _, stacks, _, _ in cases]
    for results, rtol in ((every(given), 1e-13), (fl.compile(every)(given), 1e-9)):
        for (axes, _, rows, attrs), got in zip(cases, results, strict=True):
            args = [[row[i] if axis is not None else rows[0][i] for i, axis in enumerate(axes)] for row in rows]
            expected = np.stack([on_one(op, attrs, arrays) for arrays in args])
            assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
            np.testing.assert_allclose(got, expected, rtol=rtol, atol=1e-13)


@pytest.mark.parametrize("count", [0, 1])
def test_an_op_takes_no_rows_and_a_single_one(count):
    for op in OPS:
        for rows, attrs in with_rows(op, 1):
            for axes, stacks in choices(rows):
                given = [np.repeat(a, count, axis=axis) if axis is not None else a
                         for a, axis in zip(stacks, axes, strict=True)]  # fmt: skip
                got = fl.vmap(lambda *xs, op=op, attrs=attrs: op(*xs, **attrs), in_axes=axes)(*given)
                expected = on_one(op, attrs, rows[0])
                assert (got.shape, got.dtype) == ((count, *expected.shape), expected.dtype), op
                np.testing.assert_allclose(got, np.repeat(expected[None], count, axis=0), rtol=1e-13)


@pytest.mark.parametrize("op", SMOOTH, ids=ids)
def test_gradients_of_many_rows_at_once_are_those_of_each_row(op):
    """The gradient of what a batched op gives, and what a batched gradient gives."""
    for rows, attrs in with_rows(op, 2):
        real = tuple(i for i, a in enumerate(rows[0]) if a.dtype.kind == "f")
        number = lambda *xs, attrs=attrs: np.sum(np.cos(np.arange(1.0, 3.0) * np.sum(op(*xs, **attrs))))
        for axes, stacks in choices(rows):
            expected = [fl.grad(number, real)(*[row[i] if axis is not None else rows[0][i]
                                                for i, axis in enumerate(axes)]) for row in rows]  # fmt: skip
            batched = fl.vmap(fl.grad(number, real), in_axes=axes)(*stacks)
            summed = fl.grad(lambda *xs, f=number, axes=axes: np.sum(fl.vmap(f, in_axes=axes)(*xs)), real)(*stacks)
            for k, i in enumerate(real):
                parts = [grads[k] for grads in expected]
                np.testing.assert_allclose(batched[k], np.stack(parts), rtol=1e-11, atol=1e-12)
                whole = sum(parts) if axes[i] is None else np.stack(parts, axes[i])
                np.testing.assert_allclose(summed[k], whole, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("op", OPS, ids=ids)
def test_every_op_says_what_it_does(op):
    assert len(op.doc.split()) > 1
    assert op.doc.endswith((".", "]")), op.doc


def test_an_op_on_plain_arrays_is_its_meaning():
    x = np.array([0.5, 0.75])
    for op in OPS:
        if op.kind is Kind.ELEMENTWISE and len(inspect.signature(op.meaning).parameters) == 1:
            np.testing.assert_array_equal(op(x), op.meaning(x))


# The oracles. Each takes the op's arguments and attributes, uses neither the op's meaning nor its rule, and is exact
# to the tolerance given with it in float64.


def each(function):
    """A function of numbers on every element."""
    return lambda *arrays: np.vectorize(function, otypes=[float])(*np.broadcast_arrays(*arrays))


def looped_fold(start, step):
    """A fold over axes, one element after the other."""

    def fold(x, *, axes, keepdims=False):
        shape = [1 if i in axes else n for i, n in enumerate(x.shape)]
        result = np.full(shape, start)
        for place in np.ndindex(*x.shape):
            at = tuple(0 if i in axes else p for i, p in enumerate(place))
            result[at] = step(result[at], x[place])
        return result if keepdims else result.reshape([n for i, n in enumerate(x.shape) if i not in axes])

    return fold


def first_place(better):
    def place(x, *, axes, keepdims=False):
        rows = np.moveaxis(x, axes[0], -1)
        found = np.empty(rows.shape[:-1], np.int64)
        for at in np.ndindex(*found.shape):
            best = 0
            for i, value in enumerate(rows[at]):
                best = i if better(value, rows[at][best]) else best
            found[at] = best
        return np.expand_dims(found, axes[0]) if keepdims else found

    return place


def looped_cumsum(x, *, axis):
    result = np.array(x)
    rows = np.moveaxis(result, axis, 0)
    for i in range(1, len(rows)):
        rows[i] += rows[i - 1]
    return result


def stable_order(x, *, axis):
    rows = np.moveaxis(x, axis, -1)
    found = np.empty(rows.shape, np.int64)
    for at in np.ndindex(*rows.shape[:-1]):
        found[at] = sorted(range(rows.shape[-1]), key=lambda i, row=rows[at]: row[i])
    return np.moveaxis(found, -1, axis)


def slots(start, stop, step, x):
    return [tuple(a + s * i for a, s, i in zip(start, step, at, strict=True)) for at in np.ndindex(*x)]


def looped_slice(x, *, starts, stops, steps):
    shape = [len(range(*part)) for part in zip(starts, stops, steps, strict=True)]
    return np.array([x[at] for at in slots(starts, stops, steps, shape)]).reshape(shape)


def looped_place(x, *, shape, starts, stops, steps):
    result = np.zeros(shape)
    for value, at in zip(x.ravel(), slots(starts, stops, steps, x.shape), strict=True):
        result[at] = value
    return result


def looped_gather(x, index, *, axis):
    parts = [np.moveaxis(x, axis, 0)[int(i)] for i in index.ravel()]
    return np.moveaxis(
        np.array(parts).reshape(*index.shape, *parts[0].shape), range(index.ndim), range(axis, axis + index.ndim)
    )


def looped_scatter(g, index, *, axis, size):
    result = np.zeros((size, *g.shape[:axis], *g.shape[axis + index.ndim :]))
    rows = np.moveaxis(g, range(axis, axis + index.ndim), range(index.ndim))
    for at in np.ndindex(*index.shape):
        result[index[at]] = result[index[at]] + rows[at]
    return np.moveaxis(result, 0, axis)


def looped_product(a, b):
    return np.array([[sum(a[..., i, k] * b[..., k, j] for k in range(a.shape[-1])) for j in range(b.shape[-1])]
                     for i in range(a.shape[-2])]).transpose(*range(2, a.ndim), 0, 1)  # fmt: skip


def splitmix(counter, key):
    """splitmix64 in Python's whole numbers, halved: counter 0 and key 0 give its well-known first number."""
    mask = (1 << 64) - 1
    z = (int(counter) * 0x9E3779B97F4A7C15 + int(key) * 0xBF58476D1CE4E5B9 + 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return (z ^ (z >> 31)) >> 1


def looped_turns(w, h, x, *, body, dtype):
    """The example of a loop: h' = tanh(h w + x); stacked is h' x, and summed w sum(h')."""
    track, stacked, summed = {}, np.zeros_like(x), np.zeros_like(w)
    times = range(len(x))[:: -1 if body.reverse else 1]
    track[times[0] + body.reverse] = h
    for t in times:
        h = np.tanh(np.einsum("ij,jk->ik", h, w) + x[t])
        track[t + 1 - body.reverse] = h
        stacked[t] = h * x[t]
        summed = summed + w * h.sum()
    parts = [h, *(track[i] for i in range(len(x) + 1)), stacked, summed]
    return np.array([number for part in parts for number in part.flat])


ORACLES = {
    "loop": looped_turns,
    "random_bits": np.vectorize(splitmix, otypes=[np.int64]),
    "contract_onto": lambda start, a, b: start + looped_product(a, b),
    "add": each(lambda a, b: math.fsum((a, b))),
    "subtract": each(lambda a, b: math.fsum((a, -b))),
    "multiply": lambda a, b: np.exp(np.log(np.abs(a)) + np.log(np.abs(b))) * np.sign(a) * np.sign(b),
    "divide": lambda a, b: a * b**-1.0,
    "negative": lambda x: 0.0 - x,
    "square": lambda x: x**2,
    "sqrt": lambda x: x**0.5,
    "root": lambda x: x**0.5,
    "rint": each(round),
    "floor_divide": each(lambda a, b: math.floor(Fraction(a) / Fraction(b))),
    "exp2": each(lambda x: math.pow(2, x)),
    "log2": each(math.log2),
    "log10": each(math.log10),
    "arcsin": each(math.asin),
    "arccos": each(math.acos),
    "hypot": each(math.hypot),
    "absolute": lambda x: np.maximum(x, -x),
    "sign": lambda x: x / np.abs(x),
    "floor": each(math.floor),
    "relu": lambda x: (x + np.abs(x)) / 2,
    "maximum": lambda a, b: (a + b + np.abs(a - b)) / 2,
    "minimum": lambda a, b: (a + b - np.abs(a - b)) / 2,
    "less": lambda a, b: np.sign(b - a) == 1,
    "less_equal": lambda a, b: np.sign(b - a) != -1,
    "equal": lambda a, b: np.abs(a - b) == 0,
    "not_equal": lambda a, b: np.abs(a - b) != 0,
    "logical_and": lambda a, b: a * b != 0,
    "logical_or": lambda a, b: np.abs(a) + np.abs(b) != 0,
    "logical_not": lambda a: a == 0,
    "where": lambda condition, a, b: condition * a + (1 - condition) * b,
    "remainder": each(lambda a, b: math.fmod(a, b) + (b if math.fmod(a, b) * b < 0 else 0)),
    "power": each(math.pow),
    "exp": each(math.exp),
    "log": each(math.log),
    "expm1": each(math.expm1),
    "log1p": each(math.log1p),
    "sin": each(math.sin),
    "cos": each(math.cos),
    "tan": each(math.tan),
    "tanh": lambda x: 1 - 2 / (np.exp(2 * x) + 1),
    "sinh": lambda x: (np.exp(x) - np.exp(-x)) / 2,
    "cosh": lambda x: (np.exp(x) + np.exp(-x)) / 2,
    "arctan": each(math.atan),
    "arctan2": each(lambda a, b: math.acos(b / math.hypot(a, b)) * math.copysign(1, a)),
    "logaddexp": lambda a, b: np.log(np.exp(a) + np.exp(b)),
    "logistic_loss": lambda z, t: t * np.log1p(np.exp(-z)) + (1 - t) * np.log1p(np.exp(z)),
    "erf": each(lambda x: math.copysign(scipy.special.gammainc(0.5, x * x), x)),
    "sigmoid": lambda x: (1 + np.tanh(x / 2)) / 2,
    "cast": lambda x, *, dtype: x * 1.0,
    "alias": lambda x: x + 0.0,
    "stop_gradient": lambda x: x + 0.0,
    "reshape": lambda x, *, shape: np.array(list(x.flat)).reshape(shape),
    "transpose": lambda x, *, axes: np.einsum(x, list(range(x.ndim)), list(axes)),
    "slice": looped_slice,
    "place": looped_place,
    "join": lambda *xs, axis: np.moveaxis(np.array([row for x in xs for row in np.moveaxis(x, axis, 0)]), 0, axis),
    "broadcast_to": lambda x, *, shape: x + np.zeros(shape),
    "sum": looped_fold(0.0, lambda total, x: total + x),
    "max": looped_fold(-np.inf, max),
    "min": looped_fold(np.inf, min),
    "argmax": first_place(lambda a, b: a > b),
    "argmin": first_place(lambda a, b: a < b),
    "cumsum": looped_cumsum,
    "cumprod": lambda x, *, axis: np.multiply.accumulate(x, axis=axis),
    "argsort": stable_order,
    "contract": looped_product,
    "gather": looped_gather,
    "scatter_add": looped_scatter,
}


@pytest.mark.parametrize("op", OPS, ids=ids)
def test_every_op_agrees_with_its_oracle(op):
    assert op.name in ORACLES, f"{op.name} has no oracle: add one that shares nothing with its meaning"
    for args, attrs in examples(op, np.float64, seed=1):
        if op.kind is Kind.ELEMENTWISE and np.broadcast_shapes(*(a.shape for a in args)) == (0, 3):
            continue
        expected = ORACLES[op.name](*args, **attrs)
        got = reference.run(trace(lambda *xs, op=op, attrs=attrs: op(*xs, **attrs),
                                  [new_input(a.shape, a.dtype) for a in args])[0], args)[0]  # fmt: skip
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)


def test_no_oracle_is_left_of_an_op_that_went():
    assert set(ORACLES) == {op.name for op in OPS}


def test_what_is_supported_is_listed_by_numpys_own_names():
    for name in supported():
        if name.startswith("np."):
            assert callable(eval(name, {"np": np})), name
    assert {"np.tanh", "np.sum", "np.linalg.norm", "np.einsum", "erf", "logsumexp"} <= set(supported())
