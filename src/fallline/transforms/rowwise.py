"""A function of rows for any number of them: programs over blocks of rows, each lent to one thread at a time.

The rows are read where they lie, and memory beyond the results does not grow with their number.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import count
from typing import Any

import numpy as np

from fallline.errors import GraphError, ProgramError
from fallline.graph.node import Graph, new_input
from fallline.graph.op import Array, Shape
from fallline.graph.trace import trace
from fallline.program import lanes
from fallline.program.lanes import checked
from fallline.program.row_blocks import RowProgram, ready

__all__ = ["Rowwise", "checked", "ready"]

# Fewer rows than a block go through programs for fewer, the largest that fits. The rest goes through the same
# program once more, together with rows before it that are done already: nothing is padded and nothing copied.
SIZES = (64, 8, 1)

# Numbers that are read where they lie, if they lie right. Others become the function's own, so many of them at a time.
READ = (np.dtype(np.float32), np.dtype(np.float64))
TURNED = 1 << 16
# Nanoseconds of work from which on lanes share it, and blocks that are too few to be shared.
SHARED, FEW = 500_000.0, 8


class Rowwise:
    """y = function(theta, *xs), where a row of y depends on that row of the arrays in xs (and on theta) alone.

    function: written with NumPy. theta: C-contiguous; read where it lies at every call. forms: shape and dtype of one
    row of each array as the function takes it. block: rows that go through the function at a time.
    A row's result is the same to the last bit whatever the other rows are and however many threads there are. Several
    threads may call at once.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        theta: Array,
        forms: Sequence[tuple[Shape, np.dtype[Any]]],
        block: int,
    ) -> None:
        self.function, self.theta = function, theta
        self.shapes, self.dtypes = [shape for shape, _ in forms], [dtype for _, dtype in forms]
        self.sizes = (block, *(size for size in SIZES if size < block))
        self._free: dict[tuple[Any, ...], list[RowProgram]] = {}

    def __call__(
        self, xs: Sequence[Array], doubt: Callable[[Sequence[Array]], None], *, threads: int | None = 1
    ) -> Array:
        """The function's result for all rows of xs; there has to be one at least.

        doubt: called with xs when they turn out to hold something that may not be finite (a sum is not); it raises
        where it finds cause, else the rest is computed without looking.
        threads: lanes to use at most; None means the cores this process may use. Little work is done on one.
        Errors: ProgramError where no program can be made; those of `doubt`.
        """
        most = threads if threads is None else checked(threads)
        n = len(xs[0])
        rows = next(filter(n.__ge__, self.sizes))
        key: tuple[Any, ...]
        if len(xs) == 1:  # a loop over one array would cost a row's prediction a twentieth
            in_place, read_as = self._in_place(xs[0], self.dtypes[0])
            key = rows, read_as
        else:
            found = [self._in_place(x, dtype) for x, dtype in zip(xs, self.dtypes, strict=True)]
            in_place, key = all(lies for lies, _ in found), (rows, *(read_as for _, read_as in found))
        program = self._borrow(key)
        try:
            blocks, rest = divmod(n, rows)
            most = most or lanes.available() if blocks * program.work > SHARED else 1
            shared = most > 1
            if shared and blocks < FEW and rows > SIZES[0]:  # smaller blocks, so that each lane has its part
                smaller = (SIZES[0], *key[1:])
                other = self._borrow(smaller)
                self._give_back(key, program)
                program, key, rows = other, smaller, SIZES[0]
                blocks, rest = divmod(n, rows)
            task = Task(program.result(n), xs, in_place, doubt)
            turn = program.turn if in_place else max(1, TURNED // (rows * max(1, *(x[0].size for x in xs))))
            if shared:
                turn = min(turn, -(-blocks // most))
            if blocks <= turn:
                task.do(program, 0, blocks)
            elif most == 1:
                for start in range(0, blocks, turn):
                    task.do(program, start * rows, min(turn, blocks - start))
            else:
                self._share(task, key, blocks, turn, most)
            if rest:
                task.do(program, n - rows, 1)
        finally:
            self._give_back(key, program)
        return task.y

    def _in_place(self, x: Array, dtype: np.dtype[Any]) -> tuple[bool, np.dtype[Any]]:
        """Whether an array is read where it lies, and the dtype it is read in: another float is cast, never made whole.

        dtype: in which the function takes it.
        """
        flags, own = x.flags, x.dtype
        if flags.c_contiguous and flags.aligned and (own is dtype or own == dtype or own in READ):
            return True, own
        return False, dtype if own.kind != "f" or dtype.kind == "f" else self.theta.dtype

    def _share(self, task: "Task", key: tuple[Any, ...], blocks: int, turn: int, most: int) -> None:
        """All blocks on several lanes, each taking the next turn when it is done with one."""
        turns = -(-blocks // turn)
        following = count()  # next() is one step of the interpreter, so no turn is taken twice
        over = False

        def lane(number: int) -> int:
            program = self._borrow(key)
            try:
                while not over and (i := next(following)) < turns:
                    task.do(program, i * turn * program.rows, min(turn, blocks - i * turn))
            finally:
                self._give_back(key, program)
            return 0

        def give_up() -> None:
            nonlocal over
            over = True

        used = min(most, turns)
        if used == 1:
            lane(0)
            return
        with lanes.crew(used - 1) as crew:
            crew.run(lane, used, give_up)

    def _borrow(self, key: tuple[Any, ...]) -> RowProgram:
        """A program that nobody else uses until it is given back."""
        try:
            return self._free[key].pop()  # at once, so that no two threads get the same
        except (KeyError, IndexError):
            pass
        try:
            return self._made(*key)
        except Exception as error:  # a user's function may do anything when it is traced
            told = ", ".join(map(str, key[1:]))
            raise ProgramError(f"no program can be made for {key[0]} rows of {told}: {error}") from error

    def _give_back(self, key: tuple[Any, ...], program: RowProgram) -> None:
        self._free.setdefault(key, []).append(program)

    def _made(self, rows: int, *dtypes: np.dtype[Any]) -> RowProgram:
        def block(theta: Any, *xs: Any) -> tuple[Any, Any]:
            floats = self.theta.dtype
            xs = tuple(x.astype(floats) if x.dtype.kind == "f" and x.dtype != floats else x for x in xs)
            # NaN and infinity never leave a sum again. The sum of finite numbers may overflow, which `doubt` finds out.
            sums = [np.sum(x) for x in xs if x.dtype.kind == "f"]
            return self.function(theta, *xs), reduce(np.add, sums) if sums else np.zeros((), floats)

        theta = new_input(self.theta.shape, self.theta.dtype)
        inputs = [new_input((rows, *shape), dtype) for shape, dtype in zip(self.shapes, dtypes, strict=True)]
        graph, _ = trace(block, [theta, *inputs])
        y, _ = graph.outputs
        if y.shape[:1] != (rows,):
            raise GraphError(f"{rows} rows became an array of shape {y.shape}")
        return RowProgram(Graph((new_input(y.shape, y.dtype), *graph.inputs), graph.outputs), [self.theta])


@dataclass(slots=True)
class Task:
    """The arrays of one call. y: filled by `do`. in_place: xs are read where they lie. watch: blocks are looked at."""

    y: Array
    xs: Sequence[Array]
    in_place: bool
    doubt: Callable[[Sequence[Array]], None]
    watch: bool = True

    def do(self, program: RowProgram, start: int, blocks: int) -> None:
        """So many blocks from a row on."""
        xs, y, first = self.xs, self.y, start
        if not self.in_place:
            rows = slice(start, start + blocks * program.rows)
            with np.errstate(all="ignore"):  # a number too large for the dtype becomes infinity, and is found
                xs = [np.ascontiguousarray(x[rows], dtype) for x, dtype in zip(xs, program.dtypes)]
            y, first = y[rows], 0
        if not program.run(y, xs, first, blocks, self.watch):
            self.doubt(self.xs)
            self.watch = False
            program.run(y, xs, first, blocks, False)
