"""The command line as a process: its imports, terminals of all kinds, Ctrl-C, readers that go away."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "fallline.cli"]
SRC = str(Path(__file__).parents[2] / "src")


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM")}
    return {**kept, "PYTHONPATH": SRC, "TERM": "xterm-256color", **more}


def test_help_loads_neither_numbers_nor_colours() -> None:
    program = (
        "import sys, fallline.cli; fallline.cli.main(['--help']);"
        "print(sorted({'numpy', 'scipy', 'numba', 'rich', 'sklearn', 'safetensors'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_traceback_is_shown_with_debug_alone(tmp_path: Path) -> None:
    for flags, shown in (([], False), (["--debug"], True)):
        line = [*COMMAND, "train", "no.csv", "--target", "y", *flags]
        done = subprocess.run(line, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert ("Traceback" in done.stderr) == shown
        assert "no file 'no.csv'" in done.stderr


def test_a_reader_that_goes_away_ends_the_run_without_a_word(tmp_path: Path) -> None:
    line = [*COMMAND, "train", "digits", "--epochs", "2000", "--out", "run"]
    with subprocess.Popen(
        line, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith("data ")
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 141
    assert (tmp_path / "run" / "model.safetensors").is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_output_that_cannot_be_written_ends_the_run_saved(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        line = [*COMMAND, "train", "iris", "--epochs", "20000000", "--out", "run"]
        done = subprocess.run(
            line, cwd=tmp_path, env=environment(), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == "error: the system: No space left on device\n"
    assert (tmp_path / "run" / "model.safetensors").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="a process is started otherwise there")
def test_a_process_without_an_output_trains_all_the_same(tmp_path: Path) -> None:
    program = f"import os, sys; os.close(1); os.execv(sys.executable, {[*COMMAND, 'train', 'iris', '--epochs', '2']!r})"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "runs" / "iris-1" / "model.safetensors").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_in_good_order_and_the_run_can_go_on(tmp_path: Path, name: str) -> None:
    asks = getattr(signal, name)
    line = [*COMMAND, "train", "digits", "--epochs", "1000000", "--out", "run"]
    with subprocess.Popen(
        line, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for text in process.stdout:
            if text.startswith("steps "):
                break
        # A run without a single epoch behind it would have nothing to be resumed from.
        events = tmp_path / "run" / "events.jsonl"
        while '"epoch_ended"' not in (events.read_text() if events.exists() else ""):
            time.sleep(0.01)
        process.send_signal(asks)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (128 + asks, "")
    assert "interrupted" in out and "accuracy" in out
    assert (tmp_path / "run" / "model.safetensors").is_file()
    again = [*COMMAND, "train", "digits", "--epochs", "1000000", "--out", "run", "--resume"]
    with subprocess.Popen(
        again, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert any(text.startswith("resumed ") for text in iter(process.stdout.readline, "\n"))
        process.send_signal(asks)
        process.communicate(timeout=60)
    assert process.returncode == 128 + asks


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
def test_a_race_asked_to_end_saves_every_variant(tmp_path: Path) -> None:
    line = [*COMMAND, "race", "iris", "--learning-rate", "0.001,0.01", "--epochs", "900000000", "--out", "runs"]
    with subprocess.Popen(
        line, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert any(text.strip() == "" for text in iter(process.stdout.readline, ""))  # the end of the header
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (143, "")
    assert len(list((tmp_path / "runs").glob("*/model.safetensors"))) == 2


def test_a_terminal_that_is_closed_ends_the_run_saved(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    line = [*COMMAND, "train", "iris", "--epochs", "900000000", "--out", "run"]
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        os.execve(line[0], line, environment())
    events = tmp_path / "run" / "events.jsonl"
    while '"epoch_ended"' not in (events.read_text(encoding="utf-8") if events.exists() else ""):
        os.read(terminal, 65536)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 129
    assert (tmp_path / "run" / "model.safetensors").is_file()


INTERRUPTED = """
import runpy, sys
module, wanted = sys.argv[1:]
class Finder:
    def find_spec(name, *more):
        if name == wanted:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder)
