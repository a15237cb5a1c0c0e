"""Arrays of every form, also without elements or axes: machine = reference = NumPy, or an error where NumPy has one.

Shapes are drawn from rank 0 to 4 with the sizes 0, 1, 2, 3, 8, and axes from all combinations; derivatives are held
against difference quotients of NumPy's own result.
"""

import itertools
import zlib

import numpy as np
import pytest

import fallline as fl
from fallline.errors import FalllineError
from fallline.graph.verify import verify
from fallline.program import reference

SIZES = (0, 1, 2, 3, 8)
LARGEST = 200  # elements
DRAWN = 4  # shapes for a function

# name -> f(x, axis): of an axis, or of several, or of all. `one`: takes at most one.
MANY = {
    "sum": np.sum, "mean": np.mean, "var": np.var, "std": np.std, "prod": np.prod, "max": np.max, "min": np.min,
    "ptp": np.ptp, "any": np.any, "all": np.all, "count_nonzero": np.count_nonzero,
    "keepdims": lambda x, axis: np.sum(x, axis=axis, keepdims=True) * np.max(x, axis=axis, keepdims=True),
    "centred": lambda x, axis: x - np.mean(x, axis=axis, keepdims=True),
    "scaled": lambda x, axis: np.exp(x - np.max(x, axis=axis, keepdims=True)) / np.sum(np.exp(x), axis, keepdims=True),
    "flip": np.flip,
}  # fmt: skip
ONE = {
    "argmax": np.argmax, "argmin": np.argmin, "cumsum": np.cumsum, "cumprod": np.cumprod, "sort": np.sort,
    "argsort": np.argsort, "norm": lambda x, axis: np.linalg.norm(x, axis=axis),
    "norm 1": lambda x, axis: np.linalg.norm(x, 1, axis), "norm inf": lambda x, axis: np.linalg.norm(x, np.inf, axis),
    "norm -inf": lambda x, axis: np.linalg.norm(x, -np.inf, axis), "take": lambda x, axis: np.take(x, [0, -1], axis),
    "take none": lambda x, axis: np.take(x, np.zeros(0, int), axis), "repeat": lambda x, axis: np.repeat(x, 2, axis),
    "repeat none": lambda x, axis: np.repeat(x, 0, axis), "roll": lambda x, axis: np.roll(x, 2, axis),
    "squeeze": np.squeeze, "concatenate": lambda x, axis: np.concatenate([x, 2 * x], axis),
}  # fmt: skip
AT = {  # takes an axis that is a number
    "concatenate one": lambda x, axis: np.concatenate([x], axis), "stack": lambda x, axis: np.stack([x, x + 1], axis),
    "expand_dims": np.expand_dims, "array_split": lambda x, axis: np.array_split(x, 3, axis)[1],
    "split": lambda x, axis: np.split(x, [1, 1, 9], axis)[2], "split in none": lambda x, axis: np.split(x, 0, axis),
    "diff": lambda x, axis: np.diff(x, 1, axis), "diff 2": lambda x, axis: np.diff(x, 2, axis),
    "swapaxes": lambda x, axis: np.swapaxes(x, axis, 0), "moveaxis": lambda x, axis: np.moveaxis(x, axis, -1),
    "with none": lambda x, axis: np.concatenate([x, np.ones([n * (i != axis % x.ndim) for i, n in enumerate(x.shape)])],
                                                axis),
    "average": lambda x, axis: np.sum(x, axis) / x.shape[axis],
}  # fmt: skip
PLAIN = {
    "ravel": np.ravel, "T": lambda x: x.T, "reshape": lambda x: x.reshape(x.shape[::-1]),
    "reshape -1": lambda x: x.reshape(-1, 2), "reshape 0": lambda x: x.reshape(0, -1),
    "atleast": np.atleast_2d, "broadcast_to": lambda x: np.broadcast_to(x, (2, *x.shape)),
    "broadcast_to none": lambda x: np.broadcast_to(x, (0, *x.shape)), "diag": np.diag,
    "diagonal": lambda x: np.diagonal(x, 1), "trace": np.trace, "tril": np.tril, "triu": lambda x: np.triu(x, 1),
    "roll all": lambda x: np.roll(x, 1), "first": lambda x: x[0], "last": lambda x: x[..., -1],
    "slice": lambda x: x[1:, ...], "reverse": lambda x: x[::-1], "empty slice": lambda x: x[5:2],
    "new": lambda x: x[None],
    "pick": lambda x: x[[-1, 0]], "pick none": lambda x: x[[]], "mask": lambda x: x[np.ones(x.shape, bool)],
    "mask none": lambda x: x[np.zeros(x.shape, bool)], "pick behind": lambda x: x[..., [0, 0]],
    "vstack": lambda x: np.vstack([x, x]), "hstack": lambda x: np.hstack([x, x]),
    "column_stack": lambda x: np.column_stack([x, x]), "vsplit": lambda x: np.vsplit(x, 1)[0],
    "hsplit": lambda x: np.hsplit(x, 1)[0],
    "tile": lambda x: np.tile(x, (2, 1)),
    "tile none": lambda x: np.tile(x, 0), "pad": lambda x: np.pad(x, 1),
    "pad 3": lambda x: np.pad(x, 1, constant_values=3),
    "pad edge": lambda x: np.pad(x, 1, mode="edge"), "pad wrap": lambda x: np.pad(x, ((0, 1),), mode="wrap"),
    "product": lambda x: x @ np.swapaxes(x, -1, -2), "dot": lambda x: np.dot(x, np.swapaxes(x, -1, -2)),
    "inner": lambda x: np.inner(x, x), "outer": lambda x: np.outer(x, x),
    "tensordot": lambda x: np.tensordot(x, x, x.ndim),
    "outer ufunc": lambda x: np.multiply.outer(x, x), "einsum": lambda x: np.einsum("ij,kj->ik", x, x),
    "einsum ...": lambda x: np.einsum("...i,...i->...", x, x), "einsum ii": lambda x: np.einsum("ii", x),
    "vecdot": lambda x: np.vecdot(x, x), "reduce": np.add.reduce, "maximum.reduce": np.maximum.reduce,
    "broadcast": lambda x: np.tanh(x * np.ones(x.shape[1:]) + np.ones((1,) * x.ndim)), "norm all": np.linalg.norm,
    "stretched": lambda x: np.where(np.sum(x, axis=0) > 0, x, np.sum(x * x, axis=-1, keepdims=True)),
    "select": lambda x: np.select([x > 0, x < -1], [x, x * x], 0.0),
    "sums": lambda x: np.sum(np.sum(x, axis=1), axis=0),
}  # fmt: skip
CASES = {
    **{name: (f, "many") for name, f in MANY.items()},
    **{name: (f, "one") for name, f in ONE.items()},
    **{name: (f, "at") for name, f in AT.items()},
    **{name: (f, "none") for name, f in PLAIN.items()},
}


