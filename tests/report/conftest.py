"""A page's outline, as a parser of HTML reads it."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise

import pytest

# Elements that are never closed.
VOID = {"meta", "br", "img", "hr", "link", "input"}


class Outline(HTMLParser):
    """The elements of a page, which have to be closed in order, and what they ask for from outside."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.outside: list[str] = []
        self.anchors: list[str] = []
        self.levels: list[int] = []

    def handle_starttag(self, tag, attrs) -> None:
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        for name, value in attrs:
            if name in ("src", "href", "xlink:href") and not (value or "").startswith(("#", "data:")):
                self.outside.append(f"{tag} {name}={value}")
            if name == "id":
                self.anchors.append(value)

    def handle_startendtag(self, tag, attrs) -> None:
        pass

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag


def read(text: str) -> Outline:
    found = Outline()
    found.feed(text)
    assert not found.open
    assert len(set(found.anchors)) == len(found.anchors)
    # Headings go down by one level at a time, for who reads the page by them.
    assert found.levels[0] == 1 and all(after <= before + 1 for before, after in pairwise(found.levels))
    assert "mistake of this program" not in text
    return found


@pytest.fixture(scope="session")
def outline() -> Callable[[str], Outline]:
    """A function that checks that a text is a well-formed page, and returns what is in it."""
    return read
