"""The laws of a compiled call: right results for new inputs each time, in arrays that later calls leave alone."""

import threading

import numpy as np

from fallline.graph.node import new_input
from fallline.graph.trace import trace
from fallline.program.call import build


def prepared(function, *arrays):
    graph, _ = trace(function, [new_input(a.shape, a.dtype) for a in arrays])
    return build(graph)


def test_results_that_are_held_are_never_written_again():
    x = np.arange(6.0).reshape(2, 3)
    call = prepared(lambda x: [x * 2, x * 2, (x * 2).T, np.sum(x), x, x + 1], x)
    held, kept = [], []
    for i in range(5):
        results = call([x + i])
        held.append(results)
        kept.append([np.array(r) for r in results])
    for i, (results, copies) in enumerate(zip(held, kept, strict=True)):
        for got, copy in zip(results, copies, strict=True):
            np.testing.assert_array_equal(got, copy)
        np.testing.assert_array_equal(results[0], 2 * (x + i))
        assert results[3] == np.sum(x + i)


def test_results_share_no_memory_with_each_other_or_the_inputs():
    x = np.arange(6.0)
    results = prepared(lambda x: [x, x[::-1], x * 2, (x * 2)[1:3], np.ones(3)], x)([x])
    for i, a in enumerate(results):
        assert not np.shares_memory(a, x)
        a[...] = -1
        assert all(not np.shares_memory(a, b) for b in results[:i])


def test_a_view_of_a_result_keeps_it():
    call = prepared(lambda x: x * 2, x := np.arange(8.0))
    (first,) = call([x])
    tail = first[4:]
    del first
    call([x * 0])
    np.testing.assert_array_equal(tail, [8, 10, 12, 14])


def test_a_released_result_is_written_again():
    call = prepared(lambda x: x * 2, x := np.arange(8.0))
    address = call([x])[0].ctypes.data
    assert call([x])[0].ctypes.data == address


def test_inputs_of_any_layout_are_read_right():
    x = np.arange(24.0).reshape(4, 6)
    call = prepared(lambda x: np.sum(x * np.arange(3.0), axis=1), x[:, ::2])
    for given in (x[:, ::2], x[::-1, 1::2], np.asfortranarray(x[:, 3:]), x[:, ::2].astype(">f8"), x[:, :3].tolist()):
        np.testing.assert_allclose(call([given])[0], np.asarray(given, float) @ np.arange(3.0))


def test_calls_from_several_threads_do_not_mix():
    call = prepared(lambda x: x * 2 + 1, np.zeros(1000))
    wrong = []

    def work(i):
        for _ in range(200):
            if not np.array_equal(call([np.full(1000, float(i))])[0], np.full(1000, 2.0 * i + 1)):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_op_of_ones_own_is_compiled_as_it_is_now_not_as_it_was():
    from fallline.graph import op as ops
    from fallline.graph.declare import elementwise
    from fallline.program.kernels import scalars

    def result(factor):
        namespace = {"elementwise": elementwise}
        text = f"@elementwise(grad=None)\ndef tripled_or_so(x):\n    'x times a number.'\n    return x * {factor}\n"
        exec(text, namespace)
        try:
            return prepared(namespace["tripled_or_so"], x := np.arange(3.0))([x])[0].tolist()
        finally:
            ops.TABLE.pop("tripled_or_so")
            scalars.scalar.cache_clear()  # as in a new process

    assert result(2.0) == [0.0, 2.0, 4.0]
    assert result(3.0) == [0.0, 3.0, 6.0]


def test_results_are_let_go_as_soon_as_their_holder_does():
    import gc
    import weakref

    import fallline as fl

    call = fl.compile(lambda p: {"a": p["a"] * 2, "b": [p["b"] + 1]})
    given = {"a": np.ones(5), "b": np.ones(6)}
    gc.disable()
    try:
        seen = weakref.ref(call(given)["a"].base)
        call(given)
        assert seen() is not None  # the program's own array, which is used again
        first = call(given)["a"].ctypes.data
        assert call(given)["a"].ctypes.data == first
    finally:
        gc.enable()
