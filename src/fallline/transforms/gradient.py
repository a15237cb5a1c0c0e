"""grad and value_and_grad: the gradient of a function that returns one number."""

import functools
from typing import Any

from fallline import tree
from fallline.arguments import takes
from fallline.passes.backprop import backprop
from fallline.transforms.derived import value_and_gradient
from fallline.transforms.recording import ArgNums, Function, check_function, plain, record, scalar_output
from fallline.tree import Tree


@takes()
def value_and_grad(function: Function, argnums: ArgNums = 0) -> Function:
    """A function that returns the value of `function` and its gradient, the slope in every parameter.

    function: returns one real number, written with NumPy.
    argnums: which positional arguments are parameters, an int or a tuple; nested dicts, lists, tuples and named tuples
        of float32 or float64 arrays. The other arguments stay plain arrays.
    Returns (value, gradient); the gradient has the form of the argument, and is a tuple for a tuple of argnums.
    Errors: TraceError for code that cannot be traced, ShapeError unless one number is returned, ArgumentTypeError for
        parameters that are no real numbers.

    >>> value_and_grad(lambda x: x * x)(3.0)
    (np.float64(9.0), np.float64(6.0))
    """
    check_function(function, "value_and_grad")

    @functools.wraps(function)
    def evaluate(*args: Any, **kwargs: Any) -> tuple[Any, Tree]:
        recording = record(function, argnums, args, kwargs, "value_and_grad")
        value = scalar_output(recording, function, "value_and_grad")
        if not recording.nested:
            found = plain(value_and_gradient(recording.graph, recording.values))
            return tree.unflatten((0, recording.params), found)  # type: ignore[no-any-return]
        grads = backprop([value], recording.wrt)
        result: tuple[Any, Tree] = recording.finish((0, recording.params), [value, *grads])
        return result

    return evaluate


@takes()
def grad(function: Function, argnums: ArgNums = 0) -> Function:
    """A function that returns the gradient of `function`, the slope in every parameter.

    function, argnums: as in value_and_grad. Returns the gradient alone, in the form of the parameters.
    Errors: TraceError for code that cannot be traced, ShapeError unless one number is returned, ArgumentTypeError for
        parameters that are no real numbers.
    Source: Linnainmaa 1970; Griewank & Walther 2008, Evaluating derivatives, chapter 3.

    >>> grad(lambda x: x * x)(3.0)
    np.float64(6.0)
    """
    check_function(function, "grad")

    @functools.wraps(function)
    def gradient(*args: Any, **kwargs: Any) -> Tree:
        recording = record(function, argnums, args, kwargs, "grad")
        value = scalar_output(recording, function, "grad")
        if not recording.nested:
            found = plain(value_and_gradient(recording.graph, recording.values)[1:])
            return tree.unflatten(recording.params, found)
        return recording.finish(recording.params, backprop([value], recording.wrt))

    return gradient
