"""Rowwise: any number of rows through programs of a few sizes, on any number of lanes, each row for itself."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallline.errors import ArgumentError, ProgramError
from fallline.transforms.rowwise import SIZES, Rowwise

THETA = np.array([2.0, -1.0, 0.5])


def never(x: np.ndarray) -> None:
    raise AssertionError("asked about numbers that are finite")


def rowwise(function: Any = lambda theta, x: np.tanh(x) @ np.outer(theta, theta), block: int = 128) -> Rowwise:
    return Rowwise(function, THETA, (3,), np.dtype(np.float64), block)


SHARED = rowwise()
ROWS = np.random.default_rng(1).normal(size=(2000, 3))
WHOLE = rowwise()(ROWS, never)


@pytest.fixture(autouse=True, scope="module")
def one_block_a_turn() -> Any:
    """So that there is something to share out between lanes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fallline.program.rows.TURN", 1.0)
        yield


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 2000), st.sampled_from([1, 2, 3]), st.sampled_from("CF"))
def test_any_number_of_rows(n: int, threads: int, order: Any) -> None:
    np.testing.assert_array_equal(SHARED(np.asarray(ROWS[:n], order=order), never, threads=threads), WHOLE[:n])


def test_rows_beyond_count_give_the_functions_values() -> None:
    np.testing.assert_allclose(WHOLE, np.tanh(ROWS) @ np.outer(THETA, THETA), rtol=1e-13)


def test_few_sizes_serve_every_number_of_rows() -> None:
    one = rowwise()
    for n in range(1, 400):
        one(ROWS[:n], never)
    assert sorted(rows for _, rows in one._free) == sorted((*SIZES, 128))
    assert all(len(programs) == 1 for programs in one._free.values())


def test_one_is_asked_once_about_numbers_whose_sum_is_not_finite() -> None:
    asked = []
    x = np.full((1000, 3), 1e308)
    y = rowwise(lambda theta, x: x * theta[2])(x, lambda given: asked.append(len(given)))
    np.testing.assert_array_equal(y, x * 0.5)
    assert asked == [1000]


@pytest.mark.parametrize("threads", [1, 2])
def test_what_doubt_raises_ends_the_call_and_programs_come_back(threads: int) -> None:
    one, x = rowwise(), ROWS.copy()
    x[700] = np.nan

    def refuse(given: np.ndarray) -> None:
        raise ValueError("not a number")

    for _ in range(3):
        with pytest.raises(ValueError, match="not a number"):
            one(x, refuse, threads=threads)
    assert sum(map(len, one._free.values())) <= 1 + threads
    np.testing.assert_array_equal(one(ROWS, never, threads=threads), WHOLE)


@pytest.mark.parametrize(("function", "says"), [
    (lambda theta, x: float(x[0, 0]), "no program can be made for 8 rows of float64"),
    (lambda theta, x: np.sum(x), r"no program can be made for 8 rows of float64: 8 rows became an array of shape \(\)"),
    (lambda theta, x: undefined, "no program"),  # type: ignore[name-defined]  # noqa: F821
])  # fmt: skip
def test_what_cannot_be_a_program_is_told(function: Any, says: str) -> None:
    with pytest.raises(ProgramError, match=says):
        rowwise(function)(ROWS[:9], never)


def test_senseless_threads_are_refused() -> None:
    with pytest.raises(ArgumentError, match="threads"):
        SHARED(ROWS[:1], never, threads=0)
