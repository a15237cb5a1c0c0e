"""Activations: each is one class, which is the layer, the function and the entry in the table of names.

They are written so that no value and no gradient overflows where it matters, and so that few ops are traced: a branch
not taken never computes an infinity, since a gradient of 0 times an infinity would be a NaN.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np

from fallline import ranges
from fallline.arguments import record
from fallline.config import enter
from fallline.errors import ArgumentTypeError, Attributes, unknown
from fallline.graph.op import Shape
from fallline.nn import layer_table as table
from fallline.ops import erf
from fallline.ops.arithmetic import relu, where
from fallline.ops.transcendental import sigmoid
from fallline.ranges import option
from fallline.tree import Tree


@record
@dataclass(frozen=True)
class Activation(Attributes):
    """A layer that bends each value by itself; calling it on an array computes it."""

    name: ClassVar[str]
    # The initialiser that suits a Dense layer right before this activation.
    suits: ClassVar[str] = "glorot_uniform"

    def __post_init__(self) -> None:
        ranges.check(self)

    def __call__(self, x: Any) -> Any:
        raise NotImplementedError

    def init(self, rng: np.random.Generator, shape: Shape, dtype: Any) -> tuple[Tree, Shape]:
        return {}, shape

    def apply(self, params: Tree, x: Any, context: Any = None) -> Any:
        return self(x)


ACTIVATIONS: dict[str, type[Activation]] = {}
A = TypeVar("A", bound=type[Activation])


def activation(cls: A) -> A:
    """Enter an activation under its name."""
    enter(ACTIVATIONS, cls.name, cls, "activations")
    return table.layer(lambda: [(cls(), (4,)), (cls(), (2, 3))])(cls)


def get(given: Any) -> Activation:
    """The activation of this name with its default parameters, or the given one itself."""
    if isinstance(given, Activation):
        return given
    if isinstance(given, str):
        if given not in ACTIVATIONS:
            raise unknown("activation", given, ACTIVATIONS)
        return ACTIVATIONS[given]()
    raise ArgumentTypeError(f"an activation is a name or a layer such as nn.ReLU(), got {given!r}")


@activation
class Identity(Activation):
    """x itself.

    x: of any shape; the result has the same.
    Example: Sequential(Dense(8), Identity())
    """

    name = "identity"

    def __call__(self, x: Any) -> Any:
        return x


@activation
class ReLU(Activation):
    """max(x, 0), the rectified linear unit; the derivative at 0 is 0.

    x: of any shape; the result has the same.
    Example: Sequential(Dense(64), ReLU(), Dense(10))
    Source: Nair & Hinton 2010, Rectified linear units improve restricted Boltzmann machines.
    """

    name = "relu"
    suits = "he_uniform"

    def __call__(self, x: Any) -> Any:
        return relu(x)


@activation
@dataclass(frozen=True)
class LeakyReLU(Activation):
    """x above 0, slope * x below, so that a silent unit still learns; the derivative at 0 is the slope.

    x: of any shape; the result has the same.
    Errors: ArgumentError unless 0 <= slope < 1.
    Example: Sequential(Dense(64), LeakyReLU(0.2), Dense(10))
    Source: Maas, Hannun, Ng 2013, Rectifier nonlinearities improve neural network acoustic models, eq. 2.
    """

    name = "leaky_relu"
    suits = "he_uniform"
    slope: float = option(0.01, "slope below 0", at_least=0, below=1)

    def __call__(self, x: Any) -> Any:
        return where(x > 0, x, self.slope * x)


@activation
@dataclass(frozen=True)
class ELU(Activation):
    """x above 0, alpha (exp(x) - 1) below; the derivative at 0 is alpha.

    x: of any shape; the result has the same.
    Errors: ArgumentError unless alpha >= 0.
    Example: Sequential(Dense(64), ELU(), Dense(10))
    Source: Clevert, Unterthiner, Hochreiter 2016, arXiv:1511.07289, eq. 15.
    """

    name = "elu"
    suits = "he_uniform"
    alpha: float = option(1.0, "minus the value far below 0", at_least=0)

    def __call__(self, x: Any) -> Any:
        positive = relu(x)
        # x - relu(x) is min(x, 0): expm1 never overflows, and the two derivatives at 0 add up to alpha.
        return positive + self.alpha * np.expm1(x - positive)


@activation
class SELU(Activation):
    """A scaled ELU that pulls activations to mean 0 and variance 1, with LeCun's initialiser before it.

        scale * (x above 0, alpha (exp(x) - 1) below)

    x: of any shape; the result has the same.
    Example: Sequential(Dense(64), SELU(), Dense(10))
    Source: Klambauer, Unterthiner, Mayr, Hochreiter 2017, arXiv:1706.02515, eq. 2; constants from its eq. 14.
    """

    name = "selu"
    suits = "lecun_normal"
    alpha: ClassVar[float] = 1.6732632423543772848170429916717
    scale: ClassVar[float] = 1.0507009873554804934193349852946

    def __call__(self, x: Any) -> Any:
        positive = relu(x)
        return self.scale * positive + (self.scale * self.alpha) * np.expm1(x - positive)


@activation
class GELU(Activation):
    """x times the chance that a standard normal number is below x: x/2 (1 + erf(x / sqrt 2)).

    x: of any shape; the result has the same.
    Example: Sequential(Dense(64), GELU(), Dense(10))
    Source: Hendrycks & Gimpel 2016, arXiv:1606.08415, section 2.
    """

    name = "gelu"
    suits = "he_uniform"

    def __call__(self, x: Any) -> Any:
        return 0.5 * x * (1 + erf(x * (0.5**0.5)))


@activation
class GELUTanh(Activation):
    """The cheaper form of GELU: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), within 5e-4 of it.

    x: of any shape; the result has the same.
    Example: Sequential(Dense(64), GELUTanh(), Dense(10))
    Source: Hendrycks & Gimpel 2016, arXiv:1606.08415, section 2. Written with sigmoid(2u) = (1 + tanh u) / 2.
    """

    name = "gelu_tanh"
    suits = "he_uniform"

    def __call__(self, x: Any) -> Any:
        c = 2 * (2 / np.pi) ** 0.5
        return x * sigmoid(x * (c + (c * 0.044715) * (x * x)))


@activation
class SiLU(Activation):
    """x sigmoid(x), also called swish.

    x: of any shape; the result has the same.
    Example: Sequential(Dense(64), SiLU(), Dense(10))
    Source: Elfwing, Uchibe, Doya 2018, arXiv:1702.03118, eq. 4.
    """

    name = "silu"
    suits = "he_uniform"

    def __call__(self, x: Any) -> Any:
        return x * sigmoid(x)


@activation
class Mish(Activation):
    """x tanh(softplus(x)).

    x: of any shape; the result has the same.
    Example: Sequential(Dense(64), Mish(), Dense(10))
    Source: Misra 2020, arXiv:1908.08681, eq. 1.
    """

    name = "mish"
    suits = "he_uniform"

    def __call__(self, x: Any) -> Any:
        # tanh(log(1 + n)) is w / (w + 2) with n = exp(x), w = n (n + 2): one exp and one quotient in the place of three
        # of each. Above 20 the quotient is 1 in float64 too, so n need not grow any further.
        n = np.exp(np.minimum(x, 20.0))
        w = n * (n + 2)
        return x * (w / (w + 2))


@activation
class Softplus(Activation):
    """log(1 + exp(x)), a smooth ReLU.

    x: of any shape; the result has the same.
    Example: Sequential(Dense(64), Softplus(), Dense(10))
    Source: Dugas, Bengio, Belisle, Nadeau, Garcia 2001, Incorporating second-order functional knowledge, eq. 4.
    """

    name = "softplus"

    def __call__(self, x: Any) -> Any:
        return np.logaddexp(x, 0)


@activation
class Softsign(Activation):
    """x / (1 + |x|).

    x: of any shape; the result has the same.
    Example: Sequential(Dense(64), Softsign(), Dense(10))
    Source: Bergstra, Desjardins, Lamblin, Bengio 2009, Quadratic polynomials learn better image features.
    """

    name = "softsign"

    def __call__(self, x: Any) -> Any:
        return x / (1 + np.abs(x))


@activation
class Sigmoid(Activation):
    """1 / (1 + exp(-x)), the logistic function, in 0..1.

    As the last layer before binary cross-entropy it is that loss's own last step: the model applies it once.
    x: of any shape; the result has the same.
    Example: Sequential(Dense(16), Sigmoid(), Dense(1))
    Source: Verhulst 1845, the logistic curve; as an activation Rumelhart, Hinton, Williams 1986, eq. 2.
    """

    name = "sigmoid"

    def __call__(self, x: Any) -> Any:
        return sigmoid(x)


@activation
class Tanh(Activation):
    """The hyperbolic tangent, in -1..1.

    x: of any shape; the result has the same.
    Example: Sequential(Dense(16), Tanh(), Dense(1))
    Source: as an activation LeCun, Bottou, Orr, Mueller 1998, Efficient BackProp, section 4.4.
    """

    name = "tanh"

    def __call__(self, x: Any) -> Any:
        return np.tanh(x)


@activation
class Softmax(Activation):
    """exp(x_k) / sum_j exp(x_j) over the last axis: K numbers turned into K probabilities, at the end of a network.

    As the last layer before cross-entropy it is that loss's own last step: the model applies it once.
    x: (..., K); the result has the same shape.
    Errors: ArgumentError from Sequential, where another layer follows it.
    Example: Sequential(Dense(10), Softmax())
    Source: Bridle 1990, Probabilistic interpretation of feedforward network outputs.
    """

    name = "softmax"

    def __call__(self, x: Any) -> Any:
        e = np.exp(x - shift(x))
        # One division a row, and products for the rest: cheaper than dividing, in the gradient most of all.
        return e * (1 / np.sum(e, axis=-1, keepdims=True))


def shift(z: Any) -> Any:
    """The number to subtract from logits before exp, which overflows float32 above 88.7: the row maximum, rounded down.

    Neither softmax nor cross-entropy changes with the shift, so its derivative may be left out; rounding has the
    derivative 0, which does that.
    """
    return np.floor(np.max(z, axis=-1, keepdims=True))
