"""Rowwise: any number of rows through programs of a few sizes, on any number of lanes, each row for itself."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallline.errors import ArgumentError, ProgramError
from fallline.transforms.rowwise import SIZES, Rowwise

THETA = np.array([2.0, -1.0, 0.5])


def never(xs: Any) -> None:
    raise AssertionError("asked about numbers that are finite")


def rowwise(function: Any = lambda theta, x: np.tanh(x) @ np.outer(theta, theta), block: int = 128) -> Rowwise:
    return Rowwise(function, THETA, [((3,), np.dtype(np.float64))], block)


SHARED = rowwise()
ROWS = np.random.default_rng(1).normal(size=(2000, 3))
WHOLE = rowwise()((ROWS,), never)


@pytest.fixture(autouse=True, scope="module")
def one_block_a_turn() -> Any:
    """So that there is something to share out between lanes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fallline.program.row_blocks.TURN", 1.0)
        yield


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 2000), st.sampled_from([1, 2, 3]), st.sampled_from("CF"))
def test_any_number_of_rows(n: int, threads: int, order: Any) -> None:
    np.testing.assert_array_equal(SHARED((np.asarray(ROWS[:n], order=order),), never, threads=threads), WHOLE[:n])


def test_rows_beyond_count_give_the_functions_values() -> None:
    np.testing.assert_allclose(WHOLE, np.tanh(ROWS) @ np.outer(THETA, THETA), rtol=1e-13)


def test_few_sizes_serve_every_number_of_rows() -> None:
    one = rowwise()
    for n in range(1, 400):
        one((ROWS[:n],), never)
    assert sorted(rows for rows, _ in one._free) == sorted((*SIZES, 128))
    assert all(len(programs) == 1 for programs in one._free.values())


def test_one_is_asked_once_about_numbers_whose_sum_is_not_finite() -> None:
    asked = []
    x = np.full((1000, 3), 1e308)
    y = rowwise(lambda theta, x: x * theta[2])((x,), lambda given: asked.append(len(given[0])))
    np.testing.assert_array_equal(y, x * 0.5)
    assert asked == [1000]


@pytest.mark.parametrize("threads", [1, 2])
def test_what_doubt_raises_ends_the_call_and_programs_come_back(threads: int) -> None:
    one, x = rowwise(), ROWS.copy()
    x[700] = np.nan

    def refuse(given: Any) -> None:
        raise ValueError("not a number")

    for _ in range(3):
        with pytest.raises(ValueError, match="not a number"):
            one((x,), refuse, threads=threads)
    assert sum(map(len, one._free.values())) <= 1 + threads
    np.testing.assert_array_equal(one((ROWS,), never, threads=threads), WHOLE)


@pytest.mark.parametrize(("function", "says"), [
    (lambda theta, x: float(x[0, 0]), "no program can be made for 8 rows of float64"),
    (lambda theta, x: np.sum(x), r"no program can be made for 8 rows of float64: 8 rows became an array of shape \(\)"),
    (lambda theta, x: undefined, "no program"),  # type: ignore[name-defined]  # noqa: F821
])  # fmt: skip
def test_what_cannot_be_a_program_is_reported(function: Any, says: str) -> None:
    with pytest.raises(ProgramError, match=says):
        rowwise(function)((ROWS[:9],), never)


def test_senseless_threads_are_refused() -> None:
    with pytest.raises(ArgumentError, match="threads"):
        SHARED((ROWS[:1],), never, threads=0)


# Functions of a row in which a sum, a product or an extreme comes to lie differently for one row than for many, or in
# which what is computed of theta alone has the form of a row's numbers where there is one row.
OF_ROWS = {
    "softmax": lambda theta, x: (e := np.exp(x - np.max(x, axis=1, keepdims=True))) / np.sum(e, axis=1, keepdims=True),
    "one column": lambda theta, x: x @ theta[:, None],
    "columns first": lambda theta, x: (theta[None, :] * np.ones((3, 1)) @ x.T).T,
    "columns first, one": lambda theta, x: (theta @ x.T)[:, None],
    "sums of columns first": lambda theta, x: np.sum(np.tanh(theta[:, None] * x.T), axis=0),
    "weights": lambda theta, x: np.sum(x * theta, axis=1),
    "squares": lambda theta, x: np.mean(x * x + theta, axis=1),
    "norm": lambda theta, x: np.sqrt(np.sum(np.square(x), axis=1, keepdims=True)) * theta[0] + theta[1] * theta[2],
    "scalars": lambda theta, x: x[:, :1] * theta[:1] + theta[1:2] * theta[2:3],
    "einsum": lambda theta, x: np.einsum("nd,nd,d->n", x, x, theta),
    "outer": lambda theta, x: np.sum(x[:, :, None] * x[:, None, :], axis=1),
    "outer last": lambda theta, x: np.sum(x[:, :, None] * x[:, None, :], axis=2),
    "cumulative": lambda theta, x: np.cumsum(x * theta, axis=1),
    "standardised": lambda theta, x: (x - np.mean(x, axis=1, keepdims=True)) / (1 + np.std(x, axis=1, keepdims=True)),
    "greatest": lambda theta, x: np.max(x * theta, axis=1) + np.min(x, axis=1) * np.argmax(x, axis=1),
}  # fmt: skip


@pytest.mark.parametrize(("width", "dtype"), [(1, "float32"), (3, "float64"), (10, "float32"), (500, "float32")])
@pytest.mark.parametrize("name", OF_ROWS)
def test_a_row_has_the_same_bits_alone_and_in_company(name: str, width: int, dtype: str) -> None:
    rng = np.random.default_rng(width)
    theta = rng.normal(size=max(width, 3)).astype(dtype)
    function = OF_ROWS[name] if name in ("norm", "scalars") else lambda t, x: OF_ROWS[name](t[:width], x)
    rows = rng.normal(size=(70, width)).astype(dtype)
    one = Rowwise(function, theta, [((width,), np.dtype(dtype))], 64)
    whole = one((rows,), never)
    np.testing.assert_allclose(whole, function(theta, rows), rtol=2e-4 if dtype == "float32" else 1e-11, atol=1e-4)
    for n in (1, 2, 7, 8, 9):
        for start in (0, 13, 70 - n):
            assert one((rows[start : start + n],), never).tobytes() == whole[start : start + n].tobytes(), (n, start)
