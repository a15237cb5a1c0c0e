"""Steps off a saddle: the loss falls, the old run stays as it is, and where there is no saddle it is refused."""

from pathlib import Path

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.cli import main

from .descents import CURVED, X, Y, bare, constant, descent


def test_an_escape_goes_down_and_ends_where_descent_ends(tmp_path: Path) -> None:
    run = descent(constant(bare(4, 1), 0.0), rate=0.05, epochs=40, out=tmp_path / "run")
    before = {one: one.read_bytes() for one in sorted((tmp_path / "run").rglob("*")) if one.is_file()}
    made = fl.escape(run, out=tmp_path / "new")
    assert made.before == pytest.approx(float(np.mean(Y**2))) and made.beside < 0.5 * made.before
    assert made.after < 1e-6 and made.stands.name in ("converged", "level")
    assert {one: one.read_bytes() for one in before} == before
    assert np.array_equal(fl.load_run(tmp_path / "new").model.theta, made.run.model.theta)
    assert "length" in str(made) and all(len(line) <= 80 for line in str(made).splitlines())
    with pytest.raises(fl.errors.ExistingFileError):
        fl.escape(run, out=tmp_path / "new")


def test_equal_units_part_after_an_escape() -> None:
    network = nn.Sequential(nn.Dense(6), nn.Tanh(), nn.Dense(1))
    run = descent(constant(network, 0.3, "float64"), CURVED, optimizer="lbfgs", epochs=500)
    made = fl.escape(run, epochs=200)
    weight = made.run.model.params[0]["weight"]
    assert not np.allclose(weight, weight[:, :1], atol=1e-3) and made.after < 0.5 * made.before


def test_where_there_is_no_saddle_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(fl.errors.ArgumentError, match="stands at no strict saddle: "):
        fl.escape(descent(nn.Dense(1)))
    descent(constant(bare(4, 1), 0.0), out=tmp_path / "run")
    with pytest.raises(fl.errors.ArgumentError, match=r"rows .* are not there"):
        fl.escape(tmp_path / "run")
    both = fl.fit(nn.Dense(1), (X, Y), loss="squared_error", epochs=2, ensemble=2)
    with pytest.raises(fl.errors.ArgumentError, match="ensemble of 2 networks"):
        fl.escape(both, (X, Y))


def test_the_command_refuses_a_run_at_no_saddle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "iris")
    assert main(["train", "iris", "--preset", "plain", "--epochs", "3", "--no-compare", "--out", folder]) == 0
    assert main(["escape", folder]) != 0
    assert "no strict saddle" in capsys.readouterr().err
    assert [one.name for one in tmp_path.iterdir()] == ["iris"]
