"""Exercises: functions of backpropagation and gradient descent to write oneself, checked against numbers.

Every module of this folder that declares an exercise is found by itself; adding one is adding a definition.
"""

import importlib
import pkgutil
from pathlib import Path

from fallline.errors import unknown
from fallline.exercises.answer import Answer, checked
from fallline.exercises.exercise_table import EXERCISES, Exercise, file_of


def find(name: str) -> Exercise:
    """The exercise of this name. Errors: ArgumentError for another name, with the nearest one."""
    if name not in EXERCISES:
        raise unknown("exercise", name, EXERCISES)
    return EXERCISES[name]


def check(name: str, file: str | Path) -> Answer:
    """The outcome of the check of a learner's file.

    name: one of EXERCISES. file: Python code, which is run.
    Errors: MissingFileError where there is no file; ArgumentError for another name.
    Example: print(exercises.check("dense-backward", "mine.py"))
    """
    return checked(find(name), Path(file))


for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["EXERCISES", "Answer", "Exercise", "check", "file_of", "find"]
