"""Sums, products and extremes over long axes: their error compared with NumPy's, and bits by lanes."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest

import fallline as fl
from fallline.program import lanes

LENGTHS = (1, 5, 31, 100, 384, 1000, 8191, 30_000, 1_000_003)
# A row of NumPy's error is now and then almost none: so much is allowed in any case, in units of the last place.
ALLOWED = 2.0


def exact(x, y=None):
    """The sum of x, or of x y, as exactly as float64 tells it."""
    with np.errstate(all="ignore"):
        return math.fsum(x.astype(float) if y is None else x.astype(np.longdouble) * y)


SUMS = {
    "sum": (np.sum, lambda x, y: exact(x)),
    "mean": (np.mean, lambda x, y: exact(x) / len(x)),
    "dot": (lambda x: np.dot(x, x), lambda x, y: exact(x, x)),
    "norm": (np.linalg.norm, lambda x, y: math.sqrt(exact(x, x))),
    "strided": (lambda x: np.sum(x[::3]), lambda x, y: exact(x[::3])),
    "squares": (lambda x: np.sum(x * x), lambda x, y: exact(x * x)),
    "var": (np.var, lambda x, y: float(np.var(x.astype(np.longdouble)))),
    "a column": (lambda x: (np.reshape(x, (-1, 1)).T @ np.reshape(x, (-1, 1)))[0, 0], lambda x, y: exact(x, x)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SUMS)
def test_the_error_of_a_long_sum_is_at_most_four_times_numpys(name, dtype):
    function, right = SUMS[name]
    for n in LENGTHS:
        errors = []
        for seed in range(3):
            x = np.random.default_rng(n + seed).uniform(0.1, 1.0, n).astype(dtype)
            x = np.full(n, 0.1, dtype) if seed == 0 and name != "var" else x  # each is rounded off as the one before
            want = right(x, x)
            unit = abs(want) * np.finfo(dtype).eps
            errors.append([abs(float(f(x)) - want) / unit if unit else 0.0 for f in (fl.compile(function), function)])
        ours, numpys = np.max(errors, axis=0)
        assert ours <= 4 * numpys + ALLOWED, (n, ours, numpys)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(3, 70_000, 5), (40, 20_000, 70), (1, 100_000, 9), (8, 50_000, 1)], ids=str)
def test_the_error_of_a_product_with_a_long_inner_axis_is_at_most_four_times_numpys(sizes, dtype):
    m, k, n = sizes
    rng = np.random.default_rng(k)
    x, delta = (rng.uniform(0.1, 1.0, (k, size)).astype(dtype) for size in (m, n))
    want = x.astype(np.longdouble).T @ delta
    turned = np.ascontiguousarray(x.T)
    for function, arrays in ((lambda x, d: x.T @ d, (x, delta)), (lambda x, d: x @ d, (turned, delta))):
        ours, numpys = (np.max(np.abs(f(*arrays) / want - 1)) for f in (fl.compile(function), function))
        assert ours <= 4 * numpys + ALLOWED * np.finfo(dtype).eps
    rows = fl.compile(lambda d: np.sum(d, axis=0))(delta)
    assert np.max(np.abs(rows / delta.sum(0, dtype=np.longdouble) - 1)) <= 40 * np.finfo(dtype).eps


def test_infinity_and_overflow_in_a_long_sum_are_numpys():
    for dtype in (np.float32, np.float64):
        x = np.ones(30_000, dtype)
        for places in ({5: np.inf}, {5: np.inf, 20_000: -np.inf}, {5: np.nan, 6: np.inf}, {9: -np.inf}):
            y = x.copy()
            y[list(places)] = list(places.values())
            with np.errstate(invalid="ignore"):
                np.testing.assert_array_equal(fl.compile(np.sum)(y), np.sum(y))
        huge = np.full(30_000, np.finfo(dtype).max / 1000)
        assert fl.compile(np.sum)(huge) == np.inf


def shares(function, arrays, monkeypatch):
    """The results of a function on one lane, and on more."""
    alone = fl.compile(function)(*arrays)
    monkeypatch.setattr(lanes, "SMALL", 0.0)
    monkeypatch.setattr(lanes, "best", lambda ins, most, end, span: lanes.schedule(ins, most, end, span))
    return alone, [fl.compile(function, threads=threads)(*arrays) for threads in (2, 3, 4)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(900, 131), (3, 500, 66), (1000, 2), (2, 9000)], ids=str)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_folds_shared_by_lanes_have_the_bits_of_one(shape, axis, dtype, monkeypatch):
    x = np.random.default_rng(2).normal(size=shape).astype(dtype)
    x.flat[77] = np.nan

    def folds(x):
        return [f(x, axis=axis) for f in (np.sum, np.max, np.min, np.argmax, np.argmin)]

    alone, others = shares(folds, [x], monkeypatch)
    for one, f in zip(alone, (np.sum, np.max, np.min, np.argmax, np.argmin), strict=True):
        np.testing.assert_allclose(one, f(x, axis=axis), rtol=1e-4, atol=1e-3)
    for other in others:
        assert all(one.tobytes() == two.tobytes() for one, two in zip(alone, other, strict=True))


@pytest.mark.parametrize("sizes", [(900, 70, 1), (1, 900, 70), (17, 900, 1), (20, 900, 300), (1, 70, 900)], ids=str)
def test_products_shared_by_lanes_have_the_bits_of_one(sizes, monkeypatch):
    m, k, n = sizes
    rng = np.random.default_rng(3)
    a, b, c, row = (rng.normal(size=shape).astype(np.float32) for shape in ((m, k), (k, n), (m, n), (n,)))

    def products(a, b, c, row):
        return [a @ b + row, c + a @ b, a @ (b + 1)]

    alone, others = shares(products, [a, b, c, row], monkeypatch)
    np.testing.assert_allclose(alone[1], c + a.astype(float) @ b, rtol=0, atol=1e-3)
    for other in others:
        assert all(one.tobytes() == two.tobytes() for one, two in zip(alone, other, strict=True))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "uint8", "bool"])
@pytest.mark.parametrize("columns", [1, 2, 3, 5, 8, 13, 31, 40, 64, 100, 129, 200])
def test_folds_across_rows_of_any_width(columns, dtype):
    x = np.random.default_rng(columns).normal(size=(11, columns)) * 40
    # Processors differ in what a negative number becomes where there are none.
    x = (abs(x) if dtype == "uint8" else x).astype(dtype)
    names = (np.max, np.min, np.argmax, np.argmin, *([] if dtype == "bool" else [np.sum]))
    for axis in (0, 1):
        got = fl.compile(lambda x, axis=axis: [f(x, axis=axis) for f in names])(x)
        for one, f in zip(got, names, strict=True):
            np.testing.assert_allclose(one, f(x, axis=axis), rtol=1e-5, atol=1e-4, err_msg=f.__name__)


@pytest.mark.parametrize("n", [1, 2, 17, 64, 300, 5000])
def test_extremes_and_their_places_keep_numpys_rules_of_nan_and_infinity(n):
    rng = np.random.default_rng(n)
    for dtype in (np.float32, np.float64):
        for kind in range(6):
            x = rng.integers(-3, 3, (n, 3)).astype(dtype)  # many are equal
            for value in [(), (np.nan,), (np.inf,), (-np.inf,), (np.nan, np.inf), (np.nan, np.nan)][kind]:
                x[rng.integers(n), rng.integers(3)] = value
            for axis in (0, 1, None):
                for f in (np.max, np.min, np.argmax, np.argmin):
                    got = fl.compile(lambda x, f=f, axis=axis: f(x, axis=axis))(x)
                    np.testing.assert_array_equal(got, f(x, axis=axis))
    for value in (-np.inf, np.inf, np.nan):
        x = np.full((n, 2), value)
        assert fl.compile(np.argmax)(x) == fl.compile(np.argmin)(x) == 0


BITS = """
import hashlib, sys
import numpy as np
if sys.argv[1] != "own":
    from unittest.mock import patch
    import numba
    from llvmlite.binding import FeatureMap
    numba.njit(lambda: 1)()  # Numba itself goes on knowing what this processor can do
    with patch("llvmlite.binding.get_host_cpu_features", lambda: FeatureMap(dict.fromkeys(sys.argv[1].split(), True))):
        from fallline.program.kernels import registers
    assert registers.REGISTER == int(sys.argv[2]), registers.REGISTER
