"""The forms of an explanation: HTML and SVG are well formed and self-contained, LaTeX is balanced, names escaped."""

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
from fallline.insight.explained_latex import escaped
from fallline.insight.explanation import Explanation
from fallline.insight.network_layout import RADIUS, laid_out, strokes
from fallline.nn import Columns, Standardised

RNG = np.random.default_rng(0)
NASTY = '<b>"50 % & more"</b> _{$x^2~\\}# |'
SVG = "{http://www.w3.org/2000/svg}"
VOID = {"meta", "br", "hr", "img", "link", "input"}


def named(name: str) -> Explanation:
    """Of a table model with such a column."""
    encoder = Columns((Standardised(name, 0.0, 1.0), Standardised("age", 1.0, 2.0)))
    model = nn.Model.init(nn.mlp((3,), 1, "tanh"), 2, loss="squared_error").between(encoder, None)
    return fl.explain(model, [0.5, -1.0], [2.0], to=name)


def nested() -> Explanation:
    network = nn.Sequential(
        nn.Dense(3), nn.Residual(nn.Tanh(), nn.Dense(3)), nn.Ensemble((nn.mlp((2,), 2), nn.Dense(2))), nn.Dense(1)
    )
    return fl.explain(network, RNG.normal(size=(4, 2)), RNG.normal(size=(4, 1)), paths=5)


def large() -> Explanation:
    return fl.explain(nn.mlp((128,), 10), RNG.normal(size=64), 3)


def dead() -> Explanation:
    model = nn.Model.init(nn.mlp((2,), 1), 1, loss="squared_error", dtype="float64")
    model.params[0]["bias"][...] = -100.0
    return fl.explain(model, [1.0], [1.0])


def endless() -> Explanation:
    return fl.explain(nn.Sequential(nn.Dense(1), np.exp, nn.Dense(1)), [1e6], [1.0], weight="2.weight")


def whole() -> Explanation:
    network = nn.Sequential(lambda x: np.concatenate([x["n"] * 1.0, x["x"]], axis=1), nn.Dense(1))
    return fl.explain(network, {"n": np.array([[1], [2]]), "x": RNG.normal(size=(2, 1))}, RNG.normal(size=(2, 1)))


CASES = [named(NASTY), nested(), large(), dead(), endless(), whole()]
each = pytest.mark.parametrize("found", CASES, ids=["named", "nested", "large", "dead", "endless", "whole"])


