"""Rows through a network: on the machine where that pays, in plain NumPy where it does not. Knows no model.

The rule: a process that has not loaded the machine (it has not trained or compiled anything yet) computes in NumPy,
since loading takes a tenth of a second, and seconds where a kernel is not in the cache yet, until the work is
LARGE. From then on, and in a process that has trained, every prediction runs on the machine. A network that the machine
cannot run is computed in NumPy always.
The two agree to rounding. On the machine, a row's result is the same to the last bit whatever the other rows are; in
NumPy, which picks other products for other shapes, it is the same to rounding.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fallline.errors import ProgramError
from fallline.graph.body import substituted
from fallline.graph.node import Graph, Node, new_input, reachable
from fallline.graph.op import Array, Kind, Shape
from fallline.graph.steps import steps_of
from fallline.graph.trace import trace
from fallline.nn.intake import Problems, check_finite
from fallline.source import Form
from fallline.transforms.rowwise import Rowwise, checked, ready

# Numbers in the widest layer of a block of rows: its values stay in the second-level cache (256 kB in float32).
BLOCK = 1 << 16
FEWEST, MOST = 64, 4096  # rows in a block

# Rows times the numbers that leave the layers for one, from which on the machine is quicker even if it has to be loaded
# first, which takes a tenth of a second: each pass over a layer's numbers costs NumPy 2 to 3 ns a number more.
LARGE = 1 << 26


class Predictor:
    """y = function(theta, *xs) for the rows of the arrays in xs, checked to be finite.

    function: plain NumPy, a row of y from the same row of each array. theta: read at every call. forms: names of the
    arrays, each with the form of a row as the function takes it; floats may have any precision and are computed with in
    theta's. widths: numbers in a row, and in each layer's output for it.
    """

    def __init__(
        self, function: Callable[..., Any], theta: Array, forms: Mapping[str, Form], widths: Sequence[int]
    ) -> None:
        self.function, self.theta, self.names = function, theta, tuple(forms)
        self.dtypes = tuple(form.dtype for form in forms.values())
        self.block = min(max(BLOCK // max(1, *widths), FEWEST), MOST)
        self.large = LARGE // max(1, sum(widths[1:]))  # rows
        whole = theta.flags.c_contiguous and theta.flags.aligned
        self.ready = False  # whether this process was seen to have the machine loaded
        rows = [(form.shape, form.dtype) for form in forms.values()]
        self.machine = Rowwise(function, theta, rows, self.block) if whole else None
        self.rows = rows
        self.one: OneRow | None = None

    def __call__(self, xs: Sequence[Array], threads: int | None = None) -> Array:
        """The results for the rows of xs, of which there is one at least.

        Errors: DataError for NaN, infinity and numbers too large for the dtype, with its place; ArgumentError for a
        senseless number of threads.
        """
        if self.machine is not None and (self.ready or len(xs[0]) >= self.large or ready()):
            self.ready = True
            try:
                return self.machine(xs, self.check, threads=threads)
            except ProgramError:
                # NumPy gives the same result, only later, or an error of its own.
                self.machine = None
        if threads is not None:
            checked(threads)
        self.check(xs)
        return self.plain(xs) if len(xs[0]) > 1 else self.alone(xs)

    def check(self, xs: Sequence[Array]) -> None:
        """Raise if one of the arrays holds a number that is not finite."""
        problems = Problems()
        for x, name in zip(xs, self.names, strict=True):
            check_finite(x, name, self.theta.dtype, problems)
        problems.raise_if_any()

    def plain(self, xs: Sequence[Array]) -> Array:
        """The results by plain NumPy, block by block."""
        y: Array | None = None
        floats = self.theta.dtype
        dtypes = [floats if x.dtype.kind == "f" else dtype for x, dtype in zip(xs, self.dtypes)]
        for start in range(0, len(xs[0]), self.block):
            rows = slice(start, start + self.block)
            with np.errstate(all="ignore"):
                blocks = [np.ascontiguousarray(x[rows], dtype) for x, dtype in zip(xs, dtypes)]
                part = np.asarray(self.function(self.theta, *blocks))
            y = np.empty((len(xs[0]), *part.shape[1:]), part.dtype) if y is None else y
            y[rows] = part
        assert y is not None  # there is a row
        return y

    def alone(self, xs: Sequence[Array]) -> Array:
        """The result for one row by plain NumPy, without the Python of the layers where the function can be traced."""
        if self.one is None:
            self.one = OneRow(self.function, self.theta, self.rows)
        return self.one(xs) if self.one.steps is not None else self.plain(xs)


class OneRow:
    """function(theta, *xs) for one row: the ops of its graph, one after the other, which takes a quarter of the time.

    theta: read where it lies, in the views that the function makes of it.
    steps: None for a function that cannot be traced.
    """

    def __init__(self, function: Callable[..., Any], theta: Array, rows: Sequence[tuple[Shape, np.dtype[Any]]]) -> None:
        whole = new_input(theta.shape, theta.dtype)
        inputs = [new_input((1, *shape), dtype) for shape, dtype in rows]
        self.dtypes, self.steps = [dtype for _, dtype in rows], None
        try:
            graph, _ = trace(function, [whole, *inputs])
        except Exception:  # a function of the caller's own may do anything; NumPy gives its result, or its error
            return
        views: dict[Node, Array] = {whole: theta}
        for node in graph.nodes():
            if node.op.kind is Kind.VIEW and node.inputs[0] in views:
                value = node.op.meaning(views[node.inputs[0]], **node.attrs)
                if np.may_share_memory(value, theta):
                    views[node] = value
        leaves = {node: new_input(node.shape, node.dtype) for node in views}
        outputs = tuple(substituted(graph.outputs, leaves))
        used = {*reachable(outputs)}
        self.steps = steps_of(Graph((*(leaf for leaf in leaves.values() if leaf in used), *inputs), outputs))
        self.views = [view for node, view in views.items() if leaves[node] in used]

    def __call__(self, xs: Sequence[Array]) -> Array:
        assert self.steps is not None
        row = [x if x.dtype == dtype else x.astype(dtype) for x, dtype in zip(xs, self.dtypes, strict=True)]
        (y,) = self.steps.run([*self.views, *row])
        return np.array(y)