import fallline as fl
rng = np.random.default_rng(0)
bits = hashlib.sha256()
for dtype in ("float32", "float64"):
    for n in (10, 1000, 100_003):
        x = rng.normal(size=n).astype(dtype)
        bits.update(fl.compile(lambda x: [np.sum(x), np.dot(x, x), np.max(x), np.argmin(x)])(x)[0].tobytes())
    a, b, c = (rng.normal(size=shape).astype(dtype) for shape in ((70, 900), (900, 70), (900, 1)))
    for one in fl.compile(lambda a, b, c: [a @ b, b.T @ a.T, a @ c, a.sum(0), b.sum(1), a[:3] @ b])(a, b, c):
        bits.update(one.tobytes())
print(bits.hexdigest())
"""


# The compiler splits vectors that are too wide for this processor, so that a wider one's can be run here too.
@pytest.mark.slow
def test_sums_have_the_same_bits_whatever_the_width_of_registers(tmp_path):
    found = []
    for features, register in (("own", 0), ("avx512f", 64), ("avx avx2", 32), ("none", 16)):
        env = {**os.environ, "FALLLINE_CACHE": str(tmp_path)}
        command = [sys.executable, "-c", BITS, features, str(register)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found.append(done.stdout)
    assert len(set(found)) == 1