class Balanced(HTMLParser):
    """Raises where elements are not closed in order; keeps all attributes and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@each
def test_a_page_is_well_formed_and_needs_nothing_else(found: Explanation) -> None:
    for page in (found.html(), found._repr_html_()):
        seen = Balanced()
        seen.feed(page)
        seen.close()
        assert not seen.open and not {"script", "link", "img", "iframe", "b"} & {*seen.tags}
        assert not [name for name, _ in seen.attributes if name in ("src", "href") or name.startswith("on")]
        assert "prefers-color-scheme:dark" in page and "url(" not in page and "@import" not in page
        assert f"{found.loss:.7g}"[:6] in seen.text
    assert found.html().startswith("<!DOCTYPE html>") and "<svg" in found.html()


@each
def test_a_drawing_is_well_formed_and_shows_units_values_deltas_and_lines(found: Explanation) -> None:
    root = ElementTree.fromstring(found.svg())
    circles = list(root.iter(f"{SVG}circle"))
    units = [unit for stage in found.wiring.stages for unit in stage.units]
    assert len(circles) == len(units) <= 60 + 4 * len(found.wiring.stages)
    paths = list(root.iter(f"{SVG}path"))
    bands = [element for element in paths if element.get("class") == "w b"]
    last = len(found.wiring.stages[-1].units)
    assert len(paths) - len(bands) == len(found.wiring.wires) + last
    width, height = float(root.get("width") or 0), float(root.get("height") or 0)
    for circle in circles:
        x, y, r = (float(circle.get(name) or 0) for name in ("cx", "cy", "r"))
        assert r < x < width - r and r < y < height - r
    places = [(float(one.get("cx") or 0), float(one.get("cy") or 0)) for one in circles]
    assert len({*places}) == len(places), "no two units lie upon one another"
    text = " ".join(root.itertext())
    for unit in units:
        assert unit.delta is None or found.paths is None or "δ" in text
    assert "http" not in found.svg().replace("http://www.w3.org/2000/svg", "")
    if found.paths is not None and found.paths.listed:
        assert len(bands) >= len(found.paths.listed[0].steps) - 1


def test_slopes_in_a_drawing_are_those_of_the_network() -> None:
    # Two inputs, three units: the lines into them are the weights, and lines past a layer are there for a residual.
    found = nested()
    wiring = found.wiring
    by_ends = {
        (wiring.stages[w.start[0]].source, w.start[1], wiring.stages[w.end[0]].source, w.end[1]): w.slope
        for w in wiring.wires
    }
    weight = found.model.params[0]["weight"]
    for i, j in np.ndindex(weight.shape):
        assert by_ends["x", i, "out0", j] == weight[i, j]
    for i in range(3):
        assert by_ends["out0", i, "out1", i] == by_ends["out1.1", i, "out1", i] == 1
    assert ("out0", 0, "out1", 1) not in by_ends


def test_names_are_escaped_in_every_form() -> None:
    found = named(NASTY)
    assert found.chosen_name == f"x[0] ({NASTY})"
    assert NASTY in str(found)
    assert "<b>" not in found.html() and "&lt;b&gt;" in found.html()
    assert NASTY in " ".join("".join(ElementTree.fromstring(found.svg()).itertext()).split("  ")) or "<b>" in "".join(
        ElementTree.fromstring(found.svg()).itertext()
    )
    check_latex(found.latex())
    assert r"50 \% \& more" in found.latex()
    assert escaped("中α\n\x00é") == "U+4E2DU+03B1 U+0000é"


def check_latex(text: str) -> None:
    """Braces and environments are closed in order, every special character is a command's, columns fit."""
    open_: list[str] = []
    for mark in re.finditer(r"\\begin\{([a-z*]+)\}|\\end\{([a-z*]+)\}|\\[a-zA-Z]+|\\.|\\\n|[{}$#%~^_&]", text):
        whole, begins, ends = mark.group(0), mark.group(1), mark.group(2)
        inside = open_[-1] if open_ else ""
        if begins:
            open_.append(begins)
        elif ends:
            assert open_.pop() == ends
        elif whole == "{":
            open_.append("{")
        elif whole == "}":
            assert open_.pop() == "{"
        elif whole == "$":
            open_ = open_[:-1] if inside == "$" else [*open_, "$"]
        elif whole == "&":
            assert inside == "align*", text[mark.start() - 30 : mark.end() + 30]
        elif whole in ("^", "_"):
            assert "$" in open_ or "align*" in open_, text[mark.start() - 30 : mark.end() + 30]
        else:
            assert whole not in ("#", "%", "~"), text[mark.start() - 30 : mark.end() + 30]
    assert not open_
    for lines in re.findall(r"\\begin\{align\*\}\n(.*?)\n\\end\{align\*\}", text, re.S):
        for line in lines.split(" \\\\\n"):
            assert line.strip() and "\n" not in line and not line.startswith("[")
            assert 1 <= len(re.findall(r"(?<!\\)&", line)) <= 3


@each
def test_latex_is_balanced_alone_and_as_a_document(found: Explanation) -> None:
    check_latex(found.latex())
    whole = found.latex(document=True)
    assert whole.startswith("\\documentclass") and "\\begin{document}" in whole
    check_latex(whole.replace("\\begin{document}", "").replace("\\end{document}", ""))
    assert found.latex() in whole


