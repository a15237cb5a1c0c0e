"""The costs that choose between one lane and several: measured, kept, and never trusted when damaged."""

import pytest

from fallline.bench import command
from fallline.program import calibrate, lanes
from fallline.program import cost_model as costs
from fallline.program.kernels import store


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "folder", lambda: tmp_path)
    costs.current.cache_clear()
    yield tmp_path
    costs.current.cache_clear()


def test_without_a_measurement_the_defaults_hold(cache):
    assert costs.current() == costs.usual()


@pytest.mark.parametrize(("register", "times"), [(64, 1), (32, 2), (16, 4)])
def test_products_are_taken_for_slower_where_registers_are_narrower(monkeypatch, register, times):
    monkeypatch.setattr("fallline.program.kernels.registers.REGISTER", register)
    assert costs.usual() == costs.Costs(product=times * costs.Costs().product)


def test_what_is_kept_is_found(cache):
    measured = costs.Costs(1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    costs.keep(measured)
    assert costs.current() == measured


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"fold": 1}', "null"])
def test_a_damaged_file_is_as_none(cache, text):
    (cache / "costs.json").write_text(text)
    assert costs.current() == costs.usual()


def test_senseless_costs_are_not_used(cache):
    costs.keep(costs.Costs(chain_byte=-1.0))
    assert costs.current() == costs.usual()


def test_the_command_measures_and_keeps(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(costs, "_file", lambda: tmp_path / "costs.json")
    costs.current.cache_clear()
    assert command.main(["--calibrate"]) == 0
    found = costs.current()
    costs.current.cache_clear()
    assert found != costs.usual()
    told = capsys.readouterr().out
    assert all(name in told for name in ("meeting", "product", "costs.json"))


def test_a_system_without_lanes_keeps_the_usual_cost_of_a_meeting(monkeypatch):
    monkeypatch.setattr(lanes, "possible", lambda: False)
    monkeypatch.setattr(calibrate, "_nanoseconds", lambda *work: 100.0)
    assert calibrate.calibrate().meeting == costs.Costs().meeting
