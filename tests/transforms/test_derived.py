"""Gradients whose steps are cached: changes of the function are never missed, and numbers are never cached."""

import gc
import threading
import weakref

import numpy as np
import pytest

import fallline as fl
from fallline.graph.node import Graph, new_input, reachable
from fallline.graph.op import TABLE, Kind
from fallline.graph.trace import trace
from fallline.passes import backprop
from fallline.program import call
from fallline.transforms import derived

X = np.random.default_rng(0).normal(size=(4, 3))


@pytest.fixture(autouse=True)
def nothing_remembered():
    derived._remembered.clear()


def both_ways(function, *values):
    """Value and gradient by remembered steps, at the second call, and by a graph made for this call alone."""
    inputs = [new_input(value.shape, value.dtype) for value in values]
    graph, value = trace(function, inputs)
    grads = backprop.backprop([value], inputs)
    for _ in range(2):
        remembered = derived.value_and_gradient(Graph(tuple(inputs), (value,)), values)
    return remembered, call.once(type(graph)(tuple(inputs), (value, *grads)), values)


@pytest.mark.parametrize(
    "name", [op.name for op in TABLE.values() if op.kind is Kind.ELEMENTWISE and op.grad and op.name != "where"]
)
def test_remembered_steps_give_what_a_new_graph_gives(name):
    op = TABLE[name]
    count = op.meaning.__code__.co_argcount
    values = [np.abs(X) + 0.3 + i for i in range(count)]
    remembered, anew = both_ways(lambda *x: np.sum(op(*x) * x[0]), *values)
    for one, other in zip(remembered, anew, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=1e-15, atol=0)


def test_numbers_a_function_closes_over_may_change_between_calls():
    scale, table = 1.0, np.ones(3)
    gradient = fl.grad(lambda x: np.sum(scale * table * x))
    for scale in (2.0, 3.0, -0.0):
        np.testing.assert_array_equal(gradient(np.zeros(3)), scale * table)
    table = np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(gradient(np.zeros(3)), scale * table)
    assert len(derived._remembered) == 1


def test_another_branch_shape_dtype_or_attribute_is_another_form():
    power = 2
    gradient = fl.grad(lambda x: np.sum(np.sum(x**power, axis=axis) ** 2))
    seen = []
    for power, axis, x in ((2, 0, X), (3, 0, X), (2, 1, X), (2, 0, X[:2]), (2, 0, X.astype(np.float32))):
        x2 = x.astype(float)
        want = 2 * np.sum(x2**power, axis=axis, keepdims=True) * power * x2 ** (power - 1)
        np.testing.assert_allclose(gradient(x), want, rtol=1e-5)
        seen.append(len(derived._remembered))
    assert seen == [1, 2, 3, 4, 5]


def test_a_function_runs_at_every_call():
    calls = []

    def loss(x):
        calls.append(1)
        return np.sum(x * x)

    for _ in range(3):
        fl.value_and_grad(loss)(X)
    assert len(calls) == 3


def test_what_is_remembered_is_bounded_and_holds_nobodys_arrays():
    held = {"big": np.ones(1000)}
    watched = weakref.ref(held["big"])
    fl.grad(lambda x: np.sum(held["big"] * x))(np.ones(1000))
    held.clear()
    gc.collect()
    assert watched() is None
    for n in range(1, derived._KEPT + 20):
        fl.grad(lambda x: np.sum(x * x))(np.ones(n))
    assert len(derived._remembered) == derived._KEPT


def test_results_are_arrays_of_their_own():
    x = X.copy()
    gradient = fl.grad(lambda a, b: np.sum(a * b), (0, 1))
    da, db = gradient(x, x)
    da[:] = 7
    np.testing.assert_array_equal(db, X)
    np.testing.assert_array_equal(x, X)
    again, _ = gradient(x, x)
    np.testing.assert_array_equal(again, X)
    zero = fl.grad(lambda a: np.sum(a[0] * 0.0) + 1.0)(x)
    zero[:] = 3
    np.testing.assert_array_equal(fl.grad(lambda a: np.sum(a[0] * 0.0) + 1.0)(x), np.zeros_like(x))


def test_threads_may_take_gradients_at_once():
    failures = []

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(60):
            x = rng.normal(size=int(rng.integers(1, 200)))
            if not np.array_equal(fl.grad(lambda x: np.sum(x * x))(x), 2 * x):
                failures.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_form_does_not_depend_on_which_nodes_carry_it():
    def forms(function):
        inputs = [new_input((3,), np.dtype(float)), new_input((3,), np.dtype(float))]
        _, value = trace(function, inputs)
        return derived.form_of(reachable([value]), inputs)

    assert forms(lambda a, b: np.sum(a * b)) == forms(lambda a, b: np.sum(a * b))
    assert forms(lambda a, b: np.sum(a - b)) != forms(lambda a, b: np.sum(b - a))
    assert forms(lambda a, b: np.sum(a * a)) != forms(lambda a, b: np.sum(a * b))
    assert forms(lambda a, b: np.sum(a)) != forms(lambda a, b: np.sum(b))
