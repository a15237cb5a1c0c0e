"""The benchmark: one training step against the peers that are installed, and other measurements with a floor.

A face: nothing in the library depends on it. `cases` lists the networks, `peers` and `ours` are the competitors,
`worker` runs one of them in a process of its own, `field` holds the processes, `race` lets them take turns. `many`,
`crowd`, `fresh`, `costs` and `growth` measure all but races, each a line of a table of measures, and `limits` what
the machine can do at all. `results` keeps it all, and `report` writes it down.
"""
