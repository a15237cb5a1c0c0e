"""How a lesson is laid out as text: a title, paragraphs, formulas, pictures. Knows no lesson."""

import textwrap
from collections.abc import Iterable

from fallline.typesetting import words


def title(text: str, *, ascii_only: bool) -> str:
    """A heading with a rule under it."""
    return f"{text}\n{('=' if ascii_only else '═') * len(text)}"


def formula(text: str) -> str:
    """Lines of a formula, written in the source with any indent, set off from the words around them."""
    return set_off(textwrap.dedent(text).strip("\n"), 4)


def set_off(text: str, indent: int = 2) -> str:
    """The lines, indented, without spaces at their ends."""
    return "\n".join(f"{' ' * indent}{line}".rstrip() for line in text.split("\n"))


def page(parts: Iterable[str]) -> str:
    """Parts with an empty line between them; empty parts are left out."""
    return "\n\n".join(part.rstrip("\n") for part in parts if part)


__all__ = ["formula", "page", "set_off", "title", "words"]
