"""The menu of an object's pictures: `run.plot`. Checks names and options, and finds the renderer.

matplotlib is imported when a figure is asked for, and not before.
"""

import inspect
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from fallline.arguments import misfit
from fallline.errors import ArgumentError, ArgumentTypeError, MissingLibraryError, unknown
from fallline.plots import looks
from fallline.plots.chart import Chart
from fallline.plots.plot_table import NO_ROWS, Plot, plots_of

Size = tuple[float, float]


class Drawable:
    """One picture of one object. Calling it draws: `run.plot.loss(style="screen")`."""

    def __init__(self, plot: Plot, subject: Any) -> None:
        self._plot, self._subject = plot, subject
        self.doc = self.__doc__ = plot.doc
        own = list(inspect.signature(plot.function).parameters.values())[1:]
        common = list(inspect.signature(self.draw).parameters.values())[:3]
        self.__signature__ = inspect.Signature([*own, *common])

    def __call__(self, *unnamed: Any, **options: Any) -> Any:
        if unnamed:
            raise misfit(self.draw, f"plot.{self._plot.name}", unnamed, options)
        return self.draw(**options)

    def draw(self, *, out: Any = None, style: str = "paper", size: Size | None = None, **options: Any) -> Any:
        """The picture as a matplotlib Figure, which needs no display and leaves pyplot alone.

        out: a file to write it to as well, .pdf, .svg or .png by its name. style: "paper" or "screen", dark on white or
        light on dark. size: width and height in inches. options: of this picture.
        Errors: ArgumentError where the object lacks something; MissingLibraryError where matplotlib is not installed.
        """
        look = looks.look_of(style)
        path = None if out is None else _checked_path(out)
        chart = self.chart(**options)
        figure = renderer()(chart, look, _checked_size(size))
        if path is not None:
            figure.savefig(path)
        return figure

    def chart(self, **options: Any) -> Chart:
        """The picture as data: its panels, axes and marks."""
        known = list(inspect.signature(self._plot.function).parameters)[1:]
        for name in options:
            if name not in known:
                raise unknown(f"option of the plot {self._plot.name}", name, [*known, "out", "style", "size"])
        lack = self._plot.lacks(self._subject)
        if lack and not (lack == NO_ROWS and options.get("data") is not None):
            raise ArgumentError(f"{_kind(self._subject)} cannot be plotted as {self._plot.name}: {lack}")
        return self._plot.function(self._subject, **options)

    def text(self, *, width: int = 72, height: int = 14, ascii_only: bool = False, **options: Any) -> str:
        """The picture drawn with characters, at most `width` columns wide; height: rows of each panel."""
        from fallline.plots.characters import text_of

        return text_of(self.chart(**options), width=width, height=height, ascii_only=ascii_only)

    def __repr__(self) -> str:
        return f"{_kind(self._subject)}.plot.{self._plot.name}(): {self._plot.doc}"


class Menu:
    """The pictures of one object. str() lists those it can show now, and says of the others what is missing."""

    def __init__(self, subject: Any) -> None:
        self._subject = subject

    def __call__(self, name: str, **options: Any) -> Any:
        """The picture of this name, drawn: run.plot("loss", style="screen")."""
        return self[name](**options)

    def __getitem__(self, name: str) -> Drawable:
        found = plots_of(self._subject)
        if not isinstance(name, str) or name not in found:
            raise unknown(f"plot of a {_kind(self._subject)}", name, found)
        return Drawable(found[name], self._subject)

    def __getattr__(self, name: str) -> Drawable:
        if name.startswith("_"):
            raise AttributeError(name)
        from fallline.errors import UnknownNameError

        found = plots_of(self._subject)
        if name not in found:
            raise UnknownNameError(f"{_kind(self._subject)}.plot", name, lambda: found)
        return Drawable(found[name], self._subject)

    def __dir__(self) -> Iterable[str]:
        return sorted(plots_of(self._subject))

    def listed(self) -> list[tuple[str, str, str]]:
        """Name, doc, and the reason why it cannot be shown, "" where it can, of each picture."""
        return [(one.name, one.doc, one.lacks(self._subject)) for one in plots_of(self._subject).values()]

    def __repr__(self) -> str:
        from fallline.typesetting import table

        rows = self.listed()
        lines = [table([(name, doc) for name, doc, lack in rows if not lack])]
        lines += [f"not {name}: {lack.partition(chr(10))[0]}" for name, _, lack in rows if lack]
        return "\n".join(line for line in lines if line)


def menu_of(subject: Any) -> Menu:
    """The menu of an object's pictures."""
    return Menu(subject)


def renderer() -> Callable[..., Any]:
    """The function that makes figures of charts. Errors: MissingLibraryError where matplotlib is not installed."""
    try:
        from fallline.plots.figure import figure_of
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        wanted = 'figures are drawn by matplotlib, which is not installed\n  try: pip install "fallline[plots]"'
        raise MissingLibraryError(wanted) from None
    return figure_of


FILES = (".pdf", ".png", ".svg")


def _checked_path(out: Any) -> Path:
    if not isinstance(out, str | os.PathLike):
        raise ArgumentTypeError(f"out is the path of a file, got {out!r:.80}")
    path = Path(out)
    if path.suffix.lower() not in FILES:
        raise ArgumentError(f"out={str(out)!r} says no form of file that is drawn: {', '.join(FILES)}\n"
                            f"  try: out={str(path.with_suffix('.pdf'))!r}")  # fmt: skip
    if not path.parent.is_dir():
        raise ArgumentError(f"out={str(out)!r}: there is no folder {str(path.parent)!r}")
    return path


def _checked_size(size: Any) -> Size | None:
    if size is None:
        return None
    try:
        width, height = (float(one) for one in size)
    except (TypeError, ValueError):
        raise ArgumentError(f"size is a width and a height in inches, such as (6, 4), got {size!r:.80}") from None
    if not (1.5 <= width <= 50 and 1.0 <= height <= 50):
        raise ArgumentError(f"size is a width from 1.5 to 50 and a height from 1 to 50 inches, got {size!r:.80}")
    return width, height


def _kind(subject: Any) -> str:
    return type(subject).__name__.lower()
