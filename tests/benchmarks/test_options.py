"""The command: wrong arguments are reported before anything is measured; page and README come from kept results."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks import limits, options
from benchmarks.measurement import Found, Measure
from benchmarks.record import Rate, Rates, Results, read
from fallline.bench.cases import CASES
from fallline.bench.results import Outcome, Timing

README = "# A\n<!-- benchmarks: by a command -->\n<!-- /benchmarks -->\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--rounds", "0"], "--rounds has to be from 1 to 1000"),
        (["--threads", "0"], "--threads has to be from 1 to"),
        (["--threads", "100000"], "--threads has to be from 1 to"),
        (["--case", "no such"], "no network's name has no such in it; there are: 2-8-8-2"),
        (["--write", "no/such/folder/page.md"], "is no folder"),
        (["--readme", "no-such-file.md"], "No such file"),
        (["--from", "no-such-file.json"], "No such file"),
    ],
)
def test_wrong_arguments_are_reported_before_anything_is_measured(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "measured", lambda *_: pytest.fail("measured"))
    with pytest.raises(SystemExit) as ended:
        options.main(arguments)
    assert ended.value.code == 2 and told in capsys.readouterr().err


def kept() -> Results:
    timings = {"Fallline": Timing(10, [1.0], [1.0]), "PyTorch": Timing(10, [20.0], [20.0])}
    return Results("a command", "a machine", "versions", 60.0, [Outcome(CASES[1], 1, timings)])


def test_page_and_readme_are_made_from_kept_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kept.json").write_text(kept().to_json())
    (tmp_path / "README.md").write_text(README)
    page, readme = tmp_path / "page.md", tmp_path / "README.md"
    arguments = ["--from", str(tmp_path / "kept.json"), "--write", str(page), "--readme", str(readme)]
    assert options.main(arguments) == 0
    assert "20.0x" in page.read_text() and "20.0x" in readme.read_text()
    assert not page.with_suffix(".json").exists() and "Every floor that was measured is met." in capsys.readouterr().out


def test_a_run_keeps_its_results_beside_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "measured", lambda asked, told: kept())
    assert options.main(["--write", str(tmp_path / "page.md")]) == 0
    assert read(tmp_path / "page.json") == kept()


def failing(threads: int) -> Found:
    raise subprocess.CalledProcessError(1, "a script")


def test_a_measurement_that_fails_is_reported_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    well = Measure("Well", "about", ("", "seconds"), lambda threads: Found([("one", f"{threads}")]))
    monkeypatch.setattr(options, "MEASURES", (Measure("Ill", "about", (), failing), well))
    rates = Rates(3, Rate("s", 1.0, 1.0), (Rate("p", 1.0, 1.0),), 1.0, 0)
    monkeypatch.setattr(limits, "rates", lambda threads: rates)
    found = Results("", "")
    options.measures(3, found)
    ill, good = found.findings
    assert ill.rows == () and "returned non-zero exit status 1" in ill.short[0]
    assert good.rows == (("one", "3"),) and found.rates == rates
