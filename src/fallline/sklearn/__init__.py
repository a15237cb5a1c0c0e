"""Estimators in scikit-learn's form: they stand on `fit` and add no training of their own.

Names are looked up when they are first used. Inside this package `from sklearn` is the library of that name.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from fallline.errors import UnknownNameError

# Public name -> the file that holds it.
_PUBLIC: dict[str, str] = {
    "MLPClassifier": "classifier",
    "MLPRegressor": "regressor",
    "TabularClassifier": "tabular",
    "TabularRegressor": "tabular",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise UnknownNameError(f"module {__name__!r}", name, lambda: __all__)
    value = getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
