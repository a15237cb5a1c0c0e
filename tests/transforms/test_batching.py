"""vmap and a loop over rows agree: on trees, nested, compiled and differentiated; and bad calls raise."""

from collections import namedtuple

import numpy as np
import pytest
import scipy.special

import fallline as fl
from fallline import nn, tree
from fallline.errors import ArgumentError, ArgumentTypeError, ShapeError, TraceError
from fallline.graph.verify import verify

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 2))
PARAMS = {"w": RNG.normal(size=(3, 4)), "b": np.zeros(4), "out": RNG.normal(size=(4, 2))}
Pair = namedtuple("Pair", "x y")


def loss(p, x, y):
    return np.sum((np.tanh(x @ p["w"] + p["b"]) @ p["out"] - y) ** 2)


def stacked(results):
    """Trees of one form as one, their leaves stacked."""
    return tree.unflatten(results[0], [np.stack(part) for part in zip(*map(tree.leaves, results), strict=True)])


def same(got, expected, rtol=1e-12):
    assert tree.structure(got) == tree.structure(expected)
    for a, b in zip(tree.leaves(got), tree.leaves(expected), strict=True):
        assert (np.shape(a), np.asarray(a).dtype) == (np.shape(b), np.asarray(b).dtype)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-13)


def test_gradients_of_rows_are_those_of_a_loop_and_add_up_to_the_gradient():
    per_row = fl.vmap(fl.grad(loss), in_axes=(None, 0, 0))
    expected = stacked([fl.grad(loss)(PARAMS, x, y) for x, y in zip(X, Y, strict=True)])
    same(per_row(PARAMS, X, Y), expected)
    same(fl.compile(per_row)(PARAMS, X, Y), expected, rtol=1e-10)
    whole = fl.grad(lambda p: np.sum(fl.vmap(loss, in_axes=(None, 0, 0))(p, X, Y)))(PARAMS)
    same(whole, tree.map(lambda g: g.sum(axis=0), expected))


@pytest.mark.parametrize("transform", [
    fl.value_and_grad, fl.jacobian, fl.hessian, lambda f: lambda x: fl.hvp(f)(x, x * 2),
    lambda f: lambda x: fl.jvp(f)(x, x), lambda f: lambda x: fl.vjp(f)(x)[1](np.float64(3)), fl.compile,
])  # fmt: skip
def test_every_derivative_of_rows(transform):
    function = transform(lambda x: np.prod(np.sin(x)) + np.sum(x[1:] * x[:-1]))
    expected = stacked([function(x) for x in X])
    same(fl.vmap(function)(X), expected)
    same(fl.compile(fl.vmap(function))(X), expected, rtol=1e-10)


def test_derivatives_of_rows_at_once():
    rows = fl.vmap(lambda x: np.prod(np.sin(x)))
    each = np.array([fl.grad(lambda x: np.prod(np.sin(x)))(x) for x in X])
    jacobian = fl.jacobian(rows)(X)
    np.testing.assert_allclose([jacobian[i, i] for i in range(5)], each, rtol=1e-12)
    np.testing.assert_allclose(fl.jvp(rows)(X, X * 2)[1], np.sum(each * X * 2, axis=1), rtol=1e-12)
    fl.testing.check_grads(lambda x: np.sum(rows(x) ** 2), (X,), order=2)
    verify(fl.graph_of(fl.grad(lambda x: np.sum(rows(x) ** 2)), X))


def test_trees_go_in_and_come_out_with_axes_for_their_parts():
    function = lambda p, pair, scale: Pair({"y": pair.x * p["w"] + scale}, [pair.y, (p["b"],)])
    p, pair = {"b": np.arange(2.0), "w": RNG.normal(size=(3, 5))}, Pair(X, RNG.normal(size=(2, 5)))
    mapped = fl.vmap(function, in_axes=({"b": None, "w": 1}, Pair(0, -1), None), out_axes=Pair(1, [0, (None,)]))
    got = mapped(p, pair, 2)
    rows = [function({"b": p["b"], "w": p["w"][:, i]}, Pair(X[i], pair.y[:, i]), 2) for i in range(5)]
    np.testing.assert_allclose(got.x["y"], np.stack([row.x["y"] for row in rows], axis=1))
    np.testing.assert_array_equal(got.y[0], [row.y[0] for row in rows])
    np.testing.assert_array_equal(got.y[1][0], p["b"])
    assert type(got) is Pair and type(got.y[1]) is tuple


