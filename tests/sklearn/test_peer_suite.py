"""scikit-learn's own tests of its MLPs, as they are installed, run against the classes of that name here.

Its module is loaded once more under another name, while `sklearn.neural_network` hands out our two classes.
"""

from __future__ import annotations

import importlib.util
from types import ModuleType
from unittest import mock

import pytest
import sklearn
import sklearn.neural_network

from fallline.sklearn import MLPClassifier, MLPRegressor

THEIRS = "sklearn.neural_network.tests.test_mlp"
# Tests that read attributes of scikit-learn's own with a leading underscore; nothing else is left out.
LEFT_OUT = {
    "test_gradient": "_loss_grad_lbfgs; gradients are checked in tests/nn and tests/sklearn/test_multilayer.py",
    "test_learning_rate_warmstart": "_optimizer.learning_rate; rates are in history_, see test_multilayer.py",
    "test_adaptive_learning_rate": "_optimizer.learning_rate; rates are in history_, see test_multilayer.py",
    "test_n_iter_no_change": "_no_improvement_count; epochs are counted in test_multilayer.py",
    "test_n_iter_no_change_inf": "_no_improvement_count; epochs are counted in test_multilayer.py",
}

pytestmark = [
    pytest.mark.skipif(tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 9), reason="other arguments then"),
    # As for scikit-learn's classes there: whoever reaches max_iter is told so.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def loaded() -> ModuleType:
    ours = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}
    spec = importlib.util.find_spec(THEIRS)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with mock.patch.multiple(sklearn.neural_network, **ours):
        spec.loader.exec_module(module)
    assert module.MLPClassifier is MLPClassifier and module.MLPRegressor is MLPRegressor
    return module


FOUND = {name: value for name, value in vars(loaded()).items() if name.startswith("test_")}
globals().update({name: test for name, test in FOUND.items() if name not in LEFT_OUT})


@pytest.fixture
def global_random_seed() -> int:
    """The seed that scikit-learn's own runs give."""
    return 42


def test_only_tests_that_exist_are_left_out() -> None:
    assert LEFT_OUT.keys() < FOUND.keys()
    assert len(FOUND) - len(LEFT_OUT) >= 35
