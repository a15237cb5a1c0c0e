"""The public names: sorted, each there, loaded only when it is used, and a misspelt one raises with the nearest."""

import subprocess
import sys

import pytest

import fallline as fl


def test_all_public_names_are_sorted_and_exist():
    assert fl.__all__ == sorted(set(fl.__all__))
    for name in fl.__all__:
        assert getattr(fl, name) is not None
    assert set(fl.__all__) <= set(dir(fl))


def test_every_derivative_is_public():
    promised = {
        "compile",
        "grad",
        "graph_of",
        "hessian",
        "hvp",
        "jacobian",
        "jvp",
        "ops",
        "scan",
        "testing",
        "value_and_grad",
        "vjp",
        "vmap",
    }
    assert promised <= set(fl.__all__)


def test_a_name_that_does_not_exist_gets_the_nearest():
    with pytest.raises(AttributeError, match="no attribute 'jacobain'; did you mean 'jacobian'"):
        fl.jacobain  # noqa: B018
    with pytest.raises(ImportError):
        from fallline import nothing_of_the_kind  # noqa: F401


def test_names_are_looked_up_when_they_are_used():
    code = (
        "import sys, fallline as fl; assert 'fallline.transforms' not in sys.modules; "
        "fl.grad; assert 'fallline.transforms' in sys.modules; assert 'grad' in vars(fl); "
        "assert not {'numba', 'scipy', 'sklearn'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
