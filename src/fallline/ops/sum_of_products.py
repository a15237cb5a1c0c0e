"""The product of several arrays summed over labels, in the order of products and sums that takes the fewest steps."""

from collections.abc import Sequence
from itertools import combinations

from fallline.graph.node import Node
from fallline.ops.einsum import einsum
from fallline.ops.factored import Factor, Label, Labels, length
from fallline.ops.reduce import sum_
from fallline.ops.view import reshape

# Orders of so many factors are searched.
MOST = 6

# Pairs of places of factors; the product of each pair stands behind all that are left.
Order = tuple[tuple[int, int], ...]
Terms = tuple[frozenset[Label], ...]


def fewest_steps(factors: Sequence[Factor], out: frozenset[Label]) -> tuple[int, Order] | None:
    """Steps of the best order, and that order; None for too many factors. A step is an element made or added.

    out: the labels that are left.
    """
    if len(factors) > MOST:
        return None
    known: dict[Terms, tuple[int, Order]] = {}

    def best(left: Terms) -> tuple[int, Order]:
        if left not in known:
            inner = [alone(left, i, out) for i in range(len(left))]
            cost = sum(length(term) for term, own in zip(left, inner, strict=True) if own)
            terms = tuple([term - own for term, own in zip(left, inner, strict=True)])
            choices: list[tuple[int, Order]] = []
            for i, j in combinations(range(len(terms)), 2):
                rest = [term for at, term in enumerate(terms) if at not in (i, j)]
                both = terms[i] | terms[j]
                steps, order = best((*rest, both & out.union(*rest)))
                choices.append((steps + length(both), ((i, j), *order)))
            steps, order = min(choices, default=(0, ()))
            known[left] = steps + cost, order
        return known[left]

    return best(tuple([frozenset(labels) for _, labels in factors]))


def alone(terms: Sequence[frozenset[Label]], i: int, out: frozenset[Label]) -> frozenset[Label]:
    """Labels that only this term has, over which it is summed before anything else."""
    return terms[i] - out.union(*(term for at, term in enumerate(terms) if at != i))


def sum_of_products(factors: Sequence[Factor], out: frozenset[Label], order: Order) -> Factor:
    """The product of all factors, summed over all labels but those of `out`, in this order."""
    left = _summed([*factors], out)
    for i, j in order:
        (a, of_a), (b, of_b) = left[i], left[j]
        left = [factor for at, factor in enumerate(left) if at not in (i, j)]
        needed = out.union(*(labels for _, labels in left))
        result = tuple([label for label in dict.fromkeys((*of_a, *of_b)) if label in needed])
        left = _summed([*left, (einsum(_subscripts([of_a, of_b], result), a, b), result)], out)
    return left[0]


def _summed(factors: list[Factor], out: frozenset[Label]) -> list[Factor]:
    """The factors without labels that nobody else has."""
    terms = [frozenset(labels) for _, labels in factors]
    result: list[Factor] = []
    for i, (node, labels) in enumerate(factors):
        inner = alone(terms, i, out)
        axes = tuple([at for at, label in enumerate(labels) if label in inner])
        result.append((sum_(node, axes=axes) if axes else node, tuple([one for one in labels if one not in inner])))
    return result


def laid(factor: Factor, order: Labels) -> Node:
    """An array with its axes in this order, and axes of length 1 for labels it does not have."""
    node, labels = factor
    turned = einsum(_subscripts([labels], [label for label in order if label in labels]), node)
    result: Node = reshape(turned, shape=tuple(label.size if label in labels else 1 for label in order))
    return result


def _subscripts(terms: Sequence[Sequence[Label]], result: Sequence[Label]) -> str:
    """Labels in the letters of an einsum."""
    every = dict.fromkeys(label for term in terms for label in term)
    letters = {label: chr(0x4E00 + i) for i, label in enumerate(every)}  # more than the alphabet has
    words = ["".join([letters[label] for label in labels]) for labels in (*terms, result)]
    return ",".join(words[:-1]) + "->" + words[-1]
