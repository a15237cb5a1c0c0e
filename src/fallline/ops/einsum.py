"""Products of vectors, matrices and tensors in NumPy's many forms, laid out for the one contraction: dot to einsum."""

import math
import operator

import numpy as np

from fallline.errors import ShapeError
from fallline.graph.declare import cast_to, common_dtype, composite, in_range, made
from fallline.graph.node import as_node
from fallline.graph.protocol import refuse
from fallline.graph.where import here
from fallline.ops.contract import contract, matmul
from fallline.ops.rearrange import diagonal
from fallline.ops.reduce import total
from fallline.ops.shapes import as_shape, moveaxis, ravel, reshaped, transposed


def _alike(*args):
    # As arrays: in products, unlike in sums, NumPy gives a plain number the dtype it has by itself.
    nodes = [as_node(a) for a in args]
    dtype = common_dtype(nodes)
    return [cast_to(node, dtype) for node in nodes]


@composite(numpy=(np.tensordot, np.linalg.tensordot))
def tensordot(a, b, axes=2):
    """Sum of products over pairs of axes: the last of a with the first of b, or as listed."""
    a, b = _alike(a, b)
    if isinstance(axes, int | np.integer):
        n = operator.index(axes)
        axes_a, axes_b = tuple(range(a.ndim - n, a.ndim)), tuple(range(n))
    else:
        axes_a = tuple(in_range(i, a.ndim) for i in as_shape(axes[0]))
        axes_b = tuple(in_range(i, b.ndim) for i in as_shape(axes[1]))
    if [a.shape[i] for i in axes_a] != [b.shape[i] for i in axes_b]:
        raise ShapeError(f"tensordot: axes {axes} pair unequal lengths{made(a, b)}\n  at {here()}")
    free_a = [i for i in range(a.ndim) if i not in axes_a]
    free_b = [i for i in range(b.ndim) if i not in axes_b]
    k = math.prod(a.shape[i] for i in axes_a)
    left = reshaped(transposed(a, (*free_a, *axes_a)), (math.prod(a.shape[i] for i in free_a), k))
    right = reshaped(transposed(b, (*axes_b, *free_b)), (k, math.prod(b.shape[i] for i in free_b)))
    return reshaped(contract(left, right), (*(a.shape[i] for i in free_a), *(b.shape[i] for i in free_b)))


@composite(numpy=(np.dot,))
def dot(a, b):
    """NumPy's dot: the matrix product of matrices, the sum of products of vectors, a product with a number."""
    a, b = _alike(a, b)
    if not a.ndim or not b.ndim:
        return a * b
    return matmul(a, b) if b.ndim <= 2 else tensordot(a, b, (-1, -2))


@composite(numpy=(np.inner,))
def inner(a, b):
    """Sum of products over the last axes."""
    a, b = _alike(a, b)
    return tensordot(a, b, (-1, -1)) if a.ndim and b.ndim else a * b


@composite(numpy=(np.vdot,))
def vdot(a, b):
    """Sum of products of all elements."""
    return inner(ravel(as_node(a)), ravel(as_node(b)))


@composite(numpy=(np.vecdot, np.linalg.vecdot))
def vecdot(x1, x2, axis=-1):
    """Sum of products along one axis; the others broadcast."""
    x1, x2 = (moveaxis(x, in_range(axis, x.ndim), -1) for x in (as_node(x1), as_node(x2)))
    if x1.shape[-1] != x2.shape[-1]:
        raise ShapeError(f"vecdot: axis {axis} has unequal lengths{made(x1, x2)}\n  at {here()}")
    return total(x1 * x2, -1)


@composite(numpy=(np.outer, np.linalg.outer))
def outer(a, b):
    """Every element of one times every element of the other."""
    a, b = ravel(as_node(a)), ravel(as_node(b))
    return reshaped(a, (a.size, 1)) * b


@composite(numpy=(np.linalg.multi_dot,))
def multi_dot(arrays):
    """Matrix product of several, from the left; the first and the last may be vectors."""
    arrays = [as_node(a) for a in arrays]
    if len(arrays) < 2 or any(not a.ndim or (a.ndim < 2 and 0 < i < len(arrays) - 1) for i, a in enumerate(arrays)):
        shapes = ", ".join(str(list(a.shape)) for a in arrays)
        raise ShapeError(f"multi_dot: takes two matrices or more, got {shapes}\n  at {here()}")
    first, *others = arrays
    for other in others:
        first = dot(first, other)
    return first


@composite(numpy=(np.einsum,))
def einsum(subscripts, *operands, optimize=True, **kwargs):
    """Einstein's sum: letters name axes, equal letters run together, letters not in the result are summed."""
    if not isinstance(subscripts, str):
        refuse("np.einsum with lists of axes on traced values", "a string, such as np.einsum('ij,jk->ik', a, b)")
    if kwargs:
        refuse(f"np.einsum(..., {next(iter(kwargs))}=) on traced values", "np.einsum(subscripts, *operands)")
    nodes = _alike(*operands)
    terms, result = parsed(subscripts, [node.ndim for node in nodes])
    sizes = {}
    for term, node in zip(terms, nodes, strict=True):
        own = {}
        for letter, n in zip(term, node.shape, strict=True):
            # An axis of length one is stretched to another operand's, but never to one of its own.
            if own.setdefault(letter, n) != n or (sizes.setdefault(letter, n) != n and 1 not in (n, sizes[letter])):
                other = own[letter] if own[letter] != n else sizes[letter]
                raise ShapeError(f"einsum: {letter!r} is {other} long and {n} long{made(*nodes)}\n  at {here()}")
            sizes[letter] = n if sizes[letter] == 1 else sizes[letter]
    work = [_without_stretched(node, term, sizes) for node, term in zip(nodes, terms, strict=True)]
    for group in _path(terms, result, nodes):
        chosen = [work[i] for i in group]
        work = [one for i, one in enumerate(work) if i not in group]
        elsewhere = set(result).union(*(letters for _, letters in work))
        first, *others = chosen
        for i, other in enumerate(others):
            needed = elsewhere.union(*(letters for _, letters in others[i + 1 :]))
            first = _pair(_summed(*first, needed | set(other[1])), _summed(*other, needed | set(first[1])), needed)
        work.append(_summed(*first, elsewhere))
    node, letters = work[0]
    return transposed(node, tuple(letters.index(letter) for letter in result))