@each
def test_latex_is_read_by_a_reader_of_it(found: Explanation) -> None:
    walker = pytest.importorskip("pylatexenc.latexwalker")
    nodes, *_ = walker.LatexWalker(found.latex(document=True), tolerant_parsing=False).get_latex_nodes()
    assert nodes


@each
def test_the_text_fits_a_terminal_of_eighty_columns(found: Explanation) -> None:
    for width in (60, 80, 120):
        for line in found.text(width=width, ascii_only=True).split("\n"):
            assert len(line) <= width


def test_a_network_is_drawn_without_rows() -> None:
    model = nn.Model.init(nn.Sequential(nn.Dense(3), "relu", nn.Dropout(0.5), nn.Dense(2)), 2)
    found = fl.drawing(model)
    root = ElementTree.fromstring(found.svg())
    assert len(list(root.iter(f"{SVG}circle"))) == 2 + 3 + 3 + 3 + 2
    slopes = {(w.start, w.end): (w.slope, w.fixed) for w in found.wiring.wires}
    weight = model.params[0]["weight"].astype(float)
    assert all(slopes[(0, i), (1, j)] == (weight[i, j], True) for i, j in np.ndindex(weight.shape))
    assert all(slopes[(1, j), (2, j)][1] is False and slopes[(2, j), (3, j)] == (1, True) for j in range(3))
    assert len(slopes) == 6 + 3 + 3 + 6
    assert "relu" not in found.svg() and "ReLU()" in found.svg()
    large_ = fl.drawing(nn.Model.init(nn.mlp((500,), 10), 300))
    assert "8 of 500" in large_.svg() and "first units" in large_.svg()
    with pytest.raises(ArgumentTypeError, match="takes a model or a run"):
        fl.drawing(nn.mlp((2,), 1))


def test_a_run_of_whole_numbers_and_of_several_inputs_is_drawn() -> None:
    network = nn.Sequential(lambda x: np.concatenate([x["n"] * 1.0, x["x"]], axis=1), nn.Dense(1))
    model = nn.Model.init(network, {"n": (1,), "x": (2,)}, input_dtype={"n": "int64", "x": None})
    assert {stage.source for stage in fl.drawing(model).wiring.stages} == {"x.n", "x.x", "out0", "out1"}


def test_on_a_page_with_colours_of_its_own_a_drawing_takes_them() -> None:
    for alone, here in ((fl.drawing(CASES[0].model).svg(), fl.drawing(CASES[0].model).html()),
                        (CASES[0].html(), CASES[0]._repr_html_())):  # fmt: skip
        assert 'class="fl-net here"' in here and 'class="fl-net"' in alone
        assert alone.count("<circle") == here.count("<circle") > 3
    assert '<div class="fl-explained here">' in CASES[0]._repr_html_()


def test_a_line_starts_and_ends_at_the_rims_of_its_units_and_thick_ones_lie_above() -> None:
    wiring = fl.drawing(nn.Model.init(nn.Sequential(nn.Dense(3), nn.Residual(nn.Dense(3))), 2)).wiring
    at = laid_out(wiring, 0.0)
    found = list(strokes(wiring, at))
    assert {id(one.wire) for one in found} == {id(wire) for wire in wiring.wires}
    for one in found:
        for (stage, unit), (x, y), side in zip((one.wire.start, one.wire.end), one.ends, (1, -1)):
            assert (x, y) == (at.units[stage][unit][0] + side * RADIUS, at.units[stage][unit][1])
        assert bool(one.bow) == (at.columns[one.wire.end[0]] - at.columns[one.wire.start[0]] > 1)
    assert any(one.bow for one in found), "the residual passes a column"
    into: dict[tuple[int, int], list[float]] = {}
    for one in found:
        into.setdefault((one.wire.start[0], one.wire.end[0]), []).append(one.thick)
    assert all(sorted(thick) == thick for thick in into.values())
