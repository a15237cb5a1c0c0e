"""Random numbers as a pure function: the same counter and key, the same number, on any machine and any thread."""

import numpy as np

from fallline.graph.declare import Domain, cast_to, elementwise
from fallline.graph.node import as_node

# The constants of the splitmix64 generator.
_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def _mix(u):
    """splitmix64: a counter that steps by the golden ratio, shifted and multiplied until all bits depend on all."""

    def bits(counter, key):
        z = u(counter) * u(_GOLDEN) + u(key) * u(_FIRST) + u(_GOLDEN)
        z = (z ^ (z >> u(30))) * u(_FIRST)
        z = (z ^ (z >> u(27))) * u(_SECOND)
        return np.int64((z ^ (z >> u(31))) >> u(1))

    return bits


def _whole(counter, key):
    return cast_to(as_node(counter), np.dtype(np.int64)), cast_to(as_node(key), np.dtype(np.int64))


@elementwise(grad=None, domain=Domain(0.0, 1e6), lift=_whole, scalar=lambda f: _mix(np.uint64))
def random_bits(counter, key):
    """A whole number in 0..2^63 - 1 that looks random: counters and keys are whole numbers.

    Source: Steele, Lea & Flood 2014, Fast splittable pseudorandom number generators, figure 16 (splitmix64).
    """
    with np.errstate(over="ignore"):  # the arithmetic is meant to wrap around
        return _mix(lambda n: np.asarray(n).astype(np.int64).astype(np.uint64))(counter, key)


def uniform(shape, key, dtype=np.float32):
    """Numbers spread evenly over 0..1, one for each place of an array, as they follow from the key.

    shape: of the result. key: a whole number or a traced one; another key gives other numbers.
    """
    size = int(np.prod(shape, dtype=np.int64))
    counter = np.int64(0)
    # A place's number in row-major order, from one short range an axis instead of a long array.
    for axis, n in enumerate(shape):
        size = size // n if n else 0
        counter = counter + (np.arange(n) * size).reshape((n,) + (1,) * (len(shape) - axis - 1))
    return random_bits(counter, key).astype(dtype) * np.dtype(dtype).type(2.0**-63)
