"""Nested dict, list, tuple and named-tuple containers of arrays: map, flatten, paths. Knows nothing of graphs.

Anything that is not a container is a leaf. Dicts are walked in the order of their sorted keys, so that two dicts
with the same content flatten alike; None is an empty container.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

import numpy as np

from fallline.errors import ArgumentTypeError

# A tree is recursive and generic over its leaves, which the type system cannot say; hence Any.
Tree = Any
Leaf = Any
LEAF = "*"


def is_named_tuple(tree: Tree) -> bool:
    return isinstance(tree, tuple) and hasattr(tree, "_fields")


def children(tree: Tree) -> list[tuple[str, Tree]] | None:
    """(name, subtree) pairs of a container, or None for a leaf."""
    if isinstance(tree, dict):
        try:
            return [(str(key), tree[key]) for key in sorted(tree)]
        except TypeError:
            raise ArgumentTypeError(f"a dict of arrays needs keys that can be sorted, got {list(tree)!r}") from None
    if is_named_tuple(tree):
        return list(zip(tree._fields, tree, strict=True))
    if isinstance(tree, list | tuple):
        return [(str(i), child) for i, child in enumerate(tree)]
    return [] if tree is None else None


def rebuild(tree: Tree, values: list[Tree]) -> Tree:
    """A container like `tree` with these values as its direct children."""
    if isinstance(tree, dict):
        by_key = dict(zip(sorted(tree), values, strict=True))
        return {key: by_key[key] for key in tree}
    if is_named_tuple(tree):
        return type(tree)(*values)
    return None if tree is None else type(tree)(values)


def items(tree: Tree, prefix: str = "") -> Iterator[tuple[str, Leaf]]:
    """(path, leaf) pairs; a path reads `layers.1.weight`, and a bare leaf has the empty path."""
    parts = children(tree)
    if parts is None:
        yield prefix, tree
        return
    for name, child in parts:
        yield from items(child, f"{prefix}.{name}" if prefix else name)


def leaves(tree: Tree) -> list[Leaf]:
    found: list[Leaf] = []
    _collect(tree, found)
    return found


_CONTAINERS = (dict, list, tuple)


def _collect(tree: Tree, found: list[Leaf]) -> None:
    if isinstance(tree, _CONTAINERS):
        for _, child in children(tree) or ():
            _collect(child, found)
    elif tree is not None:
        found.append(tree)


def flatten(tree: Tree, found: list[Leaf], form: list[Hashable]) -> None:
    """Append the leaves to `found`, and to `form` the types of the containers: equal lists mean equal forms.

    For calls that happen often: one walk, and no paths.
    """
    if isinstance(tree, dict):
        keys = sorted(tree)
        form += type(tree), tuple(keys)
        parts: Iterable[Tree] = [tree[key] for key in keys]
    elif isinstance(tree, list | tuple):
        form += type(tree), len(tree)
        parts = tree
    elif tree is None:
        form.append(None)
        return
    else:
        form.append(LEAF)
        found.append(tree)
        return
    for part in parts:
        if type(part) is np.ndarray:  # most often
            form.append(LEAF)
            found.append(part)
        else:
            flatten(part, found, form)


def unflatten(tree: Tree, new_leaves: list[Leaf]) -> Tree:
    """The tree's structure with other leaves, in the order of `leaves`."""
    return _fill(tree, iter(new_leaves))


def _fill(part: Tree, rest: Iterator[Leaf]) -> Tree:
    # No function inside `unflatten`: one that calls itself is a cycle, and would keep the leaves alive after the call.
    if isinstance(part, dict):
        filled = {key: _fill(part[key], rest) for key in sorted(part)}
        return {key: filled[key] for key in part}
    if isinstance(part, list | tuple):
        return rebuild(part, [_fill(child, rest) for child in part])
    return None if part is None else next(rest)


def map(function: Callable[[Leaf], Leaf], tree: Tree) -> Tree:
    return unflatten(tree, [function(leaf) for leaf in leaves(tree)])


def structure(tree: Tree) -> str:
    """The tree's form as text, leaves as `*`: equal texts mean equal forms."""
    parts = children(tree)
    if parts is None:
        return "*"
    inside = ", ".join(f"{name}: {structure(child)}" for name, child in parts)
    return f"{type(tree).__name__}({inside})"
