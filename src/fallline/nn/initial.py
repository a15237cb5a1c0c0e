"""Initialisers: the first values of parameters. Know a generator, a shape, and nothing of layers.

The scaled ones keep the size of the signal from layer to layer, by drawing weights of variance gain / fan, where the
fan of a weight of shape (D_in, D_out) is D_in going forward, D_out going back, or the mean of both.
"""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from fallline import ranges
from fallline.config import saved
from fallline.errors import ArgumentTypeError, unknown
from fallline.graph.op import Array, Shape
from fallline.ranges import option


@runtime_checkable
class Initializer(Protocol):
    """Draws an array of a shape from a generator; `fan_in`: inputs of one output; `fan_out`: outputs of one input."""

    def __call__(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array: ...


@saved
@dataclass(frozen=True)
class Scaled:
    """Weights of mean 0 and variance gain / fan.

    gain: 2 for units that are silent half of the time (ReLU), 1 for those that are nearly linear around 0.
    fan: "in" keeps the variance of the forward pass, "average" compromises with that of the backward pass.
    draw: "normal", or "uniform" on +-sqrt(3 gain / fan), which has the same variance and no outliers.
    Errors: ArgumentError for a gain that is not above 0, or an unknown word.
    Example: Dense(64, initializer=Scaled(2.0, "in", "uniform"))
    Source: He et al. 2015, arXiv:1502.01852, eq. 10; Glorot & Bengio 2010, eq. 12 and 16; LeCun et al. 1998, eq. 16.
    """

    gain: float = option(1.0, "variance of the signal to make up for", above=0)
    fan: str = option(
        "in", "inputs of a unit, or the mean of inputs and outputs", number=False, words=("in", "average")
    )
    draw: str = option("normal", "the distribution", number=False, words=("normal", "uniform"))

    def __post_init__(self) -> None:
        ranges.check(self)

    def __call__(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array:
        fan = fan_in if self.fan == "in" else (fan_in + fan_out) / 2
        deviation = np.sqrt(self.gain / max(fan, 1))
        if self.draw == "normal":
            return rng.normal(0.0, deviation, shape)
        limit = np.sqrt(3.0) * deviation
        return rng.uniform(-limit, limit, shape)


@saved
@dataclass(frozen=True)
class Normal:
    """Gaussian numbers of mean 0, whatever the fan.

    Errors: ArgumentError for a negative deviation.
    Example: Dense(64, initializer=Normal(0.01))
    """

    deviation: float = option(0.05, "standard deviation", at_least=0)

    def __post_init__(self) -> None:
        ranges.check(self)

    def __call__(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array:
        return rng.normal(0.0, self.deviation, shape)


@saved
@dataclass(frozen=True)
class Uniform:
    """Numbers spread evenly over -limit to limit, whatever the fan.

    Errors: ArgumentError for a negative limit.
    Example: Dense(64, initializer=Uniform(0.1))
    """

    limit: float = option(0.05, "largest absolute value", at_least=0)

    def __post_init__(self) -> None:
        ranges.check(self)

    def __call__(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array:
        return rng.uniform(-self.limit, self.limit, shape)


@saved
@dataclass(frozen=True)
class Zeros:
    """All zeros: right for biases; hidden units that all start at zero weights would stay copies of one another.

    Example: Dense(1, initializer="zeros")
    """

    def __call__(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array:
        return np.zeros(shape)


INITIALIZERS: dict[str, Initializer] = {
    # He, Zhang, Ren, Sun 2015, arXiv:1502.01852, eq. 10: variance 2 / D_in.
    "he_normal": Scaled(2.0, "in", "normal"),
    "he_uniform": Scaled(2.0, "in", "uniform"),
    # Glorot & Bengio 2010, Understanding the difficulty ..., eq. 12 and 16: variance 2 / (D_in + D_out).
    "glorot_normal": Scaled(1.0, "average", "normal"),
    "glorot_uniform": Scaled(1.0, "average", "uniform"),
    # LeCun, Bottou, Orr, Mueller 1998, Efficient BackProp, eq. 16: variance 1 / D_in.
    "lecun_normal": Scaled(1.0, "in", "normal"),
    "lecun_uniform": Scaled(1.0, "in", "uniform"),
    "normal": Normal(),
    "uniform": Uniform(),
    "zeros": Zeros(),
}


def get(init: Any) -> Initializer:
    """The initialiser of this name, or the given one itself."""
    if isinstance(init, str):
        if init not in INITIALIZERS:
            raise unknown("initialiser", init, INITIALIZERS)
        return INITIALIZERS[init]
    if not callable(init):
        raise ArgumentTypeError(
            f"an initialiser is a name or a function (rng, shape, fan_in, fan_out) -> array, got {init!r}"
        )
    return init  # type: ignore[no-any-return]