def shapes(rng):
    """Forms of arrays: one without axes, one without elements, others."""
    found = [(), tuple(rng.permutation([0, *rng.choice(SIZES, rng.integers(0, 3))]).tolist())]
    while len(found) < DRAWN:
        shape = tuple(rng.choice(SIZES, rng.integers(1, 5)).tolist())
        found += [shape] if np.prod(shape) <= LARGEST else []
    return found


def axes(rng, ndim, takes):
    """Arguments for a function of an array with so many axes."""
    if takes == "none":
        return {}
    each = list(range(-ndim, ndim)) or [0, -1]
    several = [c for k in range(ndim + 1) for c in itertools.combinations(range(ndim), k)]
    choices = {"at": each, "one": [None, *each], "many": [None, *each, *several]}[takes]
    return {"axis": choices[rng.integers(len(choices))]}


def calls(name):
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    function, takes = CASES[name]
    for shape in shapes(rng):
        given = axes(rng, len(shape), takes)
        yield (lambda x, given=given: function(x, **given)), np.asarray(1.5 * rng.standard_normal(shape)), given, rng


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", CASES)
def test_the_machine_the_reference_and_numpy_agree_on_every_form(name):
    for function, x, given, rng in calls(name):
        told = f"{name} of {x.shape}, {given}"
        try:
            expected = np.asarray(function(x))
        except (ValueError, IndexError, TypeError, ZeroDivisionError):
            with pytest.raises((FalllineError, IndexError)):
                fl.compile(function)(x)
            continue
        graph = verify(fl.graph_of(function, x))
        for got in (np.asarray(fl.compile(function)(x)), reference.run(graph, [x])[0]):
            assert (got.shape, got.dtype) == (expected.shape, expected.dtype), told
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13, err_msg=told)
        if expected.dtype.kind == "f" and np.isfinite(expected).all():
            slopes_are_right(function, x, rng.standard_normal(expected.shape), rng.standard_normal(x.shape), told)


def slopes_are_right(function, x, seed, direction, told):
    def value(x):
        return np.sum(function(x) * seed)

    graph = verify(fl.graph_of(fl.grad(value), x))
    plain, compiled = reference.run(graph, [x])[0], fl.compile(fl.grad(value))(x)
    assert plain.shape == np.shape(compiled) == x.shape
    np.testing.assert_allclose(compiled, plain, rtol=1e-10, atol=1e-12, err_msg=told)
    h = 1e-6
    quotient = (value(x + h * direction) - value(x - h * direction)) / (2 * h)
    np.testing.assert_allclose(np.sum(plain * direction), quotient, rtol=1e-5, atol=1e-6, err_msg=told)


@pytest.mark.parametrize("fold", [np.sum, np.mean, np.max, np.var, lambda x, axis: x[:, 0] + np.min(x, axis)])
def test_a_network_folds_an_axis_of_few_columns_between_others(fold):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 2, 4)).astype(np.float32), rng.integers(0, 3, 40)
    network = [lambda x: fold(x, axis=1), fl.nn.Dense(3)]
    run = fl.fit(network, (x, y), loss="cross_entropy", epochs=1, batch_size=16)
    assert run.model.predict(x).shape == (40,)
