"""The benchmark: one training step beside the peers that are installed, and what else has a floor or a price.

A face: nothing in the library depends on it. `cases` says what is timed, `peers` and `ours` are the competitors,
`worker` runs one of them in a process of its own, `field` holds the processes, `race` lets them take turns. `many`,
`crowd`, `fresh`, `costs` and `growth` measure what is no race, each a line of a table of measures, and `limits` what
the machine can do at all. `results` keeps it all, and `report` writes it down.
"""
