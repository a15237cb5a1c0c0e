"""The report of a run: one self-contained HTML file with all that can be told about it.

A part of the page is one function in a table; it says nothing that another room does not know. `write` makes the file,
`page_of` the text.
"""

from fallline.report.whole_page import page_of, write

__all__ = ["page_of", "write"]
