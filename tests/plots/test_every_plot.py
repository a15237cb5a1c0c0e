"""Laws over the table of pictures: each is drawn for runs of every task and for races, without a warning; every axis
has its name and unit; no text is cut off or covers another; the caller's settings are left alone."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.plots import LOOKS, PLOTS, Contour, Heat, Line, Points
from fallline.plots.looks import ANY_GROUND

matplotlib = pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def subjects() -> dict[str, Any]:
    """Small trained runs of every task, and races of each kind, by name."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 4))
    s = x[:, 0] * x[:, 1] + 0.1 * rng.normal(size=120)
    names = np.array(["a class with a long name", "$b_1$", "_c"])[np.digitize(s, [-0.4, 0.4])]
    net = lambda k: nn.Sequential(nn.Dense(6), nn.Tanh(), nn.Dense(4), nn.ReLU(), nn.Dense(k))
    usual: dict[str, Any] = {"epochs": 4, "batch_size": 32, "validation": 0.25}
    found: dict[str, Any] = {
        "classes": fl.fit(net(3), (x, names), loss="cross_entropy", measure=[fl.measure.norm("gradient")], **usual),
        "binary": fl.fit(net(1), (x, s > 0), loss="binary_cross_entropy", **usual),
        "numbers": fl.fit(net(1), (x, 1e6 * s), loss="squared_error", encoder=nn.standardise(x), **usual),
        "several numbers": fl.fit(net(2), (x, x[:, :2]), loss="huber", **usual),
        "labels": fl.fit(net(3), (x, (x[:, :3] > 0).astype(float)), loss="binary_cross_entropy", **usual),
        "custom": fl.fit(net(1), (x, s[:, None]), loss=lambda z, y: np.mean((z - y) ** 4), epochs=1),
        "hinge": fl.fit(net(1), (x, s > 0), loss="hinge", epochs=2),
    }
    watched = fl.gauges.Gauges("all", every=2)
    found["gauged"] = fl.fit(net(2), (x, s > 0), loss="cross_entropy", gauges=watched, **usual)
    sgd = fl.optim.GradientDescent(0.1)
    race = lambda variants, **more: fl.race(net(1), (x, s), variants, **{"loss": "squared_error", "epochs": 4} | more)
    rates = lambda *several: [{"learning_rate": rate} for rate in several]
    found["model"] = found["classes"].model
    found["plane"] = fl.landscape(found["classes"], points=7, directions="trajectory")
    found["slice"] = fl.landscape(found["numbers"], points=9, dimensions=1)
    found["between"] = fl.line_between(found["gauged"], fl.fit(net(2), (x, s > 0), loss="cross_entropy", epochs=1))
    found["rates"] = race(rates(0.01, 0.03, 0.1, 0.3, 0.5), optimizer=sgd, validation=0.25)
    found["optimizers"] = race([{"optimizer": one} for one in (sgd, fl.optim.Adam(0.01), fl.optim.Momentum(0.1))])
    found["diverged"] = race([*rates(0.1, 0.3, 900.0), {"seed": 7}], optimizer=sgd, batch_size="full", epochs=60)
    found["many"] = race([{"learning_rate": float(r), "seed": s} for r in np.geomspace(1e-3, 1, 7) for s in (0, 1)])
    return found


def pictures(subjects: dict[str, Any]) -> list[tuple[str, Any]]:
    """Every picture of every subject that it can show, with a name."""
    return [
        (f"{name}.{what}", subject.plot[what])
        for name, subject in subjects.items()
        for what, _, lack in subject.plot.listed()
        if not lack
    ]


def test_every_plot_of_the_table_is_drawn_for_some_subject(subjects: dict[str, Any]) -> None:
    drawn = {id(picture._plot) for _, picture in pictures(subjects)}
    assert [key for key, one in PLOTS.items() if id(one) not in drawn] == []


def test_every_axis_has_a_name_and_a_unit_and_every_line_among_several_a_name(subjects: dict[str, Any]) -> None:
    for name, picture in pictures(subjects):
        chart = picture.chart()
        assert chart.title and len(chart.title) < 60, name
        for panel in chart.panels:
            for axis in (panel.x, panel.y):
                assert axis.name and axis.unit, f"{name}: {axis}"
            lines = [mark for mark in panel.marks if isinstance(mark, Line | Points)]
            assert len(lines) < 2 or any(mark.name for mark in lines) or chart.shade, name
            for mark in panel.marks:
                if isinstance(mark, Line | Points):
                    assert len(mark.x) == len(mark.y), name
                if isinstance(mark, Heat):
                    assert mark.values.shape == (len(panel.y.names), len(panel.x.names)), name
                if isinstance(mark, Contour):
                    assert mark.values.shape == (len(mark.y), len(mark.x)), name


