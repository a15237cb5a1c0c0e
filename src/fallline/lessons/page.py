"""How a lesson is laid out as text: a title, paragraphs, formulas, pictures. Knows no lesson."""

import textwrap
from collections.abc import Iterable

from fallline.insight.text import words


def title(text: str, *, ascii_only: bool) -> str:
    """A heading with a rule under it."""
    return f"{text}\n{('=' if ascii_only else '═') * len(text)}"


def formula(text: str) -> str:
    """Lines set off from the words around them, as they stand."""
    lines = textwrap.dedent(text).strip("\n").split("\n")
    return "\n".join(f"    {line}".rstrip() for line in lines)


def page(parts: Iterable[str]) -> str:
    """Parts with an empty line between them; empty parts are left out."""
    return "\n\n".join(part.rstrip("\n") for part in parts if part)


__all__ = ["formula", "page", "title", "words"]
