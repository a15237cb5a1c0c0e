"""The sign of a zero that sums give is NumPy's: they begin from 0, running ones from the first element."""

import numpy as np
import pytest

import fallline as fl

SHAPES = [(1,), (9,), (70,), (1, 1), (4, 1), (1, 4), (5, 2), (5, 3), (40, 100), (3, 1, 2)]
SUMS = {
    "sum": np.sum,
    "mean": np.mean,
    "cumsum": np.cumsum,
    "sum plus zero": lambda x, axis: np.sum(x + 0, axis=axis),
    "plus": lambda x, axis: x + 0 * axis,
    "minus": lambda x, axis: (x - 0, x - -0.0, 0 - x, x + -0.0),
    "softmax like": lambda x, axis: x - np.sum(x, axis=axis, keepdims=True),
    "dot with ones": lambda x, axis: np.sum(x * np.ones_like(x), axis=axis),
}


@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_zeros_have_the_signs_of_numpy(name, dtype):
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        for x in (np.full(shape, -0.0, dtype), rng.choice([0.0, -0.0], shape).astype(dtype)):
            for axis in range(-1, x.ndim):
                function = lambda x, axis=axis: SUMS[name](x, axis=axis)
                expected = np.atleast_1d(np.asarray(function(x)))
                got = np.atleast_1d(np.asarray(fl.compile(function)(x)))
                np.testing.assert_array_equal(np.signbit(got), np.signbit(expected))


def test_by_hand():
    x = np.array([[-0.0, -0.0], [-0.0, 0.0]])
    assert not np.signbit(fl.compile(lambda x: x.sum(1))(x)).any()
    assert not np.signbit(fl.compile(np.sum)(np.array([-0.0])))
    assert np.signbit(fl.compile(np.cumsum)(np.array([-0.0, -0.0]))).all()
