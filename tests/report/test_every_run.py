"""Reports of runs of every kind: each page is whole, and what could not be had is told in its place."""

import re
from dataclasses import replace

import numpy as np
import pytest

import fallline as fl
from fallline.cli import main
from fallline.errors import ArgumentError, SavingError
from fallline.report import page_of, write
from fallline.report.section_table import SECTIONS
from fallline.report.subject import Subject

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 4))
Y = X @ [1.0, 2.0, 0.0, -1.0]
NAMES = np.where(Y > 0, "<b>good</b>", "bad & ugly")
PICTURES = rng.normal(size=(40, 1, 6, 6))


def net(outputs):
    return fl.nn.mlp((5,), outputs)


def differences(x):
    return x[:, :, 1:, :] - x[:, :, :-1, :]


RUNS = {
    "one epoch": lambda: fl.fit(net(1), (X, Y), loss="squared_error", epochs=1),
    "lbfgs": lambda: fl.fit(net(1), (X, Y), loss="squared_error", optimizer="lbfgs", epochs=5),
    "binary": lambda: fl.fit(net(1), (X, Y > 0), loss="binary_cross_entropy", epochs=3, validation=0.2),
    "names": lambda: fl.fit(net(2), (X, NAMES), loss="cross_entropy", epochs=3, validation=0.2),
    "several numbers": lambda: fl.fit(net(2), (X, np.c_[Y, -Y]), loss="squared_error", epochs=3, validation=0.2),
    "images": lambda: fl.fit(
        fl.nn.Sequential(differences, fl.nn.Flatten(), fl.nn.Dense(2)),
        (PICTURES, (PICTURES.mean((1, 2, 3)) > 0).astype(int)), loss="cross_entropy", epochs=3, validation=0.2,
    ),
    "diverged": lambda: fl.fit(
        net(1), (X, Y), loss="squared_error", optimizer=fl.optim.GradientDescent(50.0), epochs=9
    ),
    "a loss of a batch": lambda: fl.fit(net(1), (X, Y[:, None]), loss=lambda o, y: np.mean((o - y) ** 4), epochs=3),
    "gauges": lambda: fl.fit(net(1), (X, Y), loss="squared_error", epochs=6, gauges=fl.gauges.Gauges(every=2)),
    "two rows": lambda: fl.fit(net(1), (X[:2], Y[:2]), loss="squared_error", epochs=3),
    "a stream": lambda: fl.fit(fl.nn.Model.init(net(1), 4), lambda: iter([(X, Y)]), loss="squared_error", epochs=2),
}  # fmt: skip


def told(text):
    """The words of a page."""
    return re.sub(r"<[^>]*>", " ", re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL))


@pytest.mark.parametrize("name", RUNS)
def test_every_kind_of_run_has_a_whole_page(name, outline) -> None:
    text = page_of(RUNS[name]())
    found = outline(text)
    assert {"verdicts", "data", "settings", "network", "curves", "gauges", "landscape", "row"} <= set(found.anchors)
    for odd in (" nan ", " None ", "array(", "object at"):
        assert odd not in told(text), odd
    assert not found.outside and "<b>good" not in text
    if name != "a stream":
        assert "Not shown" not in text and "Not drawn" not in text


def test_pictures_are_shown_as_pictures_and_names_as_they_are() -> None:
    assert page_of(RUNS["images"]()).count("data:image/png;base64,") == 8
    assert "taken for" not in (text := page_of(RUNS["names"]())) and "&lt;b&gt;good&lt;/b&gt;" in text


def test_a_section_that_fails_takes_nothing_from_the_others(monkeypatch) -> None:
    run = RUNS["one epoch"]()
    whole = page_of(run)

    def fails(subject):
        raise ValueError("<no> luck")

    monkeypatch.setitem(SECTIONS, "gauges", replace(SECTIONS["gauges"], show=fails))
    text = page_of(run)
    assert "ValueError: &lt;no&gt; luck" in text
    sections = re.findall(r'<section id="(\w+)".*?</section>', whole, flags=re.DOTALL)
    assert sections == re.findall(r'<section id="(\w+)"', text)


def test_an_interrupted_report_leaves_the_old_one_as_it_was(tmp_path, monkeypatch) -> None:
    run = fl.fit(net(1), (X, Y), loss="squared_error", epochs=2, out=tmp_path / "run")
    before = write(run).read_bytes()

    def interrupted(subject):
        raise KeyboardInterrupt

    monkeypatch.setitem(SECTIONS, "row", replace(SECTIONS["row"], show=interrupted))
    with pytest.raises(KeyboardInterrupt):
        write(run)
    assert (tmp_path / "run" / "report.html").read_bytes() == before
    assert not list((tmp_path / "run").glob("*.part"))


def test_a_folder_that_is_read_only_says_where_to_write_instead(tmp_path, monkeypatch) -> None:
    run = fl.fit(net(1), (X, Y), loss="squared_error", epochs=1, out=tmp_path / "run")
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path / "run")
    with pytest.raises(SavingError, match=r"try: out='report.html'"):
        write(run)
    assert write(run, out=tmp_path / "mine.html").is_file()


def test_the_row_is_that_of_the_data(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Subject, "comparison", None)
    lines = "".join(f"{i},{i % 5},{'yes' if i % 5 > 2 else 'no'}\n" for i in range(50))
    (tmp_path / "rows.csv").write_text("mark,kind,answer\n" + lines)
    out = str(tmp_path / "run")
    assert (
        main(
            [
                "train",
                str(tmp_path / "rows.csv"),
                "--target",
                "answer",
                "--preset",
                "plain",
                "--epochs",
                "3",
                "--out",
                out,
                "--no-compare",
            ]
        )
        == 0
    )
    text = told(page_of(out, row=37))
    assert "Row 37 of rows, one of the" in text and re.search(r"mark\s+37\b", text)
    with pytest.raises(ArgumentError, match=r"there is no row 50: its rows are 0 to 49"):
        page_of(out, row=50)
    assert main(["report", out, "--row", "50"]) == 1


def test_a_race_is_reported_by_its_best_run_below_the_standings(tmp_path, outline) -> None:
    out = tmp_path / "race"
    flags = ["--learning-rate", "0.00001,0.01", "--epochs", "5", "--out", str(out)]
    assert main(["race", "iris", *flags]) == 0
    text = write(out).read_text(encoding="utf-8")
    outline(text)
    assert (out / "report.html").is_file()
    assert "<h1>race: learning-rate-0.01</h1>" in text
    assert "Below: the report of learning-rate-0.01, the best of 2." in text and "Standings of the race" in text
    assert write(fl.load_race(out), out=tmp_path / "same.html").read_text(encoding="utf-8") == text


def test_an_average_of_networks_says_which_one_it_looks_at(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Subject, "comparison", None)
    out = str(tmp_path / "several")
    flags = ["--preset", "best", "--hidden", "4", "--epochs", "2", "--no-compare", "--out", out]
    assert main(["train", "iris", *flags]) == 0
    text = told(page_of(out))
    assert "The answer is the average of 5 networks." in text and text.count("the first is looked at") >= 4
