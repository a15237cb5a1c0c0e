"""Whatever comes in as an array, anywhere, gives the result of the plain array or is refused: never another one."""

import numpy as np
import pytest
import scipy.sparse

import fallline as fl
from fallline.errors import FalllineError

RNG = np.random.default_rng(0)
B, W = RNG.normal(size=(2, 8, 3))
TARGET = np.ascontiguousarray(B[:, :2])
# np.matrix is deprecated, by a warning; it is met all the same.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")


class Sub(np.ndarray):
    """A subclass that means by its arithmetic what NumPy does."""


class Units(np.ndarray):
    """A subclass with an arithmetic of its own."""

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return NotImplemented


class Holder:
    """An object with `__array__`."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array if dtype is None else self.array.astype(dtype)


class Failing:
    """Another library's tensor that does not want to become an array."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("it requires a gradient")


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


# Taken: the same numbers in another form.
FORMS = {
    "list": lambda: B.tolist(), "list of arrays": lambda: list(B), "big-endian": lambda: B.astype(">f8"),
    "read-only": lambda: read_only(B), "every second": lambda: np.repeat(np.repeat(B, 2, 0), 2, 1)[::2, ::2],
    "backwards": lambda: B[::-1, ::-1].copy()[::-1, ::-1], "Fortran": lambda: np.asfortranarray(B),
    "unaligned": lambda: np.frombuffer(b"x" + B.tobytes(), "u1")[1:].view("f8").reshape(8, 3),
    "subclass": lambda: B.view(Sub), "holder": lambda: Holder(B), "memory": lambda: memoryview(B),
}  # fmt: skip

# Refused: taking the numbers would lose or change something.
REFUSED = {
    "masked": lambda: np.ma.array(B, mask=B > 1), "masked nowhere": lambda: np.ma.array(B),
    "matrix": lambda: np.asmatrix(B), "units": lambda: B.view(Units),
    "masked rows": lambda: [np.ma.array(row, mask=[1, 0, 0]) for row in B],
    "rows of matrices": lambda: [np.asmatrix(row) for row in B], "masked entry": lambda: [[1.0, np.ma.masked, 2.0]] * 8,
    "sparse": lambda: scipy.sparse.csr_matrix(B), "sparse array": lambda: scipy.sparse.csr_array(B),
    "holds a mask": lambda: Holder(np.ma.array(B, mask=True)), "complex": lambda: B + 1j, "text": lambda: B.astype(str),
    "dates": lambda: np.zeros((8, 3), "M8[D]"), "spans": lambda: np.zeros((8, 3), "m8[D]"),
    "records": lambda: np.zeros((8, 3), [("a", "f8")]), "objects": lambda: np.array([["a", 1.0, None]] * 8, object),
    "generator": lambda: (row for row in B), "failing": Failing,
}  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return fl.nn.Model.init(fl.nn.Dense(2), 3, dtype="float64")


def trained(x, y, units=2):
    return fl.fit(fl.nn.Dense(units), (x, y), loss="squared_error", epochs=1, dtype="float64", threads=1).model.theta


def quietly(call):
    with np.errstate(invalid="ignore"):
        return call()


# From an array of shape (8, 3), in whatever form, to numbers.
ENTRIES = {
    "fit": lambda model, a: trained(a, TARGET),
    "fit, targets": lambda model, a: (
        fl.fit(fl.nn.Dense(3), (B, a), loss="squared_error", epochs=1, threads=1).model.theta
    ),
    "predict": lambda model, a: model.predict(a),
    "outputs": lambda model, a: model.outputs(a),
    "explain": lambda model, a: fl.explain(model, a, TARGET).loss,
    "grad": lambda model, a: fl.grad(lambda p: np.sum(p * p * W))(a),
    "grad, another argument": lambda model, a: fl.grad(lambda p, q: np.sum(p * p * q))(W, a),
    "closure, right": lambda model, a: fl.grad(lambda p: np.sum(p * a))(W),
    "closure, left": lambda model, a: fl.grad(lambda p: np.sum(a * p))(W),
    "closure, product": lambda model, a: fl.grad(lambda p: np.sum(np.matmul(p.T, a)))(W),
    "closure, where": lambda model, a: fl.grad(lambda p: np.sum(np.where(p > 0, p * p, a)))(W),
    "closure, joined": lambda model, a: fl.compile(lambda p: np.concatenate([p, a]))(W),
    "closure, stacked": lambda model, a: fl.compile(lambda p: np.stack([p, a]))(W),
    "compiled": lambda model, a: fl.compile(lambda p: p * p)(a),
    "jvp": lambda model, a: fl.jvp(lambda p: p * p)(W, a)[1],
    "vjp": lambda model, a: fl.vjp(lambda p: p * p)(W)[1](a),
    "hvp": lambda model, a: fl.hvp(lambda p: np.sum(p**3))(W, a),
    "relu": lambda model, a: fl.ops.relu(a),
    "softmax": lambda model, a: fl.ops.softmax(a, axis=-1),
    "logsumexp, weights": lambda model, a: quietly(lambda: fl.ops.logsumexp(W, axis=0, b=a)),
    "standardise": lambda model, a: [one.mean for one in fl.nn.standardise(a).columns],
    "verdict": lambda model, a: fl.verdict(lambda p: np.sum(p * p), a).value,
}
# A list is a tree of numbers where parameters are meant, and what compile cannot look into is part of the program.
TREES = ("grad", "compiled", "jvp", "vjp", "hvp", "verdict")