def texts_of(figure: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """Every text that is drawn, with its box in pixels: ticks beyond an axis have texts that are not."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    drawn, plain = [], matplotlib.text.Text.draw

    def draw(text: Any, renderer: Any, *args: Any, **kwargs: Any) -> None:
        if text.get_visible() and text.get_text().strip():
            drawn.append((text.get_text(), text.get_window_extent(renderer)))
        plain(text, renderer, *args, **kwargs)

    figure.set_dpi(72)
    with monkeypatch.context() as patch:
        patch.setattr(matplotlib.text.Text, "draw", draw)
        FigureCanvasAgg(figure).draw()
    return drawn


def test_no_text_is_cut_off_or_covers_another(subjects: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each picture of a run one or two subjects: pictures of the same kind of data look alike."""
    often: dict[str, int] = {}
    for name, picture in pictures(subjects):
        what = f"{type(picture._subject).__name__}.{picture._plot.name}"
        often[what] = often.get(what, 0) + 1
        if what.startswith("Run") and often[what] > 1 and name not in ("numbers.loss", "several numbers.metrics"):
            continue
        figure = picture(style=[*LOOKS][len(name) % 2])
        texts = texts_of(figure, monkeypatch)
        for i, (text, box) in enumerate(texts):
            inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1
            assert inside, f"{name}: {text!r} is cut off at {box} of {figure.bbox}"
            for other, its in texts[:i]:
                shared = min(box.x1, its.x1) - max(box.x0, its.x0), min(box.y1, its.y1) - max(box.y0, its.y0)
                assert min(shared) <= 2 or text == other, f"{name}: {text!r} covers {other!r}"


def test_pictures_neither_read_nor_change_the_callers_settings(subjects: dict[str, Any]) -> None:
    run, before = subjects["classes"], dict(matplotlib.rcParams)
    plain = bitmap(run.plot.loss())
    strange = {"font.size": 30, "axes.grid": False, "axes.facecolor": "red", "lines.linewidth": 9, "xtick.labelsize": 3}
    with matplotlib.rc_context({**strange, "axes.spines.top": True, "savefig.dpi": 20, "text.color": "blue"}):
        inside = dict(matplotlib.rcParams)
        assert bitmap(run.plot.loss()) == plain
        assert dict(matplotlib.rcParams) == inside
    assert dict(matplotlib.rcParams) == before
    import sys

    if "matplotlib.pyplot" in sys.modules:
        assert not sys.modules["matplotlib.pyplot"].get_fignums()


def bitmap(figure: Any) -> bytes:
    held = io.BytesIO()
    figure.savefig(held, format="png")
    return held.getvalue()


def test_every_plot_is_text_too_within_its_width(subjects: dict[str, Any]) -> None:
    for place, (name, picture) in enumerate(pictures(subjects)):
        width, ascii_only = ((80, False), (60, True))[place % 2]
        text = picture.text(width=width, ascii_only=ascii_only)
        assert max(map(len, text.split("\n"))) <= width, name
        assert not ascii_only or text.isascii(), name


def test_the_line_of_a_plot_fits_a_list(subjects: dict[str, Any]) -> None:
    for one in PLOTS.values():
        assert 10 < len(one.doc) <= 62 and not one.doc.endswith("."), one.name


# Colours: contrast by WCAG 2.1; how they look to colour-blind eyes by Machado, Oliveira & Fernandes 2009, severity 1.
BLIND = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def linear(colour: str) -> Any:
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    a, b = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (one, other))
    return (b + 0.05) / (a + 0.05)


def lab(rgb: Any) -> Any:
    xyz = np.clip(rgb, 0, 1) @ np.array([[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]])
    t = xyz / [0.9505, 1.0, 1.089]
    f = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_the_measure_of_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # the grey that just fails


@pytest.mark.parametrize("look", LOOKS.values(), ids=lambda look: look.name)
def test_colours_stand_out_and_differ_for_colour_blind_eyes(look: Any) -> None:
    assert contrast(look.ink, look.ground) > 7
    assert contrast(look.quiet, look.ground) > 4.5
    assert all(contrast(one, look.ground) >= 3 for one in look.cycle), look.name
    differ(look.cycle)


def differ(cycle: tuple[str, ...]) -> None:
    """Any two of the first four differ by 10 in CIE Lab to every kind of eye, any two at all to usual ones; further
    ones differ in their dashes besides."""
    for kind, matrix in BLIND.items():
        seen = [lab(np.asarray(matrix) @ linear(one)) for one in cycle]
        for i in range(len(seen)):
            for j in range(i):
                far = float(np.linalg.norm(seen[i] - seen[j]))
                assert far > 10 or (kind != "usual" and i > 3), f"{kind}: {cycle[i]} and {cycle[j]} differ by {far:.1f}"


def test_colours_of_pages_stand_out_from_white_and_from_black() -> None:
    for ground in ("#ffffff", "#111111", "#1e1e1e"):
        assert all(contrast(one, ground) >= 3 for one in ANY_GROUND), ground
    differ(ANY_GROUND)
