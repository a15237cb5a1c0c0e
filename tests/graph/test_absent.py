"""NumPy's functions that cannot be traced: the replacement in the error can be, with NumPy's values."""

import re

import numpy as np
import pytest

import fallline as fl
from fallline.errors import TraceError
from fallline.graph.absent import INSTEAD, NOTHING_OF, instead_of
from fallline.graph.op import NUMPY

assert fl.ops.supported()  # the tables are full when the ops are loaded
CONSTANTS = {"pi", "inf", "arange", "eye"}


def test_what_a_hint_names_can_be_traced():
    for text in (text for table in (*INSTEAD.values(), NOTHING_OF) for text in table.values()):
        if "outside" in text or "np.fft" in text:
            continue
        for name in re.findall(r"np\.((?:linalg\.)?\w+)", text):
            found = np
            for part in name.split("."):
                found = getattr(found, part)
            assert name in CONSTANTS or found in NUMPY, name


X = np.array([0.3, np.nan, 2.0, -1.5])
SINGLE = ["nansum", "nanmean", "nanmax", "nanmin", "nanprod", "nancumsum", "nancumprod", "nanargmax", "nanargmin",
          "isposinf", "isneginf", "cbrt", "arcsinh", "signbit", "ediff1d"]  # fmt: skip


@pytest.mark.parametrize("name", SINGLE)
def test_a_hint_for_one_argument_computes_the_same(name):
    x = np.nan_to_num(X) if not name.startswith("nan") else X
    found = eval(INSTEAD["numpy"][name], {"np": np}, {"x": x})
    np.testing.assert_allclose(found, getattr(np, name)(x), rtol=1e-12)
    traced = fl.compile(lambda x: eval(INSTEAD["numpy"][name], {"np": np}, {"x": x}))(x)
    np.testing.assert_allclose(traced, found, rtol=1e-12)


PAIRS = ["fmax", "fmin", "isclose", "allclose", "array_equal", "logaddexp2", "trapezoid", "copysign", "matvec"]


@pytest.mark.parametrize("name", PAIRS)
def test_a_hint_for_two_arguments_computes_the_same(name):
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(4, 4)), rng.normal(size=4)) if name == "matvec" else rng.normal(size=(2, 5))
    given = {"a": a, "b": b, "v": b, "y": a, "x": b, "atol": 1e-8, "rtol": 1e-5}
    np.testing.assert_allclose(eval(INSTEAD["numpy"][name], {"np": np}, given), getattr(np, name)(a, b), rtol=1e-12)


def test_every_function_of_numpy_that_is_not_there_says_so_without_a_guess():
    told = 0
    for module in (np, np.linalg, np.fft):
        for name in sorted(dir(module)):
            function = getattr(module, name)
            ours = function in NUMPY if callable(function) and not isinstance(function, type) else True
            if ours or name.startswith("_") or not hasattr(function, "__wrapped__"):
                continue  # only those that ask their arguments
            try:
                fl.graph_of(lambda x, function=function: function(x), np.eye(3))
            except TraceError as error:
                assert "did you mean" not in str(error), name
                assert "at test_absent.py:" in str(error), name
                told += "is not among the functions that are there" in str(error)
            except TypeError:
                pass  # NumPy's own, for a missing argument
    assert told > 40
    assert instead_of("numpy", "nextafter") is None
    assert "decompositions" in instead_of("numpy.linalg", "qr")