@pytest.mark.parametrize("entry", ENTRIES)
def test_other_forms_of_the_same_numbers_give_the_same_result(entry, model):
    wanted = ENTRIES[entry](model, B)
    for name, form in FORMS.items():
        if entry in TREES and ("list" in name or (entry == "compiled" and name in ("holder", "memory"))):
            continue
        if entry in ("closure, left", "closure, right") and name == "memory":
            continue  # a memoryview has no arithmetic
        np.testing.assert_allclose(ENTRIES[entry](model, form()), wanted, rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("call", [
    lambda m: fl.compile(lambda a: a[m])(B), lambda m: fl.compile(lambda a: np.take(a, m, axis=0))(B),
    lambda m: fl.compile(lambda a: a[:, m > 0])(B), lambda m: fl.compile(lambda a: fl.ops.gather(a, m, axis=0))(B),
    lambda m: fl.fit(fl.nn.Dense(2), (B, TARGET), loss="squared_error", epochs=1, validation=m),
    lambda m: fl.folds((B, m), 3),
])  # fmt: skip
def test_positions_do_not_lose_a_mask_either(call):
    with pytest.raises(FalllineError, match="a masked array, whose mask would be lost"):
        call(np.ma.array([1, 2, 0], mask=[0, 1, 0]))


@pytest.mark.parametrize("entry", ENTRIES)
def test_what_would_lose_a_mask_or_a_meaning_is_refused(entry, model):
    for name, form in REFUSED.items():
        given = form()
        if entry in TREES and (isinstance(given, list) or (entry == "compiled" and not isinstance(given, np.ndarray))):
            continue
        with pytest.raises((FalllineError, TypeError)) as caught:
            ENTRIES[entry](model, given)
        foreign = entry == "closure, left" and name in ("sparse", "sparse array", "units", "generator", "failing")
        assert isinstance(caught.value, FalllineError) or foreign or entry == "closure, right", (name, caught.value)


def test_the_refusal_says_what_was_given_and_what_to_give_instead(model):
    masked = np.ma.array(B, mask=B > 1)
    for call in (lambda: model.predict(masked), lambda: trained(masked, TARGET), lambda: fl.grad(np.sum)(masked)):
        with pytest.raises(FalllineError, match=r"a masked array, whose mask would be lost[\s\S]*try: .filled"):
            call()
    double = fl.compile(lambda x: x + x)
    double(B)  # a program for arrays of this form is there
    with pytest.raises(FalllineError, match="a masked array"):
        double(masked)
    for left in (masked, np.asmatrix(B)):
        with pytest.raises(FalllineError, match=r"at test_arrays.py:\d+"):
            fl.compile(lambda x, left=left: left * x)(B)


def test_whole_numbers_of_any_width_have_a_softmax():
    for dtype in (np.uint8, np.int32, np.int64, bool):
        x = np.array([[1, 0, 1], [0, 1, 1]]).astype(dtype) * np.asarray(200, dtype)
        for function in (fl.ops.softmax, fl.ops.log_softmax, fl.ops.logsumexp):
            np.testing.assert_allclose(function(x, axis=1), function(x.astype(float), axis=1), rtol=1e-12)
            np.testing.assert_allclose(
                fl.compile(lambda x, f=function: f(x, axis=1))(x), function(x, axis=1), rtol=1e-12
            )


def test_whole_numbers_and_halves_are_rows_like_any(model):
    rows = np.abs(B * 10)
    for dtype in ("u1", ">i4", "i8", bool, "f2", ">f4", "g"):
        given = rows.astype(dtype)
        np.testing.assert_allclose(model.predict(given), model.predict(given.astype(float)), rtol=1e-12)
        np.testing.assert_array_equal(trained(given, TARGET), trained(given.astype(float), TARGET))
