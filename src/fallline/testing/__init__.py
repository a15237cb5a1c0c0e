"""Checks of gradients, for users' own functions and ops."""

from fallline.arguments import module_attributes
from fallline.testing.gradients import check_grads

__all__ = ["check_grads"]

__getattr__ = module_attributes(__name__, __all__)
