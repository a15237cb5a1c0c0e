"""A function whose trace is kept has to be the same at every call: numbers that it draws itself are refused.

A number drawn while a function is traced becomes a constant of its program, the same at every later call. The states of
all generators the function could draw from are compared before and after; where one has moved, or where the code
goes to sources that have no state to look at, the function is traced again, and the two graphs have to be equal.
"""

import functools
import random
import time
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from fallline.errors import TraceError
from fallline.graph.body import Body
from fallline.graph.node import CONSTANT, Graph, Node, reachable
from fallline.graph.reach import reach
from fallline.graph.where import Where, defined_at

# Other threads may draw from the same generators: a state that moves while nothing is traced shows it, and graphs
# alone decide then.
_TRIES, _IDLE_SECONDS = 4, 0.002
_INSTEAD = (
    "in a compiled function, fallline.ops.normal(shape, key), uniform or integers, with the key an argument such as "
    "np.int64(step); in a layer, apply(params, x, context) with context.normal(x.shape); in both, an array drawn "
    "before, for numbers that are to stay the same (docs/noise.md)"
)


_KEPT = "a function that is traced once and kept drew a number, which would stay the same for ever"


class Watch:
    """The generators that a function could draw from, as they stand before it is traced.

    what, instead: the error for a function that does draw, and what to do in its place. each_call: whether contexts
    give each call of the function numbers of its own, and may be drawn from.
    """

    def __init__(
        self, function: Callable[..., Any], what: str = _KEPT, instead: str = _INSTEAD, each_call: bool = False
    ) -> None:
        found = reach(function)
        self.function, self.is_open, self.what, self.instead = function, found.is_open, what, instead
        self.named: list[tuple[str, Callable[[], Any]]] = [
            ("NumPy's np.random", np.random.get_state),
            ("Python's random", random.getstate),
        ]
        self.named += [(f"the {type(one).__name__} it uses", state_of(one)) for one in found.generators]
        if not each_call:
            self.named += [("the context it uses", functools.partial(getattr, one, "count")) for one in found.counters]
        self.counts = [(one, one.count) for one in found.counters] if each_call else []
        self.states = self.now()

    def now(self) -> list[Any]:
        """Fingerprints of all states."""
        return [fingerprint(state()) for _, state in self.named]

    def check(self, graph: Graph, again: Callable[[], Graph]) -> None:
        """Raise if the graph holds numbers that the function drew. again: traces it once more."""
        after = self.now()
        moved = [name for (name, _), then, now in zip(self.named, self.states, after) if then != now]
        if not moved and not self.is_open:
            return
        own = bool(moved)
        for _ in range(_TRIES if moved else 1):
            before = self.now()
            if own:
                time.sleep(_IDLE_SECONDS)
            idle = self.now()
            for counter, count in self.counts:
                counter.count = count
            differing = difference(graph, again())
            if differing is not None:
                self._refuse(moved, *differing)
            # Another thread would draw in idle moments too; who seeds anew at each call ends where the call before did.
            own = own and before == idle != self.now()
        if own:
            self._refuse(moved, None, None)

    def _refuse(self, moved: list[str], one: Node | None, other: Node | None) -> NoReturn:
        where: Where = defined_at(self.function) if one is None else one.where
        source = f"{' and '.join(moved)} moved on" if moved else "it comes out differently at every call"
        seen = ""
        if one is not None and other is not None and one.op is CONSTANT and other.op is CONSTANT:
            seen = f", {_first(one)} in one call and {_first(other)} in the next"
        raise TraceError(f"{self.what}: {source}{seen}\n  at {where}\n  try: {self.instead}")


def state_of(generator: Any) -> Callable[[], Any]:
    """How the state of a generator is read; one that draws from the system has none."""
    if isinstance(generator, random.SystemRandom):
        return lambda: None
    if isinstance(generator, random.Random | np.random.RandomState):
        return getattr(generator, "getstate", None) or generator.get_state  # type: ignore[union-attr]
    bits = getattr(generator, "bit_generator", generator)
    return lambda: bits.state


def fingerprint(state: Any) -> Any:
    """A state in a form that can be compared."""
    if isinstance(state, dict):
        return tuple((key, fingerprint(value)) for key, value in state.items())
    if isinstance(state, np.ndarray):
        return state.tobytes()
    return tuple(map(fingerprint, state)) if isinstance(state, tuple) and len(state) < 100 else state


def difference(one: Graph, other: Graph) -> tuple[Node, Node] | None:
    """The first nodes in which two graphs of the same inputs differ; None where they compute the same."""
    mine, its = reachable(one.outputs), reachable(other.outputs)
    same = dict(zip(its, mine))
    for a, b in zip(mine, its):
        inputs = [same.get(node) for node in b.inputs]
        equal = a.op is b.op and (a.shape, a.dtype) == (b.shape, b.dtype) and _equal(a.attrs, b.attrs)
        if not equal or len(inputs) != len(a.inputs) or any(x is not y for x, y in zip(a.inputs, inputs)):
            return a, b
    if len(mine) != len(its):
        return mine[-1], its[-1]
    return None if [same[node] for node in other.outputs] == list(one.outputs) else (mine[-1], its[-1])


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one is other or (one.dtype == other.dtype and one.tobytes() == other.tobytes())
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, Body) and isinstance(other, Body):
        return one.form == other.form and difference(one.graph, other.graph) is None
    return bool(type(one) is type(other) and (one is other or one == other))


def _first(node: Node) -> str:
    value = node.attrs["value"]
    return f"{value.ravel()[0]:.6g}" if value.size else "nothing"
