"""vjp, jvp, hvp: the Jacobian and the Hessian times a vector, at the cost of a few evaluations, never built."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from fallline.arguments import takes
from fallline.errors import ArgumentError
from fallline.graph.node import Node
from fallline.graph.trace import in_progress
from fallline.graph.where import here
from fallline.ops.view import alias
from fallline.passes.backprop import backprop, zeros_like
from fallline.transforms.recording import (
    ArgNums,
    Function,
    check_function,
    matched,
    positions,
    real_outputs,
    record,
    scalar_output,
)
from fallline.tree import Tree


@takes()
def vjp(function: Function, argnums: ArgNums = 0) -> Function:
    """A function that returns the value of `function` and its pullback, seed -> seed^T J.

    function: returns real numbers in any form. argnums: as in value_and_grad.
    The pullback takes a seed of the form of the value, and returns sum_i seed_i d value_i / d parameter in the form of
    the parameters. It is one backward pass; it computes the forward values it needs again.
    Errors: TraceError for code that cannot be traced; ArgumentTypeError for parameters or results that are no real
        numbers; from the pullback ShapeError, or ArgumentError, for a seed of another form than the value.
    Source: Griewank & Walther 2008, Evaluating derivatives, chapter 3.

    >>> value, pullback = vjp(np.sin)(np.array([0.0, np.pi]))
    >>> pullback(np.array([1.0, 1.0]))
    array([ 1., -1.])
    """
    check_function(function, "vjp")

    @functools.wraps(function)
    def evaluate(*args: Any, **kwargs: Any) -> tuple[Tree, Callable[[Tree], Tree]]:
        recording = record(function, argnums, args, kwargs, "vjp")
        outputs = real_outputs(recording, function, "vjp")

        def pullback(seed: Tree) -> Tree:
            # Inside a trace the seed may be traced, and the recording has to belong to that graph too.
            if in_progress() and not recording.nested:
                return evaluate(*args, **kwargs)[1](seed)
            seeds, more = recording.further(matched(recording.outputs, seed, "seed", "vjp"))
            return recording.finish(recording.params, backprop(outputs, recording.wrt, seeds), more)

        return recording.finish(recording.outputs, outputs), pullback

    return evaluate


def push(outputs: Sequence[Node], wrt: Sequence[Node], directions: Sequence[Node]) -> list[Node]:
    """J v as nodes. J^T u is linear in u, so its own derivative along v is J v; nodes that only served u are dead
    code.
    """
    seeds = [alias(zeros_like(node)) for node in outputs]
    return backprop(backprop(outputs, wrt, seeds), seeds, directions)


def with_direction(argnums: ArgNums, args: tuple[Any, ...], name: str) -> tuple[tuple[Any, ...], Tree]:
    """The function's own arguments, and the direction that was given right after the last parameter."""
    if len(args) < 2:
        raise ArgumentError(
            f"{name}: takes the parameters and then the direction, got {len(args)} arguments\n  at {here()}"
        )
    last = max(positions(argnums, len(args) - 1, name))
    return (*args[: last + 1], *args[last + 2 :]), args[last + 1]


@takes()
def jvp(function: Function, argnums: ArgNums = 0) -> Function:
    """A function that returns the value of `function` and its derivative along a direction, J v.

    function: returns real numbers in any form. argnums: as in value_and_grad.
    It is called as `jvp(f)(params, direction, *rest)`: the direction stands right after the last parameter and has its
    form (for a tuple of argnums, a tuple of them). Returns (value, J v), both in the form of the value.
    Errors: ArgumentError without a direction, or for one of another form; ShapeError for one of another shape;
        TraceError and ArgumentTypeError as for vjp.
    Source: the transpose of the transpose, Christianson 1992, Automatic Hessians by reverse accumulation.

    >>> jvp(np.sin)(0.0, 2.0)
    (np.float64(0.0), np.float64(2.0))
    """
    check_function(function, "jvp")

    @functools.wraps(function)
    def evaluate(*args: Any, **kwargs: Any) -> tuple[Tree, Tree]:
        given, direction = with_direction(argnums, args, "jvp")
        recording = record(function, argnums, given, kwargs, "jvp")
        outputs = real_outputs(recording, function, "jvp")
        directions, more = recording.further(matched(recording.params, direction, "direction", "jvp"))
        moved = push(outputs, recording.wrt, directions)
        result: tuple[Tree, Tree] = recording.finish((recording.outputs, recording.outputs), [*outputs, *moved], more)
        return result

    return evaluate


@takes()
def hvp(function: Function, argnums: ArgNums = 0) -> Function:
    """A function that returns the Hessian of `function` times a direction, H v, at about twice a gradient's cost.

    function: returns one real number. argnums: as in value_and_grad.
    It is called as `hvp(f)(params, direction, *rest)`, like jvp, and returns the form of the parameters.
    Errors: as for jvp; ShapeError unless one number is returned.
    Source: Pearlmutter 1994, Fast exact multiplication by the Hessian; here as the gradient of <gradient, v>.

    >>> hvp(lambda x: np.sum(x**3))(np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    array([6., 0.])
    """
    check_function(function, "hvp")

    @functools.wraps(function)
    def evaluate(*args: Any, **kwargs: Any) -> Tree:
        given, direction = with_direction(argnums, args, "hvp")
        recording = record(function, argnums, given, kwargs, "hvp")
        value = scalar_output(recording, function, "hvp")
        directions, more = recording.further(matched(recording.params, direction, "direction", "hvp"))
        grads = backprop([value], recording.wrt)
        return recording.finish(recording.params, backprop(grads, recording.wrt, directions), more)

    return evaluate
