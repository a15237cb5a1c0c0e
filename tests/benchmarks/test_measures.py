"""Measurements that are no race: they agree with their definitions, and their arithmetic is right."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import fresh, growth, limits, many
from benchmarks.options import MEASURES
from fallline.bench.cases import Case
from fallline.bench.results import OURS


def test_headings_differ() -> None:
    assert len({measure.heading for measure in MEASURES}) == len(MEASURES)


def test_the_slope_of_a_power_law_is_its_power() -> None:
    # 5 + n^2, where the lower half is flat: the upper half's slope comes near to 2, and is 2 without the 5.
    values = tuple(2**i for i in range(10))
    assert growth.slope(values, [3.0 * n**2 for n in values]) == pytest.approx(2)
    assert growth.slope(values, [5.0 + n**2 for n in values]) == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize("what", growth.SWEEPS)
def test_every_sweep_measures_each_of_its_values(what: str) -> None:
    chosen = growth.SWEEPS[what]
    assert all(chosen.case(value).rows % chosen.case(value).batch == 0 for value in chosen.values)
    found = growth.sweep(what, 1, chosen.values[1:3])
    assert len(found) == 2 and min(found) > 0


def test_limits_measure_the_step_products_by_two_and_memory() -> None:
    found = limits.measured(1, 1, [(4, 5, 6)], Case((3, 2), 4, 64))
    assert [rate["what"] for rate in found["products"]] == ["Fallline, 4 x 5 by 5 x 6", "SciPy, 4 x 5 by 5 x 6"]
    rates = [found["step"], *found["products"]]
    assert all(rate["most"] >= rate["flops"] > 0 for rate in rates) and found["memory"] > 0


def test_scipys_product_is_the_one_that_is_meant() -> None:
    from scipy.linalg.blas import sgemm

    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((4, 5), np.float32), rng.standard_normal((5, 6), np.float32)
    c = np.empty((4, 6), np.float32)
    sgemm(1.0, b.T, a.T, c=c.T, overwrite_c=1)
    np.testing.assert_allclose(c, a @ b, rtol=1e-5)


def test_scripts_of_all_libraries_learn_from_the_same_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("fresh")
    fresh.write_data(str(folder))
    with np.load(folder / "data.npz") as file:
        assert file["x"].shape == (569, 30) and file["x"].dtype == np.float32 and set(file["y"]) == {0, 1}
        np.testing.assert_allclose(file["x"].std(axis=0), 1, rtol=1e-5)
    seconds, loss = fresh.run(OURS, str(folder))
    assert seconds > 0 and 0 < loss < np.log(2)  # that of a coin


def test_a_hundred_networks_are_really_raced(monkeypatch: pytest.MonkeyPatch) -> None:
    import fallline as fl

    asked = []
    race = fl.race

    def noted(*args: object, **settings: object) -> object:
        asked.append(race(*args, **settings))
        return asked[-1]

    monkeypatch.setattr(fl, "race", noted)
    assert many.ours(2, networks=3, epochs=2) > 0
    assert len(asked[-1].runs) == 3
    thetas = [run.model.theta for run in asked[-1].runs.values()]
    assert not np.array_equal(thetas[0], thetas[1])
    assert all(len(run.epochs) == 2 for run in asked[-1].runs.values())
