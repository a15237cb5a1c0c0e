"""The project's own benchmarks, outside the package: the races of `fallline bench`, and all else that has a floor.

`many`, `crowd`, `fresh`, `costs` and `growth` measure all but races, each a line of a table of measures, and `limits`
what the machine can do at all. `results` keeps it, and `results_page` writes docs/benchmarks.md and the README's table.
"""
