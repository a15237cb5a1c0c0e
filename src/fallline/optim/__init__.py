"""Gradient descent and its descendants, and schedules of the learning rate."""

from fallline.arguments import module_attributes
from fallline.optim.adaptive import Adam, AdamW, RMSProp
from fallline.optim.descent import GradientDescent, Momentum, Nesterov
from fallline.optim.groups import Groups
from fallline.optim.lbfgs import LBFGS
from fallline.optim.minimiser import Minimiser, Point
from fallline.optim.muon import Muon
from fallline.optim.optimizer import MINIMISERS, OPTIMIZERS, Optimizer, get
from fallline.optim.schedule import (
    SCHEDULES,
    Constant,
    Cosine,
    CosLog,
    Exponential,
    FlatCosine,
    InversePower,
    OneCycle,
    Schedule,
    Step,
    WarmUp,
)

__all__ = [
    "LBFGS",
    "MINIMISERS",
    "OPTIMIZERS",
    "SCHEDULES",
    "Adam",
    "AdamW",
    "Constant",
    "CosLog",
    "Cosine",
    "Exponential",
    "FlatCosine",
    "GradientDescent",
    "Groups",
    "InversePower",
    "Minimiser",
    "Momentum",
    "Muon",
    "Nesterov",
    "OneCycle",
    "Optimizer",
    "Point",
    "RMSProp",
    "Schedule",
    "Step",
    "WarmUp",
    "get",
]

__getattr__ = module_attributes(__name__, __all__)
