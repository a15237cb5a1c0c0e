"""A generator for parameters that a file replaces: nothing is drawn, and no file makes a network that fills memory."""

import math
from typing import Any

import numpy as np

from fallline.errors import ArgumentError
from fallline.graph.op import Array

# Numbers that an initialiser may ask for beyond the parameters that there are.
_SPARE = 1 << 20


class Undrawn(np.random.Generator):
    """Zeros in the place of the random numbers that initialisers ask for most.

    parameters: of the file. Errors: ArgumentError from a call once many more numbers have been asked for.
    """

    def __init__(self, parameters: int) -> None:
        super().__init__(np.random.PCG64(0))
        self.left = 4 * parameters + _SPARE

    def _zeros(self, size: Any) -> Any:
        shape = tuple(size) if isinstance(size, tuple | list) else () if size is None else (size,)
        self.left -= math.prod(map(int, shape))
        if self.left < 0:
            raise ArgumentError("the network has more parameters than the file holds")
        found: Array = np.zeros(shape)
        return found if shape else 0.0

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        return self._zeros(size)

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        return self._zeros(size)

    def standard_normal(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        return self._zeros(size)

    def random(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        return self._zeros(size)
