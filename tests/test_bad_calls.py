"""Calls with wrong arguments, drawn from the public surface, fail with errors of ours: `tools/bad_calls.py`."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def bad_calls():
    found = importlib.util.spec_from_file_location("tools_bad_calls", ROOT / "tools" / "bad_calls.py")
    module = importlib.util.module_from_spec(found)
    sys.modules[module.__name__] = module  # where dataclasses look for the module of a class
    found.loader.exec_module(module)
    return module


def test_every_wrong_call_succeeds_or_fails_with_an_error_of_ours(bad_calls):
    assert [str(failure) for failure in bad_calls.failures(600, seed=0)] == []


def test_the_calls_go_over_the_whole_public_surface(bad_calls):
    names = {one.name for one in bad_calls.surface()}
    assert len(names) > 300
    assert {"fl.fit", "fl.nn.Dense", "np.sum", "a.reshape", "model.predict", "run.save", "fl.ops.softmax"} <= names
