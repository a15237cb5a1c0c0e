"""A step that stops between its gradient and its update, so that Python may stand between: an all-reduce, for example.

Two programs over the arrays of `found_at`. It is a Loop like any other, so all that is made of loops is made of it too.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from fallline.errors import ProgramError
from fallline.graph.op import Array
from fallline.nn.model import Model
from fallline.optim import Optimizer
from fallline.program import step_loop as loop
from fallline.program.step_loop import Loop
from fallline.steps.gradient_step import LOSS, found_at, gradient_graph, update_graph

# Called with the results of the first half, by name, which it may write over: "gradient", "loss", and where they are,
# "kept" and "mass".
Between = Callable[[dict[str, Array]], None]


class Halves:
    """The loop over steps in two halves.

    At each step `between` is called once the gradient is there and before anything has changed. It is also called where
    the loss is not finite, then with NaN, so that several processes which meet there all do; the loss that it leaves
    decides whether the update is made. It is not called for a step that is given up.
    """

    def __init__(
        self,
        model: Model,
        optimizer: Optimizer,
        state: Mapping[str, Array],
        inputs: Mapping[str, Array],
        size: int,
        whole: bool,
        between: Between,
        threads: int | None = 1,
        gradient_checkpointing: bool = False,
    ) -> None:
        """state, inputs, size, whole: as for `training_step`; the arrays of the state are changed in place."""
        self.state, self._between, self.was_stopped = list(state.values()), between, False
        self.found = found_at(model, "weight" in inputs)
        given = {name: state[name] for name in ("theta", "step", "cursor")} | dict(inputs)
        given = {name: array for name, array in given.items() if name not in optimizer.inputs}
        numbers = {name: inputs[name] for name in optimizer.inputs}
        found = list(self.found.values())
        self._first = loop.build(
            gradient_graph(model, self.found, given, None if whole else size),
            found,
            list(given.values()),
            watch=LOSS,
            threads=threads,
            gradient_checkpointing=gradient_checkpointing,
        )
        second = update_graph(model, optimizer, state, self.found, numbers, size)
        data = [*found, *numbers.values()]
        self._second = loop.build(second, self.state, data, watch=len(self.state), threads=threads)

    @property
    def outputs(self) -> list[Array]:
        """The next state and the loss of the last step."""
        return self._second.outputs

    @property
    def lanes(self) -> int:
        return self._first.lanes

    @property
    def nanoseconds(self) -> float:
        return self._first.nanoseconds + self._second.nanoseconds

    def run(self, steps: int, stop_requested: Array | None = None) -> int:
        """As for Loop."""
        for done in range(steps):
            met = self._first.run(1, stop_requested)
            self.was_stopped = self._first.was_stopped
            if self.was_stopped:
                return done
            if not met:
                self.found["loss"][...] = math.nan
                self.found["gradient"][...] = np.nan
            self._between(self.found)
            if not self._second.run(1):
                return done
        return steps

    def clone(self, state: Sequence[Array], data: Sequence[Array]) -> Loop:
        raise ProgramError("a step in two halves belongs to the one who stands between them")
