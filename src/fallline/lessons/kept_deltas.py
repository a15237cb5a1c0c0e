"""Lesson `two-layers`: the chain rule through two hidden layers, path by path and by a pass that keeps its deltas."""

import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from fallline import transforms
from fallline.data.preprocess import standardised
from fallline.data.sets import load
from fallline.insight.picture import table
from fallline.lessons.lesson_table import ask, lesson
from fallline.lessons.page import formula, heading, page, title, words
from fallline.lessons.path_sums import (
    WAYS,
    Found,
    Net,
    Weights,
    backward,
    by_paths,
    counted,
    deltas_of,
    loss_of,
    network,
    paths_of,
)  # fmt: skip
from fallline.lessons.walk import duration
from fallline.ranges import SEED, Range
from fallline.typesetting import number

SHOWN = 6  # paths on the screen
BEARABLE = 60_000  # multiplications that are carried out for the table of sizes; above, their time is extrapolated
GROWN = ((1, 4), (2, 4), (3, 4), (4, 4), (2, 8), (2, 16), (3, 16))
MNIST = (784, 100, 100, 10)


@dataclass(frozen=True)
class Way:
    """One way to the gradient of all weights. seconds: of processor time, in plain Python, one weight after another.

    difference: the largest from fallline.grad.
    """

    name: str
    multiplications: int
    seconds: float
    difference: float


@dataclass(frozen=True)
class Size:
    """Multiplications by paths and by kept deltas; their seconds, None where the paths were too many to walk."""

    sizes: tuple[int, ...]
    paths: int
    by_paths: int
    by_deltas: int
    paths_seconds: float | None
    deltas_seconds: float


@dataclass(frozen=True, eq=False)
class KeptDeltas:
    """net: with a row of flowers. chosen: the weight (layer, from, to) that is followed; here the first one.

    paths: of it, (units from its own on, factors, product), the strongest first. deltas: [layer][unit].
    exact: d loss / d weights by the library.
    """

    net: Net
    chosen: tuple[int, int, int]
    paths: tuple[tuple[tuple[int, ...], tuple[float, ...], float], ...]
    deltas: list[list[float]]
    exact: Weights
    ways: tuple[Way, ...]
    grown: tuple[Size, ...]


def timed(way: Callable[[Net], Found], net: Net) -> tuple[Found, float]:
    """The gradient, and the processor time of one call, from as many as take a millisecond."""
    begin, calls = time.process_time(), 0
    while calls == 0 or time.process_time() - begin < 1e-3:
        found, calls = way(net), calls + 1
    return found, (time.process_time() - begin) / calls


def difference(one: Weights, other: Weights) -> float:
    return max(float(np.abs(np.array(a) - np.array(b)).max()) for a, b in zip(one, other))


