"""Gradients that are zero because another branch was chosen, and where they are: masks that go with gradients.

`where(c, a, b)` hands a gradient of zeros to the branch that was not taken. The slope of the next op in that branch may
be infinite or NaN there, and 0 * inf is NaN. Elementwise ops keep such an element to itself, so it does no harm until
elements meet: there, and at the end, elements under the mask are set to zero again. Knows no single op but those of
masks: an op says by its fact `selects` which elements of an input it takes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import combinations
from typing import Any

import numpy as np

from fallline.graph.declare import cast_to
from fallline.graph.node import CONSTANT, Node
from fallline.graph.op import Kind, Shape
from fallline.ops.arithmetic import logical_and, logical_not, logical_or, not_equal, where
from fallline.ops.reduce import broadcast_to, sum_to
from fallline.ops.view import reshape

# Conditions that are kept apart; more become one.
MOST = 4


@dataclass(frozen=True, slots=True, eq=False)
class Literal:
    """condition: a node of booleans that broadcasts to the gradient; an element may be other than 0 where it holds, or,
    with holds=False, where it does not."""

    condition: Node
    holds: bool = True

    # A condition is the same node or another one: `==` of two nodes is a node of its own.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Literal) and self.condition is other.condition and self.holds == other.holds

    def __hash__(self) -> int:
        return hash((self.condition, self.holds))


# Everything that has to be so for an element to be other than zero; nothing: all may be.
Mask = frozenset[Literal]
ALL: Mask = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """A gradient, or a part of one. stale: masked elements may be NaN or infinite in `value`, where zero is meant."""

    value: Node
    mask: Mask = ALL
    stale: bool = False


def as_node(mask: Mask) -> Node:
    """Conditions that all have to hold, as one."""
    parts = [one.condition if one.holds else logical_not(one.condition) for one in sorted_by_age(mask)]
    result = parts[0]
    for part in parts[1:]:
        result = logical_and(result, part)
    return result


def sorted_by_age(mask: Mask) -> list[Literal]:
    return sorted(mask, key=lambda one: (one.condition.serial, one.holds))


def both(mask: Mask, more: Literal) -> Mask:
    """A mask under one condition more."""
    found = mask | {more}
    return found if len(found) <= MOST else frozenset({Literal(as_node(found))})


def either(a: Mask, b: Mask) -> Mask:
    """The mask of a sum: elements that at least one of two masks leaves open."""
    common = a & b
    rest_a, rest_b = a - common, b - common
    if not rest_a or not rest_b or opposites(rest_a, rest_b):
        return common
    return both(common, Literal(logical_or(as_node(rest_a), as_node(rest_b))))


def opposites(a: Mask, b: Mask) -> bool:
    """Whether one mask holds exactly where the other does not."""
    if len(a) != 1 or len(b) != 1:
        return False
    (one,), (other,) = a, b
    return one.condition is other.condition and one.holds != other.holds


def zeroed(share: Share) -> Share:
    """The same gradient with zeros where zeros are meant."""
    if not share.stale:
        return share
    zero = cast_to(0, share.value.dtype)
    if len(share.mask) == 1:
        (one,) = share.mask
        value = where(one.condition, *((share.value, zero) if one.holds else (zero, share.value)))
    else:
        value = where(as_node(share.mask), share.value, zero)
    return replace(share, value=value, stale=False)


def sum_of_shares(shares: Sequence[Share], total: Callable[[Sequence[Node]], Node]) -> Share:
    """The sum of a node's shares under the mask they have in common."""
    if len(shares) == 1:
        return shares[0]
    if any(share.stale for share in shares):
        groups: dict[Mask, list[Share]] = {}
        for share in shares:
            groups.setdefault(share.mask, []).append(share)
        shares = [
            Share(total([one.value for one in same]), mask, any(one.stale for one in same))
            for mask, same in groups.items()
        ]
        pair = next(filter(is_choice, combinations(shares, 2)), None)
        if pair is not None:
            return sum_of_shares([*(share for share in shares if share not in pair), chosen(*pair)], total)
    mask = reduce(either, (share.mask for share in shares))
    # Elements that are zero in the sum too may stay stale.
    stale = any(share.stale for share in shares) and all(mask <= share.mask for share in shares)
    parts = [relieved(share, mask) if stale else zeroed(share) for share in shares]
    return Share(total([share.value for share in parts]), mask, stale and bool(mask))


