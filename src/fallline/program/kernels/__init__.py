"""The kernels: compiled loops over raw memory, each called with the address of its row of arguments.

Compiled when first asked for, once per machine, and kept in a private cache folder (store.py).
"""
