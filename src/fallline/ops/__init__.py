"""All primitive ops and the composites built on them; importing this fills the tables of graph/op.py.

NumPy's functions keep their NumPy names; the functions exported here are those that NumPy lacks.
"""

from fallline.arguments import module_attributes
from fallline.graph.protocol import guarded, supported

# Imported for their declarations.
from fallline.ops import (  # noqa: F401
    arithmetic,
    contract,
    division,
    einsum,
    gather_scatter,
    index,
    normalizing,
    pointwise,
    random,
    rearrange,
    reduce,
    reductions,
    scan,
    shapes,
    transcendental,
    view,
)
from fallline.ops.arithmetic import relu
from fallline.ops.gather_scatter import gather
from fallline.ops.normalizing import log_softmax, logsumexp, softmax
from fallline.ops.pointwise import log_expit, logit, xlogy
from fallline.ops.random import integers, normal, random_bits, uniform
from fallline.ops.transcendental import erf, sigmoid
from fallline.ops.transcendental import sigmoid as expit
from fallline.ops.view import stop_gradient

# Op records answer for themselves; the composites among the public functions do it here.
log_softmax, logsumexp, softmax = map(guarded, (log_softmax, logsumexp, softmax))
log_expit, logit, xlogy = map(guarded, (log_expit, logit, xlogy))
gather, integers, normal, uniform = guarded(gather), guarded(integers), guarded(normal), guarded(uniform)

__all__ = [
    "erf",
    "expit",
    "gather",
    "integers",
    "log_expit",
    "log_softmax",
    "logit",
    "logsumexp",
    "normal",
    "random_bits",
    "relu",
    "sigmoid",
    "softmax",
    "stop_gradient",
    "supported",
    "uniform",
    "xlogy",
]

__getattr__ = module_attributes(__name__, __all__)
