"""Random numbers as a pure function: the same counter and key, the same number, on any machine and any thread."""

import numpy as np

from fallline.arguments import raises_ours
from fallline.errors import ArgumentError
from fallline.graph.calls import Counter, call_numbers
from fallline.graph.declare import Domain, cast_to, elementwise
from fallline.graph.node import as_node
from fallline.graph.where import here

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


@raises_ours
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


@raises_ours
def normal(shape, key, dtype=np.float32):
    """Numbers of the standard normal law, mean 0 and variance 1, one for each place, as they follow from the key.

        z = sqrt(-2 log u) cos(2 pi v)      u, v: uniform, from keys that follow from this one

    shape: of the result. key: a whole number or a traced one; another key gives other numbers.
    Source: Box & Muller 1958, A note on the generation of random normal deviates; of each pair, one number is used, so
    that a place has its number whatever is around it.
    """
    kind = np.dtype(dtype).type
    # No counter of `uniform` is below 0, so these keys have nothing in common with numbers drawn from the same key.
    u, v = (uniform(shape, random_bits(np.int64(-n), key), dtype) for n in (1, 2))
    # The smallest uniform number but 0, whose logarithm is infinite.
    return np.sqrt(kind(-2) * np.log(np.maximum(u, kind(2.0**-63)))) * np.cos(kind(2 * np.pi) * v)


@raises_ours
def integers(shape, key, low, high):
    """Whole numbers in low..high - 1, each as likely, one for each place of an array, as they follow from the key.

    shape: of the result, int64. key: a whole number or a traced one. low, high: whole numbers, 0 < high - low <= 2^53.
    """
    if not 0 < high - low <= 2**53:
        raise ArgumentError(f"integers: low < high <= low + 2^53 is asked for, got {low!r} and {high!r}\n  at {here()}")
    n = float(high - low)
    # Rounding may lift a uniform number to 1.
    place = np.minimum(np.floor(uniform(shape, random_bits(np.int64(-3), key), np.float64) * n), n - 1)
    return place.astype(np.int64) + np.int64(low)


class Noise:
    """Random numbers that a layer draws while training: other numbers at each call, step and place, as they follow from
    the seed; and in each turn of a loop and each row of a vmap, as in a Python loop.

    noise(shape): numbers spread evenly over 0..1, in the network's precision. noise.normal(shape): of the standard
    normal law. noise.integers(shape, low, high): whole numbers in low..high - 1.
    """

    def __init__(self, key, dtype=np.float32):
        self.key, self.dtype, self._calls, self._outside = key, dtype, Counter(), len(call_numbers())

    def _next(self):
        key = random_bits(self.key, self._calls.next())
        for number in call_numbers()[self._outside :]:
            key = random_bits(np.int64(-4) - number, key)  # as in `normal`, a counter that no other use has
        return key

    def __call__(self, shape):
        return uniform(shape, self._next(), self.dtype)

    def normal(self, shape):
        return normal(shape, self._next(), self.dtype)

    def integers(self, shape, low, high):
        return integers(shape, self._next(), low, high)
