"""A function of rows for any number of them: programs over blocks of rows, each lent to one thread at a time.

The rows are read where they lie, and memory beyond the results does not grow with their number.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from fallline.errors import GraphError, ProgramError
from fallline.graph.node import Graph, new_input
from fallline.graph.op import Array, Shape
from fallline.graph.trace import trace
from fallline.program import lanes
from fallline.program.lanes import checked
from fallline.program.rows import RowProgram, ready

__all__ = ["Rowwise", "checked", "ready"]

# Fewer rows than a block go through programs for fewer, the largest that fits. What is left over goes through the same
# program once more, together with rows before it that are done already: nothing is padded and nothing copied.
SIZES = (64, 8, 1)

# Numbers that are read where they lie, if they lie right. Others become the function's own, so many of them at a time.
READ = (np.dtype(np.float32), np.dtype(np.float64))
TURNED = 1 << 16


class Rowwise:
    """y = function(theta, x), where a row of y depends on that row of x (and on theta) alone.

    function: written with NumPy. theta: C-contiguous; read where it lies at every call. shape, dtype: of one row of x
    as the function takes it. block: rows that go through the function at a time.
    A row's result is the same to the last bit whatever stands beside it and however many threads there are. Several
    threads may call at once.
    """

    def __init__(
        self, function: Callable[[Any, Any], Any], theta: Array, shape: Shape, dtype: np.dtype[Any], block: int
    ) -> None:
        self.function, self.theta, self.shape, self.dtype = function, theta, shape, dtype
        self.sizes = (block, *(size for size in SIZES if size < block))
        self._free: dict[tuple[np.dtype[Any], int], list[RowProgram]] = {}

    def __call__(self, x: Array, doubt: Callable[[Array], None], *, threads: int | None = 1) -> Array:
        """The function's result for all rows of x; there has to be one at least.

        doubt: called with x when it turns out to hold something that may not be finite (a sum is not); it raises where
        it finds cause, else the rest is computed without looking.
        threads: lanes to use at most; None means the cores this process may use. Little work is done on one.
        Errors: ProgramError where no program can be made; what `doubt` raises.
        """
        most = threads if threads is None else checked(threads)
        n = len(x)
        rows = next(filter(n.__ge__, self.sizes))
        flags, dtype = x.flags, x.dtype
        in_place = flags.c_contiguous and flags.aligned and (dtype is self.dtype or dtype in READ)
        key = dtype if in_place else self.dtype, rows
        program = self._borrow(key)
        try:
            task = Task(program.result(n), x, in_place, doubt)
            blocks, rest = divmod(n, rows)
            turn = program.turn if in_place else max(1, TURNED // (rows * max(1, x[0].size)))
            if blocks <= turn:
                task.do(program, 0, blocks)
            elif most == 1:
                for start in range(0, blocks, turn):
                    task.do(program, start * rows, min(turn, blocks - start))
            else:
                self._share(task, key, blocks, turn, most or lanes.available())
            if rest:
                task.do(program, n - rows, 1)
        finally:
            self._give_back(key, program)
        return task.y

    def _share(self, task: "Task", key: tuple[np.dtype[Any], int], blocks: int, turn: int, most: int) -> None:
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

    def _borrow(self, key: tuple[np.dtype[Any], int]) -> RowProgram:
        """A program that nobody else uses until it is given back."""
        try:
            return self._free[key].pop()  # at once, so that no two threads get the same
        except (KeyError, IndexError):
            pass
        try:
            return self._made(*key)
        except Exception as error:  # a user's function may do anything when it is traced
            raise ProgramError(f"no program can be made for {key[1]} rows of {key[0]}: {error}") from error

    def _give_back(self, key: tuple[np.dtype[Any], int], program: RowProgram) -> None:
        self._free.setdefault(key, []).append(program)

    def _made(self, dtype: np.dtype[Any], rows: int) -> RowProgram:
        def block(theta: Any, x: Any) -> tuple[Any, Any]:
            x = x if x.dtype == self.dtype else x.astype(self.dtype)
            # NaN and infinity never leave a sum again. The sum of finite numbers may overflow, which `doubt` finds out.
            return self.function(theta, x), np.sum(x)

        theta = new_input(self.theta.shape, self.theta.dtype)
        graph, _ = trace(block, [theta, new_input((rows, *self.shape), dtype)])
        y, _ = graph.outputs
        if y.shape[:1] != (rows,):
            raise GraphError(f"{rows} rows became an array of shape {y.shape}")
        return RowProgram(Graph((new_input(y.shape, y.dtype), *graph.inputs), graph.outputs), [self.theta])


@dataclass(slots=True)
class Task:
    """What one call works on. y: filled by `do`. in_place: x is read where it lies. watch: blocks are looked at."""

    y: Array
    x: Array
    in_place: bool
    doubt: Callable[[Array], None]
    watch: bool = True

    def do(self, program: RowProgram, start: int, blocks: int) -> None:
        """So many blocks from a row on."""
        x, y, first = self.x, self.y, start
        if not self.in_place:
            rows = slice(start, start + blocks * program.rows)
            with np.errstate(all="ignore"):  # a number too large for the dtype becomes infinity, and is found
                x, y, first = np.ascontiguousarray(x[rows], program.x_dtype), y[rows], 0
        if not program.run(y, x, first, blocks, self.watch):
            self.doubt(self.x)
            self.watch = False
            program.run(y, x, first, blocks, False)
