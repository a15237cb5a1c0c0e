"""In which order rows are visited: a permutation for each epoch that follows from the seed and the epoch alone.

So a resumed run, or one cut into other pieces, sees the same rows in the same order. Knows nothing of models.
"""

import numpy as np

from fallline.graph.op import Array
from fallline.program.forks import renewed

# The purposes of a seed; each draws from a stream of its own.
PURPOSES = (
    "initial parameters", "validation rows", "order", "ensemble members", "rows to settle on", "candidates",
    "rows to look at", "rows of gauges",
)  # fmt: skip

# Making a generator costs as much as shuffling 800 rows, so short epochs are shuffled several at a time.
_ROWS_AT_A_TIME = 16_384
# So many rows are shuffled in about a tenth of a second.
_MANY = 2_000_000


def stream(seed: int, purpose: str, block: int = 0) -> np.random.Generator:
    """The random numbers for one purpose; `block` counts independent parts of it.

    Source: Salmon et al. 2011, Parallel Random Numbers: As Easy as 1, 2, 3 (Philox, keyed rather than advanced).
    """
    key = np.array([seed, (PURPOSES.index(purpose) << 56) + block], np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


class Order:
    """Row numbers as the steps visit them. `buffer` holds a block of several epochs, one after the other."""

    def __init__(self, rows: Array, seed: int, shuffle: bool = True) -> None:
        """rows: the row numbers trained on, int64. shuffle: False visits them as they stand."""
        self.rows = rows
        self.seed = seed
        self.shuffle = shuffle
        self.epochs_per_block = max(1, _ROWS_AT_A_TIME // len(rows)) if shuffle else 1
        # Filled when the first epoch is placed.
        self.buffer = np.empty(self.epochs_per_block * len(rows), np.int64) if shuffle else np.ascontiguousarray(rows)
        self._filled: int | None = None
        self._lock = renewed(self, "_lock")

    @property
    def takes_long(self) -> bool:
        """Whether an epoch's order is not there in an instant."""
        return self.shuffle and len(self.rows) > _MANY

    def place(self, epoch: int) -> int:
        """Fill the buffer with the block that holds an epoch, if it does not yet; returns where the epoch starts."""
        block, within = divmod(epoch, self.epochs_per_block)
        with self._lock:  # an order that nobody waited for may still be copied into the buffer
            if self.shuffle and block != self._filled:
                self._filled = None
                view = self.buffer.reshape(self.epochs_per_block, len(self.rows))
                view[...] = self.rows
                stream(self.seed, "order", block).permuted(view, axis=1, out=view)
                self._filled = block
        return within * len(self.rows)
