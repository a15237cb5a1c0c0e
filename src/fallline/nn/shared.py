"""Members that share their weights: a Dense layer with factors for each of several networks, and their heads, whose
predictions are averaged. Rows have an axis of members after the first: (N, k, D).
"""

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from fallline import ranges
from fallline.errors import NotCalled, ShapeError
from fallline.graph.op import Shape
from fallline.nn import initial
from fallline.nn import layer_table as table
from fallline.nn.averages import AVERAGES
from fallline.nn.context import Context
from fallline.nn.layer import Generator, between_rows, drawn_weight, spread_evenly, with_batch
from fallline.ops.view import reshape
from fallline.ranges import option, required, short
from fallline.tree import Tree


@table.layer(
    lambda: [
        (SharedDense(3, 2), (4,)),
        (SharedDense(2, 3), (3, 5)),
        (SharedDense(3, 2, tangent=True, bias_rate=0.1), (4,)),
    ]
)
@dataclass(frozen=True)
class SharedDense(NotCalled):
    """A fully connected layer of k networks that share its weights; each has factors of its own for inputs and outputs.

        y_i = ((x_i * r_i) W) * s_i + b_i               W: (D, units); r_i: (D,), s_i, b_i: (units,)
        y_i = ((x_i * r_i) W) / sqrt(D) * s_i + b_i     tangent

    x: (N, D), the same rows for all members, or (N, k, D), as another SharedDense gives them; the result is
    (N, k, units). For the same rows r is 1 or -1 by chance at first, so that members differ; otherwise r = 1. s = 1.
    units: outputs of each member, >= 1. members: k, >= 1. tangent, bias_rate, settled, initializer: as for Dense.
    Errors: ArgumentError outside the ranges; ShapeError for inputs of another shape or number of members.
    Example: Sequential(SharedDense(64, 8), ReLU(), SharedDense(64, 8), ReLU(), Heads(10, link="softmax"))
    Source: Gorishniy, Kotelnikov, Babenko 2024, TabM, arXiv:2410.24210, section 3; after Wen, Tran, Ba 2020,
    BatchEnsemble, arXiv:2002.06715.
    """

    units: int = required("outputs of each member", at_least=1, at_most=10**9, whole=True)
    members: int = required("networks that share the weights", at_least=1, at_most=10**4, whole=True)
    _: KW_ONLY
    initializer: Any = None
    tangent: bool = option(False, "the neural-tangent parametrisation", flag=True)
    bias_rate: float = option(1.0, "factor of the learning rate for b", at_least=0)
    settled: bool = option(False, "training begins with a look at rows", flag=True)

    def __post_init__(self) -> None:
        ranges.check(self)
        if self.initializer is not None:
            initial.get(self.initializer)

    def init(self, rng: Generator, shape: Shape, dtype: Any) -> tuple[Tree, Shape]:
        k, units = int(self.members), int(self.units)
        if len(shape) not in (1, 2) or (len(shape) == 2 and shape[0] != k):
            raise ShapeError(f"{short(self)} takes rows of features, (N, D), or of {k} members, (N, {k}, D), and meets "
                             f"an input of shape {with_batch(shape)}")  # fmt: skip
        d = shape[-1]
        factors = rng.choice([-1.0, 1.0], (k, d)) if len(shape) == 1 else np.ones((k, d))
        params = {
            "weight": drawn_weight(self, rng, d, "he_normal"),
            "inputs": factors,
            "outputs": np.ones((k, units)),
            "bias": np.zeros((k, units)),
        }
        return {name: values.astype(dtype) for name, values in params.items()}, (k, units)

    def settle(self, params: Tree, x: Any, rng: Generator) -> Tree:
        """The parameters to start from, from those that were drawn and the layer's inputs on some training rows."""
        if not self.settled:
            return params
        weight, inputs = (np.asarray(params[name], np.float64) for name in ("weight", "inputs"))
        x = (x[:, None, :] if x.ndim == 2 else x) * inputs
        z = (weight.shape[0] ** -0.5 if self.tangent else 1.0) * (x @ weight)
        factor = spread_evenly(z.reshape(-1, z.shape[-1]))
        bias = [-between_rows(z[:, i] * factor, rng) for i in range(len(inputs))]
        found = {"weight": weight * factor, "bias": np.stack(bias)}
        return {**params, **{name: values.astype(params[name].dtype) for name, values in found.items()}}

    def apply(self, params: Tree, x: Any, context: Context | None = None) -> Any:
        weight, (k, d) = params["weight"], params["inputs"].shape
        if context is not None:
            context.treat([params["inputs"], params["outputs"]], decay=0.0)
            context.treat(params["bias"], rate=self.bias_rate, decay=0.0)
        x = x if x.dtype.kind == "f" else x.astype(weight.dtype)
        each = (x[:, None, :] if len(x.shape) == 2 else x) * params["inputs"]
        # One product for all members: a row of each is a row of it.
        y = reshape(each, shape=(x.shape[0] * k, d)) @ weight
        if self.tangent:
            y = y * d**-0.5
        return reshape(y, shape=(x.shape[0], k, weight.shape[1])) * params["outputs"] + params["bias"]


