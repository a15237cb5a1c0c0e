"""The report of a run: one self-contained HTML file with all that can be told about it.

A part of the page is one function in a table; it says nothing that another room does not know. `whole_page.write`
makes it.
"""
