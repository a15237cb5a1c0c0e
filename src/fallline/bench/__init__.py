"""The benchmark: one training step beside the peers that are installed, and what a gradient, a start and memory cost.

A face: nothing in the library depends on it. `cases` says what is timed, `peers` and `ours` are the competitors,
`worker` runs one of them in a process of its own, `race` lets them take turns, `costs` measures what has no peer,
`report` writes it all down.
"""
