"""compile: traced once for each form, the same results as the plain function; graph_of names its inputs."""

import itertools
from collections import namedtuple

import numpy as np
import pytest

import fallline as fl
from fallline.errors import ArgumentError, ArgumentTypeError
from fallline.program import lanes
from fallline.transforms import compiled

Pair = namedtuple("Pair", "left right")


def counted(function):
    """The function, and a list that grows each time it is traced."""
    calls = []

    def counting(*args, **kwargs):
        calls.append(None)
        return function(*args, **kwargs)

    return counting, calls


def test_a_function_is_traced_once_for_each_form_of_its_arguments():
    f, calls = counted(lambda p, n: np.tanh(p["w"]) * n)
    run = fl.compile(f)
    w = np.array([0.5, 1.0])
    for _ in range(3):
        np.testing.assert_allclose(run({"w": w}, 2), np.tanh(w) * 2, rtol=1e-14)
        w = w + 1
    assert len(calls) == 1
    others = [({"w": w}, 3), ({"w": w[:1]}, 2), ({"w": np.float32(w)}, 2), ({"w": w}, 2.0), ({"w": w}, True)]
    for args in (*others, ({"w": w, "x": w}, 2)):
        assert np.asarray(run(*args)).dtype == np.asarray(f(*args)).dtype
    assert len(calls) == 1 + 6 * 2
    run({"w": w.astype(">f8")}, 2)
    run({"w": np.broadcast_to(w[:1], (2,))}, 2)
    assert len(calls) == 13


def test_arrays_in_any_form_and_keywords_are_inputs_and_the_rest_is_program():
    f, calls = counted(lambda pair, *, scale, how: getattr(np, how)(pair.left[0] - pair.right["x"]) * scale)
    run = fl.compile(f)
    pair = Pair([np.array([1.0, 2.0])], {"x": np.array([0.5, 0.5])})
    for how in ("sin", "cos", "sin"):
        for scale in (np.float64(2), np.float64(3)):
            expected = getattr(np, how)(np.array([0.5, 1.5])) * scale
            np.testing.assert_allclose(run(pair, scale=scale, how=how), expected, rtol=1e-14)
    assert len(calls) == 2


def test_results_keep_their_form_and_are_the_callers_own():
    x = np.array([1.0, 2.0])
    run = fl.compile(lambda x: {"same": x, "sum": (np.sum(x), 3.0)})
    first = run(x)
    first["same"] += 10
    second = run(x)
    np.testing.assert_array_equal(second["same"], [1, 2])
    np.testing.assert_array_equal(first["same"], [11, 12])
    np.testing.assert_array_equal(x, [1, 2])
    assert type(second["sum"]) is tuple
    assert second["sum"] == (3.0, 3.0)


def test_compiled_gradients_are_the_gradients():
    loss = lambda p, x: np.mean(np.tanh(x @ p["w"] + p["b"]) ** 2)
    rng = np.random.default_rng(0)
    params, x = {"w": rng.standard_normal((3, 2)), "b": rng.standard_normal(2)}, rng.standard_normal((5, 3))
    value, g = fl.value_and_grad(loss)(params, x)
    fast_value, fast_g = fl.compile(fl.value_and_grad(loss))(params, x)
    assert fast_value == pytest.approx(value, rel=1e-13)
    for key in params:
        np.testing.assert_allclose(fast_g[key], g[key], rtol=1e-12)


def test_inside_a_trace_a_compiled_function_is_an_ordinary_one():
    f = fl.compile(lambda x: x**3)
    assert fl.grad(f)(2.0) == 12
    assert fl.grad(lambda x: f(x) * fl.grad(f)(x))(2.0) == 5 * 3 * 2**4


def test_zeros_of_both_signs_are_two_programs():
    run = fl.compile(lambda x, zero: x * zero)
    assert np.signbit(run(np.ones(1), -0.0))[0]
    assert not np.signbit(run(np.ones(1), 0.0))[0]


def test_programs_unused_for_longest_make_room(monkeypatch):
    monkeypatch.setattr(compiled, "_KEPT", 2)
    f, calls = counted(lambda x, n: x * n)
    run = fl.compile(f)
    for n in (1, 2, 1, 3, 1, 2):
        run(np.ones(1), n)
    assert len(calls) == 4  # 1, 2, 3, and 2 again: it made room for 3


def test_what_cannot_be_part_of_a_program_is_reported():
    with pytest.raises(ArgumentTypeError, match=r"argument 0\.1 is neither an array nor hashable: set"):
        fl.compile(lambda x, y: x)(np.ones(2), {1, 2})


def test_inputs_of_a_graph_are_named_by_their_place():
    def f(params, *rest, scale):
        return params["w"] * rest[0] * scale

    graph = fl.graph_of(f, {"w": np.ones(2)}, np.ones(2), scale=np.ones(2))
    assert [node.attrs["name"] for node in graph.inputs] == ["params.w", "rest", "scale"]
    assert [node.attrs["name"] for node in fl.graph_of(np.add, np.ones(2), np.ones(2)).inputs] in (
        ["0", "1"],
        ["x1", "x2"],
    )


def test_a_compiled_function_on_several_threads_gives_the_same_bits(monkeypatch):
    monkeypatch.setattr(lanes, "SMALL", 0.0)
    monkeypatch.setattr(lanes, "best", lambda ins, most, *rest: lanes.schedule(ins, most, *rest) if most > 1 else None)

    def value(w, x):
        return np.mean(np.tanh(x @ w) ** 2, axis=0)

    w, x = np.random.default_rng(0).standard_normal((2, 33, 33))
    alone = fl.compile(value, threads=1)(w, x)
    for threads in (None, 2, 3):
        several = fl.compile(value, threads=threads)
        for _ in range(3):
            assert several(w, x).tobytes() == alone.tobytes()
        assert several(w[:, :5], x).tobytes() == fl.compile(value, threads=1)(w[:, :5], x).tobytes()
    lanes.rest()


def test_a_senseless_number_of_threads_is_refused_before_anything_is_traced():
    with pytest.raises(ArgumentError, match="threads is a whole number from 1"):
        fl.compile(np.tanh, threads=0)


def test_arrays_of_another_form_than_the_call_before_get_their_own_program():
    double = fl.compile(lambda x, *more: sum(more, x + x))
    forms = [np.ones(3), np.ones((3, 1)), np.ones(3, np.float32), np.ones(3, ">f8"), np.arange(6.0)[::2], np.float64(2)]
    for one, other in itertools.pairwise([*forms, *forms[::-1]]):
        for args in ((one,), (one, other), (other,), (other,)):
            expected = sum(args[1:], args[0] + args[0])
            found = double(*args)
            assert found.shape == np.shape(expected) and found.dtype == np.dtype(expected.dtype.type)
            assert np.array_equal(found, expected)


def test_an_array_that_lost_its_order_between_two_calls_is_read_as_it_lies():
    x = np.arange(16.0)
    double = fl.compile(lambda x: x + x)
    view = x[:8]
    first = double(view)
    assert np.array_equal(first, view * 2) and np.array_equal(double(x[::2]), x[::2] * 2)
    assert np.array_equal(double(view), first)
