"""The menu of an object's pictures: names, options, files, and what it says without matplotlib."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import fallline as fl
from fallline.errors import ArgumentError, MissingLibraryError, UnknownNameError
from fallline.plots import PLOTS


@pytest.fixture(scope="module")
def run() -> fl.Run:
    x = np.random.default_rng(0).uniform(-1, 1, (60, 2))
    y = np.where(x[:, 0] > x[:, 1], "more", "less")
    return fl.fit(fl.nn.mlp((4,), 2), (x, y), loss="cross_entropy", epochs=5, validation=0.2)


def test_tab_completion_lists_the_pictures_of_a_run_and_nothing_else(run: fl.Run) -> None:
    of_runs = {one.name for one in PLOTS.values() if one.of is fl.Run}
    assert of_runs and set(dir(run.plot)) == of_runs


def test_the_menu_says_of_each_picture_whether_it_can_be_shown(run: fl.Run) -> None:
    text = repr(run.plot)
    assert all(name in text for name in dir(run.plot))
    bare = fl.fit(fl.nn.Dense(1), (np.eye(3), np.arange(3.0)), loss="squared_error", epochs=1)
    assert "not metrics: it measured none" in repr(bare.plot)
    with pytest.raises(ArgumentError, match="run cannot be plotted as metrics: it measured none"):
        bare.plot.metrics.chart()


def test_the_page_of_pictures_has_every_one_of_them_and_stays_small() -> None:
    docs = Path(__file__).parents[2] / "docs"
    page = (docs / "plots.md").read_text(encoding="utf-8")
    assert [one.name for one in PLOTS.values() if f"`{one.name}`" not in page and f".{one.name}()" not in page] == []
    pictures = [*(docs / "pictures").glob("plot-*.png")]
    assert {f"pictures/{one.name}" for one in pictures} == set(re.findall(r"\((pictures/[^)]*)\)", page))
    assert sum(one.stat().st_size for one in pictures) < 400_000


def test_a_wrong_name_gets_the_nearest(run: fl.Run) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'loss'"):
        run.plot.los  # noqa: B018
    with pytest.raises(ArgumentError, match="unknown plot of a run 'lss'; did you mean 'loss'"):
        run.plot("lss")
    with pytest.raises(ArgumentError, match="did you mean 'log'"):
        run.plot.loss(lgo=True)
    with pytest.raises(ArgumentError, match="unknown style 'papr'; did you mean 'paper'"):
        run.plot.loss(style="papr")


def test_without_matplotlib_the_error_says_how_to_install_it(run: fl.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in sys.modules if one.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "fallline.plots.figure", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingLibraryError, match=r'try: pip install "fallline\[plots\]"'):
        run.plot.loss()
    assert "epoch" in run.plot.loss.text()  # characters need no library


@pytest.mark.parametrize("size", [3, (1, 2, 3), (0.1, 3), ("a", 3), (float("nan"), 3)])
def test_a_size_that_is_none_is_refused(run: fl.Run, size: object) -> None:
    with pytest.raises(ArgumentError, match="size is a width"):
        run.plot.loss(size=size)


def test_a_file_is_written_in_the_form_of_its_name(run: fl.Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for name, head in (("a.pdf", b"%PDF"), ("a.png", b"\x89PNG"), ("a.svg", b"<?xml")):
        run.plot.loss(out=tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(head)
    with pytest.raises(ArgumentError, match=r"says no form of file.*\n  try: out='.*a.pdf'"):
        run.plot.loss(out=str(tmp_path / "a.gif"))
    with pytest.raises(ArgumentError, match="there is no folder"):
        run.plot.loss(out=tmp_path / "nowhere" / "a.png")


def test_rows_that_are_given_make_up_for_those_that_a_run_has_lost(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 2))
    y = np.where(x[:, 0] > 0, "a", "b")
    fl.fit(fl.nn.mlp((4,), 2), (x, y), loss="cross_entropy", epochs=2, validation=0.2, out=tmp_path / "run")
    run = fl.load_run(tmp_path / "run")
    for name in ("confusion", "calibration", "activations", "gradients", "landscape", "spectrum"):
        options = {"dimensions": 1, "points": 5} if name == "landscape" else {}
        with pytest.raises(ArgumentError, match=r"data=\(x, y\)"):
            run.plot[name].chart(**options)
        assert run.plot[name].chart(data=(x, y), **options).panels
