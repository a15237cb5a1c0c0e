"""Networks: layers, activations, initialisers, losses, and the model that holds them."""

from fallline.arguments import module_attributes
from fallline.nn.activation import (
    ACTIVATIONS,
    ELU,
    GELU,
    SELU,
    Activation,
    GELUTanh,
    Identity,
    LeakyReLU,
    Mish,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)
from fallline.nn.by_columns import ByColumns
from fallline.nn.column import Category, Moment, Number, Standardised, Unused
from fallline.nn.context import Context
from fallline.nn.embedding import Embedding
from fallline.nn.encoder import Columns, Labels, Quantity, standardise
from fallline.nn.ensemble import Ensemble, averaged, members
from fallline.nn.frozen import Frozen
from fallline.nn.initial import INITIALIZERS, Normal, Scaled, Uniform, Zeros
from fallline.nn.layer import Dense, Flatten, Function, Layer
from fallline.nn.layer_table import LAYERS
from fallline.nn.loss import (
    LOSSES,
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    Hinge,
    Huber,
    Loss,
    Poisson,
    SquaredError,
)
from fallline.nn.metric import METRICS, Metric
from fallline.nn.model import Model
from fallline.nn.normalization import BatchNorm
from fallline.nn.objective import L1, L2, Objective
from fallline.nn.parametric import Parametric
from fallline.nn.periodic import Periodic
from fallline.nn.pinball import Pinball
from fallline.nn.regular import Dropout, Residual
from fallline.nn.scale import Scale
from fallline.nn.sequential import Sequential, mlp
from fallline.nn.shared import Heads, SharedDense
from fallline.nn.temperature import Temperature, calibrated
from fallline.ops import __all__ as _FUNCTIONS

__all__ = [
    "ACTIVATIONS",
    "ELU",
    "GELU",
    "INITIALIZERS",
    "L1",
    "L2",
    "LAYERS",
    "LOSSES",
    "METRICS",
    "SELU",
    "AbsoluteError",
    "Activation",
    "BatchNorm",
    "BinaryCrossEntropy",
    "ByColumns",
    "Category",
    "Columns",
    "Context",
    "CrossEntropy",
    "Dense",
    "Dropout",
    "Embedding",
    "Ensemble",
    "Flatten",
    "Frozen",
    "Function",
    "GELUTanh",
    "Heads",
    "Hinge",
    "Huber",
    "Identity",
    "Labels",
    "Layer",
    "LeakyReLU",
    "Loss",
    "Metric",
    "Mish",
    "Model",
    "Moment",
    "Normal",
    "Number",
    "Objective",
    "Parametric",
    "Periodic",
    "Pinball",
    "Poisson",
    "Quantity",
    "ReLU",
    "Residual",
    "Scale",
    "Scaled",
    "Sequential",
    "SharedDense",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "SquaredError",
    "Standardised",
    "Tanh",
    "Temperature",
    "Uniform",
    "Unused",
    "Zeros",
    "averaged",
    "calibrated",
    "members",
    "mlp",
    "standardise",
]

__getattr__ = module_attributes(__name__, [*__all__, *(f"ops.{name}" for name in _FUNCTIONS)])
