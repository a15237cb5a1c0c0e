"""Sections on the inside of a network: one row through it and back, every number shown."""

from fallline.plots.page_parts import html_of, line
from fallline.report.section_table import section
from fallline.report.subject import Subject


@section("row", "One row, forward and backward", 70)
def row(subject: Subject) -> str:
    """A training row through the first network to the loss, and the chain rule back."""
    found = subject.explanation
    if found is None:
        return line("the training rows are not there, so none can be explained", quiet=True)
    name = subject.opened.parts[0].name
    whose = f" of {name}" if name else ""
    return line(f"Training row {subject.row}{whose}.") + (html_of(found) or "")
