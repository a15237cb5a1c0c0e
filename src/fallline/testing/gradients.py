"""The gradient check: derivatives of a function against difference quotients of it. Knows no single op."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import tree
from fallline.arguments import FUNCTION, Form, of, takes
from fallline.arrays import as_array
from fallline.errors import ArgumentError, GradientError
from fallline.graph.node import Node
from fallline.graph.op import Array
from fallline.ranges import SEED, Range
from fallline.transforms import jvp, vjp

Function = Callable[..., Any]

# Step of the difference quotient, relative to each element. With one extrapolation its error is about step**4 times a
# fifth derivative, 1e-12, against a rounding error of eps / step, 2e-13 in float64.
_STEP = 1e-3
# The bound of a right gradient's error, relative to the terms of its sum; a wrong factor of 1.001 is far above.
_TOLERANCE = {np.dtype(np.float64): 1e-6, np.dtype(np.float32): 1e-4}


@dataclass(frozen=True, slots=True)
class Leaves:
    """A function of arrays in any form, seen as one from a list of real arrays to a list of real arrays."""

    function: Function
    args: tuple[Any, ...]
    paths: tuple[str, ...]  # where each varied leaf stands in the arguments
    places: tuple[int, ...]  # and its position among all leaves

    def __call__(self, *leaves: Any) -> tuple[Any, ...]:
        every = tree.leaves(self.args)
        for place, leaf in zip(self.places, leaves, strict=True):
            every[place] = leaf
        result = self.function(*tree.unflatten(self.args, every))
        return tuple(leaf for leaf in tree.leaves(result) if is_real(leaf))


TUPLE = of(tuple, "a tuple of the function's arguments")


def is_real(leaf: Any) -> bool:
    dtype = leaf.dtype if isinstance(leaf, Node) else np.asarray(leaf).dtype
    return bool(dtype.newbyteorder("=") in (np.float32, np.float64))


# Each order takes several times as long as the one before.
ORDER = Range(at_least=1, at_most=9, whole=True)


BACKWARD = Form("a function (g, *args) -> gradients", callable, optional=True)


@takes(
    function=FUNCTION,
    args=TUPLE,
    order=ORDER,
    tolerance=Range(above=0, optional=True),
    seed=SEED,
    backward=BACKWARD,
)
def check_grads(
    function: Function,
    args: tuple[Any, ...],
    order: int = 2,
    *,
    tolerance: float | None = None,
    seed: int = 0,
    backward: Function | None = None,
) -> None:
    """Raise GradientError unless the derivatives of `function` at `args` agree with difference quotients.

    For every real array x among the arguments, a random direction v and a random seed u, with J = d function / d x:

        <J^T u, v> by vjp   and   <u, J v> by jvp   against   <u, (f(x + h v) - f(x - h v)) / 2h>

    with one extrapolation to h = 0. For order 2 the same is then asked of the gradient x -> J^T u, and so on.

    function: written with NumPy; returns real numbers in any form (other results are left out).
    args: its arguments, a tuple; nested dicts, lists and tuples of arrays. No kink may lie within 0.2 % of an element,
        or within 2e-5 of a zero.
    order: the highest order of derivative checked, 1 to 9.
    tolerance: largest difference, relative to the size of the terms summed; 1e-6 in float64, 1e-4 in float32, where
        the quotient is still taken in float64, because in float32 it would have three digits.
    seed: of the random directions.
    backward: a backward pass written by hand, (g, *args) -> one gradient for each real array among the arguments, in
        their form and order, where g is the gradient of some loss with respect to the result. It is checked in the
        place of the library's own, to first order.
    Errors: GradientError, an AssertionError, names the argument, the order, both numbers and their difference;
        ArgumentError if no argument is real.

    >>> check_grads(lambda x: np.sum(np.sin(x) ** 2), (np.array([0.3, 0.7]),))
    """
    for path, leaf in tree.items(args):
        as_array(leaf, f"check_grads: argument {path}")
    found = [(path, place) for place, (path, leaf) in enumerate(tree.items(args)) if is_real(leaf)]
    if not found:
        raise ArgumentError("check_grads: none of the arguments is a float32 or float64 array")
    paths, places = zip(*found, strict=True)
    leaves = [np.asarray(leaf) for leaf in tree.leaves(args) if is_real(leaf)]
    rng = np.random.default_rng(seed)
    f = Leaves(function, args, paths, places)
    if backward is not None:
        check_backward(f, backward, leaves, tolerance, rng)
    else:
        check_order(f, leaves, paths, 1, order, tolerance, rng)


def check_backward(
    f: Leaves, backward: Function, leaves: list[Array], tolerance: float | None, rng: np.random.Generator
) -> None:
    """Check a backward pass of the caller's: <its gradient, v> against the difference quotient along v."""
    form = f.function(*f.args)
    value = [np.asarray(part) for part in tree.leaves(form) if is_real(part)]
    seeds = [random_like(part, rng) for part in value]
    rest = iter(seeds)
    g = tree.unflatten(form, [next(rest) if is_real(part) else part for part in tree.leaves(form)])
    grads = [np.asarray(part) for part in tree.leaves(backward(g, *f.args))]
    if len(grads) != len(leaves):
        raise GradientError(f"backward gives {len(grads)} gradients, and there are {len(leaves)} real arrays among "
                            f"the arguments: {', '.join(path or '0' for path in f.paths)}")  # fmt: skip
    for i, path in enumerate(f.paths):
        name = f"the gradient with respect to argument {path or '0'}"
        if grads[i].shape != leaves[i].shape:
            raise GradientError(f"{name} has shape {grads[i].shape}, and the argument {leaves[i].shape}")
        if leaves[i].size == 0:
            continue
        direction = direction_at(leaves[i], rng)
        slope, size, doubt = quotient(f, leaves, i, direction, tuple(seeds))
        exact = inner([grads[i]], [direction])[0]
        limit = _TOLERANCE[np.result_type(leaves[i], *value)] if tolerance is None else tolerance
        limit = limit * max(size, abs(slope)) + doubt
        if not abs(exact - slope) <= limit:
            raise GradientError(
                f"{name} is wrong:\n"
                f"  along a random direction           {exact:.12g}\n"
                f"  difference quotient                {slope:.12g}\n"
                f"  difference                         {abs(exact - slope):.3g}, allowed {limit:.3g}"
            )


