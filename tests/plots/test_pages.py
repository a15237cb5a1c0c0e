"""Objects as notebooks show them: well-formed, self-contained, escaped, and watched live in a real kernel."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.errors import ArgumentTypeError
from fallline.plots import PLOTS, Axis, Bars, Chart, Contour, Heat, Line, Panel, Points, Rule, Steps
from fallline.plots.vector import svg_of

EVIL = "<script>alert('&')</script>"
VOID = ("br", "img", "meta", "hr")


class Nested(HTMLParser):
    """Checks that every tag that is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def checked(html: str) -> str:
    parser = Nested()
    parser.feed(html)
    assert not parser.open
    assert not parser.seen & {"script", "link", "iframe", "object"}
    assert not re.search(r"""(src|href)=|url\(|@import|https?://(?!www\.w3\.org)""", html)
    return html


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    """An object of each class that shows itself."""
    x = np.random.default_rng(0).normal(size=(80, 3))
    y = np.where(x[:, 0] > 0, EVIL, "plain")
    net = nn.Sequential(nn.Dense(4), nn.Tanh(), nn.Dense(2))
    data: Any = (x, y)
    run = fl.fit(net, data, loss="cross_entropy", epochs=3, validation=0.2)
    other = fl.fit(net, data, loss="cross_entropy", epochs=3, validation=0.2, seed=1)
    return {
        "run": run,
        "model": run.model,
        "race": fl.race(net, data, [{"name": EVIL}, {"learning_rate": 0.1}], loss="cross_entropy", epochs=2),
        "verdict": fl.verdict(lambda x: x[0] ** 2 - x[1] ** 2, np.zeros(2)),
        "explanation": fl.explain(run.model, x[0], y[0]),
        "diagnosis": fl.diagnose(run),
        "landscape": fl.landscape(run, points=5),
        "line": fl.landscape(run, points=5, dimensions=1),
        "barrier": fl.line_between(run, other, points=5),
        "comparison": fl.compare(run.model, data, data),
    }


def test_every_object_that_is_displayed_has_a_page_that_is_whole_and_safe(shown: dict[str, Any]) -> None:
    for name, subject in shown.items():
        html = checked(subject._repr_html_())
        assert EVIL not in html, name
        assert len(html) < 200_000, name
    assert "&lt;script&gt;" in shown["model"]._repr_html_()
    assert "<svg" in shown["run"]._repr_html_()


def test_a_run_without_an_epoch_has_a_page_too() -> None:
    training = fl.train(nn.Dense(1), (np.eye(3), np.arange(3.0)), loss="squared_error", epochs=1)
    next(training)
    run = training.run
    assert "not ended" in checked(run._repr_html_())
    training.close()


MARKS = {
    "line": Line(np.arange(4.0), np.array([1, np.nan, 3, np.inf]), "l", low=np.zeros(4), high=np.ones(4)),
    "points": Points(np.arange(3.0), np.arange(3.0), "p", form="x"),
    "steps": Steps(np.arange(4.0), np.array([0, 5, 1]), "s"),
    "rule": Rule(1.0, "x", EVIL),
    "level": Rule(1.0, "y", "level"),
    "contour": Contour(np.arange(3.0), np.arange(2.0), np.array([[1, 2, np.nan], [3, 4, 5.0]]), "height"),
}


@pytest.mark.parametrize("mark", MARKS)
def test_every_mark_is_drawn_as_well_formed_svg(mark: str) -> None:
    panel = Panel(Axis("a", "s"), Axis("b", EVIL, None), (MARKS[mark],), title="t")
    svg = svg_of(Chart("", (panel,), note=EVIL))
    checked(svg)
    assert EVIL not in svg and "nan" not in svg and "inf" not in svg
    ElementTree.fromstring(svg.partition("<svg")[1] + svg.partition("<svg")[2].rpartition("</svg>")[0] + "</svg>")


def test_tables_and_bars_are_drawn_in_their_order_from_the_top() -> None:
    names = ("first", "second", "third")
    heat = Chart(
        "", (Panel(Axis("x", "1", names=("u", "v")), Axis("y", "1", names=names), (Heat(np.eye(3)[:, :2], "h"),)),)
    )
    bars = Chart("", (Panel(Axis("x", "1"), Axis("y", "1", names=names), (Bars(np.array([1.0, -2, 3])),)),))
    for chart in (heat, bars):
        heights = dict.fromkeys(names, 0.0)
        for y, text in re.findall(r'<text x="[\d.]+" y="([\d.]+)"[^>]*>(\w+)</text>', svg_of(chart)):
            if text in heights:
                heights[text] = float(y)
        assert 0 < heights["first"] < heights["second"] < heights["third"]


def test_events_pass_through_unchanged_where_there_is_no_notebook() -> None:
    given = (np.eye(4), np.arange(4.0))
    plain = [type(event) for event in fl.train(nn.Dense(1), given, loss="squared_error", epochs=3)]
    live = fl.plots.live(fl.train(nn.Dense(1), given, loss="squared_error", epochs=3))
    assert [type(event) for event in live] == plain
    assert live.run.stop_reason == "finished"
    race = fl.plots.live(fl.racing(nn.Dense(1), given, [{}, {"seed": 1}], loss="squared_error", epochs=2)).race
    assert len(race.results) == 2
    with pytest.raises(ArgumentTypeError, match="live takes a training or a race"):
        fl.plots.live(3)


CELLS = (
    "import numpy as np, fallline as fl\nx = np.random.default_rng(0).normal(size=(500, 4))\n"
    "live = fl.plots.live(fl.train(fl.nn.mlp((16,), 1), (x, x[:, :1]), loss='squared_error', epochs=200), every=0.05)\n"
    "for event in live:\n    pass",
    "live.run",
    "live.run.plot.loss()",
    "fl.plots.live(fl.racing(fl.nn.Dense(1), (x, x[:, :1]), [{}, {'seed': 1}], loss='squared_error', epochs=2)).race",
)


@pytest.mark.slow
def test_a_notebook_shows_a_live_curve_in_one_place_and_leaves_nothing_else_behind() -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("matplotlib")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    sent: list[str] = []

    class Client(nbclient.NotebookClient):  # type: ignore[misc]
        def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
            sent.append(msg["msg_type"])
            return super().process_message(msg, cell, cell_index)

    Client(book, timeout=120, kernel_name="python3").execute()
    curve, run, figure, race = (cell.outputs for cell in book.cells)
    assert [one.output_type for one in curve] == ["display_data"]  # one picture, that changed in place
    assert "finished, 200 of 200 epochs" in curve[0].data["text/html"]
    checked(curve[0].data["text/html"])
    assert sent.count("update_display_data") >= 1
    assert [one.output_type for one in run] == ["execute_result"]
    assert "<svg" in run[0].data["text/html"]
    assert "image/png" in figure[0].data
    assert [one.output_type for one in race] == ["display_data", "execute_result"]


def test_plots_have_names_of_their_own() -> None:
    assert len({(one.of, one.name) for one in PLOTS.values()}) == len(PLOTS)
