"""The forms of a network's inputs: one array, or a dict or tuple of them, each with shape and dtype of a row.

Floats reach a network in the precision of its theta. Whole numbers, of any size, and bool reach it as they are.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fallline import tree
from fallline.graph.node import Node, new_input
from fallline.graph.op import Shape
from fallline.source import Form, named
from fallline.tree import Tree

# Of inputs that stay whole numbers or bool: their dtypes by name. All others are floats.
Dtypes = Mapping[str, str]


def is_shape(given: Any) -> bool:
    """Whether this is the shape of one array: whole numbers, or none."""
    return isinstance(given, tuple | list) and all(isinstance(n, int | np.integer) for n in given)


def forms_of(shapes: Tree, dtypes: Dtypes, floats: Any, name: str = "x") -> Tree:
    """The forms of a network's inputs: those of `shapes`, a shape or a dict or tuple of shapes."""
    if is_shape(shapes):
        return Form(tuple(shapes), np.dtype(dtypes.get(name, floats)))
    parts = tree.children(shapes) or []
    return tree.rebuild(shapes, [forms_of(part, dtypes, floats, f"{name}.{key}") for key, part in parts])


def shapes_of(values: Tree) -> Tree:
    """The shape of one row of each array, or of each form."""
    return tree.map(lambda one: one.shape if isinstance(one, Form) else tuple(one.shape[1:]), values)


def dtypes_of(values: Tree) -> Dtypes:
    """The dtypes of the arrays that hold whole numbers or bool, by name."""
    return {name: one.dtype.name for name, one in named(values).items() if one.dtype.kind in "iub"}


def traced(forms: Tree, rows: int) -> tuple[Tree, list[Node]]:
    """Inputs of a graph in these forms, for so many rows: as the tree that a network takes, and in a list."""
    nodes = [new_input((rows, *form.shape), form.dtype, name) for name, form in named(forms).items()]
    return tree.unflatten(forms, nodes), nodes


def sizes(forms: Tree) -> list[Shape]:
    """The shapes of the inputs' rows, in a list."""
    return [form.shape for form in tree.leaves(forms)]


def shapes_in(shapes: Tree) -> list[Any]:
    """The shapes in a shape, or in a dict or tuple of shapes."""
    parts = None if is_shape(shapes) else tree.children(shapes)
    return [shapes] if parts is None else [one for _, part in parts for one in shapes_in(part)]
