"""Programs that are kept from one small fit to the next: the same results, few of them, and none of functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fallline.sklearn import MLPClassifier, MLPRegressor, programs

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
GIVEN: dict[str, Any] = {"hidden_layer_sizes": (5,), "max_iter": 6, "random_state": 0}


def tables(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    made = [RNG.normal(size=(50, 3)) for _ in range(count)]
    return [(x, (x[:, 0] > 0).astype(int)) for x in made]


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("stops", [False, True])
def test_fits_with_kept_programs_come_to_the_bits_of_fits_without(solver: str, stops: bool) -> None:
    for kind in (MLPClassifier, MLPRegressor):
        found = []
        for limit in (0, 1 << 20):
            programs._kept.clear()
            programs.MOST_BYTES, before = limit, programs.MOST_BYTES
            fits = [kind(**GIVEN, solver=solver, early_stopping=stops) for _ in range(3)]
            found.append([(one.fit(*data).coefs_[0], one.loss_curve_) for one, data in zip(fits, THREE)])
            assert bool(programs._kept) == bool(limit)
            programs.MOST_BYTES = before
        for (without, curve), (kept, same) in zip(*found):
            np.testing.assert_array_equal(without, kept)
            assert curve == same


THREE = tables(3)


def test_a_fit_that_began_later_leaves_an_earlier_one_as_it_was() -> None:
    first = MLPRegressor(**GIVEN).partial_fit(*THREE[0])
    alone = MLPRegressor(**GIVEN).partial_fit(*THREE[0]).partial_fit(*THREE[0])
    MLPRegressor(**GIVEN).fit(*THREE[1])
    np.testing.assert_array_equal(first.partial_fit(*THREE[0]).coefs_[0], alone.coefs_[0])


def test_few_programs_are_kept() -> None:
    for width in range(1, 24):
        MLPRegressor(**{**GIVEN, "hidden_layer_sizes": (width,), "max_iter": 1}).fit(*THREE[0])
    assert len(programs._kept) <= programs.MOST


def test_a_function_is_traced_in_every_fit() -> None:
    scale = {"of": 1.0}

    def loss(output: Any, y: Any) -> Any:
        return scale["of"] * np.mean((output - y) ** 2)

    losses = []
    for scale["of"] in (1.0, 3.0):
        losses.append(MLPRegressor(loss, **{**GIVEN, "alpha": 0.0}).fit(*THREE[0]).loss_curve_[0])
    assert losses[1] == pytest.approx(3 * losses[0])