def is_choice(pair: tuple[Share, Share]) -> bool:
    """Whether each of two shares, one of them stale, may be other than zero just where the other is zero."""
    one, other = pair
    return (one.stale or other.stale) and opposites(one.mask - other.mask, other.mask - one.mask)


def chosen(one: Share, other: Share) -> Share:
    """The sum of two shares with opposite masks: a choice, which cleans both."""
    (literal,) = one.mask - other.mask
    first, second = (one, other) if literal.holds else (other, one)
    common = one.mask & other.mask
    return Share(where(literal.condition, first.value, second.value), common, bool(common))


def relieved(share: Share, kept: Mask) -> Share:
    """A share with zeros where a mask other than the kept one means them."""
    return zeroed(replace(share, mask=share.mask - kept)) if share.mask - kept else share


def narrowed(mask: Mask, shape: Shape) -> Mask:
    """The mask of a gradient summed to a shape: where something is added that may be other than 0."""
    fitting = frozenset(one for one in mask if fits(one.condition.shape, shape))
    if fitting == mask:
        return mask
    rest = as_node(mask - fitting)
    lead = len(shape) - len(rest.shape)
    rest = reshape(rest, shape=(1,) * lead + rest.shape) if lead > 0 else rest
    last = rest.shape[len(rest.shape) - len(shape) :]
    kept = tuple(1 if n == 1 else m for n, m in zip(shape, last, strict=True))
    return both(fitting, Literal(any_holds(rest, kept)))


def any_holds(mask: Node, shape: Shape) -> Node:
    """Whether anything holds among the elements summed to one."""
    result: Node = not_equal(sum_to(cast_to(mask, np.dtype(np.int64)), shape), 0)
    return result


def fits(shape: Shape, other: Shape) -> bool:
    """Whether one shape broadcasts to the other."""
    return len(shape) <= len(other) and all(m in (1, n) for m, n in zip(shape[::-1], other[::-1]))


def mask_of_input(node: Node, place: int, mask: Mask, dtype: np.dtype[Any]) -> Mask:
    """The mask of the gradient of an input, from that of the output of an op that is not elementwise."""
    if not mask or node.op.kind in (Kind.CONTRACTION, Kind.LOOP) or node.op.grad is None:
        return ALL
    full = broadcast_to(as_node(mask), shape=node.shape)
    if node.op.kind is Kind.REDUCTION:
        axes, shape = node.attrs["axes"], node.inputs[0].shape
        return frozenset({Literal(reshape(full, shape=tuple(1 if i in axes else n for i, n in enumerate(shape))))})
    # Views, joins and what picks or adds up: the rule counts what may be other than zero.
    share = node.op.grad(cast_to(full, dtype), node, *node.inputs, **node.attrs)[place]
    return frozenset({Literal(not_equal(share, 0))})


def is_steady(node: Node, place: int) -> bool:
    """Whether the slope of an elementwise op in an input is finite whatever the inputs are."""
    facts = node.op.facts
    if node.op.kind is Kind.CAST or any(facts.get(name) for name in ("sum", "difference", "negation", "selects")):
        return True
    if facts.get("product") or (facts.get("quotient") and place == 0):
        factor = node.inputs[1 - place]
        factor = factor.inputs[0] if factor.op.kind is Kind.VIEW else factor
        value = factor.attrs["value"] if factor.op is CONSTANT else None
        return value is not None and bool(np.isfinite(value).all() and (facts.get("product") or np.all(value)))
    return False


def elementwise_share(node: Node, place: int, g: Share, value: Node) -> Share:
    """The share that an elementwise op hands to an input whose gradient, in the shape of the output, is `value`."""
    select = node.op.facts.get("selects")
    own = None if select is None else Literal(*select(place, *node.inputs))
    mask, stale = g.mask, g.stale
    if own is not None:
        # A choice by a condition sets zeros itself, whatever was there.
        stale = stale and not (node.op.facts.get("exact") and mask <= {own})
        mask = both(mask, own)
    share = Share(value, mask, bool(mask) and (stale or not is_steady(node, place)))
    shape = node.inputs[place].shape
    if value.shape == shape:
        return share
    share = zeroed(share)
    return Share(sum_to(share.value, shape), narrowed(mask, shape))
