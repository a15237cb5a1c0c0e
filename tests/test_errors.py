"""Names that are not known: the nearest one, or the one that another library's word means."""

import fallline as fl
from fallline.errors import ELSEWHERE, ArgumentError, FalllineError, nearest, unknown


def test_a_close_name_is_suggested_and_a_distant_one_is_not():
    assert nearest("rellu", ["relu", "tanh"]) == "; did you mean 'relu'?"
    assert nearest("qqq", ["relu", "tanh"]) == ""


def test_the_error_lists_all_names_and_is_two_kinds_at_once():
    error = unknown("activation", "rellu", ["tanh", "relu"])
    assert str(error).splitlines()[1] == "  known: relu, tanh"
    assert isinstance(error, ArgumentError | FalllineError)
    assert isinstance(error, ValueError)


def test_a_name_from_another_library_finds_ours():
    tables = (fl.optim.OPTIMIZERS, fl.nn.LOSSES, fl.nn.ACTIVATIONS, fl.nn.INITIALIZERS)
    known = {name for table in tables for name in table}
    assert set(ELSEWHERE.values()) <= known
    assert not set(ELSEWHERE) & known
    assert nearest("SGD", known) == "; did you mean 'gradient_descent'?"
    assert nearest("MSE", known) == "; did you mean 'squared_error'?"
