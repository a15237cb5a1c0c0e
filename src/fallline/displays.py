"""Displayed: objects that draw themselves and show themselves in notebooks.

The rooms that draw stand far below the objects they draw, so the roof is asked for them by name, when a picture is
wanted and not before: the table stands in `fallline/__init__.py`, and no import is written anywhere else.
"""

import sys
from typing import Any


class Displayed:
    """The base of all that `PLOTS` draws and that a notebook shows as a page of its own."""

    __slots__ = ()

    @property
    def plot(self) -> Any:
        """The pictures of this object: plot.NAME() or plot("NAME"), each a matplotlib Figure; str() lists them."""
        return _roof("menu")(self)

    def _repr_html_(self) -> str | None:
        """The object as notebooks show it; None where there is no page for it, which leaves them its repr."""
        found: str | None = _roof("html")(self)
        return found


def _roof(name: str) -> Any:
    return sys.modules["fallline"]._drawer(name)
