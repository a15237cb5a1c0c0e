"""The report: self-contained, whole, right in what it says, and looked at in a real browser."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import fallline as fl
from fallline.cli import main
from fallline.errors import ArgumentError
from fallline.report.section_table import SECTIONS
from fallline.report.whole_page import page_of, write

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SHOWN = {"verdicts", "data", "settings", "network", "curves", "results", "answers", "columns", "gauges", "curvature",
         "landscape", "row"}  # fmt: skip


def regression(**settings):
    x = np.random.default_rng(0).normal(size=(80, 3))
    given = {"loss": "squared_error", "epochs": 4, "validation": 0.25, **settings}
    return fl.fit(fl.nn.mlp((4,), 1), (x, x @ [1.0, 2.0, 0.0]), **given)


@pytest.fixture(scope="module")
def iris(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "iris"
    assert main(["train", "iris", "--epochs", "6", "--out", str(folder), "--no-compare"]) == 0
    return folder


def test_a_report_stands_alone_and_has_every_section(iris, capsys, outline) -> None:
    assert main(["report", str(iris)]) == 0
    assert "report.html" in capsys.readouterr().out
    text = (iris / "report.html").read_text(encoding="utf-8")
    found = outline(text)
    assert not found.outside and "<script" not in text and "@import" not in text and "url(" not in text
    assert set(found.anchors) >= SHOWN and len(text) < 1_000_000
    links = re.findall(r'href="#([\w-]+)"', text)
    links = links[: len(SECTIONS)]
    assert links == sorted(links, key=lambda name: SECTIONS[name].order) and set(links) <= set(found.anchors)
    run = fl.load_run(iris)
    assert f"{run.epochs[run.best_epoch or 0].loss:.4g}" in text and "petal" in text and "boosted trees" in text
    for odd in ("None", "nan", "array(", "object at", "Traceback"):
        assert odd not in re.sub(r"<[^>]*>", " ", text).replace("None of", ""), odd


def test_a_run_in_memory_has_a_report_of_what_it_knows(tmp_path, outline) -> None:
    run = regression()
    text = page_of(run)
    outline(text)
    assert "60 training rows, 20 for validation" in text and "no test rows" in text
    with pytest.raises(ArgumentError, match=r"try: out='report.html'"):
        write(run)
    assert write(run, out=tmp_path / "mine.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    with pytest.raises(ArgumentError, match="there is no folder"):
        write(run, out=tmp_path / "none" / "mine.html")
    with pytest.raises(ArgumentError, match="counted from 0"):
        page_of(run, row=-1)


def test_a_run_whose_rows_are_gone_says_so_and_shows_the_rest(tmp_path, outline) -> None:
    regression(out=tmp_path / "run")
    text = write(tmp_path / "run").read_text(encoding="utf-8")
    outline(text)
    assert "data=(x, y)" in text and "Loss by epoch" in text


def test_names_of_columns_and_classes_are_texts_and_no_elements(tmp_path, outline) -> None:
    file = tmp_path / "rows.csv"
    rows = "".join(f"{i % 7},{'<b>yes</b>' if i % 7 > 3 else 'no & never'}\n" for i in range(60))
    file.write_text("<i>age</i>,<script>alert(1)</script>\n" + rows)
    out = str(tmp_path / "run")
    target = "<script>alert(1)</script>"
    assert (
        main(
            ["train", str(file), "--target", target, "--preset", "plain", "--epochs", "3", "--out", out, "--no-compare"]
        )
        == 0
    )
    text = write(out).read_text(encoding="utf-8")
    outline(text)
    assert "<script" not in text and "<i>age" not in text and "&lt;i&gt;age" in text


@pytest.mark.skipif(CHROMIUM is None, reason="no browser")
@pytest.mark.parametrize(("dark", "width"), [(False, 1100), (True, 360)])
def test_a_browser_shows_every_section_and_no_line_is_wider_than_its_window(iris, tmp_path, dark, width) -> None:
    page = write(iris, out=tmp_path / "report.html")
    # The page as the browser holds it, told from inside a frame of the width: windows are not that narrow.
    script = ("<script>addEventListener('load', () => parent.postMessage({wide: document.documentElement.scrollWidth, "
              "ground: getComputedStyle(document.body).backgroundColor, "
              "shown: [...document.querySelectorAll('section')].filter(one => one.offsetHeight > 40)"
              ".map(one => one.id).join(' ')}, '*'))</script>")  # fmt: skip
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", script + "</body>"), encoding="utf-8")
    frame = tmp_path / "frame.html"
    frame.write_text(
        "<body><script>addEventListener('message', told => Object.assign(document.body.dataset, told.data))</script>"
        f'<iframe src="{page.as_uri()}" width="{width}" height="900" style="border:0"></iframe></body>'
    )
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1200,1000", "--virtual-time-budget=5000",
             *(["--blink-settings=preferredColorScheme=0"] if dark else [])]  # fmt: skip
    done = subprocess.run(
        [str(CHROMIUM), *flags, "--dump-dom", frame.as_uri()], capture_output=True, text=True, timeout=120
    )
    shown = re.search(r'data-shown="([^"]*)"', done.stdout)
    wide = re.search(r'data-wide="(\d+)"', done.stdout)
    ground = re.search(r'data-ground="rgb\((\d+)', done.stdout)
    assert shown is not None and wide is not None and ground is not None, done.stdout[-500:] + done.stderr[-500:]
    assert set(shown[1].split()) >= SHOWN
    assert int(wide[1]) <= width
    assert (int(ground[1]) < 100) == dark
