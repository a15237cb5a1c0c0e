"""The table of a report's sections: the form of one, and how it gets into the table. Knows no single section.

A section is a function from a Subject to the HTML inside it; "" where there is nothing to show.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fallline.errors import GraphError
from fallline.report.subject import Subject

Show = Callable[[Subject], str]


@dataclass(frozen=True, slots=True)
class Section:
    """One section. name: of its anchor. title: its heading. order: the smaller, the higher on the page."""

    name: str
    title: str
    show: Show
    order: int


SECTIONS: dict[str, Section] = {}


def section(name: str, title: str, order: int) -> Callable[[Show], Show]:
    """Enter a function into the table as a section."""

    def enter(show: Show) -> Show:
        if name in SECTIONS:
            raise GraphError(f"section {name!r} is declared twice")
        SECTIONS[name] = Section(name, title, show, order)
        return show

    return enter