def test_what_is_the_same_for_all_rows_may_be_anything():
    def function(x, mode, power, table, on):
        return table[np.argmax(x)] ** power if mode == "table" and on else x

    table = np.array([2.0, 3.0, 5.0])
    got = fl.vmap(function, in_axes=(0, None, None, None, None))(X, "table", 2, table, True)
    np.testing.assert_array_equal(got, table[np.argmax(X, axis=1)] ** 2)
    np.testing.assert_array_equal(fl.vmap(lambda x: (x, 1.5))(X)[1], np.full(5, 1.5))
    np.testing.assert_array_equal(fl.vmap(lambda x: X)(Y), np.broadcast_to(X, (5, 5, 3)))
    assert fl.vmap(lambda x: (np.sum(x), 1.5), out_axes=(0, None))(X)[1] == 1.5


def test_results_are_arrays_of_their_own():
    one, two = fl.vmap(lambda x: (x, x))(X)
    assert not np.shares_memory(one, X) and not np.shares_memory(one, two) and one.flags.writeable


def test_a_vmap_in_a_vmap_sees_the_rows_of_both():
    kernel = lambda x, z: np.exp(-np.sum((x - z) ** 2))
    matrix = fl.vmap(fl.vmap(kernel, in_axes=(None, 0)), in_axes=(0, None))
    z = RNG.normal(size=(4, 3))
    expected = np.exp(-np.sum((X[:, None] - z) ** 2, axis=-1))
    np.testing.assert_allclose(matrix(X, z), expected)
    np.testing.assert_allclose(fl.compile(matrix)(X, z), expected)
    slope = fl.grad(lambda x: np.sum(matrix(x, z)))(X)
    np.testing.assert_allclose(slope, np.sum(-2 * (X[:, None] - z) * expected[..., None], axis=1), rtol=1e-12)
    # A value of the outer rows that the inner function closes over.
    inner = fl.vmap(lambda x: fl.vmap(lambda y: np.dot(x, y))(z))
    np.testing.assert_allclose(inner(X), X @ z.T)


def test_whole_numbers_masks_and_precisions_stay_what_they_are():
    for dtype in (np.float32, np.int64, np.uint8, bool):
        x = (X > 0).astype(dtype)
        got = fl.vmap(lambda x: x[::-1])(x)
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, x[:, ::-1])
    assert fl.vmap(lambda x: x * 2.5)(np.float32(X)).dtype == np.float32
    counted = fl.vmap(lambda x: np.sum(x > 0))(X)
    np.testing.assert_array_equal(counted, np.sum(X > 0, axis=1))


def test_no_rows_are_rows_too():
    got = fl.vmap(fl.grad(loss), in_axes=(None, 0, 0))(PARAMS, X[:0], Y[:0])
    assert {name: g.shape for name, g in got.items()} == {"w": (0, 3, 4), "b": (0, 4), "out": (0, 4, 2)}
    assert fl.compile(fl.vmap(np.sort))(X[:0]).shape == (0, 3)


def test_rows_draw_as_their_keys_say():
    draw = lambda x, key: x + fl.ops.normal(x.shape, key, np.float64)
    keys = np.arange(5)
    got = fl.vmap(draw)(X, keys)
    np.testing.assert_array_equal(got, np.stack([fl.vmap(draw, (0, None))(X[i : i + 1], keys[i])[0] for i in range(5)]))
    assert len(np.unique(got - X)) == 15
    alike = fl.vmap(draw, in_axes=(0, None))(np.zeros((5, 3)), 7)
    np.testing.assert_array_equal(alike, np.broadcast_to(alike[0], (5, 3)))
    np.testing.assert_allclose(fl.compile(fl.vmap(draw))(X, keys), got)


def test_a_function_that_draws_by_itself_is_refused():
    rng = np.random.default_rng(0)
    for draws in (lambda x: x + rng.normal(), lambda x: x * np.random.uniform()):
        with pytest.raises(
            TraceError, match="once for all rows, and it drew a number, which would be the same in every"
        ):
            fl.vmap(draws)(X)
    with pytest.raises(TraceError, match="drew a number"):
        fl.grad(lambda x: np.sum(fl.vmap(lambda row: row * rng.normal())(x)))(X)


