"""Pieces of a page: boxes, tables, facts, drawn in the colours and the font of whoever shows them.

Everything is escaped here, once; no script, no link, nothing from outside.
"""

import html
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from fallline.displays import Displayed
from fallline.typesetting import number

MOST_ROWS = 30
# Letters of a cell up to which no page breaks it into lines.
SHORT = 12
FRAME = (
    "border:1px solid rgba(128,128,128,.35);border-radius:6px;padding:10px 14px;margin:4px 0;max-width:980px;"
    "font:13px/1.45 system-ui,sans-serif;overflow-x:auto"
)
QUIET = "opacity:.7"
CELL = "padding:2px 12px 2px 0;text-align:{};border:none;background:none;white-space:nowrap"

PAGES: dict[type, Callable[[Any], str]] = {}
F = TypeVar("F", bound=Callable[[Any], str])


def page(of: type) -> Callable[[F], F]:
    """Enter a function as the page of a class: from an object to the HTML inside its box."""

    def enter(function: F) -> F:
        PAGES[of] = function
        return function

    return enter


def html_of(subject: Any) -> str | None:
    """The page of an object, self-contained; None where its class has none, and shows itself by its repr."""
    own = type(subject)._repr_html_ if isinstance(subject, Displayed) else Displayed._repr_html_
    if own is not Displayed._repr_html_:  # an explanation draws its own
        found: str | None = own(subject)
        return found
    made = next((PAGES[cls] for cls in type(subject).__mro__ if cls in PAGES), None)
    return None if made is None else boxed(made(subject))


def boxed(inside: str) -> str:
    return f'<div style="{FRAME}">{inside}</div>'


def escaped(text: Any) -> str:
    return html.escape(str(text))


def heading(text: str, more: str = "") -> str:
    """A line in bold, and more after it."""
    tail = f' <span style="{QUIET}">{escaped(more)}</span>' if more else ""
    return f'<div style="margin:0 0 6px"><b>{escaped(text)}</b>{tail}</div>'


def line(text: str, quiet: bool = False) -> str:
    return f'<div style="margin:4px 0;{QUIET if quiet else ""}">{escaped(text)}</div>'


def pre(text: str) -> str:
    """Text as it is, in letters of one width."""
    style = "margin:4px 0;font:12px/1.35 ui-monospace,monospace;background:none;color:inherit;white-space:pre"
    return f'<pre style="{style}">{escaped(text)}</pre>'


def folded(title: str, inside: str) -> str:
    """A part that opens when its title is clicked."""
    return f'<details style="margin:6px 0"><summary style="cursor:pointer">{escaped(title)}</summary>{inside}</details>'


def code(text: str) -> str:
    style = "font:12px ui-monospace,monospace;background:rgba(128,128,128,.15);padding:1px 5px;border-radius:3px"
    return f'<code style="{style};color:inherit">{escaped(text)}</code>'


def table(rows: Iterable[Sequence[Any]], headers: Sequence[str] = (), bold: int | None = None) -> str:
    """Rows of cells: numbers to the right, texts to the left. bold: the row that is set off."""
    body = [list(row) for row in rows]
    left = len(body) - MOST_ROWS
    right = [all(isinstance(row[i], int | float) or row[i] in ("", "-") for row in body) for i in range(_wide(body))]
    sides = ["right" if one else "left" for one in right]

    def cells(row: Sequence[Any], tag: str, style: str = "") -> str:
        texts = (number(cell) if isinstance(cell, int | float) else str(cell) for cell in row)
        scope = ' scope="col"' if tag == "th" else ""
        return "".join(
            f'<{tag}{scope}{" class=short" * (len(text) <= SHORT)} style="{CELL.format(side)}{style}">'
            f"{escaped(text)}</{tag}>"
            for text, side in zip(texts, sides)
        )

    lines = [f"<tr>{cells(headers, 'th', ';' + QUIET)}</tr>"] if headers else []
    for place, row in enumerate(body[:MOST_ROWS]):
        lines.append(f'<tr style="background:none">{cells(row, "td", ";font-weight:600" * (place == bold))}</tr>')
    more = line(f"and {left} more", quiet=True) if left > 0 else ""
    return f'<table style="border-collapse:collapse;border:none;margin:4px 0">{"".join(lines)}</table>{more}'


def _wide(body: Sequence[Sequence[Any]]) -> int:
    return max((len(row) for row in body), default=0)
