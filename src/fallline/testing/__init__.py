"""Checks for users' own functions, ops and layers."""

from fallline.arguments import module_attributes
from fallline.testing.gradients import check_grads
from fallline.testing.layers import check_layer

__all__ = ["check_grads", "check_layer"]

__getattr__ = module_attributes(__name__, __all__)