def test_networks_and_functions_of_scipy_are_batched_as_they_stand():
    network = nn.Sequential(nn.Dense(4), nn.GELU(), nn.Dense(2))
    params, _ = network.init(np.random.default_rng(0), (3,), np.dtype(np.float64))
    np.testing.assert_allclose(
        fl.vmap(network.apply, in_axes=(None, 0))(params, X[:, None])[:, 0], network.apply(params, X), rtol=1e-12
    )
    np.testing.assert_allclose(fl.vmap(scipy.special.expit)(X), scipy.special.expit(X))


@pytest.mark.parametrize(("call", "kind", "told"), [
    (lambda: fl.vmap(np.dot, in_axes=(0, 1))(X, Y), ShapeError,
     r"5 rows: axis 0 of a, of shape \(5, 3\)\n  2 rows: axis 1 of b, of shape \(5, 2\)"),
    (lambda: fl.vmap(lambda x, z, y: x)(X, y=Y[:2], z=X), ShapeError,
     "5 rows: axis 0 of x.*; axis 0 of z.*\n  2 rows: axis 0 of y"),
    (lambda: fl.vmap(lambda *_: 0)(X, Y[:2]), ShapeError, r"5 rows: axis 0 of _.0, .*\n  2 rows: axis 0 of _.1"),
    (lambda: fl.vmap(lambda p: p["a"])({"a": X, "b": 3.0}), ShapeError, r"argument p.b of shape \(\) has no axis 0"),
    (lambda: fl.vmap(np.sin, in_axes=2)(X), ShapeError, "argument x of shape .* has no axis 2"),
    (lambda: fl.vmap(np.sin, in_axes=None)(X), ArgumentError, "no argument has rows"),
    (lambda: fl.vmap(lambda p: p)(()), ArgumentError, "no argument has rows"),
    (lambda: fl.vmap(np.dot, in_axes=(0,))(X, X), ArgumentError,
     "in_axes is for 1 positional .* 2 were given"),
    (lambda: fl.vmap(lambda p: p["ab"], in_axes=({"ba": 0},))({"ab": X}), ArgumentError,
     r"in_axes at 0 has the form dict\(ba"),
    (lambda: fl.vmap(lambda p: p, in_axes=((0, 0),))([X]), ArgumentError, "in_axes at 0 has the form"),
    (lambda: fl.vmap(np.sin, in_axes=([0],))(X), ArgumentError, "in_axes at 0 has the form"),
    (lambda: fl.vmap(np.sin, in_axes=0.5), ArgumentTypeError, "in_axes has to be a whole number or None, got 0.5"),
    (lambda: fl.vmap(np.sin, in_axes=(True,)), ArgumentTypeError,
     "in_axes at 0 has to be a whole number or None, got True"),
    (lambda: fl.vmap(np.sin, out_axes="x"), ArgumentTypeError, "out_axes has to be a whole number or None, got 'x'"),
    (lambda: fl.vmap(lambda x: (x, x), out_axes=(0, 0, 0))(X), ArgumentError,
     "out_axes has the form .* the result the"),
    (lambda: fl.vmap(lambda x: (x, x), out_axes=(0, None))(X), ArgumentError,
     "out_axes is None for the result as 1"),
    (lambda: fl.vmap(np.sin, out_axes=2)(X), ShapeError,
     "the rows cannot lie along axis 2 of the result, which has 2"),
    (lambda: fl.vmap(lambda x, y: x)(X), ArgumentTypeError, "vmap of <lambda>: needs y"),
    (lambda: fl.vmap(np.sum(X)), ArgumentTypeError, "takes a function"),
    (lambda: fl.vmap(np.sum, in_dims=1), ArgumentTypeError, "no argument 'in_dims'; did you mean 'in_axes'"),
    (lambda: fl.vmap(lambda x: None)(X), TraceError, "has to return numbers, got None"),
    (lambda: fl.vmap(lambda x: x + np.arange(4))(X), ShapeError, r"shapes \[3\] and \[4\] do not broadcast"),
    (lambda: fl.vmap(lambda x: x if x[0] > 0 else -x)(X), TraceError, "branch on a traced value"),
    (lambda: fl.vmap(lambda p: p["q"])({"a": X}), KeyError, "vmap"),
])  # fmt: skip
def test_a_bad_call_is_reported(call, kind, told):
    with pytest.raises(kind, match=told):
        call()
