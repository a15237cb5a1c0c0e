"""The benchmark that a user runs: one training step against the peers that are installed.

A face: nothing in the library depends on it. `cases` lists the networks, `peers` and `ours` are the competitors,
`worker` runs one of them in a process of its own, `field` holds the processes, `race` lets them take turns, `results`
keeps it and `tables` shows it. The project's own tables, with costs, growth and limits, are in `benchmarks/`.
"""
