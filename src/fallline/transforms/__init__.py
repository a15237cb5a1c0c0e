"""grad, vjp, jvp, hvp, jacobian, hessian, vmap, scan, compile: functions of arrays in, functions of arrays out."""

from fallline.transforms.batching import vmap
from fallline.transforms.compiled import compile, graph_of
from fallline.transforms.directional import hvp, jvp, vjp
from fallline.transforms.gradient import grad, value_and_grad
from fallline.transforms.looping import scan
from fallline.transforms.matrices import hessian, jacobian

__all__ = ["compile", "grad", "graph_of", "hessian", "hvp", "jacobian", "jvp", "scan", "value_and_grad", "vjp", "vmap"]
