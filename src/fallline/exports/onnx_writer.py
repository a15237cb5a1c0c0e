"""Writes the nodes of an ONNX graph: names, constants, and the number of rows, which is known only when the graph runs.

Knows the format and none of our ops.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fallline.errors import ArgumentError
from fallline.graph.op import Array

# The newest of each that runtimes of several years and of all makers read; newer ones add nothing that is needed here.
OPSET, ML_OPSET, IR_VERSION = 17, 3, 8
ML = "ai.onnx.ml"
# Traces are made for two numbers of rows: a size that differs between them follows from the number of rows. Primes, so
# that neither is the width of a layer.
ROWS = (1009, 2003)
# A file of the format holds less than two gigabytes; a few are left for its nodes.
LARGEST = 2_000_000_000


class Writer:
    """An ONNX graph in the making; `w.Add(a, b)` appends a node and returns the name of its value.

    An argument is the name of a value, an array, which becomes a constant, or a number, which becomes one of the dtype
    that is computed in (`dtype`). taken: names that are inputs of the graph or that its outputs will get.
    """

    def __init__(self, taken: Sequence[str] = (), outer: "Writer | None" = None) -> None:
        self.nodes: list[Any] = []
        self.outer = outer
        self.taken: set[str] = {*taken} if outer is None else outer.taken
        self.constants: dict[tuple[Any, ...], str] = {} if outer is None else outer.constants
        self.tensors: list[Any] = [] if outer is None else outer.tensors
        self.size = 0
        self.layer: str = "" if outer is None else outer.layer  # path of the layer whose nodes are written
        self.dtype: np.dtype[Any] = np.dtype(np.float32)
        self._rows: str | None = None
        self.counted: str | None = None  # the value whose first axis has a row each

    def inner(self) -> "Writer":
        """The writer of a graph inside a node of this one, which sees all values written so far."""
        return Writer(outer=self)

    def name(self, wish: str) -> str:
        """A name that no other value has, like the one wished for."""
        found, count = wish, 1
        while found in self.taken or not found:
            count += 1
            found = f"{wish or 'value'}.{count}"
        self.taken.add(found)
        return found

    def __getattr__(self, op: str) -> Callable[..., str]:
        if not op[:1].isupper():
            raise AttributeError(op)
        return lambda *inputs, **attrs: self.add(op, inputs, **attrs)

    def add(self, op: str, inputs: Sequence[Any], *, domain: str = "", wish: str = "", **attrs: Any) -> str:
        """A node with one output; its name. wish: how the output is called, if nothing else is called so."""
        (name,) = self.several(op, inputs, (wish or self.local(op.lower()),), domain=domain, **attrs)
        return name

    def several(
        self, op: str, inputs: Sequence[Any], wishes: Sequence[str], *, domain: str = "", **attrs: Any
    ) -> list[str]:
        """A node with an output for each wish; their names."""
        from onnx import helper

        names = [self.name(wish) for wish in wishes]
        read = [self.value(each) for each in inputs]
        self.nodes.append(helper.make_node(op, read, names, name=names[0], domain=domain, **attrs))
        return names

    def local(self, name: str) -> str:
        """A name with the path of the layer in front."""
        return f"{self.layer}/{name}" if self.layer else name

    def value(self, given: Any, wish: str = "") -> str:
        """The name of a value: itself, or that of a constant."""
        if isinstance(given, str):
            return given
        array = np.asarray(given, self.dtype) if isinstance(given, bool | int | float) else np.asarray(given)
        return self.constant(array, wish)

    def constant(self, array: Array, wish: str = "") -> str:
        """The name of a constant with these numbers or texts; equal ones without a name of their own are one.

        Errors: ArgumentError where the constants become too large for a file of this format.
        """
        from onnx import helper, numpy_helper

        texts = array.dtype.kind in "OU"
        key = (wish, array.shape, tuple(array.ravel()) if texts else (array.dtype.str, array.tobytes()))
        if key not in self.constants:
            name = self.name(wish or self.local("constant"))
            if texts:
                cells = [str(text).encode() for text in array.ravel()]
                tensor = helper.make_tensor(name, helper.np_dtype_to_tensor_dtype(np.dtype(object)), array.shape, cells)
            else:
                tensor = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
            top = self.top()
            top.size += 0 if texts else array.nbytes
            if top.size > LARGEST:
                raise ArgumentError(
                    f"the model has more than {LARGEST / 1e9:.0f} GB of parameters, which one ONNX file cannot hold"
                )
            self.tensors.append(tensor)
            self.constants[key] = name
        return self.constants[key]

    def top(self) -> "Writer":
        return self if self.outer is None else self.outer.top()

    def rows(self) -> str:
        """The number of rows, int64 of shape (1,)."""
        top = self.top()
        if top._rows is None:
            assert top.counted is not None, "a graph whose sizes follow from the rows has an input with rows"
            shape = top.Shape(top.counted)
            top._rows = top.add("Slice", [shape, np.array([0]), np.array([1])], wish="rows")
        return top._rows

    def sizes(self, ints: Sequence[int], others: Sequence[int]) -> Any:
        """Sizes, as they are in the traces of ROWS[0] and of ROWS[1] rows, as an int64 vector: an array where they
        agree, else the name of a value computed from the number of rows.

        Errors: ArgumentError for sizes that do not grow in step with the rows.
        """
        if tuple(ints) == tuple(others):
            return np.array(ints, np.int64)
        parts: list[Any] = []
        for one, other in zip(ints, others, strict=True):
            factor, rest = divmod(other - one, ROWS[1] - ROWS[0])
            start = one - factor * ROWS[0]
            if rest:
                raise ArgumentError(
                    f"a size of the network is {one} for {ROWS[0]} rows and {other} for {ROWS[1]}, and follows from "
                    "the number of rows in no simple way"
                )
            if not factor:
                parts.append(np.array([one], np.int64))
                continue
            size = self.rows() if factor == 1 else self.Mul(self.rows(), np.array([factor]))
            parts.append(size if start == 0 else self.Add(size, np.array([start])))
        return parts[0] if len(parts) == 1 else self.Concat(*parts, axis=0)
