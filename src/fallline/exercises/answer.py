"""A learner's file: run, and its function put to the check of an exercise. Errors in it are told by their line."""

import ast
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fallline.errors import MissingFileError
from fallline.exercises.exercise_table import Exercise
from fallline.typesetting import words


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of a check. wrong: sentences on what is wrong, none where the answer is right."""

    exercise: str
    wrong: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        return not self.wrong

    def __str__(self) -> str:
        return self.text()

    def text(self, *, width: int = 80) -> str:
        """The outcome to read; tables in a sentence stay as they are."""
        if self.is_right:
            return f"{self.exercise}: right"
        parts = [part for one in self.wrong for part in one.split("\n")]
        return "\n".join([f"{self.exercise}: not yet", *(
            part if part.startswith("  ") else "\n".join(f"  {line}" for line in words(part, width - 2).split("\n"))
            for part in parts)])  # fmt: skip


def checked(exercise: Exercise, path: Path) -> Answer:
    """The outcome of an exercise's check for the function in a file. Errors: MissingFileError where there is none."""
    if not path.is_file():
        begin = f"fallline exercise {exercise.name} --write {path}"
        raise MissingFileError(f"there is no file {str(path)!r}\n  try: {begin}, which begins one")
    asked = exercise.function
    try:
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source, str(path))
    except (SyntaxError, UnicodeDecodeError, ValueError) as error:
        line = getattr(error, "lineno", None)
        at = f"{path.name}, line {line}: " if line else f"{path.name}: "
        return Answer(exercise.name, (f"{at}this is no Python: {getattr(error, 'msg', error)}",))
    names: dict[str, Any] = {"__name__": "answer", "__file__": str(path)}
    wrong = _told(path, lambda: exec(compile(tree, str(path), "exec"), names))
    if wrong:
        return Answer(exercise.name, (wrong,))
    function = names.get(asked)
    if not callable(function):
        defined = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        has = f"it defines {', '.join(defined)}" if defined else "it defines no function"
        return Answer(exercise.name, (f"{path.name} has no function {asked}: {has}.",))
    if _is_untouched(tree, asked):
        return Answer(exercise.name, (f"{asked} is still empty: write its body in the place of the dots.",))
    found: list[str] = []
    wrong = _told(path, lambda: found.extend(exercise.check(function)))
    return Answer(exercise.name, (wrong,) if wrong else tuple(found))


def _told(path: Path, work: Callable[[], Any]) -> str:
    """An error of the learner's code in words, with its line; "" where there is none."""
    try:
        work()
    except Exception as error:
        frames = [one for one in traceback.extract_tb(error.__traceback__) if one.filename == str(path)]
        if not frames:
            if isinstance(error, TypeError) and "argument" in str(error):
                return f"The function takes other arguments than those of the exercise: {error}."
            raise
        last = frames[-1]
        return (f"{path.name}, line {last.lineno}: {type(error).__name__}: {error}\n"
                f"    {last.line}")  # fmt: skip
    except SystemExit:
        return f"{path.name} ends the program by itself."
    return ""


def _is_untouched(tree: ast.Module, name: str) -> bool:
    """Whether a function holds nothing but its docstring and dots."""
    body = next((node.body for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name), [])
    return all(isinstance(one, ast.Pass) or (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
               for one in body)  # fmt: skip