def tell(result: KeptDeltas, *, width: int, ascii_only: bool) -> list[str]:
    net, (layer, i, j) = result.net, result.chosen
    exact, total = result.exact[layer - 1][i][j], sum(product for _, _, product in result.paths)
    rows = [
        ["-".join(str(unit + 1) for unit in units), " ".join(f"{one:+.2f}" for one in factors), f"{product:+.5f}"]
        for units, factors, product in result.paths[:SHOWN]
    ]  # fmt: skip
    left = result.paths[SHOWN:]
    if left:
        rows.append(["others", f"{len(left):,} paths", f"{sum(product for _, _, product in left):+.5f}"])
    rows.append(["sum", "", f"{total:+.5f}"])
    signs = "  ".join(
        ["x", "tanh'", *["w", "tanh'"] * (net.hidden - layer), "w", "d loss / d output"]
    )  # fmt: skip
    deltas = [
        [f"hidden {k}" if k <= net.hidden else "output", *(f"{one:+.4f}" for one in result.deltas[k])]
        for k in range(len(net.sizes) - 1, 0, -1)
    ]  # fmt: skip
    d = result.deltas[1][j]
    ways = [
        [w.name, f"{w.multiplications:,}", duration(w.seconds), f"{w.difference:.1e}"] for w in result.ways
    ]  # fmt: skip
    first, last = result.ways[0], result.ways[-1]
    pace = first.seconds / first.multiplications
    grown = [
        ["-".join(map(str, s.sizes)), f"{s.paths:,}", f"{s.by_paths:,}", f"{s.by_deltas:,}",
         ("" if s.paths_seconds is not None else "~") + duration(s.paths_seconds or pace * s.by_paths),
         duration(s.deltas_seconds)]
        for s in result.grown
    ]  # fmt: skip
    paths, products, kept = counted(MNIST)
    shape = "-".join(map(str, net.sizes))
    return [
        page([
            title("Two layers: the chain rule along every path", ascii_only=ascii_only),
            words(f"""A network {shape} with tanh, one row of flowers, squared error. The weight w from input 1 to
                unit 1 of the first hidden layer changes the loss along
                {len(result.paths):,} paths: through unit 1, then any unit of each later layer. The derivative is the
                sum over paths of a product of local slopes:""", width),
            formula(signs),
            table(rows, ["units", "factors", "product"], width=width, ascii_only=ascii_only),
            words(f"""fallline.grad: {exact:+.6f}. Look down the columns: the same factors come again and
                again.""", width),
        ]),
        page([
            heading("Take out what they share: deltas", ascii_only=ascii_only),
            words("""All paths through a unit have their ends in common. Their sum from that unit on is its delta, d
                loss / d z, with z the unit's sum. Computed from the last layer to the first, each layer needs only
                the deltas of the next one:""", width),
            formula("delta of a unit = tanh' * sum over the next layer of (w * delta)\n"
                    "d loss / d w    = value that w multiplies * delta of the unit that it enters"),
            table(deltas, ["layer", *(f"unit {k + 1}" for k in range(max(net.sizes[1:])))], width=width,
                  ascii_only=ascii_only),
            words(f"""The weight from before: {net.values[0][i]:+.4f} * {d:+.4f} = {net.values[0][i] * d:+.6f}, the sum
                of all its paths. A delta of the first layer serves {net.sizes[0]} weights; one of the outputs
                serves its own weights and those of every layer before.""", width),
        ]),
        page([
            heading("Four ways to all derivatives", ascii_only=ascii_only),
            words(f"""The gradient of all {sum(a * b for a, b in itertools.pairwise(net.sizes))} weights of {shape},
                written out in plain Python, with every multiplication counted:""", width),
            table(ways, ["way", "multiplications", "time", "off fallline.grad"], width=width, ascii_only=ascii_only),
            words(f"""Paths need {number(first.multiplications / last.multiplications, 3)} times the multiplications
                of the pass that keeps its deltas. Computing deltas anew for each weight is the chain rule written as
                a recursion without a memory. Keeping them is all that "backpropagation" adds to it.""", width),
        ]),
        page([
            heading("As the network grows", ascii_only=ascii_only),
            table(grown, ["sizes", "paths", "by paths", "deltas kept", "paths took", "deltas"], width=width,
                  ascii_only=ascii_only),
            words("""Multiplications, then processor time; ~ is extrapolated. A further layer multiplies the paths by
                its width, and adds one layer's work to the backward pass.""", width),
            words(f"""{"-".join(map(str, MNIST))}, a small network for pictures of digits, has {paths:.2e} paths:
                {products:.2e} multiplications for one row, about {duration(pace * products)} in plain Python.
                Backward with kept deltas: {kept:,}. The price is memory: every value of the forward pass waits for
                the backward pass to come by.""", width),
        ]),
    ]  # fmt: skip


@lesson(
    "two-layers",
    "Why deltas are kept",
    "the chain rule through two hidden layers, path by path",
    tell,
    options={
        "units": Range("units of a hidden layer", at_least=1, at_most=8, whole=True),
        "layers": Range("hidden layers", at_least=1, at_most=4, whole=True),
        "row": Range("which flower", at_least=0, at_most=149, whole=True),
        "seed": replace(SEED, doc="of the weights"),
    },
    asks=(
        ask("one hidden layer: how many paths are left?", layers=1),
        ask("a layer more", layers=3),
        ask("twice as wide", units=6),
    ),
)
def kept_deltas(units: int = 3, layers: int = 2, row: int = 60, seed: int = 0, bearable: int = BEARABLE) -> KeptDeltas:
    """Take a small network's gradient path by path and by backpropagation, and count multiplications.

    bearable: multiplications of paths that are walked for the table of sizes.
    """
    flowers = load("iris")
    x, y = standardised(flowers)[0][row], np.eye(3)[int(flowers.y[row])]
    net = network((len(x), *[units] * layers, 3), x, y, seed)
    arrays = [np.array(w) for w in net.weights]
    exact = [np.asarray(g).tolist() for g in transforms.grad(lambda ws: loss_of(ws, x, y))(arrays)]
    ways = []
    for name, way in WAYS.items():
        (found, count), seconds = timed(way, net)
        ways.append(Way(name, count, seconds, difference(found, exact)))
    grown = []
    for depth, wide in GROWN:
        other = network((len(x), *[wide] * depth, 3), x, y, seed)
        paths, products, kept = counted(other.sizes)
        walked = timed(by_paths, other)[1] if products <= bearable else None
        grown.append(Size(other.sizes, paths, products, kept, walked, timed(backward, other)[1]))
    chain = [(units, factors, math.prod(factors, start=1.0)) for units, factors in paths_of(net, 1, 0, 0)]
    return KeptDeltas(
        net, (1, 0, 0), tuple(sorted(chain, key=lambda one: -abs(one[2]))), deltas_of(net)[0], exact, tuple(ways),
        tuple(grown),
    )  # fmt: skip
