"""`fallline train --gauges`: chosen gauges are read out at the end, in lines that fit, and wrong names are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fallline as fl
from fallline.cli.exits import OK, USAGE
from fallline.gauges.gauge_words import read_out

Shell = Callable[..., Any]  # see conftest


def test_the_usual_gauges_are_read_out_at_the_end(shell: Shell) -> None:
    done = shell("train iris --epochs 20 --gauges usual --no-compare")
    assert done.code == OK and done.err == ""
    lines = done.out.splitlines()
    table = lines[next(i for i, line in enumerate(lines) if line.startswith("gauge ")) :]
    for name in ("gradient_norm", "alpha", "noise_scale", "dead_units"):
        assert any(line.startswith(f"{name} ") for line in table), name
    assert max(map(len, table)) <= 100
    assert fl.load_run("runs/iris-1").gauges["alpha"][""].size  # they are saved with the run


def test_gauges_change_nothing_of_the_run(shell: Shell) -> None:
    shell("train iris --epochs 5 --gauges alpha,class_loss")
    shell("train iris --epochs 5")
    one, other = (fl.load_run(f"runs/iris-{i}") for i in (1, 2))
    assert one.model.theta.tobytes() == other.model.theta.tobytes()
    assert set(one.gauges) == {"alpha", "class_loss"} and not other.gauges


def test_a_gauge_that_is_none_is_refused_before_anything_is_read(shell: Shell) -> None:
    done = shell("train nowhere.csv --target y --gauges alpa")
    assert done.code == USAGE and "alpha" in done.err


def test_gauges_of_several_networks_are_said_to_be_in_their_folders(shell: Shell, tmp_path: Any) -> None:
    rows = "".join(f"{i},{i % 7},{i * 3 % 11}\n" for i in range(120))
    (tmp_path / "few.csv").write_text("a,b,y\n" + rows, encoding="utf-8")
    flags = "--target y --epochs 2 --hidden 4 --preset best --gauges alpha --no-compare --out few"
    done = shell(f"train {tmp_path / 'few.csv'} {flags}")
    assert done.code == OK and "few/members" in done.out
    assert fl.load_run("few/members/fold-1-of-5").gauges["alpha"][""].size


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_sample_in_words_fits_its_width(width: int, ascii_only: bool) -> None:
    import numpy as np

    values = {
        "gradient_norm": {"0.weight": np.array(0.5), "10.a_long_name": np.array(2e-9)},
        "alpha": {"": np.array(1.5), "slope": np.array(-1.0), "bend": np.array(2.5)},
        "dead_units": {"1": np.array(0.9)},
        "row_gradient_norms": {"": np.arange(5.0)},
        "noise_scale": {"": np.array(np.nan), "batch": np.array(3.0)},
        "gradient_histogram": {"0.weight": np.zeros(113)},
    }
    text = read_out(values, width=width, ascii_only=ascii_only)
    assert all(len(line) <= width for line in text.splitlines())
    assert text.isascii() or not ascii_only
    rows = {line.split()[0]: line for line in text.splitlines()[2:]}
    assert "gradient_histogram" not in rows and "nan" in rows["noise_scale"]
    if width >= 80:
        assert rows["alpha"].endswith("-1 to 1 !") and rows["dead_units"].endswith("0 to 0.4 !")
        assert "2e-9 10.a_long_name" in rows["gradient_norm"] and "0.5 0.weight" in rows["gradient_norm"]