@table.layer(lambda: [(Heads(3, link="softmax"), (2, 4)), (Heads(2, tangent=True, bias_rate=0.1), (3, 5))])
@dataclass(frozen=True)
class Heads(NotCalled):
    """The last layer of networks side by side: each member has weights of its own, and predictions are averaged.

        z_i = x_i W_i + b_i               x: (N, k, D), W: (k, D, units), b: (k, units)
        z_i = x_i W_i / sqrt(D) + b_i     tangent

    The result z, (N, units), has link(z) = 1/k (link(z_1) + ... + link(z_k)). As the last layer of a network it is
    trained by the mean of the members' losses, loss(z_1, y) ... loss(z_k, y), not by the loss of their average.
    units: outputs, >= 1. link: that of the loss, as for Ensemble. tangent, bias_rate, initializer: as for Dense.
    Errors: ArgumentError outside the ranges; ShapeError for rows without an axis of members.
    Example: Sequential(SharedDense(64, 8), ReLU(), Heads(10, link="softmax"))
    Source: Gorishniy, Kotelnikov, Babenko 2024, TabM, arXiv:2410.24210, section 3.
    """

    units: int = required("outputs", at_least=1, at_most=10**9, whole=True)
    _: KW_ONLY
    link: str = option("identity", "what turns outputs into predictions", number=False, words=tuple(AVERAGES))
    initializer: Any = None
    tangent: bool = option(False, "the neural-tangent parametrisation", flag=True)
    bias_rate: float = option(1.0, "factor of the learning rate for b", at_least=0)

    def __post_init__(self) -> None:
        ranges.check(self)
        if self.initializer is not None:
            initial.get(self.initializer)

    def init(self, rng: Generator, shape: Shape, dtype: Any) -> tuple[Tree, Shape]:
        if len(shape) != 2:
            raise ShapeError(f"{short(self)} takes rows of several members, (N, k, D), and meets an input of shape "
                             f"{with_batch(shape)}\n  try: nn.SharedDense(64, 8) before it")  # fmt: skip
        (k, d), units = shape, int(self.units)
        weight = np.stack([drawn_weight(self, rng, d, "glorot_uniform") for _ in range(k)])
        return {"weight": weight.astype(dtype), "bias": np.zeros((k, units), dtype)}, (units,)

    def apply(self, params: Tree, x: Any, context: Context | None = None) -> Any:
        weight = params["weight"]
        z = np.einsum("nkd,kdu->knu", x, weight)
        if self.tangent:
            z = z * weight.shape[1] ** -0.5
        if context is not None:
            context.treat(params["bias"], rate=self.bias_rate, decay=0.0)
        z = z + params["bias"][:, None, :]
        y = AVERAGES[self.link](z, weight.shape[0])
        if context is not None:
            context.answer(y, z)
        return y
