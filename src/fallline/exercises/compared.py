"""A learner's gradients or updates beside the right ones: which element differs, and by which well-known slip."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fallline import transforms, tree
from fallline.arrays import Array
from fallline.errors import GradientError
from fallline.testing import check_grads
from fallline.typesetting import number

# Elements that agree to this are equal: well above rounding, well below any slip.
CLOSE = 1e-6
# A step of a central difference, relative: its own error and that of rounding are then both near 1e-10.
STEP = 1e-5

# Slips that show by a factor that is the same in all elements.
FACTORS: tuple[tuple[str, Callable[[int], float]], ...] = (
    ("It is minus the right one: is a sign turned around?", lambda n: -1.0),
    ("It is half of the right one: a square has the slope 2 times its inside.", lambda n: 0.5),
    ("It is twice the right one: is the 2 of a square already in g?", lambda n: 2.0),
    ("It is the right one times the number of rows: the loss is a mean over the rows.", lambda n: float(n)),
    ("It is the right one divided by the number of rows: rows are summed here, and their mean is in g already.",
     lambda n: 1.0 / n),
)  # fmt: skip


def backward_problems(
    function: Callable[..., Any],
    backward: Callable[..., Any],
    args: tuple[Any, ...],
    names: Sequence[str],
    slips: Mapping[str, Callable[..., Any]] = {},
    seed: int = 0,
) -> list[str]:
    """The problems of a backward pass, in sentences.

    function: (*args) -> result. backward: (g, *args) -> one gradient for each of the real arrays among the arguments, a
    single one not in a tuple. names: of these gradients. slips: sentence -> a wrong backward pass of the same form.
    """
    value = np.asarray(function(*args))
    rng = np.random.default_rng(seed)
    g = rng.normal(size=value.shape) if value.shape else np.array(1.0)
    kept = tree.map(np.array, args)
    before = g.copy()
    given = backward(g, *args)
    moved = [name for name, old, new in zip(_names(args), tree.leaves(kept), tree.leaves(args))
             if not np.array_equal(old, new)]  # fmt: skip
    if moved or not np.array_equal(before, g):
        return ["The function changed its arguments: gradients are new arrays, and what came in stays as it is."]
    right = _right(function, args, g)
    found = form_problems(given, right, names)
    if found:
        return found
    grads = [np.asarray(one, np.float64) for one in tree.leaves(given)]
    rows = value.shape[0] if value.shape else _rows(args)
    slip = next((sentence for sentence, wrong in slips.items() if _same(wrong(g, *args), grads)), "")
    for name, mine, its in zip(names, grads, right):
        central = _central(function, args, g, name, names)
        found += difference(name, mine, its, None if slip else rows, central)
    if found:
        return [*found, *([slip] if slip else [])]
    try:  # at other numbers too: an answer made for these would not pass
        check_grads(function, args, backward=backward, seed=seed + 1)
    except GradientError as error:
        return [str(error)]
    return []


def form_problems(given: Any, right: Sequence[Array], names: Sequence[str]) -> list[str]:
    """The problems of the number and the shapes of some arrays."""
    if given is None:
        return [f"The function returns nothing; it has to return {' and '.join(names)}."]
    parts = tree.leaves(given)
    if len(parts) != len(right):
        return [f"The function returns {len(parts)} arrays; asked for are {len(right)}: {', '.join(names)}."]
    found = []
    for name, one, its in zip(names, parts, right):
        try:
            array = np.asarray(one, np.float64)
        except (TypeError, ValueError):
            found.append(f"{name} is no array of numbers: {one!r:.60}")
            continue
        if array.shape != its.shape:
            why = ""
            if array.ndim == its.ndim + 1 and array.shape[1:] == its.shape:
                why = " Each row has a wish of its own, and descent follows their sum over the rows: axis 0."
            elif array.shape == its.shape[::-1]:
                why = " It is the transpose."
            found.append(f"{name} has shape {array.shape}, and should have {its.shape}.{why}")
        elif not np.isfinite(array).all():
            found.append(f"{name} has values that are not finite, the first at {_first(~np.isfinite(array))}.")
    return found


def difference(
    name: str, mine: Array, right: Array, rows: int | None, central: Callable[[tuple[int, ...]], float] | None,
    source: str = "backpropagation",
) -> list[str]:  # fmt: skip
    """In which elements an array differs from the right one, and by which factor if by one; [] where it is right.

    rows: of the batch, for factors that follow from their number; None where another slip is told. source: of the right
    one.
    """
    scale = float(np.abs(right).max(initial=0)) or 1.0
    off = np.abs(mine - right) > CLOSE * scale
    if not off.any():
        return []
    at = _first(np.abs(mine - right) == np.abs(mine - right).max())
    worst = f"{name}[{', '.join(map(str, at))}]"
    lines = [f"{name}: {int(off.sum())} of {off.size} elements differ, most of all {worst}:" if at else f"{name}:",
             f"    yours               {number(float(mine[at]), 8)}",
             f"    {source:<18}  {number(float(right[at]), 8)}"]  # fmt: skip
    if central is not None:
        lines.append(f"    central difference  {number(central(at), 8)}")
    if right.ndim == 2 and right.shape[0] == right.shape[1] and np.allclose(mine, right.T, rtol=CLOSE):
        lines.append("It is the transpose of the right one.")
    for sentence, factor in () if rows is None else FACTORS:
        if rows is not None and np.allclose(mine, factor(rows) * right, rtol=CLOSE, atol=CLOSE * scale):
            lines.append(sentence)
            break
    else:
        if not mine.any():
            lines.append("It is zero everywhere.")
    return ["\n".join(lines)]


def _same(theirs: Any, grads: Sequence[Array]) -> bool:
    parts = [np.asarray(one) for one in tree.leaves(theirs)]
    return all(a.shape == b.shape and np.allclose(a, b, rtol=CLOSE) for a, b in zip(parts, grads))


def _right(function: Callable[..., Any], args: tuple[Any, ...], g: Array) -> list[Array]:
    """The gradients of <g, function> with respect to each real array among the arguments."""
    places = [i for i, one in enumerate(args) if any(np.asarray(leaf).dtype.kind == "f" for leaf in tree.leaves(one))]
    _, pullback = transforms.vjp(function, argnums=tuple(places))(*args)
    return [np.asarray(one) for one in tree.leaves(pullback(g))]


def _central(
    function: Callable[..., Any], args: tuple[Any, ...], g: Array, name: str, names: Sequence[str]
) -> Callable[[tuple[int, ...]], float]:
    """The central difference of <g, function> at an element of the array that a gradient belongs to."""
    real = [i for i, leaf in enumerate(tree.leaves(args)) if np.asarray(leaf).dtype.kind == "f"]
    place = real[names.index(name)]

    def at(index: tuple[int, ...]) -> float:
        sums = []
        for sign in (1, -1):
            leaves = [np.array(leaf) for leaf in tree.leaves(args)]
            leaves[place][index] += sign * STEP
            sums.append(float(np.sum(g * np.asarray(function(*tree.unflatten(args, leaves))))))
        return (sums[0] - sums[1]) / (2 * STEP)

    return at


def _names(args: Any) -> list[str]:
    return [path for path, _ in tree.items(args)]


def _rows(args: tuple[Any, ...]) -> int:
    return next((len(leaf) for leaf in tree.leaves(args) if np.ndim(leaf) == 2), 1)


def _first(where: Array) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(where)[0])
