"""Numbers and texts between Arrow, NumPy and lists without pyarrow's own converters, which import pandas where it is
installed: a sixth of a second, for nothing that is needed here.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fallline.arrays import Array


def as_numpy(column: Any, missing: float = np.nan) -> Array:
    """Whole numbers or floats as an array, read where they lie if none is missing.

    column: an Arrow array. missing: stands for missing numbers, in the array's own dtype.
    """
    valid, data = column.buffers()
    dtype, start, n = np.dtype(column.type.to_pandas_dtype()), column.offset, len(column)
    if not n:
        return np.empty(0, dtype)
    numbers: Array = np.frombuffer(data, dtype, n, start * dtype.itemsize)
    if not column.null_count:
        return numbers
    there = np.unpackbits(np.frombuffer(valid, np.uint8), count=start + n, bitorder="little")[start:]
    return np.where(there, numbers, dtype.type(missing))


def as_texts(texts: Sequence[str]) -> Any:
    """An Arrow array of texts, none missing."""
    import pyarrow

    encoded = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pyarrow.StringArray.from_buffers(len(texts), pyarrow.py_buffer(ends), pyarrow.py_buffer(b"".join(encoded)))