sys.argv[1:] = ["--help"]
runpy.run_module(module, run_name="__main__")
"""


@pytest.mark.parametrize("module, wanted", [
    ("fallline.cli", "fallline.cli.shell"), ("fallline.cli", "fallline.cli.exits"), ("fallline.cli", "typer"),
    ("fallline.bench", "fallline.bench.command"), ("fallline.bench", "numpy"),
])  # fmt: skip
def test_ctrl_c_during_an_import_is_a_word_and_no_traceback(tmp_path: Path, module: str, wanted: str) -> None:
    line = [sys.executable, "-c", INTERRUPTED, module, wanted]
    done = subprocess.run(line, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "error: interrupted\n")


def in_terminal(line: list[str], folder: Path, columns: int, **more: str) -> tuple[int, str]:
    """Run a command in a terminal of that width; its exit code, and everything the terminal was sent."""
    pty = pytest.importorskip("pty")
    fcntl, struct, termios = (pytest.importorskip(name) for name in ("fcntl", "struct", "termios"))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    with subprocess.Popen(
        line, cwd=folder, env=environment(**more), stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not part:
                break
            seen += part
        os.close(ours)
        return process.wait(timeout=60), seen.decode("utf-8", "replace")


CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.mark.parametrize("columns", [80, 10])
def test_a_terminal_sees_one_live_line_that_fits(tmp_path: Path, columns: int) -> None:
    code, seen = in_terminal([*COMMAND, "train", "iris", "--epochs", "300"], tmp_path, columns)
    assert code == 0
    live = [CODES.sub("", part) for part in re.split(r"[\r\n]", seen) if CODES.sub("", part).startswith("epoch")]
    assert live
    assert max(map(len, live)) <= max(columns, 20)
    if columns >= 80:
        assert re.search(r"epoch 300/300 ━+ loss [\d.]+  validation [\d.]+", live[-1]), live[-1]
    assert "test " in seen and "saved " in seen


def test_colours_go_to_terminals_that_want_them_alone(tmp_path: Path) -> None:
    colour = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")
    assert colour.search(in_terminal([*COMMAND, "train", "iris"], tmp_path, 80)[1])
    code, seen = in_terminal([*COMMAND, "train", "iris"], tmp_path, 80, NO_COLOR="1")
    assert code == 0 and "epoch" in seen and not colour.search(seen)


@pytest.mark.parametrize("encoding", ["ascii", "cp437"])
def test_output_that_is_not_utf_8_is_plain_and_whole(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "größe.csv").write_text("größe,art\n" + "1,ä\n2,ö\n" * 9, encoding="utf-8")
    for line in (["train", "größe.csv", "--target", "art", "--epochs", "3"], ["train", "größe.csv", "--target", "are"]):
        done = subprocess.run(
            [*COMMAND, *line],
            cwd=tmp_path,
            env=environment(PYTHONIOENCODING=encoding),
            capture_output=True,
            check=False,
        )
        assert done.returncode == ("are" in line)
        text = done.stdout + done.stderr
        assert b"Traceback" not in text and b"UnicodeEncodeError" not in text
        text.decode(encoding)


def test_a_terminal_that_is_dumb_and_ascii_sees_plain_text(tmp_path: Path) -> None:
    code, seen = in_terminal([*COMMAND, "train", "iris"], tmp_path, 80, PYTHONIOENCODING="ascii", TERM="dumb")
    assert code == 0
    assert seen.isascii() and "\x1b" not in seen


def test_a_terminal_is_not_left_in_silence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from threading import Event

    from fallline.cli import screen

    said = Event()
    monkeypatch.setattr(screen, "SILENCE", 0.0)
    monkeypatch.setattr(screen, "say", lambda text: said.set())
    monkeypatch.setattr(screen, "is_terminal", lambda: True)
    with screen.told_if_slow("wait"):
        assert said.wait(60)
    said.clear()
    monkeypatch.setattr(screen, "is_terminal", lambda: False)
    with screen.told_if_slow("wait"):
        assert not said.is_set()
