"""Elementwise chains that go through transposed operands in tiles: every element once, whatever the sizes."""

import numpy as np
import pytest

import fallline as fl
from fallline.graph.node import new_input
from fallline.graph.trace import trace
from fallline.program import emit, lanes
from fallline.program.kernels.elementwise import TILE
from fallline.program.lower import lower, prepared

TILED = f"range(0, d1, {TILE[0]})"


def source(function, *arrays):
    graph, _ = trace(function, [new_input(a.shape, a.dtype) for a in arrays])
    return "".join(one.source for one in lower(prepared(graph)).instructions)


@pytest.mark.parametrize("shape", [(16, 16), (16, 33), (17, 64), (50, 31), (100, 200), (128, 131)], ids=str)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_transposed_operand_is_read_in_tiles(shape, threads, monkeypatch):
    monkeypatch.setattr(emit, "FAR", 0)
    monkeypatch.setattr(emit, "LONG", 0)
    if threads > 1:
        monkeypatch.setattr(lanes, "SMALL", 0.0)
        monkeypatch.setattr(lanes, "best", lambda ins, most, end, span: lanes.schedule(ins, most, end, span))
    rng = np.random.default_rng(0)
    a, b, row = rng.normal(size=shape), rng.normal(size=shape[::-1]), rng.normal(size=shape[1])
    c, d = rng.normal(size=(3, *shape)), rng.normal(size=(*shape[::-1], 3))

    def chains(a, b, row, c, d):
        return a + 2 * b.T - row, c * d.T + a, np.exp(b).T + a

    assert TILED in source(chains, a, b, row, c, d)
    for got, want in zip(fl.compile(chains, threads=threads)(a, b, row, c, d), chains(a, b, row, c, d), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-13)


def test_small_and_straight_ones_are_not():
    a, b = np.ones((100, 100)), np.ones((300, 400))
    assert TILED not in source(lambda a: a + a.T, a)
    assert TILED not in source(lambda b: b + 2 * b, b)
    assert TILED not in source(lambda a, b: a.T * b, np.ones((400, 300)), b)
    assert TILED in source(lambda a, b: a.T * b, np.ones((400, 256)), np.ones((256, 400)))
    assert TILED in source(lambda a, b: a.T * b, np.ones((5000, 50)), np.ones((50, 5000)))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(300, 400), (1024, 70)], ids=str)
def test_a_plain_copy_of_a_transposed_array_is_tiled(shape, dtype, monkeypatch):
    monkeypatch.setattr(emit, "LONG", 0)
    b = (np.random.default_rng(0).normal(size=shape) * 3).astype(dtype)
    copied = lambda b: (b.T.reshape(-1), np.concatenate([b.T, b.T], axis=1))
    assert TILED in source(copied, b)
    for threads in (1, 2):
        for got, want in zip(fl.compile(copied, threads=threads)(b), copied(b), strict=True):
            np.testing.assert_array_equal(got, want)
