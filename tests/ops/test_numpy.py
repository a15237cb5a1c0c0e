"""NumPy's functions on traced values: the values, shapes and dtypes NumPy gives, and right derivatives to second order.

A supported function without a case here fails a test.
"""

import math

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

import fallline as fl
from fallline.ops import supported
from fallline.program import reference

# NumPy 2.5 calls np.fix outdated; it stays NumPy's, and ours.
pytestmark = pytest.mark.filterwarnings("ignore:numpy.fix is deprecated:DeprecationWarning")

INDEX = np.array([[0, 2, 1, 0], [1, 1, 2, 2]])
MASK = np.array([True, False, True])

# name -> calls on x and y, both (3, 4) with all elements between 0.15 and 0.85, m (4, 4), v (4,) and t (2, 3, 4).
CASES = {
    "np.absolute": [lambda x: np.abs(x - 1), lambda x: abs(-x)],
    "np.fabs": [lambda x: np.fabs(x - 1)],
    "np.add": [lambda x, y: x + y, lambda x: 1 + x, lambda x: np.add.reduce(x), lambda x: np.add.reduce(x, axis=1),
               lambda x: np.add.accumulate(x, axis=1), lambda v: np.add.outer(v, v), lambda x, v: x + v],
    "np.subtract": [lambda x, y: x - y, lambda x: 1 - x],
    "np.multiply": [lambda x, y: x * y, lambda x: 2 * x, lambda v, x: v * x, lambda x: np.multiply.reduce(x, axis=1)],
    "np.divide": [lambda x, y: x / y, lambda x: 1 / x, lambda x: np.true_divide(x, 2)],
    "np.negative": [lambda x: -x],
    "np.positive": [lambda x: +x],
    "np.square": [lambda x: np.square(x)],
    "np.sqrt": [lambda x: np.sqrt(x)],
    "np.reciprocal": [lambda x: np.reciprocal(x)],
    "np.sign": [lambda x: np.sign(x - 0.01)],
    "np.floor": [lambda x: np.floor(x)],
    "np.ceil": [lambda x: np.ceil(x)],
    "np.trunc": [lambda x: np.trunc(-x)],
    "np.fix": [lambda x: np.fix(x + 1)],
    "np.rint": [lambda x: np.rint(7 * x)],
    "np.round": [lambda x: np.round(x * 0.7, 1), lambda x: x.round(), lambda x: np.round(x)],
    "np.around": [lambda x: np.around(x * 3)],
    "np.maximum": [lambda x, y: np.maximum(x, y), lambda x: np.maximum(x, 0.5), lambda x: np.maximum.reduce(x)],
    "np.minimum": [lambda x, y: np.minimum(x, y), lambda x: np.minimum.reduce(x, axis=1)],
    "np.less": [lambda x, y: x < y],
    "np.less_equal": [lambda x, y: x <= y],
    "np.greater": [lambda x, y: x > y],
    "np.greater_equal": [lambda x, y: x >= y],
    "np.equal": [lambda x, y: x == y],
    "np.not_equal": [lambda x, y: x != y],
    "np.logical_and": [lambda x, y: np.logical_and(x > 0.5, y)],
    "np.logical_or": [lambda x, y: np.logical_or(x > 0.5, y > 0.5)],
    "np.logical_not": [lambda x: np.logical_not(x > 0.5)],
    "np.logical_xor": [lambda x, y: np.logical_xor(x > 0.5, y > 0.5)],
    "np.bitwise_and": [lambda x, y: (x > 0.5) & (y > 0.5)],
    "np.bitwise_or": [lambda x, y: (x > 0.5) | (y > 0.5)],
    "np.bitwise_xor": [lambda x, y: (x > 0.5) ^ (y > 0.5)],
    "np.invert": [lambda x: ~(x > 0.5)],
    "np.isnan": [lambda x: np.isnan(np.log(x - 0.5))],
    "np.isfinite": [lambda x: np.isfinite(np.log(x - 0.5))],
    "np.isinf": [lambda x: np.isinf(1 / np.floor(x * 2))],
    "np.remainder": [lambda x, y: x % y, lambda x: np.mod(7 * x, 1)],
    "np.divmod": [lambda x, y: np.divmod(x, y), lambda x: divmod(x * 7, 2)],
    "np.floor_divide": [lambda x, y: x // y, lambda x: (x * 7) // 2],
    "np.power": [lambda x, y: x**y, lambda x: x**2, lambda x: x**3, lambda x: x**4, lambda x: x**0.5, lambda x: x**-1,
                 lambda x: x**-2, lambda x: x**1, lambda x: x**0, lambda x: x**2.5, lambda x: 2**x, lambda x: x**7],
    "np.float_power": [lambda x, y: np.float_power(x, y).astype(x.dtype)],
    "np.exp": [lambda x: np.exp(x)], "np.exp2": [lambda x: np.exp2(x)], "np.expm1": [lambda x: np.expm1(x)],
    "np.log": [lambda x: np.log(x)], "np.log2": [lambda x: np.log2(x)], "np.log10": [lambda x: np.log10(x)],
    "np.log1p": [lambda x: np.log1p(x)], "np.logaddexp": [lambda x, y: np.logaddexp(x, y)],
    "np.sin": [lambda x: np.sin(x)], "np.cos": [lambda x: np.cos(x)], "np.tan": [lambda x: np.tan(x)],
    "np.arcsin": [lambda x: np.arcsin(x)], "np.arccos": [lambda x: np.arccos(x)],
    "np.arctan": [lambda x: np.arctan(x)], "np.arctan2": [lambda x, y: np.arctan2(x, y)],
    "np.sinh": [lambda x: np.sinh(x)], "np.cosh": [lambda x: np.cosh(x)], "np.tanh": [lambda x: np.tanh(x)],
    "np.arctanh": [lambda x: np.arctanh(x)],
    "np.hypot": [lambda x, y: np.hypot(x, y), lambda x: np.hypot(x, 0)],
    "np.radians": [lambda x: np.radians(x)], "np.deg2rad": [lambda x: np.deg2rad(x)],
    "np.degrees": [lambda x: np.degrees(x)], "np.rad2deg": [lambda x: np.rad2deg(x)],
    "np.clip": [lambda x: np.clip(x, 0.3, 0.6), lambda x: x.clip(0.3, None), lambda x, y: np.clip(x, None, y),
                lambda x: np.clip(x, min=0.4)],
    "np.where": [lambda x, y: np.where(x > y, x, y * y), lambda x: np.where(MASK[:, None], x, 0)],
    "np.select": [lambda x, y: np.select([x > 0.6, y > 0.6], [x * x, y], x)],
    "np.sum": [lambda x: np.sum(x), lambda x: x.sum(-1), lambda t: np.sum(t, axis=(0, -1), keepdims=True),
               lambda t: np.sum(t, axis=()), lambda x: np.sum(x, axis=0, dtype=np.float64)],
    "np.mean": [lambda x: np.mean(x), lambda x: x.mean(axis=-1, keepdims=True), lambda t: np.mean(t, (0, 2))],
    "np.var": [lambda x: np.var(x), lambda x: x.var(axis=0, ddof=1), lambda t: np.var(t, (0, 2), keepdims=True),
               lambda x: np.var(x, axis=1, correction=1)],
    "np.std": [lambda x: np.std(x), lambda x: x.std(-1, ddof=1, keepdims=True)],
    "np.prod": [lambda x: np.prod(x), lambda x: x.prod(axis=1), lambda t: np.prod(t, axis=(0, 2), keepdims=True)],
    "np.max": [lambda x: np.max(x), lambda x: x.max(-1), lambda t: np.max(t, axis=(0, 2), keepdims=True)],
    "np.amax": [lambda x: np.amax(x, axis=0)],
    "np.min": [lambda x: np.min(x), lambda x: x.min(0, keepdims=True)],
    "np.amin": [lambda x: np.amin(x, axis=0)],
    "np.ptp": [lambda x: np.ptp(x), lambda x: np.ptp(x, axis=1)],
    "np.argmax": [lambda x: np.argmax(x), lambda x: x.argmax(-1), lambda t: np.argmax(t, axis=1, keepdims=True)],
    "np.argmin": [lambda x: np.argmin(x, keepdims=True), lambda x: x.argmin(0)],
    "np.any": [lambda x: np.any(x > 0.8, axis=1), lambda x: (x > 2).any()],
    "np.all": [lambda x: np.all(x > 0.2, axis=0), lambda x: np.all(x)],
    "np.count_nonzero": [lambda x: np.count_nonzero(x > 0.5), lambda x: np.count_nonzero(x > 0.5, axis=1)],
    "np.cumsum": [lambda x: np.cumsum(x), lambda x: x.cumsum(axis=0), lambda t: np.cumsum(t, -1)],
    "np.cumprod": [lambda x: np.cumprod(x), lambda t: np.cumprod(t, axis=1), lambda x: x.cumprod(axis=1)],
    "np.sort": [lambda x: np.sort(x), lambda x: np.sort(x, axis=0), lambda t: np.sort(t, axis=None)],
    "np.argsort": [lambda x: np.argsort(x), lambda x: x.argsort(axis=0)],
    "np.linalg.norm": [lambda x: np.linalg.norm(x), lambda x: np.linalg.norm(x, axis=1),
                       lambda x: np.linalg.norm(x, 1, 0),
                       lambda v: np.linalg.norm(v, 3), lambda v: np.linalg.norm(v, np.inf),
                       lambda x: np.linalg.norm(x, -np.inf, axis=1), lambda x: np.linalg.norm(x, 0, axis=1),
                       lambda x: np.linalg.norm(x, "fro"), lambda x: np.linalg.norm(x, 1),
                       lambda x: np.linalg.norm(x, -1),
                       lambda x: np.linalg.norm(x, np.inf), lambda x: np.linalg.norm(x, -np.inf, keepdims=True),
                       lambda t: np.linalg.norm(t), lambda t: np.linalg.norm(t, axis=(0, 2), keepdims=True),
                       lambda t: np.linalg.norm(t, ord=1, axis=(2, 0))],
    "np.matmul": [lambda x, y: x @ y.T, lambda x, v: x @ v, lambda v, m: v @ m, lambda v: v @ v, lambda t, m: t @ m,
                  lambda t, v: t @ v, lambda m, t: m @ t.swapaxes(1, 2), lambda t: t @ t.mT, lambda x, t: x.T @ t],
    "np.dot": [lambda x, m: np.dot(x, m), lambda v: np.dot(v, v), lambda x: x.dot(np.ones(4, x.dtype)),
               lambda x: np.dot(2.0, x),
               lambda m, t: np.dot(m, t.mT), lambda t, m: np.dot(t, m)],
    "np.inner": [lambda v: np.inner(v, v), lambda x, y: np.inner(x, y), lambda x: np.inner(x, 3.0)],
    "np.vdot": [lambda x, y: np.vdot(x, y)],
    "np.vecdot": [lambda x, y: np.vecdot(x, y)], "np.linalg.vecdot": [lambda x, y: np.linalg.vecdot(x, y, axis=0)],
    "np.outer": [lambda v: np.outer(v, v), lambda x, v: np.outer(x, v)],
    "np.linalg.outer": [lambda v: np.linalg.outer(v, v)],
    "np.tensordot": [lambda t, x: np.tensordot(t, x, axes=([1, 2], [0, 1])), lambda t, m: np.tensordot(t, m, axes=1),
                     lambda v, x: np.tensordot(v, x, axes=0), lambda x, y: np.tensordot(x, y)],
    "np.linalg.tensordot": [lambda x, y: np.linalg.tensordot(x, y, axes=(-1, -1))],
    "np.linalg.multi_dot": [lambda x, m, v: np.linalg.multi_dot([x, m, v])],
    "np.einsum": [lambda x, y: np.einsum("ij,kj->ik", x, y), lambda x: np.einsum("ij->ji", x),
                  lambda x: np.einsum("ij", x),
                  lambda m: np.einsum("ii->i", m), lambda m: np.einsum("ii", m), lambda x: np.einsum("ij->", x),
                  lambda t, m: np.einsum("bij,jk->bik", t, m), lambda t: np.einsum("bij,bkj->bik", t, t),
                  lambda t, v: np.einsum("...j,j->...", t, v), lambda x, m, v: np.einsum("ij,jk,k->i", x, m, v),
                  lambda v: np.einsum("i,j->ij", v, v), lambda x, y: np.einsum("ij,ij->i", x, y),
                  lambda t: np.einsum("b...->...b", t), lambda x, t: np.einsum("...ij,...ij->...i", x, t),
                  lambda x, y: np.einsum("ij,kl->jl", x, y), lambda x, v: np.einsum("ba,a", x, v),
                  lambda x: np.einsum("ij,j->i", x[:, :1], np.ones(4, x.dtype))],
    "np.reshape": [lambda x: x.reshape(-1), lambda x: np.reshape(x, (2, -1)), lambda x: x.reshape(4, 3),
                   lambda x: np.reshape(x, shape=(2, 2, 3))],
    "np.ravel": [lambda x: np.ravel(x), lambda t: t.flatten()],
    "np.transpose": [lambda t: t.T, lambda t: np.transpose(t, (1, 0, 2)), lambda t: t.transpose(2, 0, -2)],
    "np.matrix_transpose": [lambda t: np.matrix_transpose(t)],
    "np.linalg.matrix_transpose": [lambda t: np.linalg.matrix_transpose(t)],
    "np.swapaxes": [lambda t: np.swapaxes(t, 0, -1)],
    "np.moveaxis": [lambda t: np.moveaxis(t, 0, -1), lambda t: np.moveaxis(t, (0, 1), (2, 0))],
    "np.expand_dims": [lambda x: np.expand_dims(x, 0), lambda x: np.expand_dims(x, (0, -1)), lambda x: x[:, None]],
    "np.squeeze": [lambda x: np.squeeze(x[:1]), lambda x: np.squeeze(x[None, :, :1], axis=(0, -1))],
    "np.atleast_1d": [lambda x: np.atleast_1d(x[0, 0])],
    "np.atleast_2d": [lambda v: np.atleast_2d(v)],
    "np.broadcast_to": [lambda v: np.broadcast_to(v, (2, 3, 4)), lambda x: np.broadcast_to(x, (3, 4))],
    "np.broadcast_arrays": [lambda x, v: np.broadcast_arrays(x, v)],
    "np.concatenate": [lambda x, y: np.concatenate([x, y]), lambda x, t: np.concatenate((x, t[0], t[1]), axis=-1),
                       lambda x, v: np.concatenate([x, v], axis=None), lambda x: np.concatenate([x])],
    "np.stack": [lambda x, y: np.stack([x, y]), lambda x, y: np.stack((x, y, x), axis=-1)],
    "np.vstack": [lambda x, v: np.vstack([x, v])], "np.hstack": [lambda x, y: np.hstack([x, y]),
                  lambda v: np.hstack((v, 1.0))],
    "np.column_stack": [lambda v, m: np.column_stack([v, m, v])],
    "np.split": [lambda x: np.split(x, 2, axis=1), lambda x: np.split(x, [1, 3], axis=-1),
                 lambda x: np.split(x, [2, 9])],
    "np.array_split": [lambda x: np.array_split(x, 2), lambda v: np.array_split(v, 3)],
    "np.vsplit": [lambda x: np.vsplit(x, 3)], "np.hsplit": [lambda x: np.hsplit(x, 2), lambda v: np.hsplit(v, 2)],
    "np.flip": [lambda x: np.flip(x), lambda x: np.flip(x, axis=-1), lambda t: np.flip(t, (0, 2))],
    "np.flipud": [lambda x: np.flipud(x)], "np.fliplr": [lambda x: np.fliplr(x)],
    "np.roll": [lambda x: np.roll(x, 2), lambda x: np.roll(x, -1, axis=1), lambda x: np.roll(x, (1, 5), axis=(0, 1))],
    "np.tile": [lambda v: np.tile(v, 3), lambda x: np.tile(x, (2, 3)), lambda v: np.tile(v, (2, 1)),
                lambda t: np.tile(t, 2)],
    "np.repeat": [lambda x: np.repeat(x, 2), lambda x: np.repeat(x, 3, axis=0),
                  lambda x: np.repeat(x, [1, 0, 2], axis=0),
                  lambda v: v.repeat(2)],
    "np.pad": [lambda x: np.pad(x, 1), lambda x: np.pad(x, ((0, 2), (1, 0)), constant_values=3.0),
               *(lambda x, k=k: np.pad(x, ((1, 2), (0, 1)), k) for k in ("edge", "reflect", "symmetric", "wrap")),
               lambda x: np.pad(x, (1, 2), mode="constant"), lambda v: np.pad(v, {0: (1, 2)})],
    "np.diagonal": [lambda x: np.diagonal(x), lambda x: x.diagonal(1), lambda t: np.diagonal(t, -1, 1, 2),
                    lambda x: np.diagonal(x, 9)],
    "np.linalg.diagonal": [lambda t: np.linalg.diagonal(t), lambda t: np.linalg.diagonal(t, offset=1)],
    "np.trace": [lambda m: np.trace(m), lambda x: np.trace(x, 1), lambda t: np.trace(t, axis1=1, axis2=2)],
    "np.linalg.trace": [lambda t: np.linalg.trace(t)],
    "np.diag": [lambda v: np.diag(v), lambda v: np.diag(v, -2), lambda m: np.diag(m), lambda x: np.diag(x, 1)],
    "np.tril": [lambda m: np.tril(m), lambda x: np.tril(x, 1), lambda v: np.tril(v), lambda t: np.tril(t, -1)],
    "np.triu": [lambda m: np.triu(m), lambda x: np.triu(x, -1), lambda v: np.triu(v)],
    "np.diff": [lambda x: np.diff(x), lambda x: np.diff(x, n=2, axis=1), lambda x: np.diff(x, axis=0)],
    "np.take": [lambda x: np.take(x, INDEX), lambda x: np.take(x, [0, -1], axis=1), lambda x: x.take(1, axis=0),
                lambda v: np.take(v, [5, -3], mode="wrap"), lambda v: np.take(v, [5, -3], mode="clip")],
    "np.take_along_axis": [lambda x: np.take_along_axis(x, INDEX, axis=0),
                           lambda x: np.take_along_axis(x, INDEX.T[:3], axis=1),
                           lambda x: np.take_along_axis(x, np.argsort(x, axis=1), axis=1)],
    "np.zeros_like": [lambda x: np.zeros_like(x) + x, lambda x: np.zeros_like(x, shape=(2,), dtype=np.float64)],
    "np.empty_like": [lambda x: np.empty_like(x) * 0 + x],
    "np.ones_like": [lambda x: np.ones_like(x), lambda x: np.ones_like(x, dtype=bool)],
    "np.full_like": [lambda x: np.full_like(x, 3), lambda x: np.full_like(x, x[0, 0]),
                     lambda x: np.full_like(x, [1, 2, 3, 4])],
    "np.real": [lambda x: np.real(x), lambda x: x.real], "np.copy": [lambda x: np.copy(x), lambda x: x.copy()],
    "np.shape": [lambda x: x.reshape(np.shape(x)[::-1])], "np.ndim": [lambda x: x * np.ndim(x)],
    "np.size": [lambda x: x / np.size(x), lambda x: x / np.size(x, 1)],
    "np.iscomplexobj": [lambda x: x if not np.iscomplexobj(x) else None],
    "np.isrealobj": [lambda x: x if np.isrealobj(x) else None],
    "np.result_type": [lambda x: x.astype(np.result_type(x, np.float64))],
    "astype": [lambda x: x.astype(np.float32), lambda x: x.astype("int64"), lambda x: (x > 0.5).astype(x.dtype),
               lambda x: x.astype(bool)],
    "getitem": [lambda x: x[1], lambda x: x[:, ::2], lambda x: x[..., -1], lambda x: x[MASK],
                lambda x: x[[0, 0, 2], 1:],
                lambda x: x[INDEX[0], INDEX[1]], lambda x: x[np.argmax(x, axis=0), np.arange(4)], lambda x: list(x),
                lambda x: x[1, 2]],
    "erf": [scipy.special.erf], "expit": [scipy.special.expit], "logit": [scipy.special.logit],
    "log_expit": [scipy.special.log_expit], "xlogy": [lambda x, y: scipy.special.xlogy(x, y)],
    "logsumexp": [], "softmax": [], "log_softmax": [],  # in test_normal: SciPy turns what it is given into plain arrays
}  # fmt: skip


def arrays(function, dtype):
    # No two elements are equal, in one array or in two, so that a step of a difference quotient changes no order.
    rng = np.random.default_rng(4)
    every = {"x": (3, 4), "y": (3, 4), "m": (4, 4), "v": (4,), "t": (2, 3, 4)}
    numbers = iter(rng.permutation(np.linspace(0.16, 0.84, 68)))
    drawn = {name: np.fromiter(numbers, dtype, math.prod(shape)).reshape(shape) for name, shape in every.items()}
    try:
        code = function.__code__
    except AttributeError:  # one of SciPy's
        return [drawn["x"]]
    names = [name for name in code.co_varnames[: code.co_argcount] if name in drawn]
    return [drawn[name] for name in names]


def parts(result):
    return list(result) if isinstance(result, list | tuple) else [result]


CALLS = [pytest.param(call, id=f"{name}-{i}") for name, calls in CASES.items() for i, call in enumerate(calls)]


def test_every_supported_function_has_a_case():
    assert set(CASES) == set(supported())


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("call", CALLS)
def test_values_shapes_and_dtypes_are_numpys(call, dtype):
    args = arrays(call, dtype)
    expected = [np.asarray(part) for part in parts(call(*args))]
    got = reference.run(fl.graph_of(call, *args), args)
    assert [(a.shape, a.dtype) for a in got] == [(a.shape, a.dtype) for a in expected]
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13 if dtype is np.float64 else 2e-6, atol=1e-15)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("call", CALLS)
def test_derivatives_to_second_order(call):
    args = arrays(call, np.float64)
    if all(np.asarray(part).dtype == np.float64 for part in parts(call(*args))):
        fl.testing.check_grads(call, tuple(args), order=2)


SIZES = {"a": 2, "b": 3, "c": 1, "d": 2}  # of axes; those of length one are summed and stretched too


@given(st.lists(st.text("abcd", max_size=3), min_size=1, max_size=3), st.permutations("abcd"), st.integers(0, 4))
def test_any_einsum_is_numpys(terms, order, kept):
    rng = np.random.default_rng(0)
    operands = [rng.standard_normal([SIZES[letter] for letter in term]) for term in terms]
    result = "".join(letter for letter in order if letter in "".join(terms))[:kept]
    call = lambda *xs: np.einsum(",".join(terms) + "->" + result, *xs)
    got = reference.run(fl.graph_of(call, *operands), operands)[0]
    np.testing.assert_allclose(got, call(*operands), atol=1e-13)
    fl.testing.check_grads(call, tuple(operands), order=1)
