"""The rows of a loss where a network answers by the average of several members. Knows no network and no loss."""

from typing import Any

import numpy as np

from fallline.ops.gather_scatter import gather
from fallline.ops.view import reshape


def by_member(members: Any, output: Any, y: Any, weight: Any) -> tuple[Any, Any, Any]:
    """Outputs, targets and weights of a loss: each member's outputs for a row are a row, so that the loss is the mean
    of the members' losses. members: (k, N, *shape), or None for a network of one.
    """
    if members is None:
        return output, y, weight
    k, n, *shape = members.shape
    rows = np.tile(np.arange(n), k)
    weight = None if weight is None else gather(weight, rows, axis=0)
    return reshape(members, shape=(k * n, *shape)), gather(y, rows, axis=0), weight


__all__ = ["by_member"]
