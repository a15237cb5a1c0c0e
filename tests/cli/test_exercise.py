"""`fallline exercise`: the list, a task, a file to begin with, and its check."""

from fallline.cli import main
from fallline.exercises import EXERCISES


def test_an_exercise_from_the_list_to_the_right_answer(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["exercise"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in EXERCISES) and max(map(len, text.split("\n"))) <= 80
    assert main(["exercise", "descent"]) == 0
    assert "theta - learning_rate * gradient" in capsys.readouterr().out
    assert main(["exercise", "descent", "--write", "mine.py"]) == 0
    assert main(["exercise", "descent", "--write", "mine.py"]) == 2  # somebody's work is not written over
    assert "is there already" in capsys.readouterr().err
    assert main(["exercise", "descent", "mine.py"]) == 1
    file = tmp_path / "mine.py"
    file.write_text(file.read_text().replace("...", "return theta - learning_rate * gradient"))
    assert main(["exercise", "descent", "mine.py"]) == 0
    assert "descent: right" in capsys.readouterr().out
    assert main(["exercise", "decent"]) == 2
    assert "did you mean 'descent'" in capsys.readouterr().err
    assert main(["exercise", "descent", "none.py"]) == 1
    assert "--write none.py" in capsys.readouterr().err
