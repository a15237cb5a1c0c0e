"""The chain rule link by link: each number's derivative as a sum of slope times delta, the largest term followed.

The numbers are those of pieces.py. What is written here for single kinds of layer are names alone: that the slope from
an input of a dense layer to its output is a weight, and which one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fallline.graph.op import Array
from fallline.insight.followed import Chosen, largest
from fallline.insight.pieces import LOSS, Index, Passes, Pieces, Tap
from fallline.nn.activation import Activation, Softmax
from fallline.nn.layer import Dense
from fallline.nn.model import Model


@dataclass(frozen=True, slots=True)
class Term:
    """One product in a sum of the chain rule: a local slope times a delta further on."""

    slope_name: str
    slope: float
    delta_name: str
    delta: float

    @property
    def product(self) -> float:
        return self.slope * self.delta


@dataclass(frozen=True, slots=True)
class Link:
    """One line of the chain rule: name = sum of terms.

    rule: the same in words. value: the sum, from backpropagation. terms: the largest ones; count: how many there are.
    rest: the sum of the terms that are not listed.
    """

    name: str
    rule: str
    value: float
    terms: tuple[Term, ...]
    count: int
    rest: float


@dataclass(frozen=True, slots=True)
class Names:
    """The names of numbers and slopes. single: whether there is one row, whose place 0 is left out."""

    pieces: Pieces
    taps: dict[str, Tap]
    parameters: frozenset[str]
    single: bool

    def number(self, source: str, index: Index) -> str:
        rowless = self.single and source not in self.parameters and index[:1] == (0,)
        return source + place(index[1:] if rowless else index)

    def delta(self, source: str, index: Index) -> str:
        return f"delta{self.number(source, index).removeprefix('out')}"

    def slope(self, source: str, index: Index, piece: str, at: Index, slope: float) -> str:
        """Of one number in another that it is directly computed from."""
        if piece == LOSS:
            return f"d loss/d {self.number(source, index)}"
        tap = self.taps[piece]
        own = f"{tap.path}." if tap.path else ""
        if isinstance(tap.layer, Dense) and (known := self._of_dense(source, index, own, tap, at, slope)):
            return known
        if isinstance(tap.layer, Activation) and not isinstance(tap.layer, Softmax) and source not in self.parameters:
            return f"{tap.layer.name}'({self.number(source, index)})"
        return f"d {self.number(piece, at)}/d {self.number(source, index)}"

    def multiplied(self, path: str, index: Index, piece: str, at: Index) -> tuple[str, Index] | None:
        """The input that a weight of a dense layer multiplies; None where it is not known which one it is."""
        tap = self.taps.get(piece)
        if tap is None or not isinstance(tap.layer, Dense) or len(index) != 2:
            return None
        slope = float(self.pieces.column(path, index)[piece][at])
        called = self.slope(path, index, piece, at, slope)
        for read in self.pieces.reads[piece]:
            there = (at[0], index[0])
            if called.startswith(self.number(read, there)) and read not in self.parameters:
                return read, there
        return None

    def _of_dense(self, source: str, index: Index, own: str, tap: Tap, at: Index, slope: float) -> str:
        """The weight or the input that a slope of a dense layer is, where its number is that; else ""."""
        weight = self.pieces.values.get(f"{own}weight", np.zeros((0, 0)))
        d, k = weight.shape
        scale, factor = (d**-0.5, f" / sqrt({d})") if tap.layer.tangent else (1.0, "")
        if source == f"{own}bias":
            return "1"
        if source == f"{own}weight":
            there = (at[0], index[0])
            inputs = [read for read in self.pieces.reads[tap.name] if read not in self.parameters]
            for read in inputs:
                values = self.pieces.values[read]
                fits = values.ndim == 2 and at[0] < values.shape[0] and index[0] < values.shape[1]
                if fits and _equal(values[there] * scale, slope):
                    return self.number(read, there) + factor
            return ""
        is_value = source not in self.parameters and index[-1] < d and at[-1] < k
        if is_value and _equal(weight[index[-1], at[-1]] * scale, slope):
            return f"{own}weight{place((index[-1], at[-1]))}" + factor
        return ""

    def rule(self, source: str, pieces: list[str], index: Index) -> str:
        """The sum over slopes times deltas in words."""
        layers = [self.taps[piece].layer for piece in pieces if piece != LOSS]
        if len(layers) == 1 and isinstance(layers[0], Dense):
            if source in self.parameters:
                return "the input times the delta of the sum it enters"
            return "each weight out of it times the delta at that weight's end"
        if len(layers) == 1 and isinstance(layers[0], Activation) and not isinstance(layers[0], Softmax):
            return f"the slope of {layers[0].name} there times the delta after it"
        if len(layers) > 1:
            return f"each slope of the {len(layers)} layers that read it times its delta, summed over all of them"
        return "each slope of the next layer times its delta"


def _equal(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-12 * max(abs(a), abs(b))


def place(index: Index) -> str:
    return f"[{','.join(map(str, index))}]" if index else ""


def follow(model: Model, y: Array, passes: Passes, names: Names, chosen: Chosen, terms: int) -> tuple[Link, ...]:
    """The chain rule from a number to the loss; each link follows the largest term of the one before."""
    pieces = names.pieces
    deltas = dict(zip((tap.name for tap in passes.taps), passes.deltas, strict=True))
    source, index, value = chosen.path, chosen.index, chosen.derivative
    chain = list[Link]()
    while True:
        slopes = pieces.column(source, index)
        is_tap = source in deltas
        name = names.delta(source, index) if is_tap else f"d loss / d {names.number(source, index)}"
        if is_tap and LOSS in slopes:
            chain.append(_at_the_loss(model, y, pieces.values[source], index, value, names, source))
            break
        inner = {piece: slope for piece, slope in slopes.items() if piece != LOSS and slope.any()}
        chain.append(_link(name, names, source, index, value, inner, deltas, list(slopes), terms))
        following = _strongest(inner, deltas)
        if following is None:
            break
        source, index = following
        value = float(deltas[source][index])
    return tuple(chain)


def _link(
    name: str, names: Names, source: str, index: Index, value: float, slopes: dict[str, Array],
    deltas: dict[str, Array], readers: list[str], terms: int,
) -> Link:  # fmt: skip
    """A sum of slope times delta over the pieces that read a number, its largest terms listed."""
    found: list[tuple[float, str, int]] = []
    count, total = 0, 0.0
    for piece, slope in slopes.items():
        products = (slope * deltas[piece]).ravel()
        places = np.flatnonzero(slope)
        count += len(places)
        total += float(products[places].sum())
        order = places[np.argsort(-np.abs(products[places]), kind="stable")][: max(terms, 1)]
        found += [(float(products[flat]), piece, int(flat)) for flat in order]
    found = sorted(found, key=lambda one: -abs(one[0]))[: max(terms, 1)]
    listed = []
    for _, piece, flat in found:
        at = tuple(int(i) for i in np.unravel_index(flat, slopes[piece].shape))
        one = float(slopes[piece][at])
        called = names.slope(source, index, piece, at, one)
        listed.append(Term(called, one, names.delta(piece, at), float(deltas[piece][at])))
    rest = total - sum(term.product for term in listed) if count > len(listed) else 0.0
    return Link(name, names.rule(source, readers, index), value, tuple(listed), count, rest)


def _strongest(slopes: dict[str, Array], deltas: dict[str, Array]) -> tuple[str, Index] | None:
    """Where the largest term of a sum is; None if no path leads on."""
    best: tuple[float, float, str, Index] | None = None
    for piece, slope in slopes.items():
        products = np.abs(slope * deltas[piece])
        at = largest(products if products.any() else slope)
        one = (float(products[at]), abs(float(slope[at])), piece, at)
        best = one if best is None or one[:2] > best[:2] else best
    return None if best is None else best[2:]


# Losses whose derivative at the output is (prediction - truth) times a factor: squared error because it is a square,
# the others because their link is the canonical one. The factor follows from the mean, over rows or over entries.
DIFFERENCES: dict[str, Callable[[Array], tuple[str, float]]] = {
    "squared_error": lambda o: ("2 / entries", 2 / o.size),
    "cross_entropy": lambda o: ("1 / rows", 1 / len(o)),
    "binary_cross_entropy": lambda o: ("1 / entries", 1 / o.size),
    "poisson": lambda o: ("1 / entries", 1 / o.size),
}


def _at_the_loss(model: Model, y: Array, output: Array, spot: Index, value: float, names: Names, source: str) -> Link:
    """The last link: the loss's own slope at an output."""
    name = names.delta(source, spot)
    plain = Link(name, f"the slope of {model.loss.name} at {names.number(source, spot)}", value, (), 0, value)
    if model.loss.name not in DIFFERENCES or model.loss.link is None:
        return plain
    factor_name, factor = DIFFERENCES[model.loss.name](output)
    guess = np.asarray(model.loss.link(output))
    truth = y if y.shape == guess.shape else np.eye(guess.shape[-1])[y]
    smoothing, how = float(getattr(model.loss, "label_smoothing", 0.0)), ""
    if smoothing:
        k, target = truth.shape[-1], f"{float(truth[spot]):.6g}"
        truth = (1 - smoothing) * truth + smoothing / k
        how = f", which is {1 - smoothing:g} * {target} + {smoothing:g} / {k} (label smoothing {smoothing:g})"
    gap = float(guess[spot] - truth[spot])
    if not np.isclose(gap * factor, value, rtol=1e-6, atol=1e-12):
        return plain
    words = f"{model.loss.name}: prediction {float(guess[spot]):.6g} minus truth {float(truth[spot]):.6g}{how}"
    return Link(name, words, value, (Term("(prediction - truth)", gap, factor_name, factor),), 1, 0.0)
