"""Objects as notebooks show them: self-contained HTML that follows the notebook's light or dark theme."""

from typing import Any


def html_of(subject: Any) -> str | None:
    """The page of an object; None where its class has none."""
    return None
