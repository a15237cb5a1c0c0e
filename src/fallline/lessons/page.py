"""How a lesson is laid out as text: screens of a title, paragraphs, formulas, pictures. Knows no lesson."""

import textwrap
from collections.abc import Iterable, Sequence

from fallline.typesetting import words

# A screen of a lesson leaves the last of a terminal's 24 lines free, for what is typed next.
LINES = 23


def title(text: str, *, ascii_only: bool) -> str:
    """A heading with a rule under it."""
    return f"{text}\n{('=' if ascii_only else '═') * len(text)}"


def heading(text: str, *, ascii_only: bool) -> str:
    """The heading of a screen that is not the first."""
    return f"{text}\n{('-' if ascii_only else '─') * len(text)}"


def fixed(value: float, decimals: int, sign: str = "-") -> str:
    """A number with these decimals, and by its power of ten where that would not fit a column.

    sign: `+` writes it in front of numbers above 0 too.
    """
    return f"{value:{sign}.{decimals}f}" if abs(value) < 1e5 else f"{value:{sign}.3e}"


def formula(text: str) -> str:
    """Lines of a formula, written in the source with any indent, set off from the words around them."""
    return set_off(textwrap.dedent(text).strip("\n"), 4)


def set_off(text: str, indent: int = 2) -> str:
    """The lines, indented, without spaces at their ends."""
    return "\n".join(f"{' ' * indent}{line}".rstrip() for line in text.split("\n"))


def page(parts: Iterable[str]) -> str:
    """One screen: parts with an empty line between them; empty parts are left out."""
    return "\n\n".join(part.rstrip("\n") for part in parts if part)


def joined(screens: Sequence[str]) -> str:
    """Screens as one text."""
    return "\n\n".join(screens)


def with_last(screens: Sequence[str], part: str) -> list[str]:
    """The screens and a part after them: on the last one if it has room, else on its own."""
    if not part:
        return list(screens)
    last = page([screens[-1], part])
    return [*screens[:-1], last] if len(last.split("\n")) <= LINES else [*screens, part]


__all__ = ["LINES", "fixed", "formula", "heading", "joined", "page", "set_off", "title", "with_last", "words"]
