"""Products of every size and layout, around every block's edge; and the tiles of processors that this one is not."""

import os
import subprocess
import sys

import numpy as np
import pytest

from fallline.graph.node import new_input
from fallline.graph.trace import trace
from fallline.program import lanes, products
from fallline.program.kernels import product
from fallline.program.lower import lower, prepared
from fallline.program.machine import Program

D, R = product.DEPTH, product.BLOCK_ROWS


def test_what_is_planned_for_packing_is_what_the_kernel_packs():
    assert (products.PANEL_DEPTH, products.PANEL_ROWS) == (product.DEPTH, product.BLOCK_ROWS)
    assert (products.TILE_ROWS, products.PACKED) == (product.STRIP, product.PACKED)
    for dtype, count in product.LANES.items():
        width = product.WIDE * count
        assert products.TILE_COLUMNS % width == 0
        assert count <= products.SLACK, dtype


def program_of(function, arrays, threads=1):
    inputs = [new_input(a.shape, a.dtype) for a in arrays]
    return Program(lower(prepared(trace(function, inputs)[0])), arrays, threads=threads)


# On both sides of every edge: depth, rows of a block, strips, columns of a panel, few rows, what packing pays for.
EDGES = [
    (6, D + 1, 64), (7, 2 * D, 63), (32, 300, 100), (33, 300, 100), (64, D, 129), (65, D - 1, 200), (200, 330, 193),
    (R, 70, 200), (R + 1, 70, 192), (R + 7, 33, 65), (130, 600, 515), (400, 170, 1030),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", EDGES, ids=str)
def test_around_the_edges_of_blocks(sizes, dtype):
    m, k, n = sizes
    rng = np.random.default_rng(m + k + n)
    a, b, row = (rng.standard_normal(shape) for shape in ((m, k), (k, n), (n,)))
    want = a @ b + row
    for turned_a in (False, True):
        for turned_b in (False, True):
            x, y = a.T if turned_a else a, b.T if turned_b else b
            arrays = [np.ascontiguousarray(v, dtype) for v in (x, y, row)]
            program = program_of(
                lambda x, y, r, ta=turned_a, tb=turned_b: (x.T if ta else x) @ (y.T if tb else y) + r, arrays
            )
            program.arena.view(np.uint8)[: program.plan.size] = 255  # NaN, should any of it be read unwritten
            program.run()
            got = program.value(program.outputs[0])
            np.testing.assert_allclose(got, want, rtol=0, atol=2e-6 * k if dtype == "float32" else 1e-14 * k)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(70, D + 9, 330), (179, D + 9, 330), (R + 9, 80, 300), (5, 40, 700)], ids=str)
def test_shares_by_rows_or_by_columns_give_the_bits_of_the_whole(sizes, dtype):
    m, k, n = sizes
    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in ((m, k), (k, n), (n,))]
    alone = program_of(lambda x, y, r: x @ y + r, arrays)
    alone.run()
    assert alone.instructions[-1].split.axes[0] == (1 if m > R else 2)
    assert [one.name for one in alone.instructions][:-1] == ["pack"] * (m * k > products.PACK_A[1] and m < n)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lanes, "SMALL", 0.0)
        patch.setattr(lanes, "best", lambda ins, most, end, span: lanes.schedule(ins, most, end, span))
        for threads in (2, 3, 5):
            shared = program_of(lambda x, y, r: x @ y + r, arrays, threads)
            shared.run()
            assert shared.value(shared.outputs[0]).tobytes() == alone.value(alone.outputs[0]).tobytes()


OTHER = """
import sys
from unittest.mock import patch
import numba
import numpy as np
from llvmlite.binding import FeatureMap
numba.njit(lambda: 1)()  # Numba itself goes on knowing what this processor can do
with patch("llvmlite.binding.get_host_cpu_features", lambda: FeatureMap(dict.fromkeys(sys.argv[1].split(), True))):
    from fallline.program.kernels import registers
assert registers.REGISTER == int(sys.argv[2]), registers.REGISTER
import fallline as fl
rng = np.random.default_rng(0)
for m, k, n in [(1, 1, 1), (7, 5, 3), (13, 9, 17), (6, 40, 64), (70, 400, 201), (200, 400, 330)]:
    for dtype, close in (("float32", 2e-6), ("float64", 1e-14)):
        a, b, r = (rng.standard_normal(shape).astype(dtype) for shape in ((m, k), (k, n), (n,)))
        right = a.astype(float) @ b.astype(float) + r
        for x, y in ((a, b), (a.T.copy().T, b), (a, b.T.copy().T)):
            f = fl.compile(lambda x, y, r: x @ y + r)
            g = fl.compile(lambda x, y, r: x.T @ y.T + r)
            np.testing.assert_allclose(f(x, y, r), right, rtol=0, atol=close * k)
            np.testing.assert_allclose(g(a.T.copy(), b.T.copy(), r), right, rtol=0, atol=close * k)
print("right")
"""


# The compiler splits vectors that are too wide for this processor, so that a wider one's tiles can be run here too.
@pytest.mark.slow
@pytest.mark.parametrize(("features", "register"), [("avx512f", 64), ("none", 16)])
def test_tiles_of_processors_with_other_registers(features, register, tmp_path):
    others = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    env = {**others, "FALLLINE_CACHE": str(tmp_path)}
    command = [sys.executable, "-c", OTHER, features, str(register)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.stdout == "right\n", done.stderr
