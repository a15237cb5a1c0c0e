"""All primitive ops and the composites built on them; importing this fills the tables of graph/op.py."""

from fallline.graph.protocol import supported
from fallline.ops import arithmetic, contract, folds, index, layout, pick, reduce, transcendental, view
from fallline.ops.transcendental import erf
from fallline.ops.transcendental import sigmoid as expit

__all__ = ["erf", "expit", "supported"]