def check_order(
    f: Function,
    leaves: list[Array],
    paths: tuple[str, ...],
    order: int,
    last: int,
    tolerance: float | None,
    rng: np.random.Generator,
) -> None:
    """Check one derivative of f, then, as far as is asked, the derivatives of its gradient."""
    value, pullback = vjp(f, argnums=tuple(range(len(leaves))))(*leaves)
    seeds = tuple(random_like(part, rng) for part in value)
    grads = pullback(seeds)
    for i, path in enumerate(paths):
        if leaves[i].size == 0:
            continue
        direction = direction_at(leaves[i], rng)
        slope, size, doubt = quotient(f, leaves, i, direction, seeds)
        _, moved = jvp(f, argnums=i)(*leaves[: i + 1], direction, *leaves[i + 1 :])
        by = {"vjp": inner([grads[i]], [direction])[0], "jvp": inner(moved, seeds)[0]}
        dtype = np.result_type(leaves[i], *value)
        limit = (_TOLERANCE[dtype] if tolerance is None else tolerance) * max(size, abs(slope)) + doubt
        for name, exact in by.items():
            if not abs(exact - slope) <= limit:
                raise GradientError(
                    f"derivative of order {order} with respect to argument {path or '0'} is wrong, by {name}:\n"
                    f"  gradient along a random direction  {exact:.12g}\n"
                    f"  difference quotient                {slope:.12g}\n"
                    f"  difference                         {abs(exact - slope):.3g}, allowed {limit:.3g}\n"
                    "  at a kink near the arguments this happens to right gradients too: try others"
                )
    if order < last:
        check_order(Pulled(f, seeds), leaves, paths, order + 1, last, tolerance, rng)


@dataclass(frozen=True, slots=True)
class Pulled:
    """The gradient J^T u of a function as a function of the same arrays."""

    function: Function
    seeds: tuple[Array, ...]

    def __call__(self, *leaves: Any) -> tuple[Any, ...]:
        value, pullback = vjp(self.function, argnums=tuple(range(len(leaves))))(*leaves)
        # In the float64 quotient of a float32 function the same seeds are used in float64.
        result: tuple[Any, ...] = pullback(
            tuple(u.astype(part.dtype) for u, part in zip(self.seeds, value, strict=True))
        )
        return result


def random_like(array: Any, rng: np.random.Generator) -> Array:
    """Random numbers of its form, at most 2 in size."""
    return np.asarray(np.clip(rng.standard_normal(np.shape(array)), -2, 2)).astype(array.dtype)


def direction_at(array: Array, rng: np.random.Generator) -> Array:
    """A random direction in which each element moves in proportion to its size, so that none changes its sign."""
    size = np.abs(array)
    return (random_like(array, rng) * np.where(size > 1e-6, size, 0.01)).astype(array.dtype)


def inner(xs: Any, ys: Any) -> tuple[float, float]:
    """<x, y> over all arrays of two lists in float64, and the root of the sum of squared terms."""
    terms = [np.asarray(x, np.float64) * np.asarray(y, np.float64) for x, y in zip(xs, ys, strict=True)]
    return float(sum(term.sum() for term in terms)), float(np.sqrt(sum((term**2).sum() for term in terms)))


def quotient(
    f: Function, leaves: list[Array], i: int, direction: Array, seeds: tuple[Array, ...]
) -> tuple[float, float, float]:
    """<u, J v> from differences along one array, the size of its terms, and how far rounding may have moved it."""
    exact = [leaf.astype(np.float64) for leaf in leaves]
    v = direction.astype(np.float64)

    def values(by: float) -> tuple[Any, ...]:
        moved = [*exact[:i], exact[i] + by * v, *exact[i + 1 :]]
        result: tuple[Any, ...] = tuple(f(*moved))
        return result

    slopes, eps = [], float(np.finfo(np.float64).eps)
    for h in (_STEP, _STEP / 2):
        ahead, behind = values(h), values(-h)
        if any(np.asarray(part).dtype == np.float32 for part in ahead):
            # The function itself turns to float32: the quotient has fewer digits, whatever is asked.
            eps = float(np.finfo(np.float32).eps)
        slopes.append([(np.asarray(a, np.float64) - b) / (2 * h) for a, b in zip(ahead, behind, strict=True)])
    extrapolated = [(4 * fine - coarse) / 3 for coarse, fine in zip(*slopes, strict=True)]
    total, size = inner(seeds, extrapolated)
    _, height = inner(seeds, ahead)
    return total, size, 20 * eps * height / _STEP
