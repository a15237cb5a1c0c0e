"""Training as a stream of events: the loop, its batches, validation, early stopping, checkpoints and run folders.

Names are looked up when they are first used, so that readers of events need not load the training loop.
"""

import importlib
from typing import Any

_MODULE_OF = {
    "Plan": "planning",
    "Run": "run",
    "Training": "training",
    "load_run": "run",
    "plan": "planning",
}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value