def parsed(subscripts, ndims):
    """The letters of each operand and of the result; axes under `...` get letters of their own."""
    text = subscripts.replace(" ", "")
    left, arrow, result = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(ndims):
        raise ShapeError(f"einsum: {subscripts!r} is for {len(terms)} arrays, got {len(ndims)}\n  at {here()}")
    extra = [ndim - len(term.replace("...", "")) for term, ndim in zip(terms, ndims, strict=True)]
    for term, n, ndim in zip(terms, extra, ndims, strict=True):
        if n < 0 or (n and "..." not in term):
            raise ShapeError(f"einsum: {term!r} of {subscripts!r} does not name {ndim} axes\n  at {here()}")
    dots = "".join(map(chr, range(0x391, 0x391 + max(extra))))  # letters no subscript can hold
    if arrow and dots and "..." not in result:
        raise ShapeError(f"einsum: the result of {subscripts!r} leaves out the axes under '...'\n  at {here()}")
    terms = [term.replace("...", dots[len(dots) - n :]) for term, n in zip(terms, extra, strict=True)]
    if arrow:
        result = result.replace("...", dots)
    else:
        every = "".join(terms)
        result = dots + "".join(sorted(c for c in set(every) - set(dots) if every.count(c) == 1))
    strange = [c for c in "".join(terms) + result if not (c.isalpha() or c in dots)]
    if strange or len(set(result)) != len(result) or not set(result) <= set("".join(terms)):
        raise ShapeError(f"einsum: cannot read {subscripts!r}\n  at {here()}")
    return terms, result


def _without_stretched(node, letters, sizes):
    """An operand with one axis a letter: diagonals taken, axes of length one dropped where others are longer."""
    kept = [i for i, letter in enumerate(letters) if node.shape[i] == sizes[letter]]
    node, letters = reshaped(node, tuple(node.shape[i] for i in kept)), [letters[i] for i in kept]
    for letter in set(letters):
        while letters.count(letter) > 1:
            i = letters.index(letter)
            j = letters.index(letter, i + 1)
            node = diagonal(node, 0, i, j)
            letters = [c for at, c in enumerate(letters) if at not in (i, j)] + [letter]
    return node, letters


def _path(terms, result, nodes):
    """Which operands to join first: NumPy's greedy choice where there are more than two."""
    if len(nodes) <= 2:
        return [tuple(range(len(nodes)))]
    shapes = [np.broadcast_to(0.0, node.shape) for node in nodes]
    names = {
        letter: chr(97 + i) if i < 26 else chr(65 + i - 26) for i, letter in enumerate(sorted(set("".join(terms))))
    }
    spelled = ",".join("".join(names[c] for c in term) for term in terms) + "->" + "".join(names[c] for c in result)
    return np.einsum_path(spelled, *shapes, optimize="greedy")[0][1:]


def _summed(node, letters, needed):
    axes = tuple(i for i, letter in enumerate(letters) if letter not in needed)
    return (total(node, axes) if axes else node), [letter for letter in letters if letter in needed]


def _pair(left, right, needed):
    """Two operands joined: letters of both are batch axes where still needed, else summed."""
    (a, letters_a), (b, letters_b) = left, right
    shared = [letter for letter in letters_a if letter in letters_b]
    batch = [letter for letter in shared if letter in needed]
    folded = [letter for letter in shared if letter not in needed]
    free_a = [letter for letter in letters_a if letter not in shared]
    free_b = [letter for letter in letters_b if letter not in shared]
    size = dict(zip([*letters_a, *letters_b], [*a.shape, *b.shape], strict=True))
    lengths = lambda letters: tuple(size[letter] for letter in letters)
    a = transposed(a, tuple(letters_a.index(c) for c in (*batch, *free_a, *folded)))
    b = transposed(b, tuple(letters_b.index(c) for c in (*batch, *folded, *free_b)))
    if folded:
        outer_size = (math.prod(lengths(batch)),) if batch else ()
        rows, inner_size, columns = (math.prod(lengths(c)) for c in (free_a, folded, free_b))
        product = contract(
            reshaped(a, (*outer_size, rows, inner_size)), reshaped(b, (*outer_size, inner_size, columns))
        )
    else:
        product = reshaped(a, (*lengths(batch), *lengths(free_a), *(1 for _ in free_b))) * reshaped(
            b, (*lengths(batch), *(1 for _ in free_a), *lengths(free_b))
        )
    return reshaped(product, lengths([*batch, *free_a, *free_b])), [*batch, *free_a, *free_b]
